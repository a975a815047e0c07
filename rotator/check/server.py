"""The checks of a Vault that hold for any: from its name to its mount."""

from collections.abc import Callable, Iterator, Mapping
from http import HTTPStatus

from rotator.check import reach
from rotator.check.findings import Check, Finding, State, bad, ok
from rotator.clients.vault.answers import TokenFacts
from rotator.clients.vault.client import Vault
from rotator.config import VaultBlock
from rotator.credentials import wrapped_of
from rotator.errors import Rejected
from rotator.wiring import trust_of


class ServerChecks:
    """The checks of one Vault, all by one client. `close` it in the end: a login may have made a token."""

    def __init__(
        self,
        vault: VaultBlock,
        environ: Mapping[str, str],
        make: Callable[[], Vault],
        *,
        name: str,
        field: str,
        path: str,
    ) -> None:
        """`field`: what the config calls this Vault; `path`: one below the mount that its token may read."""
        self._block, self._environ, self._make = vault, environ, make
        self._name, self._field, self._path = name, field, path
        self._vault: Vault | None = None
        self._facts: TokenFacts | None = None
        self.health, self.login, self.mount = f"{name} health", f"{name} login", f"{name} mount"

    @property
    def vault(self) -> Vault:
        """Made when it is first asked: a certificate that cannot be loaded is a finding, and not the end of it."""
        if self._vault is None:
            self._vault = self._make()
        return self._vault

    def close(self) -> None:
        """Log out."""
        if self._vault:
            self._vault.close()

    def to_the_login(self) -> tuple[Check, ...]:
        """Return them in order: what takes no token, then the login."""
        vault = self._block
        reached = reach.checks(
            reach.Target(
                name=self._name,
                url=vault.address,
                field=f"{self._field}.address",
                trust=trust_of(vault),
                trust_cure=f"name the CA's PEM file in {self._field}.ca_cert",
                timeout=vault.timeout,
            )
        )
        return (
            *reached,
            Check(self.health, self._health, needs=(reached[-1].name,)),
            Check(self.login, self._login, needs=(self.health,)),
        )

    def of_the_mount(self) -> Check:
        """Whether the mount is there, and is one for secrets with versions."""
        return Check(self.mount, self._mount, needs=(self.login,))

    def _health(self) -> Iterator[Finding]:
        health = self.vault.health()
        if not health.initialized:
            yield bad(f"version {health.version}, not initialised", "`vault operator init`")
        elif health.sealed:
            yield bad(f"version {health.version}, sealed", "`vault operator unseal`")
        else:
            standby = ", a standby, which hands requests on" if health.standby else ""
            yield ok(f"version {health.version}, unsealed{standby}")

    def _login(self) -> Iterator[Finding]:
        auth = self._block.auth
        if wrapped := wrapped_of(auth, self._environ):
            self.vault.anonymously(wrapped.look)
            yield Finding(
                State.SKIPPED,
                f"not tried: the wrapping token, made at {wrapped.path}, is valid and works only "
                f"once, so it is left for the rotator",
                "to test the rest, check with a secret id that is not wrapped, or with another vault.auth",
            )
            return
        self._facts = self.vault.look_up_token()
        mount = getattr(auth, "mount", None)
        at = f" at auth/{mount}" if mount else ""
        yield ok(f"by {auth.method}{at}; policies: {', '.join(self._facts.policies) or 'none'}")

    def _mount(self) -> Iterator[Finding]:
        mount = self._block.mount
        try:
            self.vault.check_mount()
        except Rejected as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            yield self._hidden_mount()
        else:
            yield ok(f"{mount}/ is a KV version 2 engine")

    def _hidden_mount(self) -> Finding:
        """Vault answers 403 also where there is none. If the token may read there, that tells."""
        mount = self._block.mount
        try:
            self.vault.read(self._path)
        except Rejected as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
        return bad(
            f"there is no mount {mount}/, or the token has no access to it",
            "check vault.mount against the list of mounts: `vault secrets list`; if it is right, "
            "correct the token's policy",
        )
