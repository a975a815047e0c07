"""How fast the program is beside the bare calls, and how polite: `make bench` prints the table.

Each figure is a ratio to the same calls made bare, in the same run on the same machine: httpx and hvac on
connections that are kept, eight threads. Servers and relays are processes of their own.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import yaml
from cryptography import x509

from rotator.sandbox.vault import VaultServer
from tests.certificates import Authority
from tests.vaults import new_kv
from tests.world import loopback_only_environment

HERE = Path(__file__).parent
QUICK = bool(os.environ.get("BENCH_QUICK"))
"""Fewer keys: to see that it runs."""
IDLE = (10, 30) if QUICK else (100, 1_000, 10_000)
ROTATIONS = 12 if QUICK else 120
LIMITED = 12 if QUICK else 200
DEAD = 2 if QUICK else 20
LIMIT = 20
"""Calls a second that the gateway allows, without saying so."""
LIBRARIES = (
    "import click, cronsim, h11, httpcore, httpx, hvac, structlog, tenacity, yaml, zoneinfo; "
    "import concurrent.futures.thread; "
    "from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, FailFast, Field, TypeAdapter, "
    "ValidationError, WithJsonSchema, field_validator, model_validator; "
    "from pydantic.json_schema import SkipJsonSchema; from rich.table import Table"
)
"""What an idle pass really uses of others: the names that it imports."""


@dataclass
class Ran:
    """A process that has ended."""

    seconds: float
    cpu: float
    """Seconds."""
    peak: int
    """MiB."""
    code: int
    out: str
    err: str = field(repr=False)

    def requests(self) -> list[dict[str, Any]]:
        lines = (json.loads(line) for line in self.err.splitlines() if line.startswith("{"))
        return [line for line in lines if line["event"].endswith(".request")]


@dataclass
class Bench:
    gateway: str
    """The API's base URL."""
    control: str
    vault: VaultServer
    directory: Path
    environ: dict[str, str]
    rows: list[tuple[str, str]] = field(default_factory=list)

    def tell(self, what: str, figure: str) -> None:
        self.rows.append((what, figure))
        print(f"{what:<58} {figure}", flush=True)

    def steer(self, path: str, body: Mapping[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        request = Request(f"{self.control}/{path}", json.dumps(body).encode(), headers)
        with urlopen(request) as answer:
            return json.load(answer)

    def config(self, name: str, keys: int, **more: Any) -> Path:
        """Write a config of so many keys, in a mount of its own."""
        config: dict[str, Any] = {
            "gateway": {"url": self.gateway, "api_key": {"env": "APIMALL_API_KEY"}},
            "vault": {"address": self.vault.address, "mount": new_kv(self.vault)},
            "keys": [{"name": f"{name} {number}", "path": f"bench/{number}"} for number in range(keys)],
            "http": {"listen": None},
        }
        for block, fields in more.items():
            config[block] = {**config.get(block, {}), **fields}
        path = self.directory / f"{name}.yaml"
        path.write_text(yaml.safe_dump(config))
        return path

    def start(self, *arguments: str) -> "Callable[[], Ran]":
        """Start `python …`; return what waits for it."""
        began = time.monotonic()
        out, err = (tempfile.TemporaryFile("w+") for _ in range(2))  # noqa: SIM115 - closed by `wait`
        process = subprocess.Popen([sys.executable, *arguments], env=self.environ, stdout=out, stderr=err)

        def wait() -> Ran:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            seconds = time.monotonic() - began
            out.seek(0), err.seek(0)
            with out, err:
                cpu = usage.ru_utime + usage.ru_stime
                return Ran(seconds, cpu, usage.ru_maxrss // 1024, process.returncode, out.read(), err.read())

        return wait

    def rotator(self, config: Path, *arguments: str) -> Ran:
        return self.start("-m", "rotator", "--config", str(config), *arguments)()

    def bare(self, what: str, config: Path, *arguments: object) -> Ran:
        ran = self.start(str(HERE / "bench_bare.py"), what, str(config), *map(str, arguments))()
        assert ran.code == 0, ran.err
        return ran


def starting(bench: Bench) -> None:
    config = bench.config("start", 1)
    bench.rotator(config, "--once")
    bare = min(bench.start("-c", LIBRARIES)().cpu for _ in range(5))
    idle = min(bench.rotator(config, "--once").cpu for _ in range(5))
    shown = min(bench.rotator(config, "--help").cpu for _ in range(5))
    bench.tell("idle --once of one key, to importing its libraries (CPU)", f"{idle / bare:.2f} ×")
    bench.tell("--help, to the same", f"{shown / bare:.2f} ×")


def idling(bench: Bench) -> None:
    for keys in IDLE:
        config = bench.config(f"idle{keys}", keys)
        bench.rotator(config, "--once")
        ran = [(bench.rotator(config, "--once"), bench.bare("read", config)) for _ in range(3)]
        ours, bare = (min(each, key=lambda one: one.seconds) for each in zip(*ran, strict=True))
        assert ours.code == 0, ours.out
        bench.tell(
            f"idle, {keys:,} keys, to reading them with hvac: time, CPU",
            f"{ours.seconds / bare.seconds:.2f} ×, {ours.cpu / bare.cpu:.2f} ×",
        )
        bench.tell(
            f"idle, {keys:,} keys: memory, lines of log", f"{ours.peak} MiB, {ours.err.count(chr(10))}"
        )


def rotating(bench: Bench) -> None:
    with ExitStack() as stack:
        authority = Authority(bench.directory)
        certificate = authority.issue("127.0.0.1", x509.IPAddress(ip_address("127.0.0.1")))
        far = [
            stack.enter_context(relay(bench, url, *certificate))
            for url in (bench.gateway, bench.vault.address)
        ]
        bench.environ["SSL_CERT_FILE"] = str(authority.cert)
        for where, blocks in (
            ("loopback", {}),
            (
                "TLS, 40 ms round trip",
                {"gateway": {"url": far[0].url}, "vault": {"address": far[1].url}},
            ),
        ):
            config = bench.config(f"rotate-{len(where)}", ROTATIONS, **blocks)
            for one in far:
                one.connections()
            ours = bench.rotator(config, "--once", "--log-level", "debug")
            assert ours.code == 0, ours.out + ours.err[-2000:]
            used = [one.connections() for one in far]
            calls = json.dumps([(line["event"], line["method"]) for line in ours.requests()])
            plan = bench.directory / "calls.json"
            plan.write_text(calls)
            bare = bench.bare("calls", config, plan)
            script = bench.bare("script", config, ROTATIONS)
            bench.tell(
                f"{ROTATIONS} rotations, {where}: to the same calls, bare",
                f"{ours.seconds / bare.seconds:.2f} ×",
            )
            bench.tell(
                f"{ROTATIONS} rotations, {where}: to a user's script, in turn",
                f"{ours.seconds / script.seconds:.2f} ×",
            )
            if blocks:
                bench.tell(f"{ROTATIONS} rotations, {where}: connections", f"{used[0]} + {used[1]}")
        del bench.environ["SSL_CERT_FILE"]


def limited(bench: Bench) -> None:
    for processes in (1, 4, 8):
        path = bench.config(f"limit{processes}", LIMITED)
        shards = [("--shard", f"{index}/{processes}") for index in range(processes)]
        bench.rotator(path, "--once", "--key", f"limit{processes} 0")  # the identity is there
        bench.steer("quirks", {"rate_limit": {"requests": LIMIT, "window": "1s", "retry_after": "seconds"}})
        waits = [bench.start("-m", "rotator", "--config", str(path), "--once", *shard) for shard in shards]
        ran = [wait() for wait in waits]
        bench.steer("quirks", {"rate_limit": None})
        calls = [line for one in ran for line in one.requests() if line["event"] == "gateway.request"]
        refused = sum(line["status"] == 429 for line in calls)
        first = min(one.seconds for one in ran)
        used = (len(calls) - refused) / (max(one.seconds for one in ran) * LIMIT)
        failed = sum(one.code != 0 for one in ran)
        bench.tell(
            f"{LIMIT}/s unknown, {processes} processes, {LIMITED} keys: used, refused, failed",
            f"{used:.0%}, {refused / len(calls):.0%}, {failed} (first done after {first:.0f} s)",
        )


def dying(bench: Bench) -> None:
    config = bench.config("dead", 1)
    bench.rotator(config, "--once")
    took = []
    for _ in range(DEAD):
        status = json.loads(bench.rotator(config, "status", "--json").out)
        key_id = status["keys"][0]["key_id"]
        bench.steer(f"keys/{key_id}/revoke", {})
        ran = bench.rotator(config, "--once")
        assert ran.code == 0, ran.out
        took.append(ran.seconds)
    bench.tell(
        f"a dead key is replaced, {DEAD} times: median, worst",
        f"{statistics.median(took):.2f} s, {max(took):.2f} s",
    )


@dataclass
class Relay:
    url: str
    accepted: Path
    """A byte for each connection."""

    def connections(self) -> int:
        """Return how many there were since this was asked last."""
        seen = self.accepted.stat().st_size
        self.accepted.write_bytes(b"")
        return seen


@contextmanager
def relay(bench: Bench, url: str, certificate: Path, key: Path) -> Iterator[Relay]:
    """Speak TLS before `url`, 20 ms away."""
    accepted = bench.directory / f"accepted-{urlsplit(url).port}"
    accepted.write_bytes(b"")
    with served("bench_relay.py", url, str(certificate), str(key), str(accepted)) as port:
        yield Relay(urlsplit(url)._replace(scheme="https", netloc=f"127.0.0.1:{port}").geturl(), accepted)


@contextmanager
def served(script: str, *arguments: str) -> Iterator[str]:
    """Run a server; yield the first line that it prints."""
    command = [sys.executable, str(HERE / script), *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        try:
            yield process.stdout.readline().strip()
        finally:
            process.kill()


def main() -> None:
    with (
        tempfile.TemporaryDirectory() as directory,
        VaultServer() as vault,
        served("bench_gateway.py") as line,
    ):
        gateway = json.loads(line)
        environ = {
            **loopback_only_environment(),
            "HOME": directory,
            "PYTHONPYCACHEPREFIX": f"{directory}/compiled",  # as pip compiles what it installs
            "PYTHONPATH": str(HERE.parent),
            "APIMALL_API_KEY": gateway["bearer"],
            "VAULT_TOKEN": vault.token.reveal(),
        }
        environ.pop("PYTHONDONTWRITEBYTECODE", None)
        bench = Bench(gateway["url"], gateway["control"], vault, Path(directory), environ)
        bench.rotator(bench.config("warm", 1), "--once")  # what is compiled is compiled now
        bench.start("-c", LIBRARIES)()
        wanted = sys.argv[1:] or list(PARTS)
        for name in wanted:
            PARTS[name](bench)
        print("\n| what | figure |\n|---|---|")
        for what, figure in bench.rows:
            print(f"| {what} | {figure} |")


PARTS: Mapping[str, Callable[[Bench], None]] = {
    "starting": starting,
    "rotating": rotating,
    "dying": dying,
    "limited": limited,
    "idling": idling,  # last: the account's list is long then
}

if __name__ == "__main__":
    main()
