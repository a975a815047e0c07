"""Notices on their way: a receiver on loopback verifies each with the specification's own library."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from threading import Event
from typing import Any, get_args

import pytest
from standardwebhooks.webhooks import WebhookVerificationError

from rotator import redaction
from rotator.clients.receiver import MAX_ANSWER_BYTES
from rotator.clients.webhook_signature import parse_secrets
from rotator.config.monitoring import NoticeType
from rotator.errors import Rejected, RotatorError
from rotator.passes.result import KeyResult, Outcome, PassResult
from rotator.passes.stopping import Stopped
from rotator.sandbox.faults import Body, Fault, Status
from rotator.sandbox.vault import VaultServer
from rotator.service.delivery import MAX_WAITING, Notifier
from tests.facts import PATH, at, managed
from tests.leaks import leaks
from tests.logs import captured
from tests.receiver import SECRET, Receiver, receiving
from tests.serving import Answering, cut, reply, truncated
from tests.stage import Stage, staged
from tests.traffic import BOUND
from tests.world import QUICK, STATE, World

OLD, OTHER = (f"whsec_{8 * letters}" for letters in ("b2xk", "b3Ro"))
TOKEN_IN_THE_PATH = "/hooks/T0123456789/wJalrXUtnFEMIbPxRfiCY"
ALL = get_args(NoticeType)
ERROR = Rejected("POST /keys: 400 (too many)", request_id="req_1", cure="ask the gateway's support")


@contextmanager
def notifying(url: str, *, timeout: float = 5, secrets: str = SECRET, types: Any = ALL) -> Iterator[Notifier]:
    notifier = Notifier(url, parse_secrets(secrets), types, policy=QUICK, timeout=timedelta(seconds=timeout))
    try:
        yield notifier
    finally:
        notifier.close(BOUND)


def dripping(head: bytes) -> Answering:
    """Begin an answer, and go on with a byte every 50 ms until the client is gone."""

    def how(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(head)
        while not Event().wait(0.05):
            handler.wfile.write(b" ")

    return how


def failing(*names: str, error: RotatorError = ERROR) -> PassResult:
    keys = (replace(managed(), name=name) for name in names or ("Backend",))
    results = tuple(KeyResult(key, Outcome.FAILED, errors=(error,)) for key in keys)
    return PassResult("run1", False, "3f9a2c", at(8), results, ())


def lines(out: Any, event: str) -> list[dict[str, Any]]:
    log = [json.loads(line) for line in out.getvalue().splitlines()]
    return [line for line in log if line["event"] == event]


class TestDelivery:
    def test_what_is_sent(self) -> None:
        with receiving() as receiver, notifying(f"{receiver.url}/hook/") as notifier:
            notifier.tell(failing())
        ((path, headers, _),) = receiver.received
        assert path == "/hook/"
        assert headers["content-type"] == "application/cloudevents+json"
        assert "authorization" not in headers
        (event,) = receiver.events()
        assert headers["webhook-id"] == event["id"] == "run1-1"
        assert event["data"]["errors"][0]["message"] == ERROR.message

    def test_each_of_several_secrets_verifies_and_no_other(self) -> None:
        with receiving() as receiver, notifying(receiver.url, secrets=f"{OLD}\n{SECRET}") as notifier:
            notifier.tell(failing())
        assert receiver.events(OLD) == receiver.events(SECRET) != []
        with pytest.raises(WebhookVerificationError):
            receiver.events(OTHER)

    def test_only_what_was_asked_for(self) -> None:
        with receiving() as receiver, notifying(receiver.url, types=["pass.failed"]) as notifier:
            notifier.tell(failing())
            notifier.tell(Stopped())
            notifier.tell(ERROR)
        assert receiver.types() == ["pass.failed"]

    def test_the_order_is_kept(self) -> None:
        redaction.forget()  # another test's secret may be as short as a number of these
        names = [f"Key {number}" for number in range(20)]
        with receiving(reply(500)) as receiver, notifying(receiver.url) as notifier:
            notifier.tell(failing(*names))
        assert [event["subject"] for event in receiver.events()] == [names[0], *names]


class TestTrouble:
    @pytest.mark.parametrize(
        "answer",
        [
            reply(500),
            reply(503, headers={"Retry-After": "1"}),
            reply(429),
            reply(408),
            cut,
            truncated,
            dripping(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"),
            dripping(b"HTTP/1.1 200 OK\r\nX-Slow: "),
            lambda handler: handler.wfile.write(b"\0\xff no HTTP at all\r\n\r\n"),
        ],
    )
    def test_it_is_repeated_with_the_same_id(self, answer: Answering) -> None:
        with captured() as out, receiving(answer) as receiver:
            with notifying(receiver.url, timeout=0.3) as notifier:
                notifier.tell(failing())
        assert len(receiver.ids()) >= 2  # more where this machine is too slow for the time-out
        assert set(receiver.ids()) == {"run1-1"}
        assert set(receiver.types()) == {"rotation.failed"}
        assert lines(out, "notice.retry")
        assert len(lines(out, "notice.sent")) == 1

    def test_retry_after_is_honoured(self) -> None:
        asked = reply(429, headers={"Retry-After": "3600"})
        with captured() as out, receiving(asked) as receiver, notifying(receiver.url) as notifier:
            notifier.tell(failing())
        (line,) = lines(out, "notice.retry")
        assert line["status"] == 429
        assert QUICK.longest_retry_after <= line["wait_s"] <= QUICK.longest_retry_after + QUICK.longest_wait

    @pytest.mark.parametrize("body", [b"\0\xff garbage", b"{" * 10_000, b"x" * MAX_ANSWER_BYTES])
    def test_what_the_receiver_says_beside_its_status_does_not_matter(self, body: bytes) -> None:
        with captured() as out, receiving(reply(202, raw=body)) as receiver:
            with notifying(receiver.url) as notifier:
                notifier.tell(failing())
        assert (len(receiver.received), len(lines(out, "notice.sent"))) == (1, 1)

    @pytest.mark.parametrize(
        ("answer", "says"),
        [
            (reply(400), "answered 400"),
            (reply(401), "answered 401"),
            (reply(307), "a redirect, which is not followed"),
            (reply(200, raw=b"x" * (MAX_ANSWER_BYTES + 1)), "over 1048576 bytes"),
        ],
    )
    def test_what_is_refused_is_given_up_at_once(self, answer: Answering, says: str) -> None:
        with captured() as out, receiving(answer) as receiver, notifying(receiver.url) as notifier:
            notifier.tell(failing("One", "Two"))
        assert receiver.ids() == ["run1-1", "run1-2"]
        (line,) = lines(out, "notice.failed")
        assert says in line["error"]
        assert (line["id"], line["type"], line["key"]) == ("run1-1", "rotation.failed", "One")

    def test_a_receiver_that_is_gone_gets_no_more(self) -> None:
        with captured() as out, receiving(reply(410)) as receiver, notifying(receiver.url) as notifier:
            notifier.tell(failing("One", "Two"))
            notifier.close(BOUND)
            notifier.tell(failing("Three"))
        assert receiver.ids() == ["run1-1"]
        (line,) = lines(out, "notice.failed")
        assert "remove `webhook` from the config" in line["cure"]

    def test_a_receiver_that_is_down(self) -> None:
        with receiving() as receiver:
            pass
        with captured() as out, notifying(receiver.url) as notifier:
            notifier.tell(failing())
        assert len(lines(out, "notice.retry")) == QUICK.attempts - 1
        (line,) = lines(out, "notice.failed")
        assert "Connection refused" in line["error"]
        assert "check webhook.url" in line["cure"]

    def test_a_failure_that_was_not_delivered_is_told_with_the_next_pass(self) -> None:
        with receiving(*[reply(500)] * QUICK.attempts) as receiver, notifying(receiver.url) as notifier:
            notifier.tell(failing("One"))
            while notifier._waiting:  # until it is given up
                with notifier._changed:
                    notifier._changed.wait(BOUND)
            notifier.tell(failing("One"))
            notifier.tell(failing("One"))
        assert len(receiver.received) == QUICK.attempts + 1

    def test_what_cannot_be_sent_at_all_does_not_keep_the_next_one(self) -> None:
        odd = RotatorError("odd", cure=object())  # type: ignore[arg-type]
        with captured() as out, receiving() as receiver, notifying(receiver.url) as notifier:
            notifier.tell(failing("One", error=odd))
            notifier.tell(failing("Two"))
        assert [event["subject"] for event in receiver.events()] == ["Two"]
        (line,) = lines(out, "notice.failed")
        assert (line["key"], line["error"]) == ("One", "unexpected TypeError")


class TestNeverInTheWay:
    @contextmanager
    def held(self) -> Iterator[tuple[Receiver, Event, list[str]]]:
        """A receiver that answers nothing before it is released."""
        released, story = Event(), list[str]()

        def hold(handler: BaseHTTPRequestHandler) -> None:
            released.wait(BOUND)
            story.append("answered")
            reply(200)(handler)

        with receiving(hold) as receiver:
            try:
                yield receiver, released, story
            finally:
                released.set()

    def test_passes_end_while_a_receiver_never_answers(self, world: World) -> None:
        with self.held() as (receiver, released, story), notifying(receiver.url, timeout=BOUND) as notifier:
            for _ in range(3):
                notifier.tell(world.make_pass(forced=True))
                story.append("passed")
            assert world.log[-1].converged
            released.set()
            notifier.close(BOUND)
        assert story == ["passed"] * 3 + ["answered"]
        assert [event["data"]["key_id"] for event in receiver.events()] == [
            result.keys[0].key_id for result in world.log
        ]

    def test_what_is_left_at_the_end_is_given_up(self) -> None:
        with captured() as out, self.held() as (receiver, released, story):
            notifier = Notifier(receiver.url, parse_secrets(SECRET), ALL, policy=QUICK)
            notifier.tell(failing("One", "Two"))
            notifier.close(within=0.01)
            assert story == []
            notifier.tell(failing("Three"))
            released.set()
            notifier._thread.join(BOUND)
        assert len(receiver.received) <= 1  # what was given up is not sent all the same
        given_up = lines(out, "notice.failed")
        assert [line["key"] for line in given_up] == ["One", "Two"]
        assert "not delivered within 0.01 s" in given_up[0]["error"]

    def test_a_wait_ends_with_the_end(self) -> None:
        asked = Event()

        def later(handler: BaseHTTPRequestHandler) -> None:
            reply(503, headers={"Retry-After": "3600"})(handler)
            asked.set()

        with receiving(*[later] * 9) as receiver:
            notifier = Notifier(receiver.url, parse_secrets(SECRET), ALL)
            notifier.tell(failing())
            assert asked.wait(BOUND)
            notifier.close(within=0)
            notifier._thread.join(BOUND)
            assert not notifier._thread.is_alive()
        assert len(receiver.received) == 1

    def test_more_than_can_wait_are_given_up(self) -> None:
        with captured() as out, self.held() as (receiver, _, _):
            notifier = Notifier(receiver.url, parse_secrets(SECRET), ALL)
            notifier.tell(failing(*(f"Key {number}" for number in range(MAX_WAITING + 2))))
            dropped = lines(out, "notice.failed")
            assert [line["key"] for line in dropped] == [f"Key {MAX_WAITING}", f"Key {MAX_WAITING + 1}"]
            notifier.close(within=0)
            assert len(lines(out, "notice.failed")) == MAX_WAITING + 2


def test_no_secret_is_sent_or_logged(world: World) -> None:
    """Of passes that rotate, fail and revoke, with an error that repeats a plaintext."""
    with captured(level="debug") as out, receiving(reply(500), reply(404)) as receiver:
        with notifying(receiver.url + TOKEN_IN_THE_PATH, secrets=f"{OLD} {SECRET}") as notifier:
            notifier.tell(world.make_pass())
            said = {"success": False, "error": {"code": "odd", "message": world.live[0].plaintext}}
            world.server.faults.add(Fault("POST /keys", Body(json.dumps(said).encode(), 400)))
            notifier.tell(world.make_pass(forced=True))
            notifier.tell(failing(error=RotatorError(f"no {world.secret()['api_key']}")))
            notifier.tell(world.make_pass(forced=True))
            world.advance(1)
            world.server.faults.add(Fault("DELETE /keys/*", Status(400)))
            notifier.tell(world.make_pass())
            notifier.tell(Rejected(f"GET /x: {world.server.account.bootstrap.plaintext}"))
    assert set(receiver.types()) == set(ALL)
    plaintexts = [key.plaintext for key in world.server.account.keys]
    secrets = [*plaintexts, OLD, SECRET, TOKEN_IN_THE_PATH[-21:]]
    for _, headers, body in receiver.received:
        assert leaks(body + repr(headers).encode(), secrets) == []
        assert PATH not in body.decode()
        assert not any(key.plaintext[-4:] in body.decode() for key in world.server.account.keys)
    assert leaks(out.getvalue(), secrets) == []


def test_a_token_in_the_path_is_kept_out_of_the_log_for_as_long_as_the_process_lives() -> None:
    """Longer than the days after which a secret that nobody used is forgotten."""
    with captured() as out, receiving(*[cut] * QUICK.attempts) as receiver:
        with notifying(receiver.url + TOKEN_IN_THE_PATH) as notifier:
            redaction.forget()
            notifier.tell(failing())
    (line,) = lines(out, "notice.failed")
    assert line["error"].startswith("POST [redacted]")
    assert leaks(out.getvalue(), [TOKEN_IN_THE_PATH[-21:]]) == []


class TestTheProgram:
    @pytest.fixture
    def stage(self, vault_server: VaultServer, tmp_path: Path) -> Iterator[Stage]:
        with staged(vault_server, tmp_path / "stage") as stage:
            yield stage

    def configure(self, stage: Stage, receiver: Receiver) -> None:
        webhook = {"url": receiver.url, "secret": {"env": "WEBHOOK_SECRET"}}
        stage.environ["WEBHOOK_SECRET"] = SECRET
        stage.configure(schedule={"every": "1s", "jitter": "0s"}, webhook=webhook)

    def test_a_pass_is_told_before_the_program_ends(self, stage: Stage) -> None:
        with receiving(reply(500)) as receiver:
            self.configure(stage, receiver)
            assert stage.start("--once").wait() == 0
        first, again = receiver.events()
        assert first == again
        assert first["data"]["key_id"] == stage.world.rotation()["key_id"]
        installation = (stage.world.store.read(STATE).data or {})["installation"]
        assert first["source"] == f"urn:apimall:rotator:{installation}"

    def test_a_pass_that_cannot_be_made_is_told_but_not_of_a_dry_run(self, stage: Stage) -> None:
        stage.environ["APIMALL_API_KEY"] = "sk-that-was-revoked-long-ago-000000"
        with receiving() as receiver:
            self.configure(stage, receiver)
            assert stage.start("--dry-run").wait() == 3
            assert receiver.received == []
            assert stage.start("--once").wait() == 3
        assert receiver.types() == ["pass.failed"]

    def test_the_long_running_mode_tells_a_failure_once(self, stage: Stage) -> None:
        with receiving() as receiver:
            self.configure(stage, receiver)
            stage.world.server.faults.add(Fault("POST /keys", Status(400), times=2))
            process = stage.start()
            stage.until(lambda: stage.logged("notice.sent") == 2)
            process.send(signal.SIGTERM)
            assert process.wait() == 0
        assert receiver.types() == ["rotation.failed", "rotation.succeeded"]


def test_what_sends_notices_is_imported_only_where_it_is_configured() -> None:
    shown = "import sys; import rotator.commands.run; print('rotator.service.delivery' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
