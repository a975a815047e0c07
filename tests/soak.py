"""Months in minutes: the long-running mode against the sandbox's gateway and a real Vault, under light faults.

`make soak` runs it. It ends with an error if a promise was broken or if anything was lost, and tells what the
process needed at the start and at the end.
"""

import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from rotator.printing import log
from rotator.sandbox.faults import Action, Cut, Delay, Fault, Phase, Status
from rotator.sandbox.vault import VaultServer
from tests.facts import managed
from tests.stage import Stage, staged

SECONDS = int(os.environ.get("SOAK_SECONDS", "180"))
KEYS = 20
HOURS_A_PASS = 12
LIGHT: list[tuple[str, Action, Phase]] = [
    ("POST /keys", Status(500), Phase.AFTER),
    ("POST /keys", Cut(), Phase.AFTER),
    ("POST /keys", Status(429, retry_after="1"), Phase.BEFORE),
    ("GET /keys", Status(503), Phase.BEFORE),
    ("GET /account/balances", Status(401), Phase.BEFORE),
    ("DELETE /keys/*", Status(500), Phase.AFTER),
    ("* *", Delay(0.2), Phase.BEFORE),
]
LIGHT_OF_VAULT: list[tuple[str, Action, Phase]] = [
    ("POST */data/*", Status(503), Phase.BEFORE),
    ("POST */data/*", Cut(), Phase.AFTER),
    ("GET */data/*", Status(500), Phase.BEFORE),
]


@dataclass(frozen=True)
class Needs:
    """What a process needs, as Linux counts it."""

    resident_kib: int
    threads: int
    files: int
    cpu_seconds: float

    @classmethod
    def of(cls, pid: int) -> "Needs":
        at = Path(f"/proc/{pid}")
        status = dict(line.split(":", 1) for line in (at / "status").read_text().splitlines())
        fields = (at / "stat").read_text().rpartition(") ")[2].split()
        ticks = os.sysconf("SC_CLK_TCK")
        return cls(
            int(status["VmRSS"].split()[0]),
            int(status["Threads"]),
            len(list((at / "fd").iterdir())),
            (int(fields[11]) + int(fields[12])) / ticks,
        )


def main() -> None:
    log.configure("json", "error")  # of the passes that are made in this process
    chance = random.Random(1)
    with tempfile.TemporaryDirectory() as directory, VaultServer() as vault:
        with staged(vault, Path(directory) / "stage") as stage:
            world = stage.world
            world.keys = tuple(
                replace(managed(), name=f"Key {number}", path=f"apimall/{number}") for number in range(KEYS)
            )
            config = stage.configure(schedule={"every": "1s", "jitter": "0s"})
            with (stage.directory / "stderr").open("wb") as stderr:
                process = subprocess.Popen(
                    [sys.executable, "-m", "rotator", "--config", str(config), "run"],
                    env=stage.environ,
                    stderr=stderr,
                )
            try:
                stage.until(lambda: stage.logged("reconcile.finished") >= 3)
                first = Needs.of(process.pid)
                faults = _play(stage, chance)
                last = Needs.of(process.pid)
            finally:
                process.send_signal(signal.SIGTERM)
                process.wait(60)
            assert process.returncode == 0
            stage.promises.hold()
            for days in (1, 7, 1):  # what is superseded goes; all are due; what they superseded goes
                world.advance(days, minutes=1)
                world.make_pass()
                stage.promises.hold()
            stage.promises.converged()
            ledger = world.server.account.keys
            print(f"simulated days     {(world.server.account.clock.now() - ledger[0].created_at).days}")
            print(f"passes             {stage.logged('reconcile.finished')}")
            print(f"rotations          {stage.logged('rotation.stored')}")
            print(f"revocations        {stage.logged('key.revoked')}")
            made = {key.plaintext for key in ledger} - {world.server.account.bootstrap.plaintext}
            published = made & stage.promises.published
            print(f"keys made          {len(made)}, of them revoked unpublished {len(made - published)}")
            print(f"faults             {sum(faults.values())}: {dict(faults)}")
            print(f"at the start       {first}")
            print(f"at the end         {last}")


def _play(stage: Stage, chance: random.Random) -> Counter[str]:
    """Let time pass, and things go wrong now and then."""
    done: Counter[str] = Counter()
    until = time.monotonic() + SECONDS
    while time.monotonic() < until:
        passes = stage.logged("reconcile.finished")
        stage.world.advance(HOURS_A_PASS / 24)
        if chance.random() < 0.5:
            on_vault = chance.random() < 0.4
            on, action, phase = chance.choice(LIGHT_OF_VAULT if on_vault else LIGHT)
            side = stage.proxy.faults if on_vault else stage.world.server.faults
            side.add(Fault(on, action, at=phase))
            done[on] += 1
        # The second to end from now on began with the clock as it is.
        stage.until(lambda passes=passes: stage.logged("reconcile.finished") > passes + 1)  # type: ignore[misc]
    stage.proxy.faults.clear()
    stage.world.server.faults.clear()
    return done


if __name__ == "__main__":
    main()
