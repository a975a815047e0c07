"""The HTTP server: in threads beside the passes, and bounded, so that no client can get in their way.

Nor in the way of a probe: whoever runs this needs no second port for it. There is always room for one more
connection, for the oldest one is let go; and what probes ask for is answered in a thread of its own.
"""

import logging
import socket
from collections.abc import Callable, Collection
from contextlib import suppress
from threading import Thread
from typing import Any, Final, Self

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher, WSGITask

from rotator.errors import ConfigError, cause
from rotator.service.web.app import HEALTH, App
from rotator.show.snapshot import Snapshot

_VISITORS: Final = 64
"""Connections at the same time."""
_LIMITS: Final = {
    "threads": 4,
    "connection_limit": 2 * _VISITORS,  # never reached: there it would not accept any more
    "backlog": 1024,
    "asyncore_use_poll": True,  # `select` knows no file beyond the 1,024th
    "channel_timeout": 15,
    "cleanup_interval": 5,
    "max_request_header_size": 16_384,
    "max_request_body_size": 1_024,
    "ident": None,
}

# A line for each request that waits would let visitors fill the log.
logging.getLogger("waitress.queue").setLevel(logging.ERROR)


class _Task(WSGITask):  # type: ignore[misc]
    """Ends the connection with its answer.

    Of many requests in one connection each would hold a thread until the client reads what was answered before.
    """

    def execute(self) -> None:
        self.request.headers["CONNECTION"] = "close"
        if self.request.proxy_netloc:
            self.request.headers["HOST"] = (
                self.request.proxy_netloc
            )  # `GET http://name/` names the host itself
        super().execute()


class _Channel(HTTPChannel):  # type: ignore[misc]
    task_class = _Task


class _Server(TcpWSGIServer):  # type: ignore[misc]
    channel_class = _Channel

    def __init__(self, app: App, listening: socket.socket, sockets: dict[int, Any]) -> None:
        self.health = ThreadedTaskDispatcher()
        self.health.set_thread_count(1)
        where = (listening.family, listening.type, listening.proto, listening.getsockname())
        super().__init__(
            app, sockets, _sock=listening, adj=Adjustments(**_LIMITS), sockinfo=where, bind_socket=False
        )

    def add_task(self, channel: Any) -> None:
        asked = channel.requests[0]
        probe = not asked.error and asked.path in HEALTH
        (self.health if probe else self.task_dispatcher).add_task(channel)

    def handle_accept(self) -> None:
        super().handle_accept()
        visitors = [channel for channel in self.active_channels.values() if not channel.will_close]
        if len(visitors) > _VISITORS:
            self._let_go(visitors[0])  # the oldest: who asks and reads is gone by then

    def _let_go(self, visitor: Any) -> None:
        """Close a connection, but not at once: what is in hand of the sockets that are ready may name its number.

        Another one could have it by then. Once it is shut down it is ready itself, whatever its client does.
        """
        visitor.will_close = True
        with suppress(OSError):
            visitor.socket.shutdown(socket.SHUT_RDWR)


class Web:
    """Serves `snapshot`, and the metrics as `metrics` writes them, from `start` to `stop`.

    It answers to `names` too, beside its address, its machine's name, and what is loopback's.
    """

    def __init__(
        self,
        address: tuple[str, int],
        snapshot: Callable[[], Snapshot],
        metrics: Callable[[], bytes],
        names: Collection[str] = (),
    ) -> None:
        self._address = address
        self._app = App(snapshot, metrics, {*names, address[0], socket.gethostname().lower()})
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
            raise ConfigError("cannot listen on http.listen", (fault,)) from None
        self._server = _Server(self._app, listening, self._sockets)
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
        self._server.health.shutdown()
        self._server.task_dispatcher.shutdown()
        wasyncore.close_all(left, ignore_all=True)
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
