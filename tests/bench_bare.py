"""The same calls without the program, for `tests.bench`: `python bench_bare.py WHAT CONFIG …`."""

import json
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import hvac
import yaml


def read(config: dict[str, Any]) -> None:
    """Read each secret, as a script would."""
    vault = client(config)
    for key in config["keys"]:
        vault.secrets.kv.v2.read_secret_version(
            key["path"], mount_point=config["vault"]["mount"], raise_on_deleted_version=True
        )


def calls(config: dict[str, Any], plan: str) -> None:
    """Make as many calls of each kind, in eight threads over connections that are kept."""
    gateway, ours = gateway_of(config), {"Authorization": f"Bearer {os.environ['APIMALL_API_KEY']}"}
    vault, address = gateway_of(config), config["vault"]["address"].rstrip("/")
    token = {"X-Vault-Token": os.environ["VAULT_TOKEN"]}
    url, mount = config["gateway"]["url"], config["vault"]["mount"]

    def one(number: int, event: str, method: str) -> None:
        if event == "vault.request":
            path = f"{address}/v1/{mount}/data/bare/{number}"
            body = {"data": {"api_key": "x" * 40}} if method in ("POST", "PUT") else None
            vault.request(method, path, headers=token, json=body)
        elif method == "POST":
            gateway.post(f"{url}/keys", headers=ours, json={"title": f"bare {number}"})
        else:
            gateway.get(f"{url}/account/balances", headers=ours)

    made = [(number, *call) for number, call in enumerate(json.loads(Path(plan).read_text()))]
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(one, *call) for call in made]:
            done.result()


def script(config: dict[str, Any], times: str) -> None:
    """What a user would write: one after the other, create, try, read, write, revoke nothing."""
    gateway, vault = gateway_of(config), client(config)
    ours = {"Authorization": f"Bearer {os.environ['APIMALL_API_KEY']}"}
    url, mount = config["gateway"]["url"], config["vault"]["mount"]
    for number in range(int(times)):
        made = gateway.post(f"{url}/keys", headers=ours, json={"title": f"script {number}"}).json()["data"]
        gateway.get(f"{url}/account/balances", headers={"Authorization": f"Bearer {made['api_key']}"})
        vault.secrets.kv.v2.create_or_update_secret(
            f"script/{number}", {"api_key": made["api_key"]}, mount_point=mount
        )


def gateway_of(_config: dict[str, Any]) -> Any:
    import httpx

    return httpx.Client(limits=httpx.Limits(max_keepalive_connections=8), timeout=30)


def client(config: dict[str, Any]) -> Any:
    ca = os.environ.get("SSL_CERT_FILE")
    return hvac.Client(config["vault"]["address"], token=os.environ["VAULT_TOKEN"], verify=ca or True)


WHAT: dict[str, Callable[..., None]] = {"read": read, "calls": calls, "script": script}

if __name__ == "__main__":
    WHAT[sys.argv[1]](yaml.safe_load(Path(sys.argv[2]).read_text()), *sys.argv[3:])
