"""The copies of current keys in further Vaults: looked at, and brought to what the secrets hold.

A copy fails no pass and holds no rotation up. In a pass each further Vault that does not answer is asked once; then
all its copies are left to the next pass.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from threading import Lock
from typing import Any, Final, TypeVar

import structlog

from rotator.errors import RETRIED, BrokenContract, Conflict, NoToken, Rejected, RotatorError, Transient
from rotator.passes.account import Account, CopyStore
from rotator.passes.secret import remembered
from rotator.passes.stopping import NotReached, Stopped
from rotator.rules.consumers import Ack
from rotator.rules.copies import Content, confirmed_by, holds, to_copy
from rotator.rules.model import CopyTarget, ManagedKey, Version

T = TypeVar("T")
Copied = Mapping[str, RotatorError | None]
"""By consumer that reads a copy: why that does not hold the current key; None where it does."""
_TRIES: Final = 3
"""Two replicas may bring a copy at the same moment."""

log = structlog.get_logger()


class Copies:
    """The copies, as one pass sees them. Thread-safe."""

    def __init__(self, account: Account) -> None:
        self._account, self._lock = account, Lock()
        self._doors: dict[str, _Door] = {}
        self._known_silent: set[str] = set()
        """The Vaults of which the log says that they do not answer."""

    def bring(self, content: Content) -> Copied:
        """Write each copy of a key that does not hold it, by check-and-set on its own version."""
        return self._each(content, self._bring)

    def look(self, content: Content) -> Copied:
        """Say the same of each copy as it is. Writes nothing."""
        return self._each(content, self._behind)

    def acks(self, key: ManagedKey, contents: tuple[Content, ...]) -> Mapping[str, Ack]:
        """Return what each copy confirms: a key of `contents` that it holds, or why it holds none of them."""
        return {name: self._ack(key, target, contents) for name, target in key.copies.items()}

    def _each(self, content: Content, act: Callable[[CopyTarget, Content], None]) -> Copied:
        copied: dict[str, RotatorError | None] = dict.fromkeys(content.key.copies)
        for name, target in content.key.copies.items():
            with structlog.contextvars.bound_contextvars(consumer=name, vault=target.vault):
                try:
                    self._account.stopping.check()
                    act(target, content)
                except RotatorError as error:
                    copied[name] = error
        return copied

    def _bring(self, target: CopyTarget, content: Content) -> None:
        with self._logged(target.vault):
            for left in reversed(range(_TRIES)):
                there = self._read(target, content.key)
                if (data := to_copy(there, content)) is None:
                    return
                try:
                    self._ask(target.vault, _writing(target.path, data, there.number))
                except Conflict:
                    if not left:
                        raise
                else:
                    log.info("copy.written", path=target.path, key_id=content.key_id)
                    return

    def _behind(self, target: CopyTarget, content: Content) -> None:
        there = self._read(target, content.key)
        if to_copy(there, content) is not None:
            raise Rejected(holds(there, content), cure=RETRIED)

    def _ack(self, key: ManagedKey, target: CopyTarget, contents: tuple[Content, ...]) -> Ack:
        try:
            there = self._read(target, key)
            for content in contents:
                if to_copy(there, content) is None:
                    return confirmed_by(there, content)
        except RotatorError as error:
            return Ack(fault=f"has a copy that cannot be relied on: {error.message}")
        why = holds(there, contents[0]) if contents else "it is not known which key it should hold"
        return Ack(fault=f"has no copy of the current key: {why}")

    def _read(self, target: CopyTarget, key: ManagedKey) -> Version:
        return remembered(self._ask(target.vault, lambda store: store.read(target.path, once=True)), key)

    def _ask(self, vault: str, ask: Callable[[CopyStore], T]) -> T:
        with self._lock:
            door = self._doors.setdefault(vault, self._door())
        try:
            return door.ask(lambda: self._account.vaults(vault), ask)
        except RotatorError as error:
            raise error.of_vault(vault) from None

    def _door(self) -> "_Door":
        account = self._account
        return _Door(account.stopping.clock, account.timing.copying.total_seconds() * account.concurrency)

    @contextmanager
    def _logged(self, vault: str) -> Iterator[None]:
        """Log what goes wrong; of a Vault that does not answer it is logged once."""
        try:
            yield
        except (Stopped, NotReached):
            raise
        except RotatorError as error:
            with self._lock:
                known = vault in self._known_silent
                if self._doors[vault].is_shut:
                    self._known_silent.add(vault)
            if not (known and isinstance(error, _Left)):
                log.warning(
                    "copy.behind",
                    error=error.message,
                    request_id=error.request_id,
                    cure=error.cure or RETRIED,
                )
            raise


class _Left(RotatorError):  # noqa: N818
    """The copy's Vault has not answered earlier in this pass, or too slowly, or takes no token of ours."""


class _Door:
    """The way to one further Vault in one pass. Who comes first goes alone; if nobody answers, nobody follows.

    Nor does anybody once all that have gone have waited for longer than `most`, in seconds.
    """

    def __init__(self, clock: Callable[[], float], most: float) -> None:
        self._clock, self._most = clock, most
        self._waited = 0.0
        self._lock = Lock()
        self._store: CopyStore | None = None
        self._shut: _Left | None = None

    @property
    def is_shut(self) -> bool:
        """Whether it has not answered."""
        return self._shut is not None

    def ask(self, open_: Callable[[], CopyStore], ask: Callable[[CopyStore], T]) -> T:
        """Return what it answers. Raises _Left where it did not answer before, else what is wrong."""
        with self._lock if self._store is None else nullcontext():
            if self._shut:
                raise self._shut
            with self._timed():
                return self._ask(open_, ask)

    def _ask(self, open_: Callable[[], CopyStore], ask: Callable[[CopyStore], T]) -> T:
        store = self._store or self._opened(open_)
        try:
            answer = ask(store)
        except (Transient, BrokenContract, NoToken) as error:
            self._shut_by(error)
            raise
        except RotatorError:
            self._store = store  # it has answered
            raise
        self._store = store
        return answer

    @contextmanager
    def _timed(self) -> Iterator[None]:
        began = self._clock()
        try:
            yield
        finally:
            self._waited += self._clock() - began  # two at once may lose one of them: it need not be exact
            if self._waited > self._most and not self._shut:
                self._shut_by(Rejected("that Vault answers too slowly for all of its copies in one pass"))

    def _opened(self, open_: Callable[[], CopyStore]) -> CopyStore:
        try:
            store = open_()
            store.log_in()
        except (Stopped, NotReached):
            raise
        except RotatorError as error:
            self._shut_by(error)
            raise
        return store

    def _shut_by(self, error: RotatorError) -> None:
        self._shut = _Left(error.message, status=error.status, request_id=error.request_id, cure=error.cure)


def _writing(path: str, data: Mapping[str, Any], cas: int) -> Callable[[CopyStore], int]:
    return lambda store: store.write(path, data, cas=cas)
