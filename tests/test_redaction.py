import base64
import copy
import json
import pickle
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotator.redaction import DAY, MARK, Secret, forget, redact, redact_values

KEY = "sk-0123456789abcdef0123456789abcdef0123456789abcdef"
TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=30)


@pytest.fixture(autouse=True)
def _empty_net() -> Iterator[None]:
    forget()
    yield
    forget()


def test_a_secret_does_not_print() -> None:
    secret = Secret(KEY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>60}", str([secret]), str({"a": secret})]
    assert not any("0123" in text for text in shown)
    assert secret.reveal() == KEY


def test_a_secret_is_not_written_down() -> None:
    for write in (pickle.dumps, json.dumps, copy.deepcopy):
        with pytest.raises(TypeError):
            write(Secret(KEY))


def test_secrets_compare_by_value() -> None:
    assert Secret(KEY) == Secret(KEY)
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY) != Secret(KEY[:-1])
    assert Secret(KEY) != KEY
    assert not Secret("")


@pytest.mark.parametrize("part", [KEY, KEY[:20], KEY[-20:], KEY[7:27], f"x{KEY}y", KEY.upper()[:0] + KEY[3:]])
def test_a_secret_and_any_twenty_characters_of_it_are_found(part: str) -> None:
    Secret(KEY)
    assert redact(f'{{"a": "{part}", "b": 1}}') == f'{{"a": "{MARK}", "b": 1}}'


def test_what_was_not_used_for_a_day_or_two_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    days = [0.0]
    monkeypatch.setattr("rotator.redaction.time.monotonic", lambda: days[0] * DAY)
    forget()
    used, unused = Secret(KEY), Secret(KEY[::-1])
    for days[0] in (0.9, 1.0, 1.9):
        assert redact(used.reveal()) == redact(KEY[::-1]) == MARK
    days[0] = 2.0
    assert redact(used.reveal()) == MARK
    assert redact(KEY[::-1]) == KEY[::-1]
    assert redact(unused.reveal()) == MARK


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, len(KEY) - 20), TEXTS, TEXTS)
def test_no_run_of_twenty_characters_survives(start: int, before: str, after: str) -> None:
    Secret(KEY)
    shown = redact(before + KEY[start : start + 20] + after)
    assert not any(KEY[at : at + 20] in shown for at in range(len(KEY) - 19))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, TEXTS)
def test_base64_is_found_wherever_the_secret_begins(before: str, after: str) -> None:
    Secret(KEY)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        core = encode(KEY.encode()).decode()[:60]
        assert core not in redact(encode((before + KEY + after).encode()).decode())
        assert MARK in redact(encode((before + KEY + after).encode()).decode())


@pytest.mark.parametrize("value", ['pass "word" with\tall/sorts+of?characters', "pässwörter-sind-ünsicher"])
def test_escaped_forms_are_found(value: str) -> None:
    Secret(value)
    for form in (value, quote(value, safe=""), json.dumps(value)):
        assert value[:12] not in redact(form)
        assert MARK in redact(form)


@pytest.mark.parametrize(
    "form", [str.upper, str.lower, lambda text: text.encode().hex(), lambda text: text.encode().hex().upper()]
)
def test_other_spellings_are_found(form: Callable[[str], str]) -> None:
    Secret("aB3-of-no-known-form-9zQ7")
    shown = redact(f"no room for {form('aB3-of-no-known-form-9zQ7')}")
    assert shown == f"no room for {MARK}"


HARD = "sk-Aa1+/=Bb2/+Cc3=+/Dd4+=/Ee5/=+Ff6"
ESCAPES: dict[str, Callable[[str], str]] = {
    "php": lambda text: text.replace("/", "\\/"),
    "net": lambda text: json.dumps(text).replace("+", "\\u002b")[1:-1],
    "small percent": lambda text: re.sub(r"\W", lambda found: f"%{ord(found[0]):02x}", text),
    "percent": lambda text: "".join(f"%{ord(one):02X}" for one in text),
    "percent twice": lambda text: quote(quote(text, safe=""), safe=""),
    "html": lambda text: re.sub(r"\W", lambda found: f"&#x{ord(found[0]):X};", text),
    "html all": lambda text: "".join(f"&#{ord(one)};" for one in text),
    "html twice": lambda text: re.sub(r"\W", lambda found: f"&#x26;#{ord(found[0])};", text),
    "u": lambda text: "".join(f"\\u{ord(one):04x}" for one in text),
    "x": lambda text: "".join(f"\\x{ord(one):02x}" for one in text),
    "u in json": lambda text: "".join(f"\\\\u{ord(one):04x}" for one in text),
    "swapped": str.swapcase,
    "hex spaced": lambda text: text.encode().hex(" "),
    "hex colon": lambda text: text.encode().hex(":"),
    "utf-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
}


@pytest.mark.parametrize("secret", [HARD, KEY])
@pytest.mark.parametrize("form", ESCAPES.values(), ids=list(ESCAPES))
def test_whoever_wrote_it_it_is_found(form: Callable[[str], str], secret: str) -> None:
    """PHP, .NET, proxies, pages of HTML, dumps: each writes a credential in its own way."""
    Secret(secret)
    shown = redact(f"no room for >{form(secret)}< here")
    left = shown.removeprefix("no room for >").removesuffix("< here").replace(MARK, "")
    assert shown != f"no room for >{form(secret)}< here"
    assert left.strip("=") == ""
    assert (
        redact(f"no room for {form('nobody+s/secret=')} here")
        == f"no room for {form('nobody+s/secret=')} here"
    )


def test_a_short_secret_is_found_as_a_word() -> None:
    Secret("root")
    assert redact("token=root, user rooted", short=True) == f"token={MARK}, user rooted"


def test_a_short_secret_does_not_break_what_is_rendered() -> None:
    Secret("true")
    Secret("name")
    body = {"name": "name", "dry_run": True, "keys": [{"name": "true"}, ("a", None, 1)]}
    shown = json.loads(redact(json.dumps(redact_values(body))))
    assert shown == {"name": MARK, "dry_run": True, "keys": [{"name": MARK}, ["a", None, 1]]}


def test_what_is_no_secret_is_kept() -> None:
    Secret(KEY)
    title = "Production backend [2026-11-21T09:50:00Z 3f9a2c-7d01be42]"
    text = f'GET /keys 200 req_01HQ9M7J7X9P7Y8T6W5V4U3S2R "{title}"'
    assert redact(text) == text
    assert redact("sk-0123...cdef") == "sk-0123...cdef"


def test_two_secrets_on_one_line() -> None:
    Secret(KEY)
    Secret("s.zYxWvUtSrQpOnMlKjIhGfE")
    assert redact(f"{KEY} s.zYxWvUtSrQpOnMlKjIhGfE {KEY}") == f"{MARK} {MARK} {MARK}"


def test_what_looks_like_a_key_is_one_though_it_was_never_known() -> None:
    assert redact(f"no room for {KEY}, sorry") == f"no room for {MARK}, sorry"
    for harmless in ("sk-0123...cdef", "task-0123456789abcdef0123456789", "sk-production-backend-of-europe"):
        assert redact(harmless) == harmless


@pytest.mark.parametrize(
    "credential",
    [
        "sk-proj-Ab_9-Ab_9-Ab_9-Ab_9",
        "sk-live_0123456789abcdef",
        "hvs.CAESIJ0123456789abcdefghij",
        "s.0123456789abcdefghijABCD",
        "hvb.AAAAAQJ-0123456789abcdefghij",
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrdWJlIn0.c2lnbmF0dXJl",
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    ],
)
@pytest.mark.parametrize("around", ["{}", "no key `{}` here", '{{"token":"{}"}}', "a={},b", "/v1/{}/x"])
def test_what_looks_like_a_credential_is_one_though_it_was_never_known(credential: str, around: str) -> None:
    shown = redact(around.format(credential))
    assert credential not in shown
    assert credential[-6:] not in shown


def test_nor_is_what_a_header_or_a_url_carries() -> None:
    assert redact("Authorization: Bearer abc/def+1234") == f"Authorization: Bearer {MARK}"
    assert redact("https://user:pass-word@proxy:3128/") == f"https://{MARK}@proxy:3128/"
    for plain in (
        "https://vault.example.com:8200/v1",
        "the bearer is mistyped or revoked",
        "s.short",
        "task-1",
    ):
        assert redact(plain) == plain


def test_half_a_surrogate_pair_is_a_secret_like_any_other() -> None:
    value = "\ud800" * 30
    assert Secret(value) == Secret(value)
    assert redact(f"a {value} b") == f"a {MARK} b"


class Counted(str):
    """A text that counts how often it is looked into."""

    looks = 0

    def __getitem__(self, at: Any) -> str:
        Counted.looks += 1
        return super().__getitem__(at)


@pytest.mark.parametrize("between", ["", " "])
def test_a_text_full_of_a_secret_is_looked_through_a_few_times_only(between: str) -> None:
    Secret(KEY)
    text = Counted((KEY + between) * 100)
    Counted.looks = 0
    assert redact(text).replace(MARK, "").strip() == ""
    assert Counted.looks < 10 * len(text)
