"""Creating a key: the one call that cannot be repeated safely, for a failed one may have left a key behind."""

from collections.abc import Callable
from typing import Final

import structlog

from rotator.clients import retry
from rotator.errors import BrokenContract, Limited, RotatorError, Transient
from rotator.passes.account import Account
from rotator.passes.stopping import NotReached
from rotator.rules.claims import Claim
from rotator.rules.evidence import to_discard
from rotator.rules.facts import Facts
from rotator.rules.holds import MAX_ORPHANS
from rotator.rules.model import CreatedKey, Key
from rotator.rules.times import count
from rotator.rules.titles import resembles

MOST_LIMITED: Final = 12
"""Creates of one claim that a rate limit refuses, before its key waits for the next pass.

A list that is late shows nothing of what they made all the same.
"""

log = structlog.get_logger()


class Creating:
    """The creates of one claim.

    Each one that may have made a key uses up a nonce. One that a rate limit refused should have made none, and is
    repeated with the same nonce. Before that could lead to more orphans than there may be, the list is asked.
    """

    def __init__(
        self,
        account: Account,
        facts: Facts,
        installation: str,
        claim: Claim,
        *,
        changing: Callable[[], None],
    ) -> None:
        self._account, self._facts, self._installation = account, facts, installation
        self._claim, self._changing = claim, changing
        self._budget = MAX_ORPHANS - len(facts.orphans)
        self._used = 0
        """Nonces that are used up."""
        self._refused = 0
        """Creates that the server refused, since the list was asked."""
        self._limited = 0
        """Creates that a rate limit refused, in all."""

    @property
    def unknown(self) -> int:
        """Creates that may have made a key that is not seen as ours."""
        return self._used + self._refused

    def create(self) -> CreatedKey:
        """Create a key. Each attempt of which one may have come is left behind as an orphan, with its nonce."""
        account = self._account
        return retry.call(
            self._attempt,
            account.policy,
            event="gateway.retry",
            sleep=account.stopping.sleep,
            again=lambda error: isinstance(error, Transient) and self._used < self._budget,
        )

    def _attempt(self) -> CreatedKey:
        if self._refused and self._used + self._refused >= self._budget:
            self._look()
        account = self._account
        title = account.titles.render(
            self._facts.key.name,
            now=account.gateway.now(),
            installation=self._installation,
            nonce=self._claim.nonces[self._used],
        )
        try:
            created = account.gateway.create(title)
            self._check(created, title)
        except RotatorError as error:
            self._count(error)
            if self._limited >= MOST_LIMITED:
                raise NotReached from None
            raise
        self._changing()
        return created

    def _count(self, error: RotatorError) -> None:
        self._limited += isinstance(error, Limited)
        if error.ambiguous:
            self._used += 1
            self._changing()
        elif error.status is not None:
            self._refused += 1

    def _look(self) -> None:
        """Use up a nonce for each key that a refused create may have made. Raises BrokenContract after the last."""
        made = sum(map(self._may_be_of_this, self._account.gateway.list_keys().keys))
        made, self._refused = min(made, self._used + self._refused), 0
        if made <= self._used:
            return
        self._used = made
        self._changing()
        if made >= self._budget:
            raise BrokenContract(
                f"POST /keys was refused, but since then the list has {count(made, 'new key')} that may be of it",
                cure="a pass revokes those that it made, after orphan_after; if it lasts, ask the gateway's "
                "support why a create that is answered 429 makes a key",
            )

    def _may_be_of_this(self, key: Key) -> bool:
        """Whether it bears one of the nonces, or is new and has no rotator's title: a list may change titles."""
        title = self._account.titles.parse(key.title)
        if title:
            return key.live and title.nonce in self._claim.nonces
        return key.live and key.id not in self._facts.listed and self._claim.may_have_made(key.created_at)

    def _check(self, created: CreatedKey, title: str) -> None:
        """Refuse a key that would not be known as ours, or is not new, or is not the one that we asked for."""
        if created.id in self._facts.listed:
            raise BrokenContract(
                f"POST /keys answered with key {created.id}, which existed before",
                request_id=created.request_id,
                cure="if a key was made all the same, a pass revokes it after orphan_after; if "
                "it stays, ask the gateway's support, and name the request_id",
            )
        if not resembles(created.title, title):
            raise BrokenContract(
                f"POST /keys answered with key {created.id} of another title: that may be another create's answer, "
                "and the key was not revoked",
                request_id=created.request_id,
                cure="ask the gateway's support, and name the request_id",
            )
        if created.title != title:
            discard(self._account, created, title)
            raise BrokenContract(
                f"the gateway changed the title of key {created.id}, so the rotator could not "
                "recognise it as its own",
                request_id=created.request_id,
                cure="choose a title_template that the gateway does not change",
            )


def discard(account: Account, created: CreatedKey, sent: str) -> None:
    """Revoke a new key that was never published. If that fails, a later pass sweeps it.

    `sent`: its title as it was asked for.
    """
    try:
        listed = next((key for key in account.gateway.list_keys().keys if key.id == created.id), None)
        account.gateway.revoke(to_discard(created, listed, sent))
    except RotatorError as error:
        log.warning("key.revoke_failed", key_id=created.id, reason="unpublished", error=str(error))
    else:
        log.info("key.revoked", key_id=created.id, reason="unpublished")
