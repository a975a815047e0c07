"""`rotator identify` and `rotator leaked` as a person runs them: a string in, its name and its end out."""

import shlex
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from rotator.sandbox.faults import ALWAYS, Fault, Status
from rotator.sandbox.ledger import AccountKey
from rotator.sandbox.server import GatewayServer
from rotator.sandbox.vault import VaultServer
from tests.long import Figure
from tests.program import BACKEND, Finished, Program, secret
from tests.test_verbs import typed

NAME = "Production backend"
COMMAND = f"rotator --rotate-now --revoke-old-now --key '{NAME}'"
MUST = {"POST /keys", "DELETE /keys/*", "GET secret", "POST secret"}
"""What no program can do without: make, revoke; read, write."""


@pytest.fixture
def key(gateway: GatewayServer, leaked: int) -> AccountKey:
    """What is in the secret."""
    return next(key for key in gateway.account.keys if key.id == leaked)


def lives(gateway: GatewayServer, id_: int) -> bool:
    return next(key for key in gateway.account.keys if key.id == id_).live


class TestIdentify:
    def test_a_current_key(self, rotator: Program, key: AccountKey) -> None:
        done = rotator.run("identify", given=f"{key.plaintext}\n")
        assert done.code == 1
        for said in (
            f"key {key.id} “{NAME} [",
            f"the current key of {NAME}",
            f"secret    {BACKEND}",
            "listed    as created, ",
            "goes      replaced in 7d, and revoked after a grace of 1d",
            f"stored    {BACKEND}, the latest version",
            "the gateway takes it (request_id ",
            "it is alive: whoever has it can use it",
            f"if it has leaked:\n  {COMMAND}\n",
        ):
            assert said in done.out
        assert key.preview not in done.out + done.err

    def test_for_programs(self, rotator: Program, key: AccountKey) -> None:
        done = rotator.run("identify", "--json", given=key.preview)
        body = done.json
        assert (done.code, body["kind"], body["given"], body["verdict"]) == (
            1,
            "identified",
            "preview",
            "alive",
        )
        nobody = {"owner": None, "contact": None}
        assert body["keys"][0]["managed"] == [{"name": NAME, "path": BACKEND, **nobody}]
        assert (body["keys"][0]["command"], body["works"]) == (COMMAND, None)

    def test_its_command_ends_the_leak_and_then_nothing_is_to_do(
        self, rotator: Program, gateway: GatewayServer, key: AccountKey
    ) -> None:
        command = rotator.run("identify", "--json", given=key.plaintext).json["keys"][0]["command"]
        assert command == COMMAND
        assert rotator.run("--rotate-now", "--revoke-old-now", "--yes", "--key", NAME).code == 0
        done = rotator.run("identify", given=key.plaintext)
        assert (done.code, lives(gateway, key.id)) == (0, False)
        assert "the gateway refuses it" in done.out
        assert "it is dead: there is nothing to do" in done.out

    @pytest.mark.parametrize("given", ["", "\n", "correct horse", "x" * 1_000_000, b"\xff\xfe\x00", "a\nb\n"])
    @pytest.mark.parametrize("command", ["identify", "leaked"])
    def test_what_is_no_key(
        self, rotator: Program, gateway: GatewayServer, command: str, given: str | bytes
    ) -> None:
        for options in ([], ["--json"]):
            yes = ["--yes"] if command == "leaked" else []
            done = rotator.run(command, *yes, *options, "--log-format", "console", given=given)
            assert (done.code, gateway.requests) == (2, ())
            assert "rotator: that is no key: " in done.err
            assert "correct" not in done.out + done.err
        assert done.json["error"]["message"].startswith("that is no key: ")

    def test_on_a_terminal_it_is_typed_unseen(self, rotator: Program, key: AccountKey) -> None:
        with typed(rotator, "identify") as terminal:
            terminal.until("not shown: ")
            terminal.type(f"{key.plaintext}\n")
            shown = terminal.until("if it has leaked")
        assert key.plaintext[:12] not in shown

    @pytest.mark.parametrize("command", [["identify"], ["leaked", "--yes"]])
    def test_a_standard_input_that_cannot_be_read(self, rotator: Program, command: list[str]) -> None:
        line = shlex.join(rotator.command(*command))
        done = subprocess.run(
            ["sh", "-c", f"exec {line} 0>/dev/null"],
            env=rotator.environ,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 2
        assert b"standard input cannot be read: Bad file descriptor" in done.stderr
        assert b"Traceback" not in done.stderr

    @pytest.mark.parametrize("command", [["identify"], ["leaked", "--yes"]])
    def test_a_directory_ends_python_itself_and_not_with_the_code_of_a_dead_key(
        self, rotator: Program, tmp_path: Path, command: list[str]
    ) -> None:
        """As docs/commands.md says: no code of ours runs before."""
        line = shlex.join(rotator.command(*command))
        done = subprocess.run(
            ["sh", "-c", f'exec {line} < "$0"', str(tmp_path)],
            env=rotator.environ,
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert (done.returncode, b"<stdin> is a directory" in done.stderr) == (1, True)

    def test_ctrl_c_is_no_key(self, rotator: Program) -> None:
        with typed(rotator, "identify") as terminal:
            terminal.until("not shown: ")
            terminal.type("\x03")
            terminal.until("nothing was given")

    def test_an_argument_is_refused_and_not_repeated(self, rotator: Program) -> None:
        for command in ("identify", "leaked"):
            done = rotator.run(command, "an-argument-that-is-a-plaintext")
            assert (done.code, "an-argument" in done.err) == (2, False)
            assert "never from an argument" in done.err

    def test_without_a_server_it_says_so(self, rotator: Program, key: AccountKey) -> None:
        rotator.config["vault"]["address"] = "http://127.0.0.1:1"
        rotator.config["pass_deadline"] = "1s"
        assert rotator.run("identify", given=key.plaintext).code == 3


class TestLeaked:
    def test_from_a_string_to_replaced_and_revoked(
        self, rotator: Program, gateway: GatewayServer, key: AccountKey, figure: Figure
    ) -> None:
        log = ("--log-format", "json", "--log-level", "debug")
        done = rotator.run("leaked", "--yes", *log, given=key.plaintext)
        assert (done.code, lives(gateway, key.id)) == (0, False)
        assert f"the current key of {NAME}" in done.out
        assert f"replaced key {key.id} by key " in done.out
        calls = _calls(done)
        assert calls.keys() >= MUST
        times = _times(done)
        figure(
            f"leaked: {calls.total()} calls, {calls.total() / 4:.1f} times the two and two that it must cost; "
            f"{sum(times.values()) / sum(times[name] for name in MUST):.1f} times their time"
        )
        assert calls.total() <= 40

    def test_it_asks_at_the_terminal_while_the_string_comes_from_a_pipe(
        self, rotator: Program, gateway: GatewayServer, key: AccountKey, tmp_path: Path
    ) -> None:
        found = tmp_path / "found"
        found.write_text(key.plaintext)
        for answer, code in (("n\n", 2), ("y\n", 0)):
            with typed(rotator, "leaked", given=found) as terminal:
                terminal.until("Replace and revoke now? [y/N]: ")
                terminal.type(answer)
                assert terminal.ends() == code
            assert lives(gateway, key.id) == (code == 2)

    def test_where_nobody_can_answer_it_wants_a_yes(self, rotator: Program, key: AccountKey) -> None:
        done = rotator.run("leaked", given=key.plaintext)
        assert (done.code, "nobody is there to answer: add --yes" in done.err) == (2, True)

    def test_a_dry_run_changes_nothing(
        self, rotator: Program, gateway: GatewayServer, key: AccountKey
    ) -> None:
        done = rotator.run("leaked", "--dry-run", given=key.plaintext)
        assert done.code == 0
        assert (
            f"{NAME}: key {key.id} would be replaced; key {key.id} would be revoked without grace" in done.out
        )
        assert done.out.endswith("nothing was changed\n")
        assert rotator.run("leaked", "--dry-run", "--json", given=key.plaintext).json["kind"] == "exposure"
        assert len(gateway.account.keys) == 3

    def test_for_programs(self, rotator: Program, key: AccountKey) -> None:
        done = rotator.run("leaked", "--yes", "--json", given=key.plaintext)
        assert (done.code, done.json["kind"], done.json["over"]) == (0, "incident", True)
        done = rotator.run("leaked", "--yes", "--json", given=key.plaintext)
        assert (done.code, done.json["kind"], done.json["verdict"]) == (0, "identified", "dead")

    def test_a_superseded_key_by_its_plaintext(
        self, rotator: Program, gateway: GatewayServer, key: AccountKey
    ) -> None:
        rotator.run("--rotate-now", "--key", NAME)
        done = rotator.run("leaked", "--yes", given=key.plaintext)
        assert (done.code, lives(gateway, key.id)) == (0, False)
        assert f"a superseded key of {NAME}" in done.out
        assert "rotator --rotate-now" not in done.out, "nobody is told to run what was just run"

    def test_a_persons_key_is_not_touched_and_named(
        self, rotator: Program, gateway: GatewayServer, key: AccountKey
    ) -> None:
        theirs = gateway.account.create("by hand")
        done = rotator.run("leaked", "--yes", given=theirs.plaintext)
        assert (done.code, lives(gateway, theirs.id)) == (1, True)
        assert f"to end the leak:\n  rotator prune --id {theirs.id}\n" in done.out
        assert done.out.endswith("leaked replaces only a key that is certain to be a managed key's\n")

    def test_what_it_does_itself_it_does_not_advise(self, rotator: Program, key: AccountKey) -> None:
        done = rotator.run("leaked", "--dry-run", given=key.plaintext)
        assert done.code == 0
        assert "if it has leaked" not in done.out
        assert "to end the leak" not in done.out

    def test_of_two_that_it_may_be_none_is_touched(
        self, rotator: Program, gateway: GatewayServer, key: AccountKey
    ) -> None:
        twin = gateway.account.create("by hand", like=key)
        done = rotator.run("leaked", "--yes", given=key.preview)
        assert (done.code, lives(gateway, key.id), lives(gateway, twin.id)) == (1, True, True)
        assert f"to end the leak, if it is key {key.id}:\n  {COMMAND}\n" in done.out
        assert f"to end the leak, if it is key {twin.id}:\n  rotator prune --id {twin.id}\n" in done.out

    def test_what_fails_is_said_in_words(self, rotator: Program, key: AccountKey) -> None:
        rotator.environ["APIMALL_API_KEY"] = f"sk-{'0' * 32}"
        done = rotator.run("leaked", "--yes", "--log-level", "critical", given=key.plaintext)
        assert done.code == 3
        assert done.err.startswith("rotator: GET /keys: 401")

    def test_a_revocation_that_failed_is_not_over(
        self, rotator: Program, gateway: GatewayServer, key: AccountKey
    ) -> None:
        gateway.faults.add(Fault("DELETE /keys/*", Status(403), times=ALWAYS))
        assert rotator.run("leaked", "--yes", given=key.plaintext).code == 1

    def test_one_of_an_older_version_of_another_secret_that_is_dead(
        self, rotator: Program, gateway: GatewayServer, key: AccountKey, vault_server: VaultServer, mount: str
    ) -> None:
        assert rotator.run("leaked", "--yes", given=key.plaintext).code == 0
        new = secret(vault_server, mount, BACKEND)["rotation"]["key_id"]
        done = rotator.run("leaked", "--yes", given=key.plaintext)
        assert (done.code, "it is dead" in done.out) == (0, True)
        assert secret(vault_server, mount, BACKEND)["rotation"]["key_id"] == new, "nothing was rotated again"


class TestAdopted:
    """A key that a person made, in the secret of a managed key: it goes only with `revoke_adopted`."""

    @pytest.fixture
    def theirs(
        self, rotator: Program, gateway: GatewayServer, vault_server: VaultServer, mount: str
    ) -> AccountKey:
        key = gateway.account.create("by hand")
        vault_server.api("POST", f"{mount}/data/{BACKEND}", {"data": {"api_key": key.plaintext}})
        assert rotator.run("--once").code == 0
        return key

    def follow(self, rotator: Program, command: str) -> Finished:
        """Run a command as it was printed."""
        setting, _, *words = shlex.split(command)
        yes = ["--yes"] if "--revoke-old-now" in words else []
        return rotator.run(*words, *yes, environ=dict([setting.split("=")]))

    def test_identify_names_the_command_that_ends_it(
        self, rotator: Program, gateway: GatewayServer, theirs: AccountKey
    ) -> None:
        for _ in range(2):
            done = rotator.run("identify", given=theirs.plaintext)
            command = f"ROTATOR_DEFAULTS__REVOKE_ADOPTED=true {COMMAND}"
            assert f"if it has leaked:\n  {command}\n" in done.out
            rotator.run("--rotate-now", "--key", NAME)
        assert (
            f"replace it instead:\n    {command}\n"
            in rotator.run("prune", "--id", f"{theirs.id}", "--yes").out
        )
        assert (self.follow(rotator, command).code, lives(gateway, theirs.id)) == (0, False)

    def test_the_record_of_a_leak_names_the_command_that_ends_it(
        self, rotator: Program, gateway: GatewayServer, theirs: AccountKey
    ) -> None:
        told = rotator.run("leaked", "--dry-run", given=theirs.plaintext)
        assert f"! key {theirs.id} would be left alive: a person made it" in told.out
        done = rotator.run("leaked", "--yes", given=theirs.plaintext)
        assert (done.code, lives(gateway, theirs.id)) == (1, True)
        command = f"ROTATOR_DEFAULTS__REVOKE_ADOPTED=true rotator --once --key '{NAME}'"
        assert command in done.out
        assert (self.follow(rotator, command).code, lives(gateway, theirs.id)) == (0, False)
        assert rotator.run("identify", given=theirs.plaintext).code == 0


def _name(event: dict[str, object]) -> str:
    method, path = str(event["method"]), str(event["path"])
    if event["event"] == "gateway.request":
        return f"{method} {'/keys/*' if path.startswith('/keys/') else path}"
    return f"{method} secret" if path.endswith(f"/data/{BACKEND}") else f"{method} {path}"


def _requests(done: Finished) -> list[dict[str, object]]:
    return [event for event in done.events if event["event"] in ("gateway.request", "vault.request")]


def _calls(done: Finished) -> Counter[str]:
    return Counter(map(_name, _requests(done)))


def _times(done: Finished) -> Counter[str]:
    times: Counter[str] = Counter()
    for event in _requests(done):
        times[_name(event)] += max(1, int(str(event["duration_ms"])))
    return times
