"""Each fault of the config, cured by what it says to write: the same line with the cure loads."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import pytest

from rotator.config import load
from rotator.errors import ConfigError
from rotator.files import MAX_BYTES

SIGNS: Final = "whsec_" + "bmV3" * 8
ENVIRON: Final = {
    "VAULT_TOKEN": "hvs.test-token-of-nobody",
    "APIMALL_API_KEY": "sk-of-nobody-at-all",
    "SIGNS": SIGNS,
    "UNSOUND": "whsec_of-no-base64",
}
VAULT: Final = "vault: {address: https://v"
KEY: Final = "keys: [{name: A, path: a"
HOOK: Final = "webhook: {secret: {env: SIGNS}, url: "
JWT: Final = f"{VAULT}, auth: {{method: jwt, role: r, jwt: "
NAMES: Final = ", ".join("a" * 65)
MANY: Final = "".join(f"\n  - {{name: A{n}, path: a{n}}}" for n in range(10_000))
MORE: Final = "\n  - {name: B, path: b}"
BOMB: Final = "\n".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9) if n else 1}]" for n in range(8))
EU: Final = "vaults: [{name: eu, address: https://eu, auth: {env: SIGNS}}]"
COPY: Final = f"{KEY}, consumers: [{{name: eu, copy: {{vault: eu"
THERE: Final = f"{COPY}}}}}]}}]\nvaults: [{{name: eu, address: https://eu, auth: "
Row: TypeAlias = tuple[str, str, str]

FILES: Final[list[Row]] = [
    # A part of the fault; the line that has it; and the same line as the fault says to write it.
    ("is not a URL; write https:// and a host", "gateway: {url: g}", "gateway: {url: https://g}"),
    ("write only scheme, host, port and path", "gateway: {url: 'https://g/?a'}", "gateway: {url: https://g}"),
    ("unencrypted; write https://", "gateway: {url: http://g}", "gateway: {url: https://g}"),
    (
        "not part of the address; write https://v/a",
        "vault: {address: https://v/a/v1}",
        "vault: {address: https://v/a}",
    ),
    ("is not a path; write 1 to 512 characters", f"{VAULT}, mount: ''}}", f"{VAULT}, mount: kv}}"),
    ("a space at a part's edge; write it without", f"{VAULT}, mount: a//b}}", f"{VAULT}, mount: a/b}}"),
    ("which no path may have; write it without", f"{VAULT}, mount: 'a*'}}", f"{VAULT}, mount: a}}"),
    ("before or after the mount; write mount: kv", f"{VAULT}, mount: kv/data}}", f"{VAULT}, mount: kv}}"),
    ("it holds `*`; write 1 to 64 letters", "keys: [{name: A*, path: a}]", f"{KEY}}}]"),
    (
        "is below vault.acks_path, rotator/acks/, where consumers confirm; write another",
        "keys: [{name: A, path: rotator/acks/a}]",
        f"{KEY}}}]",
    ),
    (
        "overlaps with rotator/claims, which the rotator keeps for itself; write another",
        f"{VAULT}, acks_path: rotator/claims/a}}",
        f"{VAULT}, acks_path: rotator/acks}}",
    ),
    (
        "overlaps with rotator/installation, which the rotator keeps for itself; write another",
        f"{VAULT}, acks_path: rotator}}",
        f"{VAULT}, acks_path: rotator/acks}}",
    ),
    (
        "which no part of a path may be; write a letter or a digit too",
        f"{KEY}, consumers: [{{name: ..}}]}}]",
        f"{KEY}, consumers: [{{name: ..a}}]}}]",
    ),
    (
        "is already used by keys[0].consumers[0]; write another",
        f"{KEY}, consumers: [{{name: web}}, {{name: web}}]}}]",
        f"{KEY}, consumers: [{{name: web}}, {{name: batch}}]}}]",
    ),
    (
        "nothing that signs what is told there; write `secret: {env: WEBHOOK_SECRET}` beside it",
        f"{KEY}, consumers: [{{name: web, url: https://w}}]}}]",
        f"{KEY}, consumers: [{{name: web, url: https://w, secret: {{env: SIGNS}}}}]}}]",
    ),
    (
        "signs nothing without a `url`; remove it or write the `url`",
        f"{KEY}, consumers: [{{name: web, secret: {{env: SIGNS}}}}]}}]",
        f"{KEY}, consumers: [{{name: web}}]}}]",
    ),
    (
        "means nothing without consumers; remove it or name them",
        f"{KEY}, grace_limit: 2d}}]",
        f"{KEY}, grace_limit: 2d, consumers: [{{name: web}}]}}]",
    ),
    (
        "is shorter than the grace_period; write at least 1d",
        f"{KEY}, grace_limit: 2h, consumers: [{{name: web}}]}}]",
        f"{KEY}, grace_limit: 1d, consumers: [{{name: web}}]}}]",
    ),
    (
        "so many replaced keys would live at once that no new one is made; write at most 20d",
        f"{KEY}, grace_limit: 21d, rotation_period: 2d, consumers: [{{name: web}}]}}]",
        f"{KEY}, grace_limit: 20d, rotation_period: 2d, consumers: [{{name: web}}]}}]",
    ),
    (
        "it holds `/`; write 1 to 64 letters",
        f"{KEY}, consumers: [{{name: a/b}}]}}]",
        f"{KEY}, consumers: [{{name: b}}]}}]",
    ),
    ("it holds a space; write 1 to 128 letters", f"{KEY}, field: a b}}]", f"{KEY}, field: a_b}}]"),
    ("is no name of `vaults`; add that Vault there", f"{COPY}}}}}]}}]", f"{COPY}}}}}]}}]\n{EU}"),
    (
        "is no name of `vaults`; add that Vault there, or write one of: eu",
        f"{COPY}}}}}, {{name: us, copy: {{vault: us}}}}]}}]\n{EU}",
        f"{COPY}}}}}, {{name: us, copy: {{vault: eu, path: us}}}}]}}]\n{EU}",
    ),
    (
        "is used by no copy; remove it, or write copy: {vault: eu} at a consumer",
        EU,
        f"{COPY}}}}}]}}]\n{EU}",
    ),
    (
        "consumers[1].copy.path: is where keys[0].consumers[0].copy is kept, too; write another path",
        f"{COPY}}}}}, {{name: us, copy: {{vault: eu}}}}]}}]\n{EU}",
        f"{COPY}}}}}, {{name: us, copy: {{vault: eu, path: us}}}}]}}]\n{EU}",
    ),
    (
        "is the path of keys[0] in the same mount; write another path",
        f"{COPY}}}}}]}}]\nvaults: [{{name: eu}}]",
        f"{COPY}, path: b}}}}]}}]\nvaults: [{{name: eu}}]",
    ),
    (
        "is where the bearer is kept; write another path",
        f"{COPY}, path: b}}}}]}}]\nvaults: [{{name: eu}}]\ngateway: {{api_key: {{vault: b}}}}",
        f"{COPY}, path: c}}}}]}}]\nvaults: [{{name: eu}}]\ngateway: {{api_key: {{vault: b}}}}",
    ),
    (
        "is below rotator/claims, where a rotator keeps its own records; write another path",
        f"{COPY}, path: rotator/claims/a}}}}]}}]\n{EU}",
        f"{COPY}, path: claims/a}}}}]}}]\n{EU}",
    ),
    (
        "begins with kv/, but a path begins below the mount of eu, without `data/` or `metadata/`; write path: b",
        f"{COPY}, path: kv/b}}}}]}}]\nvaults: [{{name: eu, mount: kv}}]",
        f"{COPY}, path: b}}}}]}}]\nvaults: [{{name: eu, mount: kv}}]",
    ),
    (
        "has both url and copy, though its copy tells which key is current; keep one",
        f"{COPY}}}, url: https://h, secret: {{env: SIGNS}}}}]}}]\n{EU}",
        f"{COPY}}}}}]}}]\n{EU}",
    ),
    (
        "has an address without auth; write how to log in there",
        f"{COPY}}}}}]}}]\nvaults: [{{name: eu, address: https://eu}}]",
        f"{COPY}}}}}]}}]\n{EU}",
    ),
    *(
        (
            f"logs in by {method} without auth.{name}, and the default is the main Vault's; write auth.{name}",
            f"{THERE}{{method: {method}{rest}}}}}]",
            f"{THERE}{{method: {method}{rest}, {line}}}}}]",
        )
        for method, name, rest, line in (  # what is left out, and the line that is missing
            ("kubernetes", "file", ", role: r", "file: /token"),
            ("approle", "role_id", ", secret_id: {env: SIGNS}", "role_id: {env: SIGNS}"),
            ("approle", "secret_id", ", role_id: {env: SIGNS}", "secret_id: {env: SIGNS}"),
        )
    ),
    (
        "is missing; name a variable in auth.env, such as EU_VAULT_TOKEN, and set it to a token of this Vault",
        f"{COPY}}}}}]}}]\nvaults: [{{name: eu, address: https://eu, auth: {{method: token}}}}]",
        f"{COPY}}}}}]}}]\n{EU}",
    ),
    (
        "holds a Vault token itself, which whoever reads the config could use; set a variable to it, and write its "
        "name in auth.env",
        f"{COPY}}}}}]}}]\nvaults: [{{name: eu, address: https://eu, auth: {{token: hvs.{'a' * 32}}}}}]",
        f"{COPY}}}}}]}}]\n{EU}",
    ),
    (
        "is gateway, which is another server's name; write another, such as the region's",
        f"{COPY}}}}}]}}]\nvaults: [{{name: gateway}}]".replace("vault: eu", "vault: gateway"),
        f"{COPY}}}}}]}}]\n{EU}",
    ),
    (
        "and write api_key: {env: APIMALL_API_KEY}",
        "gateway: {api_key: any-word}",
        "gateway: {api_key: {env: APIMALL_API_KEY}}",
    ),
    ("remove it, and write no secret here", f"{VAULT}, ca_cert: sk-{'0' * 32}}}", f"{VAULT}}}"),
    (
        "is not a variable's name; write the name",
        "gateway: {api_key: {env: A-B}}",
        "gateway: {api_key: {env: SIGNS}}",
    ),
    (
        "is not a file's name; write a path",
        "gateway: {api_key: {file: ''}}",
        "gateway: {api_key: {file: /run/k}}",
    ),
    (
        "mount the file or correct the path",
        f"{VAULT}, ca_cert: /nowhere/ca}}",
        f"{VAULT}, ca_cert: {__file__}}}",
    ),
    (
        "not a placeholder; write {name}",
        "title_template: '{Name}'",
        "title_template: '{name} [{installation}-{nonce}]'",
    ),
    (
        "is not a placeholder; the placeholders are",
        "title_template: '{name} [{installation}-{nonce}] {date}'",
        "title_template: '{name} [{installation}-{nonce}] {stamp}'",
    ),
    (
        "characters; shorten it",
        f"title_template: '{{name}} [{{installation}}-{{nonce}}] {'x' * 200}'",
        "title_template: '{name} [{installation}-{nonce}] x'",
    ),
    ("write a percentage from 1% to 50%", "defaults: {spread: 60%}", "defaults: {spread: 10%}"),
    (
        "is not an address; write a host and a port",
        "http: {listen: 9464}",
        "http: {listen: '127.0.0.1:9464'}",
    ),
    ("write it without scheme, port, path, `*` and spaces", "http: {names: ['r:1']}", "http: {names: [r]}"),
    ("write a path that ends in .prom", "metrics: {textfile: /r.txt}", "metrics: {textfile: /r.prom}"),
    ("write one of file, env", f"{JWT}{{}}}}}}", f"{JWT}{{env: SIGNS}}}}}}"),
    ("is zero; write at least 1s", "in_flight: 0s", "in_flight: 1s"),
    (
        "write at least one of vault, file and env",
        "gateway: {api_key: {}}",
        "gateway: {api_key: {env: SIGNS}}",
    ),
    ("write Vault's URL here or set VAULT_ADDR", "vault: {mount: a}", f"{VAULT}, mount: a}}"),
    (
        "write both or neither",
        f"{VAULT}, client_cert: {__file__}}}",
        f"{VAULT}, client_cert: {__file__}, client_key: {__file__}}}",
    ),
    ("or `jitter`; keep one kind", "schedule: {every: 5m, cron: 0 3 * * *}", "schedule: {cron: 0 3 * * *}"),
    ("remove it or write `cron`", "schedule: {timezone: UTC}", "schedule: {timezone: UTC, cron: 0 3 * * *}"),
    ("write a shorter `jitter`", "schedule: {every: 5m, jitter: 6m}", "schedule: {every: 5m, jitter: 5m}"),
    (
        "rotation_schedule; keep one of them",
        f"{KEY}, rotation_period: 7d, rotation_schedule: 0 3 * * *}}]",
        f"{KEY}, rotation_period: 7d}}]",
    ),
    ("write orphan_after: 16m, or less", "store_deadline: 8m", "{store_deadline: 8m, orphan_after: 16m, "),
    ("for these deadlines; write at least 10m", "orphan_after: 9m", "orphan_after: 10m"),
    (
        "is already used by keys[0]; write another",
        f"{KEY}}}, {{name: B, path: a}}]",
        f"{KEY}}}, {{name: B, path: b}}]",
    ),
    (
        "or `metadata/`; write path: a",
        "keys: [{name: A, path: secret/data/a}]",
        f"{KEY}}}]",
    ),
    ("holds the identity; write another", "keys: [{name: A, path: rotator/installation}]", f"{KEY}}}]"),
    ("keeps its claims; write another", "keys: [{name: A, path: rotator/claims/a}]", f"{KEY}}}]"),
    (
        "where consumers confirm; write another",
        "gateway: {api_key: {vault: rotator/acks/a}}",
        "gateway: {api_key: {vault: rotator/key}}",
    ),
    ("write two names", f"{KEY}, field: rotation}}]", f"{KEY}, field: rotation, bookkeeping: ours}}]"),
    (
        "remove it or write rotation_schedule",
        f"{KEY}, rotation_window: 1h}}]",
        f"{KEY}, rotation_window: 1h, rotation_schedule: 0 3 * * *}}]",
    ),
    (
        "without a rotation_period; remove it",
        f"{KEY}, rotation_schedule: 0 3 * * *, spread: 10%}}]",
        f"{KEY}, rotation_schedule: 0 3 * * *}}]",
    ),
    ("two rotations; write at most 30d", f"{KEY}, grace_period: 31d}}]", f"{KEY}, grace_period: 30d}}]"),
    ("has a rotation_schedule; remove it", "defaults: {timezone: UTC}", "defaults: {}"),
    (
        "is the role id itself; write role_id: {value: …}",
        f"{VAULT}, auth: {{method: approle, role_id: abc, secret_id: {{env: SIGNS}}}}}}",
        f"{VAULT}, auth: {{method: approle, role_id: {{value: abc}}, secret_id: {{env: SIGNS}}}}}}",
    ),
    (
        "is not a role id; write the one word",
        f"{VAULT}, auth: {{method: approle, role_id: {{value: 5}}, secret_id: {{env: SIGNS}}}}}}",
        f"{VAULT}, auth: {{method: approle, role_id: {{value: '5'}}, secret_id: {{env: SIGNS}}}}}}",
    ),
    ("the JWT for the login", f"{JWT}{{env: NONE}}}}}}", f"{JWT}{{env: SIGNS}}}}}}"),
    ("write whsec_ and the base64", f"{HOOK}https://h}}".replace("SIGNS", "UNSOUND"), f"{HOOK}https://h}}"),
    ("must be text; quote it", f"{VAULT}, mount: 5}}", f"{VAULT}, mount: '5'}}"),
    ("is empty; give it a value, or remove it", "defaults: {field: }", "defaults: {}"),
    ("write true or false, without quotes", f"{VAULT}, allow_http: no}}", f"{VAULT}, allow_http: false}}"),
    ("without a fraction", "gateway: {max_concurrency: 8.0}", "gateway: {max_concurrency: 8}"),
    ("is too small; write at least 1", "gateway: {max_concurrency: 0}", "gateway: {max_concurrency: 1}"),
    ("is too big; write at most 64", "gateway: {max_concurrency: 99}", "gateway: {max_concurrency: 64}"),
    ("must be a block; write `field: value` lines", "gateway: 5", "gateway:\n  timeout: 5s"),
    ("must be a list; write each item", "keys: 5", "keys:\n  - {name: A, path: a}"),
    ("is empty; write at least 1 item", "keys: []", f"{KEY}}}]"),
    (
        "is too long; write at most 64 items",
        f"http: {{names: [{NAMES}]}}",
        f"http: {{names: [{NAMES[:-3]}]}}",
    ),
    ("is too long; write at most 10000 items", f"keys:{MANY}{MORE}", f"keys:{MANY}"),
    (
        "is not supported; write 'rotation.succeeded'",
        f"{HOOK}https://h, events: [rotation]}}",
        f"{HOOK}https://h, events: [rotation.succeeded]}}",
    ),
    ("write one of 'token'", f"{VAULT}, auth: {{method: ldap}}}}", f"{VAULT}, auth: {{method: token}}}}"),
    (
        "in the config; remove it and set VAULT_TOKEN",
        f"{VAULT}, auth: {{token: 5}}}}",
        f"{VAULT}, auth: {{}}}}",
    ),
    ("remove it and set VAULT_TOKEN", f"{VAULT}, auth: {{token: hvs.x}}}}", f"{VAULT}, auth: {{}}}}"),
    ("is missing; give it a value", "keys: [{path: a}]", f"{KEY}}}]"),
    ("did you mean `path`?", "keys: [{name: A, paht: a}]", f"{KEY}}}]"),
    ("is an unknown field; known here", "zzzz: 5s", "in_flight: 5s"),
    ("is not a duration; write whole numbers with units", "in_flight: soon", "in_flight: 90s"),
    ("5 has no unit; write 5d, 5h, 5m or 5s", "in_flight: 5", "in_flight: 5m"),
    ("without a unit; write one, such as 90s", "clock_tolerance: 1234567", "clock_tolerance: 90s"),
    (
        "less than an hour; write at least 1h, or, if it is meant",
        f"{KEY}, rotation_period: 30m, grace_period: 30m}}]",
        f"{KEY}, rotation_period: 30m, grace_period: 30m, allow_short: true}}]",
    ),
    ("has a fraction; write whole units", "in_flight: 1.5m", "in_flight: 1m30s"),
    ("write a duration of at most 3650d", "clock_tolerance: 4000d", "clock_tolerance: 3650d"),
    (
        "is not a known time zone; write a name",
        f"{KEY}, timezone: X, rotation_schedule: 0 3 * * *}}]",
        f"{KEY}}}]",
    ),
    ("write five fields", "schedule: {cron: 0 3}", "schedule: {cron: 0 3 * * SUN}"),
    ("write `*` for one of them", "schedule: {cron: 0 3 1 * 1}", "schedule: {cron: 0 3 1 * *}"),
    ("write a day that they have", "schedule: {cron: 0 3 30 2 *}", "schedule: {cron: 0 3 28 2 *}"),
    ("field that cron does not know; write", "schedule: {cron: x 3 * * *}", "schedule: {cron: 59 3 * * *}"),
    ("has a minute out of range; write", "schedule: {cron: 60 3 * * *}", "schedule: {cron: 59 3 * * *}"),
    ("write it as two ranges", "schedule: {cron: '50-10 3 * * *'}", "schedule: {cron: '50-59,0-10 3 * * *'}"),
    ("write a step from 1 to 59", "schedule: {cron: '*/60 3 * * *'}", "schedule: {cron: '*/59 3 * * *'}"),
    # What is wrong with the text itself.
    ("is bigger than 1 MiB; split it", "#" * (MAX_BYTES + 1), "# half of it"),
    ("; begin with `vault:` and `keys:`", "- a", ""),
    ("there is a tab here; indent with spaces", "gateway:\n\ttimeout: 5s", "gateway:\n  timeout: 5s"),
    ("the colons and the quotes", "gateway: {timeout: `5s`}", "gateway: {timeout: '5s'}"),
    ("keep one document in the file", "in_flight: 5s\n---\na: b", "in_flight: 5s"),
    ("is nested deeper than 16 levels; flatten it", "a: " + "[" * 17 + "]" * 17, "in_flight: 5s"),
    ("once aliases are expanded; use fewer", BOMB, "in_flight: 5s"),
    ("must be text; quote it or remove it", "5: a", ""),
    ("put shared fields under `defaults`", "<<: {spread: 5%}", "defaults: {spread: 5%}"),
    ("is also on line 1; remove one of the two", "in_flight: 5s\nin_flight: 5s", "in_flight: 5s"),
    ("names no anchor above; write the value out", "in_flight: *a", "in_flight: 5s"),
    (
        "a line break or an unprintable character; write one plain line",
        "in_flight: |\n  5s\n  a",
        "in_flight: 5s",
    ),
    ("the tag before this value is not supported; remove it", "in_flight: !!int 5", "in_flight: 5s"),
    ("there is an unprintable character here; remove it", "in_flight: \x07 5s", "in_flight: 5s"),
    ("a number that YAML does not know follows; remove it", 'in_flight: "\\UFFFFFFFF"', "in_flight: 5s"),
]
Set: TypeAlias = Mapping[str, str | None]
VARIABLES: Final[list[tuple[str, Set, Set]]] = [
    # A part of the fault; the variables that have it; and the same as the fault says to set them.
    ("VAULT_TOKEN: holds a space", {"VAULT_TOKEN": "a b"}, {"VAULT_TOKEN": "ab"}),
    (
        "VAULT_TOKEN: is missing; set it to a Vault token with the policy",
        {"VAULT_TOKEN": ""},
        {"VAULT_TOKEN": "ab"},
    ),
    ("is missing; set it to an API key", {"APIMALL_API_KEY": ""}, {"APIMALL_API_KEY": "sk-a"}),
    ("did you mean ROTATOR_IN_FLIGHT?", {"ROTATOR_IN_FLIHT": "5s"}, {"ROTATOR_IN_FLIGHT": "5s"}),
    ("ROTATOR_ZZZZZ: is an unknown field; unset it", {"ROTATOR_ZZZZZ": "5s"}, {}),
    (
        "holds an unprintable character; write one plain line",
        {"ROTATOR_VAULT__MOUNT": "a\nb"},
        {"ROTATOR_VAULT__MOUNT": "ab"},
    ),
    (
        "has no place in the file; lists count from 0",
        {"ROTATOR_HTTP__NAMES__7": "a"},
        {"ROTATOR_HTTP__NAMES__0": "a"},
    ),
    (
        "run it in an Indexed Job, or unset it",
        {"ROTATOR_SHARDS": "4"},
        {"ROTATOR_SHARDS": "4", "JOB_COMPLETION_INDEX": "0"},
    ),
    (
        "the index counts from 0 and is less than the count",
        {"ROTATOR_SHARDS": "4", "JOB_COMPLETION_INDEX": "4"},
        {"ROTATOR_SHARDS": "4", "JOB_COMPLETION_INDEX": "3"},
    ),
]


def faults(path: Path, environ: Mapping[str, str | None] | None = None) -> str:
    """Return all that are found; none where it loads."""
    merged: dict[str, Any] = {**ENVIRON, **(environ or {})}
    try:
        load(path, merged)
    except ConfigError as error:
        return "\n".join(error.faults)
    return ""


def whole(line: str) -> str:
    """A config with this line, and beside it what is needed."""
    if line.startswith("{"):
        return f"{line}vault: {{address: https://v}}, {KEY}}}]}}"
    needed = [
        "" if line.startswith("vault:") else f"{VAULT}}}",
        "" if line.startswith("keys:") else f"{KEY}}}]",
    ]
    return "\n".join([line, *needed]) if line != "- a" else line


@pytest.mark.parametrize(("fault", "wrong", "cured"), FILES, ids=[row[0][:40] for row in FILES])
def test_what_a_fault_of_the_file_says_cures_it(tmp_path: Path, fault: str, wrong: str, cured: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(whole(wrong))
    found = faults(path)
    assert fault in found
    assert all(line.startswith((f"{path}:", "environment ")) for line in found.splitlines())
    path.write_text(whole(cured))
    assert faults(path) == ""


@pytest.mark.parametrize(("fault", "wrong", "cured"), VARIABLES, ids=[row[0][:40] for row in VARIABLES])
def test_what_a_fault_of_a_variable_says_cures_it(tmp_path: Path, fault: str, wrong: Set, cured: Set) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(whole(""))
    assert fault in faults(path, wrong)
    assert faults(path, cured) == ""


def test_what_a_fault_of_the_files_place_says_cures_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    missing, loop, good = tmp_path / "missing.yaml", tmp_path / "loop.yaml", tmp_path / "good.yaml"
    loop.symlink_to(loop)
    good.write_text(whole(""))
    assert "write one (see config/minimal.yaml), or name yours" in faults(missing)
    missing.write_bytes((Path(__file__).parent.parent / "config/minimal.yaml").read_bytes())
    assert faults(missing) == ""
    assert faults(tmp_path) == f"{tmp_path}: is a directory; name the file in it"
    assert "make it readable for this user, or name another file" in faults(loop)
    assert faults(good) == ""
    good.write_bytes("# ä\n".encode("latin-1") + good.read_bytes())
    assert "is not UTF-8; save the file in UTF-8" in faults(good)
    good.write_text(good.read_text("latin-1"), "utf-8")
    assert faults(good) == ""


def test_what_a_fault_of_the_signing_secrets_file_says_cures_it(tmp_path: Path) -> None:
    path, file = tmp_path / "c.yaml", tmp_path / "signs"
    path.write_text(whole(f"{HOOK}https://h}}".replace("env: SIGNS", f"file: {file}")))
    assert "names a file that is not there; mount the file or correct the path" in faults(path)
    file.symlink_to(file)
    assert "cannot be read; make it a file that this user can read" in faults(path)
    file.unlink()
    file.write_text(SIGNS)
    assert faults(path) == ""
