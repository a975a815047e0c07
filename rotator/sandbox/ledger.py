"""The account behind the sandbox's gateway: its clock, its keys, and how late it shows its changes. No HTTP.

Plaintexts are plain strings here, on purpose: a `Secret` would teach the program's redaction what only the
gateway knows, and a test that looks for a leak would find none.
"""

import secrets
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from enum import Enum

from rotator.sandbox.disguises import TextOf, TimeOf, format_time, in_short, masked
from rotator.sandbox.listing import Lists


class Clock:
    """The account's time, in UTC. It runs on from wherever it was moved to, unless it is frozen."""

    def __init__(self, start: datetime | None = None, *, frozen: bool = False) -> None:
        self._base = start or datetime.now(UTC)
        self._started = time.monotonic()
        self._frozen = frozen
        self._lock = threading.Lock()

    def now(self) -> datetime:
        """Return the account's time. A frozen clock says the same until it is moved."""
        run = 0.0 if self._frozen else time.monotonic() - self._started
        return self._base + timedelta(seconds=run)

    def advance(self, by: timedelta) -> datetime:
        """Move the clock, backwards too, and return the new time. Raises OverflowError past year 9999."""
        with self._lock:
            moved = self.now() + by
            self._base += by
        return moved


@dataclass(frozen=True)
class AccountKey:
    """One key as the account knows it; the ledger holds these for ever."""

    id: int
    title: str
    created_at: datetime
    plaintext: str = field(repr=False)
    created_by: int | None = None
    """The id of the key that was the bearer; None for the operator's hand."""
    revoked_at: datetime | None = None
    revoked_by: int | None = None
    """The id of the key that was the bearer; None for the operator's hand, or while the key lives."""

    @property
    def live(self) -> bool:
        """Whether it was not revoked. The gateway may refuse it all the same."""
        return self.revoked_at is None

    @property
    def status(self) -> str:
        """What is true of it, of the contract's examples: `created` or `revoked`."""
        return "created" if self.live else "revoked"

    @property
    def preview(self) -> str:
        """The plaintext, masked as the contract promises it: `sk-abcd...wxyz`."""
        return masked(self.plaintext)


@dataclass(frozen=True)
class Lag:
    """How late a new key shows: `by` on the account's clock, and not for the first `requests` that ask."""

    by: timedelta = timedelta()
    requests: int = 0


class RetryAfter(Enum):
    """How a 429 says when to come again, if it says so."""

    SECONDS = "seconds"
    DATE = "date"


@dataclass(frozen=True)
class RateLimit:
    """So many requests are admitted in each window of the account's clock; all bearers share it."""

    requests: int
    window: timedelta
    retry_after: RetryAfter | None = None


@dataclass(frozen=True)
class Quirks:
    """Ways in which a gateway may differ, or deceive. The lags hold for keys created over HTTP from then on."""

    propagation: Lag = Lag()
    """How long a new key is refused with 401."""
    list_lag: Lag = Lag()
    """How long a new key is missing from the list."""
    omitted: frozenset[int] = frozenset()
    """Ids that are never listed, though they live."""
    lists_revoked: bool = True
    page_size: int | None = None
    """The most items of a page `{items, page, limit}`; None: the list is one array."""
    rate_limit: RateLimit | None = None
    lists: Lists = field(default_factory=Lists)
    """What the list says of itself, and whether that is so."""
    titles: TextOf = str
    """How the list shows a title; POST echoes it as it was sent."""
    plaintexts: TextOf = in_short
    """What a new key's plaintext is made of random letters."""
    previews: TextOf = masked
    """How the list masks a plaintext."""
    times: TimeOf = format_time
    """How `created_at` is written, by POST and by the list."""
    statuses: Mapping[int, str] = field(default_factory=dict)
    """By id: a status that the list shows in place of its own."""
    status_words: Mapping[str, str] = field(default_factory=dict)
    """How the list spells a status: `{"revoked": "Revoked"}`."""
    refused: frozenset[int] = frozenset()
    """Ids that are answered 401, though nobody revoked them."""
    revoke_lag: timedelta | None = timedelta()
    """How long a key lives on after DELETE was answered 200; None: for ever."""
    revokes_itself: bool = False
    """Whether a key may revoke itself."""
    reuses_ids: bool = False
    """Whether a new key gets the id of one that was revoked."""

    def status(self, key: AccountKey) -> str:
        """Return the status that the list shows for the key, true or not."""
        said = self.statuses.get(key.id, key.status)
        return self.status_words.get(said, said)


@dataclass
class _Veil:
    until: datetime
    requests: int

    def hides(self, now: datetime) -> bool:
        if self.requests:
            self.requests -= 1
            return True
        return now < self.until


class Ledger:
    """The keys of one account. Thread-safe. A new account has one key, `bootstrap`.

    `by` is always the bearer's id; without it, a call is the operator's hand.
    """

    def __init__(self, clock: Clock | None = None, quirks: Quirks | None = None) -> None:
        self.clock = clock or Clock()
        self.quirks = quirks or Quirks()
        self._keys: list[AccountKey] = []
        self._dying: dict[int, tuple[datetime, int]] = {}
        """By id: when a revocation takes effect, and whose it is."""
        self._unpropagated: dict[int, _Veil] = {}
        self._unlisted: dict[int, _Veil] = {}
        self._window_ends = self.clock.now()
        self._admitted = 0
        self._lock = threading.RLock()
        self.bootstrap = self.create("bootstrap")

    @property
    def keys(self) -> tuple[AccountKey, ...]:
        """Every key that was ever made, in order."""
        with self._lock:
            self._bury()
            return tuple(self._keys)

    def create(self, title: str, *, by: int | None = None, like: AccountKey | None = None) -> AccountKey:
        """Make a key. One that the operator makes is known everywhere at once; `like` another, of one preview."""
        with self._lock:
            now, plaintext = self.clock.now(), self.quirks.plaintexts(secrets.token_hex(24))
            if like:
                plaintext = like.plaintext[:7] + plaintext[7:-4] + like.plaintext[-4:]
            key = AccountKey(self._new_id(), title, now, plaintext, by)
            self._keys.append(key)
            if by is not None:
                self._unpropagated[key.id] = _veil(self.quirks.propagation, now)
                self._unlisted[key.id] = _veil(self.quirks.list_lag, now)
            return key

    def revoke(self, id_: int, *, by: int | None = None) -> AccountKey | None:
        """Revoke a live key, by the operator's hand at once; None when there is none of that id.

        What is returned says that it is revoked, whether or not that is so yet.
        """
        with self._lock:
            self._bury()
            key = next((key for key in self._keys if key.id == id_ and key.live), None)
            if key is None:
                return None
            now, lag = self.clock.now(), self.quirks.revoke_lag
            said = replace(key, revoked_at=now, revoked_by=by)
            if by is None or lag == timedelta():
                self._put(said)
            elif lag is not None:
                self._dying.setdefault(id_, (now + lag, by))
            return said

    def rename(self, id_: int, title: str) -> AccountKey | None:
        """The operator gives a key another title; None when there is none of that id."""
        with self._lock:
            key = self._by_id().get(id_)
            return self._put(replace(key, title=title)) if key else None

    def find(self, plaintext: str) -> AccountKey | None:
        """Return the key that has this plaintext, live or not."""
        return next((key for key in self.keys if key.plaintext == plaintext), None)

    def authenticates(self, plaintext: str) -> int | None:
        """Return the id of the key that the gateway takes this plaintext for now, or None.

        Asking counts for `propagation`.
        """
        with self._lock:
            key = self.find(plaintext)
            if key is None or not key.live or key.id in self.quirks.refused:
                return None
            if self._hidden(self._unpropagated, key):
                return None
            return key.id

    def listed(self) -> list[AccountKey]:
        """The keys as the gateway would list them now. Asking counts for `list_lag`."""
        with self._lock:
            self._bury()
            shown = [key for key in self._by_id().values() if not self._hidden(self._unlisted, key)]
            quirks = self.quirks
        return [key for key in shown if key.id not in quirks.omitted and (key.live or quirks.lists_revoked)]

    def admit(self) -> datetime | None:
        """Count a request against the rate limit; when it is spent, return the end of its window."""
        with self._lock:
            limit, now = self.quirks.rate_limit, self.clock.now()
            if limit is None:
                return None
            if now >= self._window_ends:
                self._window_ends, self._admitted = now + limit.window, 0
            if self._admitted >= limit.requests:
                return self._window_ends
            self._admitted += 1
            return None

    def settle(self) -> None:
        """From now on show everything at once, and be a gateway without quirks."""
        with self._lock:
            self.quirks = Quirks()
            self._unpropagated.clear()
            self._unlisted.clear()

    def _by_id(self) -> dict[int, AccountKey]:
        """The keys as their ids name them: of those that shared one, the last."""
        return {key.id: key for key in self._keys}

    def _new_id(self) -> int:
        known = self._by_id()
        free = [key.id for key in known.values() if not key.live] if self.quirks.reuses_ids else []
        return min(free) if free else max(known, default=0) + 1

    def _put(self, changed: AccountKey) -> AccountKey:
        self._keys[:] = [changed if key.plaintext == changed.plaintext else key for key in self._keys]
        return changed

    def _bury(self) -> None:
        """Let take effect what was revoked long enough ago."""
        for id_, (when, by) in list(self._dying.items()):
            if when <= self.clock.now():
                del self._dying[id_]
                if (key := self._by_id()[id_]).live:
                    self._put(replace(key, revoked_at=when, revoked_by=by))

    def _hidden(self, veils: dict[int, _Veil], key: AccountKey) -> bool:
        return key.id in veils and veils[key.id].hides(self.clock.now())


def _veil(lag: Lag, now: datetime) -> _Veil:
    return _Veil(now + lag.by, lag.requests)
