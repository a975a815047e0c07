"""The checks of the gateway: from its name to the account's list."""

from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from rotator.check import reach
from rotator.check.findings import Check, Finding, State, bad, note, ok
from rotator.check.vault import MOUNT
from rotator.clients.exchange import Trust
from rotator.clients.gateway.client import MAX_ANSWER_BYTES, MAX_LIST_BYTES, MAX_PAGES, Listing
from rotator.clients.retry import ONCE
from rotator.clients.vault.client import Vault
from rotator.config import Config
from rotator.passes.stopping import Stopping
from rotator.rules.holds import SET_THE_CLOCK
from rotator.rules.times import count, short
from rotator.wiring import BearerSources, gateway_of

NEAR: Final = 0.5
"""Of a bound on the list."""

BEARER, ACCESS = "bearer", "gateway access"


class GatewayChecks:
    """The checks of the gateway. `vault` is asked for only where the bearer is kept there."""

    def __init__(self, config: Config, environ: Mapping[str, str], vault: Callable[[], Vault]) -> None:
        self._config = config
        self._sources = BearerSources(config, vault, environ)
        self._listing: Listing | None = None

    def checks(self) -> tuple[Check, ...]:
        """Return them in order; what needs the list goes by the one that `gateway access` read."""
        gateway = self._config.gateway
        reached = reach.checks(
            reach.Target(
                name="gateway",
                url=gateway.url,
                field="gateway.url",
                trust=Trust(),
                trust_cure="check that this is the gateway; if a proxy of yours inspects TLS, "
                "name its CA file in SSL_CERT_FILE",
                timeout=gateway.timeout,
            )
        )
        in_vault = (MOUNT,) if gateway.api_key.vault else ()
        return (
            *reached,
            Check(BEARER, self._bearer, needs=in_vault),
            Check(ACCESS, self._access, needs=(reached[-1].name, BEARER)),
            Check("gateway clock", self._clock, needs=(ACCESS,)),
            Check("gateway list", lambda: (list_size(self._seen),), needs=(ACCESS,)),
        )

    @property
    def _seen(self) -> Listing:
        assert self._listing  # noqa: S101 - who needs the access has it
        return self._listing

    def _clock(self) -> Iterator[Finding]:
        yield clock(self._seen.now, datetime.now(UTC), self._config.timing.clock_tolerance)

    def _bearer(self) -> Iterator[Finding]:
        for where, source in self._sources.items():
            if source():
                yield ok(f"from {where}")
                return
        self._sources.nothing()

    def _access(self) -> Iterator[Finding]:
        client = gateway_of(self._config, self._sources.bearer(), Stopping(), ONCE)
        self._listing = client.list_keys()
        live = sum(key.live for key in self._listing.keys)
        said = f"GET /keys: {count(len(self._listing.keys), 'key')}, {live} live"
        yield Finding(State.OK, said, request_id=self._listing.request_id)


def clock(theirs: datetime, ours: datetime, tolerance: timedelta) -> Finding:
    """Say how far this machine's clock is off: beyond `tolerance` a pass goes by no time."""
    skew = ours - theirs
    off = f"this machine's is {short(abs(skew))} {'ahead' if skew > timedelta() else 'behind'}"
    if abs(skew) > tolerance:
        return bad(f"{off}, beyond clock_tolerance ({short(tolerance)})", SET_THE_CLOCK)
    if abs(skew) < timedelta(seconds=2):
        return ok("the same as this machine's")
    return ok(f"{off}, within clock_tolerance")


def list_size(listing: Listing) -> Finding:
    """How near the list is to what the client takes."""
    share, bound = max(
        (listing.largest / MAX_ANSWER_BYTES, f"{MAX_ANSWER_BYTES >> 20} MiB in one answer"),
        (listing.size / MAX_LIST_BYTES, f"{MAX_LIST_BYTES >> 20} MiB in all"),
        (listing.pages / MAX_PAGES, f"{MAX_PAGES:,} pages"),
    )
    used = f"{share:.0%}" if share >= 0.01 else "under 1%"
    said = f"{count(listing.pages, 'page')}, {count(listing.size, 'byte')}: {used} of the bound of {bound}"
    if share < NEAR:
        return ok(said)
    return note(said, "let the gateway's support take revoked keys off the list, or use another account")
