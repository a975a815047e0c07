"""No plaintext and no token in whatever the program emits. That the search finds one is tested first."""

import base64
from collections.abc import Callable
from pathlib import Path
from threading import Event
from urllib.parse import quote

import pytest

from rotator.sandbox.faults import GARBAGE, Fault, Phase, Rewrite, Status
from rotator.sandbox.vault import VaultServer
from tests.leaks import PART, leaks
from tests.scenes import SCENES, Scene
from tests.stage import Stage, settle, staged

SECRET = "sk-" + "0123456789abcdef" * 3
OTHER = "s.%/+&= äöü and some more of it"


class TestTheSearchItself:
    @pytest.mark.parametrize("secret", [SECRET, OTHER])
    @pytest.mark.parametrize(
        "hide",
        [
            str,
            lambda secret: secret[5 : 5 + PART],
            lambda secret: base64.b64encode(secret.encode()).decode(),
            lambda secret: base64.b64encode(b"Bearer " + secret.encode() + b"!").decode(),
            lambda secret: base64.urlsafe_b64encode(b"x" + secret.encode()).decode(),
            lambda secret: quote(secret, safe=""),
            lambda secret: secret[::-1],
            lambda secret: secret.encode().hex(),
        ],
    )
    def test_a_planted_leak_is_found(self, secret: str, hide: Callable[[str], str]) -> None:
        planted = hide(secret)
        assert leaks(f"some words {planted} and more", ["x" * 30, secret])
        assert leaks(f"some words {planted} and more".encode(), [secret])

    def test_what_it_says_holds_no_secret(self) -> None:
        assert leaks(SECRET, [SECRET]) == ["secret 0, clear"]

    def test_nothing_is_found_where_nothing_is(self) -> None:
        assert leaks(f"{SECRET[: PART - 1]} {SECRET[-PART + 1 :]} sk-0123...cdef", [SECRET]) == []


@pytest.mark.parametrize(
    ("scene", "log_format"), [*((scene, "json") for scene in SCENES), (SCENES[-1], "console")]
)
def test_what_the_program_prints(
    vault_server: VaultServer, tmp_path: Path, scene: Scene, log_format: str
) -> None:
    """At the most talkative level, as a table and as JSON, with answers that throw its own secrets back at it."""
    with staged(vault_server, tmp_path / "stage") as stage:  # which searches when it is left
        scene(stage.world, stage.promises)
        faults = stage.world.server.faults
        faults.add(Fault("POST /keys", Rewrite(_as_an_error), at=Phase.AFTER))
        faults.add(Fault("DELETE /keys/*", Status(500)), Fault("GET /keys", GARBAGE["cut json"]))
        for options in (["--dry-run"], ["--once", "--json"], ["--rotate-now"]):
            stage.start(*options, "--log-format", log_format).wait()
        settle(stage.world, stage.promises)


def _as_an_error(envelope: dict[str, object]) -> object:
    """An answer that names the plaintext where a message would stand."""
    return {"success": False, "error": {"code": "internal_error", "message": str(envelope.get("data"))}}


def test_what_others_can_see_of_the_process(vault_server: VaultServer, tmp_path: Path) -> None:
    """Its arguments, its children, and what it would leave behind if it crashed."""
    with staged(vault_server, tmp_path / "stage") as stage:
        seen = _look_at_the_process(stage)
        secrets = [key.plaintext for key in stage.world.server.account.keys]
        secrets.append(stage.environ["VAULT_TOKEN"])
        assert leaks(seen["cmdline"], secrets) == []
        assert seen["children"] == b""
        (core,) = [line for line in seen["limits"].splitlines() if line.startswith(b"Max core file size")]
        assert core.split()[4:6] == [b"0", b"0"]


def _look_at_the_process(stage: Stage) -> dict[str, bytes]:
    """Stop the program between create and store, and look at it from outside."""
    seen: dict[str, bytes] = {}
    started = Event()

    def look(method: str, _path: str, phase: Phase) -> None:
        if method == "POST" and phase is Phase.AFTER:
            started.wait()
            at = Path(f"/proc/{process.pid}")
            seen["cmdline"], seen["limits"] = (at / "cmdline").read_bytes(), (at / "limits").read_bytes()
            seen["children"] = b"".join(task.read_bytes() for task in at.glob("task/*/children"))

    stage.world.server.hook = look
    process = stage.start("--rotate-now")
    started.set()
    assert process.wait() == 0
    return seen
