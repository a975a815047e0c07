"""What `rotator prune` shows: which keys would go, and the record of what was revoked, by whom and why."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from rotator.clients.request_log import Step
from rotator.passes.prune import Pruned, PrunePlan
from rotator.redaction import words
from rotator.rules.prune import Spared
from rotator.rules.times import age, format_time
from rotator.show.about import About
from rotator.show.account_key import whose
from rotator.show.console import captured, lines_of
from rotator.show.requests import lines_of_requests


@dataclass(frozen=True)
class Record:
    """What was revoked by a person's word. It holds no secret."""

    keys: tuple[Pruned, ...]
    about: About
    installation: str | None
    by: str
    """Who ran it, as the machine knows them."""
    reason: str | None
    """Why, in their own words."""
    began: datetime
    """By this machine's clock, as is `ended`."""
    ended: datetime
    steps: tuple[Step, ...] = ()
    """The requests that may have changed something."""
    dry_run: bool = False

    @property
    def over(self) -> bool:
        """Whether every key that was named is dead."""
        return all(key.over for key in self.keys)

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator prune --json`."""
        return {
            "over": self.over,
            "dry_run": self.dry_run,
            "about": self.about.to_json(self.installation),
            "by": self.by,
            "reason": words(self.reason) if self.reason else None,
            "began": format_time(self.began),
            "ended": format_time(self.ended),
            "keys": [key.to_json() for key in self.keys],
            "requests": [step.to_json() for step in self.steps],
        }


def foretell(plan: PrunePlan, console: Console, *, dry_run: bool) -> str:
    """Return what a person is asked to confirm, or why nothing is done."""

    def lines() -> Iterator[Text]:
        yield from _named(plan.keys, plan.sight.now, "would be" if dry_run else "will be")
        if not plan.sound:
            yield Text("nothing was changed: leave out what cannot go", style="bold red")
        elif any(key.goes for key in plan.keys):
            yield Text("Programs that use one of them fail at once, and nothing brings it back.")

    return captured(console, lines())


def _named(keys: Iterable[Pruned], now: datetime, be: str) -> Iterator[Text]:
    for key in keys:
        title = f" “{words(key.word.title)}”" if key.owned.key else ""
        made = f", {age(key.owned.key.created_at, now)}" if key.owned.key else ""
        if key.goes:
            yield Text(f"key {key.word.key_id}{title}{made}: {be} revoked", style="bold")
            yield Text(f"  {whose(key.owned)}")
        elif key.why is Spared.DEAD:
            yield Text(f"key {key.word.key_id}{title}: {key.text}")
        else:
            yield Text(f"✗ key {key.word.key_id}{title}: {key.text}", style="bold red")


def render(record: Record, console: Console) -> str:
    """Return the record for a person, redacted."""

    def lines() -> Iterator[Text]:
        times = f"{format_time(record.began)} to {format_time(record.ended)}"
        yield Text(f"record of revoked keys, {times}", style="bold")
        yield Text(f"gateway {record.about.gateway}, installation {record.installation or '-'}")
        yield Text(f"by {record.by}; reason: {words(record.reason) if record.reason else 'none was given'}")
        for key in record.keys:
            yield from _became(key)
        yield from lines_of_requests(record.steps)
        if not record.over:
            yield Text("It is not over: see ✗ and !", style="bold red")

    return captured(console, lines())


def _became(key: Pruned) -> Iterator[Text]:
    name = f"key {key.word.key_id} “{words(key.word.title)}”"
    if key.revoked and key.at:
        yield Text(f"{name}: revoked {format_time(key.at)}", style="bold")
        yield Text(f"  {whose(key.owned)}")
    elif key.error:
        yield from lines_of(name, key.error)
    elif key.why is Spared.DEAD:
        yield Text(f"{name}: {key.text}")
    else:
        yield Text(f"! {name}: not tried", style="bold red")
