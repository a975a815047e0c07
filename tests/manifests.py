"""What `kubectl kustomize` makes of deploy/kubernetes, and of an overlay of one's own."""

import subprocess
from functools import cache
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from rotator.config import Config, load
from tests.deployed import DEPLOY, VENV

Resource: TypeAlias = dict[str, Any]
KUBERNETES = DEPLOY / "kubernetes"
OVERLAYS = ("cronjob", "daemon", "sharded")
OURS = {"app.kubernetes.io/name": "rotator"}


def render(directory: Path) -> list[Resource]:
    done = subprocess.run(
        [VENV / "kubectl", "kustomize", directory], capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


@cache
def rendered(overlay: str) -> tuple[Resource, ...]:
    return tuple(render(KUBERNETES / "overlays" / overlay))


def each(overlay: str, kind: str) -> list[Resource]:
    return [resource for resource in rendered(overlay) if resource["kind"] == kind]


def job(overlay: str) -> Resource:
    [cron_job] = each(overlay, "CronJob")
    return dict(cron_job["spec"]["jobTemplate"]["spec"])


def template(overlay: str) -> Resource:
    [owner] = each(overlay, "Deployment") if overlay == "daemon" else [{"spec": job(overlay)}]
    return dict(owner["spec"]["template"])


def container(overlay: str) -> Resource:
    [only] = template(overlay)["spec"]["containers"]
    return dict(only)


def variables(overlay: str) -> dict[str, str]:
    return {variable["name"]: variable["value"] for variable in container(overlay).get("env", [])}


def config(directory: Path, resources: tuple[Resource, ...], **environ: str) -> Config:
    [config_map] = [resource for resource in resources if resource["kind"] == "ConfigMap"]
    (directory / "rotator.yaml").write_text(config_map["data"]["rotator.yaml"])
    return load(directory / "rotator.yaml", environ)
