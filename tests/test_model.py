"""Random histories: whatever fails, in whatever order, the safety promises hold after every step; and when the
faults stop, all is well two passes after `orphan_after`.

One history is driven over the sandbox's gateway and a real Vault-API server, both over HTTP.
"""

import functools
import io
import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis import Phase as Stage
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from rotator.clients.vault.client import Vault
from rotator.clients.within import TooSlow
from rotator.errors import Rejected, RotatorError, Transient
from rotator.printing import log
from rotator.redaction import Secret
from rotator.rules.bookkeeping import FIELD
from rotator.rules.freeze import FIELD as HOLD
from rotator.rules.freeze import write_freeze
from rotator.rules.model import CopyTarget, Receiver
from rotator.sandbox.faults import ALWAYS, GARBAGE, Action, Cut, Delay, Fault, Phase, Status, Truncate
from rotator.sandbox.ledger import Lag, Quirks
from rotator.sandbox.replies import Breakage
from tests.facts import PATH, TIMING, managed
from tests.far import NO_ANSWER, FarVault
from tests.interleave import Replica
from tests.leaks import leaks
from tests.long import LONG, Tally, examples
from tests.promises import Promises
from tests.proxy import Proxy
from tests.raft import RaftVault
from tests.stores import Lagging
from tests.traffic import Traffic
from tests.vaults import connect_to, new_kv
from tests.world import Gate, World, later, new_server

OTHER = "apimall/reporting"
COPY = "team/reporting"
NAMES = {PATH: "Backend", OTHER: "Reporting"}
PATHS = st.sampled_from(sorted(NAMES))
AT_ONCE = timedelta(milliseconds=30)
PATIENCE = 0.4
"""Seconds until a request times out."""
LONG_PATIENCE = 20.0
PARTS = 4
"""Each a test of its own, so that they can be run beside each other."""
COVERED: Counter[str] = Counter()
"""What all histories did, for the report."""

STATUSES = {str(status): Status(status) for status in (400, 401, 403, 404, 429, 500, 502, 503)}
BEFORE: dict[str, Action] = {
    **STATUSES,
    "429 with Retry-After": Status(429, retry_after="1"),
    "reset": Cut(),
    "close": Cut(Breakage.CLOSE),
    "delay past the time-out": Delay(PATIENCE * 1.5),
}
AFTER: dict[str, Action] = {
    **STATUSES,
    **{name: action for name, action in GARBAGE.items() if name != "deep json"},
    "reset": Cut(),
    "close": Cut(Breakage.CLOSE),
    "truncated": Truncate(),
    "delay past the time-out": Delay(PATIENCE * 1.5),
}
# A refusal is final: Vault does not execute what it answers with a 4xx.
VAULT_AFTER = {
    name: AFTER[name]
    for name in (
        "500",
        "502",
        "503",
        "reset",
        "close",
        "truncated",
        "html",
        "empty",
        "null",
        "array",
        "cut json",
    )
}
GATEWAY_CALLS = ["POST /keys", "POST /keys", "GET /keys", "GET /account/balances", "DELETE /keys/*", "* *"]
MOODS = ["is gone", "takes it", "redirects", "takes it, too slowly", "lies", "takes it"]
"""What the receiver of a consumer does that is told."""
LIMIT = timedelta(days=3)
"""So long a consumer keeps a superseded key alive at most."""
MINUTES = st.sampled_from([0, 1, 3, 16, 60 * 12, 60 * 24 + 1, 60 * 24 * 7])
TIMES = st.sampled_from([1, 1, 2, 2, 4, 9, ALWAYS])
LAGS = [Lag(), Lag(requests=1), Lag(requests=5), Lag(by=timedelta(minutes=1)), Lag(by=timedelta(minutes=10))]
POLICIES = {
    "all that it needs": '["create", "read", "update"]',
    "no update": '["create", "read"]',
    "no create": '["read", "update"]',
    "no read": '["create", "update"]',
}
LOOK_ALIKES = [
    "Backend [2026-11-01T00:00:00Z abcdef-00000000]",  # of another installation
    "Backend [2026-11-01T00:00:00Z {installation}-0000000]",  # a digit is missing
    "Stranger [2026-11-01T00:00:00Z {installation}-dba00010]",
    "x Backend [2026-11-01T00:00:00Z {installation}-dba00010]",
    "Backend [2026-11-01T00:00:00Z {installation}-dba00010] ",
    "made by hand",
]


def trouble(**drawn: st.SearchStrategy[Any]) -> Callable[[Callable[..., None]], Any]:
    """A rule that is mostly followed by a pass: a trouble that no pass meets tells nothing."""

    def decorate(befalls: Callable[..., None]) -> Any:
        @functools.wraps(befalls)
        def then_pass(self: "Histories", then: int | None, **values: Any) -> None:
            befalls(self, **values)
            if then is not None:
                self.a_pass(then, forced=False, behind=0)

        return rule(then=st.none() | MINUTES, **drawn)(then_pass)  # type: ignore[call-overload]

    return decorate


class Histories(RuleBasedStateMachine):
    """Two managed keys, one of which may be the bearer; a Vault token with a policy of its own."""

    vault: RaftVault

    def __init__(self) -> None:
        super().__init__()
        COVERED["histories"] += 1
        self.emitted = io.StringIO()
        log.configure("json", "debug", self.emitted)
        self.mount = new_kv(self.vault)
        self.patience = PATIENCE
        self.tokens: list[str] = []
        self.traffic = Traffic()
        self.gateway = new_server(later()).start()
        self.proxy = Proxy(self.vault.address)
        self.proxy.__enter__()
        receivers = (Receiver("batch", "https://batch.invalid/", "webhook.secret"),)
        consumed = replace(managed(), consumers=("web", "batch"), receivers=receivers, grace_limit=LIMIT)
        self.moods, self.healing, self.heard = itertools.cycle(MOODS), False, list[int]()
        copied = replace(
            managed(),
            name="Reporting",
            path=OTHER,
            consumers=("eu",),
            copies={"eu": CopyTarget("eu", COPY)},
            grace_limit=LIMIT,
        )
        self.far = FarVault(seen=self.a_copy_is_written)
        self.robbed: list[str] = []
        """What was written over something that is not ours."""
        keys = (consumed, copied)
        timing = replace(TIMING, verify_deadline=AT_ONCE, store_deadline=AT_ONCE)
        self.store: Vault = self.connect()
        self.world = World(
            self.gateway,
            self.store,
            keys,
            timing=timing,
            timeout=timedelta(seconds=PATIENCE),
            tell=self.a_receiver_hears,
            vaults={"eu": self.far},
        )
        self.truth = connect_to(self.vault.address, self.vault.token, self.mount)
        self.promises = Promises(self.world, self.truth)
        self.proxy.watch = self.promises.seen
        self.gateway.hook = self.proxy.hook = self.traffic.hook
        self.sealed = False

    def connect(self) -> Vault:
        """A fresh token with all that it needs."""
        self.allow("all that it needs")
        body = {"policies": [self.mount], "ttl": "1h", "no_default_policy": False}
        self.token = self.vault.api("POST", "auth/token/create", body)["auth"]["client_token"]
        self.tokens.append(self.token)
        return connect_to(self.proxy.address, Secret(self.token), self.mount, timeout=self.patience)

    def a_fresh_token(self) -> None:
        self.world.store = self.store = self.connect()

    def allow(self, what: str) -> None:
        policy = f"""
            path "{self.mount}/data/apimall/*" {{ capabilities = {POLICIES[what]} }}
            path "{self.mount}/data/rotator/installation" {{ capabilities = ["create", "read"] }}
            path "{self.mount}/data/rotator/claims/*" {{ capabilities = ["create", "read", "update"] }}
            path "{self.mount}/data/rotator/acks/*" {{ capabilities = {POLICIES[what]} }}
        """
        self.vault.api("PUT", f"sys/policies/acl/{self.mount}", {"policy": policy})

    # time and passes

    @rule(minutes=MINUTES, forced=st.booleans(), behind=st.sampled_from([0, 0, 0, 1, 2]))
    def a_pass(self, minutes: int, forced: bool, behind: int) -> None:
        COVERED["passes"] += 1
        COVERED["passes with stale reads"] += behind > 0
        self.world.advance(minutes=minutes)
        self.go(forced=forced, store=Lagging(self.store, behind) if behind else self.store)

    @rule(forced=st.booleans())
    def a_dry_run(self, forced: bool) -> None:
        COVERED["dry runs"] += 1
        before = self.writes()
        self.go(forced=forced, dry_run=True)
        assert before == self.writes()

    @rule(
        moves=st.lists(st.sampled_from([0, 1, 2, 0, 1, 2, 0, 1, 2, "kill", "minutes", "long"]), max_size=80),
        minutes=MINUTES,
        first=st.sampled_from(["pass", "forced", "rollback", "leak", "prune"]),
    )
    def replicas(self, moves: list[int | str], minutes: int, first: str) -> None:
        """Three rotators at once; the order of their requests is drawn; some are killed, some stand still."""
        self.world.advance(minutes=minutes)
        COVERED[f"interleavings with a {first}"] += 1
        works = [functools.partial(self.replica, does=does) for does in (first, "pass", "pass")]
        replicas = [Replica(work) for work in works]
        last = replicas[0]
        for move in moves:
            match move:
                case "kill":
                    COVERED["replicas killed"] += not last.ended
                    last.kill()
                case "minutes":
                    self.world.advance(minutes=3)
                case "long":
                    self.world.advance(minutes=20)
                case int():
                    last = replicas[move]
                    last.step()
        for one in replicas:
            while not one.ended:
                one.step()
        COVERED["interleaved requests"] += sum(one.requests for one in replicas)

    def replica(self, gate: Gate, *, does: str) -> None:
        match does:
            case "rollback":
                self.roll_back(PATH, gate=gate)
            case "leak":
                self.contain(PATH, gate=gate)
            case "prune":
                self.prune(-1, gate=gate)
            case _:
                self.go(forced=does == "forced", gate=gate)

    @rule(path=PATHS, minutes=MINUTES)
    def an_operator_rolls_back(self, path: str, minutes: int) -> None:
        self.world.advance(minutes=minutes)
        self.roll_back(path)

    @rule(path=PATHS, minutes=MINUTES)
    def an_operator_contains_a_leak(self, path: str, minutes: int) -> None:
        self.world.advance(minutes=minutes)
        self.contain(path)

    @rule(at=st.integers(0, 12), minutes=MINUTES, stray=st.booleans())
    def an_operator_prunes(self, at: int, minutes: int, stray: bool) -> None:
        """Any key of the account is named: what is managed, or the bearer, must be spared; a stray one may go."""
        if stray:
            self.promises.by_hand("stray")
            minutes, at = max(minutes, 16), -1
        self.world.advance(minutes=minutes)
        self.prune(at)

    def prune(self, at: int, **options: Any) -> None:
        keys = self.gateway.account.keys
        id_ = keys[at % len(keys)].id
        self.promises.word(id_)
        with suppress(RotatorError):
            _, [key] = self.world.prune(id_, **options)
            COVERED[f"by hand: prune, {key.why or ('revoked' if key.revoked else 'failed')}"] += 1

    def roll_back(self, path: str, **options: Any) -> None:
        with suppress(RotatorError):
            self.world.roll_back(NAMES[path], **options)
            COVERED["by hand: rolled back"] += 1

    def contain(self, path: str, **options: Any) -> None:
        COVERED["by hand: leak contained"] += 1
        self.promises.leak(path)
        try:
            with suppress(RotatorError):
                self.world.contain(NAMES[path], **options)
        finally:  # another replica may have published one meanwhile
            self.promises.leak(path)

    def go(self, **options: Any) -> None:
        try:
            result = self.world.make_pass(**options)
        except RotatorError as error:
            failures: tuple[RotatorError, ...] = (error,)
        else:
            failures = tuple(error for key in result.keys for error in key.errors)
            assert self.promises.heeded(result) is None
        assert not [str(error) for error in failures if error.message.startswith("unexpected")]

    @precondition(lambda self: not self.sealed)
    @trouble(path=PATHS, days=st.sampled_from([0.5, 2, 10, 30]))
    def a_person_freezes(self, path: str, days: float) -> None:
        COVERED["by hand: frozen"] += 1
        self.traffic.release()  # a DELETE that is on its way cannot heed it
        ends = self.gateway.account.clock.now() + timedelta(days=days)
        if self.number(path):
            self.truth.write_custom(path, {HOLD: write_freeze(ends, "a sale")})
            self.promises.freeze(path, ends)

    @precondition(lambda self: not self.sealed)
    @trouble(path=PATHS, text=st.sampled_from([None, None, "2999-01-01 forged", "forged", "2020-01-01 past"]))
    def a_freeze_is_released_or_forged(self, path: str, text: str | None) -> None:
        COVERED["by hand: released" if text is None else "by hand: forged freeze"] += 1
        if self.number(path):
            self.truth.write_custom(path, {HOLD: text})
            self.promises.release(path)

    @precondition(lambda self: not self.sealed)
    @trouble(does=st.sampled_from(["moves", "moves", "moves", "moves, and says nothing", "lies", "raves"]))
    def a_consumer(self, does: str) -> None:
        """It takes up what the secret holds and then says so; or it does not say so; or it says something else."""
        COVERED[f"a consumer {does}"] += 1
        data = self.latest(PATH)
        block = data.get(FIELD)
        says = block.get("key_id") if isinstance(block, dict) else None
        match does:
            case "lies":
                says = max(key.id for key in self.gateway.account.keys)
                self.promises.uses(PATH, None)
            case "raves":
                says = "none of yours"
            case _:
                self.promises.uses(PATH, data.get("api_key"))
        if does != "moves, and says nothing":
            path = f"{self.mount}/data/rotator/acks/{PATH}/web"
            self.vault.api("POST", path, {"data": {"key_id": says}})

    def a_receiver_hears(self, receiver: Receiver, id_: str, body: bytes) -> None:
        """The receiver of `batch` is told which key is current. It fails in each way in turn, until all is well."""
        does = "takes it" if self.healing else next(self.moods)
        COVERED[f"a receiver {does}"] += 1
        assert (receiver.consumer, id_) == ("batch", json.loads(body)["id"])
        if does == "is gone":
            raise Transient("Connection refused", ambiguous=False)
        if does == "redirects":
            raise Rejected("the consumer's receiver answered 302 (a redirect, which is not followed)")
        self.heard.append(json.loads(body)["data"]["key_id"])
        taken = None if does == "lies" else self.latest(PATH).get("api_key")
        self.promises.uses(PATH, taken, "batch")
        if does == "takes it, too slowly":
            raise TooSlow("POST /", 5, "", ambiguous=True)

    # the further Vault, which holds a copy

    def a_copy_is_written(self, path: str, before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> None:
        COVERED["copies written"] += 1
        self.promises.uses(OTHER, now["api_key"], "eu")
        if before and "somebody's" in str(before):
            self.robbed.append(path)

    @trouble(how=st.sampled_from(["down", "down", "refuses writes", "back"]))
    def the_copys_vault(self, how: str) -> None:
        COVERED[f"the copy's Vault: {how}"] += 1
        self.far.down = NO_ANSWER if how == "down" else None
        self.far.refuses = Rejected("PUT: 403", status=403) if how == "refuses writes" else None

    @trouble(how=st.sampled_from(["restored", "deleted", "destroyed", "tampered", "unblocked", "somebody's"]))
    def a_copy_is_touched(self, how: str) -> None:
        COVERED[f"by hand: copy {how}"] += 1
        there = self.far.holds(COPY)
        match how:
            case "deleted" | "destroyed" if not self.far.versions.get(COPY):
                return
            case "restored" if len(kept := [one for one in self.far.versions.get(COPY, []) if one]) > 1:
                self.far.put(COPY, json.loads(kept[-2]))
            case "deleted":
                self.far.delete(COPY)
            case "destroyed":
                self.far.versions.clear()
            case "tampered":
                self.far.put(COPY, {**there, "api_key": "sk-another"})
            case "unblocked":
                self.far.put(COPY, {name: text for name, text in there.items() if name != FIELD})
            case _:
                self.far.put(COPY, {"api_key": "somebody's"})
        self.promises.uses(OTHER, None, "eu")  # whoever did that has to answer for it

    # the gateway's faults

    @trouble(
        on=st.sampled_from(GATEWAY_CALLS),
        action=st.sampled_from(
            [(Phase.BEFORE, name) for name in BEFORE] + [(Phase.AFTER, name) for name in AFTER]
        ),
        times=TIMES,
    )
    def the_gateway_fails(self, on: str, action: tuple[Phase, str], times: int | None) -> None:
        phase, name = action
        if name.startswith("delay"):
            times = 1
        COVERED[f"gateway, {phase.value}: {name}"] += 1
        do = (BEFORE if phase is Phase.BEFORE else AFTER)[name]
        self.gateway.faults.add(Fault(on, do, at=phase, times=times))

    @trouble(
        propagation=st.sampled_from(LAGS),
        list_lag=st.sampled_from(LAGS),
        page_size=st.sampled_from([None, 1, 3]),
        lists_revoked=st.booleans(),
        omit=st.none() | st.integers(1, 30),
    )
    def the_gateway_differs(
        self, propagation: Lag, list_lag: Lag, page_size: int | None, lists_revoked: bool, omit: int | None
    ) -> None:
        COVERED["gateway: lags, pages, omissions"] += 1
        omitted = frozenset({omit} if omit else ())
        self.gateway.account.quirks = Quirks(
            propagation, list_lag, omitted, lists_revoked=lists_revoked, page_size=page_size
        )

    @trouble(on=st.sampled_from(["POST /keys", "POST */data/apimall/*"]))
    def a_request_is_held_up(self, on: str) -> None:
        """It lands minutes or days after its sender gave it up."""
        COVERED[f"held up: {on.split()[1]}"] += 1
        faults = self.gateway.faults if on == "POST /keys" else self.proxy.faults
        faults.add(Fault(on, self.traffic.hold))

    @trouble()
    def what_was_held_up_lands(self) -> None:
        self.traffic.release()

    # Vault's trouble

    @trouble(
        on=st.sampled_from(["POST */data/apimall/*", "POST */data/apimall/*", "GET */data/*", "* *"]),
        action=st.sampled_from(
            [(Phase.BEFORE, name) for name in BEFORE] + [(Phase.AFTER, name) for name in VAULT_AFTER]
        ),
        times=TIMES,
    )
    def vault_fails(self, on: str, action: tuple[Phase, str], times: int | None) -> None:
        phase, name = action
        if name.startswith("delay"):
            times = 1
        COVERED[f"vault, {phase.value}: {name}"] += 1
        do = (BEFORE if phase is Phase.BEFORE else VAULT_AFTER)[name]
        self.proxy.faults.add(Fault(on, do, at=phase, times=times))

    @rule()
    def both_recover(self) -> None:
        self.gateway.faults.clear()
        self.proxy.faults.clear()
        if self.sealed:
            self.vault.unseal()
            self.sealed = False
        self.a_fresh_token()

    @precondition(lambda self: not self.sealed)
    @trouble(how=st.sampled_from(["sealed", "sealed", "restarted", "token expired", "token expired"]))
    def vault_shuts_us_out(self, how: str) -> None:
        COVERED[f"vault: {how}"] += 1
        match how:
            case "sealed":
                self.vault.seal()
            case "restarted":
                self.vault.restart()
            case "token expired":
                self.vault.api("POST", "auth/token/revoke", {"token": self.token})
        self.sealed = how != "token expired"

    @precondition(lambda self: not self.sealed)
    @trouble(what=st.sampled_from(sorted(POLICIES)))
    def the_policy_changes(self, what: str) -> None:
        COVERED[f"vault: policy with {what}"] += 1
        self.allow(what)

    # an operator's hand

    @trouble(at=st.integers(0, 3))
    def a_key_is_revoked_by_hand(self, at: int) -> None:
        if live := self.world.live:
            COVERED["by hand: revoke"] += 1
            self.gateway.account.revoke(live[-1 - at % len(live)].id)

    @trouble(title=st.sampled_from(LOOK_ALIKES))
    def a_look_alike_is_made(self, title: str) -> None:
        COVERED["by hand: look-alike"] += 1
        self.promises.by_hand(title.format(installation=self.installation()))

    @precondition(lambda self: not self.sealed)
    @trouble(
        path=PATHS,
        how=st.sampled_from(["add", "unblock", "nonsense", "paste", "paste ours", "swap", "empty"]),
    )
    def a_secret_is_edited(self, path: str, how: str) -> None:
        data = self.latest(path)
        match how:
            case "add":
                data["note"] = "by hand"
            case "unblock":
                data.pop(FIELD, None)
            case "nonsense":
                if data.get(FIELD):  # of an empty one nothing would be left by which it is known to be ours
                    data[FIELD] = {**data[FIELD], "key_id": "x"}
            case "paste":
                data["api_key"] = self.promises.by_hand("pasted").plaintext
            case "paste ours":
                data["api_key"] = self.latest(OTHER if path == PATH else PATH).get("api_key", "x")
            case "swap":
                data[FIELD] = self.latest(OTHER if path == PATH else PATH).get(FIELD, {})
            case "empty":
                data = {}
        COVERED[f"by hand: secret, {how}"] += 1
        self.vault.api("POST", f"{self.mount}/data/{path}", {"data": data})
        self.promises.note(path, data.get("api_key"), by_hand=True)

    @precondition(lambda self: not self.sealed)
    @trouble(path=PATHS, how=st.sampled_from(["delete", "destroy"]), back=st.integers(0, 2))
    def a_version_is_deleted(self, path: str, how: str, back: int) -> None:
        number = self.number(path) - back
        if number > 0:
            COVERED[f"by hand: {how}"] += 1
            self.vault.api("PUT", f"{self.mount}/{how}/{path}", {"versions": [number]})
            self.promises.note(path, self.latest(path).get("api_key"), by_hand=True)

    @precondition(lambda self: not self.sealed)
    @trouble(path=PATHS, back=st.integers(1, 3))
    def an_older_version_is_restored(self, path: str, back: int) -> None:
        data = self.at(path, self.number(path) - back)
        if data is not None:
            COVERED["by hand: restore"] += 1
            self.vault.api("POST", f"{self.mount}/data/{path}", {"data": data})
            self.promises.note(path, data.get("api_key"), by_hand=True)

    # what holds

    @invariant()
    def the_promises_hold(self) -> None:
        COVERED["steps"] += 1
        self.promises.hold()
        assert not self.robbed

    def teardown(self) -> None:
        try:
            self.heal()
            secrets = [key.plaintext for key in self.gateway.account.keys]
            assert leaks(self.emitted.getvalue(), [*secrets, *self.tokens]) == []
            COVERED["bytes of log searched"] += len(self.emitted.getvalue())
        finally:
            self.traffic.release()
            if self.sealed:
                self.vault.unseal()
            self.gateway.stop()
            self.proxy.__exit__()
            self.vault.api("DELETE", f"sys/mounts/{self.mount}")

    def heal(self) -> None:
        """The faults stop. Then all that was left behind is put right, on a slow machine, too."""
        self.patience = LONG_PATIENCE
        self.far.down = self.far.refuses = None
        self.far.delete(COPY) if self.far.versions.get(COPY) else None
        self.world.timeout = timedelta(seconds=self.patience)
        self.both_recover()
        self.traffic.release()
        self.gateway.account.settle()
        self.world.advance(minutes=16)
        self.healing = True
        for _ in range(2):
            self.a_quiet_pass()
        self.is_told()
        self.promises.settled()
        for path in NAMES:
            self.truth.write_custom(path, {HOLD: None})
            self.promises.release(path)
        for days in (
            LIMIT.days,
            7,
            LIMIT.days,
        ):  # what is superseded goes; all are due; what they superseded goes
            self.world.advance(days, minutes=1)
            self.a_quiet_pass()
            self.is_told()
        assert self.world.log[-1].converged
        self.promises.converged()

    def is_told(self) -> None:
        """A receiver that has come back was told the current key in the last pass, and is told nothing more."""
        current = self.world.rotation()["key_id"]
        said = self.latest(f"rotator/acks/{PATH}/batch")
        assert said.get("key_id") == current, f"batch has taken {said}, and key {current} is current"
        heard = len(self.heard)
        self.a_quiet_pass()
        assert self.world.rotation()["key_id"] != current or len(self.heard) == heard

    def a_quiet_pass(self) -> None:
        self.world.make_pass()
        self.traffic.release()  # what was published is noted by the clock of its own pass
        self.promises.hold()
        assert self.far.holds(COPY).get("api_key") == self.latest(OTHER).get("api_key")

    # Vault as root sees it

    def number(self, path: str) -> int:
        try:
            metadata = self.vault.api("GET", f"{self.mount}/metadata/{path}")
        except RotatorError:
            return 0
        return int(metadata["data"]["current_version"])

    def at(self, path: str, number: int) -> dict[str, Any] | None:
        if number < 1:
            return None
        try:
            return dict(self.vault.api("GET", f"{self.mount}/data/{path}?version={number}")["data"]["data"])
        except RotatorError:
            return None

    def latest(self, path: str) -> dict[str, Any]:
        return self.at(path, self.number(path)) or {}

    def installation(self) -> str:
        return (
            "000000"
            if self.sealed
            else str(self.latest("rotator/installation").get("installation", "000000"))
        )

    def writes(self) -> tuple[object, ...]:
        versions = () if self.sealed else (self.number(PATH), self.number(OTHER))
        return self.gateway.account.keys, versions


@pytest.fixture(scope="module")
def raft() -> Iterator[RaftVault]:
    memory = Path("/dev/shm")  # each write is synced to its disk
    with RaftVault(memory if memory.is_dir() else None) as vault:
        yield vault


@pytest.mark.parametrize("part", range(PARTS))
def test_random_histories(part: int, raft: RaftVault, tally: Tally) -> None:
    COVERED.clear()
    Histories.vault = raft
    phases = [Stage.explicit, Stage.generate, Stage.shrink]
    quick = settings(
        max_examples=examples(20, 2000) // PARTS,
        stateful_step_count=examples(25, 40),
        derandomize=False,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )
    run_state_machine_as_test(Histories if LONG else seed(part)(Histories), settings=quick)
    tally({f"model: {name}": count for name, count in COVERED.items()})
