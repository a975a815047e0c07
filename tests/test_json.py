"""Every JSON that the program writes is held against its schema; and the schema, the file and the page are one."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import jsonschema
import pytest

from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from rotator.show.output import Kind
from rotator.show.output_parts import PARTS
from rotator.show.output_schema import KINDS, render, schema
from tests import json_page
from tests.program import BACKEND, LEAK, ROOT, Finished, Program, secret
from tests.served import Served

NAME = "Production backend"


def closed(rule: Any) -> Any:
    """The same schema with no room for what it does not name: so that each field is described."""
    if isinstance(rule, dict):
        more = {"additionalProperties": False} if "properties" in rule else {}
        return {name: closed(inner) for name, inner in rule.items()} | more
    return [closed(inner) for inner in rule] if isinstance(rule, list) else rule


def faults(body: Any) -> Iterator[str]:
    """What is wrong with an object, by the schema of its own kind."""
    rule = closed(schema())
    rule["$ref"] = f"#/$defs/{body['kind']}"
    del rule["oneOf"]
    validator = jsonschema.Draft202012Validator(rule, format_checker=jsonschema.FormatChecker())
    for error in validator.iter_errors(body):
        yield f"{error.json_path}: {error.message}"


def read(done: Finished, kind: Kind) -> Any:
    (line,) = done.out.splitlines()
    body = json.loads(line)
    assert list(body)[:2] == ["schema", "kind"]
    assert (body["schema"], body["kind"]) == (1, kind)
    assert list(faults(body)) == []
    return body


def test_the_file_and_the_page_are_the_schemas() -> None:
    jsonschema.Draft202012Validator.check_schema(schema())
    assert (ROOT / "rotator/show/output.schema.json").read_text() == render(), "renew it with `make schema`"
    assert (ROOT / "docs/json.md").read_text() == json_page.render(), "renew it with `make schema`"


def test_each_part_is_used_and_each_kind_is_offered() -> None:
    assert not {kind.value for kind in KINDS} & PARTS.keys()
    assert set(KINDS) == set(Kind)
    text = render()
    assert {name for name in schema()["$defs"] if f'"#/$defs/{name}"' not in text} == set()


def test_what_is_no_output_does_not_fit() -> None:
    body = {"schema": 1, "kind": "error", "converged": False, "error": {"message": "a", "request_id": None}}
    assert list(faults(body)) == ["$.error: 'cure' is a required property"]
    body["error"] |= {"cure": None, "more": 1}  # type: ignore[operator]
    assert "'more' was unexpected" in next(faults(body))
    assert list(faults({**body, "error": {"message": "a", "request_id": None, "cure": None}})) == []


class TestTheProgram:
    def test_passes_and_looks(self, rotator: Program) -> None:
        planned = read(rotator.run("--dry-run", "--json"), Kind.PASS)
        assert planned["dry_run"]
        assert read(rotator.run("status", "--json"), Kind.STATUS)["well"] is False
        read(rotator.run("--once", "--json"), Kind.PASS)
        assert read(rotator.run("--rotate-now", "--json"), Kind.PASS)["keys"][0]["superseded"]
        status = read(rotator.run("status", "--json"), Kind.STATUS)
        assert status["keys"][0]["superseded"]
        assert status["about"]["gateway"] == rotator.config["gateway"]["url"]
        assert status["about"]["installation"] == status["installation"]
        assert read(rotator.run("explain", NAME, "--json"), Kind.EXPLANATION)["others"]
        assert read(rotator.run("check", "--json"), Kind.CHECK)["checks"]
        assert read(rotator.run("rollback", "--key", NAME, "--dry-run", "--json"), Kind.ROLLBACK)["dry_run"]
        read(rotator.run("rollback", "--key", NAME, "--json"), Kind.ROLLBACK)
        (rotator.directory / "rotator.hcl").write_text("")
        started = read(rotator.run("init", "--json"), Kind.PROPOSAL)
        assert started["config"]["exists"]
        assert started["policy"]["diff"]
        moved = read(rotator.run("installation", "move", "--yes", "--json"), Kind.INSTALLATION)
        assert moved["bound"]["addresses"]

    def test_which_key_it_is(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        rotator.run("--once")
        rotator.run("--rotate-now")
        key = secret(vault_server, mount, BACKEND)["api_key"]
        found = read(rotator.run("identify", "--json", given=key), Kind.IDENTIFIED)
        assert found["keys"][0]["due_at"]
        assert found["stored"]
        by_hand = gateway.account.bootstrap
        assert read(rotator.run("identify", "--json", given=by_hand.preview), Kind.IDENTIFIED)["keys"]
        assert read(rotator.run("identify", "--json", given="2"), Kind.IDENTIFIED)["keys"][0]["revoke_at"]
        assert read(rotator.run("leaked", "--yes", "--json", given="1"), Kind.IDENTIFIED)["keys"]
        assert len(read(rotator.run("keys", "--json"), Kind.KEYS)["keys"]) == 5
        theirs = gateway.account.create("by hand")
        gateway.account.clock.advance(timedelta(minutes=60))
        ids = ("--id", str(theirs.id))
        assert read(rotator.run("prune", *ids, "--dry-run", "--json"), Kind.PRUNE)["dry_run"]
        assert read(rotator.run("prune", *ids, "--id", "2", "--yes", "--json"), Kind.PRUNE)["keys"][1]["why"]
        assert read(rotator.run("prune", *ids, "--yes", "--json"), Kind.PRUNE)["requests"]

    def test_a_leak(self, rotator: Program) -> None:
        rotator.run("--once")
        assert read(rotator.run(*LEAK, "--dry-run", "--json"), Kind.EXPOSURE)["keys"]
        assert read(rotator.run(*LEAK, "--yes", "--json"), Kind.INCIDENT)["requests"]

    @pytest.mark.parametrize(
        ("options", "code"),
        [
            (["--once", "--json", "--no-such-option"], 2),
            (["--once", "--rotate-now", "--json"], 2),
            (["statsu", "--json"], 2),
            (["--yes", "--json"], 2),
            (["explain", "--json"], 2),
            (["explain", "Nobody", "--json"], 2),
            (["rollback", "--json"], 2),
            (["installation", "fly", "--json"], 2),
            (["installation", "move", "--json"], 2),
            (["status", "--watch", "0", "--json"], 2),
            (["--once", "--shard", "7", "--json"], 2),
            (["rollback", "--key", NAME, "--json"], 1),
        ],
    )
    def test_what_cannot_be_done(self, rotator: Program, options: list[str], code: int) -> None:
        done = rotator.run(*options)
        assert done.code == code
        body = read(done, Kind.ERROR)
        assert body["converged"] is False
        assert body["error"]["message"]

    @pytest.mark.parametrize(
        "command", [["--once"], ["status"], ["explain", NAME], ["rollback", "--key", NAME], [*LEAK, "--yes"]]
    )
    def test_a_fault_of_the_config_and_a_server_that_cannot_be_reached(
        self, rotator: Program, command: list[str]
    ) -> None:
        address = rotator.config["vault"]["address"]
        rotator.config["vault"]["address"] = "http://127.0.0.1:1"
        rotator.config["pass_deadline"] = "1s"
        done = rotator.run(*command, "--json")
        assert done.code == 3
        assert read(done, Kind.ERROR)["error"]["cure"]
        rotator.config["vault"]["address"] = address
        rotator.config["pass_deadline"] = 5
        done = rotator.run(*command, "--json")
        assert done.code == 2
        assert "5 has no unit" in read(done, Kind.ERROR)["error"]["faults"][0]

    def test_check_of_a_config_with_faults(self, rotator: Program) -> None:
        rotator.config["pass_deadline"] = 5
        assert read(rotator.run("check", "--json"), Kind.CHECK)["checks"][0]["state"] == "bad"


def test_the_status_of_the_service(served: Served) -> None:
    _, text = served.ask("/status.json")
    body = json.loads(text)
    assert (body["schema"], body["kind"]) == (1, "service")
    assert list(faults(body)) == []
    assert {key["state"] for key in body["keys"]} > {"ok", "failed"}


def test_the_page_names_every_field() -> None:
    text = (ROOT / "docs/json.md").read_text()
    fields = {name for rule in schema()["$defs"].values() for name in rule["properties"]}
    assert {name for name in fields - {"schema", "kind"} if not re.search(rf"`{name}`", text)} == set()
