"""The webhook's block: its bounds, and that what signs is there before there is something to tell."""

from pathlib import Path
from typing import get_args

import pytest

from rotator.config import Webhook, load, signing_secrets
from rotator.config.monitoring import NoticeType
from rotator.errors import ConfigError
from rotator.redaction import Secret
from tests.test_config_fields import KEYS, TOKEN, VAULT

SECRET = f"whsec_{8 * 'b2xk'}"
ENVIRON = TOKEN | {"WEBHOOK_SECRET": SECRET}


def webhook(tmp_path: Path, text: str, environ: dict[str, str] | None = None) -> Webhook:
    path = tmp_path / "c.yaml"
    path.write_text(f"{VAULT}{KEYS}{text}\n")
    loaded = load(path, ENVIRON | (environ or {})).webhook
    assert loaded
    return loaded


def block(url: str = "https://hooks.example.com", rest: str = "") -> str:
    return f"webhook: {{url: '{url}', secret: {{env: WEBHOOK_SECRET}}{rest}}}"


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.example.com/a/",
        "https://hooks.example.com",
        "http://localhost:1/a",
        "http://127.0.0.1:1",
    ],
)
def test_a_url_is_called_as_it_is_written(tmp_path: Path, url: str) -> None:
    assert webhook(tmp_path, block(url)).url == url


def test_all_events_are_sent_unless_some_are_named(tmp_path: Path) -> None:
    assert webhook(tmp_path, block()).events == list(get_args(NoticeType))
    assert webhook(tmp_path, block(rest=", events: [pass.failed]")).events == ["pass.failed"]


def test_the_environment_can_give_it_all(tmp_path: Path) -> None:
    environ = {
        "ROTATOR_WEBHOOK__URL": "https://hooks.example.com/",
        "ROTATOR_WEBHOOK__SECRET__ENV": "WEBHOOK_SECRET",
        "ROTATOR_WEBHOOK__EVENTS": "[rotation.failed]",
        "ROTATOR_WEBHOOK__EVENTS__1": "pass.failed",
    }
    loaded = webhook(tmp_path, "", environ)
    assert (loaded.url, loaded.events) == ("https://hooks.example.com/", ["rotation.failed", "pass.failed"])


def test_a_secret_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    assert signing_secrets(webhook(tmp_path, block()).secret, ENVIRON) == (Secret(SECRET),)
    file = tmp_path / "secret"
    file.write_text(f"{SECRET}\nwhsec_{8 * 'bmV3'}\n")
    text = block().replace("env: WEBHOOK_SECRET", f"file: {file}")
    assert len(signing_secrets(webhook(tmp_path, text).secret, {})) == 2


@pytest.mark.parametrize(
    ("text", "place", "cure"),
    [
        (block("http://hooks.example.com"), "webhook.url", "would send secrets unencrypted"),
        (block("https://a:b@hooks.example.com"), "webhook.url", "has a user"),
        (block("https://hooks.example.com/?token=a"), "webhook.url", "a query"),
        (block("hooks.example.com"), "webhook.url", "is not a URL"),
        ("webhook: {secret: {env: WEBHOOK_SECRET}}", "webhook.url", "is missing"),
        ("webhook: {url: 'https://h'}", "webhook.secret", "is missing"),
        ("webhook: {}", "webhook.url", "is missing"),
        ("webhook: {url: 'https://h', secret: {}}", "webhook.secret", "write one of file, env"),
        ("webhook: {url: 'https://h', secret: {env: A, file: b}}", "webhook.secret", "write one of"),
        (f"webhook: {{url: 'https://h', secret: {SECRET}}}", "webhook.secret", "write secret: {env: WEB"),
        (
            f"webhook: {{url: 'https://h', secret: {{env: '{SECRET}='}}}}",
            "webhook.secret.env",
            "holds a signing",
        ),
        ("webhook: {url: 'https://h', secret: {env: of-another-form}}", "webhook.secret.env", "never the"),
        (block(rest=", events: []"), "webhook.events", "at least 1"),
        (block(rest=", events: [rotation]"), "webhook.events[0]", "'rotation.failed'"),
        ("webhook: {url: 'https://h', secret: {env: NOT_SET}}", "webhook.secret", "not set; write whsec_"),
        (
            "webhook: {url: 'https://h', secret: {env: UNSOUND}}",
            "webhook.secret",
            "valid secret; write whsec_",
        ),
        ("webhook: {url: 'https://h', secret: {file: /nowhere}}", "webhook.secret", "mount the file or"),
        ("webhook: {url: 'https://h', secret: {file: /}}", "webhook.secret", "cannot be read"),
        ("webhook: 5", "webhook", "must be a block"),
    ],
)
def test_faults(tmp_path: Path, text: str, place: str, cure: str) -> None:
    with pytest.raises(ConfigError) as refused:
        webhook(tmp_path, text, {"UNSOUND": SECRET[:-1] + "!"})
    found = [fault.partition(" ")[2] for fault in refused.value.faults]
    assert any(fault.startswith(f"{place}: ") and cure in fault for fault in found), found
    assert SECRET[:20] not in str(refused.value)


def test_its_faults_come_with_all_others(tmp_path: Path) -> None:
    text = "webhook: {url: 'https://h', secret: {env: NOT_SET}}\ndefaults: {field: a b}\nin_flight: 20m"
    with pytest.raises(ConfigError) as refused:
        webhook(tmp_path, text)
    assert len(refused.value.faults) == 3
