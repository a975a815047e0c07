"""deploy/vault/looking.hcl and acting.hcl: enough for what people do by hand, and no line of them can go."""

import re
from datetime import timedelta

import pytest

from rotator.sandbox.ledger import AccountKey
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.deployed import DEPLOY, forget
from tests.program import BACKEND, Finished, Program
from tests.vaults import new_token

LOOKING, ACTING = ((DEPLOY / f"vault/{name}.hcl").read_text() for name in ("looking", "acting"))
LINE = r'^path "(?P<path>[^"]+)" +\{ capabilities = \[(?P<names>[^]]+)\] \}$'


@pytest.fixture
def mount(vault_server: VaultServer) -> str:
    """That of the example config, as its paths: the policies are used as they stand in the files."""
    forget(vault_server)
    return "secret"


@pytest.fixture
def key(rotator: Program, gateway: GatewayServer) -> AccountKey:
    """The first managed key's current one, which the rotator itself has made; the first is superseded."""
    assert rotator.run("--once").code == 0
    assert rotator.run("--rotate-now", "--key", "Production backend").code == 0
    gateway.account.clock.advance(timedelta(minutes=60))
    return gateway.account.keys[-1]


def capabilities(policy: str) -> list[tuple[str, str]]:
    """Each path of the policy with each of its capabilities."""
    lines = re.findall(LINE, policy, re.MULTILINE)
    return [(path, name) for path, names in lines for name in re.findall(r'"(\w+)"', names)]


def without(policy: str, path: str, name: str) -> str:
    kept = ", ".join(f'"{other}"' for at, other in capabilities(policy) if at == path and other != name)
    line = re.search(LINE.replace('(?P<path>[^"]+)', re.escape(path)), policy, re.MULTILINE)
    assert line
    return policy.replace(line[0], f'path "{path}" {{ capabilities = [{kept}] }}')


def by_a_person(rotator: Program, server: VaultServer, policy: str) -> None:
    rotator.environ["VAULT_TOKEN"] = new_token(server, policy).reveal()


def look(rotator: Program, key: AccountKey) -> list[Finished]:
    return [
        rotator.run("identify", given=key.plaintext),
        rotator.run("keys"),
        rotator.run("status"),
        rotator.run("explain", "Production backend"),
    ]


def test_to_look(rotator: Program, key: AccountKey, vault_server: VaultServer) -> None:
    by_a_person(rotator, vault_server, LOOKING)
    assert [done.code for done in look(rotator, key)] == [1, 0, 0, 0]
    done = rotator.run("leaked", "--yes", given=key.plaintext)
    assert (done.code, "the Vault token lacks" in done.out) == (1, True)


@pytest.mark.parametrize(("path", "name"), capabilities(LOOKING))
def test_each_line_to_look_is_needed(
    rotator: Program, key: AccountKey, vault_server: VaultServer, path: str, name: str
) -> None:
    by_a_person(rotator, vault_server, without(LOOKING, path, name))
    done = rotator.run("keys")
    said = done.out + done.err
    full = path.replace("apimall/*", BACKEND).replace("claims/*", f"claims/{BACKEND}")
    assert "could not be read" in said or f"GET /v1/{full}: 403" in said


def test_to_act(rotator: Program, gateway: GatewayServer, key: AccountKey, vault_server: VaultServer) -> None:
    by_a_person(rotator, vault_server, ACTING)
    assert [done.code for done in look(rotator, key)] == [1, 0, 0, 0]
    assert rotator.run("leaked", "--yes", given=key.plaintext).code == 0
    ids = ("--id", str(leftover(gateway, key).id))
    assert rotator.run("prune", *ids, "--yes").code == 0


@pytest.mark.parametrize(("path", "name"), capabilities(ACTING))
def test_each_line_to_act_is_needed(
    rotator: Program, key: AccountKey, vault_server: VaultServer, path: str, name: str
) -> None:
    by_a_person(rotator, vault_server, without(ACTING, path, name))
    done = rotator.run("leaked", "--yes", given=key.plaintext)
    full = path.replace("apimall/*", BACKEND).replace("claims/*", f"claims/{BACKEND}")
    said = f"/v1/{full}: 403" if name == "read" else f"the Vault token lacks {name} on {full}"
    assert (done.code in (1, 3), said in done.out + done.err) == (True, True)
    assert key.live


def test_each_capability_was_found() -> None:
    assert (len(capabilities(LOOKING)), len(capabilities(ACTING))) == (3, 7)


def leftover(gateway: GatewayServer, like: AccountKey) -> AccountKey:
    """A key of our title that nobody asked for: its revocation is fenced by a write."""
    title = re.sub("-[0-9a-f]{8}]$", "-00000000]", like.title)
    made = gateway.account.create(title)
    gateway.account.clock.advance(timedelta(minutes=60))
    return made
