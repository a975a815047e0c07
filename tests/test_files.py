"""What the config names may be no file at all: nothing is waited for, or read, without an end."""

import ast
import os
from pathlib import Path
from threading import Thread

import pytest

from rotator.config import load
from rotator.errors import ConfigError, Rejected
from rotator.files import MAX_BYTES, read_bytes, read_text
from rotator.service.metrics import Metrics
from rotator.wiring import BearerSources
from tests.program import ROOT
from tests.test_cures_config import HOOK, SIGNS, whole

ENDLESS = Path("/dev/zero")
ENVIRON = {"APIMALL_API_KEY": "k", "VAULT_TOKEN": "t", "SIGNS": SIGNS}
OWN_FILES = {"rotator/files.py", "rotator/service/web/page.py", "rotator/printing/streams.py"}
"""The one reader; and what reads the program's own templates, and its streams."""


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    os.mkfifo(tmp_path / "pipe")
    return tmp_path / "pipe"


def test_a_file_is_read_up_to_its_bound(tmp_path: Path) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"a" * (MAX_BYTES + 1))
    assert read_bytes(file, 3) == b"aaa"
    with pytest.raises(OSError, match="too large"):
        read_text(file)
    file.write_bytes("ä\r\n".encode())
    assert read_text(file) == "ä\r\n"


def test_a_pipe_is_read_to_its_end(pipe: Path) -> None:
    """Such as the one that a shell makes of `<(sops -d rotator.yaml)`."""
    writer = Thread(target=pipe.write_bytes, args=(b"a" * 200_000,))
    writer.start()
    assert read_bytes(pipe, MAX_BYTES, patience=60) == b"a" * 200_000
    writer.join()


def test_nobody_is_waited_for_in_vain(pipe: Path) -> None:
    with pytest.raises(TimeoutError):
        read_bytes(pipe, MAX_BYTES, patience=0.05)
    writer = os.open(pipe, os.O_RDWR)
    os.write(writer, b"begun, and")
    with pytest.raises(TimeoutError):
        read_bytes(pipe, MAX_BYTES, patience=0.05)
    os.close(writer)


@pytest.mark.parametrize("place", ["/dev/zero", "/dev/null", "/"])
def test_what_is_neither_is_refused(place: str) -> None:
    with pytest.raises(OSError, match=r"Neither|directory"):
        read_bytes(Path(place), MAX_BYTES)


def test_whatever_the_config_names_is_read_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="/dev/zero: cannot be read"):
        load(ENDLESS, ENVIRON)
    path = tmp_path / "c.yaml"
    path.write_text(whole(f"{HOOK}https://h}}".replace("env: SIGNS", f"file: {ENDLESS}")))
    with pytest.raises(ConfigError, match=r"webhook\.secret: names a file that cannot be read"):
        load(path, ENVIRON)
    path.write_text(whole(f"gateway: {{api_key: {{file: {ENDLESS}}}}}"))
    [source] = BearerSources(load(path, ENVIRON), NotImplemented, ENVIRON).values()
    with pytest.raises(Rejected, match="Neither a file nor a pipe"):
        source()


def test_a_metrics_file_that_is_a_pipe_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "rotator.prom"
    file.symlink_to(ENDLESS)
    Metrics().write_textfile(str(file))
    assert file.is_file()


def test_nothing_else_in_the_program_opens_a_file() -> None:
    """A read of any other kind may wait for ever."""
    found = set()
    for path in sorted(ROOT.glob("rotator/**/*.py")):
        name = str(path.relative_to(ROOT))
        for node in ast.walk(ast.parse(path.read_text())):
            called = node.func if isinstance(node, ast.Call) else None
            last = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
            if last in ("open", "read_text", "read_bytes") and isinstance(called, ast.Attribute):
                found.add(name)
            if last == "open" and isinstance(called, ast.Name):
                found.add(name)
    assert {name for name in found if "/sandbox/" not in name} == OWN_FILES
