"""What cannot be undone takes its evidence as a value, which cannot be made without its witnesses."""

from dataclasses import replace

import pytest

from rotator.errors import Rejected
from rotator.redaction import Secret
from rotator.rules.bookkeeping import WITHOUT_GRACE
from rotator.rules.claims import Claim, Claims
from rotator.rules.evidence import Fence, Proven, Warrant, fenced, to_revoke
from rotator.rules.history import Trace
from rotator.rules.revocations import Revocation, Victim
from tests.facts import at, block, facts, key, secret

SEEN = facts(
    [key(1), key(2), key(9)], secret(block(2, superseded={1: at(0)})), now=at(8), traces={9: Trace.ORPHAN}
)
SUPERSEDED = Revocation(1, Victim.SUPERSEDED, at(0))
ORPHAN = Revocation(9, Victim.ORPHAN, at(3))
PROVEN = Proven(Secret("sk-that-works"))


def test_a_warrant_is_not_made_by_hand() -> None:
    with pytest.raises(TypeError, match="made of its witnesses"):
        Warrant(1, "superseded", object())


def test_it_wants_a_write_and_for_a_superseded_key_a_successor_that_works() -> None:
    for victim in (SUPERSEDED, ORPHAN):
        with pytest.raises(Rejected, match="nothing was written"):
            to_revoke(SEEN, victim, Fence(1), PROVEN)
    with pytest.raises(Rejected, match="was not seen to work"):
        to_revoke(SEEN, SUPERSEDED, Fence(2), None)
    assert to_revoke(SEEN, SUPERSEDED, Fence(2), PROVEN).key_id == 1
    assert to_revoke(SEEN, ORPHAN, Fence(2), None).key_id == 9


@pytest.mark.parametrize(
    ("versions", "stands"), [([1], True), ([2], False), ([1, 2], False), ([2, 1], False), ([], False)]
)
def test_an_orphan_is_fenced_when_its_version_can_never_be_its_own(versions: list[int], stands: bool) -> None:
    """Two claims of one moment: which of them the orphan is of cannot be told by the time."""
    kept = tuple(Claim(version, at(3), (f"{version:08x}",)) for version in versions)
    assert bool(fenced(replace(SEEN, claims=Claims(1, kept)), ORPHAN)) is stands


def test_a_superseded_key_is_fenced_when_its_mark_is_in_the_very_version_that_was_read() -> None:
    marked = replace(SUPERSEDED, since=WITHOUT_GRACE)
    assert fenced(SEEN, marked)
    assert fenced(SEEN, SUPERSEDED) is None
    later = replace(SEEN, version=replace(SEEN.version, number=2))
    assert fenced(later, marked) is None
