"""Notices on their way to a webhook: a bounded queue, and one thread of its own, so that no pass waits.

Signed, repeated and given up for itself: what becomes of a notice changes nothing for the keys.
"""

import json
from collections import deque
from collections.abc import Collection, Sequence
from datetime import timedelta
from threading import Condition, Thread
from typing import Final
from uuid import uuid4

import structlog

from rotator.clients import retry
from rotator.clients.receiver import Gone, Sender, Words
from rotator.config.monitoring import NoticeType
from rotator.errors import RotatorError, unexpected
from rotator.passes.result import PassResult
from rotator.passes.stopping import Stopped, Stopping
from rotator.redaction import Secret, redact_values
from rotator.service.notices import Event, Told, after_error, after_pass

TIMEOUT: Final = timedelta(seconds=15)
MAX_WAITING: Final = 1000
"""Notices that wait; more are given up."""
_WORDS: Final = Words(
    who="the webhook",
    url="webhook.url",
    secret="webhook.secret",  # noqa: S106 - a field's name
    gone="it wants no more notices, so none are sent until the next start",
    cure="remove `webhook` from the config, or correct webhook.url",
)

log = structlog.get_logger()


class Notifier:
    """Sends what is to be told of passes. Thread-safe; nothing but `close` ever waits."""

    def __init__(
        self,
        url: str,
        secrets: Sequence[Secret],
        types: Collection[NoticeType],
        *,
        policy: retry.Policy | None = None,
        timeout: timedelta = TIMEOUT,
    ) -> None:
        self._sender = Sender(url, _WORDS, timeout=timeout)
        self._secrets, self._types, self._policy = secrets, types, policy or retry.Policy()
        self._told = Told()
        self._waiting: deque[Event] = deque()
        """The first one is being sent."""
        self._open = True
        self._changed = Condition()
        self._stopping = Stopping()
        self._thread = Thread(target=self._run, name="webhook", daemon=True)
        self._thread.start()

    def tell(self, seen: PassResult | RotatorError) -> None:
        """Tell of a pass what is news: of its result, or of the error that kept it from being made."""
        if isinstance(seen, Stopped):
            return
        with self._changed:
            events, self._told = (
                after_pass(seen, self._told)
                if isinstance(seen, PassResult)
                else after_error(seen, uuid4().hex[:12], self._told)
            )
            wanted = [event for event in events if self._open and event.notice.type in self._types]
            room = MAX_WAITING - len(self._waiting)
            self._waiting += wanted[:room]
            self._changed.notify_all()
        self._give_up(wanted[room:], RotatorError(f"{MAX_WAITING} notices are waiting already"))

    def close(self, within: float = 10.0) -> None:
        """Take no more notices; return when all were sent, or after `within` seconds give up the others."""
        with self._changed:
            self._open = False
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._waiting, within)
            left = list(self._waiting)
            self._waiting.clear()
        self._stopping.request()
        self._give_up(left, RotatorError(f"not delivered within {within:g} s of the end"))

    def _run(self) -> None:
        while event := self._next():
            try:
                self._deliver(event)
            except Stopped:
                return
            except Gone as error:
                self._give_up([event], error)
                self._end()
                return
            except RotatorError as error:
                self._give_up([event], error)
            except Exception as error:
                log.error("unexpected", exc_info=True)
                self._give_up([event], unexpected(error))  # the next one must still be sent
            with self._changed:
                if self._waiting:  # else `close` has given up meanwhile
                    self._waiting.popleft()
                self._changed.notify_all()

    def _next(self) -> Event | None:
        """Wait for the next event; None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self._open)
            return self._waiting[0] if self._waiting else None

    def _end(self) -> None:
        with self._changed:
            self._open = False
            self._waiting.clear()
            self._changed.notify_all()

    def _give_up(self, events: Sequence[Event], error: RotatorError) -> None:
        with self._changed:
            self._told = self._told.without({event.notice.topic for event in events})
        for event in events:
            log.error("notice.failed", **_named(event), error=error.message, cure=error.cure)

    def _deliver(self, event: Event) -> None:
        body = json.dumps(redact_values(event.to_json())).encode()
        retry.call(
            lambda: self._sender.send(self._secrets, event.id, body),
            self._policy,
            event="notice.retry",
            sleep=self._stopping.sleep,
        )
        log.info("notice.sent", **_named(event))


def _named(event: Event) -> dict[str, str | None]:
    return {"id": event.id, "type": event.notice.type, "key": event.notice.key}
