"""One rotation: create, prove, store. From the answer to create on, nothing interrupts it.

The plaintext exists once. It is published only after it was seen to work; a new key that cannot have been
published is revoked at once, and one of which that cannot be known is left for a later pass.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TypeVar

import structlog

from rotator.clients import retry
from rotator.errors import BrokenContract, Conflict, Limited, Rejected, RotatorError, Transient
from rotator.passes.account import Account
from rotator.passes.create import Creating, discard
from rotator.passes.fence import Frozen, Moved
from rotator.redaction import Secret
from rotator.rules.bookkeeping import Rotation, read_plaintext
from rotator.rules.decide import succeed
from rotator.rules.evidence import Proven, to_update
from rotator.rules.facts import Facts
from rotator.rules.holds import FROZEN
from rotator.rules.model import CreatedKey, Version

T = TypeVar("T")
log = structlog.get_logger()


class Overtaken(RotatorError):  # noqa: N818
    """Moved, though a new key was asked for, and the secret still holds the one that was to be replaced."""

    def __init__(self) -> None:
        super().__init__(
            "somebody else wrote the secret in the meantime, and did not rotate the key",
            cure="run this again",
        )


class Unsettled(RotatorError):  # noqa: N818
    """Not known whether our write landed, or may still land."""


def look_again(account: Account, facts: Facts) -> None:
    """Raise Moved or Overtaken if the secret was written since the decision: cheaper than a key to revoke.

    Frozen, if a person has frozen it, and what was decided does not pass a freeze.
    """
    latest = account.store.read(facts.key.path)
    moved = latest.number == facts.version.number and latest.data != facts.version.data
    if moved or latest.number > facts.version.number:
        raise _overtaken(facts, latest)
    if latest.number == facts.version.number and FROZEN.row(replace(facts, version=latest)).holds:
        raise Frozen


class Making:
    """One rotation, once it is claimed: create, prove, store."""

    def __init__(self, account: Account, facts: Facts, creating: Creating) -> None:
        self._account, self._facts, self._creating = account, facts, creating

    def rotate(self) -> tuple[Rotation, Proven]:
        """Give the managed key a new current key; return it, and the bookkeeping that was stored with it.

        Raises Moved when somebody else was first. After any error the new key is revoked, or left to the sweep.
        """
        account, facts = self._account, self._facts
        account.stopping.check()
        created = self._creating.create()
        log.info("rotation.created", key_id=created.id, title=created.title)
        try:
            with account.stopping.committed():
                proven = _prove(account, created)
                log.info("rotation.proved", key_id=created.id)
                rotation = _Storing(account, facts, created, proven).run()
        except Unsettled:
            raise  # a write of ours may still land, and must not publish a dead key
        except RotatorError:
            discard(account, created, created.title)
            raise
        log.info("rotation.stored", key_id=created.id, version=facts.version.number + 1)
        return rotation, proven


def _prove(account: Account, created: CreatedKey) -> Proven:
    """Wait until the new key authenticates; a while of 401 is propagation and normal."""

    def attempt() -> None:
        try:
            probe = account.gateway.authenticates(created.plaintext, once=True)
        except Rejected as error:
            raise Transient(error.message, ambiguous=False, request_id=error.request_id) from None
        if not probe.works:
            raise Transient(
                f"new key {created.id} does not authenticate", ambiguous=False, request_id=probe.request_id
            )

    _until(account, account.timing.verify_deadline, attempt, event="gateway.retry")
    return Proven(created.plaintext)


def _until(account: Account, deadline: timedelta, attempt: Callable[[], T], *, event: str) -> T:
    """Try until it goes well, or `deadline` has passed. A rate limit may hold it up, unless we are to stop."""
    policy = account.policy.until(deadline, patience=account.timing.patience)
    stopping = account.stopping
    return retry.call(
        attempt, policy, event=event, sleep=stopping.sleep, patient=lambda: not stopping.requested
    )


class _Storing:
    """The check-and-set write of one new key, until its fate is known or `store_deadline` has passed.

    A write on top of version N can only ever become version N + 1. So that version alone decides: it is ours,
    or ours will never be. It is read even where the answer says that it was written.
    """

    def __init__(self, account: Account, facts: Facts, created: CreatedKey, proven: Proven) -> None:
        self._account, self._facts, self._created, self._proven = account, facts, created, proven
        self._sent: Rotation | None = None
        """The bookkeeping of the last write that may have landed."""

    def run(self) -> Rotation:
        deadline = self._account.timing.store_deadline
        try:
            return _until(self._account, deadline, self._attempt, event="vault.retry")
        except RotatorError as error:
            if isinstance(error, (Moved, Overtaken)) or not self._sent:
                raise  # nothing that was sent can land any more
            raise Unsettled(
                f"it is not known whether new key {self._created.id} was stored: {error.message}",
                request_id=error.request_id,
                cure="nothing is lost: a later pass finds the key in Vault, or revokes it",
            ) from None

    def _attempt(self) -> Rotation:
        if self._sent and self._landed():
            return self._sent
        gateway = self._account.gateway
        rotation = succeed(self._facts, self._created, gateway.now())
        update = to_update(self._facts, rotation, gateway.clock.doubt, self._proven)
        try:
            self._account.store.write(self._facts.key.path, update.data, cas=update.of)
        except (Conflict, BrokenContract) as error:
            # Even a conflict may be with ourselves: somebody in between may have sent the write twice.
            self._sent = self._sent or rotation
            if isinstance(error, Conflict) and self._landed():
                return self._sent
            raise Transient(error.message, ambiguous=True, request_id=error.request_id) from None
        except Transient as error:
            # A 429 says that nothing was done. Should that not be so, the new key is published, and must live.
            if error.ambiguous or isinstance(error, Limited):
                self._sent = rotation
            raise
        self._sent = rotation
        if not self._landed():
            # The plaintext exists once: whoever answers must not only say that it is kept.
            number = self._facts.version.number + 1
            raise Transient(
                f"Vault answered that it wrote version {number}, but there is no such version", ambiguous=True
            )
        return rotation

    def _landed(self) -> bool:
        """Whether the version that ours would be is there, and ours. Else raise Moved or Overtaken."""
        key = self._facts.key
        version = self._account.store.read(key.path, self._facts.version.number + 1, once=True)
        if version.data is None:
            return False
        plaintext = read_plaintext(version.data, key.field)
        if plaintext and self._created.plaintext == Secret(plaintext):
            return True
        raise _overtaken(self._facts, version)


def _overtaken(facts: Facts, version: Version) -> Moved | Overtaken:
    """What became of our rotation now that `version` was written on top of the one that it was decided on."""
    field, before = facts.key.field, facts.version.data
    same = read_plaintext(version.data, field) == read_plaintext(before, field)
    return Overtaken() if same and facts.forced else Moved()
