"""One contract for the store in memory and for the real server: what holds here, the pass may rely on."""

from collections.abc import Callable, Iterator
from uuid import uuid4

import pytest

from rotator.errors import Conflict
from rotator.passes.account import Store
from rotator.rules.model import Version
from rotator.sandbox.vault import VaultServer
from tests.memory_store import MemoryStore
from tests.vaults import connect

Hand = Callable[[str, int], None]


class Subject:
    """A store under test, a fresh path in it, and a person's hand."""

    def __init__(self, store: Store, delete: Hand, trim_to: Hand) -> None:
        self.store, self.path = store, f"contract/{uuid4().hex}"
        self._delete, self._trim_to = delete, trim_to

    def delete(self, version: int) -> None:
        self._delete(self.path, version)

    def keep(self, versions: int) -> None:
        self._trim_to(self.path, versions)


@pytest.fixture(params=["memory", "server"])
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    if request.param == "memory":
        memory = MemoryStore()

        def keep(_path: str, versions: int) -> None:
            memory.max_versions = versions

        yield Subject(memory, memory.delete, keep)
        return
    server: VaultServer = request.getfixturevalue("vault_server")
    vault = connect(server)
    yield Subject(
        vault,
        lambda path, version: _ignore(server.api("POST", f"secret/delete/{path}", {"versions": [version]})),
        lambda path, versions: _ignore(
            server.api("POST", f"secret/metadata/{path}", {"max_versions": versions})
        ),
    )


def _ignore(_: object) -> None: ...


def test_a_path_that_was_never_written(subject: Subject) -> None:
    assert subject.store.read(subject.path) == Version(0, None)
    assert subject.store.read(subject.path, 1) == Version(0, None)


def test_what_is_written_is_read_as_it_is(subject: Subject) -> None:
    data = {"api_key": "x", "ünï": ["a", None, True, {"b": 15}], "empty": {}}
    assert subject.store.write(subject.path, data, cas=0) == 1
    assert subject.store.read(subject.path) == Version(1, data)
    assert subject.store.read(subject.path, 1) == Version(1, data)
    assert subject.store.read(subject.path, 2) == Version(0, None)


def test_only_the_version_that_was_seen_can_be_written_over(subject: Subject) -> None:
    subject.store.write(subject.path, {"a": 1}, cas=0)
    for wrong in (0, 2, 7):
        with pytest.raises(Conflict):
            subject.store.write(subject.path, {"a": 2}, cas=wrong)
    assert subject.store.write(subject.path, {"a": 2}, cas=1) == 2
    assert subject.store.read(subject.path) == Version(2, {"a": 2})


def test_nothing_is_written_over_what_was_never_seen(subject: Subject) -> None:
    with pytest.raises(Conflict):
        subject.store.write(subject.path, {"a": 1}, cas=3)


def test_a_deleted_latest_version_keeps_its_number(subject: Subject) -> None:
    subject.store.write(subject.path, {"a": 1}, cas=0)
    subject.store.write(subject.path, {"a": 2}, cas=1)
    subject.delete(2)
    assert subject.store.read(subject.path) == Version(2, None)
    assert subject.store.read(subject.path, 2) == Version(2, None)
    assert subject.store.read(subject.path, 1) == Version(1, {"a": 1})
    with pytest.raises(Conflict):
        subject.store.write(subject.path, {"a": 3}, cas=0)
    assert subject.store.write(subject.path, {"a": 3}, cas=2) == 3


def test_old_versions_are_trimmed(subject: Subject) -> None:
    subject.keep(3)
    for number in range(5):
        subject.store.write(subject.path, {"n": number}, cas=number)
    assert subject.store.read(subject.path, 3) == Version(3, {"n": 2})
    assert subject.store.read(subject.path, 2).data is None


def test_the_mount_and_the_token_are_good(subject: Subject) -> None:
    subject.store.check_mount()
    assert subject.store.token_ttl() is None
    assert subject.store.missing_capabilities({subject.path: ["create", "read", "update"]}) == {}


class TestCustomMetadata:
    """What people write beside a secret comes with the read of it, and is of no version."""

    def test_a_read_brings_it(self, subject: Subject) -> None:
        subject.store.write(subject.path, {"a": 1}, cas=0)
        assert subject.store.read(subject.path).custom == {}
        assert subject.store.read_custom(subject.path) == {}
        subject.store.write_custom(subject.path, {"owner": "Ünï", "rotator-hold": "2026-12-24 a sale"})
        expected = {"owner": "Ünï", "rotator-hold": "2026-12-24 a sale"}
        assert subject.store.read(subject.path).custom == expected
        assert subject.store.read_custom(subject.path) == expected
        assert subject.store.read(subject.path, 1, once=True).custom == expected

    def test_a_write_of_it_is_no_version_and_keeps_the_rest(self, subject: Subject) -> None:
        subject.store.write(subject.path, {"a": 1}, cas=0)
        subject.store.write_custom(subject.path, {"owner": "x", "contact": "y"})
        subject.store.write_custom(subject.path, {"owner": None, "rotator-hold": "z", "never": None})
        assert subject.store.read(subject.path) == Version(1, {"a": 1})
        assert subject.store.read_custom(subject.path) == {"contact": "y", "rotator-hold": "z"}
        subject.store.write(subject.path, {"a": 2}, cas=1)
        assert subject.store.read(subject.path).custom == {"contact": "y", "rotator-hold": "z"}

    def test_that_of_a_deleted_secret_is_there(self, subject: Subject) -> None:
        subject.store.write(subject.path, {"a": 1}, cas=0)
        subject.store.write_custom(subject.path, {"owner": "x"})
        subject.delete(1)
        assert subject.store.read(subject.path).custom == {"owner": "x"}

    def test_where_nothing_was_ever_written_there_is_none(self, subject: Subject) -> None:
        assert subject.store.read(subject.path).custom == {}
        assert subject.store.read_custom(subject.path) is None
