"""How a token is kept alive, against a real server, on a clock that the test sets."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from http import HTTPStatus

import pytest

from rotator.clients.governor import HURRY, Governor
from rotator.clients.vault.client import Vault
from rotator.clients.vault.login import Token, TokenFile
from rotator.clients.vault.session import Login
from rotator.errors import Limited, Rejected, Transient
from rotator.passes.preflight import Preflight
from rotator.passes.result import Outcome
from rotator.redaction import Secret
from rotator.rules.model import Version
from rotator.sandbox.faults import ALWAYS, Cut, Fault, Phase, Status
from rotator.sandbox.replies import Reply
from rotator.sandbox.vault import VaultServer
from tests.facts import PATH, TIMING
from tests.logins import POLICY_WITHOUT_X, Hours, Role
from tests.logs import captured
from tests.proxy import Proxy
from tests.vaults import connect_to, new_kv
from tests.world import World, later, new_server

LOGIN, RENEWAL, LOOKUP, LOGOUT = "login", "renew-self", "lookup-self", "revoke-self"


@dataclass
class Scene:
    """A client that logs in by an AppRole, on a clock, and what it asks of the server's auth methods."""

    role: Role
    proxy: Proxy
    hours: Hours = field(default_factory=Hours)
    asked: list[str] = field(default_factory=list)

    def connect(self, mount: str = "secret", governor: Governor | None = None) -> Vault:
        return connect_to(self.proxy.address, self.role.login(), mount, clock=self.hours, governor=governor)

    def at(self, hours: float, vault: Vault) -> list[str]:
        """Read at this hour; return what was asked beside it."""
        self.hours.now = hours
        self.asked.clear()
        vault.read("app/x")
        return list(self.asked)


@pytest.fixture
def scene(vault_server: VaultServer) -> Iterator[Scene]:
    with Proxy(vault_server.address) as proxy:
        made = Scene(Role(vault_server), proxy)

        def watch(_method: str, path: str, _status: int) -> None:
            if "/auth/" in path:
                made.asked.append(path.rpartition("/")[2])

        proxy.watch = watch
        yield made


def test_it_logs_in_once_and_renews_at_two_thirds_of_the_ttl(scene: Scene) -> None:
    vault = scene.connect()
    assert scene.asked == []
    assert scene.at(0, vault) == [LOGIN]
    assert scene.at(0.66, vault) == []
    assert scene.at(0.67, vault) == [RENEWAL]
    assert scene.at(0.67 + 0.66, vault) == []
    assert scene.at(0.67 + 0.67, vault) == [RENEWAL]


def test_it_logs_in_again_when_renewal_is_refused(scene: Scene) -> None:
    vault = scene.connect()
    scene.at(0, vault)
    scene.role.revoke_all()
    assert scene.at(0.7, vault) == [RENEWAL, LOGIN]
    assert scene.at(0.8, vault) == []


def test_it_logs_in_again_when_the_token_meets_its_longest_life(scene: Scene) -> None:
    """Then Vault renews it for less than it gave at first."""
    vault = scene.connect()
    scene.at(0, vault)
    scene.role.set(token_ttl="50m")
    assert scene.at(0.7, vault) == [RENEWAL, LOGIN]
    assert scene.at(0.7 + 0.6, vault) == [RENEWAL]


def test_a_token_that_cannot_be_renewed_is_replaced(scene: Scene) -> None:
    scene.role.set(token_type="batch")
    vault = scene.connect()
    scene.at(0, vault)
    assert scene.at(0.7, vault) == [LOGIN]


def test_an_expired_token_is_not_asked_to_be_renewed(scene: Scene) -> None:
    vault = scene.connect()
    scene.at(0, vault)
    assert scene.at(1, vault) == [LOGIN]


def test_a_token_without_end_is_never_renewed(scene: Scene) -> None:
    vault = connect_to(scene.proxy.address, scene.role.server.token, clock=scene.hours)
    assert scene.at(0, vault) == scene.at(10**6, vault) == []
    assert vault.token_ttl() is None
    assert scene.asked == [LOOKUP]


def test_a_renewal_that_fails_is_put_up_with_while_the_token_lives(scene: Scene) -> None:
    vault = scene.connect()
    scene.at(0, vault)
    scene.proxy.faults.add(Fault("POST */renew-self", Cut(), times=ALWAYS))
    with captured() as log:
        assert scene.at(0.7, vault) == []
    assert '"token_ttl_s": 1080' in log.getvalue()
    assert "Cut" not in log.getvalue()
    scene.proxy.faults.clear()
    assert scene.at(0.89, vault) == []
    assert scene.at(0.91, vault) == [RENEWAL]


def test_so_is_a_login_that_is_refused(scene: Scene) -> None:
    vault = scene.connect()
    scene.at(0, vault)
    scene.role.set(token_ttl="50m", bind_secret_id=True, secret_id_bound_cidrs=["10.0.0.1/32"])
    assert scene.at(0.7, vault) == [RENEWAL, LOGIN]
    assert scene.at(0.7 + 0.5, vault) == []  # the renewal held all the same
    with pytest.raises(Rejected, match="Vault refused the login"):
        scene.at(0.7 + 0.9, vault)


@dataclass
class Queue:
    """A governor's clock, which only waits move; they last until they may go on."""

    now: float = 0.0
    waits: threading.Event = field(default_factory=threading.Event)
    may_go_on: threading.Event = field(default_factory=threading.Event)

    def sleep(self, seconds: float) -> None:
        self.waits.set()
        assert self.may_go_on.wait(10)
        self.now += seconds

    def governor(self) -> Governor:
        return Governor(8, self.sleep, clock=lambda: self.now)


def refuse(governor: Governor) -> None:
    """Tell it to wait for minutes."""
    with governor.turn() as told:
        told.status, told.retry_after = HTTPStatus.TOO_MANY_REQUESTS, 300


def test_what_all_wait_for_does_not_wait_long_for_its_turn(scene: Scene) -> None:
    queue = Queue()
    queue.may_go_on.set()
    governor = queue.governor()
    refuse(governor)
    times: dict[str, float] = {}

    def watch(_method: str, path: str, _status: int) -> None:
        times[path.rpartition("/")[2]] = queue.now

    scene.proxy.watch = watch
    scene.connect(governor=governor).read("app/x")
    assert times["login"] <= HURRY + 1
    assert times["x"] >= 300


def test_a_limit_on_writes_alone_is_told_from_one_on_all(scene: Scene) -> None:
    queue = Queue()
    queue.may_go_on.set()
    vault = scene.connect(governor=queue.governor())
    scene.proxy.faults.add(Fault("POST */data/app/x", Status(429), times=ALWAYS))
    for _ in range(12):
        vault.read("app/x")
        with pytest.raises(Limited):
            vault.write("app/x", {}, cas=0)
    assert vault.governor._paces.is_limited_by_itself("POST")


def test_a_token_that_lives_is_used_while_another_thread_renews_it(scene: Scene) -> None:
    """Who holds a plaintext that is not stored yet cannot wait until that thread has its turn."""
    queue = Queue()
    governor = queue.governor()
    vault = scene.connect(governor=governor)
    scene.at(0, vault)
    refuse(governor)
    scene.asked.clear()
    scene.hours.now = 0.7
    with ThreadPoolExecutor(2) as pool:
        try:
            pool.submit(vault.read, "app/x")
            assert queue.waits.wait(10)
            assert pool.submit(vault._session.current).result(timeout=5).reveal()
        finally:
            queue.may_go_on.set()
    assert scene.asked == [RENEWAL]


def test_a_login_that_fails_is_not_ambiguous_for_the_write_behind_it(scene: Scene) -> None:
    scene.proxy.faults.add(Fault("POST */login", Cut(), at=Phase.AFTER))
    with pytest.raises(Transient) as raised:
        scene.connect().write("app/y", {"a": 1}, cas=0)
    assert not raised.value.ambiguous


def test_a_revoked_token_is_replaced_and_the_write_repeated(scene: Scene) -> None:
    vault = scene.connect()
    scene.at(0, vault)
    scene.role.revoke_all()
    scene.asked.clear()
    number = vault.write("app/z", {"a": 1}, cas=0)
    assert scene.asked == [LOOKUP, LOGIN]
    assert vault.read("app/z") == Version(number, {"a": 1})


def test_many_threads_log_in_once(scene: Scene) -> None:
    vault = scene.connect()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(vault.read, ["app/x"] * 16))
        assert scene.asked == [LOGIN]
        scene.role.revoke_all()
        scene.asked.clear()
        list(pool.map(vault.read, ["app/x"] * 16))
    assert scene.asked == [LOOKUP, LOGIN]


def test_what_the_policy_forbids_is_no_reason_to_log_in(vault_server: VaultServer, scene: Scene) -> None:
    scene.role = Role(vault_server, POLICY_WITHOUT_X)
    vault = scene.connect()
    with pytest.raises(Rejected, match="that its policy grants read on this path"):
        vault.read("x")
    assert scene.asked == [LOGIN, LOOKUP]


def test_another_refusal_says_nothing_of_the_token(scene: Scene) -> None:
    with pytest.raises(Rejected, match="no handler for route"):
        scene.connect("nowhere").read("x")
    assert scene.asked == [LOGIN]


def test_to_ask_for_the_ttl_changes_nothing(scene: Scene) -> None:
    vault = scene.connect()
    scene.at(0.5, vault)
    scene.asked.clear()
    assert (ttl := vault.token_ttl()) is not None
    assert 3590 < ttl.total_seconds() <= 3600
    assert scene.asked == [LOOKUP]


def test_a_token_that_lives_too_short_is_renewed(scene: Scene) -> None:
    vault = scene.connect()
    scene.at(0, vault)
    scene.asked.clear()
    assert (ttl := vault.token_ttl(at_least=timedelta(hours=2))) is not None
    assert ttl.total_seconds() > 3590
    assert scene.asked == [LOOKUP, RENEWAL, LOOKUP]


def test_a_token_that_lives_long_enough_is_not_replaced(scene: Scene) -> None:
    """Even one that can no longer be renewed for what it was given: each login leaves a token behind."""
    scene.role.set(token_ttl="2h", token_max_ttl="2h")
    vault = scene.connect()
    scene.at(0, vault)
    scene.role.set(token_ttl="1h", token_max_ttl="1h")
    for _ in range(3):
        Preflight(vault, TIMING).check_token()
        vault.token_ttl()
    assert set(scene.asked) == {LOGIN, LOOKUP}
    assert scene.role.tokens() == 1


def test_a_token_that_is_revoked_between_create_and_store(scene: Scene) -> None:
    with new_server(later()) as gateway:
        world = World(gateway, scene.connect(new_kv(scene.role.server)))

        def revoke(_: Reply | None) -> None:
            scene.role.revoke_all()
            scene.asked.clear()

        gateway.faults.add(Fault("POST /keys", revoke, at=Phase.AFTER))
        result = world.one()
        assert result.outcome is Outcome.DONE
        assert scene.asked == [LOOKUP, LOGIN]
        assert world.works()
        assert world.posts() == 1


def test_a_login_that_is_refused_between_create_and_store_leaves_no_key(scene: Scene) -> None:
    """Then nothing can be stored any more, and what nobody holds is revoked."""
    with new_server(later()) as gateway:
        world = World(gateway, scene.connect(new_kv(scene.role.server)))

        def retire(_: Reply | None) -> None:
            scene.role.revoke_all()
            scene.role.server.api("DELETE", scene.role.path)

        gateway.faults.add(Fault("POST /keys", retire, at=Phase.AFTER))
        (error,) = world.one().errors
        assert "issue another one: `vault write -f auth/approle-" in str(error)
        assert world.live == []


def test_a_token_of_ours_is_revoked_in_the_end(scene: Scene) -> None:
    vault = scene.connect()
    vault.close()
    assert scene.asked == []
    scene.at(0, vault)
    token = vault._session.current().reveal()
    scene.asked.clear()
    vault.close()
    vault.close()
    assert scene.asked == [LOGOUT]
    with pytest.raises(Rejected):
        connect_to(scene.proxy.address, Secret(token)).token_ttl()
    scene.asked.clear()
    scene.at(0, vault)
    assert scene.asked == [LOGIN]


def test_a_token_that_cannot_be_revoked_is_left_to_expire(scene: Scene) -> None:
    vault = scene.connect()
    scene.at(0, vault)
    scene.asked.clear()
    scene.proxy.faults.add(Fault("POST */revoke-self", Cut(), times=ALWAYS))
    vault.close()
    assert scene.asked == []
    vault = scene.connect()
    scene.at(0, vault)
    scene.asked.clear()
    scene.hours.now = 1
    vault.close()  # it has expired
    assert scene.asked == []


def test_a_token_of_somebody_elses_is_not_revoked(scene: Scene) -> None:
    for login in (Token, lambda token: TokenFile(lambda: token)):
        vault = connect_to(scene.proxy.address, login(scene.role.server.token), clock=scene.hours)
        scene.at(0, vault)
        vault.close()
        assert scene.asked == []


@pytest.mark.parametrize(
    ("login", "where"),
    [(Token, "VAULT_TOKEN"), (lambda token: TokenFile(lambda: token), "the file that vault.")],
)
def test_of_a_token_that_nobody_here_can_replace_it_is_said_which_it_is(
    vault_server: VaultServer, login: Callable[[Secret], Login], where: str
) -> None:
    vault = connect_to(vault_server.address, login(Secret("s.000000000000000000000000")))
    with pytest.raises(Rejected, match=f"^Vault does not accept the token in {where}") as raised:
        vault.read(PATH)
    assert "lacks Vault's `default` policy" in str(raised.value.cure)
