"""What the environment may say: overrides, typing errors, Vault's own variables."""

from pathlib import Path

import pytest

from rotator.config import Config, TokenAuth, load
from rotator.errors import ConfigError
from rotator.redaction import Secret

TOKEN = {"VAULT_TOKEN": "hvs.test-token-of-nobody", "APIMALL_API_KEY": "sk-of-nobody-at-all"}
FILE = """\
vault: {address: https://vault.example.com}
keys:
  - {name: One, path: one}
"""


def config(tmp_path: Path, environ: dict[str, str], text: str = FILE) -> Config:
    path = tmp_path / "rotator.yaml"
    path.write_text(text)
    return load(path, TOKEN | environ)


def faults(tmp_path: Path, environ: dict[str, str], text: str = FILE) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        config(tmp_path, environ, text)
    return refused.value.faults


def test_a_variable_overrides_the_file(tmp_path: Path) -> None:
    text = FILE + "gateway: {url: https://file.example.com, max_concurrency: 2}\n"
    found = config(
        tmp_path,
        {
            "ROTATOR_GATEWAY__URL": "https://environment.example.com/",
            "ROTATOR_GATEWAY__MAX_CONCURRENCY": "3",
            "ROTATOR_GATEWAY__TIMEOUT": "45s",
            "ROTATOR_DEFAULTS__GRACE_PERIOD": "7200s",
            "ROTATOR_VAULT__ALLOW_HTTP": "true",
            "ROTATOR_VAULT__MOUNT": "12",
            "ROTATOR_KEYS__0__PATH": "two",
            "ROTATOR_KEYS__1__NAME": "New",
            "ROTATOR_KEYS__1__PATH": "new",
        },
        text,
    )
    assert found.gateway.url == "https://environment.example.com"
    assert found.gateway.max_concurrency == 3
    assert found.gateway.timeout.total_seconds() == 45
    assert found.vault.allow_http is True
    assert found.vault.mount == "12"
    assert [(key.name, key.path) for key in found.managed] == [("One", "two"), ("New", "new")]
    assert found.managed[0].grace_period.total_seconds() == 7200


def test_a_whole_block_can_be_given_and_its_fields_refined(tmp_path: Path) -> None:
    environ = {
        "ROTATOR_KEYS": "[{name: A, path: a}, {name: B, path: b}]",
        "ROTATOR_KEYS__1__PATH": "c",
        "ROTATOR_DEFAULTS": "{field: token}",
    }
    found = config(tmp_path, environ, FILE + "defaults:\n")
    assert [key.path for key in found.managed] == ["a", "c"]
    assert {key.field for key in found.managed} == {"token"}


def test_an_empty_block_in_the_file_can_be_filled(tmp_path: Path) -> None:
    text = "vault:\nkeys:\n"
    environ = {
        "ROTATOR_VAULT__ADDRESS": "https://v.example.com",
        "ROTATOR_KEYS__0__NAME": "A",
        "ROTATOR_KEYS__0__PATH": "a",
    }
    assert config(tmp_path, environ, text).managed[0].name == "A"


def test_a_whole_list_can_be_given_item_by_item(tmp_path: Path) -> None:
    environ = {f"ROTATOR_KEYS__{n}": f"{{name: K{n}, path: p{n}}}" for n in range(12)}
    managed = config(tmp_path, environ).managed
    assert [key.name for key in managed] == [f"K{n}" for n in range(12)]


@pytest.mark.parametrize(
    ("name", "suggestion"),
    [
        ("ROTATOR_GATWAY__URL", "did you mean ROTATOR_GATEWAY__URL?"),
        ("ROTATOR_GATEWAY_URL", "did you mean ROTATOR_GATEWAY__URL?"),
        ("ROTATOR_KEYS__7__PAHT", "did you mean ROTATOR_KEYS__7__PATH?"),
        ("ROTATOR_gateway__url", "did you mean ROTATOR_GATEWAY__URL?"),
        ("ROTATOR_GATEWAY__URL__0", "did you mean ROTATOR_GATEWAY__URL?"),
        ("ROTATOR_KEYS__00__PATH", "did you mean ROTATOR_KEYS__0__PATH?"),
        ("ROTATOR_VAULT__AUTH__TOKE", "did you mean ROTATOR_VAULT__AUTH__ROLE?"),
        ("ROTATOR_SERVICE_HOSTS", "unset it"),
        ("ROTATOR_BACKEND_SERVICE_HOST", "unset it"),
        ("ROTATOR_", "unset it"),
    ],
)
def test_an_unknown_variable_is_a_fault(tmp_path: Path, name: str, suggestion: str) -> None:
    (fault,) = faults(tmp_path, {name: "x"})
    assert fault == f"environment {name}: is an unknown field; {suggestion}"


def test_an_odd_name_is_not_repeated(tmp_path: Path) -> None:
    (fault,) = faults(tmp_path, {"ROTATOR_sk-\udcff": "x"})
    assert fault == "environment ROTATOR_…: is an unknown field; unset it"


@pytest.mark.parametrize(
    "name",
    [
        "ROTATOR_CONFIG",
        "ROTATOR_TEST_VAULT",
        "ROTATOR_SERVICE_HOST",
        "ROTATOR_SERVICE_PORT",
        "ROTATOR_SERVICE_PORT_HTTP",
        "ROTATOR_PORT",
        "ROTATOR_PORT_8080_TCP_ADDR",
        "MY_ROTATOR_THING",
    ],
)
def test_variables_that_are_no_fields_are_left_alone(tmp_path: Path, name: str) -> None:
    assert config(tmp_path, {name: "tcp://10.0.0.1:80"}) is not None


@pytest.mark.parametrize("service", ["METRICS", "HTTP", "VAULT__ADDRESS", "GATEWAY_2", "KEYS__0", "SERVICE"])
@pytest.mark.parametrize("address", ["10.0.0.5", "fd00::5"])
def test_what_is_set_for_a_service_beside_us_is_left_alone(
    tmp_path: Path, service: str, address: str
) -> None:
    """Of a Service `rotator-metrics`, as Kubernetes has it, or a linked container, as Docker has it."""
    url = f"tcp://[{address}]:9464" if ":" in address else f"tcp://{address}:9464"
    links = {
        "SERVICE_HOST": address,
        "SERVICE_PORT": "9464",
        "SERVICE_PORT_HTTP_METRICS": "9464",
        "PORT": url,
        "PORT_9464_TCP": url,
        "PORT_9464_TCP_PROTO": "tcp",
        "PORT_9464_TCP_PORT": "9464",
        "PORT_9464_TCP_ADDR": address,
        "PORT_53_UDP": url.replace("tcp", "udp"),
        "PORT_53_UDP_PROTO": "udp",
    }
    assert config(tmp_path, {f"ROTATOR_{service}_{name}": text for name, text in links.items()})


def test_a_misspelt_field_is_no_service_link(tmp_path: Path) -> None:
    environ = {"ROTATOR_METRICS_PORT": "9464", "ROTATOR_VAULT_SERVICE_HOST": "vault.example.com"}
    assert len(faults(tmp_path, environ)) == 2


@pytest.mark.parametrize(
    ("environ", "text", "expected"),
    [
        ({"ROTATOR_KEYS__5__PATH": "x"}, FILE, "environment ROTATOR_KEYS__5__PATH: has no place in the file"),
        ({"ROTATOR_KEYS__5": "{}"}, FILE, "environment ROTATOR_KEYS__5: has no place in the file"),
        (
            {"ROTATOR_GATEWAY__URL": "x"},
            FILE + "gateway: 5",
            "environment ROTATOR_GATEWAY__URL: has no place",
        ),
        ({"ROTATOR_DEFAULTS": "{a: [}"}, FILE, "environment ROTATOR_DEFAULTS: is not valid YAML"),
        ({"ROTATOR_DEFAULTS": "\udcff"}, FILE, "environment ROTATOR_DEFAULTS: there is an unprintable"),
        ({"ROTATOR_VAULT__MOUNT": "a\nb"}, FILE, "environment ROTATOR_VAULT__MOUNT: holds an unprintable"),
        ({"ROTATOR_VAULT__MOUNT": ""}, FILE, "environment ROTATOR_VAULT__MOUNT: is not a path"),
        ({"ROTATOR_GATEWAY__TIMEOUT": "1.5h"}, FILE, "environment ROTATOR_GATEWAY__TIMEOUT: has a fraction"),
        (
            {"ROTATOR_DEFAULTS": "{graze_period: 1h}"},
            FILE,
            "environment ROTATOR_DEFAULTS defaults.graze_period: is an unknown field; did you mean `grace_period`?",
        ),
        (
            {"ROTATOR_VAULT__AUTH__TOKEN": "hvs.pasted"},
            FILE,
            "environment ROTATOR_VAULT__AUTH__TOKEN: holds a Vault token itself, which",
        ),
    ],
)
def test_faults_name_the_variable(tmp_path: Path, environ: dict[str, str], text: str, expected: str) -> None:
    assert any(fault.startswith(expected) for fault in faults(tmp_path, environ, text))


def test_vaults_variables_fill_in_what_the_file_leaves_out(tmp_path: Path) -> None:
    pem = tmp_path / "a.pem"
    pem.write_text("")
    environ = {
        "VAULT_ADDR": "https://environment.example.com/",
        "VAULT_NAMESPACE": "team/",
        "VAULT_CACERT": str(pem),
        "VAULT_CLIENT_CERT": str(pem),
        "VAULT_CLIENT_KEY": str(pem),
    }
    vault = config(tmp_path, environ, "keys: [{name: One, path: one}]").vault
    assert vault.address == "https://environment.example.com"
    assert vault.namespace == "team"
    assert vault.ca_cert == vault.client_cert == vault.client_key == str(pem)
    assert isinstance(vault.auth, TokenAuth)
    assert vault.auth.token == Secret(TOKEN["VAULT_TOKEN"])


def test_the_file_and_the_overrides_win_over_vaults_variables(tmp_path: Path) -> None:
    stray = {"VAULT_ADDR": "https://stray.example.com", "VAULT_NAMESPACE": "stray", "VAULT_SKIP_VERIFY": "1"}
    text = FILE.replace("{address: https://vault.example.com}", "{namespace: null, tls_skip_verify: false}")
    vault = config(tmp_path, {**stray, "ROTATOR_VAULT__ADDRESS": "https://own.example.com"}, text).vault
    assert (vault.address, vault.namespace, vault.tls_skip_verify) == ("https://own.example.com", None, False)
    assert config(tmp_path, stray).vault.address == "https://vault.example.com"


def test_an_empty_variable_of_vaults_counts_as_none(tmp_path: Path) -> None:
    assert config(tmp_path, {"VAULT_NAMESPACE": "", "VAULT_SKIP_VERIFY": ""}).vault.namespace is None


def test_a_variable_of_vaults_that_has_no_use_stops_nothing(tmp_path: Path) -> None:
    files = dict.fromkeys(("VAULT_CACERT", "VAULT_CLIENT_CERT", "VAULT_CLIENT_KEY"), "/nowhere")
    for address in ("http://127.0.0.1:8200", "HTTP://localhost"):
        text = FILE.replace("https://vault.example.com", address)
        assert config(tmp_path, {**files, "VAULT_SKIP_VERIFY": "maybe"}, text).vault.ca_cert is None
    vault = config(tmp_path, {"VAULT_CACERT": "/nowhere", "VAULT_SKIP_VERIFY": "True"}).vault
    assert (vault.ca_cert, vault.tls_skip_verify) == (None, True)
    assert [fault.partition(":")[0] for fault in faults(tmp_path, files)] == [
        f"environment {name}" for name in files
    ]


def test_a_fault_in_vaults_variable_names_it(tmp_path: Path) -> None:
    found = faults(tmp_path, {"VAULT_SKIP_VERIFY": "maybe", "VAULT_NAMESPACE": "a//b"})
    assert [fault.partition(":")[0] for fault in found] == [
        "environment VAULT_NAMESPACE",
        "environment VAULT_SKIP_VERIFY",
    ]


@pytest.mark.parametrize(
    ("token", "cure"),
    [
        ("", "is missing; set it to a Vault token with the policy"),
        ("hvs.two words", "set it to the token alone"),
    ],
)
def test_the_token_must_be_there_and_be_one(tmp_path: Path, token: str, cure: str) -> None:
    (fault,) = faults(tmp_path, {**TOKEN, "VAULT_TOKEN": token})
    assert fault.startswith("environment VAULT_TOKEN: ")
    assert cure in fault
    assert not token or token not in fault
