"""What can be said of a config that has no fault, without asking anybody. Pure but for the date."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

from rotator.check.findings import Finding, bad, note, ok, some
from rotator.config import Config
from rotator.rules.cadence import Every, PassSchedule
from rotator.rules.model import ManagedKey
from rotator.rules.shard import WHOLE
from rotator.rules.times import count
from rotator.rules.times import format_duration as show
from rotator.rules.titles import TitleTemplate

LONG_TITLE: Final = 200
"""Characters. The gateway names no bound."""
COPY_RENEWED: Final = timedelta(hours=1)
"""External Secrets' own default. Vault's agent takes 5 minutes."""
POD_SEES_IT: Final = timedelta(minutes=2)
ROLLED_OUT: Final = timedelta(minutes=10)
"""A Deployment's progressDeadlineSeconds."""
LEAST_GRACE: Final = COPY_RENEWED + POD_SEES_IT + ROLLED_OUT
"""What deploy/consumers/README.md adds up to before there is any outage."""


def config(config: Config) -> Iterator[Finding]:
    """Say which file was read, how many keys it manages, and which share of them is acted on."""
    shard = "" if config.shard == WHOLE else f", share {config.shard.index} of {config.shard.count}"
    yield ok(f"{config.file}: {count(len(config.managed), 'managed key')}{shard}")


def longest_title(titles: TitleTemplate, keys: Sequence[ManagedKey]) -> Iterator[Finding]:
    """A title by which a key is not known again would never be revoked."""
    now, installation = datetime.now(UTC), "0" * 6
    rendered = (
        (titles.render(key.name, now=now, installation=installation, nonce="0" * 8), key) for key in keys
    )
    title, key = max(rendered, key=lambda pair: len(pair[0]))
    parsed = titles.parse(title)
    said = f"the longest has {len(title)} characters ({key.name})"
    if parsed is None or parsed.name != key.name:
        yield bad(f"{said}, and cannot be read back", "write another title_template")
    elif len(title) > LONG_TITLE:
        yield note(
            f"{said}, and can be read back; the gateway does not promise to keep so long a title",
            "shorten title_template before the first pass, or the names of keys",
        )
    else:
        yield ok(f"{said}, and can be read back")


def grace_periods(keys: Sequence[ManagedKey]) -> Iterator[Finding]:
    """Whether who reads the secret has the new key before the old one goes."""
    by_grace = sorted(keys, key=lambda key: key.grace_period)
    too_short = [key for key in by_grace if key.grace_period < LEAST_GRACE]
    for grace, group in groupby(too_short, lambda key: key.grace_period):
        yield note(
            f"{show(grace)} for {some([key.name for key in group])}: shorter than the {show(LEAST_GRACE)} until "
            f"the last program may have the new key ({show(COPY_RENEWED)} for its copy, as External Secrets "
            f"has it by default, {show(POD_SEES_IT)} to the pod, {show(ROLLED_OUT)} for a rollout)",
            "write a longer grace_period, such as 24h; deploy/consumers/README.md says how to choose it",
        )
    if not too_short:
        yield ok(f"the shortest is {show(by_grace[0].grace_period)} ({by_grace[0].name})")


def schedule(passes: PassSchedule, keys: Sequence[ManagedKey]) -> Iterator[Finding]:
    """Whether the long-running mode comes by often enough."""
    apart = passes.interval + passes.jitter if isinstance(passes, Every) else passes.shortest
    narrow = [key.name for key in keys if (window := key.cadence.window) and window <= apart]
    often = [key.name for key in keys if key.cadence.shortest < apart]
    if narrow:
        yield note(
            f"the rotation_window of {some(narrow)} is no longer than the {show(apart)} from one pass to the "
            "next: it may open and close between them",
            "write a longer rotation_window, or a shorter schedule.every",
        )
    if often:
        yield note(
            f"{some(often)}: due more often than every {show(apart)}, when a pass is made",
            "write a longer rotation_period, or a shorter schedule.every",
        )
    if not (narrow or often):
        yield ok(f"the long-running mode makes a pass every {show(apart)}")
