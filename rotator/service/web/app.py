"""The paths, as a WSGI application. It reads of a request its method, host, path, query and encodings."""

import json
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from http import HTTPStatus
from threading import Lock
from typing import Any, Final, NamedTuple

from rotator.redaction import redact, redact_values
from rotator.rules.times import until
from rotator.service.web.encoding import packed
from rotator.service.web.finding import read
from rotator.service.web.hosts import is_ours
from rotator.service.web.page import Page
from rotator.show.key_status import key_statuses, to_json
from rotator.show.output import Kind, document
from rotator.show.severity import Headline, headline
from rotator.show.snapshot import PassRecord, Snapshot

_HTML: Final = "text/html; charset=utf-8"
_TEXT: Final = "text/plain; charset=utf-8"
_METRICS: Final = "text/plain; version=0.0.4; charset=utf-8"
_HEADERS: Final = [
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
_NO_CONTENT: Final = "default-src 'none'; frame-ancestors 'none'"


HEALTH: Final = ("/healthz", "/readyz")
"""What probes ask for. Both are quick to answer."""


class Served(NamedTuple):
    """An answer, and what a browser may load for it."""

    status: HTTPStatus
    content_type: str
    text: str
    policy: str = _NO_CONTENT
    """The Content-Security-Policy."""


class App:
    """Shows a snapshot in five ways, and the guide, to who asks for this machine or for one of `names`."""

    def __init__(
        self, snapshot: Callable[[], Snapshot], metrics: Callable[[], bytes], names: Collection[str] = ()
    ) -> None:
        self._snapshot, self._metrics, self._names = snapshot, metrics, names
        self._page, self._worst = Page(), _Worst()
        self._turn = Lock()
        """All that takes long is computed: threads that did it at once would keep a probe waiting for seconds."""
        self._paths: dict[str, Callable[[str], Served]] = {
            "/": self._show_page,
            "/operations": self._guide,
            "/status.json": self._status,
            "/metrics": lambda _: Served(HTTPStatus.OK, _METRICS, redact(self._metrics().decode())),
            **dict(zip(HEALTH, (self._health, self._readiness), strict=True)),
        }

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        """Answer a request as WSGI wants it (PEP 3333)."""
        answer = (
            self._answer(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ["QUERY_STRING"])
            # No browser leaves it out.
            if "HTTP_HOST" not in environ or is_ours(environ["HTTP_HOST"], self._names)
            else Served(HTTPStatus.MISDIRECTED_REQUEST, _TEXT, "this name is not in http.names\n")
        )
        content, packing = packed(answer.text.encode(), environ.get("HTTP_ACCEPT_ENCODING", ""))
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(content))),
            ("Content-Security-Policy", answer.policy),
            *packing,
            *_HEADERS,
        ]
        if answer.status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        start_response(f"{answer.status.value} {answer.status.phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [content]

    def _answer(self, method: str, path: str, query: str) -> Served:
        if path not in self._paths:
            return Served(HTTPStatus.NOT_FOUND, _TEXT, "not found\n")
        if method not in ("GET", "HEAD"):
            return Served(HTTPStatus.METHOD_NOT_ALLOWED, _TEXT, "only GET and HEAD\n")
        return self._paths[path](query)

    def _show_page(self, query: str) -> Served:
        snapshot = self._snapshot()
        with self._turn:
            page = self._page.render(snapshot, read(query))
        return Served(HTTPStatus.OK, _HTML, page, self._page.policy)

    def _guide(self, _query: str) -> Served:
        with self._turn:
            guide = self._page.guide
        return Served(HTTPStatus.OK, _HTML, guide, self._page.guide_policy)

    def _status(self, _query: str) -> Served:
        snapshot = self._snapshot()
        with self._turn:
            body = json.dumps(redact_values(document(Kind.SERVICE, to_json(snapshot))))
        return Served(HTTPStatus.OK, "application/json", body + "\n")

    def _health(self, _query: str) -> Served:
        if self._snapshot().alive:
            return Served(HTTPStatus.OK, _TEXT, "alive\n")
        return Served(HTTPStatus.SERVICE_UNAVAILABLE, _TEXT, "the schedule does not go on\n")

    def _readiness(self, _query: str) -> Served:
        """Whether passes do their work; and how the keys stand, where somebody should come.

        A dead key makes it no less ready: to take it out of service, or to hold up its successor, is no cure.
        """
        snapshot = self._snapshot()
        why, worst = snapshot.why_not_ready, self._worst(snapshot)
        text = f"not ready: {why}{_next_try(snapshot)}" if why else "ready"
        text += f"; {worst.text}" if worst.severity.alarms else ""
        text += f"; {_old_config(snapshot)}" if snapshot.reload_failed else ""
        status = HTTPStatus.SERVICE_UNAVAILABLE if why else HTTPStatus.OK
        return Served(status, _TEXT, redact(text + "\n", short=True))


def _old_config(snapshot: Snapshot) -> str:
    """Say what is wrong with the config that is not in use."""
    faults, most = snapshot.reload_faults, 3
    more = f" and {len(faults) - most} more" if len(faults) > most else ""
    return (
        f"the old config is in use: {'; '.join(faults[:most])}{more}"
        if faults
        else "the old config is in use"
    )


def _next_try(snapshot: Snapshot) -> str:
    """When it may be ready again, where the last pass is why it is not, and passes go on."""
    if not snapshot.passes or not snapshot.passes[0].error or not snapshot.alive or snapshot.overdue:
        return ""
    if snapshot.running_since:
        return "; it is being tried again"
    return f"; tried again {until(snapshot.next_pass, snapshot.now)}" if snapshot.next_pass else ""


class _Worst:
    """The worst of the keys, computed after each pass and then once a minute: of very many it takes a while."""

    def __init__(self) -> None:
        self._computed: tuple[PassRecord | None, datetime, Headline] | None = None

    def __call__(self, snapshot: Snapshot) -> Headline:
        newest = snapshot.passes[0] if snapshot.passes else None
        if self._computed:
            of, at, worst = self._computed
            if of is newest and timedelta() <= snapshot.now - at < timedelta(minutes=1):
                return worst
        worst = headline(key_statuses(snapshot))
        self._computed = newest, snapshot.now, worst
        return worst
