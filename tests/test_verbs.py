"""What a person types, and what is said to a person: verbs, names, the page's address, errors, what is redrawn."""

import json
import os
import pty
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from rotator import __version__
from rotator.commands.run import page_url
from rotator.commands.screen import redrawn
from rotator.sandbox.faults import ALWAYS, Fault, Phase, Status
from rotator.sandbox.server import GatewayServer
from tests.program import ROOT, Program
from tests.served import Served

NAME = "Production backend"


class Typed:
    """A command on a terminal of its own: what it shows, until something is seen there."""

    def __init__(self, subject: Program, *options: str, given: Path | None = None) -> None:
        """`given`: a file that is its standard input in place of the terminal."""
        self._ours, its = pty.openpty()
        redirected = ["sh", "-c", 'exec "$@" < "$0"', str(given)] if given else []
        self.process = subprocess.Popen(
            ["setsid", "--ctty", *redirected, *subject.command(*options)],
            env={**subject.environ, "TERM": "xterm", "COLUMNS": "100", "LINES": "40"},
            cwd=ROOT,
            stdin=its,
            stdout=its,
            stderr=its,
        )
        os.close(its)
        self.shown = ""

    def type(self, text: str) -> None:
        os.write(self._ours, text.encode())

    def ends(self) -> int:
        """Read to its end; return its exit code."""
        with suppress(OSError):  # it has closed its end
            while chunk := os.read(self._ours, 1 << 16):
                self.shown += chunk.decode(errors="replace")
        return self.process.wait(30)

    def until(self, text: str, times: int = 1) -> str:
        deadline = time.monotonic() + 30
        while self.shown.count(text) < times:
            assert time.monotonic() < deadline
            self.shown += os.read(self._ours, 1 << 16).decode(errors="replace")
        return self.shown

    def close(self) -> None:
        self.process.kill()
        self.process.wait(30)
        os.close(self._ours)


@contextmanager
def typed(subject: Program, *options: str, given: Path | None = None) -> Iterator[Typed]:
    terminal = Typed(subject, *options, given=given)
    try:
        yield terminal
    finally:
        terminal.close()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


class TestVerbs:
    def test_alone_it_shows_its_help_and_touches_nothing(
        self, rotator: Program, gateway: GatewayServer
    ) -> None:
        command = rotator.command()
        done = subprocess.run(
            [word for word in command if word != "--config" and not word.endswith(".yaml")],
            env=rotator.environ | {"ROTATOR_CONFIG": command[-1]},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert (done.returncode, done.stderr) == (2, "")
        assert done.stdout.startswith("Usage: rotator")
        assert "rotator run" in done.stdout
        assert gateway.requests == ()

    @pytest.mark.parametrize("options", [["--log-format", "json"], ["--shard", "0/2"]])
    def test_options_without_a_mode_name_the_modes(
        self, rotator: Program, gateway: GatewayServer, options: list[str]
    ) -> None:
        done = rotator.run(*options)
        assert (done.code, done.out) == (2, "")
        assert done.err.endswith(
            "\n  rotator --once\nmakes one pass,\n  rotator run\nmakes passes until you stop it\n"
        )
        assert gateway.requests == ()

    def test_run_says_where_its_page_is(self, rotator: Program) -> None:
        port = free_port()
        rotator.config["http"] = {"listen": f"127.0.0.1:{port}"}
        rotator.config["account"] = "Production"
        with typed(rotator, "run") as terminal:
            terminal.until(f"until Ctrl-C; its page is at http://127.0.0.1:{port}/")
            with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=10) as answer:
                (line,) = [
                    line for line in answer.read().decode().splitlines() if "rotator_build_info{" in line
                ]
            terminal.process.send_signal(signal.SIGTERM)
        assert f'version="{__version__}"' in line
        assert 'account="Production"' in line
        assert f'gateway="{rotator.config["gateway"]["url"]}"' in line
        assert f'vault="{rotator.config["vault"]["address"]}"' in line

    @pytest.mark.parametrize(
        ("address", "url"),
        [
            (("0.0.0.0", 1), "http://localhost:1/"),
            (("::", 1), "http://localhost:1/"),
            (("::1", 1), "http://[::1]:1/"),
            (("192.0.2.1", 80), "http://192.0.2.1:80/"),
            (None, None),
        ],
    )
    def test_the_url_of_a_page(self, address: tuple[str, int] | None, url: str | None) -> None:
        assert page_url(address) == url


class TestNames:
    @pytest.mark.parametrize("command", [["status"], ["--dry-run"], ["--once"], ["explain"], ["rollback"]])
    def test_a_name_is_a_word_or_an_option(self, rotator: Program, command: list[str]) -> None:
        rotator.run("--once")
        rotator.run("--rotate-now")
        dry = ["--dry-run"] if command == ["rollback"] else []
        ways: list[list[str]] = [[NAME], ["--key", NAME], [NAME, "--key", NAME]]
        told = [rotator.run(*command, *way, *dry, "--json").json for way in ways]
        assert [[key["name"] for key in body.get("keys", [body])] for body in told] == [[NAME]] * 3

    @pytest.mark.parametrize("command", ["explain", "rollback"])
    @pytest.mark.parametrize("names", [[], [NAME, "Reporting"], [NAME, "--key", "Reporting"]])
    def test_one_that_takes_one_takes_one(self, rotator: Program, command: str, names: list[str]) -> None:
        done = rotator.run(command, *names)
        assert (done.code, "name one managed key: NAME, or --key NAME" in done.err) == (2, True)

    def test_several_beside_the_options_of_a_pass(self, rotator: Program) -> None:
        done = rotator.run("--rotate-now", "Reporting", "--json", NAME, "--dry-run")
        assert sorted(key["name"] for key in done.json["keys"]) == [NAME, "Reporting"]

    def test_a_word_that_is_no_name_is_named(self, rotator: Program, gateway: GatewayServer) -> None:
        done = rotator.run("--rotate-now", "statsu")
        assert (done.code, "statsu" in done.out + done.err) == (2, True)
        assert gateway.requests == ()

    @pytest.mark.parametrize(
        "options",
        [
            ("--rotate-now", "{}"),
            ("{}",),
            ("--once", "--shard={}"),
            ("--once", "--log-level", "{}"),
            ("--{}",),
        ],
    )
    @pytest.mark.parametrize("secret", ["sk-0123456789abcdef01234567", "s." + "a1" * 12, "long" * 17])
    def test_a_word_that_may_be_a_secret_is_not_repeated(
        self, rotator: Program, options: tuple[str, ...], secret: str
    ) -> None:
        for form in ((), ("--json",)):
            done = rotator.run(*(option.format(secret) for option in options), *form)
            assert done.code == 2
            assert secret not in done.out + done.err
            assert secret[:12] not in done.out + done.err


class TestWhatItWorksOn:
    def test_the_first_line_of_the_log(self, rotator: Program) -> None:
        rotator.config["account"] = "Production"
        first = rotator.run("--once").events[0]
        assert first["event"] == "rotator.started"
        assert first["version"] == __version__
        assert first["account"] == "Production"
        assert first["config"].endswith("rotator.yaml")
        assert first["gateway"] == rotator.config["gateway"]["url"]
        assert (first["vault"], first["mount"]) == tuple(
            rotator.config["vault"][name] for name in ("address", "mount")
        )

    def test_status_says_which_config_it_read(self, rotator: Program) -> None:
        rotator.run("--once")
        out = rotator.run("status").out
        assert out.startswith(f"rotator {__version__}, config {rotator.directory / 'rotator.yaml'}\n")
        assert (
            f"\nVault {rotator.config['vault']['address']}, mount {rotator.config['vault']['mount']}/\n"
            in out
        )

    def test_the_page(self, served: Served) -> None:
        from dataclasses import replace

        from rotator.show.about import About

        about = About(
            config="a.yaml", account="Production", gateway="https://g", vault="https://v", mount="kv"
        )
        served.now = replace(served.now, about=about)
        page = served.ask("/")[1]
        for part in (
            f"rotator {__version__}, config a.yaml",
            "account Production, installation ",
            "gateway https://g",
        ):
            assert part in page
        assert json.loads(served.ask("/status.json")[1])["about"]["account"] == "Production"


class TestToAPerson:
    @pytest.mark.parametrize("command", [["status"], ["explain", NAME], ["rollback", NAME]])
    def test_what_went_wrong_is_text_in_a_pipe_too(self, rotator: Program, command: list[str]) -> None:
        rotator.config["vault"]["address"] = "http://127.0.0.1:1"
        rotator.config["pass_deadline"] = "1s"
        done = rotator.run(*command)
        assert (done.code, done.out) == (3, "")
        assert "\nrotator: " in done.err
        assert '"event"' not in done.err
        assert done.err.endswith("to test everything that a pass needs:\n  rotator check\n")
        asked = rotator.run(*command, "--log-format", "json")
        assert asked.events[-1]["event"] == f"{command[0]}.failed"

    def test_a_fault_of_the_config_too(self, rotator: Program) -> None:
        rotator.config["pass_deadline"] = 5
        for command in ("status", "check"):
            done = rotator.run(command)
            assert done.code == 2
            assert "5 has no unit" in done.out + done.err
            assert '"event"' not in done.err

    def test_a_refused_rollback_is_named_so(self, rotator: Program) -> None:
        rotator.run("--once")
        assert rotator.run("rollback", NAME).err.startswith("rotator: ")
        assert rotator.run("rollback", NAME, "--log-format", "json").events[-1]["event"] == "rollback.failed"

    def test_who_waits_sees_that_something_goes_on(self, rotator: Program, gateway: GatewayServer) -> None:
        slow: list[Any] = []

        def wait(_method: str, path: str, phase: Phase) -> None:
            if phase is Phase.BEFORE and path.endswith("/keys") and not slow:
                slow.append(path)
                time.sleep(2)

        gateway.hook = wait
        assert "looking …" in rotator.on_a_terminal("status", environ={"TERM": "xterm"}).out


class TestWatch:
    def test_each_line_is_erased_to_its_end_and_nothing_scrolls(self) -> None:
        drawn = redrawn(["top", "", "x" * 25, "\x1b[31mred\x1b[0m", "last"], 10, 20)
        assert drawn.startswith("\x1b[Htop\x1b[K\n\x1b[K\n")
        assert drawn.count("\x1b[K\n") == 5
        assert drawn.endswith("\x1b[J")

    @pytest.mark.parametrize("height", range(3, 12))
    def test_no_more_lines_than_fit(self, height: int) -> None:
        lines = [str(number) for number in range(8)]
        drawn = redrawn(lines, 80, height)
        assert drawn.count("\n") <= height - 1
        assert ("more lines" in drawn) == (height < 9)

    def test_the_log_does_not_tear_it(self, rotator: Program, gateway: GatewayServer) -> None:
        gateway.faults.add(Fault("GET /keys", Status(500), times=ALWAYS))
        rotator.config["pass_deadline"] = "1s"
        with typed(rotator, "--log-level", "debug", "status", "--watch", "1") as terminal:
            shown = terminal.until("again every 1 s until Ctrl-C", 2)
        frames = shown.split("\x1b[H")[1:]
        looking = [frame for frame in frames if frame.startswith("rotator status, looking")]
        assert looking
        assert all(frame.count("\n") == 0 for frame in looking[:2])  # no line of the log after it
        assert "\r\nlog\x1b[K" in shown

    def test_a_pipe_gets_one_look_after_another(self, rotator: Program) -> None:
        rotator.run("--once")
        process = rotator.start("status", "--watch", "1")
        assert process.stdout
        try:
            lines = iter(process.stdout.readline, "")
            assert sum(next(lines).startswith("rotator status, as of ") for _ in range(30)) >= 2
        finally:
            process.kill()
            process.communicate()
