"""What `rotator init` prints: two files, or what would change in them, and what to do next. Pure."""

import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rotator.config.propose import Proposal, Survey, is_below
from rotator.config.write import comment, diff, entries, remarks
from rotator.redaction import redact, words
from rotator.rules.times import count


@dataclass(frozen=True)
class ProposedFile:
    """A file as it is and as it should be."""

    name: str
    before: str | None
    """None where there is none."""
    after: str
    """The same where a person is to change it."""

    @property
    def changes(self) -> str:
        """A diff that `patch` takes; nothing where it is as it should be, or is not there."""
        return diff(self.name, self.before, self.after) if self.before is not None else ""

    def to_json(self) -> dict[str, Any]:
        """The JSON of `rotator init`."""
        return {
            "file": self.name,
            "exists": self.before is not None,
            "text": self.after,
            "diff": self.changes,
        }


@dataclass(frozen=True)
class Draft:
    """All that is proposed."""

    config: ProposedFile
    policy: ProposedFile
    proposal: Proposal
    survey: Survey
    mount: str
    command: tuple[str, ...]
    """As it was called, to be called again."""
    by_hand: bool = False
    """Whether the entries cannot be put into the config that is there but by a person."""
    written: tuple[str, ...] = ()
    """The files that were written."""

    @property
    def files(self) -> tuple[ProposedFile, ProposedFile]:
        """The config, then the policy."""
        return self.config, self.policy

    def to_json(self) -> dict[str, Any]:
        """The shape of `rotator init --json`."""
        proposal, survey = self.proposal, self.survey
        return {
            "written": list(self.written),
            "config": self.config.to_json(),
            "policy": self.policy.to_json(),
            "entries": [
                {"name": one.name, "path": one.path, "field": one.field, "key_id": one.key.id}
                for one in proposal.entries
            ],
            "questions": [
                {"doubt": one.doubt, "paths": list(one.paths), "words": one.words}
                for one in proposal.questions
            ],
            "unstored": [{"key_id": key.id, "title": words(key.title)} for key in proposal.unstored],
            "gone": [{"name": key.name, "path": key.path} for key in proposal.gone],
            "unread": list(survey.unread),
            "unlisted": list(survey.unlisted),
            "looked_at": len(survey.paths),
            "cut": survey.cut,
            "next": list(steps(self)),
        }


def render(draft: Draft) -> str:
    """Return what is printed: comments, then the files, or the diffs of those that are there."""
    lines = [
        *_seen(draft),
        "Next, the vault commands with a token of an administrator:",
        *(f"  {step}" for step in steps(draft)),
    ]
    if draft.config.before is not None or draft.config.name in draft.written:  # else they are in its text
        lines += remarks(draft.proposal, draft.survey)
    if draft.by_hand:
        lines += ["Add to `keys`, in the config's own style:", *entries(draft.proposal.entries)]
    parts = ["".join(f"{comment(line)}\n" for line in lines)]
    for file in draft.files:
        if file.before is not None:
            parts.append(file.changes)
        elif file.name not in draft.written:
            parts.append(f"# {file.name}:\n{file.after}")
    return redact("\n".join(part for part in parts if part), short=True)


def steps(draft: Draft) -> Iterator[str]:
    """Yield the commands that come next."""
    again, config, policy = shlex.join(draft.command), draft.config, draft.policy
    if any(file.before is None and file.name not in draft.written for file in draft.files):
        yield f"{again} --write"
    if config.changes or policy.changes:
        # GNU patch refuses names that begin at the root.
        yield f"{again} | patch " + ("-p1 -d /" if config.name.startswith("/") else "-p0")
    yield f"vault policy write rotator {shlex.quote(policy.name)}"
    yield f"export ROTATOR_CONFIG={shlex.quote(config.name)}"
    yield "export VAULT_TOKEN=$(vault token create -policy=rotator -field=token)"
    yield "rotator check"
    yield "rotator --dry-run"


def _seen(draft: Draft) -> Iterator[str]:
    survey, new = draft.survey, len(draft.proposal.entries)
    where = f"{draft.mount}/{survey.under}".rstrip("/") + "/"
    managed = draft.proposal.managed
    known = sum(is_below(key.path, survey.under) for key in managed)
    already = f"{known} managed already; " if managed else ""
    yield f"{count(len(survey.paths), 'secret')} below {where}: {already}{_keys(new, draft.config.before)}."
    if others := len(managed) - known:
        yield f"{count(others, 'key')} of the config outside of it: not looked at, and left as it is there."
    for file in draft.files:
        if file.name in draft.written:
            yield f"{file.name} was written."
        elif file.before is None:
            yield f"{file.name} is not there yet, and was not written."
        elif file.changes:
            yield f"{file.name} is there, and was left as it is: the changes follow."
        else:
            yield f"{file.name} is there, and " + (
                "was left as it is." if draft.by_hand else "needs no change."
            )


def _keys(number: int, before: str | None) -> str:
    to_do = "manage" if before is None else "add"
    return f"{count(number, 'key')} to {to_do}" if number else f"there is no key to {to_do}"
