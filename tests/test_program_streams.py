"""The real program, whose standard streams are not what one would wish."""

import json
import os
import signal
import subprocess
import termios
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from threading import Event
from typing import IO, Any

import pytest

from rotator.printing.streams import PATIENCE
from rotator.sandbox.faults import Fault, Phase, Status
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.pipes import drained, full_pipe, small_pipe
from tests.program import KEYS, ROOT, Finished, Program, secret

KEY_COUNT = 60
BOUND = 60


@contextmanager
def started(
    rotator: Program,
    *options: str,
    out: int | IO[str] = subprocess.PIPE,
    err: int | IO[str] = subprocess.PIPE,
) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        rotator.command(*options),
        env=rotator.environ,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=err,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def shell(rotator: Program, line: str, *options: str, **environ: str) -> Finished:
    """Run it as this line of a shell says, in which `"$@"` is the program with its options."""
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line, "bash", *rotator.command(*options)],
        env={**rotator.environ, **environ},
        cwd=ROOT,
        capture_output=True,
        timeout=BOUND,
        check=False,
    )
    rotator.runs.append(
        Finished(done.returncode, *(said.decode(errors="replace") for said in (done.stdout, done.stderr)))
    )
    assert "Traceback" not in rotator.runs[-1].out + rotator.runs[-1].err
    return rotator.runs[-1]


@pytest.fixture
def many(rotator: Program) -> Program:
    """The program with many keys."""
    rotator.config["keys"] = [{"name": f"Key {n}", "path": f"apimall/key-{n}"} for n in range(KEY_COUNT)]
    return rotator


def all_are_stored(
    gateway: GatewayServer, vault: VaultServer, mount: str, keys: list[dict[str, Any]]
) -> bool:
    """Whether each key that was made stands in a secret."""
    paths = [key["path"] for key in keys if stored_at(vault, mount, key["path"])]
    stored = {secret(vault, mount, path)["rotation"]["key_id"] for path in paths}
    return stored == {key.id for key in gateway.account.keys if key.title != "bootstrap"}


def stored_at(vault: VaultServer, mount: str, path: str) -> bool:
    keys = vault.api("LIST", f"{mount}/metadata/apimall")["data"]["keys"]
    return path.rpartition("/")[2] in keys


class TestNobodyReads:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    @pytest.mark.parametrize("full", [("err",), ("out", "err")], ids=" and ".join)
    @pytest.mark.parametrize("mode", ["--once", "run"], ids=["one pass", "passes"])
    def test_what_was_created_is_stored_and_a_stop_is_heeded(
        self,
        many: Program,
        gateway: GatewayServer,
        vault_server: VaultServer,
        mount: str,
        number: int,
        full: tuple[str, ...],
        mode: str,
    ) -> None:
        made, go_on = [], Event()

        def stop_in_the_middle(method: str, path: str, phase: Phase) -> None:
            if (method, phase) == ("POST", Phase.AFTER):
                made.append(path)
                if len(made) == 10:
                    process.send_signal(number)
                    go_on.set()

        many.config["http"] = {"listen": None}
        with ExitStack() as stack:
            ends = {name: full_pipe() for name in full}
            for end in (end for pair in ends.values() for end in pair):
                stack.callback(os.close, end)
            gateway.hook = stop_in_the_middle
            options = ["--log-level", "debug", *mode.split()]
            process = stack.enter_context(
                started(many, *options, **{name: writing for name, (_, writing) in ends.items()})
            )
            assert go_on.wait(BOUND)
            assert process.wait(BOUND) == 0
        assert 10 <= len(made) < KEY_COUNT
        assert all_are_stored(gateway, vault_server, mount, many.config["keys"])

    def test_a_pass_is_made_to_its_end(self, many: Program, gateway: GatewayServer) -> None:
        reading, writing = full_pipe()
        with started(many, "--once", "--json", "--log-level", "debug", err=writing) as process:
            out, _ = process.communicate(timeout=BOUND)
        os.close(reading)
        os.close(writing)
        assert process.returncode == 0
        assert json.loads(out)["converged"]
        assert len(gateway.account.keys) == 1 + KEY_COUNT

    def test_a_paused_terminal(
        self, many: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> None:
        ours, its = os.openpty()
        termios.tcflow(its, termios.TCOOFF)  # Ctrl-S
        asked = Event()

        def stop_in_the_middle(method: str, _path: str, phase: Phase) -> None:
            if (method, phase) == ("POST", Phase.AFTER) and not asked.is_set():
                process.send_signal(signal.SIGTERM)
                asked.set()

        gateway.hook = stop_in_the_middle
        with started(many, "--once", "--log-level", "debug", out=its, err=its) as process:
            assert asked.wait(BOUND)
            assert process.wait(BOUND) == 0
        os.close(ours)
        os.close(its)
        assert all_are_stored(gateway, vault_server, mount, many.config["keys"])

    def test_a_stop_is_heeded_before_any_command_has_begun(self, rotator: Program) -> None:
        reading, writing = full_pipe()
        with started(rotator, "--help", out=writing) as process:
            status = Path(f"/proc/{process.pid}/status")
            blocked = 0
            while not blocked & 1 << (signal.SIGTERM - 1):
                blocked = int(status.read_text().split("SigBlk:")[1].split()[0], 16)
            process.send_signal(signal.SIGTERM)
            _, err = process.communicate(timeout=BOUND)
        os.close(reading)
        os.close(writing)
        assert process.returncode == 0
        assert "nobody read it before the process was stopped" in err

    def test_a_slow_reader_of_a_result_is_waited_for(self, rotator: Program) -> None:
        reading, writing = full_pipe()
        with started(rotator, "--once", "--json", out=writing) as process:
            os.close(writing)
            assert process.stderr
            assert any("reconcile.finished" in line for line in iter(process.stderr.readline, ""))
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(3 * PATIENCE)
            result = drained(reading)
            assert process.wait(BOUND) == 0
        os.close(reading)
        assert json.loads(result)["converged"]


class TestClosed:
    @pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&-", ">&- 2>&-", "<&- >&- 2>&-"])
    def test_the_work_is_done_and_the_exit_code_says_so(
        self,
        rotator: Program,
        gateway: GatewayServer,
        vault_server: VaultServer,
        mount: str,
        closed: str,
    ) -> None:
        run = shell(rotator, f'"$@" {closed}', "--once", "--json")
        assert run.code == 0
        assert all_are_stored(gateway, vault_server, mount, KEYS)
        assert len(gateway.account.keys) == 3
        if ">&-" not in closed.split():
            assert run.json["converged"]
        elif "2>&-" not in closed:
            assert (run.events[-1]["event"], run.events[-1]["error"]) == (
                "result.unprinted",
                "stdout is closed",
            )
        gateway.faults.add(Fault("POST /keys", Status(400)))
        assert shell(rotator, f'"$@" {closed}', "--rotate-now").code == 1
        assert shell(rotator, f'"$@" {closed}', "--nonsense").code == 2
        assert shell(rotator, f'"$@" {closed}', "check").code == 0
        assert shell(rotator, f'"$@" {closed}', "status").code == 0
        assert shell(rotator, f'"$@" {closed}', "completion", "bash").code == 0

    def test_no_other_file_gets_their_numbers(self, rotator: Program, gateway: GatewayServer) -> None:
        seen: set[str] = set()

        def look(*_: object) -> None:
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    if str(rotator.directory).encode() in (process / "cmdline").read_bytes():
                        seen.update(os.readlink(process / "fd" / number) for number in "012")
                except OSError:
                    continue

        gateway.hook = look
        assert shell(rotator, 'exec "$@" <&- >&- 2>&-', "--once").code == 0
        assert seen == {"/dev/null"}

    def test_nobody_is_there_to_answer(self, rotator: Program) -> None:
        run = shell(rotator, '"$@" <&-', "installation", "move")
        assert run.code == 2
        assert run.err.endswith("rotator: nothing was changed\n")
        run = shell(rotator, '"$@" < <(printf "\\377\\n")', "installation", "move")
        assert run.code == 2


class TestNotUtf8:
    @pytest.mark.parametrize(
        "environ",
        [
            {"PYTHONIOENCODING": "ascii"},
            {"PYTHONIOENCODING": "latin-1:strict"},
            {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        ],
        ids=["ascii", "latin-1", "C"],
    )
    def test_everything_is_printed(
        self, rotator: Program, gateway: GatewayServer, environ: dict[str, str]
    ) -> None:
        gateway.account.create("clé ✓")
        assert shell(rotator, '"$@"', "--once", "--log-format", "console", **environ).code == 0
        looked = shell(rotator, '"$@"', "status", **environ)
        assert looked.code == 0
        assert "\\u2713" in looked.out
        explained = shell(rotator, '"$@"', "explain", "Reporting", **environ)
        assert explained.code == 0
        assert "\\u2713" in explained.out


class TestFullOrGone:
    @pytest.mark.parametrize(
        ("line", "says"),
        [
            ('"$@" >/dev/full', "No space left on device"),
            ('"$@" 2>/dev/full', None),
            ('"$@" >/dev/full 2>&1', None),
            ('"$@" 1</dev/null', "Bad file descriptor"),
            ('"$@" 2> >(:)', None),
            ('{ sleep 0; } | { exec 3>&1; "$@" 1>&0 0</dev/null; }', "Bad file descriptor"),
        ],
    )
    def test_the_exit_code_is_that_of_the_work(
        self, rotator: Program, gateway: GatewayServer, line: str, says: str | None
    ) -> None:
        run = shell(rotator, line, "--once")
        assert run.code == 0
        assert len(gateway.account.keys) == 3
        if says:
            assert (run.events[-1]["event"], run.events[-1]["error"]) == ("result.unprinted", says)
        assert shell(rotator, line, "--once", "--key", "nobody").code == 2

    def test_a_reader_that_has_gone_before_the_result(self, rotator: Program) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        with started(rotator, "--once", out=writing) as process:
            _, err = process.communicate(timeout=BOUND)
        os.close(writing)
        assert process.returncode == 0
        last = json.loads(err.splitlines()[-1])
        assert (last["event"], last["error"]) == ("result.unprinted", "Broken pipe")

    @pytest.mark.parametrize("watch", [[], ["--watch", "1"]], ids=["once", "watching"])
    def test_a_reader_that_had_enough(self, many: Program, watch: list[str]) -> None:
        reading, writing = small_pipe()
        with started(many, "status", *watch, "--log-level", "warning", out=writing) as process:
            os.close(writing)
            assert os.read(reading, 10).startswith(b"rotator ")
            os.close(reading)
            _, err = process.communicate(timeout=BOUND)
        assert (process.returncode, err) == (1, "")  # no key has a secret yet
