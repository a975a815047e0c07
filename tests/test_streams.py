"""What carries printed text to a standard stream: it waits, loses and tells, so that who prints need not."""

import os
import subprocess
import sys
from collections.abc import Iterator
from threading import Thread

import pytest

from rotator.printing.streams import Stream
from tests.pipes import drained, full_pipe

OVERFLOWING = """
import structlog, sys
from rotator.printing import log, streams
streams.take_over()
log.configure("json", "info")
for _ in range(2000):
    structlog.get_logger("rotator.tests").info("line", filler="x" * 1000)
print("done")
sys.stdin.readline()
streams.end()
"""
LIMITED = """
import os, resource, sys, time
from rotator.printing import streams
stream = streams.Stream(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT))
stream.on_recovery = lambda lines: stream.write(f"{lines} lost\\n")
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (15, hard))
for line in ("first line\\n", "second line\\n", "third line\\n"):
    stream.write(line)
stream.settle()
resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
stream.write("fourth line\\n")
stream.end()
"""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    """One that is full, and who reads it is not there yet."""
    reading, writing = full_pipe()
    yield reading, writing
    os.close(reading)


def test_to_write_does_not_wait_and_what_is_read_late_is_whole(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    stream, lines = Stream(writing), [f"line {number}\n" for number in range(1000)]
    for line in lines:
        stream.write(line)
    assert stream.behind
    assert drained(reading, lines[-1]).endswith("".join(lines))


def test_what_there_is_no_room_for_is_counted_and_told_once(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    stream, told = Stream(writing, most=100), list[int]()

    def tell(lines: int) -> None:
        told.append(lines)
        stream.write("told\n")

    stream.on_recovery = tell
    for number in range(50):
        stream.write(f"line {number}\n")
    text = drained(reading, "told\n")
    assert told == [50 - text.count("line")]
    assert 0 < told[0] < 50
    stream.write("another\n")
    assert drained(reading, "another\n") == "another\n"
    assert len(told) == 1


def test_what_is_left_at_the_end_is_counted_to_who_reads_then(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    stream = Stream(writing)

    def tell(lines: int) -> None:
        stream.write(f"{lines} lost\n")

    stream.on_recovery = tell
    for number in range(10):
        stream.write(f"line {number}\n")
    stream.end()  # which waits for a reader, but not for ever
    assert drained(reading, "lost\n").endswith("line 0\n9 lost\n")


def test_a_stream_that_takes_nothing_is_waited_for_once(pipe: tuple[int, int]) -> None:
    stream = Stream(pipe[1])
    stream.write("line\n")

    def settle() -> None:
        for _ in range(1000):
            stream.settle()

    waiting = Thread(target=settle, daemon=True)
    waiting.start()
    waiting.join(60)  # else it takes a thousand times its patience
    assert not waiting.is_alive()


def test_a_descriptor_that_does_not_block_is_waited_for(pipe: tuple[int, int]) -> None:
    reading, writing = pipe
    os.set_blocking(writing, False)
    stream = Stream(writing)
    stream.write("line\n")
    stream.settle()  # by now it was tried
    assert drained(reading, "line\n").endswith("line\n")
    assert stream.failure is None


@pytest.mark.parametrize(
    ("encoding", "expected"),
    [("ascii", b"\\xe9\\u2713"), ("latin-1", b"\xe9\\u2713"), ("utf-8", "é✓".encode())],
)
def test_what_the_encoding_lacks_is_escaped(encoding: str, expected: bytes) -> None:
    reading, writing = os.pipe()
    stream = Stream(writing, encoding)
    stream.write("é✓\udcff")  # the last is a byte of an argument that was not UTF-8
    stream.settle()
    assert stream.failure is None
    assert os.read(reading, 100) == expected + b"\\udcff"
    os.close(reading)


def test_nobody_reads_a_long_log_and_the_loss_is_logged_when_somebody_does() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OVERFLOWING],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "done\n"
        _, err = process.communicate("\n", timeout=30)
    lines = err.splitlines()
    assert process.returncode == 0
    assert '"event": "log.lost"' in lines[-1]
    assert f'"lines": {2000 - (len(lines) - 1)}}}' in lines[-1]
    assert len(lines) < 2000


def test_a_disk_that_was_full_for_a_while(tmp_path: object) -> None:
    file = f"{tmp_path}/log"
    subprocess.run([sys.executable, "-c", LIMITED, file], check=True, timeout=30)
    with open(file) as written:
        assert written.read() == "first line\nseco\nfourth line\n2 lost\n"
