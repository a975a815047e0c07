"""deploy/consumers/deploy-job: kubectl restarts a Deployment, and the script confirms what is then true."""

import os
import re
import subprocess
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
from kubernetes_validate.utils import all_versions

from rotator.sandbox.vault import VaultServer, find_binary
from tests.cluster import NAME, SECRET, Cluster, cluster
from tests.deployed import DEPLOY, VENV, forget
from tests.facts import managed
from tests.leaks import leaks
from tests.logins import in_a_pod
from tests.manifests import Resource, render
from tests.program import BACKEND
from tests.vaults import connect, new_token
from tests.world import World, later, new_server

DIRECTORY = DEPLOY / "consumers/deploy-job"
SCRIPT = DIRECTORY / "rollout.sh"
CONFIRM = (DEPLOY / "consumers/ack-policy.hcl").read_text()
RESOURCES = {resource["kind"]: resource for resource in render(DIRECTORY)}
POD = RESOURCES["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]
GIVEN = {variable["name"]: variable["value"] for variable in POD["containers"][0]["env"]}
KUBECONFIG = """
apiVersion: v1
kind: Config
clusters: [{{name: here, cluster: {{server: "{server}"}}}}]
contexts: [{{name: here, context: {{cluster: here, namespace: production-backend}}}}]
current-context: here
"""


@dataclass
class Deployer:
    """What an operator and the job do in a cluster, on the true secret of the rotator."""

    cluster: Cluster
    world: World
    directory: Path
    exports: dict[str, str] = field(repr=False)

    def __post_init__(self) -> None:
        for name, found in (("vault", find_binary()), ("kubectl", VENV / "kubectl")):
            (self.directory / name).symlink_to(found)
        (self.directory / "kubeconfig").write_text(KUBECONFIG.format(server=self.cluster.url))

    def sync(self) -> int:
        """As the operators do, copy the plaintext and the id from one version of the secret; return the id."""
        found = self.world.secret(BACKEND)
        id_ = found["rotation"]["key_id"]
        texts = {"api_key": found["api_key"], "key_id": str(id_)}
        self.cluster.data = {name: b64encode(text.encode()).decode() for name, text in texts.items()}
        return int(id_)

    def run(self, **exports: str) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            ["sh", str(SCRIPT)],
            env={
                "PATH": f"{self.directory}:{os.defpath}",
                "HOME": str(self.directory),
                "KUBECONFIG": str(self.directory / "kubeconfig"),
                "VAULT_MAX_RETRIES": "0",
                **{name: GIVEN[name] for name in ("SECRET", "DEPLOYMENT", "ACK")},
                **self.exports,
                **exports,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        plaintexts = [key.plaintext for key in self.world.server.account.keys]
        assert leaks(done.stdout + done.stderr, plaintexts) == []
        return done

    def said(self) -> Any:
        return (self.world.store.read(f"rotator/acks/{BACKEND}/web").data or {}).get("key_id")


@pytest.fixture
def deployer(vault_server: VaultServer, tmp_path: Path) -> Iterator[Deployer]:
    forget(vault_server)
    key = replace(managed(), name="Production backend", path=BACKEND, grace_limit=timedelta(days=7))
    token = new_token(vault_server, CONFIRM).reveal()
    with new_server(later()) as gateway, cluster() as kubernetes:
        world = World(gateway, connect(vault_server), (replace(key, consumers=("web",)),))
        world.make_pass()
        exports = {"VAULT_ADDR": vault_server.address, "VAULT_TOKEN": token}
        yield Deployer(kubernetes, world, tmp_path, exports)


class TestARollout:
    def test_an_old_key_goes_after_the_last_pod_that_uses_it(self, deployer: Deployer) -> None:
        world = deployer.world
        world.make_pass(forced=True)
        old, new = world.live
        assert deployer.sync() == new.id
        while_stopping: list[Any] = []
        deployer.cluster.on_stop = lambda: while_stopping.append(deployer.said())
        world.advance(1, minutes=1)
        assert world.one().revoked == ()
        assert deployer.run().returncode == 0
        assert while_stopping == [None, None], "both old pods, and nothing confirmed until they are gone"
        assert deployer.said() == str(new.id)
        assert [gone.key_id for gone in world.one().revoked] == [old.id]

    def test_again_it_restarts_nothing(self, deployer: Deployer) -> None:
        deployer.sync()
        for _ in range(2):
            assert deployer.run().returncode == 0
        assert deployer.cluster.restarts() == 1
        deployer.world.make_pass(forced=True)
        deployer.sync()
        assert deployer.run().returncode == 0
        assert deployer.cluster.restarts() == 2

    def test_a_key_that_comes_during_it_waits_for_the_next(self, deployer: Deployer) -> None:
        first = deployer.sync()

        def rotate() -> None:
            deployer.cluster.on_patch = lambda: None
            deployer.world.make_pass(forced=True)
            deployer.sync()

        deployer.cluster.on_patch = rotate
        assert deployer.run().returncode == 0
        assert deployer.said() == str(first) != str(deployer.world.rotation(BACKEND)["key_id"])
        assert deployer.run().returncode == 0
        assert deployer.said() == str(deployer.world.rotation(BACKEND)["key_id"])

    def test_after_a_rollback_it_confirms_the_older_key(self, deployer: Deployer) -> None:
        deployer.sync()
        deployer.world.make_pass(forced=True)
        newer = deployer.sync()
        deployer.run()
        deployer.world.roll_back("Production backend")
        older = deployer.sync()
        assert (deployer.run().returncode, deployer.said()) == (0, str(older))
        assert older < newer

    def test_pods_of_others_do_not_hold_it_up(self, deployer: Deployer) -> None:
        deployer.sync()
        deployer.cluster.pods[0]["metadata"]["labels"] = {"app.kubernetes.io/name": "another"}
        assert deployer.run().returncode == 0
        assert len(deployer.cluster.pods) == 3

    def test_a_pod_that_was_evicted_runs_no_more(self, deployer: Deployer) -> None:
        deployer.sync()
        deployer.cluster.pods[0]["status"]["phase"] = "Failed"
        assert deployer.run().returncode == 0
        assert len(deployer.cluster.pods) == 3, "it stays until somebody removes it"


class TestWithoutAConfirmation:
    def test_a_rollout_that_fails(self, deployer: Deployer) -> None:
        deployer.sync()
        deployer.cluster.starts = False
        done = deployer.run()
        assert (done.returncode, deployer.said()) == (1, None)
        assert "exceeded its progress deadline" in done.stderr
        deployer.cluster.starts = True
        assert deployer.run().returncode == 0
        assert deployer.said() is not None

    def test_no_vault(self, deployer: Deployer) -> None:
        deployer.sync()
        assert deployer.run(VAULT_ADDR="http://127.0.0.1:9").returncode != 0
        assert deployer.said() is None
        assert deployer.run().returncode == 0
        assert deployer.cluster.restarts() == 1, "the pods have the key: only the confirmation was missing"

    def test_a_policy_that_is_not_enough(self, deployer: Deployer) -> None:
        deployer.sync()
        done = deployer.run(ACK=GIVEN["ACK"].replace("/web", "/batch"))
        assert done.returncode != 0
        assert "permission denied" in done.stderr

    @pytest.mark.parametrize("id_", ["0", "", "-1", "13\n14", "<no value>", None])
    def test_a_secret_without_an_id(self, deployer: Deployer, id_: str | None) -> None:
        """`kubectl` prints the whole Secret where a template fails."""
        deployer.sync()
        del deployer.cluster.data["key_id"]
        if id_ is not None:
            deployer.cluster.data["key_id"] = b64encode(id_.encode()).decode()
        done = deployer.run()
        assert (done.returncode, deployer.said()) == (1, None)
        assert done.stderr == f"rollout.sh: the key_id in the Secret {SECRET} is no key's id\n"
        assert deployer.cluster.restarts() == 0

    def test_no_secret(self, deployer: Deployer) -> None:
        deployer.sync()
        assert deployer.run(SECRET="another").returncode == 1
        assert (deployer.said(), deployer.cluster.restarts()) == (None, 0)

    @pytest.mark.parametrize("name", ["SECRET", "DEPLOYMENT", "ACK"])
    def test_a_variable_that_is_not_set(self, deployer: Deployer, name: str) -> None:
        deployer.sync()
        assert deployer.run(**{name: ""}).returncode != 0
        assert deployer.said() is None


class TestTheLogin:
    def test_as_the_service_account(
        self, deployer: Deployer, vault_server: VaultServer, tmp_path: Path
    ) -> None:
        id_ = deployer.sync()
        del deployer.exports["VAULT_TOKEN"]
        with in_a_pod(vault_server, tmp_path, GIVEN["VAULT_ROLE"], CONFIRM) as file:
            done = deployer.run(VAULT_ROLE=GIVEN["VAULT_ROLE"], VAULT_JWT=str(file))
            assert (done.returncode, deployer.said()) == (0, str(id_))
            assert leaks(done.stdout + done.stderr, [file.read_text()]) == []

    def test_that_is_refused(self, deployer: Deployer, vault_server: VaultServer, tmp_path: Path) -> None:
        deployer.sync()
        del deployer.exports["VAULT_TOKEN"]
        with in_a_pod(vault_server, tmp_path, GIVEN["VAULT_ROLE"], CONFIRM) as file:
            assert deployer.run(VAULT_ROLE="another", VAULT_JWT=str(file)).returncode != 0
        assert deployer.said() is None


class TestTheManifest:
    @pytest.mark.parametrize("version", all_versions()[-3:])
    def test_it_is_valid(self, version: str) -> None:
        for resource in RESOURCES.values():
            kubernetes_validate.validate(resource, version, strict=True)

    def test_its_role_is_what_the_script_needs(self, deployer: Deployer) -> None:
        deployer.sync()
        deployer.run()
        rules: list[Resource] = RESOURCES["Role"]["rules"]
        granted = {(verb, kind) for rule in rules for kind in rule["resources"] for verb in rule["verbs"]}
        assert granted == set(deployer.cluster.asked)
        names = {tuple(rule["resources"]): rule.get("resourceNames") for rule in rules}
        assert names == {("secrets",): [SECRET], ("deployments",): [NAME], ("pods",): None}

    def test_the_role_is_bound_to_its_service_account(self) -> None:
        [subject] = RESOURCES["RoleBinding"]["subjects"]
        account = RESOURCES["ServiceAccount"]["metadata"]
        assert (subject["name"], subject["namespace"]) == (account["name"], account["namespace"])
        assert RESOURCES["RoleBinding"]["roleRef"]["name"] == RESOURCES["Role"]["metadata"]["name"]
        assert POD["serviceAccountName"] == account["name"]

    def test_it_confirms_for_the_consumer_of_the_policy(self) -> None:
        assert f'"{GIVEN["ACK"].replace("secret/", "secret/data/", 1)}"' in CONFIRM

    def test_its_variables_and_files_are_the_scripts(self) -> None:
        used = set(re.findall(r"\$\{?([A-Z_]+)", SCRIPT.read_text())) - {"VAULT_TOKEN"}
        assert used | {"VAULT_ADDR"} == GIVEN.keys()
        mounts = {mount["name"]: mount["mountPath"] for mount in POD["containers"][0]["volumeMounts"]}
        script, token = POD["volumes"]
        assert script["configMap"]["name"] == RESOURCES["ConfigMap"]["metadata"]["name"]
        assert POD["containers"][0]["command"] == ["sh", f"{mounts['script']}/{SCRIPT.name}"]
        [source] = token["projected"]["sources"]
        assert GIVEN["VAULT_JWT"] == f"{mounts['vault-token']}/{source['serviceAccountToken']['path']}"

    def test_it_is_given_longer_than_it_waits(self) -> None:
        job = RESOURCES["CronJob"]["spec"]["jobTemplate"]["spec"]
        waits = [60 * int(minutes) for minutes in re.findall(r"--timeout=(\d+)m", SCRIPT.read_text())]
        assert job["activeDeadlineSeconds"] > sum(waits) > 0
        assert RESOURCES["CronJob"]["spec"]["concurrencyPolicy"] == "Forbid"
