"""Metrics against what happened: scraped, written to a file, pushed."""

import socket
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from rotator.errors import Rejected
from rotator.rules.shard import Shard
from rotator.sandbox.faults import ALWAYS, Cut, Fault, Phase, Status
from rotator.sandbox.server import GatewayServer
from rotator.service.metrics import Metrics, UnpublishedError
from rotator.show.snapshot import PassRecord, Snapshot
from tests.facts import managed
from tests.leaks import leaks
from tests.program import Program
from tests.serving import Answering, cut, reply, serving
from tests.shown import of_each_state, passed
from tests.world import World

Samples = dict[tuple[str, ...], float]


def samples(text: str) -> Samples:
    """Every sample, by its name without the prefix and the values of its labels."""
    return {
        (sample.name.removeprefix("rotator_"), *(sample.labels[label] for label in sorted(sample.labels))): (
            sample.value
        )
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


class Scraped:
    """A world that is watched by metrics."""

    def __init__(self, world: World) -> None:
        self.world, self.metrics = world, Metrics()
        self.records: list[PassRecord] = []
        world.watch = self.metrics.watch("gateway")
        self.metrics.follow(self.snapshot)

    def snapshot(self) -> Snapshot:
        now = self.world.server.account.clock.now()
        return Snapshot(now, now, True, None, tuple(reversed(self.records)), None)

    def make_pass(self, **options: object) -> None:
        began = self.world.server.account.clock.now()
        self.records.append(passed(self.world.make_pass(**options), began))
        self.metrics.count(self.records[-1])

    def samples(self) -> Samples:
        return samples(self.metrics.exposition().decode())


@pytest.fixture
def scraped(world: World) -> Scraped:
    world.keys = (managed(), replace(managed(), name="Reporting", path="apimall/reporting"))
    return Scraped(world)


def test_what_was_done_is_counted(scraped: Scraped) -> None:
    assert scraped.samples()["rotations_total", "done", "due"] == 0, "there from the start"
    scraped.make_pass()
    scraped.world.advance(7)
    scraped.make_pass()
    scraped.world.advance(1)
    scraped.world.server.faults.add(Fault("DELETE /keys/2", Status(404)))
    scraped.make_pass()
    seen = scraped.samples()
    assert seen["rotations_total", "done", "missing"] == 2
    assert seen["rotations_total", "done", "due"] == 2
    assert sum(value for (name, *_), value in seen.items() if name == "rotations_total") == 4
    assert seen["revocations_total", "done", "superseded"] == 1
    assert seen["revocations_total", "failed", "superseded"] == 1
    assert sum(value for (name, *_), value in seen.items() if name == "revocations_total") == 2
    failed = next(key for key in scraped.world.log[-1].keys if key.failed)
    assert seen["key_overdue_revocations", failed.key.name] == 1
    assert seen["key_superseded", failed.key.name] == 1
    scraped.make_pass()
    seen = scraped.samples()
    assert seen["key_overdue_revocations", failed.key.name] == 0
    assert seen["revocations_total", "done", "superseded"] == 2


def test_requests_are_counted_as_the_gateway_saw_them(scraped: Scraped) -> None:
    scraped.world.server.faults.add(Fault("GET /keys", Cut()), Fault("POST /keys", Status(429), times=2))
    scraped.make_pass()
    scraped.world.advance(7)
    scraped.make_pass()
    seen = scraped.samples()
    counted = {key[1:]: value for key, value in seen.items() if key[0] == "requests_total"}
    log = Counter(
        (line.method, "gateway", str(line.status or "none")) for line in scraped.world.server.requests
    )
    assert counted == dict(log)
    assert seen["request_duration_seconds_count", "gateway"] == sum(log.values())
    assert log["GET", "gateway", "none"] == 1
    assert log["POST", "gateway", "429"] == 2


def test_ages_and_what_is_left(scraped: Scraped) -> None:
    scraped.make_pass()
    scraped.world.advance(2)
    scraped.make_pass()
    seen = scraped.samples()
    assert seen["key_age_seconds", "Backend"] == pytest.approx(2 * 86_400)
    assert seen["key_until_rotation_seconds", "Backend"] == pytest.approx(5 * 86_400)
    scraped.world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=1))
    scraped.make_pass(forced=True)
    scraped.make_pass()
    seen = scraped.samples()
    assert sum(seen["key_orphans", name] for name in ("Backend", "Reporting")) == 1
    assert seen["key_superseded", "Backend"] == 1


def test_a_late_rotation_is_negative_and_an_unknown_one_is_not_told() -> None:
    metrics = Metrics()
    seen = of_each_state(8)
    metrics.follow(lambda: seen)
    told = samples(metrics.exposition().decode())
    assert told["key_until_rotation_seconds", "Reporting"] == pytest.approx(-0.2 * 86_400 - 240)
    assert ("key_age_seconds", "Mail") not in told


def test_the_last_converged_pass_and_the_tokens_end(scraped: Scraped) -> None:
    assert ("last_converged_timestamp_seconds",) not in scraped.samples()
    scraped.make_pass()
    converged = scraped.records[-1].ended.timestamp()
    assert scraped.samples()["last_converged_timestamp_seconds",] == converged
    scraped.metrics.count(passed(None, datetime.now(UTC), Rejected("Vault is sealed")))
    assert scraped.samples()["last_converged_timestamp_seconds",] == converged
    assert ("vault_token_expiry_timestamp_seconds",) not in scraped.samples()
    scraped.metrics.token_expires(lambda: timedelta(hours=1))
    ends = scraped.samples()["vault_token_expiry_timestamp_seconds",]
    assert ends == pytest.approx(datetime.now(UTC).timestamp() + 3600, abs=60)
    scraped.metrics.token_expires(_refused)
    assert scraped.samples()["vault_token_expiry_timestamp_seconds",] == ends, "as far as is known"
    scraped.metrics.token_expires(lambda: None)
    assert ("vault_token_expiry_timestamp_seconds",) not in scraped.samples()


def _refused() -> timedelta | None:
    raise Rejected("GET /v1/auth/token/lookup-self: 403")


def test_names_and_units_are_as_prometheus_wants_them_and_no_run_sees_another(scraped: Scraped) -> None:
    scraped.make_pass()
    scraped.metrics.token_expires(lambda: timedelta(hours=1))
    text = scraped.metrics.exposition().decode()
    for family in text_string_to_metric_families(text):
        assert family.name.startswith("rotator_")
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        assert ("_seconds" in family.name) == any(
            word in family.name for word in ("age", "until", "duration", "timestamp")
        )
        labels = {label for sample in family.samples for label in sample.labels}
        about = {"version", "account", "gateway", "vault", "mount", "installation"}
        build = family.name == "rotator_build_info"
        assert labels <= (
            about if build else {"key", "outcome", "reason", "server", "method", "status", "le"}
        )
    secrets = [key.plaintext for key in scraped.world.server.account.keys]
    assert leaks(text, secrets) == []
    assert not [word for word in ("sk-", "[20", "...") if word in text]
    assert samples(Metrics().exposition().decode())["rotations_total", "done", "missing"] == 0


class TestTextfile:
    def test_it_is_written_whole_and_readable_for_others(self, tmp_path: Path) -> None:
        metrics, path = Metrics(), tmp_path / "rotator.prom"
        seen = of_each_state(8)
        metrics.follow(lambda: seen)
        metrics.write_textfile(str(path))
        metrics.write_textfile(str(path))
        assert path.read_bytes() == metrics.exposition()
        assert list(tmp_path.iterdir()) == [path]

    def test_the_last_converged_pass_outlives_one_that_failed(self, tmp_path: Path) -> None:
        path = tmp_path / "rotator.prom"
        well, failed = Metrics(), Metrics()
        well.count(of_each_state(8).passes[1])
        well.write_textfile(str(path))
        failed.count(passed(None, datetime.now(UTC), Rejected("Vault is sealed")))
        failed.write_textfile(str(path))
        ended = of_each_state(8).passes[1].ended.timestamp()
        assert samples(path.read_text())["last_converged_timestamp_seconds",] == ended

    @pytest.mark.parametrize(
        "content", ["", "nonsense {", "rotator_last_converged_timestamp_seconds\n", "\xff"]
    )
    def test_what_was_in_the_file_does_not_matter(self, tmp_path: Path, content: str) -> None:
        path = tmp_path / "rotator.prom"
        path.write_text(content, "latin-1")
        Metrics().write_textfile(str(path))
        assert ("last_converged_timestamp_seconds",) not in samples(path.read_text())

    def test_a_directory_that_is_not_there(self, tmp_path: Path) -> None:
        with pytest.raises(
            UnpublishedError, match=r"metrics\.textfile .*none/rotator\.prom: No such file"
        ) as raised:
            Metrics().write_textfile(str(tmp_path / "none" / "rotator.prom"))
        assert raised.value.cure


def saying(raw: bytes) -> Answering:
    """Answer what is no HTTP, or more of it than anybody reads."""

    def how(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(raw)

    return how


class TestPush:
    def test_it_adds_to_what_is_there(self) -> None:
        got: list[tuple[str, str, bytes]] = []

        def gateway(handler: BaseHTTPRequestHandler) -> None:
            got.append((handler.command, handler.path, handler.rfile.read()))
            reply(202, raw=b"")(handler)

        metrics = Metrics()
        with serving(gateway) as url:
            metrics.push(url, "rotator")
            metrics.push(url, "rotator", Shard(1, 4))
        assert got == [
            ("POST", "/metrics/job/rotator", metrics.exposition()),
            ("POST", "/metrics/job/rotator/shard/1", metrics.exposition()),
        ]

    @pytest.mark.parametrize(
        ("how", "said"),
        [
            (reply(500), "it answered 500"),
            (reply(400, {"error": "no"}), "it answered 400"),
            (cut, "RemoteProtocolError"),
            (saying(b"220 mail.example.com ESMTP\r\n"), "RemoteProtocolError"),
            (saying(b"HTTP/1.1 200 OK\r\nA: " + b"a" * 200_000 + b"\r\n\r\n"), "RemoteProtocolError"),
        ],
    )
    def test_what_fails_has_a_name(self, how: object, said: str) -> None:
        with serving(how) as url, pytest.raises(UnpublishedError, match=said) as raised:  # type: ignore[arg-type]
            Metrics().push(url, "rotator")
        assert raised.value.cure

    def test_a_redirect_is_a_failure_though_the_page_behind_it_answers(self) -> None:
        """Such as that of a login: what was pushed never got there."""

        def gateway(handler: BaseHTTPRequestHandler) -> None:
            handler.send_response(302 if handler.command == "POST" else 200)
            handler.send_header("Location", "/login")
            handler.send_header("Content-Length", "0")
            handler.end_headers()

        with serving(gateway) as url, pytest.raises(UnpublishedError, match="it answered 302"):
            Metrics().push(url, "rotator")

    def test_it_is_bounded_in_time(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            url = f"http://127.0.0.1:{silent.getsockname()[1]}"
            with pytest.raises(UnpublishedError, match=r"within 0\.2 s|ReadTimeout"):
                Metrics().push(url, "rotator", timeout=0.2)

    def test_plain_http_goes_through_no_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """As docs/network.md says; a proxy that is named for somebody else would get the metrics, or lose them."""
        with serving(reply(502)) as proxy, serving(reply(202, raw=b"")) as url:
            for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "all_proxy"):
                monkeypatch.setenv(name, proxy)
            monkeypatch.delenv("no_proxy", raising=False)
            Metrics().push(url, "rotator")

    def test_nobody_there(self) -> None:
        with serving(cut) as url:
            pass
        with pytest.raises(UnpublishedError, match="Connection refused"):
            Metrics().push(url, "rotator")


class TestOnePass:
    """The program as a CronJob runs it, with a real Vault-API server."""

    @pytest.fixture
    def rotator(self, rotator: Program, tmp_path: Path) -> Program:
        rotator.config["metrics"] = {"textfile": str(tmp_path / "rotator.prom")}
        return rotator

    def test_once_and_once_more_when_it_fails(
        self, rotator: Program, gateway: GatewayServer, tmp_path: Path
    ) -> None:
        assert rotator.run("--once", "--log-level", "critical").code == 0
        text = (tmp_path / "rotator.prom").read_text()
        seen = samples(text)
        log = Counter((line.method, "gateway", str(line.status)) for line in gateway.requests)
        assert {
            key[1:]: value for key, value in seen.items() if key[0] == "requests_total" and "gateway" in key
        } == log
        assert seen["requests_total", "POST", "vault", "200"] >= 2
        assert seen["rotations_total", "done", "missing"] == 2
        assert seen["key_age_seconds", "Reporting"] < 60
        assert seen["last_converged_timestamp_seconds",] > 0
        secrets = [*(key.plaintext for key in gateway.account.keys), rotator.environ["VAULT_TOKEN"]]
        assert leaks(text, secrets) == []
        gateway.faults.add(Fault("GET /keys", Status(403), times=ALWAYS))
        assert rotator.run("--once").code == 3
        failed = samples((tmp_path / "rotator.prom").read_text())
        assert failed["requests_total", "GET", "gateway", "403"] == 2  # one refusal is asked again
        converged = ("last_converged_timestamp_seconds",)
        assert failed[converged] == seen[converged]

    def test_no_pass_fails_for_its_metrics(self, rotator: Program, tmp_path: Path) -> None:
        rotator.config["metrics"] = {
            "textfile": str(tmp_path / "none" / "a.prom"),
            "pushgateway": "http://127.0.0.1:1",
        }
        done = rotator.run("--once")
        assert done.code == 0
        unpublished = [event for event in done.events if event["event"] == "metrics.unpublished"]
        assert [event["error"].partition(":")[0] for event in unpublished] == [
            f"metrics.textfile {tmp_path}/none/a.prom",
            "metrics.pushgateway",
        ]

    def test_a_dry_run_leaves_none(self, rotator: Program, tmp_path: Path) -> None:
        assert rotator.run("--dry-run").code == 0
        assert not (tmp_path / "rotator.prom").exists()
