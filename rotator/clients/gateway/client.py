"""The APIMall gateway over HTTP: the calls that a rotation needs, and the gateway's clock."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

from rotator.clients import retry
from rotator.clients.exchange import Request, Server, Watch
from rotator.clients.gateway.answers import GatewayAnswer, KeyRow, RevokedRow, page_of, validated
from rotator.clients.gateway.bearer import Bearer
from rotator.clients.gateway.clock import GatewayClock
from rotator.clients.gateway.created import CreateAnswer, CreatedRow
from rotator.clients.gateway.proof import Probe, Proof
from rotator.clients.governor import Governor, Told
from rotator.clients.request_log import logged
from rotator.errors import BrokenContract, Denied, Rejected, Transient
from rotator.redaction import Secret
from rotator.rules.evidence import Warrant
from rotator.rules.model import CreatedKey, Key

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""A larger answer is refused; about 60,000 keys fit."""
MAX_PAGES: Final = 10_000
MAX_LIST_BYTES: Final = 16 * MAX_ANSWER_BYTES
"""All pages together; about a million keys fit."""

_LIST: Final = Request("GET", "/keys")

T = TypeVar("T")


@dataclass(frozen=True)
class Listing:
    """The whole list of keys, as of one reading of the gateway's clock."""

    now: datetime
    keys: tuple[Key, ...]
    request_id: str | None
    """Of the first page."""
    pages: int
    size: int
    """In bytes, all pages together."""
    largest: int
    """In bytes, the largest page."""


class _StillThere(Transient):
    """A list that shows what was revoked as live."""

    def __init__(self, ids: frozenset[int]) -> None:
        super().__init__("the list shows a revoked key as live", ambiguous=False)
        self.ids = ids


class Gateway:
    """One account at the gateway. Thread-safe.

    `list_keys`, `authenticates` and `revoke` repeat what failed transiently. `create` is one attempt: only
    its caller knows what a second one would mean.
    """

    def __init__(
        self,
        url: str,
        bearer: Bearer,
        *,
        timeout: timedelta,
        policy: retry.Policy,
        sleep: retry.Sleep,
        clock: GatewayClock,
        governor: Governor | None = None,
        connections: int = 8,
        watch: Watch | None = None,
    ) -> None:
        """`connections`: the most that are open at once, and the most calls."""
        self._bearer = bearer
        self._policy, self._sleep = policy, sleep
        self.clock = clock
        self._proof = Proof(self._call)
        self.asked_to_revoke: set[int] = set()
        """What a DELETE was answered well for: only a later list says that it is gone."""
        cure = f"check gateway.url ({url}), and the network between here and there"
        self.governor = governor or Governor(connections, sleep)
        self._server = Server(
            url, timeout=timeout, limit=MAX_ANSWER_BYTES, cure=cure, connections=connections, watch=watch
        )

    def close(self) -> None:
        """Close the connections."""
        self._server.close()

    def now(self) -> datetime:
        """The gateway's clock, as its answers tell it."""
        return self.clock.now()

    def list_keys(self) -> Listing:
        """Return every key of the account. Raises rather than return a part of them."""
        first = answer = self._patiently(lambda: self._call(_LIST))
        now, keys = self.now(), dict[int, Key]()
        page, before, number = page_of(first), None, 1
        size = largest = first.size
        while True:
            known = len(keys)
            _add(keys, page.rows)
            new = len(keys) - known
            if fault := page.fault(number, new, before, len(keys)):
                raise _contradiction(fault, answer)
            if not (page.paged and new):
                return Listing(now, tuple(keys.values()), first.request_id, number, size, largest)
            self._sleep(0)  # a stop is heeded between two pages
            number += 1
            if number > MAX_PAGES:
                raise BrokenContract(f"GET /keys: over {MAX_PAGES} pages", request_id=first.request_id)
            params = {"page": number} | ({"limit": page.limit} if page.limit else {})
            answer = self._patiently(partial(self._call, Request("GET", "/keys", params)))
            size, largest = size + answer.size, max(largest, answer.size)
            if size > MAX_LIST_BYTES:
                raise BrokenContract(
                    f"GET /keys: a list of over {MAX_LIST_BYTES} bytes", request_id=first.request_id
                )
            before, page = page, page_of(answer)

    def create(self, title: str) -> CreatedKey:
        """Create one key, in one attempt. The answer holds the only copy of its plaintext."""
        answer = self._call(Request("POST", "/keys", body={"title": title}))
        row = validated(CreatedRow, answer)
        made_as = title if row.title is None else row.title
        return CreatedKey(
            row.id, made_as, row.created_at or self.now(), Secret(row.api_key), answer.request_id
        )

    def authenticates(self, plaintext: Secret, *, by_all: bool = False, once: bool = False) -> Probe:
        """Ask whether `plaintext` works as a bearer: 2xx is yes, 401 is no, all else raises, as in `proof`.

        `by_all`: where the list says otherwise, it works if no way says that it does not. `once`: not repeated.
        """
        ask = partial(self._proof.of, plaintext, by_all=by_all)
        return ask() if once else self._patiently(ask)

    def revoke(self, warrant: Warrant) -> None:
        """Revoke a key. Idempotent: where the answer does not say that it is revoked, a fresh list does."""
        key_id = warrant.key_id
        try:
            answer = self._patiently(lambda: self._call(Request("DELETE", f"/keys/{key_id}")))
            row = validated(RevokedRow, answer)
            if row.id != key_id or row.status.lower() != "revoked":
                raise BrokenContract(
                    f"DELETE /keys/{key_id}: {answer.status}, but the answer does not say that "
                    "the key is revoked",
                    status=answer.status,
                    request_id=answer.request_id,
                )
        except (Rejected, BrokenContract) as error:
            if self._is_listed_live(key_id):
                told = error.status != HTTPStatus.NOT_FOUND and isinstance(error, Rejected)
                raise type(error)(
                    f"{error.message}; and the list shows the key as live",
                    status=error.status,
                    request_id=error.request_id,
                    cure=error.cure
                    if told
                    else "the next pass tries again; if that fails, too, revoke the key by hand",
                ) from None
        else:
            self.asked_to_revoke.add(key_id)

    def unrevoked(self) -> frozenset[int]:
        """Return what is listed as live though its DELETE was answered well. A list may lag: it is asked again."""
        if not self.asked_to_revoke:
            return frozenset()

        def look() -> frozenset[int]:
            live = frozenset(key.id for key in self.list_keys().keys if key.live) & self.asked_to_revoke
            if live:
                raise _StillThere(live)
            return live

        try:
            return self._patiently(look, again=lambda error: isinstance(error, _StillThere))
        except _StillThere as error:
            return error.ids

    def _is_listed_live(self, key_id: int) -> bool:
        return any(key.id == key_id and key.live for key in self.list_keys().keys)

    def _patiently(
        self, attempt: Callable[[], T], again: Callable[[BaseException], bool] = retry.transient
    ) -> T:
        return retry.call(
            attempt,
            self._policy,
            event="gateway.retry",
            sleep=self._sleep,
            again=again,
            patient=lambda: not self.governor.is_hurried(),
        )

    def _call(self, request: Request, bearer: Secret | None = None) -> GatewayAnswer:
        """One call, as our own bearer or as another.

        After a 401 our bearer's source is read again: it may have rotated. And a refusal is of that request alone,
        until a second question says that it is the bearer's.
        """
        used = bearer or self._bearer.current()
        try:
            return self._send(request, used)
        except Denied as error:
            if bearer:
                raise
            denied = error
        if denied.status == HTTPStatus.UNAUTHORIZED and self._bearer.refresh(used):
            used = self._bearer.current()
            try:
                return self._send(request, used)
            except Denied as error:
                denied = error
        answer = self._ask_for_the_list(used)
        if request == _LIST:
            return answer
        if denied.status == HTTPStatus.UNAUTHORIZED:
            try:
                return self._send(request, used)
            except Denied as error:
                denied = error
        raise Rejected(
            f"{denied.message}; the gateway accepts the bearer for other requests",
            status=denied.status,
            request_id=denied.request_id,
            cure="ask the gateway's support why it refuses this one, and name the request_id",
        ) from None

    def _ask_for_the_list(self, bearer: Secret) -> GatewayAnswer:
        """Whom even the list is refused is no bearer: say where it was read."""
        try:
            return self._send(_LIST, bearer)
        except Denied as error:
            if error.status != HTTPStatus.UNAUTHORIZED:
                raise
            raise Denied(
                error.message,
                status=error.status,
                request_id=error.request_id,
                cure=f"the bearer in {self._bearer.place()} is mistyped or revoked; put a live key there",
            ) from None

    def _send(self, request: Request, bearer: Secret) -> GatewayAnswer:
        with self.governor.turn(request.method) as told:
            return logged(
                "gateway.request", "request_id", request, lambda: self._exchange(request, bearer, told)
            )

    def _exchange(self, request: Request, bearer: Secret, told: Told) -> GatewayAnswer:
        headers = {"Authorization": f"Bearer {bearer.reveal()}"}
        kind = CreateAnswer if request.method == "POST" else GatewayAnswer
        answer = kind(str(request), *self._server.exchange(request, headers))
        told.status, told.retry_after = answer.status, answer.retry_after
        if answer.date or answer.status == HTTPStatus.OK:
            self.clock.read(answer.date)
        return answer


def _add(keys: dict[int, Key], rows: Iterable[KeyRow]) -> None:
    """Add the rows to `keys`. Of one that comes twice, the row counts that shows it live."""
    for row in rows:
        key = row.key()
        if key.id not in keys or (key.live and not keys[key.id].live):
            keys[key.id] = key


def _contradiction(fault: str, answer: GatewayAnswer) -> BrokenContract:
    return BrokenContract(
        f"GET /keys: the list contradicts itself: {fault}; nothing is decided on a part of it",
        request_id=answer.request_id,
        cure="the next pass asks again; if it lasts, ask the gateway's support, and name the request_id",
    )
