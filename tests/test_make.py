"""`make demo` and `make test`: what each installs, in either order, twice, and after one that was broken off."""

import shutil
from pathlib import Path

import pytest

from tests.program import ROOT
from tests.release import bash, offline

PYTHON = """#!/bin/sh
# Stands for python3: makes an environment whose programs note that they were called, and fail where told to.
case "$*" in "-m venv --clear .venv") ;; *) exit 0 ;; esac
rm -rf .venv && mkdir -p .venv/bin && echo "a new environment" >> calls
cat > .venv/bin/pip <<'END'
#!/bin/sh
echo "${0##*/} $*" >> calls
case "$*" in *"$BROKEN"*) exit 1 ;; esac
END
chmod +x .venv/bin/pip
for name in rotator pytest ruff mypy lint-imports; do cp .venv/bin/pip .venv/bin/$name; done
"""
SANDBOX, BUILD, PROGRAM, DEV, DEMO = (
    "-sandbox.lock",
    "-build.lock",
    "install -e .",
    "-dev.lock",
    "rotator sandbox",
)
FOR_THE_DEMO = ["a new environment", SANDBOX, BUILD, PROGRAM]
FOR_THE_TESTS = [DEV, "download"]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for path in (ROOT / "Makefile", ROOT / "pyproject.toml", *ROOT.glob("requirements*.lock")):
        shutil.copy2(path, tmp_path)
    (tmp_path / "python").write_text(PYTHON)
    (tmp_path / "python").chmod(0o755)
    return tmp_path


def make(project: Path, *targets: str, broken: str = "nothing") -> list[str]:
    """What was called, in order, without the tools of `make test`."""
    calls = project / "calls"
    calls.write_text("")
    done = bash(f"make PYTHON=./python {' '.join(targets)}", project, offline(BROKEN=broken))
    assert (done.returncode == 0) == (broken == "nothing"), done.stderr
    words = [line for line in calls.read_text().splitlines() if line.startswith(("a new", "pip", "rotator"))]
    return [_short(line) for line in words]


def _short(line: str) -> str:
    if "--no-deps" in line and line.endswith(" -e ."):
        return PROGRAM
    if " download " in line:
        return "download"
    [name] = [word for word in (SANDBOX, BUILD, DEV, DEMO, "a new environment") if word in line]
    return name


def test_the_demo_installs_what_it_needs_and_the_tests_the_rest(project: Path) -> None:
    assert make(project, "demo") == [*FOR_THE_DEMO, DEMO]
    assert make(project, "test") == FOR_THE_TESTS


def test_the_other_way_round(project: Path) -> None:
    assert make(project, "test") == [*FOR_THE_DEMO, *FOR_THE_TESTS]
    assert make(project, "demo") == [DEMO]


@pytest.mark.parametrize("target", ["demo", "test"])
def test_twice(project: Path, target: str) -> None:
    make(project, target)
    assert make(project, target) == ([DEMO] if target == "demo" else [])


def test_both_at_once(project: Path) -> None:
    assert sorted(make(project, "-j4", "demo", "test")) == sorted([*FOR_THE_DEMO, *FOR_THE_TESTS, DEMO])


@pytest.mark.parametrize("target", ["demo", "test"])
@pytest.mark.parametrize("broken", [SANDBOX, BUILD, "-e ."])
def test_an_installation_that_was_broken_off_begins_anew(project: Path, broken: str, target: str) -> None:
    make(project, target, broken=broken)
    assert make(project, "demo") == [*FOR_THE_DEMO, DEMO]


@pytest.mark.parametrize("broken", [DEV, "download"])
@pytest.mark.parametrize("before", [[], ["demo"]])
@pytest.mark.parametrize("after", ["demo", "test"])
def test_one_of_the_tests_that_was_broken_off_begins_anew(
    project: Path, before: list[str], broken: str, after: str
) -> None:
    """Half a package may lie there, that pip takes for a whole one."""
    for target in before:
        make(project, target)
    make(project, "test", broken=broken)
    assert make(project, after)[:4] == FOR_THE_DEMO
    assert make(project, "test") == (FOR_THE_TESTS if after == "demo" else [])


@pytest.mark.parametrize(
    "changed", ["pyproject.toml", *(path.name for path in ROOT.glob("requirements*.lock"))]
)
def test_another_lock_makes_all_anew(project: Path, changed: str) -> None:
    make(project, "test")
    stamp = (project / ".venv/ready").stat().st_mtime
    bash(f"touch -d @{stamp + 1} {changed}", project, offline())
    assert make(project, "test") == [*FOR_THE_DEMO, *FOR_THE_TESTS]
