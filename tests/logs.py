"""The log's real chain, rendered into a buffer: to capture structlog's events would leave redaction out."""

import io
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from rotator.printing import log


@contextmanager
def captured(format_: log.Format = "json", level: str = "info") -> Iterator[io.StringIO]:
    root, hooks = logging.getLogger(), (sys.excepthook, threading.excepthook)
    before = (root.handlers, root.level)
    out = io.StringIO()
    log.configure(format_, level, out)
    try:
        yield out
    finally:
        structlog.reset_defaults()
        root.handlers, (sys.excepthook, threading.excepthook) = before[0], hooks
        root.setLevel(before[1])
        logging.captureWarnings(False)
        logging.raiseExceptions = True
