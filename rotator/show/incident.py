"""The record of a leak that was contained: what was replaced and revoked, by which requests. It holds no secret."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from rotator.clients.request_log import Step
from rotator.errors import RotatorError
from rotator.passes.by_hand import by_hand, once
from rotator.passes.result import KeyResult, PassResult, copies_to_json
from rotator.rules.bookkeeping import WITHOUT_GRACE, Rotation
from rotator.rules.consumers import last_confirmed
from rotator.rules.owner import NOBODY
from rotator.rules.times import format_time
from rotator.rules.whose import ADOPTED_TOO
from rotator.show.console import captured, copy_lines, lines_of
from rotator.show.exposed import Exposed
from rotator.show.requests import lines_of_requests


@dataclass(frozen=True)
class Contained:
    """What came of it."""

    exposed: Exposed
    successor: int | None
    """None when none of the exposed keys' place was taken by another one."""
    published_at: datetime | None
    """By the gateway's clock."""
    revoked: tuple[int, ...]
    alive: tuple[int, ...]
    """Of the exposed keys: those that nobody has seen dead."""
    in_grace: bool
    """Whether another rotator's key took the place, and left those that are alive their grace."""
    errors: tuple[RotatorError, ...]
    copies: Mapping[str, RotatorError | None] = field(default_factory=dict)
    """What became of its copies: why one does not hold the successor; None where it does."""

    @property
    def over(self) -> bool:
        """Whether another key took the place, no exposed one is alive or unknown, and nothing failed."""
        return bool(self.successor) and not (self.alive or self.exposed.unknown or self.errors)


@dataclass(frozen=True)
class Incident:
    """A leak, what became of each managed key that it exposed, and by which requests."""

    gateway: str
    """Its URL."""
    vault: str
    """Its address and the mount."""
    installation: str | None
    began: datetime
    """By this machine's clock, as is `ended`."""
    ended: datetime
    run_ids: tuple[str, ...]
    keys: tuple[Contained, ...]
    steps: tuple[Step, ...]
    """The requests that may have changed something."""
    error: RotatorError | None = None
    """What ended it before the old keys were revoked."""

    @property
    def over(self) -> bool:
        """Whether every exposed key is dead."""
        return self.error is None and all(key.over for key in self.keys)

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator --rotate-now --revoke-old-now --json`: the incident record."""
        return {
            "over": self.over,
            "gateway": self.gateway,
            "vault": self.vault,
            "installation": self.installation,
            "began": format_time(self.began),
            "ended": format_time(self.ended),
            "run_ids": list(self.run_ids),
            "keys": [
                {
                    "name": key.exposed.name,
                    "path": key.exposed.path,
                    "replaced": key.exposed.current,
                    "successor": key.successor,
                    "published_at": format_time(key.published_at) if key.published_at else None,
                    "revoked": list(key.revoked),
                    "alive": list(key.alive),
                    **key.exposed.owner.to_json(),
                    "consumers": [
                        {"name": name, "key_id": id_} for name, id_ in key.exposed.consumers.items()
                    ],
                    "copies": copies_to_json(key.copies),
                    "unknown": key.exposed.unknown,
                    "errors": [error.to_json() for error in key.errors],
                }
                for key in self.keys
            ],
            "requests": [step.to_json() for step in self.steps],
            "error": self.error.to_json() if self.error else None,
        }


def contained(exposed: Exposed, passes: Sequence[PassResult], dead: Set[int]) -> Contained:
    """Return what these passes made of it. `dead`: what they revoked, for whichever entry, or saw dead."""
    results = [key for result in passes for key in result.keys if key.key.name == exposed.name]
    successor = _successor(exposed, results)
    alive = tuple(id_ for id_ in exposed.keys if id_ not in dead)
    # A failure that a later pass made good is over, too.
    telling = results if alive or not successor else results[-1:]
    met = {error.message: error for key in telling for error in key.errors}.values()
    command = by_hand(exposed.name, without_grace=True)
    return Contained(
        exposed=exposed,
        successor=successor.key_id if successor else None,
        published_at=successor.rotated_at if successor else None,
        revoked=tuple(done.key_id for key in results for done in key.revoked),
        alive=alive,
        in_grace=successor is not None
        and any(successor.superseded.get(id_, WITHOUT_GRACE) != WITHOUT_GRACE for id_ in alive),
        # What both passes met is one thing: it is told as the last one met it.
        errors=tuple(met if successor else (error.again(command) for error in met)),
        copies=next((key.copies for key in reversed(results) if key.copies), {}) if successor else {},
    )


def _successor(exposed: Exposed, results: Sequence[KeyResult]) -> Rotation | None:
    """What was last seen in the secret, or written there, if it is none of the exposed keys."""
    for key in reversed(results):
        if rotation := key.rotation or (key.plan.current if key.plan else None):
            return None if rotation.key_id in {exposed.current, *exposed.keys} else rotation
    return None


def foretell(exposed: Sequence[Exposed], console: Console, *, dry_run: bool) -> str:
    """Return what a person is asked to confirm or, in a dry run, what would be done."""
    be = "would be" if dry_run else "will be"
    fail = "would fail" if dry_run else "fail"

    def lines() -> Iterator[Text]:
        for key in exposed:
            current = f"key {key.current} {be} replaced" if key.current else f"a key {be} made"
            going = f"{_ids(key.going)} {be} revoked without grace"
            yield Text(f"{key.name}: {current}; {going}", style="bold")
            if key.owner != NOBODY:
                yield Text(f"  owner: {key.owner}")
            yield from _running(key)
            if others := _others(key, key.staying):
                yield Text(f"! {_ids(others)} {be} left alive: {_STAYS}", style="yellow")
            if key.adopted:
                command = ADOPTED_TOO + by_hand(key.name, without_grace=True)
                yield Text(f"! {_ids(key.adopted)} {be} left alive: {_BY_HAND}: `{command}`", style="yellow")
            if key.unknown:
                yield Text(f"! {_UNKNOWN}", style="yellow")
        yield Text(f"Programs that hold a revoked key {fail} until they read the new one from Vault.")

    return captured(console, lines())


_STAYS = "used elsewhere, or missing from the gateway's list"
_BY_HAND = "a person made it, and revoke_adopted is not set; to revoke it, too"
_UNKNOWN = (
    "the key in the secret matches no listed key, so the rotator cannot tell which to revoke; "
    "find it at the gateway"
)


def render(incident: Incident, console: Console) -> str:
    """Return the record for a person, redacted."""

    def lines() -> Iterator[Text]:
        times = f"{format_time(incident.began)} to {format_time(incident.ended)}"
        yield Text(f"incident record, {times}", style="bold")
        yield Text(f"gateway {incident.gateway}, installation {incident.installation or '-'}")
        yield Text(f"Vault {incident.vault}")
        for key in incident.keys:
            yield from _lines_of_key(key)
        if incident.error:
            yield from lines_of("the account", incident.error)
        yield from lines_of_requests(incident.steps)
        yield Text(f"run_id in the log: {', '.join(incident.run_ids)}")
        if not incident.over:
            yield Text("The leak is not contained: see the lines with ✗ and !", style="bold red")

    return captured(console, lines())


def _lines_of_key(key: Contained) -> Iterator[Text]:
    yield Text(f"{key.exposed.name} ({key.exposed.path})", style="bold")
    if key.exposed.owner != NOBODY:
        yield Text(f"  owner: {key.exposed.owner}")
    yield from _running(key.exposed)
    if key.successor and key.published_at:
        replaced = f"key {key.exposed.current} by key " if key.exposed.current else "nothing by key "
        replaced = "an unknown key by key " if key.exposed.unknown else replaced
        yield Text(f"  replaced {replaced}{key.successor}, published {format_time(key.published_at)}")
        yield from copy_lines(key.copies)
    else:
        yield Text("✗ not replaced, and so not revoked: the exposed keys still work", style="bold red")
    if key.revoked:
        yield Text(f"  revoked {', '.join(map(str, key.revoked))}")
    if key.alive:
        yield Text(f"! alive: {', '.join(map(str, key.alive))}", style="bold red")
    if key.exposed.unknown:
        yield Text(f"! {_UNKNOWN}", style="bold red")
    for error in key.errors:
        yield from lines_of(key.exposed.name, error)
    yield from _cures(key)


def _running(exposed: Exposed) -> Iterator[Text]:
    """Who still runs on an exposed key, as far as the consumers have said."""
    for name in exposed.running:
        last = last_confirmed(exposed.consumers[name])
        yield Text(f"! {name} {last}: it fails until it takes up the new one", style="yellow")


def _cures(key: Contained) -> Iterator[Text]:
    cure = None
    if key.in_grace or not (key.successor or key.errors):
        cure = "run this again"
    elif key.successor and set(key.alive) & set(key.exposed.going):
        cure = (
            "the next pass tries again, because they have no grace left; to make a pass now: `rotator --once`"
        )
    if cure:
        yield Text(f"  {'then' if key.errors else 'cure'}: {cure}")
    alive = [id_ for id_ in key.alive if id_ in key.exposed.staying]
    if others := _others(key.exposed, alive):
        yield Text(f"  {_ids(others)}: {_STAYS}")
    if adopted := [id_ for id_ in alive if id_ in key.exposed.adopted]:
        name = key.exposed.name
        again = by_hand(name, without_grace=True) if key.in_grace or not key.successor else once(name)
        yield Text(f"  {_ids(adopted)}: {_BY_HAND}: `{ADOPTED_TOO}{again}`")


def _others(exposed: Exposed, ids: Sequence[int]) -> list[int]:
    """Those that stay, and not because a person made them."""
    return [id_ for id_ in ids if id_ not in exposed.adopted]


def _ids(ids: Sequence[int]) -> str:
    if not ids:
        return "no key"
    return f"key{'s' * (len(ids) > 1)} {', '.join(map(str, ids))}"
