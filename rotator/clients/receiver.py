"""Receivers of events: each is sent as CloudEvents and signed as Standard Webhooks prescribe.

Nothing but the status of an answer is looked at. A redirect is not followed.
"""

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from datetime import timedelta
from http import HTTPStatus
from ssl import SSLContext
from threading import Lock
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from rotator.clients.answers import parse_retry_after
from rotator.clients.exchange import Request, Response, Server, Trust, tls_context
from rotator.clients.webhook_signature import signature
from rotator.errors import Rejected, Transient
from rotator.redaction import Secret
from rotator.rules.model import Receiver

MAX_ANSWER_BYTES: Final = 1024 * 1024
"""What a receiver says beside its status is read and thrown away."""
PATIENCE: Final = timedelta(seconds=5)
"""The bound on the whole exchange with a consumer's receiver: a pass waits for it."""
_LONG_PATH: Final = 20
"""So long a path may hold a token, as some receivers want it; then it is kept out of every log.

It is no `Secret`: it may as well hold a name, and that would be taken out of all that is said.
"""


class Gone(Rejected):
    """The receiver wants no more events, whatever they say."""


class Words(NamedTuple):
    """What errors and their cures call a receiver."""

    who: str
    url: str
    secret: str
    gone: str
    """What follows from its wish to get nothing more."""
    cure: str
    """What is to be done about that wish."""


class Sender:
    """Sends events to one URL, one at a time. Thread-safe; `close` it in the end."""

    def __init__(self, url: str, words: Words, *, timeout: timedelta, tls: SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._path = parts.path or "/"
        self._words = words
        cure = f"check {words.url}, and the network between here and there"
        origin = f"{parts.scheme}://{parts.netloc}"
        self._server = Server(origin, timeout=timeout, limit=MAX_ANSWER_BYTES, cure=cure, tls=tls)
        self.close = self._server.close

    def send(self, secrets: Sequence[Secret], id_: str, body: bytes) -> None:
        """Make one attempt. The receiver holds the time of each against its own clock, and knows the id again.

        Raises Gone where it wants nothing more, Rejected where it will refuse the same again, and Transient.
        """
        timestamp = int(time.time())
        headers = {
            "Content-Type": "application/cloudevents+json",
            "webhook-id": id_,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(secrets, id_, timestamp, body),
        }
        request = Request("POST", self._path, body=body, hidden=len(self._path) >= _LONG_PATH)
        _raise_for_refusal(self._server.exchange(request, headers), self._words)


class Receivers:
    """The receivers of all consumers. Thread-safe.

    No connection is kept: there may be thousands of receivers, and each is told once in a rotation. For the same
    reason they share the CAs: those would take most of the memory.
    """

    WORDS: Final = Words(
        who="the consumer's receiver",
        url="the `url` of this consumer",
        secret="the secret that signs for it",  # noqa: S106 - what it is called
        gone="it wants to be told nothing",
        cure="remove the `url` of this consumer from the config, or correct it",
    )

    def __init__(
        self, secrets_of: Callable[[Receiver], Sequence[Secret]], *, timeout: timedelta = PATIENCE
    ) -> None:
        """`secrets_of` reads what signs, each time anew: it may be replaced meanwhile."""
        self._secrets_of, self._timeout = secrets_of, timeout
        self._lock = Lock()
        self._tls: SSLContext | None = None

    def tell(self, receiver: Receiver, id_: str, body: bytes) -> None:
        """Make one attempt, as `Sender.send`; raises ConfigError, too, for what signs."""
        secrets = self._secrets_of(receiver)
        tls = self._trusted() if receiver.url.lower().startswith("https:") else None
        with closing(Sender(receiver.url, self.WORDS, timeout=self._timeout, tls=tls)) as sender:
            sender.send(secrets, id_, body)

    def _trusted(self) -> SSLContext:
        with self._lock:
            if self._tls is None:
                self._tls = tls_context(Trust())
            return self._tls


def _raise_for_refusal(answer: Response, words: Words) -> None:
    """Raise what the status means; whatever else the receiver says is not looked at."""
    status, said = answer.status, f"{words.who} answered {answer.status}"
    if 200 <= status < 300:
        return
    if status == HTTPStatus.GONE:
        raise Gone(
            f"{said}: {words.gone}",
            status=status,
            cure=words.cure,
        )
    if status in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS) or status >= 500:
        retry_after = parse_retry_after(answer.headers.get("Retry-After"))
        raise Transient(said, ambiguous=True, status=status, retry_after=retry_after)
    redirect = " (a redirect, which is not followed)" if 300 <= status < 400 else ""
    # Whoever verifies a signature refuses one whose time is some minutes off, too.
    cure = f"check {words.url}, {words.secret}, and the clock of this machine"
    raise Rejected(f"{said}{redirect}", status=status, cure=cure)
