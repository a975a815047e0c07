"""docs/operations.md: the messages and the events that it says to look for are the program's."""

import re

import pytest

from tests.program import ROOT

TEXT = (ROOT / "docs/operations.md").read_text()
SOURCE = "\n".join(path.read_text() for path in (ROOT / "rotator").glob("**/*.py"))
OF_NO_SOURCE = re.compile(r"GET |DELETE |…/v1/|Connection refused")
"""What is put together from an answer, and what the system says."""


def _shown() -> list[str]:
    """What opens a row of the table of messages, or a point of the runbook."""
    rows = re.findall(
        r"^\| (`[^|]*`) \|", TEXT.partition("| the message |")[2].partition("## Alerts")[0], re.M
    )
    points = re.findall(r"^- (`[^:]*`)", TEXT.partition("## Alerts")[2], re.M)
    return [text for opening in rows + points for text in re.findall(r"`([^`]+)`", opening)]


@pytest.mark.parametrize("text", [text for text in _shown() if not OF_NO_SOURCE.match(text)])
def test_what_to_look_for_is_what_the_program_says(text: str) -> None:
    assert all(re.search(rf"\b{re.escape(part.strip())}\b", SOURCE) for part in text.split("…"))


def test_they_were_found() -> None:
    assert len(_shown()) > 12
