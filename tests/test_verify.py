"""docs/security.md: the commands that verify a release and an image do what it says, as they stand there."""

import sys
from pathlib import Path

import pytest

from rotator import __version__
from tests.deployed import VENV
from tests.program import ROOT
from tests.release import bash, commands, offline, ran

PAGE = "docs/security.md"
WHOLE, REBUILT, INSTALL = commands(PAGE, "How to verify a release")
HOLDS, LAYERS = commands(PAGE, "How to verify an image")
DOCKER = """#!/bin/sh
# Runs what is run in an image: docker run --rm --network=none --entrypoint python IMAGE …
test "$*" != "${*#run --rm --network=none --entrypoint python registry.example.com/rotator:}" || exit 125
shift 6
exec "$ROOTFS/bin/python" "$@"
"""


@pytest.fixture(scope="module")
def rootfs(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the Dockerfile installs, installed by the docs' own commands; there may be no engine to build it."""
    rootfs = tmp_path_factory.mktemp("image") / "rotator"
    ran(f"{sys.executable} -m venv --without-pip {rootfs}", released, offline())
    pip = f'pip() {{ {VENV}/pip --python {rootfs}/bin/python "$@"; }}\n'
    ran(pip + INSTALL, ROOT, offline(RELEASE=str(released / "dist")))
    return rootfs


@pytest.fixture
def release(released: Path, tmp_path: Path) -> Path:
    """The release, as somebody has downloaded it."""
    release = tmp_path / "release"
    release.mkdir()
    for path in (released / "dist").iterdir():
        (release / path.name).write_bytes(path.read_bytes())
    return release


def test_a_whole_release_is_whole(release: Path) -> None:
    assert ran(WHOLE, release, offline()).count(": OK\n") == 3


@pytest.mark.parametrize("ending", [".whl", ".tar.gz", ".cdx.json"])
def test_a_changed_file_is_noticed(release: Path, ending: str) -> None:
    [file] = release.glob(f"*{ending}")
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    assert f"{file.name}: FAILED\n" in bash(WHOLE, release, offline()).stdout


def test_a_rebuilt_release_is_the_same(released: Path, release: Path) -> None:
    assert "\n< " not in ran(REBUILT, released, offline(RELEASE=str(release)))


def test_a_release_of_other_sources_is_noticed(released: Path, release: Path) -> None:
    """Whoever changes a wheel writes its checksum anew."""
    [wheel] = release.glob("*.whl")
    wheel.write_bytes(wheel.read_bytes() + b"\0")
    ran("sha256sum apimall_rotator-* > SHA256SUMS", release, offline())
    ran(WHOLE, release, offline())
    make, diff = REBUILT.splitlines()
    assert make == "make release"  # which has been
    done = bash(diff, released, offline(RELEASE=str(release)))
    assert done.returncode != 0
    assert f"  {wheel.name}\n" in done.stdout


class TestImage:
    def verified(
        self, rootfs: Path, directory: Path, lock: str = (ROOT / "requirements.lock").read_text()
    ) -> str:
        docker = directory / "docker"
        docker.write_text(DOCKER)
        docker.chmod(0o755)
        (directory / "requirements.lock").write_text(lock)
        return bash(HOLDS, directory, offline(directory, ROOTFS=str(rootfs))).stdout

    def test_one_that_holds_what_is_locked(self, rootfs: Path, tmp_path: Path) -> None:
        assert self.verified(rootfs, tmp_path) == ""
        assert f"apimall-rotator=={__version__}\n" in (tmp_path / "in-the-image").read_text()
        assert len((tmp_path / "in-the-lock").read_text().splitlines()) > 25

    def test_one_that_holds_something_else(self, rootfs: Path, tmp_path: Path) -> None:
        lock = (ROOT / "requirements.lock").read_text()
        assert "h11==0.1.0" in self.verified(rootfs, tmp_path, lock.replace("h11==0.", "h11==0.1.0 ; 0."))
        assert "> h11==" in self.verified(rootfs, tmp_path, lock.replace("h11==", "# "))
        assert "< stray==1" in self.verified(rootfs, tmp_path, f"{lock}stray==1 \\\n")

    def test_an_extra_is_no_part_of_a_name(self, rootfs: Path, tmp_path: Path) -> None:
        lock = (ROOT / "requirements.lock").read_text()
        assert self.verified(rootfs, tmp_path, lock.replace("httpx==", "httpx[http2]==")) == ""

    def test_the_layers_are_compared_as_docker_tells_them(self) -> None:
        """Only an engine has layers, so this is not run: it is held to the two images that it names."""
        assert LAYERS.count("docker image inspect --format '{{json .RootFS.Layers}}' ") == 2
        assert '"$IMAGE" > layers' in LAYERS
        assert '"$REBUILT" | diff layers -' in LAYERS
