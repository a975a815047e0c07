"""What `rotator keys` shows: every key of the account, those first that need attention."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from rotator.passes.observe import Observation
from rotator.redaction import words
from rotator.rules.times import count, format_time, short
from rotator.rules.whose import Owned, Whose
from rotator.show.about import About
from rotator.show.account_key import in_short, key_to_json, where
from rotator.show.console import Rows, captured


@dataclass(frozen=True)
class KeyList:
    """Every key of an account, as it was seen."""

    keys: tuple[Owned, ...]
    seen: Observation
    about: About

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator keys --json`."""
        return {
            "about": self.about.to_json(self.seen.installation),
            "now": format_time(self.seen.now),
            "gateway_now": format_time(self.seen.now),
            "keys": [key_to_json(key, self.seen.now) for key in self.keys],
            "unread": list(self.seen.failed),
        }


def render(listed: KeyList, console: Console) -> str:
    """Return what is printed, redacted."""

    def parts() -> Iterator[Rows | Text]:
        for line in listed.about.lines(listed.seen.installation):
            yield Text(line, style="dim")
        for name in listed.seen.failed:
            yield Text(f"! {name}: its secret could not be read; any key may stand in it", style="yellow")
        # A key that programs use is shown even where it is dead.
        shown = [key for key in listed.keys if key.live or key.whose is Whose.CURRENT]
        yield _table(shown, listed)
        yield Text("")
        counts = Counter(key.whose for key in shown)
        text = f"{count(len(shown), 'key')}: " + ", ".join(f"{n} {whose}" for whose, n in counts.items())
        dead = len(listed.keys) - len(shown)
        yield Text(f"{text}; {dead} revoked, which --json has, too" if dead else text, style="bold")
        yield Text("to revoke one that is of no managed key: `rotator prune --id ID`")

    return captured(console, parts())


def _table(keys: list[Owned], listed: KeyList) -> Rows:
    now = listed.seen.now
    headings = ("id", "title", "whose", "secret", "status", "age", "goes")
    cells = [
        (
            str(owned.id),
            words(owned.key.title),
            f"{owned.whose}{', bearer' if owned.bearer else ''}",
            where(owned.managed) or "-",
            words(owned.key.status),
            short(max(now - owned.key.created_at, now - now)),
            in_short(owned, now),
        )
        for owned in keys
        if owned.key
    ]
    return Rows(cells, headings, right=frozenset({0, 5}))
