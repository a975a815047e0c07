"""Programs that call the gateway, again and again, with the key that they hold."""

import http.client
from collections.abc import Callable
from threading import Event, Thread


class Calling:
    """A program that asks `key` before each of its calls, as long as the block lasts; without one it makes none."""

    def __init__(self, key: Callable[[], str], port: int) -> None:
        self._key, self._port = key, port
        self._ended = Event()
        self.statuses: list[int] = []
        self._thread = Thread(target=self._go_on)

    def __enter__(self) -> "Calling":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _go_on(self) -> None:
        while not self._ended.wait(0.005):
            if plaintext := self._key():
                self.statuses.append(self.call(plaintext))

    def call(self, plaintext: str) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=10)
        bearer = {"Authorization": f"Bearer {plaintext}"}
        connection.request("GET", "/api/v1/account/balances", headers=bearer)
        status = connection.getresponse().status
        connection.close()
        return status

    def calls_more(self) -> Callable[[], bool]:
        """Whether it has made some calls from now on."""
        enough = len(self.statuses) + 5
        return lambda: len(self.statuses) >= enough
