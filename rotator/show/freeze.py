"""What came of freezing or releasing a secret, for a person."""

import sys

from rotator.lines import in_lines, width_of
from rotator.passes.freeze import Changed
from rotator.rules.freeze import FIELD, LONGEST
from rotator.rules.times import short


def frozen(changed: Changed) -> str:
    """Say that it is frozen, what that keeps, and how it ends."""
    key, now = changed.key, changed.now
    lines = [f"{key.name} is {changed.freeze.say(now)}" if changed.freeze else ""]
    if changed.before and changed.before != changed.freeze:
        lines.append(f"  in place of: {changed.before.say(now)}")
    return _text(
        *lines,
        f"  stored: {FIELD} in the custom metadata of {key.path}",
        "  until then no due date rotates it, and no superseded key of it is revoked; "
        f"neither waits for longer than {short(LONGEST)}",
        "  a key that is dead or missing is replaced all the same; so it is by --rotate-now, and after a leak",
        f"  end it with: rotator release {key.name!r}",
    )


def released(changed: Changed) -> str:
    """Say that it is not frozen any more, or was not."""
    key, before = changed.key, changed.before
    if before is None:
        return _text(f"{key.name} was not frozen; nothing was changed")
    if not before.in_force(changed.now):
        return _text(
            f"{key.name} was {before.say(changed.now)}", "  that note is removed; nothing else was changed"
        )
    return _text(
        f"{key.name} is no longer frozen; the next pass does what is due",
        f"  it was: {before.say(changed.now)}",
    )


def _text(*lines: str) -> str:
    return "".join(f"{line}\n" for one in lines for line in in_lines(one, width_of(sys.stdout)))
