"""Tells consumers which key is current, at the end of a pass: no rotation and no revocation waits for a receiver.

What a receiver has not taken is owed in the next pass. It fails nothing: it is logged with its cure, and no more.
"""

import json
import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace
from threading import Event, Lock, Thread, current_thread
from typing import Final

import structlog

from rotator.clients.receiver import Gone
from rotator.errors import RETRIED, ConfigError, Conflict, Rejected, RotatorError, Transient, unexpected
from rotator.passes.account import Account
from rotator.passes.confirm import read_once
from rotator.passes.each import each
from rotator.passes.observe import Observation
from rotator.passes.preflight import Preflight
from rotator.passes.result import KeyResult
from rotator.passes.secret import remembered
from rotator.passes.stopping import NotReached, Stopped
from rotator.rules.bookkeeping import read_block
from rotator.rules.consumers import ack_path, read_ack
from rotator.rules.model import ManagedKey, Receiver
from rotator.rules.told import Message

WAIT: Final = 10.0
"""Seconds after which a pass begins to tell nobody else. An exchange that has begun has a bound of its own."""
_AT_ONCE: Final = 256
"""URLs. One that never answers holds one thread."""
_THREADS_EACH: Final = 3
"""The thread of a URL may need two more: for TLS within TLS, and to look a name up."""
_TRIES: Final = 3
"""Another replica, or the consumer itself, may confirm at the same moment."""

log = structlog.get_logger()


@dataclass(frozen=True)
class Owed:
    """One consumer that is to be told."""

    key: ManagedKey
    receiver: Receiver
    message: Message
    version: int
    """That of the confirmation that there is."""
    path: str
    """Where the confirmation is written."""


def tell(account: Account, seen: Observation, results: Sequence[KeyResult]) -> tuple[KeyResult, ...]:
    """Tell each consumer that is owed it, as far as that can be done soon. Raises nothing.

    Return the results with those that could not be told.
    """
    try:
        left = Telling(account, seen).tell(results)
    except Exception:  # whatever it is, it must not fail the pass
        log.error("unexpected", exc_info=True)
        return tuple(results)
    return tuple(replace(result, untold=tuple(left.get(result.key.name, ()))) for result in results)


class Telling:
    """Tells the consumers of one pass."""

    def __init__(self, account: Account, seen: Observation, *, wait: float = WAIT) -> None:
        self._account, self._seen, self._wait = account, seen, wait
        self._ends = 0.0
        self._told: set[tuple[str, str]] = set()
        """Names of a managed key and of its consumer: for these nothing is owed any more."""
        self._unread: list[Owed] = []
        """Of these it is not known whether anything is owed."""
        self._deaf = False
        """Vault does not answer, or the pass is over: nothing else is read."""

    def tell(self, results: Iterable[KeyResult]) -> Mapping[str, Sequence[str]]:
        """Tell all that can be told now; return by managed key the consumers to which it is owed still."""
        by_key = {result.key.name: result for result in results if result.key.receivers}
        if not by_key:
            return {}
        read = each(
            [result.key for result in by_key.values()],
            lambda key: tuple(self._owed(by_key[key.name])),
            workers=self._account.concurrency,
        )
        owed = [one for all_ in read.done.values() for one in all_]
        if owed:
            self._deliver(self._recordable(owed))
        left: dict[str, list[str]] = defaultdict(list)
        for one in (*owed, *self._unread):
            if (one.key.name, one.message.consumer) not in self._told:
                left[one.key.name].append(one.message.consumer)
        return left

    def _owed(self, result: KeyResult) -> Iterator[Owed]:
        """Read what the consumers of a managed key have confirmed, and yield those that are owed something."""
        key, facts = result.key, self._seen.facts.get(result.key.name)
        since = result.current_since
        if facts is None or result.key_id is None or result.rotated_at is None or since is None:
            return  # it is not known which key is current
        if facts.refused and result.key_id == facts.key_id:
            return  # nobody should take up a key that does not work
        for receiver in key.receivers:
            path = ack_path(self._account.acks_path, key.path, receiver.consumer)
            message = Message(
                self._seen.installation or "",
                key.name,
                self._account.mount,
                key.path,
                receiver.consumer,
                result.key_id,
                result.rotated_at,
                since,
            )
            try:
                self._account.stopping.check()
                version = None if self._deaf else read_once(self._account.store, path)
            except RotatorError as error:
                self._deaf = self._deaf or isinstance(error, (Transient, Stopped, NotReached))
                version = None
                if not isinstance(error, Stopped):
                    _log(Owed(key, receiver, message, 0, path), error)
            if version is None:
                self._unread.append(Owed(key, receiver, message, 0, path))
                continue
            if message.is_owed(read_ack(version), facts.version.written_at):
                yield Owed(key, receiver, message, version.number, path)

    def _recordable(self, owed: Sequence[Owed]) -> Sequence[Owed]:
        """Leave out those whose confirmation could not be written: they would be told again in each pass."""
        try:
            refused = Preflight(self._account.store, self._account.timing).refused_paths(
                one.path for one in owed
            )
        except (Stopped, NotReached):
            return ()
        except RotatorError as error:
            _log(owed[0], error, left=len(owed) - 1)
            return ()
        for one in owed:
            if one.path in refused:
                _log(one, refused[one.path])
        return [one for one in owed if one.path not in refused]

    def _deliver(self, owed: Sequence[Owed]) -> None:
        """Tell them all, each URL in one thread: one that is slow holds up itself alone."""
        self._ends = time.monotonic() + self._wait
        by_url: dict[str, list[Owed]] = defaultdict(list)
        for one in random.sample(owed, len(owed)):  # where time is short, not always the same go without
            by_url[one.receiver.url].append(one)
        left, lock = iter(by_url.values()), Lock()

        def work() -> None:
            while True:
                with lock:
                    batch = next(left, None)
                if batch is None:
                    return
                self._serve(batch)

        _in_threads(work, min(len(by_url), _AT_ONCE))

    def _serve(self, batch: Sequence[Owed]) -> None:
        """Tell the consumers of one URL, until one shows that the others would wait for nothing."""
        for at, one in enumerate(batch, 1):
            left = len(batch) - at
            if self._account.stopping.requested:
                return
            if time.monotonic() >= self._ends:
                _log(
                    one,
                    RotatorError(f"the {self._wait:g} s for telling were over before its turn"),
                    left=left,
                )
                return
            try:
                self._tell(one)
            except (Stopped, NotReached):
                return
            except Exception as error:
                named = error if isinstance(error, RotatorError) else unexpected(error)
                if named is not error:
                    log.error("unexpected", exc_info=True)
                if isinstance(error, (Rejected, ConfigError)) and not isinstance(error, Gone):
                    _log(one, named)  # the next one it may take
                else:
                    _log(one, named, left=left)
                    return

    def _tell(self, one: Owed) -> None:
        version = one.version + 1
        if self._has_moved(one):
            return  # the pass that moved it tells what is current now
        self._account.tell(one.receiver, one.message.id(version), _body(one))
        try:
            self._record(one)
        except (Stopped, NotReached):
            raise
        except RotatorError as error:
            raise RotatorError(
                f"told, but it could not be confirmed: {error.message}", cure=error.cure
            ) from None
        self._told.add((one.key.name, one.message.consumer))
        log.info("consumer.told", **_named(one), id=one.message.id(version))

    def _has_moved(self, one: Owed) -> bool:
        """Whether another rotator, or a person, has made another key current since this pass looked."""
        version = remembered(read_once(self._account.store, one.key.path), one.key)
        return read_block(version.data, one.key.bookkeeping).key_id != one.message.key_id

    def _record(self, one: Owed) -> None:
        """Confirm for the consumer. What somebody else confirms meanwhile stands, unless it is the same key."""
        number = one.version
        for left in reversed(range(_TRIES)):
            try:
                self._account.store.write(one.path, one.message.taken(one.version + 1), cas=number)
            except Conflict:
                there = read_once(self._account.store, one.path)
                ack, number = read_ack(there), there.number
                if ack.key_id != one.message.key_id or ack.event or not left:
                    return
            else:
                return


def _in_threads(work: Callable[[], None], most: int) -> None:
    """Call `work` in `most` threads, of which this is one; in fewer where this machine allows no more."""
    decided, ready = Event(), Event()
    begun, spare = list[Thread](), set[Thread]()

    def begin() -> None:
        decided.wait()
        if current_thread() not in spare:
            ready.wait()
            work()

    for _ in range(most - 1):
        thread = Thread(target=copy_context().run, args=(begin,), name="telling", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            spare.update(begun[len(begun) // _THREADS_EACH :])
            break
        begun.append(thread)
    decided.set()
    for thread in spare:
        thread.join()
    ready.set()
    work()
    for thread in begun:
        thread.join()


def _body(one: Owed) -> bytes:
    return json.dumps(one.message.to_json(one.version + 1)).encode()


def _named(one: Owed) -> dict[str, object]:
    return {"key": one.key.name, "consumer": one.message.consumer, "key_id": one.message.key_id}


def _log(one: Owed, error: RotatorError, *, left: int = 0) -> None:
    """`left`: so many others with the same URL are left to the next pass for it."""
    log.warning(
        "consumer.untold", **_named(one), error=error.message, cure=error.cure or RETRIED, left=left or None
    )
