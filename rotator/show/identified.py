"""What `rotator identify` says of a string: which key it is, whether it works, what to do. It never repeats it."""

from collections.abc import Iterator
from typing import Any, Final

from rich.console import Console
from rich.text import Text

from rotator.redaction import words
from rotator.rules.given import Form
from rotator.rules.identify import Identified, Verdict
from rotator.rules.owner import NOBODY
from rotator.rules.times import age, format_time
from rotator.rules.whose import MANAGED, Owned, Whose
from rotator.show.account_key import goes, key_to_json, where, whose
from rotator.show.console import captured, lines_of

_STYLE: Final = {Verdict.ALIVE: "bold red", Verdict.DEAD: "bold", Verdict.UNKNOWN: "bold yellow"}
_SAYS: Final = {
    Verdict.ALIVE: "it is alive: whoever has it can use it",
    Verdict.DEAD: "it is dead: there is nothing to do",
    Verdict.UNKNOWN: "it is not known to be dead",
}


def identified_to_json(found: Identified) -> dict[str, Any]:
    """The shape of `rotator identify --json`."""
    return {
        "given": found.form,
        "verdict": found.verdict,
        "works": found.works,
        "request_id": found.request_id,
        "error": found.untold.to_json() if found.untold else None,
        "now": format_time(found.now),
        "gateway_now": format_time(found.now),
        "keys": [key_to_json(key, found.now) for key in found.keys],
        "stored": [
            {"name": one.key.name, "path": one.key.path, "version": one.version, "latest": one.latest}
            for one in found.stored
        ],
        "unread": list(found.unread),
    }


def render(found: Identified, console: Console, to_do: str = "if it has leaked") -> str:
    """Return what is printed, redacted. `to_do` leads the command that ends it; where it is empty, none is said."""
    return captured(console, _lines(found, to_do))


def _lines(found: Identified, to_do: str) -> Iterator[Text]:
    if not found.keys:
        yield Text(_stranger(found), style="bold")
    elif len(found.keys) > 1:
        yield Text(f"it may be any of these {len(found.keys)} keys", style="bold")
    for key in found.keys:
        yield from _key(key, found)
    for one in found.stored:
        at = "the latest version" if one.version == one.latest else f"version {one.version} of {one.latest}"
        yield Text(f"  stored    {one.key.path}, {at}")
    if found.works is not None:
        request = f" (request_id {found.request_id})" if found.request_id else ""
        yield Text(f"  tried     the gateway {'takes' if found.works else 'refuses'} it{request}")
    if found.untold:
        yield from lines_of("it was tried, in vain", found.untold)
    if found.unread:
        yield Text(f"! it may stand in what could not be read: {', '.join(found.unread)}", style="yellow")
        for name, why in found.unread.items():
            yield from lines_of(name, why, "run this again")
    yield Text(_SAYS[found.verdict], style=_STYLE[found.verdict])
    if to_do and not found.dead:
        yield from _what_to_do(found, to_do)


def _key(owned: Owned, found: Identified) -> Iterator[Text]:
    title = f" “{words(owned.key.title)}”" if owned.key else ""
    yield Text(f"key {owned.id}{title}", style="bold")
    yield Text(f"  whose     {whose(owned)}")
    if owned.managed:
        yield Text(f"  secret    {where(owned.managed)}")
    for owner in owned.owners.values():
        if owner != NOBODY:
            yield Text(f"  owner     {owner}")
    if owned.key is None:
        yield Text("  listed    no: the gateway's list does not show it")
        return
    yield Text(f"  listed    as {words(owned.key.status)}, {age(owned.key.created_at, found.now)}")
    yield Text(f"  goes      {goes(owned, found.now)}")


def _stranger(found: Identified) -> str:
    """What is said where no key of the account is known to be it."""
    if found.stored:
        return "a key that stood in a secret, and that the gateway's list does not show"
    if found.works:
        return (
            "a key of another account, or one that the gateway's list omits: it works, and no listed key fits"
        )
    return "no key of this account"


def _what_to_do(found: Identified, to_do: str) -> Iterator[Text]:
    if any(key.bearer and key.whose not in MANAGED for key in found.keys):
        yield Text("first put another key where gateway.api_key points: nothing revokes the bearer")
    commands = {key.id: key.command for key in found.keys if key.command}
    for id_, command in commands.items():
        which = f", if it is key {id_}" if len(found.keys) > 1 else ""
        yield Text(f"{to_do}{which}: `{command}`")
    for key in found.keys:
        if key.whose is Whose.ORPHAN and key.fate and key.fate.goes_at and key.fate.goes_at > found.now:
            yield Text(f"that revokes an orphan from {format_time(key.fate.goes_at)} on")
        if key.whose is Whose.FOREIGN and key.command:
            yield Text("better, with the config of the installation that made it: `rotator leaked`")
    if not commands:
        if found.form is Form.KEY_ID:
            yield Text("give the plaintext or a preview: the list does not know the id")
        else:
            yield Text("if it is of another account or gateway, ask with its config: `rotator identify`")
