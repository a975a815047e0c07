"""deploy/consumers/sidecar.yaml: each pod has the key in a file, and confirms for itself alone."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from kubernetes_validate.utils import all_versions

from rotator.errors import RotatorError
from rotator.sandbox.faults import Phase
from rotator.sandbox.vault import VaultServer
from tests.agents import moved, running_agent
from tests.deployed import DEPLOY, forget, until
from tests.facts import managed
from tests.leaks import leaks
from tests.logins import in_a_pod
from tests.needs import RENDER_INTERVAL, Needs
from tests.program import BACKEND
from tests.proxy import Proxy
from tests.vaults import connect, new_token
from tests.world import World, later, new_server

CONSUMERS = DEPLOY / "consumers"
TEXT = (CONSUMERS / "sidecar.yaml").read_text()
CONFIG_MAP, STATEFUL_SET = yaml.safe_load_all(TEXT)
POD = STATEFUL_SET["spec"]["template"]["spec"]
READ = (CONSUMERS / "policy.hcl").read_text()
CONFIRM = (CONSUMERS / "ack-policy.hcl").read_text().replace('/web"', '/web-*"')
ROLE = "production-backend"


@pytest.fixture
def world(vault_server: VaultServer, needs: Needs) -> Iterator[World]:
    needs(RENDER_INTERVAL)
    forget(vault_server)
    key = replace(managed(), name="Production backend", path=BACKEND, grace_limit=timedelta(days=7))
    with new_server(later()) as gateway:
        yield World(gateway, connect(vault_server), (replace(key, consumers=("web-0", "web-1")),))


@contextmanager
def pod(
    name: str, directory: Path, vault: VaultServer, service_account: Path, **environ: str
) -> Iterator[Path]:
    """Run the sidecar of a pod, and yield where its files are."""
    own = directory / name
    own.mkdir(exist_ok=True)
    [token] = re.findall(r'token_path = "(.*)"', TEXT)
    places = dict.fromkeys(("/run/agent/", "/run/production-backend/"), f"{own}/")
    text = moved(CONFIG_MAP["data"]["agent.hcl"], {**places, token: str(service_account)})
    with running_agent(own, vault, text, POD_NAME=name, **environ):
        yield own


def said(world: World, consumer: str) -> Any:
    return (world.store.read(f"rotator/acks/{BACKEND}/{consumer}").data or {}).get("key_id")


def test_an_old_key_waits_for_the_last_pod(world: World, vault_server: VaultServer, tmp_path: Path) -> None:
    world.make_pass()
    world.make_pass(forced=True)
    old, new = world.live
    with in_a_pod(vault_server, tmp_path, ROLE, READ + CONFIRM) as service_account:
        with pod("web-0", tmp_path, vault_server, service_account) as first:
            until(lambda: said(world, "web-0") == str(new.id))
            assert (first / "api-key").read_text() == new.plaintext
        world.advance(1, minutes=1)
        assert world.one().revoked == (), "nothing is known of web-1"
        with pod("web-1", tmp_path, vault_server, service_account) as second:
            until(lambda: said(world, "web-1") == str(new.id))
        assert [gone.key_id for gone in world.one().revoked] == [old.id]
    for files in (first, second):
        assert (files / "token").stat().st_mode & 0o777 == (files / "api-key").stat().st_mode & 0o777 == 0o600
        assert leaks((files / "agent.log").read_text(), [old.plaintext, new.plaintext]) == []


def test_a_confirmation_that_fails_is_repeated_and_holds_back_no_key(
    world: World, vault_server: VaultServer, tmp_path: Path
) -> None:
    world.make_pass()
    with in_a_pod(vault_server, tmp_path, ROLE, READ) as service_account:
        with pod("web-0", tmp_path, vault_server, service_account) as files:

            def refused() -> int:
                return (files / "agent.log").read_text().count("permission denied")

            until(lambda: refused() > 0)
            world.make_pass(forced=True)
            until(lambda: (files / "api-key").read_text() == world.secret(BACKEND)["api_key"])
            before = refused()
            until(lambda: refused() > before)
            assert said(world, "web-0") is None
            vault_server.api("PUT", f"sys/policies/acl/{ROLE}", {"policy": READ + CONFIRM})
            until(lambda: said(world, "web-0") == str(world.rotation(BACKEND)["key_id"]))


def test_it_confirms_the_key_that_is_in_the_file(
    world: World, vault_server: VaultServer, tmp_path: Path
) -> None:
    """Where each read of the secret finds another key."""
    versions, confirmed = count(1), []

    def changing(method: str, path: str, phase: Phase) -> None:
        if phase is Phase.BEFORE and path == f"/v1/secret/data/{BACKEND}":
            number = next(versions)
            data = {"api_key": f"sk-{number}", "rotation": {"key_id": number}}
            vault_server.api("POST", f"secret/data/{BACKEND}", {"data": data})
        if phase is Phase.BEFORE and method == "PUT" and path.endswith("/web-0"):
            confirmed.append([(tmp_path / "web-0" / name).read_text() for name in ("api-key", "key-id")])

    with in_a_pod(vault_server, tmp_path, ROLE, READ + CONFIRM) as service_account:
        with Proxy(vault_server.address) as proxy:
            proxy.hook = changing
            with pod("web-0", tmp_path, vault_server, service_account, VAULT_ADDR=proxy.address):
                until(lambda: len(confirmed) == 3)
    assert all(plaintext == f"sk-{id_}" for plaintext, id_ in confirmed)


def test_the_agent_on_a_host_confirms_in_the_same_way() -> None:
    commands = [
        re.findall(r'command = \["sh".*\]', text) for text in (TEXT, (CONSUMERS / "agent.hcl").read_text())
    ]
    [[in_pod], [on_host]] = commands
    assert in_pod.replace("/run/agent/", "/run/production-backend/").replace("$POD_NAME", "web") == on_host


def test_a_pod_writes_no_confirmation_but_that_of_its_group(world: World, vault_server: VaultServer) -> None:
    token = new_token(vault_server, READ + CONFIRM)
    for consumer in ("web", "batch"):
        with pytest.raises(RotatorError) as raised:
            vault_server.api(
                "POST", f"secret/data/rotator/acks/{BACKEND}/{consumer}", {"data": {}}, token=token
            )
        assert raised.value.status == 403


class TestTheManifest:
    @pytest.mark.parametrize("version", all_versions()[-3:])
    def test_it_is_valid(self, version: str) -> None:
        for resource in (CONFIG_MAP, STATEFUL_SET):
            kubernetes_validate.validate(resource, version, strict=True)

    def test_its_pods_are_the_consumers_that_it_names(self) -> None:
        name, replicas = STATEFUL_SET["metadata"]["name"], STATEFUL_SET["spec"]["replicas"]
        [named] = re.findall(r"the config names (.*) as consumers", TEXT)
        assert named == " and ".join(f"{name}-{number}" for number in range(replicas))

    def test_the_program_sees_the_key_but_not_the_agents_token(self) -> None:
        [agent], [program] = POD["initContainers"], POD["containers"]
        config = CONFIG_MAP["data"]["agent.hcl"]
        assert agent["restartPolicy"] == "Always"
        places = {mount["mountPath"] for mount in program["volumeMounts"]}
        assert places == {"/run/production-backend"}
        assert re.findall(r'destination += "(.*)"', config) == [
            "/run/production-backend/api-key",
            "/run/agent/key-id",
        ]
        assert agent["startupProbe"]["exec"]["command"][-1] == "/run/production-backend/api-key"
        assert {kind for volume in POD["volumes"] for kind in volume} - {"name"} == {
            "configMap",
            "projected",
            "emptyDir",
        }
        memory = [volume["emptyDir"]["medium"] for volume in POD["volumes"] if "emptyDir" in volume]
        assert memory == ["Memory", "Memory"]

    def test_it_logs_in_where_its_token_is(self) -> None:
        [agent] = POD["initContainers"]
        mounts = {mount["name"]: mount["mountPath"] for mount in agent["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in POD["volumes"]}
        [source] = volumes["vault-token"]["projected"]["sources"]
        path = f"{mounts['vault-token']}/{source['serviceAccountToken']['path']}"
        assert f'token_path = "{path}"' in CONFIG_MAP["data"]["agent.hcl"]
        assert source["serviceAccountToken"]["audience"] == "vault"
        assert agent["command"][-1] == f"-config={mounts['config']}/agent.hcl"
