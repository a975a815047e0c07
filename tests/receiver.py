"""A receiver of notices on loopback, which verifies each with the specification's own library."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from threading import Lock
from typing import Any

from standardwebhooks.webhooks import Webhook

from tests.serving import Answering, reply, serving

SECRET = f"whsec_{8 * 'bmV3'}"


class Receiver:
    """Answers as it is told to, and then that all is well. Keeps what it receives."""

    def __init__(self, *answers: Answering) -> None:
        self._answers, self._lock = list(answers), Lock()
        self.url = ""
        self.received: list[tuple[str, dict[str, str], bytes]] = []

    def answer(self, handler: BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        with self._lock:
            self.received.append((handler.path, headers, handler.rfile.read()))
            how = self._answers.pop(0) if self._answers else reply(200, raw=b"")
        how(handler)

    def ids(self) -> list[str]:
        return [headers["webhook-id"] for _, headers, _ in self.received]

    def events(self, secret: str = SECRET) -> list[dict[str, Any]]:
        """Verify all that was received, and return it."""
        return [Webhook(secret).verify(body, headers) for _, headers, body in self.received]

    def types(self) -> list[str]:
        return [event["type"].removeprefix("com.apimall.rotator.") for event in self.events()]


@contextmanager
def receiving(*answers: Answering) -> Iterator[Receiver]:
    receiver = Receiver(*answers)
    with serving(receiver.answer) as url:
        receiver.url = url
        yield receiver
