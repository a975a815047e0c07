"""A good guest in a cluster: what an overlay makes is in one namespace, and what it deletes is its own."""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from tests.deployed import DEPLOY
from tests.manifests import KUBERNETES, OURS, OVERLAYS, Resource, config, render, rendered
from tests.program import ROOT

OPERATOR = ("service-monitor", "prometheus-rule", "dashboard")
DIGEST = "sha256:" + "0123456789abcdef" * 4
IN_A_NAMESPACE = {
    *(
        "ConfigMap",
        "CronJob",
        "Deployment",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Service",
        "ServiceAccount",
    ),
    *("PrometheusRule", "ServiceMonitor"),
}
Overlay = Callable[..., tuple[Resource, ...]]


def of(resources: tuple[Resource, ...], kind: str, name: str = "") -> Resource:
    """The only resource of a kind, or of a kind and a name that begins so."""
    [found] = [r for r in resources if r["kind"] == kind and r["metadata"]["name"].startswith(name)]
    return found


@pytest.fixture
def overlay(tmp_path: Path) -> Overlay:
    """Renders an overlay of one's own on one of ours: with these components, this namespace, and more lines."""
    own = tmp_path / "own"
    own.mkdir()

    def make(
        base: str, components: tuple[str, ...] = (), namespace: str = "", **more: object
    ) -> tuple[Resource, ...]:
        there = os.path.relpath(KUBERNETES, own)
        lines = {
            "resources": [f"{there}/overlays/{base}"],
            "components": [f"{there}/components/{name}" for name in components],
            **({"namespace": namespace} if namespace else {}),
            **more,
        }
        (own / "kustomization.yaml").write_text(yaml.safe_dump(lines))
        return tuple(render(own))

    return make


@pytest.mark.parametrize("base", OVERLAYS)
class TestANamespaceThatIsNotOurs:
    def test_nothing_is_cluster_scoped(self, base: str, overlay: Overlay) -> None:
        """Rights in one namespace are enough to apply it, and nothing of others changes or goes with it."""
        for resources in (rendered(base), overlay(base, OPERATOR, "platform")):
            assert {resource["kind"] for resource in resources} <= IN_A_NAMESPACE

    def test_all_is_in_it(self, base: str, overlay: Overlay) -> None:
        for resources, namespace in (
            (rendered(base), "rotator"),
            (overlay(base, OPERATOR, "platform"), "platform"),
        ):
            assert {resource["metadata"]["namespace"] for resource in resources} == {namespace}

    def test_no_overlay_makes_what_a_person_puts_there(self, base: str, overlay: Overlay) -> None:
        """So `kubectl delete -k` leaves the bearer's Secret."""
        resources = overlay(base, OPERATOR)
        assert "rotator-bearer" not in {resource["metadata"]["name"] for resource in resources}
        [pod] = re.findall(r"secretName: ([\w-]+)", yaml.safe_dump(list(resources)))
        assert pod == "rotator-bearer"

    def test_the_namespace_is_a_component_to_choose(self, base: str, overlay: Overlay) -> None:
        resources = overlay(base, (*OPERATOR, "namespace"))
        labels = of(resources, "Namespace")["metadata"]["labels"]
        assert labels["pod-security.kubernetes.io/enforce"] == "restricted"

    def test_a_delete_by_label_leaves_the_namespace_and_nothing_else(
        self, base: str, overlay: Overlay
    ) -> None:
        [label] = {f"{name}={value}" for name, value in OURS.items()}
        assert f"`kubectl delete -k … -l {label}`" in (ROOT / "docs/operations.md").read_text()
        resources = overlay(base, (*OPERATOR, "namespace"))
        left = {r["kind"] for r in resources if not r["metadata"].get("labels", {}).items() >= OURS.items()}
        assert left == {"Namespace"}


def test_the_namespace_can_be_applied_by_itself() -> None:
    """By whoever may make namespaces: no overlay then deletes it."""
    [namespace] = render(KUBERNETES / "components/namespace")
    assert (namespace["kind"], namespace["metadata"]["name"]) == ("Namespace", "rotator")


def test_the_operations_say_what_each_makes(overlay: Overlay) -> None:
    """The table of docs/operations.md is all that is rendered."""
    text = (ROOT / "docs/operations.md").read_text().partition("## What stays on Kubernetes")[2]
    rows = re.findall(r"^\| (any overlay|`[^|]+`) \| (.+) \|$", text.partition("\n## ")[0], re.M)
    told: dict[str, set[tuple[str, str]]] = {}
    for what, makes in rows:
        for name in re.findall(r"`\w+/([\w-]+)`", what) or ["any"]:
            told[name] = set(re.findall(r"(\w+) `([\w-]+)`", makes))
    assert told.pop("namespace") == set()
    common = told.pop("any")

    def made(resources: tuple[Resource, ...]) -> set[tuple[str, str]]:
        names = [
            (r["kind"], re.sub(r"^(rotator)-[0-9a-z]{10}$", r"\1-HASH", r["metadata"]["name"]))
            for r in resources
        ]
        assert len(names) == len(set(names))
        return set(names)

    for base in OVERLAYS:
        assert made(rendered(base)) == common | told.pop(base)
    for component in OPERATOR:
        assert made(overlay("daemon", (component,))) - made(rendered("daemon")) == told.pop(component)
    assert told == {}


class TestTheOperator:
    def test_the_rules_are_those_that_promtool_tests(self, overlay: Overlay) -> None:
        """`make rules` renews them."""
        rule = of(overlay("daemon", OPERATOR), "PrometheusRule")
        assert rule["spec"] == yaml.safe_load((DEPLOY / "prometheus/rules.yaml").read_text())

    def test_a_cronjob_leaves_out_what_is_for_those_that_are_scraped(self, overlay: Overlay) -> None:
        """By the patch that stands in the component."""
        text = (KUBERNETES / "components/prometheus-rule/kustomization.yaml").read_text()
        patches = yaml.safe_load("\n".join(re.findall(r"^#( .*)$", text.partition("patches:")[2], re.M)))
        rule = of(overlay("cronjob", ("prometheus-rule",), patches=patches), "PrometheusRule")
        assert [group["name"] for group in rule["spec"]["groups"]] == ["rotator"]

    def test_the_dashboard_is_the_one_that_is_tested(self, overlay: Overlay) -> None:
        shown = of(overlay("daemon", OPERATOR), "ConfigMap", "rotator-dashboard")
        [text] = shown["data"].values()
        assert json.loads(text) == json.loads((DEPLOY / "grafana/dashboard.json").read_text())
        assert shown["metadata"]["labels"]["grafana_dashboard"] == "1"

    def test_the_monitor_finds_the_service(self, overlay: Overlay) -> None:
        resources = overlay("daemon", OPERATOR, "platform")
        monitor, service = of(resources, "ServiceMonitor"), of(resources, "Service")
        assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
        assert service["metadata"]["labels"].items() >= monitor["spec"]["selector"]["matchLabels"].items()
        [endpoint] = monitor["spec"]["endpoints"]
        assert endpoint["port"] in [port["name"] for port in service["spec"]["ports"]]
        assert endpoint["path"] == "/metrics"

    def test_the_job_is_the_one_that_the_alerts_ask_for(self) -> None:
        """A monitor's job is called as its Service."""
        name = of(rendered("daemon"), "Service")["metadata"]["name"]
        assert f'up{{job="{name}"}}' in (DEPLOY / "prometheus/rules.yaml").read_text()


class TestTheOverlayOfTheDocs:
    """Another image, another config, all components; in a namespace of its own or of others."""

    @pytest.fixture(params=["rotator", "platform"])
    def resources(self, request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Resource, ...]:
        blocks = (ROOT / "docs/container.md").read_text().split("```")
        [text] = [block.removeprefix("yaml\n") for block in blocks if "configMapGenerator:" in block]
        assert "sha256:…" in text
        assert "namespace: rotator #" in text
        own = tmp_path / "own"
        own.mkdir()
        for written, meant in (
            ("rotator/deploy/kubernetes", os.path.relpath(KUBERNETES, own)),
            ("sha256:…", DIGEST),
            ("namespace: rotator #", f"namespace: {request.param} #"),
        ):
            text = text.replace(written, meant)
        (own / "kustomization.yaml").write_text(text)
        (own / "rotator.yaml").write_text(
            "vault: {address: 'https://v.example', auth: {method: kubernetes, role: r}}\n"
            "gateway: {api_key: {vault: a/b}}\nkeys: [{name: Mine, path: a/mine}]\n"
        )
        rendered = tuple(render(own))
        assert {resource["metadata"]["namespace"] for resource in rendered} == {request.param}
        return rendered

    def test_it_brings_its_config_and_its_image(
        self, resources: tuple[Resource, ...], tmp_path: Path
    ) -> None:
        config_map = next(r for r in resources if r["kind"] == "ConfigMap" and "rotator.yaml" in r["data"])
        assert [managed.name for managed in config(tmp_path, (config_map,)).managed] == ["Mine"]
        pod = of(resources, "Deployment")["spec"]["template"]["spec"]
        assert pod["volumes"][0]["configMap"]["name"] == config_map["metadata"]["name"]
        assert pod["containers"][0]["image"] == f"registry.acme.example/rotator@{DIGEST}"

    def test_it_lets_the_pods_out_to_its_vault(self, resources: tuple[Resource, ...]) -> None:
        policies = (resource["spec"] for resource in resources if resource["kind"] == "NetworkPolicy")
        rules = [rule for policy in policies for rule in policy.get("egress", [])]
        [rule] = [rule for rule in rules if rule["ports"][0]["port"] == 8200]
        assert rule["to"] == [{"ipBlock": {"cidr": "10.20.30.40/32"}}]

    def test_the_operator_selects_what_is_for_it(self, resources: tuple[Resource, ...]) -> None:
        """By one patch, and what is not for it stays as it is."""
        labelled = {r["kind"] for r in resources if "release" in r["metadata"].get("labels", {})}
        assert labelled == {"ServiceMonitor", "PrometheusRule"}
