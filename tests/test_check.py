"""The words of `rotator check`, and what hangs on what. Nobody is asked."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from rich.console import Console

from rotator.check import Finding, State, grants, settings
from rotator.check.findings import Check, bad, note, ok, run_all, to_json, well
from rotator.check.gateway import clock, list_size
from rotator.check.lines import render, render_sum
from rotator.check.vault import token
from rotator.clients.gateway.client import MAX_ANSWER_BYTES, MAX_LIST_BYTES, MAX_PAGES, Listing
from rotator.clients.vault.answers import TokenFacts
from rotator.errors import Rejected
from rotator.rules.cadence import CronSchedule, Every, Period
from rotator.rules.model import ManagedKey
from rotator.rules.titles import DEFAULT_TEMPLATE, TitleTemplate
from tests.facts import DAY, managed

HOUR, DAYS = timedelta(hours=1), timedelta(days=1)
ALL, SOME = ("create", "read", "update"), ("create", "read")


def keys(count: int, **fields: object) -> list[ManagedKey]:
    return [replace(managed(), name=f"K{n}", path=f"apimall/k{n}", **fields) for n in range(count)]  # type: ignore[arg-type]


class TestOrder:
    def test_what_needs_a_failed_one_is_not_tried_and_names_the_root(self) -> None:
        def refuse() -> Iterator[Finding]:
            raise Rejected("refused", cure="ask", request_id="req_1")

        def never() -> Iterator[Finding]:
            raise AssertionError("was tried")

        checks = [
            Check("a", lambda: [ok("well"), note("well, but", "mend")]),
            Check("b", refuse, needs=("a",)),
            Check("c", never, needs=("b",)),
            Check("d", never, needs=("a", "c")),
            Check("e", lambda: [ok("well")]),
        ]
        found = list(run_all(checks))
        assert [(name, finding.state) for name, finding in found] == [
            ("a", State.OK),
            ("a", State.NOTE),
            ("b", State.BAD),
            ("c", State.SKIPPED),
            ("d", State.SKIPPED),
            ("e", State.OK),
        ]
        assert found[2][1] == Finding(State.BAD, "refused", "ask", "req_1")
        assert found[4][1].seen == "not tried: it needs b"

    def test_each_is_there_before_the_next_is_tried(self) -> None:
        tried: list[str] = []

        def attempt(name: str) -> Iterator[Finding]:
            tried.append(name)
            yield ok(name)

        next(run_all([Check("a", lambda: attempt("a")), Check("b", lambda: attempt("b"))]))
        assert tried == ["a"]

    def test_a_note_is_well_and_what_is_bad_is_not(self) -> None:
        assert well([("a", ok("")), ("b", note("", "")), ("c", Finding(State.SKIPPED, ""))])
        assert not well([("a", ok("")), ("b", bad("", ""))])
        assert to_json([("a", bad("seen", "mend"))]) == {
            "well": False,
            "checks": [{"name": "a", "state": "bad", "seen": "seen", "cure": "mend", "request_id": None}],
        }


class TestRules:
    def test_the_longest_title_parses_back(self) -> None:
        long = replace(managed(), name="n" * 64)
        (found,) = settings.longest_title(TitleTemplate(), [managed(), long])
        assert (found.state, found.seen[:30]) == (State.OK, "the longest has 103 characters")

    @pytest.mark.parametrize(("length", "state"), [(200, State.OK), (201, State.NOTE)])
    def test_a_long_title_is_worth_a_note(self, length: int, state: State) -> None:
        usual = len(TitleTemplate().render("Backend", now=DAY, installation="0" * 6, nonce="0" * 8))
        template = DEFAULT_TEMPLATE + "]" * (length - usual)
        (found,) = settings.longest_title(TitleTemplate(template), [managed()])
        assert (found.state, f"{length} characters" in found.seen) == (state, True)

    @pytest.mark.parametrize(
        ("grace", "state"), [(timedelta(minutes=71), State.NOTE), (timedelta(minutes=72), State.OK)]
    )
    def test_a_grace_shorter_than_what_consumers_need(self, grace: timedelta, state: State) -> None:
        found = list(settings.grace_periods([*keys(2), *keys(1, grace_period=grace)]))
        assert [finding.state for finding in found] == [state]
        assert ("1h11m for K0: shorter than the 1h12m" in found[0].seen) == (state is State.NOTE)

    def test_many_keys_are_one_line(self) -> None:
        found = list(
            settings.grace_periods([*keys(1000, grace_period=HOUR), *keys(500, grace_period=HOUR / 2)])
        )
        assert [finding.seen.partition(":")[0] for finding in found] == [
            "30m for K0, K1, K2 and 497 more",
            "1h for K0, K1, K2 and 997 more",
        ]

    @pytest.mark.parametrize(
        ("window", "passes", "state"),
        [
            (timedelta(minutes=10), Every(timedelta(minutes=9), timedelta(minutes=1)), State.NOTE),
            (timedelta(minutes=11), Every(timedelta(minutes=9), timedelta(minutes=1)), State.OK),
            (timedelta(minutes=30), CronSchedule("0 * * * *"), State.NOTE),
            (None, CronSchedule("0 * * * *"), State.OK),
        ],
    )
    def test_a_window_between_two_passes(
        self, window: timedelta | None, passes: Every | CronSchedule, state: State
    ) -> None:
        (found,) = settings.schedule(passes, [managed(CronSchedule("0 3 * * SUN", window=window))])
        assert found.state is state
        assert ("rotation_window of Backend" in found.seen) == (state is State.NOTE)

    def test_a_period_shorter_than_the_time_between_passes(self) -> None:
        (found,) = settings.schedule(Every(HOUR, timedelta()), [managed(Period(HOUR / 2))])
        assert (found.state, "Backend: due more often than every 1h" in found.seen) == (State.NOTE, True)


class TestToken:
    @pytest.mark.parametrize(
        ("ttl", "static", "state", "says"),
        [
            (None, True, State.OK, "does not expire"),
            (timedelta(seconds=359), False, State.BAD, "a rotation may take 6m"),
            (timedelta(seconds=359), True, State.BAD, "a rotation may take 6m"),
            (timedelta(seconds=360), False, State.OK, "expires in 6m, renewable"),
            (timedelta(hours=23), True, State.NOTE, "does not renew it"),
            (timedelta(hours=24), True, State.OK, "expires in 1d"),
        ],
    )
    def test_its_life(self, ttl: timedelta | None, static: bool, state: State, says: str) -> None:
        found = token(TokenFacts(ttl, True, ()), timedelta(minutes=6), static=static)
        assert (found.state, says in found.seen) == (state, True)
        assert (found.cure is None) == (state is State.OK)

    def test_one_that_may_be_used_up_is_for_no_rotation(self) -> None:
        counted = TokenFacts(None, False, (), uses=30)
        assert "30 more requests" in token(counted, HOUR, static=True).seen
        assert token(counted, HOUR, static=True).state is State.BAD
        assert token(counted, HOUR, static=False).state is State.OK  # there is another when it is used up

    def test_the_cure_fits_the_login(self) -> None:
        facts = TokenFacts(timedelta(minutes=1), False, ())
        assert "vault token create" in str(token(facts, HOUR, static=True).cure)
        assert token(facts, HOUR, static=False).cure == "raise the token_ttl of its role"


class TestPolicy:
    def test_nothing_is_missing(self) -> None:
        (found,) = grants.judged("kv", dict.fromkeys((f"a/{n}" for n in range(1000)), ALL), {})
        assert found == ok("nothing is missing on 1,000 paths below kv/data/")

    def test_one_glob_where_all_of_a_folder_lack_the_same(self) -> None:
        needed = dict.fromkeys((f"apimall/k{n}" for n in range(1000)), ALL)
        (found,) = grants.judged("kv", needed, dict.fromkeys(needed, ("update",)))
        assert found.state is State.BAD
        assert found.seen == (
            "the token lacks update on kv/data/apimall/k0, kv/data/apimall/k1, kv/data/apimall/k2 and 997 more"
        )
        assert found.cure == (
            "grant in a policy of the token:\n"
            'path "kv/data/apimall/*" {\n  capabilities = ["create", "read", "update"]\n}'
        )

    def test_a_block_for_each_path_where_others_of_the_folder_lack_nothing(self) -> None:
        needed = {"apimall/a": ALL, "apimall/b": ALL, "apimall/c": ALL, "rotator/installation": SOME}
        lacking = {"apimall/a": ("update",), "apimall/b": ("update",), "rotator/installation": ("read",)}
        first, second = grants.judged("kv", needed, lacking)
        assert str(first.cure).count("path ") == 2
        assert 'path "kv/data/apimall/b"' in str(first.cure)
        assert str(second.cure).endswith(
            'path "kv/data/rotator/installation" {\n  capabilities = ["create", "read"]\n}'
        )

    def test_no_glob_over_a_whole_mount_nor_over_unlike_needs(self) -> None:
        for needed in ({"a": ALL, "b": ALL}, {"apimall/a": ALL, "apimall/rotator": ("read",)}):
            for found in grants.judged("kv", needed, dict.fromkeys(needed, ("read",))):
                assert "*" not in str(found.cure)

    def test_very_many_blocks_are_counted_and_names_are_quoted(self) -> None:
        needed = dict.fromkeys((f'team{n}/a "b"' for n in range(23)), ALL)
        (found,) = grants.judged("kv", needed, dict.fromkeys(needed, ALL))
        assert 'path "kv/data/team0/a \\"b\\"" {' in str(found.cure)
        assert str(found.cure).endswith("}\n# and 3 more")


class TestGateway:
    @pytest.mark.parametrize(
        ("seconds", "state", "says"),
        [
            (0, State.OK, "the same"),
            (60, State.OK, "1m ahead"),
            (-60, State.OK, "1m behind"),
            (300, State.OK, "5m ahead, within clock_tolerance"),
            (301, State.BAD, "5m ahead, beyond clock_tolerance (5m)"),
            (-7200, State.BAD, "2h behind"),
        ],
    )
    def test_the_clock(self, seconds: int, state: State, says: str) -> None:
        found = clock(DAY, DAY + timedelta(seconds=seconds), timedelta(minutes=5))
        assert (found.state, says in found.seen) == (state, True)

    @pytest.mark.parametrize(
        ("pages", "size", "largest", "state", "says"),
        [
            (1, 400, 400, State.OK, "1 page, 400 bytes: under 1% of the bound"),
            (MAX_PAGES // 2, 0, 0, State.NOTE, "50% of the bound of 10,000 pages"),
            (1, MAX_LIST_BYTES * 3 // 4, 0, State.NOTE, "75% of the bound of 256 MiB in all"),
            (1, 0, MAX_ANSWER_BYTES, State.NOTE, "100% of the bound of 16 MiB in one answer"),
            (1, 0, MAX_ANSWER_BYTES // 4, State.OK, "25%"),
        ],
    )
    def test_the_list(self, pages: int, size: int, largest: int, state: State, says: str) -> None:
        found = list_size(Listing(DAY, (), None, pages, size, largest))
        assert (found.state, says in found.seen) == (state, True)


class TestLines:
    CONSOLE = Console(width=80, highlight=False, markup=False)

    def test_what_is_long_hangs_and_what_is_to_be_copied_is_whole(self) -> None:
        finding = Finding(
            State.BAD,
            "word " * 30,
            "grant " * 12 + ":\n  first line\n    second",
            "req_01KAN2W3J5B7C9D1F3G5H7K9M1",
        )
        lines = render("Vault policy", finding, self.CONSOLE).splitlines()
        assert lines[0].startswith("✗ Vault policy    word word")
        assert all(line.startswith(" " * 18) for line in lines[1:])
        assert max(map(len, lines)) <= 80
        assert [line[18:] for line in lines[-2:]] == ["  first line", "    second"]
        assert any(line.endswith("(request_id req_01KAN2W3J5B7C9D1F3G5H7K9M1)") for line in lines)

    def test_a_command_is_not_broken(self) -> None:
        finding = bad("x", "issue another one with this: `vault token create -policy=rotator`")
        assert "  vault token create -policy=rotator\n" in render("a", finding, self.CONSOLE)

    @pytest.mark.parametrize(
        ("state", "mark"),
        [(State.OK, "✓"), (State.NOTE, "!"), (State.BAD, "✗"), (State.SKIPPED, "\N{EN DASH}")],
    )
    def test_the_marks(self, state: State, mark: str) -> None:
        assert render("a", Finding(state, "seen"), self.CONSOLE) == f"{mark} a{' ' * 15}seen\n"

    def test_the_sum(self) -> None:
        found = [("a", ok("")), ("b", bad("", "")), ("c", Finding(State.SKIPPED, ""))]
        assert render_sum(found, self.CONSOLE) == "3 checks: 1 ok, 1 failed, 1 not tried\n"
        assert render_sum(found[:1], self.CONSOLE) == "1 check: 1 ok\n"
