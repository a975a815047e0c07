"""Nothing that a person reads is broken inside a word, and a command to copy stands alone on its line, whole."""

import re
from collections.abc import Callable, Iterator
from typing import Final

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from rotator.check import Finding, State
from rotator.check.lines import render as render_finding
from rotator.commands.root import cli
from rotator.lines import in_lines
from rotator.passes.observe import look
from rotator.rules.decide import decide
from rotator.rules.explain import explain
from rotator.show import explanation, incident, pass_table, status
from rotator.show.console import Rows, captured
from rotator.show.exposed import exposed_by
from rotator.show.status import AccountStatus
from tests.cures import GAP, collect
from tests.facts import PATH, at
from tests.shown import of_each_state
from tests.world import World

WIDTHS: Final = (40, 60, 80, 120)
HEADINGS: Final = {
    *["managed", "key", "state", "id", "age", "of", "period", "next", "rotation", "other", "keys", "(UTC)"]
}
COMMAND: Final = (
    "vault kv undelete -mount=secret -versions=3 apimall/a/path/that-is/longer/than/any-terminal/is-wide"
)
PIECES: Final = st.one_of(
    st.text(st.sampled_from("abc-/._0"), min_size=1, max_size=50),
    st.sampled_from(
        ["(request_id req_01JABCDEFGHJKMNPQRSTVWXYZ0)", f"`{COMMAND}`", "`rotator status`;", "`field`"]
    ),
)


def words(text: str) -> list[str]:
    """Its words; a command's backticks, and what stands right behind it, are the sentence's."""
    return re.sub(r"`((?:vault|rotator) [^`]*)`[.,;:]?", r"\1", text).split()


def console(width: int) -> Console:
    return Console(width=width, highlight=False, markup=False)


@given(
    st.lists(PIECES, min_size=1, max_size=30), st.integers(20, 130), st.sampled_from(["", "✗ ", "  cure: "])
)
def test_no_word_is_broken_and_no_line_is_too_wide(pieces: list[str], width: int, mark: str) -> None:
    text = mark + " ".join(pieces)
    lines = in_lines(text, width)
    assert words(" ".join(lines)) == words(text)
    assert all(lines), "no line is empty, also below a command that ends the text"
    for line in lines:
        indent = len(line) - len(line.lstrip(" "))
        whole = line.strip() in (COMMAND, "rotator status")
        assert len(line) <= width or whole or len(line[max(indent, len(mark)) :].split()) == 1 or "`" in line
    assert sum(line.strip() == COMMAND for line in lines) == pieces.count(f"`{COMMAND}`")


@given(
    st.lists(
        st.tuples(*[st.text(st.sampled_from("ab -/."), max_size=40).map(str.strip)] * 4),
        min_size=1,
        max_size=4,
    ),
    st.integers(20, 130),
)
def test_no_word_of_a_table_is_broken(cells: list[tuple[str, ...]], width: int) -> None:
    shown = captured(console(width), [Rows(cells, ("managed key", "key id", "state", "other keys"))])
    told = set(shown.replace(":", " ").split())
    assert {word for row in cells for cell in row for word in cell.split()} - {"-"} <= told
    assert max(map(len, shown.splitlines())) <= max(width, 60)


@pytest.mark.parametrize("width", WIDTHS)
def test_each_cure_is_whole(width: int) -> None:
    for cure in collect():
        text = cure.text.replace(GAP, "apimall/production-backend")
        for shown in (
            captured(console(width), [Text(f"  cure: {text}")]),
            render_finding("secrets", Finding(State.BAD, "seen", text), console(width)),
        ):
            assert [word for word in words(text) if word not in shown.split()] == []
            for command in re.findall(r"`((?:vault|rotator) [^`]*)`", text):
                assert command in [line.strip() for line in shown.splitlines()]


def outputs(world: World) -> Iterator[Callable[[Console], str]]:
    """Yield what the commands print of accounts in which much is amiss."""
    everything = of_each_state(12).latest
    assert everything
    yield lambda console: pass_table.render(everything, console)
    world.make_pass()
    world.advance(8)
    world.make_pass()
    world.memory.put(PATH, {**world.secret(), "beside": world.secret()["api_key"]})
    world.advance(9)
    with world.account() as account:
        seen, keys = look(account)
    yield lambda console: status.render(AccountStatus.of(seen, keys), console)
    observed = next(iter(seen.facts.values()))
    yield lambda console: explanation.render(explain(observed), console)
    exposed = exposed_by(observed, decide(observed), is_bearer=False)
    yield lambda console: incident.foretell([exposed], console, dry_run=True)
    failed = incident.contained(exposed, [everything], frozenset())
    told = incident.Incident(
        "https://gateway.example.com/api/v1",
        "https://vault.example.com:8200",
        None,
        at(30),
        at(30),
        (),
        (failed,),
        (),
    )
    yield lambda console: incident.render(told, console)


def test_no_output_breaks_a_word(world: World) -> None:
    for render in outputs(world):
        whole = set(render(console(1000)).replace(":", " ").split())
        for width in WIDTHS:
            narrow = render(console(width))
            assert set(narrow.replace(":", " ").split()) - whole - HEADINGS == set()
            assert [
                line for line in narrow.splitlines() if len(line) > width and not line.startswith("   ")
            ] == []


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", [None, *cli.list_commands(click.Context(cli))])
def test_help_breaks_no_word(name: str | None, width: int) -> None:
    command = cli.get_command(click.Context(cli), name) if name else cli
    assert command
    wide = command.get_help(click.Context(command, info_name="rotator", terminal_width=1000)).split()
    narrow = command.get_help(click.Context(command, info_name="rotator", terminal_width=width))
    assert narrow.split() == wide
    if width >= 60:
        assert [line for line in narrow.splitlines() if len(line) > width and " rotator " not in line] == []
