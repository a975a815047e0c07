"""The checks of a further Vault: from its name to what stands in place of each copy."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from rotator.check import grants
from rotator.check.findings import Check, Finding, bad, ok
from rotator.check.server import ServerChecks
from rotator.check.vault import INSTALLATION, SECRETS
from rotator.clients.vault.client import Vault
from rotator.config import Config
from rotator.errors import Rejected, RotatorError, in_vault
from rotator.passes.preflight import NEEDED
from rotator.passes.secret import remembered
from rotator.passes.stopping import Stopping
from rotator.redaction import Secret
from rotator.rules.bookkeeping import read_plaintext
from rotator.rules.copies import origin_of, raise_unless_ours
from rotator.rules.installation import FIELD
from rotator.rules.model import ManagedKey
from rotator.wiring import FurtherVaults


class CopyChecks(ServerChecks):
    """The checks of one of `vaults`. `main`: the Vault that holds the secrets."""

    def __init__(
        self, config: Config, environ: Mapping[str, str], name: str, main: Callable[[], Vault]
    ) -> None:
        self._config, self._main = config, main
        self._kept = {
            (key.name, consumer): (key, target.path)
            for key in config.managed
            for consumer, target in key.copies.items()
            if target.vault == name
        }
        super().__init__(
            config.vaults[name],
            environ,
            lambda: FurtherVaults(config, environ, Stopping())(name),
            name=name,
            field=f"vaults[{name}]",
            path=next(path for _, path in self._kept.values()),
        )

    def checks(self) -> tuple[Check, ...]:
        """Return them in order."""
        policy = f"{self._name} policy"
        return tuple(
            check._replace(run=self._named(check.run))
            for check in (
                *self.to_the_login(),
                self.of_the_mount(),
                Check(policy, self._policy, needs=(self.login,)),
                Check(
                    f"{self._name} copies",
                    self._copies,
                    needs=(self.mount, policy, INSTALLATION, SECRETS),
                ),
            )
        )

    def _policy(self) -> Iterator[Finding]:
        needed = dict.fromkeys((path for _, path in self._kept.values()), NEEDED)
        yield from grants.judged(self._block.mount, needed, self.vault.lacking(needed))

    def _copies(self) -> Iterator[Finding]:
        """Name what the rotator would not write over."""
        there, faults = 0, False
        identity = self._main().read(self._config.vault.state_path).data or {}
        for (_, consumer), (key, path) in self._kept.items():
            version = remembered(self.vault.read(path), key)
            there += version.data is not None
            try:
                if version.data is not None:
                    raise_unless_ours(
                        version.data, key, origin_of(identity.get(FIELD), key.path), self._plaintext(key)
                    )
            except Rejected as error:
                faults = True
                yield bad(f"the copy for {consumer} at {path}: {error.message}", error.cure or "")
        if not faults:
            yield ok(f"{there} of {len(self._kept)} exist; the rotator can use what is in them")

    def _plaintext(self, key: ManagedKey) -> Secret | None:
        text = read_plaintext(self._main().read(key.path).data, key.field)
        return Secret(text) if text else None

    def _named(self, run: Callable[[], Iterable[Finding]]) -> Callable[[], Iterator[Finding]]:
        """Let findings name the config's fields as they are called in this Vault."""

        def named() -> Iterator[Finding]:
            try:
                for finding in run():
                    cure = finding.cure and in_vault(finding.cure, self._name)
                    yield replace(finding, seen=in_vault(finding.seen, self._name), cure=cure)
            except RotatorError as error:
                raise error.of_vault(self._name) from None

        return named
