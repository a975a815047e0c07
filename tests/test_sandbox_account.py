"""The sandbox's account: its clock, its keys and its ledger, without HTTP."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from rotator.redaction import redact
from rotator.sandbox.disguises import parse_duration
from rotator.sandbox.ledger import Clock, Lag, Ledger, Quirks, RateLimit

START = datetime(2026, 11, 21, 9, 50, tzinfo=UTC)


def frozen_account(quirks: Quirks | None = None) -> Ledger:
    return Ledger(Clock(START, frozen=True), quirks)


def test_a_frozen_clock_moves_only_by_hand() -> None:
    clock = Clock(START, frozen=True)
    assert clock.now() == START
    assert clock.advance(timedelta(days=30)) == START + timedelta(days=30) == clock.now()


def test_a_clock_runs_on_from_where_it_was_moved_to() -> None:
    clock = Clock(START)
    before = clock.now()
    moved = clock.advance(timedelta(days=1))
    assert START <= before < START + timedelta(days=1) <= moved
    assert any(clock.now() > moved for _ in range(10_000_000))


def test_a_clock_that_cannot_go_there_stays() -> None:
    clock = Clock(START, frozen=True)
    with pytest.raises(OverflowError):
        clock.advance(timedelta(days=999_999_999))
    assert clock.now() == START


@pytest.mark.parametrize(
    ("text", "duration"),
    [("90s", timedelta(seconds=90)), ("30d", timedelta(days=30)), ("1h30m", timedelta(minutes=90))],
)
def test_durations_are_read(text: str, duration: timedelta) -> None:
    assert parse_duration(text) == duration


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "1.5h", "30d ", "1w", "٣d"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="30d"):
        parse_duration(text)


def test_a_plaintext_has_the_contract_s_form() -> None:
    key = frozen_account().create("Reporting")
    assert re.fullmatch(r"sk-[0-9a-f]{48}", key.plaintext)
    assert key.preview == key.plaintext[:7] + "..." + key.plaintext[-4:]


def test_a_plaintext_is_neither_shown_nor_known_to_the_redaction() -> None:
    key = frozen_account().bootstrap
    assert key.plaintext not in repr(key)
    without_prefix = key.plaintext.removeprefix("sk-")  # by which any key is known, whoever made it
    assert redact(without_prefix) == without_prefix, "a leak of the program must not be covered up from here"


def test_the_ledger_says_who_made_and_who_revoked() -> None:
    account = frozen_account()
    bootstrap = account.bootstrap
    made = account.create("Reporting", by=bootstrap.id)
    by_hand = account.create("By hand")
    account.clock.advance(timedelta(hours=1))
    account.revoke(made.id, by=by_hand.id)
    account.revoke(by_hand.id)
    assert [(key.id, key.created_by, key.revoked_by, key.status) for key in account.keys] == [
        (bootstrap.id, None, None, "created"),
        (made.id, bootstrap.id, by_hand.id, "revoked"),
        (by_hand.id, None, None, "revoked"),
    ]
    assert account.keys[1].revoked_at == START + timedelta(hours=1)


def test_a_key_is_revoked_once() -> None:
    account = frozen_account()
    assert account.revoke(1)
    account.clock.advance(timedelta(hours=1))
    assert account.revoke(1) is None
    assert account.revoke(99) is None
    assert account.keys[0].revoked_at == START


def test_only_a_live_key_authenticates() -> None:
    account = frozen_account()
    key = account.create("Reporting")
    assert account.authenticates(key.plaintext) == key.id
    assert account.authenticates("") is None
    account.revoke(key.id)
    assert account.authenticates(key.plaintext) is None
    assert account.find(key.plaintext) == account.keys[1]


def test_propagation_takes_time_for_keys_that_were_made_over_http() -> None:
    account = frozen_account(Quirks(propagation=Lag(by=timedelta(seconds=30))))
    key = account.create("Reporting", by=1)
    by_hand = account.create("By hand")
    assert account.authenticates(key.plaintext) is None
    assert account.authenticates(by_hand.plaintext) == by_hand.id
    account.clock.advance(timedelta(seconds=30))
    assert account.authenticates(key.plaintext) == key.id


def test_propagation_takes_requests() -> None:
    account = frozen_account(Quirks(propagation=Lag(requests=2)))
    key = account.create("Reporting", by=1)
    assert [account.authenticates(key.plaintext) for _ in range(3)] == [None, None, key.id]


def test_the_list_lags() -> None:
    account = frozen_account(Quirks(list_lag=Lag(requests=1)))
    key = account.create("Reporting", by=1)
    assert key not in account.listed()
    assert key in account.listed()


def test_a_lag_does_not_hold_for_keys_that_are_there_already() -> None:
    account = frozen_account()
    key = account.create("Reporting", by=1)
    account.quirks = Quirks(propagation=Lag(requests=1), list_lag=Lag(requests=1))
    assert account.authenticates(key.plaintext)
    assert key in account.listed()


def test_the_list_leaves_out_what_it_is_told_to() -> None:
    account = frozen_account(Quirks(omitted=frozenset({2}), lists_revoked=False))
    for title in ("omitted", "revoked", "shown"):
        account.create(title)
    account.revoke(3)
    assert [key.title for key in account.listed()] == ["bootstrap", "shown"]


def test_the_rate_limit_opens_again_with_the_next_window() -> None:
    account = frozen_account(Quirks(rate_limit=RateLimit(2, timedelta(minutes=1))))
    end = START + timedelta(minutes=1)
    assert [account.admit() for _ in range(3)] == [None, None, end]
    account.clock.advance(timedelta(minutes=1))
    assert account.admit() is None


def test_without_a_rate_limit_all_are_admitted() -> None:
    assert frozen_account().admit() is None
