"""The receivers of consumers: their bounds, and what signs for them is there before there is something to tell."""

from pathlib import Path

import pytest

from rotator.clients.webhook_signature import parse_secrets
from rotator.config import Config, load, signing_secrets
from rotator.errors import ConfigError
from rotator.rules.model import Receiver
from tests.test_config_fields import TOKEN, VAULT

OWN, COMMON = (f"whsec_{8 * letters}" for letters in ("b2xk", "bmV3"))
ENVIRON = TOKEN | {"WEBHOOK_SECRET": COMMON, "BATCH": OWN, "UNSOUND": OWN[:-1] + "!"}
WEBHOOK = "webhook: {url: 'https://hooks.example.com', secret: {env: WEBHOOK_SECRET}}\n"
URL = "https://batch.example.com/hooks/key"


def loaded(tmp_path: Path, consumers: str, more: str = "", environ: dict[str, str] | None = None) -> Config:
    path = tmp_path / "c.yaml"
    path.write_text(f"{VAULT}{more}keys: [{{name: A, path: a, consumers: {consumers}}}]\n")
    return load(path, ENVIRON | (environ or {}))


def test_a_consumer_without_a_url_is_told_nowhere(tmp_path: Path) -> None:
    [key] = loaded(tmp_path, "[{name: web}]").managed
    assert (key.consumers, key.receivers) == (("web",), ())


def test_its_own_secret_signs_else_that_of_the_webhook(tmp_path: Path) -> None:
    own = f"[{{name: web}}, {{name: a, url: '{URL}', secret: {{env: BATCH}}}}, {{name: b, url: '{URL}'}}]"
    [key] = loaded(tmp_path, own, WEBHOOK).managed
    assert key.consumers == ("web", "a", "b")
    assert key.receivers == (
        Receiver("a", URL, "keys[0].consumers[1].secret", env="BATCH"),
        Receiver("b", URL, "webhook.secret", env="WEBHOOK_SECRET"),
    )
    signs = [signing_secrets(receiver, ENVIRON, receiver.place) for receiver in key.receivers]
    assert signs == [parse_secrets(OWN), parse_secrets(COMMON)]


def test_a_url_does_not_print(tmp_path: Path) -> None:
    """It may hold a token."""
    assert URL not in repr(loaded(tmp_path, f"[{{name: a, url: '{URL}'}}]", WEBHOOK).managed)


def test_by_the_environment(tmp_path: Path) -> None:
    environ = {
        "ROTATOR_KEYS__0__CONSUMERS__0__URL": URL,
        "ROTATOR_KEYS__0__CONSUMERS__0__SECRET__ENV": "BATCH",
    }
    [key] = loaded(tmp_path, "[{name: a}]", environ=environ).managed
    assert [receiver.url for receiver in key.receivers] == [URL]


@pytest.mark.parametrize(
    ("consumer", "place", "says"),
    [
        ("url: 'http://batch.example.com'", "url", "would send secrets unencrypted"),
        ("url: 'https://a:b@batch.example.com'", "url", "has a user"),
        ("url: 'https://batch.example.com/?token=a'", "url", "a query"),
        ("url: batch", "url", "is not a URL"),
        ("url: 'https://b'", "url", "write `secret: {env: WEBHOOK_SECRET}` beside it"),
        ("secret: {env: BATCH}", "secret", "signs nothing without a `url`"),
        ("url: 'https://b', secret: {}", "secret", "write one of file, env"),
        ("url: 'https://b', secret: {env: NOT_SET}", "secret", "not set; write whsec_"),
        ("url: 'https://b', secret: {env: UNSOUND}", "secret", "valid secret; write whsec_"),
        ("url: 'https://b', secret: {file: /nowhere}", "secret", "mount the file or"),
        (f"url: 'https://b', secret: {OWN}", "secret", "write secret: {env: WEBHOOK_SECRET}"),
        (f"url: 'https://b', secret: {{env: '{OWN}='}}", "secret.env", "holds a signing secret itself"),
    ],
)
def test_faults(tmp_path: Path, consumer: str, place: str, says: str) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"[{{name: web}}, {{name: batch, {consumer}}}]")
    [fault] = [fault.partition(" ")[2] for fault in refused.value.faults]
    assert fault.startswith(f"keys[0].consumers[1].{place}: ")
    assert says in fault
    assert OWN[:20] not in str(refused.value)


def test_where_the_webhook_is_at_fault_no_consumer_is_blamed(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, f"[{{name: a, url: '{URL}'}}]", WEBHOOK.replace("WEBHOOK_SECRET", "NOT_SET"))
    [fault] = refused.value.faults
    assert "webhook.secret: names a source that is empty or not set" in fault
