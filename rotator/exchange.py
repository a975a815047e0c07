"""What both adapters share of one HTTP exchange: its bounds in time and size, and the name of what went wrong."""

import ssl
import time
from collections.abc import Callable, Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

from rotator.errors import BrokenContract, Rejected, Transient

T = TypeVar("T")


class TooSlow(Transient):
    """The exchange did not end in time. It was left behind, on a connection that must not be used again."""

    def __init__(self, what: str, seconds: float, cure: str) -> None:
        super().__init__(f"{what}: no whole answer within {seconds:g} s", ambiguous=True, cure=cure)


def within(what: str, seconds: float, exchange: Callable[[], T], *, cure: str) -> T:
    """Return what `exchange` returns, or raise TooSlow after `seconds`.

    The libraries bound each read, not the whole: a server that sends a byte in time, for ever, passes them all.
    """
    box: SimpleQueue[tuple[T | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            box.put((exchange(), None))
        except BaseException as error:  # noqa: BLE001 - raised again where the exchange is waited for
            box.put((None, error))

    Thread(target=run, name="exchange", daemon=True).start()
    try:
        result, error = box.get(timeout=seconds)
    except Empty:
        raise TooSlow(what, seconds, cure) from None
    if error:
        raise error
    return result  # type: ignore[return-value]


def read_bounded(what: str, chunks: Iterable[bytes], *, limit: int, seconds: float) -> bytes:
    """Read a body that must end in size, and in time even where nobody waits for it any more."""
    deadline = time.monotonic() + seconds
    content = bytearray()
    for chunk in chunks:
        content += chunk
        if len(content) > limit:
            raise BrokenContract(f"{what}: an answer of over {limit} bytes")
        if time.monotonic() > deadline:
            break
    return bytes(content)


def cause(error: BaseException) -> str:
    """Say what went wrong without the exception's text, which can hold a header."""
    for seen in chain(error):
        if (
            isinstance(seen, OSError)
            and seen.strerror
            and type(seen).__module__ in ("builtins", "ssl", "socket")
        ):
            return seen.strerror
    return type(error).__name__


def raise_for_tls(what: str, error: BaseException, url: str) -> None:
    """Raise Rejected for a TLS fault that trying again will not cure, and that came before anything was sent."""
    for seen in chain(error):
        if isinstance(seen, ssl.SSLCertVerificationError):
            raise Rejected(
                f"{what}: {url}: the server's certificate is not trusted: {seen.verify_message}",
                cure="check the host name, and which CAs are trusted",
            ) from None
        if isinstance(seen, ssl.SSLError) and seen.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
            raise Rejected(
                f"{what}: {url}: https was spoken to a server that does not speak TLS",
                cure="check the port and the scheme of the URL",
            ) from None


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it came from, however its library wraps them."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        pending += [under for under in inner if isinstance(under, BaseException)]
