"""A write on top of the very version that was decided on: what was decided still holds, or it raises.

A read may be stale, and a write of another rotator may still be on its way; a check-and-set write is neither. After
it no late write can land that was decided on an earlier version.
"""

from rotator.clients import retry
from rotator.errors import BrokenContract, Conflict, Rejected, RotatorError, Transient
from rotator.passes.account import Account
from rotator.rules.evidence import Fence, Update
from rotator.rules.model import Version


class Moved(RotatorError):  # noqa: N818
    """The secret is not what the decision was made on; the next pass decides anew."""

    def __init__(self) -> None:
        super().__init__("the secret was written after the decision; the next pass decides again")


class Frozen(Moved):
    """A person has frozen the secret since the decision."""

    def __init__(self) -> None:
        RotatorError.__init__(self, "the secret was frozen since the decision; the next pass decides anew")


class Unconfirmed(Moved):
    """A consumer has taken back what it had confirmed, or can no longer be asked."""

    def __init__(self, why: str) -> None:
        RotatorError.__init__(self, f"{why}; the next pass decides again")


def write_on_top(account: Account, path: str, update: Update, *, alone: bool) -> Fence:
    """Write the secret at `path` on top of the version that was decided on, and return the fence that this is.

    Raises Moved if there is another by now; with `alone`, even if it is the same, but a replica's. What is raised
    is a Transient that is `ambiguous` where the write may have landed all the same.
    """
    written = Version(update.of + 1, update.data)
    may_be_ours = False

    def attempt() -> None:
        nonlocal may_be_ours
        try:
            account.store.write(path, update.data, cas=update.of)
        except RotatorError as error:
            may_be_ours = may_be_ours or error.ambiguous
            raise

    try:
        retry.call(attempt, account.policy, event="vault.retry", sleep=account.stopping.sleep)
    except Conflict:
        # It may be with ourselves, or with a replica that did the same: then what was wanted is done.
        if (alone and not may_be_ours) or account.store.read(path) != written:
            raise Moved from None
    except (BrokenContract, Rejected) as error:
        if not may_be_ours:
            raise
        raise Transient(
            error.message, ambiguous=True, status=error.status, request_id=error.request_id, cure=error.cure
        ) from None
    return Fence(update.of)
