"""Whatever a server answers: a value of the contract or a named error, in bounded time and memory."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rotator.clients.gateway import client as gateway_client
from rotator.clients.gateway.bearer import Bearer, usable
from rotator.clients.gateway.client import Gateway
from rotator.clients.gateway.clock import GatewayClock
from rotator.clients.vault import client as vault_client
from rotator.clients.vault.client import Vault
from rotator.errors import RotatorError, Transient
from rotator.redaction import Secret
from rotator.rules.model import Version
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
from tests.vaults import connect_to
from tests.warrants import warrant
from tests.world import QUICK

ROW = {
    "id": 7,
    "title": "Backend [2026-11-01T00:00:00Z 3f9a2c-7d01be42]",
    "status": "created",
    "created_at": "2026-11-01T00:00:00.000Z",
    "key_preview": "sk-5ec4...c4e7",
}
GATEWAY_SUCCESSES = tuple(
    {"success": True, "data": data, "request_id": "req_01ARZ3NDEKTSV4RRFFQ69G5FAV"}
    for data in (
        {**ROW, "api_key": SECRET},
        [ROW, {**ROW, "id": 8}],
        {"items": [ROW], "page": 1, "limit": 100},
        {"id": 7, "status": "revoked"},
        {"credits": 1000, "api_credits": 1000},
    )
)
GATEWAY_REFUSALS = tuple(
    {"success": False, "error": {"code": "internal_error", "message": message}, "request_id": "req_1"}
    for message in ("Internal server error", f"key {SECRET} was not indexed", "x" * 5000, "\ud800\n\x1b[2J")
)
GATEWAY_CALLS: dict[str, Callable[[Gateway], object]] = {
    "list_keys": lambda gateway: gateway.list_keys(),
    "create": lambda gateway: gateway.create("a title"),
    "authenticates": lambda gateway: gateway.authenticates(Secret("sk-" + "a" * 48)),
    "revoke": lambda gateway: gateway.revoke(warrant(7)),
}

TOKEN = "hvs." + "t0k3n" * 6
ID = {"request_id": "8a2f0f3b-5f0f-4b5e-8d0c-1f6f0c8f5b0e", "lease_id": "", "warnings": None}
METADATA = {"version": 3, "created_time": "2026-11-01T00:00:00Z", "deletion_time": "", "destroyed": False}
VAULT_SUCCESSES = (
    {**ID, "data": {"data": {"api_key": SECRET, "endpoint": "x"}, "metadata": METADATA}},
    {**ID, "data": METADATA},
    {**ID, "data": {"type": "kv", "options": {"version": "2"}, "path": "secret/"}},
    {**ID, "data": {"secret/data/x": ["create", "read", "update"], "capabilities": ["deny"]}},
    {**ID, "data": {"ttl": 2764790, "expire_time": "2026-12-01T00:00:00Z", "policies": ["default"]}},
)
VAULT_REFUSALS: tuple[object, ...] = (
    {"errors": []},
    {"errors": ["1 error occurred:\n\t* permission denied\n\n"]},
    {"errors": ["check-and-set parameter did not match the current version"]},
    {"errors": [f"bad value {SECRET}", "x" * 5000, "\ud800\x1b[2J"]},
    {**ID, "data": {"data": None, "metadata": {**METADATA, "destroyed": True}}},
)
VAULT_CALLS: dict[str, Callable[[Vault], object]] = {
    "read": lambda vault: vault.read("x"),
    "read a version": lambda vault: vault.read("x", 2, once=True),
    "write": lambda vault: vault.write("x", {"api_key": SECRET}, cas=3),
    "check_mount": lambda vault: vault.check_mount(),
    "missing_capabilities": lambda vault: vault.missing_capabilities({"x": ["create", "read"]}),
    "token_ttl": lambda vault: vault.token_ttl(),
}

many = settings(
    max_examples=examples(200), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)


@pytest.fixture(scope="module")
def server() -> Iterator[Hostile]:
    with hostile() as running:
        yield running


def connect_gateway(server: Hostile, seconds: float = 0.5) -> Gateway:
    bearer = Bearer([lambda: usable("sk-" + "b" * 48)])
    timeout = timedelta(seconds=seconds)
    clock = GatewayClock(timedelta(days=3650))
    return Gateway(server.url, bearer, timeout=timeout, policy=QUICK, sleep=lambda _: None, clock=clock)


def connect_vault(server: Hostile, seconds: float = 0.5) -> Vault:
    return connect_to(server.url, Secret(TOKEN), timeout=seconds)


@pytest.fixture(scope="module")
def gateway(server: Hostile) -> Gateway:
    return connect_gateway(server)


@pytest.fixture(scope="module")
def vault(server: Hostile) -> Vault:
    return connect_vault(server)


def answered(body: bytes, status: int = 200) -> Said:
    return Said(http(status, body))


@many
@given(call=st.sampled_from(list(GATEWAY_CALLS)), said=shaped(GATEWAY_SUCCESSES, GATEWAY_REFUSALS) | GARBAGE)
@example(call="create", said=Said(http(500, b'{"error": {"message": "key %s is lost"}}' % SECRET.encode())))
def test_any_answer_of_the_gateway(server: Hostile, gateway: Gateway, call: str, said: Said) -> None:
    server.said = said
    with captured() as log:
        _, text = shown(lambda: GATEWAY_CALLS[call](gateway))
    assert SECRET[:20] not in text + log.getvalue()
    assert "Traceback" not in text + log.getvalue()


@many
@given(call=st.sampled_from(list(VAULT_CALLS)), said=shaped(VAULT_SUCCESSES, VAULT_REFUSALS) | GARBAGE)
@example(call="token_ttl", said=answered(b'{"data": {"ttl": 99999999999999999999}}'))
@example(call="write", said=answered(b'{"data": {"version": 1%s}}' % (b"0" * 4200)))
@example(call="write", said=answered(b'{"errors": [%s]}' % (b"[" * 980 + b"]" * 980), 400))
@example(call="read", said=answered(b'{"data": {"data": {"a": 1e400}, "metadata": {"version": 1}}}'))
@example(call="read", said=answered(b'{"request_id": "a\\nb%s", "data": {}}' % (b"c" * 5000)))
@example(call="read", said=answered(b'{"request_id": "%s", "data": {}}' % TOKEN.encode()))
def test_any_answer_of_vault(server: Hostile, vault: Vault, call: str, said: Said) -> None:
    server.said = said
    with captured() as log:
        value, text = shown(lambda: VAULT_CALLS[call](vault))
    for secret in (SECRET, TOKEN):
        assert secret[:20] not in text + log.getvalue()
    assert "Traceback" not in text + log.getvalue()
    if isinstance(value, Version) and value.data is not None:
        with pytest.raises(RotatorError):  # what was read can be sent again; the answer is no write's
            vault.write("x", value.data, cas=value.number)


Effect = Callable[[Hostile, float], object]
EFFECTS: list[tuple[Effect, int]] = [
    (
        lambda server, seconds: connect_gateway(server, seconds).create("a title"),
        gateway_client.MAX_ANSWER_BYTES,
    ),
    (
        lambda server, seconds: connect_vault(server, seconds).write("x", {}, cas=0),
        vault_client.MAX_ANSWER_BYTES,
    ),
]
"""A call that has an effect, given its time-out, and the largest answer to it."""
each_side = pytest.mark.parametrize(("effect", "limit"), EFFECTS, ids=["gateway", "vault"])


@each_side
@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_is_cut(server: Hostile, name: str, effect: Effect, limit: int) -> None:
    server.said = ENDLESS[name]
    with pytest.raises(RotatorError):
        effect(server, 0.5)
    assert server.hung_up.wait(PATIENCE)
    assert exchanges_end()
    assert server.sent < 2 * limit


@each_side
@pytest.mark.parametrize("name", DRIPS)
def test_a_drip_ends_with_the_time_out(server: Hostile, name: str, effect: Effect, limit: int) -> None:
    server.said = DRIPS[name]
    with pytest.raises(Transient) as raised:
        effect(server, 0.2)
    assert raised.value.ambiguous
    assert server.hung_up.wait(PATIENCE)
    assert exchanges_end()
