"""What cannot be undone takes its evidence as a value, which cannot be made without its witnesses."""

from dataclasses import replace

import pytest

from rotator.errors import Rejected
from rotator.redaction import Secret
from rotator.rules.bookkeeping import WITHOUT_GRACE, Rotation
from rotator.rules.claims import Claim, Claims
from rotator.rules.evidence import Fence, Proven, Update, Warrant, fenced, to_revoke, to_update
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
    with pytest.raises(TypeError, match="given on evidence"):
        Warrant(object(), 1)
    with pytest.raises(TypeError, match="given on evidence"):
        Update(object(), {}, 1)


def test_it_wants_a_write_and_for_a_superseded_key_a_successor_that_works() -> None:
    for victim in (SUPERSEDED, ORPHAN):
        with pytest.raises(Rejected, match="nothing was written"):
            to_revoke(SEEN, victim, Fence(0), PROVEN)
    with pytest.raises(Rejected, match="was not seen to work"):
        to_revoke(SEEN, SUPERSEDED, Fence(1), None)
    with pytest.raises(Rejected, match="nothing was written"):
        to_revoke(SEEN, SUPERSEDED, Fence(1, key_id=9), PROVEN)  # an earlier pass wrote that one, for another
    assert to_revoke(SEEN, SUPERSEDED, Fence(1), PROVEN).key_id == 1
    assert to_revoke(SEEN, ORPHAN, Fence(1), None).key_id == 9


class TestUpdate:
    """A write over a secret forgets nothing on one list's word, and dates nothing while the clocks part."""

    def test_it_writes_what_was_proven_on_top_of_what_was_read(self) -> None:
        update = to_update(SEEN, block(3, superseded={1: at(0), 2: at(8)}), None, PROVEN)
        assert (update.of, update.data["api_key"]) == (1, "sk-that-works")
        assert "sk-" not in repr(update)

    def test_without_bookkeeping_the_secret_stays_as_it_is(self) -> None:
        assert to_update(SEEN, None, "the clocks part").data == SEEN.version.data

    @pytest.mark.parametrize("gone", [None, frozenset(), frozenset({1}), frozenset({1, 2})])
    def test_a_key_is_forgotten_when_two_lists_agree(self, gone: frozenset[int] | None) -> None:
        seen = replace(SEEN, gone=gone)
        for id_, kept in ((1, {2: at(8)}), (2, {1: at(0)})):
            if id_ in (gone or ()):
                to_update(seen, block(3, superseded=kept), None)
            else:
                with pytest.raises(Rejected, match=f"key {id_} would be forgotten"):
                    to_update(seen, block(3, superseded=kept), None)

    @pytest.mark.parametrize(
        ("rotation", "undated"),
        [
            (block(2, superseded={1: at(0)}), set()),
            (block(2, superseded={1: at(1)}), {"1"}),
            (block(2, rotated=at(8), superseded={1: at(0)}), {"rotated_at"}),
            (block(3, superseded={1: at(0), 2: at(8)}), {"rotated_at", "2"}),
        ],
    )
    def test_while_the_clocks_part_no_moment_is_written(self, rotation: Rotation, undated: set[str]) -> None:
        def without(doubt: str | None) -> set[str]:
            written = to_update(SEEN, rotation, doubt).data["rotation"]
            dates = {"rotated_at": written["rotated_at"], **written["superseded"]}
            return {name for name, at_ in dates.items() if at_ is None}

        assert without(None) == set()
        assert without("the clocks part") == undated

    def test_no_grace_is_ended_then_unless_an_operator_ends_it(self) -> None:
        ended = block(3, superseded={1: WITHOUT_GRACE, 2: WITHOUT_GRACE})
        with pytest.raises(Rejected, match="held: clock"):
            to_update(SEEN, ended, "the clocks part")
        leak = to_update(replace(SEEN, without_grace=True), ended, "the clocks part").data["rotation"]
        assert leak["superseded"]["2"].startswith("1970")
        assert leak["rotated_at"] is None


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
