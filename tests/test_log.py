import base64
import json
import logging
import sys
import threading
import warnings

import pytest
import structlog

from rotator.printing import log as rotator_log
from rotator.printing.log import Format
from rotator.redaction import MARK, Secret
from tests.logs import captured
from tests.world import World

KEY = "sk-fedcba9876543210fedcba9876543210fedcba9876543210"
log = structlog.get_logger("rotator.tests")  # what others log is a library's


@pytest.fixture(autouse=True)
def _known() -> None:
    Secret(KEY)


def test_a_line_is_one_json_object_with_the_common_fields_first() -> None:
    with captured() as out, structlog.contextvars.bound_contextvars(run_id="r1", key="Backend"):
        log.info("gateway.request", status=200, request_id="req_1", nothing=None)
    line = json.loads(out.getvalue())
    assert list(line)[:3] == ["timestamp", "level", "event"]
    assert line["timestamp"].endswith("Z")
    del line["timestamp"]
    assert line == {
        "level": "info",
        "event": "gateway.request",
        "status": 200,
        "request_id": "req_1",
        "run_id": "r1",
        "key": "Backend",
    }


@pytest.mark.parametrize(
    "name", ["httpx", "httpcore", "hvac", "urllib3.connectionpool", "apscheduler.scheduler", "waitress"]
)
@pytest.mark.parametrize("format_", ["json", "console"])
def test_what_libraries_log_goes_the_same_way(name: str, format_: Format) -> None:
    with captured(format_, "debug") as out:
        logging.getLogger(name).debug("sent %s", {"Authorization": f"Bearer {KEY}"})
        logging.getLogger(name).warning(KEY, extra={"token": KEY})
    assert KEY[5:20] not in out.getvalue()
    assert out.getvalue().count(MARK) == 2
    assert "sent" not in out.getvalue(), "they print headers at debug"


@pytest.mark.parametrize("name", ["httpx", "waitress", "a.library.of.tomorrow"])
def test_libraries_keep_quiet_unless_asked(name: str) -> None:
    with captured() as out:
        logging.getLogger(name).info("Client disconnected while serving /a/path/of/theirs")
    assert out.getvalue() == ""


@pytest.mark.parametrize("format_", ["json", "console"])
def test_a_traceback_is_redacted_and_shows_no_variables(format_: Format) -> None:
    local_variable = "a local value that nobody asked for"

    def fail(key: str) -> None:
        raise ValueError(f"cannot use {key}")

    with captured(format_) as out:
        try:
            fail(KEY)
        except ValueError as error:
            log.error("unexpected", exc_info=True)
            log.error("unexpected", exc_info=error)
    assert out.getvalue().count(f"ValueError: cannot use {MARK}") == 2
    assert KEY[5:20] not in out.getvalue()
    assert local_variable not in out.getvalue()


@pytest.mark.parametrize(
    "value", [KEY, KEY[4:24], base64.b64encode(KEY.encode()).decode(), Secret(KEY), {"k": [KEY]}]
)
def test_no_form_of_a_secret_is_logged(value: object) -> None:
    with captured() as out:
        log.info("event", value=value, **{KEY: 1})
    assert KEY[4:24] not in out.getvalue()
    assert base64.b64encode(KEY.encode()).decode()[10:40] not in out.getvalue()


def test_what_nobody_caught_is_logged_and_redacted() -> None:
    with captured() as out:
        try:
            raise RuntimeError(KEY)
        except RuntimeError as error:
            sys.excepthook(RuntimeError, error, error.__traceback__)

        def fail() -> None:
            raise RuntimeError(KEY)

        thread = threading.Thread(target=fail)
        thread.start()
        thread.join()
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn(KEY, stacklevel=1)
    events = [json.loads(line)["event"] for line in out.getvalue().splitlines()]
    assert events[:2] == ["uncaught", "uncaught"]
    assert len(events) == 3
    assert KEY[5:20] not in out.getvalue()


def test_a_failed_log_call_does_not_print_its_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    with captured():
        logging.getLogger("httpx").warning("%d", KEY)
    assert capsys.readouterr() == ("", "")


def test_levels() -> None:
    with captured(level="warning") as out:
        log.info("quiet")
        log.warning("loud")
    assert [json.loads(line)["event"] for line in out.getvalue().splitlines()] == ["loud"]


def test_stderr_is_looked_up_at_each_line(capsys: pytest.CaptureFixture[str]) -> None:
    with captured():
        rotator_log.configure("console", "info")
        log.info("to stderr")
    assert "to stderr" in capsys.readouterr().err


def test_every_gateway_call_logs_its_request_id(world: World) -> None:
    with captured() as out:
        world.make_pass()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    logged = [line["request_id"] for line in lines if line["event"] == "gateway.request"]
    assert logged == [line.request_id for line in world.server.requests]
    assert len({line["run_id"] for line in lines}) == 1
    assert {line["key"] for line in lines if line["event"].startswith("rotation.")} == {"Backend"}
    assert world.secret()["api_key"] not in out.getvalue()
