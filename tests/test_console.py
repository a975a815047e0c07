"""What is printed for a person is printed as it is."""

from rich.text import Text

from rotator.show.console import captured, console_for_stdout, folded, plain_table


def test_no_text_becomes_a_picture_or_a_style() -> None:
    text = "GET /v1/:key:/x: 403 [bold]:warning:[/bold]"
    table = plain_table()
    table.add_column("")
    table.add_row(text)
    shown = captured(console_for_stdout(), [Text(text), table, folded([text])])
    assert [line for line in shown.splitlines() if line.strip()] == [text] * 3
