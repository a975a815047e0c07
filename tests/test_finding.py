"""What the reader of the page asks for: the address's query, whatever stands in it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rotator.service.web.finding import ORDERS, Query, found, read
from rotator.show.key_status import key_statuses
from tests.shown import of_each_state

KEYS = key_statuses(of_each_state(20))
HOSTILE = [
    "q=%00%ff%fe&sort=%00",
    "q=" + "a" * 10_000,
    "&".join(f"q={n}" for n in range(9)),
    "sort=__class__",
    "q=%F0%9F%94%91+%E2%80%AE",
    "=&;&&=",
    "q=(.*)*$",
    "q=%",
]


@pytest.mark.parametrize(
    ("text", "query"),
    [
        ("", Query()),
        ("q=Batch&sort=name", Query("Batch", "name")),
        ("q=a+b%2Fc", Query("a b/c")),
        ("q=one&q=two", Query("one")),
        ("q=" + "a" * 101, Query("a" * 100)),
        ("&".join(f"q={n}" for n in range(9)), Query()),
    ],
)
def test_what_is_asked_for(text: str, query: Query) -> None:
    assert read(text) == query


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_query_finds_keys_or_none(text: str) -> None:
    assert {key.name for key in found(KEYS, read(text))} <= {key.name for key in KEYS}


@given(st.text())
def test_whatever_is_in_the_address_is_read(text: str) -> None:
    assert len(read(text).search) <= 100


@pytest.mark.parametrize("order", [name for name, _ in ORDERS])
def test_each_order_has_every_key_once(order: str) -> None:
    assert sorted(key.name for key in found(KEYS, Query(sort=order))) == sorted(key.name for key in KEYS)


def test_every_word_must_fit() -> None:
    assert [key.name for key in found(KEYS, Query("service-01 OK"))] == [
        f"Service {number:03}" for number in range(10, 20)
    ]
    assert found(KEYS, Query("service-01 failed")) == []


@pytest.mark.parametrize(
    ("query", "asks"),
    [
        (Query(), False),
        (Query("a"), True),
        (Query(sort="name"), True),
        (Query(sort="attention"), False),
        (Query(sort="nonsense"), False),
    ],
)
def test_what_is_shown_anyway_asks_for_nothing(query: Query, asks: bool) -> None:
    assert query.asks is asks
