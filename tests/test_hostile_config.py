"""A config whose parts are replaced by anything is a config or a ConfigError, and no fault repeats a value."""

import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

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
