"""The APIMall gateway over HTTP: the calls that a rotation needs, and the gateway's clock.

The only importer of httpx; what httpx raises becomes one of `rotator.errors` here. The bearer goes to the
configured host alone: redirects are not followed, and no proxy sees a plain http request.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Final, TypeVar

import httpx
import structlog

from rotator import retry
from rotator.errors import BrokenContract, Denied, Rejected, RotatorError, Transient
from rotator.exchange import cause, raise_for_tls, read_bounded, within
from rotator.gateway.bearer import Bearer
from rotator.gateway.wire import Answer, CreatedRow, RevokedRow, fits_header, page_of, validated
from rotator.model import CreatedKey, Key
from rotator.redaction import Secret

MAX_ANSWER_BYTES: Final = 16 * 1024 * 1024
"""A larger answer is refused; about 60,000 keys fit."""
MAX_PAGES: Final = 10_000

T = TypeVar("T")
log = structlog.get_logger()


@dataclass(frozen=True)
class Listing:
    """The whole list of keys, as of one reading of the gateway's clock."""

    now: datetime
    keys: tuple[Key, ...]


@dataclass(frozen=True)
class Probe:
    """Whether a plaintext works as a bearer, and the request that told."""

    works: bool
    request_id: str | None


@dataclass(frozen=True)
class _Call:
    method: str
    path: str
    params: Mapping[str, int] | None = None
    body: Mapping[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


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
    ) -> None:
        self._bearer = bearer
        self._timeout = timeout.total_seconds()
        self._policy, self._sleep = policy, sleep
        self._clock: tuple[datetime, float] | None = None
        self._balances = True
        self._url = url
        self._unreachable = f"check gateway.url ({url}), and the network between here and there"
        # A proxy from the environment would see the bearer of a plain http request.
        self._trust_env = url.startswith("https://")
        self._tls = httpx.create_ssl_context(trust_env=self._trust_env)

    def _connect(self) -> httpx.Client:
        """A connection for one exchange: it can be closed without cutting another one short."""
        return httpx.Client(
            base_url=self._url,
            timeout=httpx.Timeout(self._timeout, connect=min(10.0, self._timeout / 2)),
            follow_redirects=False,
            trust_env=self._trust_env,
            verify=self._tls,
        )

    def now(self) -> datetime:
        """The gateway's clock: its last `Date`, moved on by the time that has passed here since."""
        if self._clock is None:
            raise RuntimeError("the gateway's clock was asked for before the gateway")
        date, read_at = self._clock
        return date + timedelta(seconds=time.monotonic() - read_at)

    def list_keys(self) -> Listing:
        """Return every key of the account. Raises rather than return a part of them."""
        first = self._patiently(lambda: self._call(_Call("GET", "/keys")))
        now = self.now()
        rows, limit, paged = page_of(first)
        keys = {row.id: row.key() for row in rows}
        page = 1
        while paged and rows:
            page += 1
            if page > MAX_PAGES:
                raise BrokenContract(f"GET /keys: over {MAX_PAGES} pages", request_id=first.request_id)
            params = {"page": page} | ({"limit": limit} if limit else {})
            answer = self._patiently(partial(self._call, _Call("GET", "/keys", params)))
            rows = [row for row in page_of(answer)[0] if row.id not in keys]
            keys |= {row.id: row.key() for row in rows}
        return Listing(now, tuple(keys.values()))

    def create(self, title: str) -> CreatedKey:
        """Create one key, in one attempt. The answer holds the only copy of its plaintext."""
        answer = self._call(_Call("POST", "/keys", body={"title": title}))
        row = validated(CreatedRow, answer)
        return CreatedKey(row.id, row.title, row.created_at, Secret(row.api_key), answer.request_id)

    def authenticates(self, plaintext: Secret) -> Probe:
        """Ask whether `plaintext` works as a bearer: 200 is yes, 401 is no, all else raises."""
        return self._patiently(lambda: self._probe(plaintext))

    def revoke(self, key_id: int) -> None:
        """Revoke a key. Idempotent: a 404 is taken for success only when a fresh list agrees."""
        try:
            answer = self._patiently(lambda: self._call(_Call("DELETE", f"/keys/{key_id}")))
        except Rejected as error:
            if error.status != HTTPStatus.NOT_FOUND:
                raise
            if self._is_listed_live(key_id):
                raise Rejected(
                    f"DELETE /keys/{key_id}: 404, yet the list shows the key live",
                    status=error.status,
                    request_id=error.request_id,
                    cure="the next pass tries again; else revoke it by hand",
                ) from None
            return
        row = validated(RevokedRow, answer)
        if row.id != key_id or row.status != "revoked":
            raise BrokenContract(
                f"DELETE /keys/{key_id}: 200, but the key is not said to be revoked",
                request_id=answer.request_id,
            )

    def _probe(self, plaintext: Secret) -> Probe:
        if not fits_header(plaintext):
            return Probe(works=False, request_id=None)
        path = "/account/balances" if self._balances else "/keys"
        try:
            answer = self._call(_Call("GET", path), plaintext)
        except Denied as error:
            if error.status == HTTPStatus.UNAUTHORIZED:
                return Probe(works=False, request_id=error.request_id)
            # It is this key that was refused, not the bearer.
            raise Rejected(error.message, status=error.status, request_id=error.request_id) from None
        except Rejected as error:
            if error.status == HTTPStatus.NOT_FOUND and self._balances:
                self._balances = False  # documented by the vendor, promised by no contract
                return self._probe(plaintext)
            raise
        return Probe(works=True, request_id=answer.request_id)

    def _is_listed_live(self, key_id: int) -> bool:
        return any(key.id == key_id and key.live for key in self.list_keys().keys)

    def _patiently(self, attempt: Callable[[], T]) -> T:
        return retry.call(attempt, self._policy, event="gateway.retry", sleep=self._sleep)

    def _call(self, call: _Call, bearer: Secret | None = None) -> Answer:
        """One call. With our own bearer, a 401 makes us read its source again, once: it may have rotated."""
        used = bearer or self._bearer.current()
        try:
            return self._send(call, used)
        except Denied as error:
            if bearer or error.status != HTTPStatus.UNAUTHORIZED or not self._bearer.refresh(used):
                raise
        return self._send(call, self._bearer.current())

    def _send(self, call: _Call, bearer: Secret) -> Answer:
        began = time.monotonic()
        seen: Answer | RotatorError
        try:
            seen = self._exchange(call, bearer)
            seen.raise_for_refusal()
        except RotatorError as error:
            seen = error
            raise
        finally:
            log.info(
                "gateway.request",
                method=call.method,
                path=call.path,
                status=seen.status,
                request_id=seen.request_id,
                duration_ms=round((time.monotonic() - began) * 1000),
                **({"error": seen.message} if isinstance(seen, RotatorError) else {}),
            )
        return seen

    def _exchange(self, call: _Call, bearer: Secret) -> Answer:
        with self._connect() as http:
            answer = within(
                str(call),
                self._timeout,
                lambda: self._round(http, call, bearer),
                cure=self._unreachable,
            )
        if answer.date:
            self._clock = (answer.date, time.monotonic())
        elif self._clock is None and answer.status == HTTPStatus.OK:
            raise BrokenContract(f"{call}: no Date header to tell the time by", request_id=answer.request_id)
        return answer

    def _round(self, http: httpx.Client, call: _Call, bearer: Secret) -> Answer:
        headers = {"Authorization": f"Bearer {bearer.reveal()}", **_HEADERS}
        try:
            with http.stream(
                call.method, call.path, params=call.params, json=call.body, headers=headers
            ) as response:
                content = read_bounded(
                    str(call), response.iter_raw(), limit=MAX_ANSWER_BYTES, seconds=self._timeout
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise_for_tls(str(call), error, self._url)
            raise Transient(f"{call}: {cause(error)}", ambiguous=False, cure=self._unreachable) from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError, RuntimeError) as error:
            raise Transient(f"{call}: {cause(error)}", ambiguous=True, cure=self._unreachable) from None
        return Answer(str(call), response.status_code, response.headers, content)


# Compressed answers are not asked for: a small one can unfold into a huge one.
_HEADERS: Final = {"Accept": "application/json", "Accept-Encoding": "identity"}
