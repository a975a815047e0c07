"""What is asked of the Vault token before anything is created, and how often."""

from collections.abc import Iterable, Mapping
from datetime import timedelta

import pytest

from rotator.errors import Rejected
from rotator.passes.preflight import Preflight
from tests.facts import TIMING
from tests.memory_store import MemoryStore

ENOUGH = timedelta(minutes=7)  # to prove and to store a key takes up to six


@pytest.mark.parametrize("ttl", [ENOUGH, timedelta(days=10**5), None])
def test_a_token_that_outlives_a_rotation_is_asked_once(ttl: timedelta | None) -> None:
    store = MemoryStore(ttl=ttl)
    preflight = Preflight(store, TIMING)
    preflight.check_token()
    preflight.check_token()
    assert store.calls == ["token_ttl"]


@pytest.mark.parametrize("minutes", [5, 0, -1])
def test_one_that_does_not_is_refused_until_it_was_renewed(minutes: int) -> None:
    store = MemoryStore(ttl=timedelta(minutes=minutes))
    preflight = Preflight(store, TIMING)
    with pytest.raises(Rejected, match=r"^the Vault token expires before .*\(it may take 6m\)") as raised:
        preflight.check_token()
    assert raised.value.cure == "renew it, log in again, or raise the token_ttl of its role"
    store.ttl = ENOUGH
    preflight.check_token()


def test_it_is_refused_in_the_same_words_each_time() -> None:
    """For a failure that changes is news, and a token's life gets shorter with each pass."""
    said = set()
    for seconds in (299, 300):
        with pytest.raises(Rejected) as raised:
            Preflight(MemoryStore(ttl=timedelta(seconds=seconds)), TIMING).check_token()
        said.add(raised.value.message)
    assert len(said) == 1


class Recording(MemoryStore):
    """Lacks one thing at each path, and keeps what it was asked for."""

    def missing_capabilities(self, needed: Mapping[str, Iterable[str]]) -> Mapping[str, str]:
        self.needed = {path: sorted(capabilities) for path, capabilities in needed.items()}
        return {path: f"create on {path}" for path in needed}


def test_what_a_managed_key_needs() -> None:
    store = Recording()
    refused = Preflight(store, TIMING).refused_paths(["a", "b"])
    assert store.needed == {path: ["create", "read", "update"] for path in ("a", "b")}
    assert refused["b"].message == "the Vault token lacks create on b; nothing was written"


def test_what_the_identity_needs() -> None:
    store = Recording()
    with pytest.raises(Rejected, match="lacks create on state"):
        Preflight(store, TIMING).check_identity("state")
    assert store.needed == {"state": ["create", "read"]}
