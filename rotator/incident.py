"""The record of a leak that was contained: what was replaced and revoked, by which requests. It holds no secret."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.text import Text

from rotator.bookkeeping import format_time
from rotator.errors import RotatorError
from rotator.report import captured, lines_of
from rotator.result import KeyResult, PassResult, error_to_json
from rotator.trail import Step

_CHANGING = ("DELETE", "PATCH", "POST", "PUT")


@dataclass(frozen=True)
class Exposed:
    """The keys of one managed key that are to go: the current one, and what lives on in its grace."""

    name: str
    path: str
    current: int | None
    going: tuple[int, ...]
    staying: tuple[int, ...]
    """Not ours to revoke."""


@dataclass(frozen=True)
class Contained:
    """What came of it."""

    exposed: Exposed
    successor: int | None
    """None when no new key was published: then nothing was revoked either."""
    published_at: datetime | None
    """By the gateway's clock."""
    revoked: tuple[int, ...]
    alive: tuple[int, ...]
    """Of the exposed keys."""
    errors: tuple[RotatorError, ...]


@dataclass(frozen=True)
class Incident:
    began: datetime
    """By this machine's clock, as is `ended`."""
    ended: datetime
    run_ids: tuple[str, ...]
    keys: tuple[Contained, ...]
    steps: tuple[Step, ...]
    """The requests that may have changed something."""

    @property
    def over(self) -> bool:
        """Whether every exposed key is dead."""
        return all(key.successor and not key.alive and not key.errors for key in self.keys)

    def to_json(self) -> dict[str, Any]:
        return {
            "over": self.over,
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
                    "errors": [error_to_json(error) for error in key.errors],
                }
                for key in self.keys
            ],
            "requests": [step.to_json() for step in self.steps],
        }


def exposed_by(seen: KeyResult, *, is_bearer: bool) -> Exposed:
    """Return what a leak of this managed key exposes. Raises what kept its secret from being read."""
    facts, plan = seen.facts, seen.plan
    if facts is None or plan is None:
        raise next(iter(seen.errors), RotatorError("not decided"))
    current = seen.key_id
    ids = [] if current is None or current not in facts.listed else [current]
    ids += [id_ for id_ in plan.superseded if id_ != current]
    ours = {key.id for key in facts.family} if not seen.key.revoke_adopted else set(ids)
    # The bearer is one no more when its own entry is rotated.
    going = [
        id_ for id_ in ids if id_ in ours and (id_ not in facts.protected or (is_bearer and id_ == current))
    ]
    staying = tuple(id_ for id_ in ids if id_ not in going)
    return Exposed(seen.key.name, seen.key.path, current, tuple(going), staying)


def contained(exposed: Exposed, passes: Sequence[PassResult]) -> Contained:
    """Return what these passes made of it."""
    results = [key for result in passes for key in result.keys if key.key.name == exposed.name]
    rotation = next((key.rotation for key in results if key.rotation), None)
    revoked = tuple(done.key_id for key in results for done in key.revoked)
    alive = tuple(id_ for id_ in (*exposed.going, *exposed.staying) if id_ not in revoked)
    return Contained(
        exposed=exposed,
        successor=rotation.key_id if rotation else None,
        published_at=rotation.rotated_at if rotation else None,
        revoked=revoked,
        alive=alive,
        errors=tuple(error for key in results for error in key.errors),
    )


def changing(steps: Sequence[Step]) -> tuple[Step, ...]:
    """Those that may have changed a key or a secret: not the logins, nor what only asks."""
    return tuple(
        step
        for step in steps
        if step.method in _CHANGING and not step.path.startswith(("/v1/auth/", "/v1/sys/"))
    )


def foretell(exposed: Sequence[Exposed], console: Console) -> str:
    """Return what a person is asked to confirm."""

    def lines() -> Iterator[Text]:
        for key in exposed:
            current = f"key {key.current} is replaced" if key.current else "a key is made"
            yield Text(f"{key.name}: {current}; {_ids(key.going)} revoked without grace", style="bold")
            if key.staying:
                yield Text(f"! {_ids(key.staying)} not ours to revoke: {_STAYS}", style="yellow")
        yield Text("Programs that hold a revoked key fail until they read the new one from Vault.")

    return captured(console, lines())


_STAYS = "made by a person (set revoke_adopted to revoke it, too), or in use elsewhere"


def render(incident: Incident, console: Console) -> str:
    """Return the record for a person, redacted."""

    def lines() -> Iterator[Text]:
        times = f"{format_time(incident.began)} to {format_time(incident.ended)}"
        yield Text(f"incident record, {times}", style="bold")
        for key in incident.keys:
            yield from _lines_of_key(key)
        yield Text("requests that changed something, by this machine's clock")
        for step in incident.steps:
            yield Text(f"  {step.at:%H:%M:%S}Z  {step.method:6}  {step.status or '-'}  {step.path}")
            yield Text(f"             {step.request_id or 'no request id'}")
        yield Text(f"run_id in the log: {', '.join(incident.run_ids)}")
        if not incident.over:
            yield Text("It is not over: see ✗ and !", style="bold red")

    return captured(console, lines())


def _lines_of_key(key: Contained) -> Iterator[Text]:
    yield Text(f"{key.exposed.name} ({key.exposed.path})", style="bold")
    if key.successor and key.published_at:
        replaced = f"key {key.exposed.current} by key " if key.exposed.current else "nothing by key "
        yield Text(f"  replaced {replaced}{key.successor}, published {format_time(key.published_at)}")
    else:
        yield Text("✗ not replaced, and so not revoked: the exposed keys still work", style="bold red")
    if key.revoked:
        yield Text(f"  revoked {', '.join(map(str, key.revoked))}")
    if key.alive:
        yield Text(f"! alive: {', '.join(map(str, key.alive))}", style="bold red")
    for error in key.errors:
        yield from lines_of(key.exposed.name, error)
    if key.successor and set(key.alive) & set(key.exposed.going):
        yield Text("  cure: rotator --once tries again; no grace keeps them alive")
    if key.alive and set(key.alive) <= set(key.exposed.staying):
        yield Text(f"  cure: {_STAYS}")


def _ids(ids: Sequence[int]) -> str:
    if not ids:
        return "no key is"
    return f"{', '.join(map(str, ids))} {'is' if len(ids) == 1 else 'are'}"
