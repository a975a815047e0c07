"""Each lock names all that pip will ask for, extras included, so that newer versions elsewhere change nothing."""

import re
import tomllib
from importlib.metadata import version as installed_version
from itertools import combinations
from typing import Any, Final

import pytest
from packaging.requirements import Requirement

from tests.locks import HERE, faults, pins, requires, version
from tests.program import ROOT

PROJECT: Final = tomllib.loads((ROOT / "pyproject.toml").read_text())


def group(name: str) -> list[str]:
    found: list[str] = []
    for line in PROJECT["dependency-groups"][name]:
        found += group(line["include-group"]) if isinstance(line, dict) else [line]
    return found


PROGRAM: Final[list[str]] = PROJECT["project"]["dependencies"]
SANDBOX: Final[list[str]] = PROGRAM + PROJECT["project"]["optional-dependencies"]["sandbox"]
ROOTS: Final = {
    "requirements.lock": PROGRAM,
    "requirements-sandbox.lock": SANDBOX,
    "requirements-build.lock": group("build"),
    "requirements-dev.lock": SANDBOX + group("dev"),
}
TEXTS: Final = {name: (ROOT / name).read_text() for name in ROOTS}
DEV: Final = TEXTS["requirements-dev.lock"]
EXTRAS: Final = [str(pin) for pin in pins(DEV).values() if pin.extras]


def dev_faults(lock: str, more: dict[str, list[str]] | None = None) -> list[str]:
    """The faults of a doctored lock for development; `more` is what some packages require besides."""
    return faults(
        lock,
        ROOTS["requirements-dev.lock"],
        lambda name: [*requires(name), *(more or {}).get(name, [])],
    )


def replaced(old: str, new: str) -> str:
    assert DEV.count(f"\n{old}") == 1
    return DEV.replace(f"\n{old}", f"\n{new}")


def without(name: str) -> str:
    """Without a package's line and its hashes."""
    text = re.sub(rf"^{re.escape(name)}(\[.*\])?==.*\n([ #].*\n?)*", "", DEV, flags=re.MULTILINE)
    assert len(pins(text)) == len(pins(DEV)) - 1
    return text


@pytest.mark.parametrize("name", ROOTS)
def test_a_lock_names_all_that_is_asked_for_and_nothing_else(name: str) -> None:
    assert faults(TEXTS[name], ROOTS[name]) == [], "renew it with `make lock`"


def test_all_locks_are_held() -> None:
    assert {path.name for path in ROOT.glob("requirements*")} == set(ROOTS)


def test_what_was_asked_is_what_is_locked() -> None:
    """The metadata above is that of the installed packages, so these must be the locked ones."""
    here = {
        name: pin for name, pin in pins(DEV).items() if pin.marker is None or pin.marker.evaluate(dict(HERE))
    }
    assert {name: installed_version(name) for name in here} == {
        name: str(version(pin)) for name, pin in here.items()
    }, "renew the environment with `make .venv/ready`"


@pytest.mark.parametrize(("one", "other"), list(combinations(ROOTS, 2)))
def test_two_locks_agree(one: str, other: str) -> None:
    """What is deployed is what was tested, so also the files, by their hashes."""

    def lines(name: str) -> dict[str, str]:
        blocks = re.split(r"^(?=[a-z])", re.sub(r"^ +#.*\n?", "", TEXTS[name], flags=re.M), flags=re.M)
        return {re.split(r"[\[=]", block, maxsplit=1)[0]: block.strip() for block in blocks if block}

    a, b = lines(one), lines(other)
    assert {name: a[name] for name in a.keys() & b.keys()} == {name: b[name] for name in a.keys() & b.keys()}


@pytest.mark.parametrize("name", ROOTS)
def test_a_lock_pins_files_and_no_place(name: str) -> None:
    for block in re.split(r"^(?=[a-z])", TEXTS[name], flags=re.MULTILINE)[1:]:
        assert re.search(r"^    --hash=sha256:[0-9a-f]{64}( \\)?$", block, re.MULTILINE), block
    assert not re.search(r"://|^-|\s/|index|find-links", TEXTS[name], re.MULTILINE)


class TestWouldNotice:
    """The lock for development, doctored: a test that never fails would hold nothing."""

    def test_that_it_begins_well(self) -> None:
        assert dev_faults(DEV) == []
        assert len(EXTRAS) >= 3

    @pytest.mark.parametrize("line", EXTRAS)
    def test_an_extra_that_is_taken_out(self, line: str) -> None:
        name = Requirement(line).name
        bare = re.sub(r"\[.*?\]", "", line)
        assert any(
            f"asks for {name}[" in fault and fault.endswith(f": the line is {bare}")
            for fault in dev_faults(replaced(line, bare))
        )

    def test_an_extra_that_nobody_asks_for(self) -> None:
        line = str(pins(DEV)["coverage"])
        assert dev_faults(replaced(line, line.replace("[toml]", "[more,toml]"))) == [
            "nobody asks for coverage[more]"
        ]

    @pytest.mark.parametrize("name", pins(DEV))
    def test_a_package_that_is_taken_out(self, name: str) -> None:
        assert any(fault.endswith("there is no line for it") for fault in dev_faults(without(name)))

    def test_a_version_that_does_not_fit(self) -> None:
        line = str(pins(DEV)["click"])
        assert [
            fault for fault in dev_faults(replaced(line, "click==7.0")) if fault.startswith("the project")
        ]

    def test_a_package_that_nobody_asks_for(self) -> None:
        assert dev_faults(f"{DEV}stray==1.0\n") == ["nobody asks for stray"]

    def test_a_line_that_holds_elsewhere_only(self) -> None:
        line = str(pins(DEV)["h11"])
        assert dev_faults(replaced(line, f"{line} ; python_version >= '3.12'"))

    @pytest.mark.parametrize(
        ("asks", "fault"),
        [
            ("h11[fast]", "httpcore asks for h11[fast]: the line is h11=="),
            ("H11 [Fast] ; sys_platform == 'win32'", "httpcore asks for H11[Fast]"),
            ("h11[fast] ; python_version < '3.12'", "httpcore asks for h11[fast]"),
            ("h11[fast] ; extra == 'http3'", None),
            ("h11[fast] ; python_version < '3.11'", None),
            ("h11>=99", "httpcore asks for h11>=99: the line is h11=="),
            ("unheard-of", "httpcore asks for unheard-of: there is no line for it"),
        ],
    )
    def test_what_a_newer_package_asks_for(self, asks: str, fault: str | None) -> None:
        found = dev_faults(DEV, {"httpcore": [asks]})
        assert found == [] if fault is None else len(found) == 1 and found[0].startswith(fault)

    def test_what_an_extra_brings_with_it(self) -> None:
        more: dict[str, Any] = {"coverage": ["unheard-of ; extra == 'toml'", "unknown ; extra == 'other'"]}
        assert dev_faults(DEV, more) == [
            'coverage[toml] asks for unheard-of; extra == "toml": there is no line for it'
        ]
