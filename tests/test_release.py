"""`make release`: the same bits wherever and whenever it is made, and nothing in them that does not belong."""

import json
import os
import re
import tarfile
import tomllib
from email import message_from_bytes
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from rotator import __version__
from tests.deployed import VENV
from tests.locks import pins, version
from tests.program import ROOT
from tests.release import checkout, offline, ran

NAME = f"apimall_rotator-{__version__}"
WHEEL, SDIST, SBOM = f"{NAME}-py3-none-any.whl", f"{NAME}.tar.gz", f"{NAME}.cdx.json"
SCHEMA = "rotator.schema.json"
OF_THE_PROGRAM = {
    str(path.relative_to(ROOT))
    for path in (ROOT / "rotator").rglob("*")
    if path.suffix == ".py" or path.match("web/templates/page.*") or path.name == "output.schema.json"
}


def bits(directory: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.fixture
def dist(released: Path) -> Path:
    return released / "dist"


@pytest.fixture
def sbom(dist: Path) -> dict[str, Any]:
    return dict(json.loads((dist / SBOM).read_text()))


def test_it_leaves_four_files(dist: Path) -> None:
    assert set(bits(dist)) == {WHEEL, SDIST, SBOM, "SHA256SUMS"}


def test_the_checksums_are_those_of_the_others(dist: Path) -> None:
    sums = (dist / "SHA256SUMS").read_text().splitlines()
    files = (WHEEL, SBOM, SDIST)
    assert sums == [f"{sha256((dist / name).read_bytes()).hexdigest()}  {name}" for name in files]


def test_built_again_it_has_the_same_bits(dist: Path, tmp_path: Path) -> None:
    """In another directory, at another time, by somebody with another umask and zone, who left things about."""
    there = checkout(tmp_path / "by somebody else")
    for stray in (
        ".env",
        "notes.md",
        "rotator/notes.txt",
        "rotator/service/web/templates/old.html",
        "rotator/.page.py.swp",
    ):
        (there / stray).write_text("mine\n")
    (there / "rotator/__pycache__").mkdir()
    (there / "rotator/__pycache__/cli.cpython-311.pyc").write_bytes(b"\0")
    (there / "dist").mkdir()
    (there / "dist/apimall_rotator-0.0.1.tar.gz").write_bytes(b"\0")
    for number, path in enumerate(sorted((there / "rotator").rglob("*"), reverse=True)):
        path.chmod(0o700 if path.is_dir() else 0o600)
        os.utime(path, (10**9 + number, 10**9 + number))
    environ = offline(TZ="Pacific/Chatham", LC_ALL="C", HOME=str(tmp_path), PYTHONHASHSEED="7")
    ran("make release", there, environ, umask=0o077)
    assert bits(there / "dist") == bits(dist)


def test_the_sdist_builds_the_same_wheel(dist: Path, tmp_path: Path) -> None:
    """By pip, as the Dockerfile does it."""
    with tarfile.open(dist / SDIST) as sdist:
        sdist.extractall(tmp_path, filter="data")
    ran(f"pip wheel --no-deps --no-build-isolation -w {tmp_path} .", tmp_path / NAME, offline(VENV))
    assert (tmp_path / WHEEL).read_bytes() == (dist / WHEEL).read_bytes()


def test_what_the_wheel_holds(dist: Path) -> None:
    with ZipFile(dist / WHEEL) as wheel:
        names = wheel.namelist()
        assert len(names) == len(set(names))
        assert set(names) == {
            *OF_THE_PROGRAM,
            f"rotator/config/{SCHEMA}",
            "rotator/service/web/operations.md",
            *(f"{NAME}.dist-info/{name}" for name in ("METADATA", "WHEEL", "RECORD", "entry_points.txt")),
            f"{NAME}.dist-info/licenses/LICENSE",
        }
        for name in OF_THE_PROGRAM:
            assert wheel.read(name) == (ROOT / name).read_bytes()
        assert wheel.read(f"rotator/config/{SCHEMA}") == (ROOT / "config" / SCHEMA).read_bytes()
        guide = (ROOT / "docs/operations.md").read_bytes()
        assert wheel.read("rotator/service/web/operations.md") == guide
        assert wheel.read(f"{NAME}.dist-info/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
        about = message_from_bytes(wheel.read(f"{NAME}.dist-info/METADATA"))
    assert (about["Version"], about["License-Expression"]) == (__version__, "Apache-2.0")
    assert about["Requires-Python"] == ">=3.11"
    assert about.get_all("Provides-Extra") == ["sandbox"]


def test_what_the_sdist_holds(dist: Path) -> None:
    with tarfile.open(dist / SDIST) as sdist:
        members = sdist.getmembers()
    assert all(member.isfile() and (member.uid, member.uname) == (0, "") for member in members)
    # hatchling adds .gitignore, and heeds it when it builds from the sdist.
    others = {
        f"config/{SCHEMA}",
        "docs/operations.md",
        "LICENSE",
        "README.md",
        "pyproject.toml",
        "PKG-INFO",
        ".gitignore",
    }
    assert {member.name for member in members} == {f"{NAME}/{name}" for name in OF_THE_PROGRAM | others}


def test_the_program_that_is_packed_was_found() -> None:
    assert {"rotator/__main__.py", "rotator/service/web/templates/page.html"} <= OF_THE_PROGRAM
    assert not any("test" in name for name in OF_THE_PROGRAM)


class TestSbom:
    def test_it_is_of_this_program(self, sbom: dict[str, Any]) -> None:
        assert sbom["bomFormat"] == "CycloneDX"
        subject = sbom["metadata"]["component"]
        assert (subject["name"], subject["version"]) == ("apimall-rotator", __version__)

    def test_it_names_what_the_lock_pins_with_its_hashes(self, sbom: dict[str, Any]) -> None:
        lock = (ROOT / "requirements.lock").read_text()
        assert {part["name"]: part["version"] for part in sbom["components"]} == {
            name: str(version(pin)) for name, pin in pins(lock).items()
        }
        hashes = [
            hashed["content"]
            for part in sbom["components"]
            for reference in part["externalReferences"]
            for hashed in reference["hashes"]
        ]
        assert sorted(hashes) == sorted(re.findall(r"sha256:([0-9a-f]{64})", lock))

    def test_it_tells_nothing_of_the_machine(self, dist: Path, sbom: dict[str, Any]) -> None:
        assert str(dist.parent) not in (dist / SBOM).read_text()
        assert "timestamp" not in sbom["metadata"]


class TestVersion:
    """It stands in several places: an image's label and the manifests are held to it beside their other tests."""

    def test_the_project_and_the_program_agree(self) -> None:
        assert tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"] == __version__

    @pytest.mark.parametrize("page", ["docs/commands.md", "docs/container.md", "docs/security.md"])
    def test_the_commands_in_the_docs_name_it(self, page: str) -> None:
        text = (ROOT / page).read_text()
        named = re.findall(r"(?:/rotator:|apimall_rotator-|apimall-rotator==)(\d[\w.]*\d)", text)
        assert set(named) == {__version__}

    def test_the_changelog_begins_with_it(self) -> None:
        assert (ROOT / "CHANGELOG.md").read_text().startswith(f"# Changelog\n\n## {__version__}")
