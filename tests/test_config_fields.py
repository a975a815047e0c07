"""Each field's bounds, each rule that joins fields, and that no fault repeats a value."""

import re
from pathlib import Path

import pytest

from rotator.config import Config, TokenAuth, load
from rotator.errors import ConfigError

TOKEN = {"VAULT_TOKEN": "hvs.test-token-of-nobody", "APIMALL_API_KEY": "sk-of-nobody-at-all"}
PASTED = "sk-0123456789abcdef0123456789abcdef"
VAULT = "vault: {address: https://vault.example.com}\n"
KEYS = "keys: [{name: One, path: one}]\n"


def config(tmp_path: Path, text: str) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    return load(path, TOKEN)


def faults(tmp_path: Path, text: str) -> list[str]:
    """The faults, each without file, line and column."""
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, text)
    return [fault.partition(" ")[2] for fault in refused.value.faults]


@pytest.mark.parametrize(
    "url",
    [
        "https://gateway.example.com/api/v2/",
        "HTTPS://gateway.example.com:8443",
        "https://[2001:db8::1]:8443/api",
        "http://localhost:8210/api/v2",
        "http://127.0.0.1:8210",
        "http://127.8.9.10",
        "http://[::1]:8210",
    ],
)
def test_urls(tmp_path: Path, url: str) -> None:
    loaded = config(tmp_path, f"gateway: {{url: '{url}'}}\nvault: {{address: '{url}'}}\n{KEYS}")
    assert loaded.gateway.url == loaded.vault.address == url.rstrip("/")


@pytest.mark.parametrize(
    ("url", "wrong"),
    [
        ("http://gateway.example.com", "unencrypted"),
        ("http://127.0.0.1.example.com", "unencrypted"),
        ("http://localhost.example.com", "unencrypted"),
        ("http://10.0.0.1", "unencrypted"),
        ("http://127.1", "unencrypted"),
        ("http://999.0.0.1", "unencrypted"),
        ("https://user:word@gateway.example.com", "a user"),
        ("https://gateway.example.com/?a=b", "a query"),
        ("https://gateway.example.com/?", "a query"),
        ("https://gateway.example.com#a", "a fragment"),
        ("ftp://gateway.example.com", "is not a URL"),
        ("gateway.example.com", "is not a URL"),
        ("https://", "is not a URL"),
        ("https://a:99999", "is not a URL"),
        ("https://[a", "is not a URL"),
        ("https://gate way", "is not a URL"),
        ("https://gateway.example.com\\@evil", "is not a URL"),
        ("https://gätewäy.example.com", "is not a URL"),
    ],
)
def test_urls_that_are_refused(tmp_path: Path, url: str, wrong: str) -> None:
    found = faults(tmp_path, f"gateway: {{url: '{url}'}}\nvault: {{address: '{url}'}}\n{KEYS}")
    assert [fault.partition(":")[0] for fault in found] == ["gateway.url", "vault.address"]
    assert all(wrong in fault for fault in found)


@pytest.mark.parametrize(
    "base", ["https://v.example.com:8200", "https://v.example.com/vault", "https://v1.ui"]
)
@pytest.mark.parametrize(
    "extra", ["/v1", "/v1/", "//v1", "/ui", "/ui/vault/secrets", "/v1/secret/data/v1", "/UI/"]
)
def test_an_address_with_the_path_of_the_api_is_named_with_what_to_write(
    tmp_path: Path, base: str, extra: str
) -> None:
    [fault] = faults(tmp_path, f"vault: {{address: '{base}{extra}'}}\n{KEYS}")
    assert fault.startswith("vault.address: has /")
    assert fault.endswith(f"which is not part of the address; write {base}")
    cured = config(tmp_path, f"vault: {{address: '{fault.rpartition(' ')[2]}'}}\n{KEYS}")
    assert cured.vault.address == base


@pytest.mark.parametrize("path", ["/vault", "/v1x", "/a/v11/", "/build", "/prefix/of/a-proxy"])
def test_an_address_with_another_path_is_sound(tmp_path: Path, path: str) -> None:
    address = f"https://v.example.com{path}"
    assert config(tmp_path, f"vault: {{address: '{address}'}}\n{KEYS}").vault.address == address.rstrip("/")


def test_http_to_another_vault_needs_the_named_option(tmp_path: Path) -> None:
    text = "vault: {address: http://vault.internal:8200, allow_http: true}\n" + KEYS
    assert config(tmp_path, text).vault.address == "http://vault.internal:8200"
    assert "unencrypted" in faults(tmp_path, text.replace("true", "false"))[0]
    assert len(faults(tmp_path, text.replace("true", "12"))) == 2


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:9464", ("127.0.0.1", 9464)),
        ("'[::1]:80'", ("::1", 80)),
        ("localhost:65535", ("localhost", 65535)),
        ("0.0.0.0:1", ("0.0.0.0", 1)),
        ("~", None),
    ],
)
def test_where_it_listens(tmp_path: Path, listen: str, address: tuple[str, int] | None) -> None:
    assert config(tmp_path, f"http: {{listen: {listen}}}\n{VAULT}{KEYS}").http.address == address
    assert config(tmp_path, VAULT + KEYS).http.address == ("127.0.0.1", 9464)


def test_what_else_it_is_called(tmp_path: Path) -> None:
    found = config(tmp_path, f"http: {{names: [Rotator, rotator.rotator.svc]}}\n{VAULT}{KEYS}").http
    assert found.names == ["rotator", "rotator.rotator.svc"]
    for wrong in ("'*'", "'a:1'", "http://a", "a/b", "'[::1]'", "'a b'", "''", ".a"):
        [fault] = faults(tmp_path, f"http: {{names: [{wrong}]}}\n{VAULT}{KEYS}")
        assert fault.startswith("http.names[0]: is not a host's name: it ")
        assert "; write it without scheme, port, path, `*` and spaces" in fault


def test_where_a_single_pass_leaves_its_metrics(tmp_path: Path) -> None:
    wanted = "metrics: {textfile: /var/lib/rotator.prom, pushgateway: 'http://push.internal:9091/', job: a}\n"
    metrics = config(tmp_path, wanted + VAULT + KEYS).metrics
    assert (metrics.pushgateway, metrics.job, metrics.wanted) == ("http://push.internal:9091", "a", True)
    assert not config(tmp_path, VAULT + KEYS).metrics.wanted


def test_paths_lose_the_slashes_at_their_edges(tmp_path: Path) -> None:
    text = (
        "vault: {address: https://v.example.com, mount: /kv/, namespace: a/b/, state_path: /s/i}\n"
        "gateway: {api_key: {vault: /bearer/, file: /run/secrets/key, env: A_KEY}}\n"
        "keys: [{name: One, path: /one/two/}]\n"
    )
    loaded = config(tmp_path, text)
    assert (loaded.vault.mount, loaded.vault.namespace, loaded.vault.state_path) == ("kv", "a/b", "s/i")
    assert loaded.gateway.api_key.vault == "bearer"
    assert loaded.gateway.api_key.file == "/run/secrets/key"
    assert loaded.managed[0].path == "one/two"


@pytest.mark.parametrize(
    "path", ["", "/", "a//b", "a/../b", ".", "a/ b", "a?b", "a#b", "a%2fb", "a*", "a\\b", "x" * 513]
)
def test_paths_that_are_refused(tmp_path: Path, path: str) -> None:
    (fault,) = faults(tmp_path, VAULT + f"keys: [{{name: One, path: '{path}'}}]")
    assert fault.startswith("keys[0].path: ")
    assert "; write" in fault


def block(text: str) -> str:
    """A config with `text` in place of, or beside, the least that is needed."""
    needed = {"vault:": VAULT, "keys:": KEYS}
    return text + "\n" + "".join(lines for name, lines in needed.items() if not text.startswith(name))


@pytest.mark.parametrize(
    ("text", "place", "cure"),
    [
        ("gateway: {max_concurrency: 0}", "gateway.max_concurrency", "at least 1"),
        ("gateway: {max_concurrency: 65}", "gateway.max_concurrency", "at most 64"),
        ("gateway: {max_concurrency: '8'}", "gateway.max_concurrency", "without quotes"),
        ("gateway: {max_concurrency: 1.0}", "gateway.max_concurrency", "without a fraction"),
        ("gateway: {max_concurrency: true}", "gateway.max_concurrency", "whole number"),
        ("gateway: {timeout: 0}", "gateway.timeout", "at least 1s"),
        ("gateway: {timeout: ~}", "gateway.timeout", "is not a duration"),
        ("gateway: {api_key: {}}", "gateway.api_key", "at least one of vault, file and env"),
        ("gateway: {api_key: {vault: ~}}", "gateway.api_key", "at least one of vault, file and env"),
        ("gateway: {api_key: {env: A-B}}", "gateway.api_key.env", "never the key itself"),
        ("gateway: {api_key: {file: ''}}", "gateway.api_key.file", "write a path"),
        ("gateway:", "gateway", "must be a block"),
        ("vault: {mount: secret}", "vault.address", "set VAULT_ADDR"),
        ("vault: {address: https://v, mount: 5}", "vault.mount", "quote it"),
        ("vault: {address: https://v, tls_skip_verify: 'no'}", "vault.tls_skip_verify", "true or false"),
        (
            "vault: {address: https://v, auth: {method: ldap}}",
            "vault.auth.method",
            "one of 'token', 'token_file'",
        ),
        ("vault: {address: https://v, auth: token}", "vault.auth", "must be a block"),
        ("vault: {address: https://v, auth: {token: hvs.x}}", "vault.auth.token", "set VAULT_TOKEN"),
        ("vault: {address: https://v, ca_cert: /nowhere.pem}", "vault.ca_cert", "mount the file"),
        ("vault: {address: https://v, client_cert: /dev/null/x}", "vault.client_cert", "mount the file"),
        ("schedule: {every: 5m, cron: '* * * * *'}", "schedule", "keep one kind"),
        ("schedule: {jitter: 5m, cron: '* * * * *'}", "schedule", "keep one kind"),
        ("schedule: {timezone: UTC}", "schedule", "write `cron`"),
        ("schedule: {every: 10s, jitter: 30s}", "schedule", "shorter `jitter`"),
        ("schedule: {cron: '* * *'}", "schedule.cron", "five fields"),
        ("schedule: {cron: '* * * * *', timezone: Nowhere}", "schedule.timezone", "Europe/Berlin"),
        ("http: {listen: 9464}", "http.listen", "such as 127.0.0.1:9464"),
        ("http: {listen: false}", "http.listen", "or null for none"),
        ("defaults: {spread: 0.1}", "defaults.spread", "such as 10%"),
        ("defaults: {spread: 10}", "defaults.spread", "such as 10%"),
        ("http: {listen: '9464'}", "http.listen", "such as 127.0.0.1:9464"),
        ("http: {listen: '127.0.0.1:0'}", "http.listen", "such as 127.0.0.1:9464"),
        ("http: {listen: '127.0.0.1:65536'}", "http.listen", "such as 127.0.0.1:9464"),
        ("http: {listen: '::1:9464'}", "http.listen", "such as 127.0.0.1:9464"),
        ("http: {listen: 'http://a:1'}", "http.listen", "such as 127.0.0.1:9464"),
        ("metrics: {textfile: /tmp/rotator.txt}", "metrics.textfile", "ends in .prom"),
        ("metrics: {pushgateway: 'http://u:p@push:9091'}", "metrics.pushgateway", "a user"),
        ("metrics: {job: a/b}", "metrics.job", "1 to 64 letters"),
        ("title_template: '{name}'", "title_template", "{installation}"),
        (f"title_template: '{{name}} [{{installation}}-{{nonce}}] {'x' * 180}'", "title_template", "shorten"),
        ("title_template: '{name} [{installation}-{nonce}] {Name}'", "title_template", "write {name}"),
        ("verify_deadline: soon", "verify_deadline", "is not a duration"),
        ("in_flight: 20m", "in_flight", "an orphan_after of 15m, the default; write orphan_after: 20m, or"),
        ("store_deadline: 8m", "store_deadline", "write orphan_after: 16m, or less here"),
        ("orphan_after: 9m", "orphan_after", "at least 10m"),
        ("verify_deadline: 10m", "verify_deadline", "write orphan_after: 17m, or less here"),
        ("defaults: {field: rotation}", "defaults.field", "holds the bookkeeping"),
        ("defaults: {field: a b}", "defaults.field", "1 to 128 letters"),
        ("defaults: {field: ~}", "defaults.field", "give it a value, or remove it"),
        ("defaults: {rotation_period: 4000d}", "defaults.rotation_period", "at most 3650d"),
        ("defaults: {rotation_period: 30}", "defaults.rotation_period", "30 has no unit; write 30d"),
        ("defaults: {grace_period: '24'}", "defaults.grace_period", "24 has no unit; write 24d, 24h"),
        ("defaults: {rotation_period: 30s}", "defaults.rotation_period", "30s, less than an hour; write at"),
        ("defaults: {grace_period: 59m}", "defaults.grace_period", "or, if it is meant, allow_short: true"),
        ("defaults: {allow_short: 1}", "defaults.allow_short", "true or false"),
        (
            "keys: [{name: A, path: a, rotation_schedule: '*/5 * * * *'}]",
            "keys[0].rotation_schedule",
            "fires again after 5m, less than an hour",
        ),
        (
            "keys: [{name: A, path: a, rotation_period: 30m, grace_period: 1h}]",
            "keys[0].rotation_period",
            "is 30m, less than an hour",
        ),
        ("defaults: {rotation_period: 1h, rotation_schedule: 0 3 * * *}", "defaults", "keep one"),
        ("defaults: {rotation_period: 12h}", "defaults.grace_period", "write at most 12h"),
        ("defaults: {grace_period: 31d}", "defaults.grace_period", "write at most 30d"),
        ("defaults: {timezone: UTC}", "defaults.timezone", "remove it"),
        ("defaults: {rotation_window: 1h}", "defaults.rotation_window", "remove it"),
        ("defaults: {spread: 51%}", "defaults.spread", "from 1% to 50%"),
        ("defaults: {spread: 0%}", "defaults.spread", "such as 10%"),
        (
            "keys: [{name: One, path: one, rotation_schedule: 0 3 * * *, spread: 10%}]",
            "keys[0].spread",
            "without a rotation_period",
        ),
        ("keys: []", "keys", "at least 1"),
        ("keys:", "keys", "must be a list"),
        ("keys: [{path: one}]", "keys[0].name", "is missing"),
        ("keys: [{name: 12, path: one}]", "keys[0].name", "quote it"),
        ("keys: [{name: ' One', path: one}]", "keys[0].name", "1 to 64 letters"),
        ("keys: [{name: One, path: rotator/installation/}]", "keys[0].path", "vault.state_path"),
        ("keys: [{name: A, path: a}, {name: A, path: b}]", "keys[1].name", "keys[0]"),
        ("keys: [{name: A, path: a}, {name: B, path: /a}]", "keys[1].path", "keys[0]"),
        ("keys: [{name: A, path: a, timezone: UTC}]", "keys[0].timezone", "write rotation_schedule"),
        ("keys: [{name: A, path: a, rotation_window: 1h}]", "keys[0].rotation_window", "rotation_schedule"),
        ("keys: [{name: A, path: a, rotation_period: 1h}]", "keys[0].grace_period", "write at most 1h"),
        ("keys: [{name: A, path: a, rotation_schedule: '0 * * * *'}]", "keys[0].grace_period", "at most 1h"),
        ("keys: [{name: A, path: a, grace_period: 40d}]", "keys[0].grace_period", "at most 30d"),
        ("keys: [{name: A, path: a, graze_period: 1h}]", "keys[0].graze_period", "`grace_period`"),
        ("keys: [{name: A, path: a, zzz: 1h}]", "keys[0].zzz", "known here: rotation_period, "),
        ("nonsense: 1", "nonsense", "known here: in_flight, "),
    ],
)
def test_a_fault_names_its_place_and_its_cure(tmp_path: Path, text: str, place: str, cure: str) -> None:
    (fault,) = faults(tmp_path, block(text))
    assert fault.startswith(f"{place}: ")
    assert cure in fault


def test_a_certificate_needs_its_key(tmp_path: Path) -> None:
    pem = tmp_path / "a.pem"
    pem.write_text("")
    for field in ("client_cert", "client_key"):
        (fault,) = faults(tmp_path, f"vault: {{address: https://v, {field}: '{pem}'}}\n{KEYS}")
        assert fault == "vault: has one of client_cert and client_key; write both or neither"


def test_too_many_keys(tmp_path: Path) -> None:
    fault = faults(tmp_path, f"{VAULT}keys: [5{', 5' * 10_000}]")[0]
    assert fault.startswith("keys: is too long; write at most 10000 items")


def test_what_two_keys_inherit_is_one_fault(tmp_path: Path) -> None:
    text = "defaults: {grace_period: 31d}\nkeys: [{name: A, path: a}, {name: B, path: b}]\n"
    assert len(faults(tmp_path, VAULT + text)) == 1


def test_a_default_time_zone_waits_for_schedules_that_are_faulty_or_replaced(tmp_path: Path) -> None:
    faulty = "defaults: {timezone: UTC}\nkeys: [{name: A, path: a, rotation_schedule: soon}]\n"
    (fault,) = faults(tmp_path, VAULT + faulty)
    assert fault.startswith("keys[0].rotation_schedule: ")
    replaced = "defaults: {timezone: UTC, rotation_schedule: 0 3 * * SUN}\n"
    assert config(tmp_path, VAULT + replaced + "keys: [{name: A, path: a, rotation_period: 7d}]").managed


def test_no_fault_suggests_to_write_the_token(tmp_path: Path) -> None:
    text = "vault: {address: https://v, auth: {toke: 1, zzz: 1}}\n" + KEYS
    assert faults(tmp_path, text) == [
        "vault.auth.toke: is an unknown field; known here: method, env",
        "vault.auth.zzz: is an unknown field; known here: method, env",
    ]


def test_null_is_as_if_left_out(tmp_path: Path) -> None:
    text = "keys: [{name: A, path: a, rotation_period: ~, timezone: ~, grace_period: ~, field: ~}]"
    assert (
        config(tmp_path, VAULT + text).managed
        == config(tmp_path, VAULT + "keys: [{name: A, path: a}]").managed
    )


def test_bounds_that_still_hold(tmp_path: Path) -> None:
    text = (
        "in_flight: 15m\norphan_after: 15m\nstore_deadline: 7m\n"
        "schedule: {every: 10s, jitter: 0}\ngateway: {max_concurrency: 64}\n"
        "defaults: {timezone: UTC, grace_period: 1s, allow_short: true}\n"
        "keys:\n- {name: A, path: a, rotation_period: 24h, grace_period: 24h}\n"
        "- {name: a, path: A, rotation_schedule: 0 3 * * *}\n"
    )
    assert [key.name for key in config(tmp_path, VAULT + text).managed] == ["A", "a"]


@pytest.mark.parametrize(
    "text",
    [
        f"gateway: {{api_key: {PASTED}}}",
        f"gateway: {{api_key: {{env: {PASTED}}}}}",
        f"gateway: {{api_key: {{{PASTED}: 1}}}}",
        f"gateway: {{api_key: {{file: '{PASTED}\\', env: {PASTED}}}}}",
        f"gateway: {{url: 'https://{PASTED}@gateway.example.com'}}",
        f"gateway: {{max_concurrency: {PASTED}, timeout: {PASTED}, {PASTED}: 1}}",
        f"vault: {{address: {PASTED}, mount: '{PASTED}?', tls_skip_verify: {PASTED}}}",
        f"vault: {{address: https://v, auth: {{method: {PASTED}, token: {PASTED}}}, ca_cert: {PASTED}}}",
        f"vault: {{address: https://v, auth: {PASTED}, namespace: '{PASTED}*'}}",
        f"schedule: {{cron: {PASTED}, timezone: {PASTED}}}",
        f"schedule: {{cron: '{PASTED} * * * *'}}",
        f"title_template: {PASTED}",
        f"title_template: '{{{PASTED}}}'",
        f"defaults: {{field: '{PASTED}!', revoke_adopted: {PASTED}}}",
        f"keys: {PASTED}",
        f"keys: [{{name: '{PASTED}!', path: '{PASTED}#'}}]",
        f"keys: [{{name: {PASTED}, path: {PASTED}, grace_period: 90d}}]",
        f"keys: [{{name: {PASTED}, path: {PASTED}}}, {{name: {PASTED}, path: {PASTED}}}]",
        f"{PASTED}: 1\n{PASTED}: 2",
        f"[{PASTED}",
        f"'{PASTED}",
        f"*{PASTED}",
        f"!{PASTED} a",
        PASTED,
    ],
)
def test_no_fault_repeats_a_value(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(block(text))
    with pytest.raises(ConfigError) as refused:
        load(path, TOKEN)
    assert PASTED not in str(refused.value)
    assert PASTED not in repr(refused.getrepr(style="long", showlocals=False, chain=True).reprcrash)


def test_the_token_is_not_shown(tmp_path: Path) -> None:
    loaded = config(tmp_path, VAULT + KEYS)
    assert isinstance(loaded.vault.auth, TokenAuth)
    assert loaded.vault.auth.token.reveal() == TOKEN["VAULT_TOKEN"]
    for shown in (repr(loaded), str(loaded), str(loaded.vault.model_dump())):
        assert TOKEN["VAULT_TOKEN"] not in shown


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("vault.state_path", "vault: {address: https://v, state_path: secret/data/rotator/i}\n" + KEYS),
        ("gateway.api_key.vault", "gateway: {api_key: {vault: /secret/data/b}}\n" + VAULT + KEYS),
        ("keys[0].path", VAULT + "keys: [{name: A, path: secret/metadata/a}]"),
        ("keys[0].path", VAULT + "keys: [{name: A, path: secret/a}]"),
        ("keys[0].path", VAULT + "keys: [{name: A, path: data/a}]"),
        ("keys[0].path", VAULT + "keys: [{name: A, path: /metadata/a}]"),
        ("keys[0].path", VAULT + "keys: [{name: A, path: v1/secret/data/a}]"),
        (
            "keys[0].path",
            "vault: {address: https://v, mount: team/kv}\nkeys: [{name: A, path: team/kv/data/a}]",
        ),
    ],
)
def test_a_path_as_the_api_has_it(tmp_path: Path, place: str, text: str) -> None:
    (fault,) = faults(tmp_path, text)
    assert place in fault
    assert "a path begins below vault.mount, without `data/` or `metadata/`; write " in fault
    line = fault.rpartition("; write ")[2]
    assert config(tmp_path, re.sub(rf"{line.partition(':')[0]}: /?[a-z1/]+/[a-z]+(?=}})", line, text)).managed


@pytest.mark.parametrize("path", ["data", "metadata", "secret", "secrets/data/a", "a/secret/data", "v1/a"])
def test_a_path_that_only_looks_like_it(tmp_path: Path, path: str) -> None:
    assert config(tmp_path, VAULT + f"keys: [{{name: A, path: {path}}}]").managed[0].path == path


@pytest.mark.parametrize(
    "mount",
    ["secret/data", "/secret/metadata/", "v1/secret", "v1/secret/data", "data/secret", "metadata/secret"],
)
def test_a_mount_as_the_api_has_it(tmp_path: Path, mount: str) -> None:
    (fault,) = faults(tmp_path, f"vault: {{address: https://v, mount: {mount}}}\n{KEYS}")
    assert fault.startswith("vault.mount: has a part of Vault's API")
    assert fault.endswith("; write mount: secret")


@pytest.mark.parametrize("mount", ["data", "team/database", "metadata", "v1", "data-of-mine"])
def test_a_mount_that_only_looks_like_it(tmp_path: Path, mount: str) -> None:
    assert config(tmp_path, f"vault: {{address: https://v, mount: {mount}}}\n{KEYS}").vault.mount == mount


@pytest.mark.parametrize(
    ("text", "place", "fault"),
    [
        (f"gateway: {{api_key: {PASTED}}}", "gateway.api_key", "write api_key: {env: APIMALL_API_KEY}"),
        ("gateway: {api_key: any-word}", "gateway.api_key", "set the variable APIMALL_API_KEY to it"),
        (f"gateway: {{api_key: {{env: {PASTED}}}}}", "gateway.api_key.env", "holds an API key itself"),
        (f"gateway: {{api_key: {{file: {PASTED}}}}}", "gateway.api_key.file", "holds an API key itself"),
        (f"gateway: {{bearer: {PASTED}}}", "gateway.bearer", "remove it, and write no secret here"),
        ("vault: {address: https://v, token: root}", "vault.token", "remove it and set VAULT_TOKEN"),
        (
            "vault: {address: https://v, auth: {token: root}}",
            "vault.auth.token",
            "holds a Vault token itself, which whoever reads the config could use; remove it and set VAULT_TOKEN",
        ),
        (
            "vault: {address: https://v, namespace: hvs.CAESIJ0123456789abcdef}",
            "vault.namespace",
            "holds a Vault token itself",
        ),
        (
            "vault: {address: https://v, auth: {method: approle, role_id: {value: r}, secret_id: 1a2b-3c}}",
            "vault.auth.secret_id",
            "holds a secret id itself, which whoever reads the config could use; set the variable "
            "VAULT_SECRET_ID to it, and write secret_id: {env: VAULT_SECRET_ID}",
        ),
        (
            "vault: {address: https://v, auth: {method: jwt, role: r, jwt: some.jwt.here}}",
            "vault.auth.jwt",
            "write jwt: {env: VAULT_JWT}",
        ),
        (
            "webhook: {url: https://h, secret: whsec_bmV3bmV3bmV3bmV3bmV3bmV3bmV3bmV3}",
            "webhook.secret",
            "write secret: {env: WEBHOOK_SECRET}",
        ),
        (f"keys: [{{name: {PASTED}, path: a}}]", "keys[0].name", "holds an API key itself"),
    ],
)
def test_a_secret_in_the_config_is_named_for_what_it_is(
    tmp_path: Path, text: str, place: str, fault: str
) -> None:
    (found,) = faults(tmp_path, block(text))
    assert found.startswith(f"{place}: holds ")
    assert fault in found


@pytest.mark.parametrize(
    ("text", "place", "shown"),
    [
        ("keys: [{name: Bäckend, path: a}]", "keys[0].name", "it holds `ä` (U+00E4); write 1 to 64"),
        ("keys: [{name: 'a:b', path: a}]", "keys[0].name", "it holds `:`;"),
        ("keys: [{name: 'a\u0430', path: a}]", "keys[0].name", "it holds `\u0430` (U+0430);"),
        ("keys: [{name: 'a ', path: a}]", "keys[0].name", "it begins or ends with a space;"),
        ("keys: [{name: '', path: a}]", "keys[0].name", "it is empty;"),
        (f"keys: [{{name: {'a' * 65}, path: a}}]", "keys[0].name", "it has 65 characters;"),
        ("keys: [{name: a, path: a%b}]", "keys[0].path", "holds `%`, which no path may have"),
        ("keys: [{name: a, path: a, field: a b}]", "keys[0].field", "it holds a space;"),
        ("http: {names: [a/b]}", "http.names[0]", "it holds `/`;"),
        ("metrics: {job: a/b}", "metrics.job", "is not a job's name: it holds `/`;"),
    ],
)
def test_what_is_no_name_shows_the_character(tmp_path: Path, text: str, place: str, shown: str) -> None:
    (fault,) = faults(tmp_path, block(text))
    assert fault.startswith(f"{place}: ")
    assert shown in fault


def test_short_times_that_are_meant(tmp_path: Path) -> None:
    for text in (
        "defaults: {rotation_period: 10m, grace_period: 5m, allow_short: true}\n" + KEYS,
        "keys: [{name: A, path: a, rotation_period: 10m, grace_period: 5m, allow_short: true}]",
        "defaults: {allow_short: true}\nkeys: [{name: A, path: a, grace_period: 1s}]",
        "defaults: {rotation_period: 1h, grace_period: 1h, spread: 50%}\n"
        + KEYS.replace("path", "grace_period: 30m, allow_short: true, path"),
    ):
        assert config(tmp_path, VAULT + text).managed
    fault = faults(
        tmp_path,
        f"{VAULT}defaults: {{allow_short: true, grace_period: 1m}}\n"
        "keys: [{name: A, path: a, allow_short: false}]",
    )
    assert fault == [
        "defaults.grace_period: is 1m, less than an hour; write at least 1h, or, if it is meant, "
        "allow_short: true beside it"
    ]
