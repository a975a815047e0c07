"""Whatever the gateway, the Vault or a person makes a pass believe: nothing irreversible comes of one witness."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule, run_state_machine_as_test

from rotator.sandbox.dates import Dated
from rotator.sandbox.disguises import previews, times, titles
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status, data_with
from rotator.sandbox.ledger import Quirks
from rotator.sandbox.listing import Lists
from rotator.sandbox.replies import Reply
from tests.facts import PATH, managed
from tests.long import LONG, Figure, examples
from tests.lying import MINUTES, MOST, PATHS, Lying, Tried, lie
from tests.witness import a_copy_of
from tests.world import STATE, World

SAME_DIGEST = ("team-a/backend", "team-2611/backend")
DATES = ["+2d", "+3h", "-3h", "-2d", "doubled +2d", "jumping +2d", "missing", "garbage", "cached"]
TIMES = ["local +5h45m", "local -8h", "year 1", "year 9999", "no milliseconds", "offset +14:00"]
STATUSES = st.sampled_from(["expired", "disabled", "suspended", "Revoked", "ACTIVE"])


class Copied(Lying):
    """A1: a Vault is copied while both sides run."""

    copy: World | None = None

    @precondition(lambda self: self.copy is None and STATE in self.memory.versions)
    @rule()
    def the_vault_is_copied(self) -> None:
        original = replace(self.world, store=self.memory)
        self.copy = a_copy_of(original)

    @precondition(lambda self: self.copy is not None)
    @rule(minutes=MINUTES, forced=st.booleans())
    def a_pass_over_the_copy(self, minutes: int, forced: bool) -> None:
        self.world.advance(minutes=minutes)
        assert self.copy
        self.copy.moved = self.world.moved
        self.go(self.copy, "the copy", forced=forced)


class Lost(Lying):
    """A2: the identity is deleted, and perhaps undeleted."""

    def __init__(self) -> None:
        super().__init__()
        self.known: set[str] = set()
        self.last: str | None = None

    @property
    def lost(self) -> bool:
        return self.memory.versions.get(STATE, [""])[-1] is None

    @precondition(lambda self: STATE in self.memory.versions and not self.lost)
    @lie()
    def the_identity_is_deleted(self) -> None:
        self.memory.delete(STATE)

    @precondition(lambda self: self.lost)
    @lie()
    def the_identity_is_undeleted(self) -> None:
        self.undelete()

    def undelete(self) -> None:
        self.memory.versions[STATE][-1] = self.last

    def hold(self) -> None:
        super().hold()
        if STATE in self.memory.versions and not self.lost:
            self.last = self.memory.versions[STATE][-1]
            self.known.add(self.world.secret(STATE)["installation"])
        assert len(self.known) <= 1, "the identity is another one"

    def heal(self) -> None:
        super().heal()
        if self.lost:
            self.undelete()


class Dates(Lying):
    """A3: clocks that part, for one answer or for many."""

    wrong: ClassVar = {"+2d": 48, "jumping +2d": 48, "-2d": -48, "+3h": 3, "-3h": -3}
    """Of an answer that is dated so, by how many hours."""

    def __init__(self) -> None:
        super().__init__()
        self.said: set[str] = set()

    @lie(
        on=st.sampled_from(["GET /keys", "GET /account/balances", "POST /keys", "* *"]),
        says=st.sampled_from(DATES),
        count=st.sampled_from([1, 1, 2, 5, ALWAYS]),
    )
    def an_answer_is_dated_otherwise(self, on: str, says: str, count: int | None) -> None:
        if not self.agree(says):
            self.said.add(says)
            self.gateway.faults.add(Fault(on, Dated(says), at=Phase.AFTER, times=count))

    @rule()
    def the_dates_are_right_again(self) -> None:
        self.gateway.faults.clear()
        self.said.clear()

    @lie(hours=st.sampled_from([-48, -3, 0, 3, 48]))
    def this_host_s_clock_parts(self, hours: int) -> None:
        skew = timedelta(hours=hours)
        if not any(self.agree(says, skew) for says in self.said):
            self.world.local_skew = skew

    def agree(self, says: str, skew: timedelta | None = None) -> bool:
        """Whether two witnesses would be wrong alike: then nothing tells the time."""
        hours = (self.world.local_skew if skew is None else skew) / timedelta(hours=1)
        return hours != 0 and self.wrong.get(says) == hours

    def heal(self) -> None:
        super().heal()
        self.world.local_skew = timedelta()


class LeaksAndDates(Lying):
    """A4: a leak whose DELETE failed, and one list that is dated back: what has no grace gets none."""

    @lie(says=st.sampled_from(["-2h", "-2d"]))
    def a_list_is_dated_back(self, says: str) -> None:
        self.gateway.faults.add(Fault("GET /keys", Dated(says), at=Phase.AFTER))

    @rule(path=PATHS, fails=st.booleans())
    def a_leak_is_contained(self, path: str, fails: bool) -> None:
        self.promises.leak(path)
        if fails:
            self.gateway.faults.add(Fault("DELETE /keys/*", Status(500), times=4))
        (name,) = [key.name for key in self.world.keys if key.path == path]
        self.go(only=frozenset({name}), forced=True, without_grace=True)
        self.promises.leak(path)
        self.go(only=frozenset({name}))


class Titles(Lying):
    """A5: the list shows titles otherwise than they were sent, or a person renames a key."""

    heals = False

    def __init__(self) -> None:
        super().__init__()
        self.renamed: set[int] = set()

    @lie(how=st.sampled_from(["as sent", "cut 40", "cut 3", "lower", "folded", "html", "nfkc"]))
    def titles_are_shown_otherwise(self, how: str) -> None:
        self.gateway.account.quirks = Quirks(titles=titles(how))

    @lie(at=st.integers(0, 3))
    def a_key_is_renamed(self, at: int) -> None:
        if live := self.world.live:
            self.renamed.add(live[at % len(live)].id)
            self.gateway.account.rename(live[at % len(live)].id, "renamed")

    def none_is_left(self) -> None:
        """What the list calls something else is left to a person."""
        left = {key.id for key in self.world.live} - self.renamed
        assert len(left) <= len(self.world.keys), f"left: {left}"


class Bearers(Lying):
    """A6: a managed key's plaintext is the bearer, too, and previews say too little."""

    heals = False
    twins = 0

    @lie(how=st.sampled_from(["as promised", "weak", "stars", "empty", "equal"]))
    def previews_say_too_little(self, how: str) -> None:
        self.gateway.account.quirks = Quirks(previews=previews(how), revokes_itself=True)

    @precondition(lambda self: not self.world.bearer and self.current(PATH))
    @rule()
    def the_bearer_is_a_managed_key(self) -> None:
        self.world.bearer = self.current(PATH).plaintext
        self.promises.bearer(self.world.bearer)

    @precondition(lambda self: self.twins < 2)
    @lie(path=PATHS)
    def a_person_makes_a_key_of_one_preview(self, path: str) -> None:
        self.twins += 1
        self.promises.by_hand("made by hand", like=self.current(path))

    def none_is_left(self) -> None:
        assert len(self.world.live) <= MOST * len(self.world.keys) + self.twins + 1  # the bearer


class Digests(Lying):
    """A7: two configs over one Vault and account, each with an entry of one name and of paths of one digest."""

    def __init__(self) -> None:
        super().__init__()
        both = tuple(replace(managed(), path=path) for path in SAME_DIGEST)
        self.world.keys = both  # what the promises are about
        self.teams = [replace(self.world, keys=(key,), log=[]) for key in both]

    @rule(minutes=MINUTES, forced=st.booleans(), which=st.integers(0, 1))
    def a_pass(self, minutes: int, forced: bool, which: int) -> None:
        self.world.advance(minutes=minutes)
        self.of_team(which, forced=forced)

    def of_team(self, which: int, **options: Any) -> None:
        team = self.teams[which]
        team.moved = self.world.moved
        super().go(team, f"team {which}", **options)

    def go(self, *_: object, **options: Any) -> Any:
        for which in (0, 1):
            self.of_team(which, **options)


class Blocks(Lying):
    """A8: a block names a key that never stood in its secret."""

    revoke_adopted = True

    @lie(path=PATHS, since=st.sampled_from(["1970-01-01T00:00:00Z"]))
    def a_block_is_written_by_others(self, path: str, since: str) -> None:
        data = self.world.secret(path)
        if "rotation" in data:
            victim = self.promises.to_adopt("of another team")
            superseded = {**data["rotation"]["superseded"], str(victim.id): since}
            self.write_by_hand(path, {**data, "rotation": {**data["rotation"], "superseded": superseded}})

    @lie(path=PATHS)
    def a_key_made_by_hand_is_put_there(self, path: str) -> None:
        key = self.promises.to_adopt("made by hand")
        self.write_by_hand(path, {**self.world.secret(path), "api_key": key.plaintext})

    def none_is_left(self) -> None:
        assert len(self.world.live) >= len(self.world.keys)


class Ids(Lying):
    """A8: ids that were another's before, or are said to be."""

    revoke_adopted = True

    @rule()
    def ids_are_given_again(self) -> None:
        self.gateway.account.quirks = Quirks(reuses_ids=True)

    @lie(at=st.integers(0, 3), title=st.sampled_from(["a person's", "of another team"]))
    def a_key_is_revoked_and_another_made(self, at: int, title: str) -> None:
        if live := self.world.live:
            self.gateway.account.revoke(live[at % len(live)].id)
        self.promises.by_hand(title)

    @lie(ahead=st.integers(-2, 2))
    def a_create_answers_another_id(self, ahead: int) -> None:
        newest = max(key.id for key in self.gateway.account.keys)
        self.gateway.faults.add(Fault("POST /keys", data_with(id=max(1, newest + ahead)), at=Phase.AFTER))

    def none_is_left(self) -> None:
        assert len(self.world.live) >= len(self.world.keys)


class HandMade(Lying):
    """A key that a person made is replaced: only the block still says what it was."""

    def __init__(self) -> None:
        super().__init__()
        self.strangers = [self.promises.by_hand("of somebody") for _ in range(3)]
        self.put_by_hand(PATH)

    @lie(path=PATHS)
    def a_key_made_by_hand_is_put_there(self, path: str) -> None:
        self.put_by_hand(path)

    def put_by_hand(self, path: str) -> None:
        key = self.promises.by_hand("made by hand")
        self.write_by_hand(path, {**self.world.secret(path), "api_key": key.plaintext})

    def none_is_left(self) -> None:
        assert len(self.world.live) >= len(self.world.keys)


class Shifting(HandMade):
    """A9: a list whose rows shift while its pages are read."""

    seed = 1

    @lie(size=st.integers(1, 4), page=st.integers(1, 3), vanishes=st.booleans())
    def the_list_shifts(self, size: int, page: int, vanishes: bool) -> None:
        """A row above vanishes, or a key is made, after so many pages were read."""
        self.gateway.account.quirks = Quirks(page_size=size, lists_revoked=False)

        def now(reply: Reply | None) -> Reply | None:
            if not vanishes:
                self.promises.by_hand("of somebody")
            elif self.strangers:
                self.gateway.account.revoke(self.strangers.pop(0).id)
            return reply

        waits = [Fault("GET /keys", lambda reply: reply, at=Phase.AFTER, times=page - 1)] if page > 1 else []
        self.gateway.faults.add(*waits, Fault("GET /keys", now, at=Phase.AFTER))


class Contradicting(HandMade):
    """A9, B3: a list whose counters contradict each other."""

    @lie(
        lists=st.sampled_from(
            [
                Lists(cursor=True),
                Lists(more_in_total=2),
                Lists(has_more=False, more_in_total=0),
                Lists(shift=1, more_in_total=0),
                Lists(page_ahead=1),
                Lists(cap=1, more_in_total=0),
                Lists(twice=frozenset({3})),
            ]
        ),
        size=st.integers(1, 4),
    )
    def the_list_contradicts_itself(self, lists: Lists, size: int) -> None:
        self.gateway.account.quirks = Quirks(page_size=size, lists=lists)


class Statuses(Lying):
    """B2: words that nobody promised, with or without a 401."""

    heals = False

    @lie(path=PATHS, word=STATUSES, refused=st.booleans())
    def the_current_key_is_called_otherwise(self, path: str, word: str, refused: bool) -> None:
        if key := self.current(path):
            quirks = self.gateway.account.quirks
            dead = quirks.refused | ({key.id} if refused else set())
            self.gateway.account.quirks = Quirks(statuses={**quirks.statuses, key.id: word}, refused=dead)

    def ends_well(self) -> None:
        for _ in range(2):
            self.world.advance(0, minutes=16)
            self.go()
        assert all(self.world.works(key.path) for key in self.world.keys), "a dead key is not replaced"


class CreatedAt(Lying):
    """B9: keys dated in a local time that is labelled UTC, and at the ends of time."""

    heals = False

    @lie(
        how=st.sampled_from(
            ["local +5h45m", "local -8h", "year 1", "year 9999", "no milliseconds", "offset +14:00"]
        )
    )
    def keys_are_dated_otherwise(self, how: str) -> None:
        self.gateway.account.quirks = Quirks(times=times(how))

    def none_is_left(self) -> None:
        super().none_is_left()
        number = self.memory.read(PATH).number
        for _ in range(3):
            self.go()
        assert self.memory.read(PATH).number <= number + 1, "a version in each pass"


class Deletes(Lying):
    """A DELETE that is answered 200 and comes to nothing, or comes late."""

    @lie(lag=st.sampled_from([None, None, timedelta(minutes=5), timedelta(days=1)]))
    def deletes_are_in_vain(self, lag: timedelta | None) -> None:
        self.gateway.account.quirks = Quirks(revoke_lag=lag)

    @rule(minutes=MINUTES)
    def three_passes_in_a_row(self, minutes: int) -> None:
        """What none of them can do, the later ones neither write down again nor call done."""
        self.a_pass(minutes, forced=False)
        self.world.advance(minutes=10)
        self.go()
        number, told = self.memory.read(PATH).number, self.go()
        if self.gateway.account.quirks.revoke_lag is None and (undead := self.undead()):
            with self.judging(1):
                assert told.code == 1, f"exit {told.code}, and {undead} live"
                assert self.memory.read(PATH).number == number, "a version in each pass"

    def undead(self) -> list[int]:
        """The live keys for which DELETE was answered 200."""
        done = [line.path for line in self.gateway.requests if (line.method, line.status) == ("DELETE", 200)]
        return [key.id for key in self.world.live if f"/keys/{key.id}" in done]


KINDS: dict[type[Lying], str] = {
    Lying: "no lie",
    Copied: "A1",
    Lost: "A2",
    Dates: "A3",
    LeaksAndDates: "A4",
    Titles: "A5",
    Bearers: "A6",
    Digests: "A7",
    Blocks: "A8",
    Ids: "A8, ids given again",
    Shifting: "A9",
    Contradicting: "A9, B3",
    Statuses: "B2",
    CreatedAt: "B9",
    Deletes: "a DELETE in vain",
}


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_random_lies(kind: type[Lying], figure: Figure) -> None:
    kind.tried = tried = Tried()
    quick = settings(
        max_examples=examples(8, 1000),
        stateful_step_count=examples(10, 20),
        derandomize=False,
        deadline=None,
        database=None,
        phases=[Stage.generate, Stage.shrink],
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    try:
        run_state_machine_as_test(kind if LONG else seed(kind.seed)(kind), settings=quick)
    finally:
        figure(f"lies, {KINDS[kind]}: {kind.__name__}: {tried}")
