"""What is printed for a person is printed as it is."""

from rich.text import Text

from rotator.show.console import Rows, captured, console_for_stdout


def test_no_text_becomes_a_picture_or_a_style() -> None:
    text = "GET /v1/:key:/x: 403 [bold]:warning:[/bold]"
    shown = captured(console_for_stdout(), [Text(text), Rows([[text]]), Rows([[text]], ["Error"])])
    assert shown.splitlines().count(text) == 3
