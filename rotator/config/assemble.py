"""What the config means: keys with their cadence, and the rules that join one block with another."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rotator.config.copies import copies_of, copy_faults
from rotator.config.fields import Clocks, Defaults, Entry, EntryPolicy, File, GatewayBlock, Passes
from rotator.config.misread import path_faults
from rotator.config.monitoring import Http, MetricsBlock, Webhook
from rotator.config.receivers import receiver_faults, receivers_of
from rotator.config.validate import Fault, Sound
from rotator.config.vaults import VaultBlock
from rotator.config.yaml import Path, dotted
from rotator.rules.cadence import Cadence, CronSchedule, Every, PassSchedule, Period
from rotator.rules.model import PATIENCE, ManagedKey, Timing
from rotator.rules.shard import Shard
from rotator.rules.times import format_duration
from rotator.rules.titles import TitleTemplate

_DEFAULT_PERIOD: Final = timedelta(days=30)
_DEFAULT_LIMIT: Final = timedelta(days=7)
_MOST_GRACES: Final = 10
"""Of grace_limit, in times between rotations: fewer than the superseded keys at which no more are made."""
_SHORT: Final = timedelta(hours=1)
"""Below it, a duration of days is more likely a slip: a minute for a month, a second for a day."""


@dataclass(frozen=True)
class Config:
    """A config without a fault."""

    file: str
    """Where it was read."""
    account: str | None
    """What people call the account."""
    gateway: GatewayBlock
    vault: VaultBlock
    """Its `auth` holds the token."""
    vaults: Mapping[str, VaultBlock]
    """By name: the further ones, which hold copies."""
    schedule: PassSchedule
    """When the long-running mode makes a pass."""
    http: Http
    metrics: MetricsBlock
    titles: TitleTemplate
    timing: Timing
    managed: tuple[ManagedKey, ...]
    webhook: Webhook | None
    shard: Shard
    """Which of `managed` are acted on."""


def build(file: File, shard: Shard, name: str) -> Config:
    """Build what the rest goes by, from the file at `name`. `joint_faults` must have found none."""
    return Config(
        file=name,
        account=file.account,
        gateway=file.gateway,
        vault=file.vault,
        vaults={further.name: further.beside(file.vault) for further in file.vaults},
        schedule=_pass_schedule(file.schedule),
        http=file.http,
        metrics=file.metrics,
        titles=TitleTemplate(file.title_template),
        timing=Timing(
            file.in_flight,
            file.orphan_after,
            file.verify_deadline,
            file.store_deadline,
            file.clock_tolerance,
            file.pass_deadline,
        ),
        managed=tuple(_managed_key(entry, file, index) for index, entry in enumerate(file.keys)),
        webhook=file.webhook,
        shard=shard,
    )


def joint_faults(sound: Sound) -> Iterator[Fault]:
    """Yield the faults that no block has on its own."""
    yield from _clock_faults(sound)
    yield from _twice(sound, "name")
    yield from _twice(sound, "path")
    mount = sound.text("vault", "mount") or VaultBlock.model_fields["mount"].default
    yield from path_faults(sound, mount.strip("/"))
    yield from _state_path_faults(sound)
    yield from copy_faults(sound)
    if defaults := sound.block(Defaults, "defaults"):
        entries = {index: sound.block(Entry, "keys", index) for index in sound.entries}
        whole = {index: entry for index, entry in entries.items() if entry}
        for index, entry in whole.items():
            yield from _policy_faults(index, entry, defaults)
            yield from _field_faults(index, entry, defaults)
            yield from _consumer_faults(index, entry, defaults)
            yield from receiver_faults(index, entry, signed=sound.has("webhook", "secret"))
        if len(whole) == len(entries):
            yield from _idle_defaults(list(whole.values()), defaults)


def _clock_faults(sound: Sound) -> Iterator[Fault]:
    if clocks := sound.fields(Clocks):
        # A replica may take so long from create to store; its key must not be swept meanwhile.
        rotation = clocks.verify_deadline + clocks.store_deadline + PATIENCE
        needs = {
            "in_flight": clocks.in_flight,
            "store_deadline": max(rotation, 2 * clocks.store_deadline),
            "verify_deadline": rotation,
        }
        least, after = max(needs.values()), clocks.orphan_after
        given = [name for name in needs if name in clocks.model_fields_set and needs[name] > after]
        if after >= least:
            return
        if "orphan_after" in clocks.model_fields_set or not given:
            yield (
                ("orphan_after",),
                f"is too short for these deadlines; write at least {format_duration(least)}",
            )
            return
        now, then = format_duration(after), format_duration(least)
        yield (
            (given[0],),
            f"is too long for an orphan_after of {now}, the default; write orphan_after: {then}, or less here",
        )


def _twice(sound: Sound, field: str) -> Iterator[Fault]:
    first: dict[str, int] = {}
    for index in sound.entries:
        text = sound.text("keys", index, field)
        if text is None:
            continue
        earlier = first.setdefault(text.strip("/"), index)
        if earlier != index:
            yield ("keys", index, field), f"is already used by {dotted(('keys', earlier))}; write another"


def _state_path_faults(sound: Sound) -> Iterator[Fault]:
    state_path = sound.text("vault", "state_path") or VaultBlock.model_fields["state_path"].default
    directory = state_path.strip("/").rpartition("/")[0]
    claims = f"{directory}/claims/" if directory else "claims/"
    acks = (sound.text("vault", "acks_path") or VaultBlock.model_fields["acks_path"].default).strip("/")
    for own in (state_path.strip("/"), claims.strip("/")):
        if f"{own}/".startswith(f"{acks}/") or f"{acks}/".startswith(f"{own}/"):
            yield (
                ("vault", "acks_path"),
                f"overlaps with {own}, which the rotator keeps for itself; write another",
            )
            break
    places: list[Path] = [("keys", index, "path") for index in sound.entries]
    for place in (*places, ("gateway", "api_key", "vault")):
        path = (sound.text(*place) or "").strip("/")
        if path == state_path.strip("/"):
            yield place, "is vault.state_path, which holds the identity; write another"
        elif path.startswith(f"{acks}/"):
            yield place, f"is below vault.acks_path, {acks}/, where consumers confirm; write another"
        elif path.startswith(claims):
            yield place, f"is below {claims}, where the rotator keeps its claims; write another"


def _field_faults(index: int, entry: Entry, defaults: Defaults) -> Iterator[Fault]:
    if (entry.field or defaults.field) == (entry.bookkeeping or defaults.bookkeeping):
        own = "field" if entry.field else "bookkeeping" if entry.bookkeeping else None
        place = ("keys", index, own) if own else ("defaults", "field")
        yield place, "one field holds the plaintext, another one holds the bookkeeping; write two names"


def _policy_faults(index: int, entry: Entry, defaults: Defaults) -> Iterator[Fault]:
    cadence = _cadence(entry, defaults)
    if _policy(entry, defaults).rotation_schedule is None:
        for field in ("rotation_window", "timezone"):
            if getattr(entry, field) is not None:
                cure = "remove it or write rotation_schedule"
                yield ("keys", index, field), f"has no effect without a rotation_schedule; {cure}"
    elif entry.spread is not None:
        yield ("keys", index, "spread"), "has no effect without a rotation_period; remove it"
    if short := list(_short_faults(index, entry, defaults)):
        yield from short  # what follows from such a one would blame another field
        return
    grace_period = _grace(entry, defaults)
    if grace_period > cadence.shortest:
        own = entry.grace_period or entry.names_a_cadence
        yield (
            ("keys", index, "grace_period") if own else ("defaults", "grace_period"),
            f"is {format_duration(grace_period)}, longer than the shortest time between two rotations; "
            f"write at most {format_duration(cadence.shortest)}",
        )


def _consumer_faults(index: int, entry: Entry, defaults: Defaults) -> Iterator[Fault]:
    names = [consumer.name for consumer in entry.consumers]
    for at, name in enumerate(names):
        if (earlier := names.index(name)) != at:
            first = dotted(("keys", index, "consumers", earlier))
            yield ("keys", index, "consumers", at, "name"), f"is already used by {first}; write another"
    if not names:
        if entry.grace_limit:
            yield ("keys", index, "grace_limit"), "means nothing without consumers; remove it or name them"
        return
    place: Path = ("keys", index) if entry.grace_limit or not defaults.grace_limit else ("defaults",)
    limit, grace = _limit(entry, defaults), _grace(entry, defaults)
    most = _MOST_GRACES * _cadence(entry, defaults).shortest
    if limit < grace:
        yield (
            (*place, "grace_limit"),
            f"is shorter than the grace_period; write at least {format_duration(grace)}",
        )
    elif limit > most:
        yield (
            (*place, "grace_limit"),
            f"is {format_duration(limit)}: so many replaced keys would live at once that no new one is made; "
            f"write at most {format_duration(most)}",
        )


def _short_faults(index: int, entry: Entry, defaults: Defaults) -> Iterator[Fault]:
    if defaults.allow_short if entry.allow_short is None else entry.allow_short:
        return
    policy, cadence = _policy(entry, defaults), _cadence(entry, defaults)
    scheduled = policy.rotation_schedule is not None
    time = cadence.shortest if scheduled else policy.rotation_period or _DEFAULT_PERIOD
    field = "rotation_schedule" if scheduled else "rotation_period"
    for where, name, lasts in (
        (("keys", index) if policy is entry else ("defaults",), field, time),
        (
            ("keys", index) if entry.grace_period else ("defaults",),
            "grace_period",
            _grace(entry, defaults),
        ),
    ):
        if lasts < _SHORT:
            is_ = "fires again after" if name == "rotation_schedule" else "is"
            yield (
                (*where, name),
                f"{is_} {format_duration(lasts)}, less than an hour; write at least 1h, or, if it is meant, "
                "allow_short: true beside it",
            )


def _idle_defaults(entries: list[Entry], defaults: Defaults) -> Iterator[Fault]:
    if any(policy.rotation_schedule is not None for policy in (defaults, *entries)):
        return
    for field in ("rotation_window", "timezone"):
        if getattr(defaults, field) is not None:
            yield ("defaults", field), "has no effect as long as no key has a rotation_schedule; remove it"


def _managed_key(entry: Entry, file: File, index: int) -> ManagedKey:
    defaults = file.defaults
    revoke_adopted = defaults.revoke_adopted if entry.revoke_adopted is None else entry.revoke_adopted
    return ManagedKey(
        name=entry.name,
        path=entry.path,
        field=entry.field or defaults.field,
        bookkeeping=entry.bookkeeping or defaults.bookkeeping,
        cadence=_cadence(entry, defaults),
        grace_period=_grace(entry, defaults),
        revoke_adopted=revoke_adopted,
        consumers=tuple(consumer.name for consumer in entry.consumers),
        grace_limit=_limit(entry, defaults),
        receivers=tuple(receivers_of(index, entry, file.webhook)),
        copies=copies_of(entry),
    )


def _grace(entry: Entry, defaults: Defaults) -> timedelta:
    return entry.grace_period or defaults.grace_period


def _limit(entry: Entry, defaults: Defaults) -> timedelta:
    usual = min(_DEFAULT_LIMIT, _MOST_GRACES * _cadence(entry, defaults).shortest)
    return entry.grace_limit or defaults.grace_limit or max(usual, _grace(entry, defaults))


def _cadence(entry: Entry, defaults: Defaults) -> Cadence:
    policy = _policy(entry, defaults)
    if policy.rotation_schedule is None:
        period = policy.rotation_period or _DEFAULT_PERIOD
        return Period(period, _early(entry.name, period, entry.spread or defaults.spread))
    return CronSchedule(
        policy.rotation_schedule,
        entry.timezone or defaults.timezone or "UTC",
        entry.rotation_window or defaults.rotation_window,
    )


def _policy(entry: Entry, defaults: Defaults) -> EntryPolicy:
    """Which of the two says when the key falls due."""
    return entry if entry.names_a_cadence else defaults


def _early(name: str, period: timedelta, spread: str | None) -> timedelta:
    """Return this key's own share of the spread: ever the same, and unlike that of other names."""
    if spread is None:
        return timedelta(0)
    share = int.from_bytes(hashlib.blake2b(name.encode(), digest_size=4).digest()) / 2**32
    return timedelta(seconds=int(period.total_seconds() * int(spread.removesuffix("%")) / 100 * share))


def _pass_schedule(passes: Passes) -> PassSchedule:
    if passes.cron is None:
        return Every(passes.every_or_default, passes.jitter_or_default)
    return CronSchedule(passes.cron, passes.timezone or "UTC")
