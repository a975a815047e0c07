"""`rotator explain`: it says what `decide` decides. Pure; and what a person sees."""

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from rotator.rules.bookkeeping import WITHOUT_GRACE
from rotator.rules.cadence import CronSchedule, Period
from rotator.rules.explain import Explanation, explain
from rotator.rules.facts import Facts
from rotator.rules.history import Trace
from rotator.rules.holds import Hold
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Kept
from rotator.show.explanation import render
from tests.facts import at, block, facts, key, managed, plaintext, secret

FRESH = secret(block(2, rotated=at(0)))
WEEKLY = CronSchedule("0 3 * * SUN", "Europe/Berlin", timedelta(hours=2))  # at(0) is a Sunday


def shown(explanation: Explanation) -> str:
    return render(
        explanation, Console(file=io.StringIO(), width=80, color_system=None, highlight=False, markup=False)
    )


def reason(observed: Facts, name: Reason) -> tuple[bool, str]:
    (row,) = [row for row in explain(observed).reasons if row.name is name]
    return row.holds, row.text


def holds(observed: Facts) -> list[tuple[bool, str]]:
    """In flight, piled up, omitted, outside its window."""
    return [(row.holds, row.text) for row in explain(observed).holds]


def fate(observed: Facts, id_: int) -> tuple[Kept | None, str]:
    (found,) = [(other.kept, other.text) for other in explain(observed).plan.others if other.key_id == id_]
    return found


class TestReasons:
    @pytest.mark.parametrize(
        ("version", "data", "says"),
        [
            (0, None, "nothing was ever written to its path"),
            (3, None, "version 3 of the secret was deleted"),
            (3, {"endpoint": "x"}, "version 3 of the secret holds no plaintext in the field api_key"),
        ],
    )
    def test_missing(self, version: int, data: dict[str, str] | None, says: str) -> None:
        observed = facts([], data, version=version, now=at(1))
        assert reason(observed, Reason.MISSING) == (True, says)
        assert reason(observed, Reason.REVOKED) == (False, "there is no plaintext that could be refused")
        assert reason(observed, Reason.DUE) == (False, "there is no key that could be due")

    def test_revoked(self) -> None:
        listed = facts([key(2, status="active")], FRESH, now=at(1))
        assert reason(listed, Reason.REVOKED) == (
            False,
            "key 2 is listed as active, so the gateway was not asked",
        )
        dead = facts([key(2, status="revoked")], FRESH, now=at(1), refused=True)
        assert reason(dead, Reason.REVOKED) == (
            True,
            "key 2 is listed as revoked, and the gateway answered 401 to its plaintext",
        )
        odd = facts([key(2, status="revoked")], FRESH, now=at(1))
        assert reason(odd, Reason.REVOKED)[1].endswith("so the gateway was asked, and did not answer 401")
        new = facts([], FRESH, now=at(0, minutes=1))
        assert reason(new, Reason.REVOKED)[1] == (
            "key 2 is not listed, but younger than 2m, so the gateway was not asked"
        )

    def test_due(self) -> None:
        entry = managed(Period(timedelta(days=7), timedelta(hours=4)))
        assert reason(facts([key(2)], FRESH, now=at(3.75), managed_key=entry), Reason.DUE) == (
            False,
            "rotated at 2026-11-01 00:00 UTC, period 7d (spread 4h), so due 2026-11-07 20:00 UTC, in 3d 2h",
        )
        scheduled = facts([key(2)], FRESH, now=at(1), managed_key=managed(WEEKLY))
        assert reason(scheduled, Reason.DUE)[1].endswith(
            "schedule 0 3 * * SUN Europe/Berlin, so due 2026-11-01 02:00 UTC, 22h ago"
        )
        adopted = facts([key(5, ours=False)], {"api_key": plaintext(5)}, now=at(1))
        assert reason(adopted, Reason.DUE)[1].startswith("created at 2026-11-01 00:00 UTC, period 7d, so")
        unknown = facts([], {"api_key": plaintext(5)}, now=at(1))
        assert reason(unknown, Reason.DUE)[0]

    def test_forced_says_what_it_would_do(self) -> None:
        fresh = facts([key(2)], FRESH, now=at(1))
        assert reason(fresh, Reason.FORCED) == (False, "--rotate-now would rotate it at once")
        orphans = [key(10 + n) for n in range(3)]
        many = facts([key(2), *orphans], FRESH, now=at(1), traces={one.id: Trace.ORPHAN for one in orphans})
        assert reason(many, Reason.FORCED)[1] == "--rotate-now would be held, too: backing_off"


class TestHolds:
    def test_all_is_well(self) -> None:
        assert holds(facts([key(2)], FRESH, now=at(1))) == [
            (False, "nobody has frozen it"),
            (False, "there is no orphan"),
            (False, "0 orphans of 3, 0 superseded of 12"),
            (False, "key 2 is listed as created"),
            (False, "it has no window"),
            (False, "the clocks agree, within 5m"),
        ]

    def test_a_young_orphan(self) -> None:
        young, old = key(14, created=at(8) - timedelta(seconds=40)), key(15)
        traces = {14: Trace.ORPHAN, 15: Trace.ORPHAN}
        observed = facts([key(2), young, old], FRESH, now=at(8), traces=traces)
        assert holds(observed)[1:3] == [
            (True, "orphan 14 is 40s old, younger than 2m: another replica may be about to store it"),
            (False, "2 orphans of 3, 0 superseded of 12"),
        ]
        assert explain(observed).verdict == (
            "not rotated now: due, but held: in_flight; the next pass revokes 15"
        )
        forced = facts([key(2), young, old], FRESH, now=at(8), traces=traces, forced=True)
        assert holds(forced)[1] == (
            False,
            "orphan 14 is 40s old, younger than 2m: another replica may be about to store it; "
            "but that does not hold back what is forced",
        )

    def test_more_is_allowed_where_there_is_none_that_works(self) -> None:
        traces = dict.fromkeys(range(10, 34), Trace.PUBLISHED)
        observed = facts(
            [key(id_, created=at(1)) for id_ in traces], None, version=30, now=at(1.5), traces=traces
        )
        assert holds(observed)[2] == (
            True,
            "0 orphans of 3, 24 superseded of 24: making more keys does not help; "
            "one more in each grace of 1d: the youngest is 12h old",
        )

    def test_a_list_that_omits_it(self) -> None:
        says = "the list omits key 2, though it works, so it may omit others"
        assert holds(facts([], FRESH, now=at(8)))[3] == (True, says)
        assert holds(facts([], FRESH, now=at(8), refused=True))[3] == (
            False,
            "key 2 is not listed, and is refused",
        )

    def test_a_window(self) -> None:
        entry = managed(WEEKLY)
        inside = facts([key(2)], FRESH, now=at(7, minutes=150), managed_key=entry)
        assert holds(inside)[4] == (False, "its window is open until 2026-11-08 04:00 UTC, in 1h 30m")
        outside = facts([key(2)], FRESH, now=at(8), managed_key=entry)
        says = "its window is closed, and opens 2026-11-15 02:00 UTC, in 6d 2h"
        assert holds(outside)[4] == (True, says)
        missing = facts([], None, now=at(8), managed_key=entry)
        assert holds(missing)[4] == (False, f"{says}; but that does not hold back what is missing")


class TestOtherKeys:
    DATA = secret(block(2, rotated=at(3), superseded={1: at(3)}))

    def test_superseded(self) -> None:
        listed = [key(1), key(2)]
        assert fate(facts(listed, self.DATA, now=at(3.25)), 1) == (
            Kept.IN_GRACE,
            "superseded 2026-11-04 00:00 UTC, 6h ago; "
            "its grace of 1d ends 2026-11-05 00:00 UTC, in 18h, so it lives on",
        )
        assert fate(facts(listed, self.DATA, now=at(5)), 1) == (
            None,
            "superseded 2026-11-04 00:00 UTC, 2d ago; "
            "its grace of 1d ended 2026-11-05 00:00 UTC, 1d ago, so it is revoked",
        )
        brief = replace(managed(), grace_period=timedelta(seconds=90))
        assert (
            "; its grace of 1m30s ended "
            in fate(facts(listed, self.DATA, now=at(5), managed_key=brief), 1)[1]
        )
        protected = fate(facts(listed, self.DATA, now=at(5), protected=[1]), 1)
        assert protected[0] is Kept.PROTECTED
        assert protected[1].endswith("but it stays: it is the bearer")
        by_hand = fate(facts([key(1, ours=False), key(2)], self.DATA, now=at(5)), 1)
        assert by_hand[0] is Kept.ADOPTED
        assert by_hand[1].endswith("or set revoke_adopted: true")

    def test_superseded_without_grace(self) -> None:
        data = secret(block(2, rotated=at(3), superseded={1: WITHOUT_GRACE}))
        assert fate(facts([key(1), key(2)], data, now=at(3)), 1) == (
            None,
            "superseded; its grace was ended by --revoke-old-now, or its revocation has begun, so it is revoked",
        )

    def test_nothing_has_taken_its_place(self) -> None:
        observed = facts([key(1)], None, version=3, now=at(3), traces={1: Trace.PUBLISHED})
        assert fate(observed, 1)[0] is Kept.WITHOUT_SUCCESSOR

    def test_an_orphan(self) -> None:
        orphan = key(9, created=at(1) - timedelta(minutes=10))
        assert fate(facts([key(2), orphan], FRESH, now=at(1), traces={9: Trace.ORPHAN}), 9) == (
            Kept.YOUNG,
            "created 2026-11-01 23:50 UTC, 10m old, never published; orphan_after is 15m, so it lives on",
        )
        ahead = key(9, created=at(11))
        assert fate(facts([key(2), ahead], FRESH, now=at(1), traces={9: Trace.ORPHAN}), 9) == (
            None,
            "created 2026-11-12 00:00 UTC, dated 10d ahead, never published; orphan_after is 15m, so it is revoked",
        )


class TestNotes:
    def test_adopt(self) -> None:
        observed = facts([key(5, ours=False)], {"api_key": plaintext(5)}, now=at(1))
        assert explain(observed).note == (
            "adopt: somebody put key 5 there, and the bookkeeping that names it is to be written"
        )

    def test_record(self) -> None:
        observed = facts([key(2), key(9)], FRESH, now=at(2), traces={9: Trace.PUBLISHED})
        assert explain(observed).note == "record: published once, and to be named now: 9"


def test_as_a_person_sees_it() -> None:
    orphan = key(14, created=at(8) - timedelta(seconds=40))
    data = secret(block(2, rotated=at(1), superseded={1: at(7.75)}))
    observed = facts([key(1), key(2), orphan], data, now=at(8), traces={14: Trace.ORPHAN})
    assert shown(explain(observed)) == (
        """\
Backend
apimall/backend, as it is 2026-11-09 00:00 UTC

Rotate because (the first ✓ counts)
  –  missing  version 1 of the secret holds a plaintext, in the field api_key
  –  revoked  key 2 is listed as created, so the gateway was not asked
  ✓  due      rotated at 2026-11-02 00:00 UTC, period 7d, so due 2026-11-09
              00:00 UTC, now
  –  forced   --rotate-now would rotate it at once

Hold back because
  –  frozen          nobody has frozen it
  ✓  in_flight       orphan 14 is 40s old, younger than 2m: another replica may
                     be about to store it
  –  backing_off     1 orphan of 3, 1 superseded of 12
  –  backing_off     key 2 is listed as created
  –  outside_window  it has no window
  –  clock           the clocks agree, within 5m

Revoke
  –  superseded 1  superseded 2026-11-08 18:00 UTC, 6h ago; its grace of 1d ends
                   2026-11-09 18:00 UTC, in 18h, so it lives on
  –  orphan 14     created 2026-11-08 23:59 UTC, 40s old, never published;
                   orphan_after is 15m, so it lives on

not rotated now: due, but held: in_flight
"""
    )


def test_what_is_held_back_for_good_names_the_cure_and_warnings_stand_last() -> None:
    lines = shown(explain(facts([], FRESH, now=at(8)))).splitlines()[-3:]
    assert lines == [
        "not rotated now: due, but held: backing_off",
        "cure: ask the gateway's support; or --rotate-now",
        "! key 2 is missing in the gateway's list, yet its plaintext still authenticates",
    ]


def test_as_json() -> None:
    told = explain(facts([key(1), key(2)], TestOtherKeys.DATA, now=at(5))).to_json()
    assert json.loads(json.dumps(told)) == told
    assert (told["rotates"], told["reason"], told["hold"], told["note"]) == (False, None, None, None)
    assert (told["key_id"], told["due_at"]) == (2, "2026-11-11T00:00:00Z")
    assert told["others"][0] == {
        "key_id": 1,
        "victim": "superseded",
        "kept": None,
        "text": told["others"][0]["text"],
    }
    assert told["holds"][4] == {
        "name": Hold.OUTSIDE_WINDOW,
        "holds": False,
        "text": "it has no window",
    }
