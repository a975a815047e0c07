"""Whatever Vault answers: a value of the contract or a named error, in bounded time and memory."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rotator.errors import RotatorError, Transient
from rotator.exchange import Trust
from rotator.model import Version
from rotator.redaction import Secret
from rotator.vault.client import MAX_ANSWER_BYTES, Connection, Vault
from rotator.vault.login import Token
from tests.hostile import (
    DRIPS,
    ENDLESS,
    GARBAGE,
    PATIENCE,
    SECRET,
    Hostile,
    Said,
    exchanges_end,
    hostile,
    http,
    shaped,
    shown,
)
from tests.logs import captured
from tests.long import examples
from tests.world import QUICK

TOKEN = "hvs." + "t0k3n" * 6
ID = {"request_id": "8a2f0f3b-5f0f-4b5e-8d0c-1f6f0c8f5b0e", "lease_id": "", "warnings": None}
METADATA = {"version": 3, "created_time": "2026-11-01T00:00:00Z", "deletion_time": "", "destroyed": False}
SUCCESSES = (
    {**ID, "data": {"data": {"api_key": SECRET, "endpoint": "x"}, "metadata": METADATA}},
    {**ID, "data": METADATA},
    {**ID, "data": {"type": "kv", "options": {"version": "2"}, "path": "secret/"}},
    {**ID, "data": {"secret/data/x": ["create", "read", "update"], "capabilities": ["deny"]}},
    {**ID, "data": {"ttl": 2764790, "expire_time": "2026-12-01T00:00:00Z", "policies": ["default"]}},
)
REFUSALS: tuple[object, ...] = (
    {"errors": []},
    {"errors": ["1 error occurred:\n\t* permission denied\n\n"]},
    {"errors": ["check-and-set parameter did not match the current version"]},
    {"errors": [f"bad value {SECRET}", "x" * 5000, "\ud800\x1b[2J"]},
    {**ID, "data": {"data": None, "metadata": {**METADATA, "destroyed": True}}},
)
CALLS: dict[str, Callable[[Vault], object]] = {
    "read": lambda vault: vault.read("x"),
    "read a version": lambda vault: vault.read("x", 2, once=True),
    "write": lambda vault: vault.write("x", {"api_key": SECRET}, cas=3),
    "check_mount": lambda vault: vault.check_mount(),
    "missing_capabilities": lambda vault: vault.missing_capabilities({"x": ["create", "read"]}),
    "token_ttl": lambda vault: vault.token_ttl(),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Hostile]:
    with hostile() as running:
        yield running


def connect(server: Hostile, seconds: float = 0.5) -> Vault:
    connection = Connection(server.url, None, Trust(), timedelta(seconds=seconds))
    return Vault(connection, "secret", Token(Secret(TOKEN)), policy=QUICK, sleep=lambda _: None)


@pytest.fixture(scope="module")
def vault(server: Hostile) -> Vault:
    return connect(server)


def answered(body: bytes, status: int = 200) -> Said:
    return Said(http(status, body))


@settings(
    max_examples=examples(200), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(call=st.sampled_from(list(CALLS)), said=shaped(SUCCESSES, REFUSALS) | GARBAGE)
@example(call="token_ttl", said=answered(b'{"data": {"ttl": 99999999999999999999}}'))
@example(call="write", said=answered(b'{"data": {"version": 1%s}}' % (b"0" * 4200)))
@example(call="write", said=answered(b'{"errors": [%s]}' % (b"[" * 980 + b"]" * 980), 400))
@example(call="read", said=answered(b'{"data": {"data": {"a": 1e400}, "metadata": {"version": 1}}}'))
@example(call="read", said=answered(b'{"request_id": "a\\nb%s", "data": {}}' % (b"c" * 5000)))
@example(call="read", said=answered(b'{"request_id": "%s", "data": {}}' % TOKEN.encode()))
def test_any_answer_is_a_value_or_a_named_error(server: Hostile, vault: Vault, call: str, said: Said) -> None:
    server.said = said
    with captured() as log:
        value, text = shown(lambda: CALLS[call](vault))
    for secret in (SECRET, TOKEN):
        assert secret[:20] not in text + log.getvalue()
    assert "Traceback" not in text + log.getvalue()
    if isinstance(value, Version) and value.data is not None:
        with pytest.raises(RotatorError):  # what was read can be sent again; the answer is no write's
            vault.write("x", value.data, cas=value.number)


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_is_cut(server: Hostile, name: str) -> None:
    server.said = ENDLESS[name]
    with pytest.raises(RotatorError):
        connect(server, 0.5).write("x", {}, cas=0)
    assert server.hung_up.wait(PATIENCE)
    assert exchanges_end()
    assert server.sent < 2 * MAX_ANSWER_BYTES


@pytest.mark.parametrize("name", DRIPS)
def test_a_drip_ends_with_the_time_out(server: Hostile, name: str) -> None:
    server.said = DRIPS[name]
    with pytest.raises(Transient) as raised:
        connect(server, 0.2).write("x", {}, cas=0)
    assert raised.value.ambiguous
    assert server.hung_up.wait(PATIENCE)
    assert exchanges_end()
