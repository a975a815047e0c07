"""A config whose parts are replaced by anything is a config or a ConfigError, and no fault repeats a value."""

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rotator.config.yaml import _parsed
from rotator.errors import ConfigError
from tests.hostile import SECRET, mutated
from tests.long import examples
from tests.test_config_load import TOKEN, attempt

FULL: Any = yaml.safe_load(Path(__file__, "../../config/rotator.yaml").resolve().read_text())
BEARER = {"gateway": {"api_key": {"env": SECRET}}, "keys": [SECRET], SECRET: SECRET}


@st.composite
def written(draw: st.DrawFn) -> bytes:
    """A whole config with some of its parts mutated, in either style of YAML."""
    value = draw(mutated(FULL))
    flow = json.dumps(value)
    block = st.just(value).map(lambda whole: yaml.safe_dump(whole, allow_unicode=True))
    text = draw(st.sampled_from([flow, flow.replace('"<deep 400>"', "[" * 400 + "]" * 400)]) | block)
    return text.encode(errors="replace")


LETTERS = "abc:-#&*!|>'\"%@`{}[],? \n\t\\0123.~=<é\u2028"


@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(text=st.text(LETTERS, max_size=40) | written().map(lambda content: content.decode("utf-8", "ignore")))
@example(text="a: 1\n\tb: 2")
@example(text="\ufeffa: b")
@example(text="a: 'é'\nb: [1, 2]\r\nc: |\n  x\n")
def test_the_quick_parser_reads_what_the_other_one_reads(text: str) -> None:
    quick, slow = _parsed(text, yaml.CSafeLoader), _parsed(text, yaml.SafeLoader)
    if quick.root and slow.root and not (quick.faults or slow.faults):
        assert quick == slow


@settings(max_examples=examples(80), deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
@given(content=written())
@example(content=json.dumps(BEARER).encode())
@example(content=b'{"keys": ' + b'[{"a": ' * 5000)
@example(content=b"keys: " + b"&a [" * 5000)
@example(content=b"in_flight: " + b"9" * 5000)
@example(content=b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nd: [*c, *c]")
def test_a_mutated_config_is_a_config_or_a_config_error(content: bytes) -> None:
    error = attempt(content, TOKEN)
    if isinstance(error, ConfigError):
        text = str(error)
        assert SECRET[:20] not in text
        assert text.replace("\n", "").isprintable()
        assert error.faults
