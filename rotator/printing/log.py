"""Structured logs: one event a line, through the same redaction, whoever logs.

structlog and the loggers of httpx, urllib3, apscheduler and `warnings` end in one handler, whose last
step is `redact` on the rendered line. No hook of a library renders a line of its own. A line never waits for who
reads stderr: `streams` queues it.
"""

import logging
import sys
import threading
import traceback
from typing import Any, Literal, TextIO

import structlog
from structlog.typing import EventDict, Processor

from rotator.errors import RETRIED, RotatorError
from rotator.printing import streams
from rotator.redaction import redact, redact_values

Format = Literal["json", "console"]


def configure(format_: Format, level: str, stream: TextIO | None = None) -> None:
    """Send every log event of this process to `stream` (default: whatever stderr is at that moment)."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(_number(level)),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = _StderrHandler() if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                _exception_text,
                _tidy,
                _renderer(format_),
                _redact_line,
            ],
        )
    )
    streams.on_lost(lambda lines: structlog.get_logger().warning("log.lost", lines=lines))
    root = logging.getLogger()
    root.handlers = [handler]
    # What libraries say below a warning our own events say, with the request id; and at debug they print headers.
    root.setLevel(max(_number(level), logging.WARNING))
    logging.getLogger("rotator").setLevel(_number(level))
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # a failed log call would print its arguments
    sys.excepthook = _uncaught
    threading.excepthook = lambda args: _uncaught(args.exc_type, args.exc_value, args.exc_traceback)


def log_failure(event: str, error: RotatorError, **fields: object) -> None:
    """Log an error of this program as `event`, with its cure, or that it is tried again, and its request."""
    structlog.get_logger().error(
        event, error=error.message, request_id=error.request_id, cure=error.cure or RETRIED, **fields
    )


class _StderrHandler(logging.StreamHandler[TextIO]):
    """Looks stderr up at each line: a progress line puts itself in between while it runs."""

    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None: ...


def _renderer(format_: Format) -> Processor:
    if format_ == "json":
        return structlog.processors.JSONRenderer(default=str)
    return structlog.dev.ConsoleRenderer(colors=_wants_colour(), pad_event_to=24, sort_keys=False)


def _wants_colour() -> bool:
    import os

    return sys.stderr.isatty() and not os.environ.get("NO_COLOR")


def _tidy(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Put what every line has first, leave out what does not apply, and redact each value by itself."""
    first = {name: event.pop(name, None) for name in ("timestamp", "level", "event")}
    return {**first, **{name: redact_values(value) for name, value in event.items() if value is not None}}


def _exception_text(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Render a traceback here, plainly: other renderers show local variables."""
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    if isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if info and info[0] is not None:
        event["exception"] = "".join(traceback.format_exception(*info))
    return event


def _redact_line(_logger: object, _method: str, line: Any) -> str:
    return redact(line)


def _uncaught(kind: type[BaseException], error: BaseException | None, trace: Any) -> None:
    structlog.get_logger().critical("uncaught", exc_info=(kind, error, trace))


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level.upper()]
