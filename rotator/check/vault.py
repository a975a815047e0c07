"""The checks of the Vault that holds the secrets: from its name to what our token may do there."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Final

from rotator.check import grants
from rotator.check.findings import Check, Finding, bad, note, ok
from rotator.check.server import ServerChecks
from rotator.clients.retry import ONCE
from rotator.clients.vault.answers import TokenFacts
from rotator.clients.vault.login import ISSUE
from rotator.config import Config
from rotator.errors import Rejected
from rotator.passes.secret import raise_for_owner
from rotator.passes.stopping import Stopping
from rotator.rules.claims import claims_path
from rotator.rules.consumers import ack_paths, told_ack_paths
from rotator.rules.installation import check_place, lost, read_identity
from rotator.rules.model import ManagedKey, Version
from rotator.rules.times import format_duration, moment, short
from rotator.wiring import vault_of

SOON: Final = timedelta(days=1)
"""A token that nobody renews is worth a word so long before it expires."""

LOGIN, TOKEN, MOUNT = "Vault login", "Vault token", "Vault mount"
POLICY, INSTALLATION, SECRETS = "Vault policy", "installation", "secrets"


class VaultChecks(ServerChecks):
    """The checks of the Vault that holds the secrets."""

    def __init__(self, config: Config, environ: Mapping[str, str]) -> None:
        super().__init__(
            config.vault,
            environ,
            lambda: vault_of(config, environ, Stopping(), ONCE),
            name="Vault",
            field="vault",
            path=config.vault.state_path,
        )
        self._config = config

    def checks(self) -> tuple[Check, ...]:
        """Return them in order: what takes no token, the login, then what its token may do."""
        return (
            *self.to_the_login(),
            Check(TOKEN, self._token, needs=(LOGIN,)),
            self.of_the_mount(),
            Check(POLICY, self._policy, needs=(LOGIN,)),
            Check(INSTALLATION, self._installation, needs=(MOUNT, POLICY)),
            Check(SECRETS, self._secrets, needs=(MOUNT, POLICY)),
        )

    def _token(self) -> Iterator[Finding]:
        assert self._facts  # noqa: S101 - who needs a login has one
        yield token(
            self._facts, self._config.timing.rotation, static=self._config.vault.auth.method == "token"
        )

    def _policy(self) -> Iterator[Finding]:
        config = self._config
        vault = config.vault
        needed = grants.needed_by(
            (key.path for key in config.managed),
            config.gateway.api_key.vault,
            vault.state_path,
            ack_paths(config.managed, vault.acks_path),
            told_ack_paths(config.managed, vault.acks_path),
        )
        yield from grants.judged(config.vault.mount, needed, self.vault.lacking(needed))

    def _installation(self) -> Iterator[Finding]:
        path = self._config.vault.state_path
        version = self.vault.read(path)
        if version.data is None and version.number:
            raise lost(path, version.number)
        if version.data is None:
            yield ok("none yet; the first pass makes it")
            return
        identity = read_identity(version.data, path)
        check_place(identity, self.vault.whereabouts(), path)
        faults = tuple(self._deletes(path, version, "the identity"))
        yield from faults or (ok(f"{identity.installation}, at {path}"),)

    def _secrets(self) -> Iterator[Finding]:
        """Name what a pass would not write over, and what Vault deletes by itself: the only copy of a plaintext."""
        keys, there, faults = self._config.managed, 0, False
        for key in keys:
            version = self.vault.read(key.path)
            there += version.data is not None
            for fault in self._faults(key, version):
                faults = True
                yield fault
        if not faults:
            yield ok(f"{there} of {len(keys)} exist; the rotator can use what is in them")

    def _faults(self, key: ManagedKey, version: Version) -> Iterator[Finding]:
        try:
            raise_for_owner(version, key)
        except Rejected as error:
            yield bad(error.message, error.cure or "")
        yield from self._deletes(key.path, version, "the key that programs use")
        claims = claims_path(self._config.vault.state_path, key.path)
        yield from self._deletes(claims, self.vault.read(claims), "the record of claims")

    def _deletes(self, path: str, version: Version, what: str) -> Iterator[Finding]:
        if at := version.deletes_at:
            mount = self._config.vault.mount
            off = f"`vault kv metadata put -mount={mount} -delete-version-after=0s {path}`"
            of_mount = f"`vault write {mount}/config delete_version_after=0s`"
            keep = f"`vault kv undelete -mount={mount} -versions={version.number} {path}`"
            yield bad(
                f"Vault deletes each version at {path} after a time: {what} will be gone at {moment(at)}",
                f"clear delete_version_after on the path: {off}; if it is set on the mount, "
                f"clear it there, too: {of_mount}; then restore what is there: {keep}",
            )


def token(facts: TokenFacts, rotation: timedelta, *, static: bool) -> Finding:
    """`static`: nobody renews it, and there is no login to get another by."""
    if static and facts.uses is not None:
        return bad(
            f"can make {facts.uses} more requests, and could be used up between creating a key "
            f"and storing it",
            f"issue another one without -use-limit: {ISSUE}; or let the rotator log in (vault.auth)",
        )
    if facts.ttl is None:
        return ok("does not expire")
    said = f"expires in {short(facts.ttl)}"
    if facts.ttl < rotation:
        return bad(
            f"{said}; a rotation may take {format_duration(rotation)} (verify_deadline and store_deadline)",
            f"issue another one: {ISSUE}; or let the rotator log in (vault.auth)"
            if static
            else "raise the token_ttl of its role",
        )
    if static and facts.ttl < SOON:
        return note(
            f"{said}, and this program does not renew it",
            "let an agent keep the token in a file, or let the rotator log in by approle, "
            "kubernetes or jwt (vault.auth)",
        )
    return ok(
        said
        + (
            ""
            if static
            else ", renewable"
            if facts.renewable
            else ", not renewable; the rotator logs in again"
        )
    )
