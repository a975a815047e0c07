"""Whatever the gateway answers: a value of the contract or a named error, in bounded time and memory."""

from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rotator.errors import RotatorError, Transient
from rotator.gateway.bearer import Bearer, usable
from rotator.gateway.client import MAX_ANSWER_BYTES, Gateway
from rotator.redaction import Secret
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

ROW = {
    "id": 7,
    "title": "Backend [2026-11-01T00:00:00Z 3f9a2c-7d01be42]",
    "status": "created",
    "created_at": "2026-11-01T00:00:00.000Z",
    "key_preview": "sk-5ec4...c4e7",
}
SUCCESSES = tuple(
    {"success": True, "data": data, "request_id": "req_01ARZ3NDEKTSV4RRFFQ69G5FAV"}
    for data in (
        {**ROW, "api_key": SECRET},
        [ROW, {**ROW, "id": 8}],
        {"items": [ROW], "page": 1, "limit": 100},
        {"id": 7, "status": "revoked"},
        {"credits": 1000, "api_credits": 1000},
    )
)
REFUSALS = tuple(
    {"success": False, "error": {"code": "internal_error", "message": message}, "request_id": "req_1"}
    for message in ("Internal server error", f"key {SECRET} was not indexed", "x" * 5000, "\ud800\n\x1b[2J")
)
CALLS: dict[str, Callable[[Gateway], object]] = {
    "list_keys": lambda gateway: gateway.list_keys(),
    "create": lambda gateway: gateway.create("a title"),
    "authenticates": lambda gateway: gateway.authenticates(Secret("sk-" + "a" * 48)),
    "revoke": lambda gateway: gateway.revoke(7),
}


@pytest.fixture(scope="module")
def server() -> Iterator[Hostile]:
    with hostile() as running:
        yield running


def connect(server: Hostile, seconds: float = 0.5) -> Gateway:
    bearer = Bearer([lambda: usable("sk-" + "b" * 48)])
    timeout = timedelta(seconds=seconds)
    return Gateway(server.url, bearer, timeout=timeout, policy=QUICK, sleep=lambda _: None)


@pytest.fixture(scope="module")
def gateway(server: Hostile) -> Gateway:
    return connect(server)


@settings(
    max_examples=examples(200), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck)
)
@given(call=st.sampled_from(list(CALLS)), said=shaped(SUCCESSES, REFUSALS) | GARBAGE)
@example(call="create", said=Said(http(500, b'{"error": {"message": "key %s is lost"}}' % SECRET.encode())))
def test_any_answer_is_a_value_or_a_named_error(
    server: Hostile, gateway: Gateway, call: str, said: Said
) -> None:
    server.said = said
    with captured() as log:
        _, text = shown(lambda: CALLS[call](gateway))
    assert SECRET[:20] not in text + log.getvalue()
    assert "Traceback" not in text + log.getvalue()


@pytest.mark.parametrize("name", ENDLESS)
def test_an_answer_without_end_is_cut(server: Hostile, name: str) -> None:
    server.said = ENDLESS[name]
    with pytest.raises(RotatorError):
        connect(server, 0.5).create("a title")
    assert server.hung_up.wait(PATIENCE)
    assert exchanges_end()
    assert server.sent < 2 * MAX_ANSWER_BYTES


@pytest.mark.parametrize("name", DRIPS)
def test_a_drip_ends_with_the_time_out(server: Hostile, name: str) -> None:
    server.said = DRIPS[name]
    with pytest.raises(Transient) as raised:
        connect(server, 0.2).create("a title")
    assert raised.value.ambiguous
    assert server.hung_up.wait(PATIENCE)
    assert exchanges_end()
