"""The HTTP server: in threads beside the passes, and bounded, so that no client can get in their way."""

import socket
from collections.abc import Callable
from threading import Thread
from typing import Any, Final, Self

from waitress import create_server, wasyncore
from waitress.channel import HTTPChannel
from waitress.task import WSGITask

from rotator.errors import ConfigError, cause
from rotator.service.web.app import App
from rotator.show.snapshot import Snapshot

_LIMITS: Final = {
    "threads": 4,
    "connection_limit": 64,
    "backlog": 64,
    "channel_timeout": 15,
    "cleanup_interval": 5,
    "max_request_header_size": 16_384,
    "max_request_body_size": 1_024,
    "ident": None,
}


class _Task(WSGITask):  # type: ignore[misc]
    """Ends the connection with its answer.

    Of many requests in one connection each would hold a thread until the client reads what was answered before.
    """

    def execute(self) -> None:
        self.request.headers["CONNECTION"] = "close"
        super().execute()


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task


class Web:
    """Serves `snapshot`, and the metrics as `metrics` writes them, from `start` to `stop`."""

    def __init__(
        self, address: tuple[str, int], snapshot: Callable[[], Snapshot], metrics: Callable[[], bytes]
    ) -> None:
        self._address = address
        self._app = App(snapshot, metrics)
        self._server: Any = None
        self._thread: Thread | None = None
        self._sockets: dict[int, Any] = {}

    @property
    def port(self) -> int:
        """The port that it listens at, also where 0 was asked for. It is known from `start` on."""
        return int(self._server.effective_port)

    def start(self) -> Self:
        """Serve from now on. Raises ConfigError when the address cannot be had."""
        host, port = self._address
        try:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            listening = socket.create_server((host, port), family=family)
        except OSError as error:
            why, _, _ = cause(error).partition(" (while")  # which repeats the address
            fault = f"http.listen: {host} port {port}: {why}; write another address, or null for no HTTP"
            raise ConfigError("the address of the HTTP server cannot be had", (fault,)) from None
        self._server = create_server(self._app, map=self._sockets, sockets=[listening], **_LIMITS)
        self._server.channel_class = _Channel
        self._thread = Thread(target=self._server.run, name="web", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End what is being answered, and close every connection."""
        if self._thread is None:
            return
        # The thread that serves ends when its map is empty. Nothing is closed before all threads have ended: until
        # then each may write into the pipe that wakes the first one, whichever file has its number by then.
        left: dict[int, Any] = {}

        def leave() -> None:
            left.update(self._sockets)
            self._sockets.clear()

        self._server.trigger.pull_trigger(leave)
        self._thread.join()
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(left, ignore_all=True)
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
