"""A freeze: what a secret's custom metadata says, how long it keeps what, and what passes it."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.redaction import MARK, MAX_WORDS, remember
from rotator.rules.bookkeeping import WITHOUT_GRACE
from rotator.rules.decide import Plan, decide
from rotator.rules.facts import Facts
from rotator.rules.freeze import (
    FIELD,
    LONGEST,
    Freeze,
    end_of,
    parse_moment,
    parse_until,
    read_freeze,
    write_freeze,
)
from rotator.rules.given import LONGEST_REASON, fault_of_reason
from rotator.rules.history import Trace
from rotator.rules.holds import Hold
from rotator.rules.owner import NOBODY, Owner, read_owner
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Kept, Victim
from rotator.rules.times import parse_time
from tests.facts import DAY, any_facts, at, block, facts, key, plaintext, secret

NOW = at(8)
FRESH = secret(block(2, rotated=at(0)))
REPLACED = secret(block(2, rotated=at(3), superseded={1: at(3)}))
PERIOD, GRACE = timedelta(days=7), timedelta(days=1)


def frozen(until: datetime | str, reason: str = "a sale") -> dict[str, str]:
    return {FIELD: write_freeze(until, reason) if isinstance(until, datetime) else f"{until} {reason}"}


def due(until: datetime | str, now: datetime = NOW, **options: Any) -> Plan:
    """A key that is due a week after at(0)."""
    return decide(facts([key(2)], FRESH, now=now, custom=frozen(until), **options))


def superseded(until: datetime | str, now: datetime = NOW, data: dict[str, Any] = REPLACED) -> Plan:
    """A key that goes a day after at(3)."""
    return decide(facts([key(1), key(2)], data, now=now, custom=frozen(until)))


class TestRead:
    @pytest.mark.parametrize(
        ("text", "until", "reason"),
        [
            ("2026-11-20T00:00:00Z a sale", at(19), "a sale"),
            ("2026-11-20T01:30:00+01:30 a sale", at(19), "a sale"),
            ("2026-11-20T00:00Z", at(19), ""),
            ("2026-11-20 a sale", at(19), "a sale"),
            ("  2026-11-20   a  sale ", at(19), "a  sale"),
            ("2026-11-20 06:00:00Z a sale", at(19.25), "a sale"),
            ("2026-11-20 6 shops move", at(19), "6 shops move"),
            ("2026-11-20T00:00:00Z 10:30 they move", at(19), "10:30 they move"),
        ],
    )
    def test_a_time_and_a_reason(self, text: str, until: datetime, reason: str) -> None:
        assert read_freeze({FIELD: text, "owner": "somebody"}) == Freeze(until, reason)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "a sale",
            "2026-11-20T00:00:00 a sale",
            "2026-11-20 06:00 a sale",
            "2026-13-20 a sale",
            "7d a sale",
            "0001-01-01T00:00:00+14:00 a sale",
            "5",
        ],
    )
    def test_what_cannot_be_read_has_no_end_of_its_own(self, text: str) -> None:
        assert read_freeze({FIELD: text}) == Freeze(None, text.strip())

    def test_none(self) -> None:
        assert read_freeze({}) is None
        assert read_freeze({"owner": "x"}) is None

    def test_the_reason_is_bounded_printable_and_redacted(self) -> None:
        remember("a-secret-of-this-process")
        text = f"2026-11-20 {plaintext(7)} a-secret-of-this-process \x1b[31m\u202e{'long ' * 300_000}"
        freeze = read_freeze({FIELD: text})
        assert freeze
        assert freeze.until == at(19)
        assert freeze.reason.startswith(f"{MARK} {MARK} [31mlong ")
        assert len(freeze.reason) <= MAX_WORDS
        assert freeze.reason.isprintable()

    @given(st.datetimes(timezones=st.just(DAY.tzinfo)), st.text(max_size=40))
    def test_what_is_written_is_read(self, until: datetime, reason: str) -> None:
        read = read_freeze({FIELD: write_freeze(until, reason)})
        assert read
        assert read.until == parse_time(until.replace(microsecond=0).isoformat())

    @given(st.text())
    def test_whatever_stands_there_is_read_somehow(self, text: str) -> None:
        assert read_freeze({FIELD: text})

    @pytest.mark.parametrize("text", ["2026-11-20T00:00:00", "tomorrow", "", "20 Nov 2026"])
    def test_a_moment_without_an_offset_is_none(self, text: str) -> None:
        with pytest.raises(ValueError):
            parse_moment(text)


class TestHolds:
    def test_a_due_rotation_until_it_ends(self) -> None:
        plan = due(at(9))
        assert (plan.reason, plan.hold, plan.rotates, plan.frozen_until) == (
            Reason.DUE,
            Hold.FROZEN,
            False,
            at(9),
        )
        assert plan.held
        assert plan.held.text == "frozen until 2026-11-10 00:00 UTC, in 1d: a sale"
        assert plan.held.cure is None
        assert plan.warnings == ()
        assert due(at(9), now=at(9)).rotates

    def test_not_what_is_missing_revoked_or_forced(self) -> None:
        assert due(at(9), refused=True).rotates
        assert due(at(9), forced=True).rotates
        assert decide(facts([], None, version=3, now=NOW, custom=frozen(at(9)))).rotates

    def test_the_name_of_what_holds_is_the_persons_first(self) -> None:
        young = key(9, created=NOW)
        plan = decide(facts([key(2), young], FRESH, now=NOW, traces={9: Trace.ORPHAN}, custom=frozen(at(9))))
        assert plan.hold is Hold.FROZEN

    @pytest.mark.parametrize("until", ["2099-01-01", "tomorrow", "2026-11-20T00:00:00"])
    def test_whatever_it_says_no_rotation_waits_for_longer_than_its_bound(self, until: str) -> None:
        last = at(7) + LONGEST
        assert due(until, now=last - timedelta(seconds=1)).hold is Hold.FROZEN
        plan = due("2099-01-01" if until.startswith("2026") else until, now=last)
        assert plan.rotates
        assert plan.frozen_until is None

    def test_a_key_that_is_not_known_waits_since_its_version_was_written(self) -> None:
        def unknown(now: datetime, written: datetime | None) -> Plan:
            found = facts([key(2)], {"api_key": plaintext(5)}, now=now, traces={2: Trace.ORPHAN})
            version = replace(found.version, custom=frozen("2099-01-01"), written_at=written)
            return decide(replace(found, version=version))

        assert unknown(NOW, at(1)).hold is Hold.FROZEN
        assert unknown(at(1) + LONGEST, at(1)).rotates
        assert unknown(NOW, None).rotates, "nothing would bound it"

    def test_one_that_is_not_due_says_until_when_it_will_wait(self) -> None:
        plan = due(at(9), now=at(6))
        assert (plan.reason, plan.hold, plan.frozen_until) == (None, None, at(9))
        assert due(at(6.5), now=at(6)).frozen_until is None


class TestKeeps:
    def test_a_superseded_key_until_it_ends(self) -> None:
        (other,) = superseded(at(9)).others
        assert (other.kept, other.goes_at) == (Kept.FROZEN, at(9))
        assert other.text.endswith("but the secret is frozen until 2026-11-10 00:00 UTC, in 1d")
        assert [gone.key_id for gone in superseded(at(9), now=at(9)).revocations] == [1]

    def test_in_its_grace_it_is_said_when_it_goes(self) -> None:
        (other,) = superseded(at(9), now=at(3.5)).others
        assert (other.kept, other.goes_at) == (Kept.IN_GRACE, at(9))

    @pytest.mark.parametrize("until", ["2099-01-01", "tomorrow"])
    def test_whatever_it_says_no_revocation_waits_for_longer_than_its_bound(self, until: str) -> None:
        last = at(4) + LONGEST
        (other,) = superseded(until, now=last - timedelta(seconds=1)).others
        assert (other.kept, other.goes_at) == (Kept.FROZEN, last)
        assert superseded(until, now=last).revocations != ()

    def test_one_whose_revocation_has_begun(self) -> None:
        begun = secret(block(2, rotated=at(3), superseded={1: WITHOUT_GRACE}))
        (other,) = superseded(at(9), data=begun).others
        assert (other.kept, other.goes_at) == (Kept.FROZEN, at(9))
        assert superseded("2099-01-01", now=at(4) + LONGEST, data=begun).revocations != ()

    def test_not_one_that_leaked(self) -> None:
        data = secret(block(2, rotated=at(3), superseded={1: WITHOUT_GRACE}))
        found = facts([key(1), key(2)], data, now=NOW, custom=frozen(at(9)))
        assert decide(replace(found, leaked=frozenset({1}))).revocations != ()
        assert decide(replace(found, without_grace=True)).revocations != ()

    def test_not_an_orphan_which_nobody_holds(self) -> None:
        orphan = key(9, created=at(1))
        found = facts([key(2), orphan], FRESH, now=at(2), traces={9: Trace.ORPHAN}, custom=frozen(at(9)))
        assert [gone.victim for gone in decide(found).revocations] == [Victim.ORPHAN]

    def test_the_bookkeeping_is_written_all_the_same(self) -> None:
        found = facts([key(2), key(9)], FRESH, now=at(2), traces={9: Trace.PUBLISHED}, custom=frozen(at(9)))
        assert decide(found).note is not None


class TestSays:
    def test_that_it_is_over_and_how_to_remove_it(self) -> None:
        plan = due(at(6))
        assert plan.rotates
        assert plan.warnings == (
            "its freeze ended 2026-11-07 00:00 UTC, 2d ago, and holds nothing back; remove it with: "
            "rotator release 'Backend'",
        )

    def test_that_it_cannot_be_read_and_how_to_end_it(self) -> None:
        (warning,) = due("tomorrow").warnings
        assert "cannot be read, and so freezes it" in warning
        assert warning.endswith("at the latest; end it with: rotator release 'Backend'")

    def test_that_a_rotation_goes_on_before_it_ends(self) -> None:
        """One that is renewed again and again, or set when the key was due already."""
        bound = at(7) + LONGEST
        assert due(bound).warnings == ()
        (warning,) = due(NOW + LONGEST).warnings
        assert warning == (
            "its freeze ends 2027-02-07 00:00 UTC, in 90d, but keeps nothing for longer than 90d: the rotation "
            "that was due 2026-11-08 00:00 UTC, 1d ago, goes on 2027-02-06 00:00 UTC, in 89d"
        )
        (warning,) = due(bound + timedelta(days=2), now=bound).warnings
        assert warning.endswith("the rotation that was due 2026-11-08 00:00 UTC, 90d ago, waits no longer")

    def test_that_it_is_too_long(self) -> None:
        (warning,) = due(NOW + LONGEST + timedelta(seconds=1)).warnings
        assert "more than 90d ahead" in warning


@given(any_facts())
def test_a_freeze_only_keeps_and_never_adds(seen: Facts) -> None:
    """Whatever is there: with a freeze, fewer due rotations, fewer revocations, and nothing else."""
    with_it, without = decide(seen), decide(replace(seen, version=replace(seen.version, custom={})))
    assert with_it.reason is without.reason
    assert (not with_it.rotates) or without.rotates
    assert set(with_it.revocations) <= set(without.revocations)
    if with_it.rotates is not without.rotates:
        assert (with_it.reason, with_it.hold) == (Reason.DUE, Hold.FROZEN)
    kept = {gone.key_id for gone in set(without.revocations) - set(with_it.revocations)}
    assert kept == {one.key_id for one in with_it.others if one.kept is Kept.FROZEN and one.key_id in kept}
    bounded = [one.goes_at for one in with_it.others if one.kept is Kept.FROZEN and one.goes_at]
    assert all(goes_at <= seen.now + LONGEST for goes_at in bounded)


class TestOwner:
    def test_who_and_where(self) -> None:
        owner = read_owner({"owner": "Payments", "contact": "#payments", "x": "y"})
        assert owner == Owner("Payments", "#payments")
        assert str(owner) == "Payments, #payments"
        assert read_owner({"contact": "#payments"}) == Owner(None, "#payments")
        assert read_owner({}) is read_owner({"owner": " ", "contact": "\x00"}) is NOBODY

    def test_it_is_bounded_printable_and_redacted(self) -> None:
        owner = read_owner({"owner": "who " * 300_000, "contact": f"call \x1b[31m {plaintext(7)}"})
        assert owner.contact == f"call [31m {MARK}"
        assert 0 < len(owner.owner or "") <= MAX_WORDS


class TestWhatAPersonTypes:
    @pytest.mark.parametrize(
        ("text", "ends"),
        [
            ("7d", NOW + timedelta(days=7)),
            ("1h30m", NOW + timedelta(hours=1.5)),
            ("90d", NOW + LONGEST),
            ("2026-11-20", at(19)),
            ("2026-11-20T01:00:00+01:00", at(19)),
        ],
    )
    def test_an_end(self, text: str, ends: datetime) -> None:
        assert end_of(parse_until(text), NOW) == ends

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("yesterday", "is not a duration"),
            ("7", "7 has no unit; write 7d, 7h, 7m or 7s; or a time"),
            ("-7d", "is not a duration"),
            ("", "is not a duration"),
            ("0", "is past: by the gateway's clock it is 2026-11-09 00:00 UTC"),
            ("2020-01-01", "is past: by the gateway's clock it is "),
            ("91d", "is more than 90d ahead; write 2027-02-07T00:00:00Z at the latest"),
            ("2999-01-01T00:00:00Z", "is more than 90d ahead; write "),
            ("99999d", "is out of range"),
            ("2026-12-24T18:00:00", "write one with its offset"),
            ("2026-12-24 18:00", "write one with its offset"),
            ("2026-13-24", "write one with its offset"),
        ],
    )
    def test_an_end_that_is_none(self, text: str, says: str) -> None:
        with pytest.raises(ValueError, match=re.escape(says)):
            end_of(parse_until(text), NOW)

    def test_the_longest_value_fits_into_vault(self) -> None:
        reason = "\U0001d54f" * LONGEST_REASON
        assert fault_of_reason(reason) is None
        assert len(write_freeze(NOW, reason).encode()) <= 512
