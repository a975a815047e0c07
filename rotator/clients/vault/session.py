"""The token that goes with each request to Vault, and how it is kept alive.

Nothing runs in the background: whoever is about to send a request renews the token, or logs in again, when it is
time. So the program needs no more than a pass to do it.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from http import HTTPStatus
from math import inf
from typing import Any, Final

import structlog

from rotator.clients.vault.answers import Lease, lease_of
from rotator.errors import NoToken, Rejected, RotatorError, Transient
from rotator.redaction import Secret

Login = Callable[[Any], Lease]
"""Given an hvac client that has no token, logs in. One that gives a TTL of 0 is asked before each request."""
Clock = Callable[[], float]


class Kept:
    """A login with a token that somebody else made and keeps alive: there is no other to be had."""

    @property
    def where(self) -> str:
        """Where the token is kept."""
        raise NotImplementedError

    @property
    def cure(self) -> str:
        """What helps when it is refused."""
        raise NotImplementedError

    def unfit(self) -> NoToken:
        """Return what is said of a token that Vault does not take even to tell of itself."""
        return NoToken(
            f"Vault does not accept the token in {self.where}", status=HTTPStatus.FORBIDDEN, cure=self.cure
        )


RENEW_AT: Final = 2 / 3
"""Of a token's TTL."""

log = structlog.get_logger()


class Session:
    """The token, as it is now. Thread-safe: one login at a time.

    An error of a login is never ambiguous, for the request that wanted the token was not sent.
    """

    def __init__(self, client: Any, login: Login, clock: Clock = time.monotonic) -> None:
        """`client` is an hvac client of its own; it has a token only while it speaks of that token."""
        self._client, self._login, self._clock = client, login, clock
        self._lock = threading.Lock()
        self._lease: Lease | None = None
        self._granted = 0.0
        """The TTL that the last login gave. A renewal that gives less has met the token's longest life."""
        self._renew_at = self._expires_at = -inf

    def current(self) -> Secret:
        """Return the token, renewed or got anew when it is time. Raises what that does once none lives.

        While another thread does that, the token is used as long as it lives.
        """
        lives = self._clock() < self._expires_at
        lease = self._lease if lives else None
        if not self._lock.acquire(blocking=lease is None) and lease:
            return lease.token
        try:
            with _not_sent():
                if self._lease is None or self._clock() >= self._renew_at:
                    return self._prolong().token
                return self._lease.token
        finally:
            self._lock.release()

    @property
    def ours(self) -> bool:
        """Whether a login of ours made the token, so that there can be another."""
        with self._lock:
            return self._lease is not None and self._lease.ours

    def refresh(self, refused: Secret) -> bool:
        """After a 403, which may be about the token or about the path: whether there is now another token.

        Raises Rejected where it is about the token, and nobody here can get another.
        """
        with self._lock, _not_sent():
            lease = self._lease
            if lease is None or (lease.token == refused and not self._lives(refused)):
                lease = self._log_in()
                if lease.token == refused and isinstance(self._login, Kept):
                    raise self._login.unfit()
            return lease.token != refused

    def prolong(self) -> None:
        """Let the token live for as long as it can from now on."""
        with self._lock, _not_sent():
            if self._expires_at < inf:
                self._prolong()

    def close(self) -> None:
        """Revoke the token, if a login of ours made it: who has ended needs none."""
        with self._lock:
            lease, self._lease = self._lease, None
            if lease and lease.ours and self._clock() < self._expires_at:
                with suppress(RotatorError), self._as(lease.token):
                    self._client.auth.token.revoke_self()

    def _prolong(self) -> Lease:
        """Renew the token or log in. A failure is put up with as long as the token lives."""
        try:
            return self._renew() or self._log_in()
        except RotatorError as error:
            left = self._expires_at - self._clock()
            if self._lease is None or left <= 0:
                raise
            self._renew_at = self._clock() + left * RENEW_AT
            log.warning(
                "vault.retry", error=error.message, wait_s=round(left * RENEW_AT), token_ttl_s=round(left)
            )
            return self._lease

    def _renew(self) -> Lease | None:
        """Return None where only a login helps."""
        lease, began = self._lease, self._clock()
        if lease is None or not lease.renewable or began >= self._expires_at:
            return None
        try:
            with self._as(lease.token):
                renewed = lease_of(self._client.auth.token.renew_self())
        except Rejected:
            return None
        self._take(renewed, began)
        return renewed if renewed.ttl >= self._granted else None

    def _log_in(self) -> Lease:
        began = self._clock()
        lease = self._login(self._client)
        self._granted = lease.ttl
        return self._take(lease, began)

    def _take(self, lease: Lease, began: float) -> Lease:
        self._lease = lease
        self._renew_at, self._expires_at = began + lease.ttl * RENEW_AT, began + lease.ttl
        return lease

    def _lives(self, token: Secret) -> bool:
        try:
            with self._as(token):
                self._client.auth.token.lookup_self()
        except Rejected as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            return False
        return True

    def _as(self, token: Secret) -> AbstractContextManager[None]:
        return speaking_as(self._client, token)


@contextmanager
def speaking_as(client: Any, token: Secret) -> Iterator[None]:
    """Let `client` send `token` in this block, and none after it."""
    client.token = token.reveal()
    try:
        yield
    finally:
        client.token = ""


@contextmanager
def _not_sent() -> Iterator[None]:
    try:
        yield
    except Transient as error:
        error.ambiguous = False
        raise
    except Rejected as error:
        raise NoToken(
            error.message, status=error.status, request_id=error.request_id, cure=error.cure
        ) from None
