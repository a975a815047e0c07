"""What `kubectl kustomize` makes of deploy/kubernetes: valid, locked down, and fit for the program as it is."""

from ipaddress import ip_address, ip_network
from pathlib import Path

import kubernetes_validate
import pytest
from kubernetes_validate.utils import all_versions

from rotator import __version__
from rotator.commands.output import CONVERGED, FAILED, MISCONFIGURED, UNREACHABLE
from rotator.config.auth import KubernetesAuth
from tests.deployed import final_stage, longest_stop
from tests.manifests import (
    OURS,
    OVERLAYS,
    Resource,
    config,
    container,
    each,
    job,
    rendered,
    template,
    variables,
)

VERSIONS = all_versions()[-3:]


@pytest.mark.parametrize("overlay", OVERLAYS)
class TestEveryOverlay:
    @pytest.mark.parametrize("version", VERSIONS)
    def test_it_is_valid(self, overlay: str, version: str) -> None:
        for resource in rendered(overlay):
            kubernetes_validate.validate(resource, version, strict=True)

    def test_its_pod_is_restricted(self, overlay: str) -> None:
        pod, only = template(overlay)["spec"], container(overlay)
        image_user = [int(part) for part in final_stage()["USER"][0].split(":")]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert [pod["securityContext"][name] for name in ("runAsUser", "runAsGroup")] == image_user
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys()
        assert {kind for volume in pod["volumes"] for kind in volume} <= {
            "name",
            "configMap",
            "projected",
            "secret",
        }
        assert all(mount["readOnly"] for mount in only["volumeMounts"])
        limits = only["resources"]["limits"]
        assert limits.keys() == only["resources"]["requests"].keys() == {"cpu", "memory"}, (
            "for a ResourceQuota"
        )
        assert float(limits["cpu"]) >= 1, "less would hold up what cannot use more"

    def test_it_has_no_token_for_kubernetes_but_one_for_vault(self, overlay: str, tmp_path: Path) -> None:
        [account] = each(overlay, "ServiceAccount")
        pod = template(overlay)["spec"]
        assert pod["serviceAccountName"] == account["metadata"]["name"]
        assert account["automountServiceAccountToken"] is pod["automountServiceAccountToken"] is False
        assert not {"Role", "ClusterRole", "RoleBinding", "ClusterRoleBinding"} & {
            resource["kind"] for resource in rendered(overlay)
        }
        [volume] = [volume for volume in pod["volumes"] if "projected" in volume]
        [source] = volume["projected"]["sources"]
        token = source["serviceAccountToken"]
        assert token["audience"] == "vault"
        [place] = [m["mountPath"] for m in container(overlay)["volumeMounts"] if m["name"] == volume["name"]]
        auth = config(tmp_path, rendered(overlay)).vault.auth
        assert isinstance(auth, KubernetesAuth)
        assert auth.file == f"{place}/{token['path']}"

    def test_its_config_is_where_the_program_looks(self, overlay: str, tmp_path: Path) -> None:
        sources = config(tmp_path, rendered(overlay)).gateway.api_key
        mounts = {mount["name"]: mount["mountPath"] for mount in container(overlay)["volumeMounts"]}
        volumes = {volume["name"]: volume for volume in template(overlay)["spec"]["volumes"]}
        [config_map] = each(overlay, "ConfigMap")
        assert mounts["config"] == "/etc/rotator"
        assert volumes["config"]["configMap"]["name"] == config_map["metadata"]["name"]
        assert (sources.vault, sources.file) == ("apimall/rotator", f"{mounts['bearer']}/api-key")
        assert volumes["bearer"]["secret"]["optional"] is True

    def test_its_variables_are_fields_of_the_config(self, overlay: str, tmp_path: Path) -> None:
        index = {"JOB_COMPLETION_INDEX": "0"} if overlay == "sharded" else {}
        config(tmp_path, rendered(overlay), **variables(overlay), **index)
        assert template(overlay)["spec"]["enableServiceLinks"] is False

    def test_it_may_finish_a_rotation_when_it_is_stopped(self, overlay: str, tmp_path: Path) -> None:
        timing = config(tmp_path, rendered(overlay)).timing
        given = template(overlay)["spec"]["terminationGracePeriodSeconds"]
        assert given > longest_stop(timing).total_seconds()
        assert template(overlay)["spec"]["shareProcessNamespace"] is True

    def test_how_it_ended_can_be_read_without_its_log(self, overlay: str) -> None:
        assert container(overlay)["terminationMessagePolicy"] == "FallbackToLogsOnError"

    def test_its_image_is_of_this_version(self, overlay: str) -> None:
        assert container(overlay)["image"].partition(":")[2] == __version__

    def test_the_network_lets_it_reach_dns_vault_and_the_gateway_alone(self, overlay: str) -> None:
        policy = each(overlay, "NetworkPolicy")[0]["spec"]
        assert policy["podSelector"]["matchLabels"] == OURS == template(overlay)["metadata"]["labels"]
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert "ingress" not in policy
        dns, vault, gateway = policy["egress"]
        assert [peer["podSelector"]["matchLabels"] for peer in dns["to"]] == [{"k8s-app": "kube-dns"}]
        assert [(port["protocol"], port["port"]) for port in dns["ports"]] == [("UDP", 53), ("TCP", 53)]
        assert [peer["podSelector"]["matchLabels"] for peer in vault["to"]] == [
            {"app.kubernetes.io/name": "vault"}
        ]
        assert vault["ports"] == [{"protocol": "TCP", "port": 8200}]
        assert gateway["ports"] == [{"protocol": "TCP", "port": 443}]
        blocks = [peer["ipBlock"] for peer in gateway["to"]]
        for address in NOT_PUBLIC:
            assert not any(allows(block, address) for block in blocks), address
        assert all(
            any(allows(block, address) for block in blocks)
            for address in ("8.8.8.8", "203.0.113.7", "223.255.255.1", "2001:db8::7")
        )


NOT_PUBLIC = (
    *("0.0.0.1", "10.0.0.1", "100.100.100.200", "127.0.0.1", "169.254.169.254", "172.31.0.1", "192.0.0.192"),
    *("192.168.1.1", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("::1", "64:ff9b::a9fe:a9fe", "fd00:ec2::254", "fe80::1", "ff02::1"),
)
"""Special addresses of IANA's registries at which a cluster, a cloud or a network may have something."""


def allows(block: Resource, address: str) -> bool:
    cidrs = (block["cidr"], *block.get("except", ()))
    within = [ip_address(address) in ip_network(cidr) for cidr in cidrs]
    return within[0] and not any(within[1:])


@pytest.mark.parametrize("overlay", ["cronjob", "sharded"])
class TestCronJob:
    def test_one_pass_at_a_time_and_not_for_ever(self, overlay: str) -> None:
        [cron_job] = each(overlay, "CronJob")
        assert cron_job["spec"]["concurrencyPolicy"] == "Forbid"
        assert template(overlay)["spec"]["restartPolicy"] == "Never"
        assert "--once" in container(overlay)["args"]

    def test_it_is_given_longer_than_a_pass_and_all_its_tries_take(
        self, overlay: str, tmp_path: Path
    ) -> None:
        """Kubernetes waits for 10 s before the second try, and each time twice as long, up to six minutes."""
        given = job(overlay)["activeDeadlineSeconds"]
        assert given > template(overlay)["spec"]["terminationGracePeriodSeconds"]
        assert given > config(tmp_path, rendered(overlay)).timing.pass_deadline.total_seconds()
        limit = {"cronjob": "backoffLimit", "sharded": "backoffLimitPerIndex"}[overlay]
        tries = job(overlay)[limit]
        assert 120 < sum(min(10 * 2**n, 360) for n in range(tries)) < given

    def test_only_a_pass_that_could_not_begin_is_tried_again(self, overlay: str) -> None:
        """In an Indexed Job `FailJob` would stop the pods of the other indexes."""
        [rule] = job(overlay)["podFailurePolicy"]["rules"]
        assert rule["action"] == {"cronjob": "FailJob", "sharded": "FailIndex"}[overlay]
        codes = rule["onExitCodes"]
        assert (codes["containerName"], codes["operator"]) == (container(overlay)["name"], "In")
        assert {CONVERGED, UNREACHABLE, *codes["values"]} == set(range(4))
        assert set(codes["values"]) == {FAILED, MISCONFIGURED}


class TestSharded:
    def test_as_many_shards_as_pods_and_all_at_once(self) -> None:
        indexed = job("sharded")
        assert indexed["completionMode"] == "Indexed"
        assert indexed["completions"] == indexed["parallelism"] == int(variables("sharded")["ROTATOR_SHARDS"])

    def test_a_pod_that_fails_ends_no_other(self) -> None:
        """With `backoffLimit` the first exit code 1 would stop the passes over all other keys."""
        indexed = job("sharded")
        assert "backoffLimitPerIndex" in indexed
        assert not {"backoffLimit", "maxFailedIndexes"} & indexed.keys()


class TestDaemon:
    def test_probes_ask_where_it_listens(self) -> None:
        only = container("daemon")
        [port] = only["ports"]
        assert [str(port["containerPort"])] == final_stage()["EXPOSE"]
        probes = {name: only[name]["httpGet"] for name in ("livenessProbe", "readinessProbe")}
        assert {name: probe["path"] for name, probe in probes.items()} == {
            "livenessProbe": "/healthz",
            "readinessProbe": "/readyz",
        }
        assert {probe["port"] for probe in probes.values()} == {port["name"]}

    def test_what_selects_its_pods_selects_all_of_them(self) -> None:
        for kind in ("Deployment", "PodDisruptionBudget"):
            [resource] = each("daemon", kind)
            assert resource["spec"]["selector"]["matchLabels"] == OURS
        assert [service["spec"]["selector"] for service in each("daemon", "Service")] == [OURS]

    def test_it_answers_to_its_service(self, tmp_path: Path) -> None:
        [service] = each("daemon", "Service")
        name, namespace = service["metadata"]["name"], service["metadata"]["namespace"]
        assert config(tmp_path, rendered("daemon")).http.names == [name, f"{name}.{namespace}.svc"]

    def test_one_pod_remains_while_a_node_is_drained(self) -> None:
        [deployment], [budget] = each("daemon", "Deployment"), each("daemon", "PodDisruptionBudget")
        assert 0 < budget["spec"]["minAvailable"] < deployment["spec"]["replicas"]

    def test_nobody_but_the_scraper_comes_in(self) -> None:
        [_, scraper] = each("daemon", "NetworkPolicy")
        assert scraper["spec"]["podSelector"]["matchLabels"] == OURS
        assert scraper["spec"]["policyTypes"] == ["Ingress"]
        [rule] = scraper["spec"]["ingress"]
        assert [peer["podSelector"]["matchLabels"] for peer in rule["from"]] == [
            {"app.kubernetes.io/name": "prometheus"}
        ]
        assert [port["port"] for port in rule["ports"]] == [container("daemon")["ports"][0]["containerPort"]]

    def test_its_pod_is_the_cronjobs_but_for_the_mode(self) -> None:
        def common(overlay: str) -> tuple[Resource, Resource]:
            pod, only = template(overlay)["spec"], container(overlay)
            modes = {"args", "env", "ports", "livenessProbe", "readinessProbe"}
            places = {"containers", "restartPolicy", "topologySpreadConstraints"}
            return {k: pod[k] for k in pod.keys() - places}, {k: only[k] for k in only.keys() - modes}

        assert common("daemon") == common("cronjob")
