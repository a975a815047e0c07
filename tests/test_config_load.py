"""From a file to a config: where it is looked for, what it must be, and that every fault comes at once."""

from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rotator.config import Config, load
from rotator.errors import ConfigError
from rotator.files import MAX_BYTES
from rotator.rules.cadence import CronSchedule, Every, Period
from rotator.rules.model import ManagedKey, Timing
from tests.long import examples

TOKEN = {"VAULT_TOKEN": "hvs.test-token-of-nobody", "APIMALL_API_KEY": "sk-of-nobody-at-all"}
MINIMAL = "vault: {address: https://vault.example.com}\nkeys:\n  - {name: One, path: one}\n"


def write(path: Path, content: str | bytes) -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def faults(path: Path | None, environ: dict[str, str] | None = None) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        load(path, TOKEN | (environ or {}))
    assert all(fault in str(refused.value) for fault in refused.value.faults)
    return refused.value.faults


def test_the_least_config_has_every_default(tmp_path: Path) -> None:
    config = load(write(tmp_path / "c.yaml", MINIMAL), TOKEN)
    assert config.gateway.url == "https://gateway.apimall.ai/api/v1"
    assert config.gateway.api_key.env == "APIMALL_API_KEY"
    assert (config.gateway.api_key.vault, config.gateway.api_key.file) == (None, None)
    assert (config.gateway.max_concurrency, config.gateway.timeout) == (8, timedelta(seconds=30))
    assert (config.vault.mount, config.vault.state_path) == ("secret", "rotator/installation")
    assert (config.vault.namespace, config.vault.tls_skip_verify) == (None, False)
    assert config.vault.timeout == timedelta(seconds=10)
    assert config.schedule == Every(timedelta(minutes=10), timedelta(seconds=30))
    assert config.timing == Timing(
        in_flight=timedelta(minutes=2),
        orphan_after=timedelta(minutes=15),
        verify_deadline=timedelta(seconds=60),
        store_deadline=timedelta(minutes=5),
        clock_tolerance=timedelta(minutes=5),
    )
    assert config.titles.parse("One [2026-11-21T09:50:00Z 3f9a2c-7d01be42]") is not None
    assert config.managed == (
        ManagedKey(
            name="One",
            path="one",
            field="api_key",
            cadence=Period(timedelta(days=30)),
            grace_period=timedelta(hours=24),
            revoke_adopted=False,
        ),
    )


def test_keys_take_from_the_defaults_what_they_leave_out(tmp_path: Path) -> None:
    text = """\
vault: {address: https://vault.example.com}
schedule: {cron: "*/10 * * * *", timezone: Europe/Berlin}
title_template: "{name}: {installation}-{nonce}"
defaults:
  rotation_schedule: "0 3 * * SUN"
  rotation_window: 4h
  timezone: Europe/Berlin
  grace_period: 1h
  field: token
  revoke_adopted: true
keys:
  - {name: Weekly, path: /a/}
  - {name: Monthly, path: b, rotation_schedule: 0 3 1 * *, timezone: UTC, rotation_window: 1h, field: key}
  - {name: By period, path: c, rotation_period: 7d, grace_period: 2h, revoke_adopted: false}
"""
    config = load(write(tmp_path / "c.yaml", text), TOKEN)
    hour = timedelta(hours=1)
    assert config.schedule == CronSchedule("*/10 * * * *", "Europe/Berlin")
    assert config.titles.parse("A: 3f9a2c-7d01be42") is not None
    assert config.managed == (
        ManagedKey(
            "Weekly", "a", "token", CronSchedule("0 3 * * SUN", "Europe/Berlin", 4 * hour), hour, True
        ),
        ManagedKey("Monthly", "b", "key", CronSchedule("0 3 1 * *", "UTC", hour), hour, True),
        ManagedKey("By period", "c", "token", Period(timedelta(days=7)), 2 * hour, False),
    )


def test_a_schedule_takes_the_place_of_a_default_period(tmp_path: Path) -> None:
    text = MINIMAL + "  - {name: B, path: b, rotation_schedule: 0 3 * * *}\ndefaults: {rotation_period: 7d}\n"
    first, second = load(write(tmp_path / "c.yaml", text), TOKEN).managed
    assert first.cadence == Period(timedelta(days=7))
    assert second.cadence == CronSchedule("0 3 * * *", "UTC")


def test_where_the_config_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (nowhere,) = faults(None)
    assert nowhere.startswith(
        "config/rotator.yaml or /etc/rotator/rotator.yaml: there is no such file; write one"
    )

    write(tmp_path / "config" / "rotator.yaml", MINIMAL.replace("One", "Usual"))
    assert load(None, TOKEN).managed[0].name == "Usual"
    assert load(None, TOKEN | {"ROTATOR_CONFIG": ""}).managed[0].name == "Usual"

    named = write(tmp_path / "named.yaml", MINIMAL.replace("One", "Named"))
    assert load(None, TOKEN | {"ROTATOR_CONFIG": str(named)}).managed[0].name == "Named"

    given_ = write(tmp_path / "given.yaml", MINIMAL.replace("One", "Given"))
    assert load(given_, TOKEN | {"ROTATOR_CONFIG": str(named)}).managed[0].name == "Given"


def test_a_named_config_that_is_missing_is_not_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "config" / "rotator.yaml", MINIMAL)
    for found in (faults(Path("gone.yaml")), faults(None, {"ROTATOR_CONFIG": "gone.yaml"})):
        assert found[0].startswith("gone.yaml: there is no such file; ")
        assert "--config or ROTATOR_CONFIG" in found[0]


def test_what_is_no_readable_file(tmp_path: Path) -> None:
    assert faults(tmp_path) == (f"{tmp_path}: is a directory; name the file in it",)
    loop = tmp_path / "loop"
    loop.symlink_to(loop)
    why = "Too many levels of symbolic links"
    cure = "make it readable for this user, or name another file"
    assert faults(loop) == (f"{loop}: cannot be read ({why}); {cure}",)
    assert faults(Path("a\0\nb"))[0].startswith("a??b: cannot be read (")
    assert "there is no such file" in faults(write(tmp_path / "file", "") / "below.yaml")[0]


@pytest.mark.parametrize(
    ("content", "place", "cure"),
    [
        (b"", "1:1", "is empty; begin with `vault:` and `keys:`"),
        (b"- a\n", "1:1", "holds no fields; begin with `vault:`"),
        (b"\n\nhello", "3:1", "holds no fields"),
        (b"# \xc3\xa4\n# \xc3\xa4 \xff", "2:5", "not UTF-8"),
        (b"\xef\xbb\xbf\xc3\xa4\xff", "1:2", "not UTF-8"),
        ("keys: []".encode("utf-16"), "1:1", "not UTF-8"),
        (b"#" * (MAX_BYTES + 1), "1:1", "bigger than 1 MiB"),
        (b"a: [", "1:5", "not valid YAML"),
    ],
)
def test_what_is_no_config(tmp_path: Path, content: bytes, place: str, cure: str) -> None:
    path = write(tmp_path / "c.yaml", content)
    found, unknown = faults(path, {"ROTATOR_NONSENSE": "1"})
    assert found.startswith(f"{path}:{place}: ")
    assert cure in found
    assert "ROTATOR_NONSENSE" in unknown


def test_a_byte_order_mark_is_no_fault(tmp_path: Path) -> None:
    assert load(write(tmp_path / "c.yaml", b"\xef\xbb\xbf" + MINIMAL.encode()), TOKEN)


def test_every_fault_at_once_each_with_its_place(tmp_path: Path) -> None:
    text = """\
gateway:
  ulr: https://gateway.example.com
  max_concurrency: 99
vault: {address: https://vault.example.com}
vault: {address: https://vault.example.com}
orphan_after: 1m
keys:
  - name: One
    path: one
    rotation_period: 1.5h
  - name: One
    path: one/
    rotation_period: 1h
  - nobody
"""
    path = write(tmp_path / "c.yaml", text)
    with pytest.raises(ConfigError, match=r"^the config has 12 faults:\n"):
        load(path, {"ROTATOR_GATWAY__URL": "x"})
    with pytest.raises(ConfigError, match=r"^the config has 1 fault:\n"):
        load(write(tmp_path / "one.yaml", MINIMAL), {"APIMALL_API_KEY": "sk-of-nobody-at-all"})
    found = faults(path, {"ROTATOR_GATWAY__URL": "x"})
    assert [fault.partition(": ")[0].removeprefix(f"{path}:") for fault in found] == [
        "2:3 gateway.ulr",
        "3:3 gateway.max_concurrency",
        "5:1",
        "6:1 orphan_after",
        "10:5 keys[0].rotation_period",
        "11:5 keys[1].name",
        "11:5 keys[1].grace_period",
        "12:5 keys[1].path",
        "14:5 keys[2]",
        "environment ROTATOR_GATWAY__URL",
    ]
    assert "did you mean `url`?" in found[0]


def test_many_keys_load(tmp_path: Path) -> None:
    keys = "".join(f"- {{name: K{n}, path: k{n}, rotation_schedule: 0 3 * * SUN}}\n" for n in range(1000))
    text = f"vault: {{address: https://vault.example.com}}\nkeys:\n{keys}"
    assert len(load(write(tmp_path / "c.yaml", text), TOKEN).managed) == 1000


def attempt(content: bytes, environ: dict[str, str]) -> Config | ConfigError:
    with TemporaryDirectory() as folder:
        path = Path(folder, "c.yaml")
        path.write_bytes(content)
        try:
            return load(path, environ)
        except ConfigError as error:
            str(error).encode()
            return error


SYNTAX = [
    *"{}[]'\"#?|\t\n\x85",
    "  ",
    "- ",
    ": ",
    "&a ",
    "*a",
    "!!str ",
    "!x ",
    "<<",
    "---",
    "\\U",
    "%YAML 1.1",
]
WORDS = ["keys:", "gateway", "url", "vault", "schedule", "12", "1.5h", "null", "0 3 * * *", "'{name}"]
PIECES = st.sampled_from([MINIMAL, *SYNTAX, *WORDS])


@settings(deadline=None, derandomize=True, max_examples=examples(300))
@given(st.binary() | st.text().map(str.encode) | st.lists(PIECES).map("".join).map(str.encode))
@example(b"keys: [{1: 2}]\nvault: [\xc3\xa4]\n")
@example(b"gateway: &a {api_key: *a}")
@example(b'"\\uDC00": 1')
def test_any_bytes_are_a_config_or_a_config_error(content: bytes) -> None:
    assert isinstance(attempt(content, TOKEN), Config | ConfigError)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
TEXTS = st.text(st.characters(exclude_characters="\0"))


@settings(deadline=None, derandomize=True, max_examples=examples(200))
@given(
    name=st.sampled_from(
        ["KEYS__0__PATH", "GATEWAY", "GATEWAY__URL", "VAULT__AUTH", "SCHEDULE__CRON", "KEYS"]
    )
    | TEXTS,
    value=TEXTS | VALUES.map(repr),
)
def test_any_environment_is_a_config_or_a_config_error(name: str, value: str) -> None:
    environ = TOKEN | {f"ROTATOR_{name}": value}
    assert isinstance(attempt(MINIMAL.encode(), environ), Config | ConfigError)


def test_a_bearer_that_can_only_come_from_the_environment_must_be_there(tmp_path: Path) -> None:
    path = tmp_path / "rotator.yaml"
    environ = {"VAULT_TOKEN": TOKEN["VAULT_TOKEN"]}
    path.write_text("vault: {address: https://v}\nkeys: [{name: A, path: a}]\n")
    with pytest.raises(ConfigError, match="environment APIMALL_API_KEY: is missing"):
        load(path, environ)
    for sources in ("{vault: a/b, env: X}", "{file: /x, env: X}"):
        path.write_text(
            f"gateway: {{api_key: {sources}}}\nvault: {{address: https://v}}\nkeys: [{{name: A, path: a}}]\n"
        )
        assert load(path, environ).gateway.api_key.env == "X"
