"""What is told to others after a pass, as CloudEvents 1.0. Pure: the result of a pass in, events out.

A failure is told once, until it changes or heals. No field holds a plaintext, a preview or a token.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, TypeAlias

from rotator.config.monitoring import NoticeType
from rotator.errors import RotatorError
from rotator.passes.result import UNBEGUN, KeyResult, Outcome, PassResult
from rotator.rules.cloud_event import cloud_event, source_of
from rotator.rules.revocations import Revocation, Victim
from rotator.rules.times import time_to_json
from rotator.show.key_status import key_status

_BESIDE: Final = ("frozen", "owner", "contact")
"""What people say of the secret: whoever is told of it knows whom to ask."""

Topic: TypeAlias = tuple[NoticeType, str | None, int | None]
"""The type, the managed key's name, and the id of the key of which there may be several."""


@dataclass(frozen=True)
class Notice:
    """One thing that is worth telling."""

    type: NoticeType
    key: str | None
    """The managed key's name; None for the pass as a whole."""
    time: datetime | None
    """On the gateway's clock; None when that could not be read."""
    data: Mapping[str, Any]

    @property
    def topic(self) -> Topic:
        """What it is about: a failure on the same topic, in the same words, is not told again."""
        return self.type, self.key, self.data.get("key_id") if self.type == "revocation.overdue" else None

    @property
    def failures(self) -> tuple[str, ...]:
        """What failed, in words, and how bad it is; empty for good news, which is told each time."""
        messages = tuple(error["message"] for error in self.data.get("errors", ()))
        return (*messages, self.data.get("severity", "")) if messages else ()


@dataclass(frozen=True)
class Event:
    """A notice in its envelope."""

    id: str
    source: str
    notice: Notice

    def to_json(self) -> dict[str, Any]:
        """The structured form of CloudEvents."""
        said = self.notice
        return cloud_event(
            said.type, said.data, id_=self.id, source=self.source, subject=said.key, time=said.time
        )


@dataclass(frozen=True)
class Told:
    """What earlier passes of this process have told."""

    installation: str | None = None
    failures: Mapping[Topic, tuple[str, ...]] = field(default_factory=dict)
    """Those that last, in their latest words."""

    def without(self, topics: Collection[Topic]) -> "Told":
        """Forget what could not be delivered: if it lasts, it is told anew."""
        kept = {topic: said for topic, said in self.failures.items() if topic not in topics}
        return Told(self.installation, kept)


def after_pass(result: PassResult, told: Told) -> tuple[tuple[Event, ...], Told]:
    """Return what is to be told of a pass, and what is told then. A dry run tells nothing."""
    if result.dry_run:
        return (), told
    notices = [notice for key in result.keys for notice in _of_key(key, result)]
    if result.refused:
        notices.append(_of_pass(result.refused, result.now))
    # Of a managed key that was not chosen, could not be read, or was not begun, nothing has healed.
    seen = {key.key.name for key in result.keys if key.plan and key.outcome not in UNBEGUN}
    lasting = {topic: said for topic, said in told.failures.items() if topic[1] and topic[1] not in seen}
    return _envelop(result.run_id, notices, told, Told(result.installation, lasting))


def after_error(error: RotatorError, run_id: str, told: Told) -> tuple[tuple[Event, ...], Told]:
    """The same for a pass that could not be made at all."""
    return _envelop(run_id, [_of_pass(error, None)], told, told)


def _envelop(run_id: str, notices: list[Notice], told: Told, lasting: Told) -> tuple[tuple[Event, ...], Told]:
    """Number what is news, and add what failed to what lasts."""
    source = source_of(lasting.installation)
    news = [n for n in notices if not n.failures or told.failures.get(n.topic) != n.failures]
    events = (Event(f"{run_id}-{number}", source, notice) for number, notice in enumerate(news, 1))
    failures = {notice.topic: notice.failures for notice in notices if notice.failures}
    return tuple(events), Told(lasting.installation, {**lasting.failures, **failures})


def _of_pass(error: RotatorError, at: datetime | None) -> Notice:
    return Notice("pass.failed", None, at, {"errors": [error.to_json()]})


def _of_key(result: KeyResult, whole: PassResult) -> Iterator[Notice]:
    name, plan, body = result.key.name, result.plan, result.to_json()
    if plan and plan.rotates and result.rotation:
        shown = ("key_id", "reason", "rotated_at", "due_at", "superseded", *_BESIDE)
        yield Notice(
            "rotation.succeeded", name, result.rotation.rotated_at, {part: body[part] for part in shown}
        )
    # What refuses the whole account is told once, not again for each key.
    refused = whole.refused.message if whole.refused else None
    errors = [error.to_json() for error in result.errors if error.message != refused]
    if not errors:
        return
    if result.outcome is Outcome.FAILED or (plan and plan.held and plan.held.cure):
        shown = ("key_id", "reason", "hold", "rotated_at", "due_at", *_BESIDE)
        data = {part: body[part] for part in shown}
        data["severity"] = key_status(result, whole.now).severity.word
        yield Notice("rotation.failed", name, whole.now, {**data, "errors": errors})
    done = {revocation.key_id for revocation in result.revoked}
    for revocation in plan.revocations if plan else ():
        if revocation.key_id not in done:
            beside = {part: body[part] for part in _BESIDE}
            yield Notice("revocation.overdue", name, whole.now, {**_overdue(revocation, errors), **beside})


def _overdue(revocation: Revocation, errors: list[dict[str, Any]]) -> dict[str, Any]:
    superseded = revocation.victim is Victim.SUPERSEDED
    since = "superseded_at" if superseded else "created_at"
    return {
        "key_id": revocation.key_id,
        "reason": revocation.victim,
        since: time_to_json(revocation.known_since),
        "errors": errors,
    }
