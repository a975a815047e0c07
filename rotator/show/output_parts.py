"""What the JSON that the program writes is made of: a table of fields for each part of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

from rotator.passes.result import Action, Outcome
from rotator.rules.holds import Hold
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Kept, Victim
from rotator.show.severity import KeyState, Severity

Rule: TypeAlias = dict[str, Any]

TEXT: Final[Rule] = {"type": "string"}
TIME: Final[Rule] = {"type": "string", "format": "date-time"}
BOOL: Final[Rule] = {"type": "boolean"}
COUNT: Final[Rule] = {"type": "integer", "minimum": 0}
ID: Final[Rule] = {"type": "integer"}


def nullable(rule: Rule) -> Rule:
    """What fits `rule`, or null."""
    return {"anyOf": [rule, {"type": "null"}]}


def list_of(rule: Rule) -> Rule:
    """A list of what fits `rule`."""
    return {"type": "array", "items": rule}


def one_of(kind: type[StrEnum]) -> Rule:
    """One of the words of an enumeration."""
    return {"enum": [word.value for word in kind]}


def part(name: str) -> Rule:
    """A part of `PARTS`."""
    return {"$ref": f"#/$defs/{name}"}


Fields: TypeAlias = Mapping[str, tuple[Rule, str]]
"""A rule and a description by the field's name."""
NAME: Final = {
    "name": (TEXT, "The managed key's name."),
    "path": (TEXT, "Where its secret is, below the mount."),
}
CURRENT: Final = {
    "key_id": (nullable(ID), "The id of the key that the secret holds; null where it is not known."),
    "rotated_at": (nullable(TIME), "Since when that key is current, by the gateway's clock."),
}
DUE: Final = {"due_at": (nullable(TIME), "When it falls due, by the gateway's clock.")}
TROUBLE: Final = {
    "warnings": (list_of(TEXT), "What its owner should know."),
    "errors": (list_of(part("failure")), "What went wrong; a key that is held for long counts, too."),
}
NOW: Final = {"now": (TIME, "The gateway's clock.")}
BOTH_NOWS: Final = {**NOW, "gateway_now": (TIME, "The same.")}
SEVERITY: Final = {"severity": ({"enum": [one.word for one in Severity]}, "How bad it is.")}
WORST: Final = {**SEVERITY, "headline": (TEXT, "What is worst, in words.")}
INSTALLATION: Final = {
    "installation": (nullable(TEXT), "The identity of this installation; null before there is one.")
}

PARTS: Final[Mapping[str, tuple[str, Fields]]] = {
    "failure": (
        "What went wrong.",
        {
            "message": (TEXT, "What happened."),
            "request_id": (nullable(TEXT), "Of the request that failed, as its server gave it."),
            "cure": (nullable(TEXT), "What a person can do; null where nothing but time is known to help."),
            "faults": (
                list_of(TEXT),
                "Every fault of the config, each with its place; only of a config's error.",
            ),
        },
    ),
    "past_failure": (
        "What went wrong, and when.",
        {
            "at": (TIME, "When, by this machine's clock."),
            "message": (TEXT, "What happened."),
            "request_id": (nullable(TEXT), "Of the request that failed, as its server gave it."),
            "cure": (nullable(TEXT), "What a person can do; null where nothing but time is known to help."),
        },
    ),
    "about": (
        "Which program this is, and what it works on.",
        {
            "version": (TEXT, "The program's version."),
            "config": (TEXT, "The config file that was read."),
            "account": (nullable(TEXT), "What the config calls the account; null where it has no `account`."),
            "gateway": (TEXT, "The gateway's URL."),
            "vault": (TEXT, "Vault's address."),
            "mount": (TEXT, "The mount in Vault."),
            **INSTALLATION,
        },
    ),
    "other_key": (
        "A live key of a managed key that is not the current one.",
        {
            "key_id": (ID, "Its id."),
            "since": (nullable(TIME), "When it was superseded; when it was created, for an orphan."),
            "revoke_at": (
                nullable(TIME),
                "When it is revoked; null for one that stays, or whose grace was ended.",
            ),
            "stays": (nullable(TEXT), "Why it stays when its time is over; null for one that goes."),
            "overdue": (BOOL, "Whether it should be gone by now."),
        },
    ),
    "key_status": (
        "How a managed key stands.",
        {
            **NAME,
            "state": (one_of(KeyState), "Its state in a word."),
            **SEVERITY,
            "why": (nullable(TEXT), "Why it is rotated or held."),
            **CURRENT,
            "age_seconds": (nullable(COUNT), "For how long the key is current."),
            **DUE,
            "superseded": (list_of(part("other_key")), "Live keys that it has replaced."),
            "orphans": (list_of(part("other_key")), "Live keys of it that were never published."),
            "retry_at": (nullable(TIME), "When it is tried again, by this machine's clock, if it is."),
            "last_error": (nullable(part("past_failure")), "What went wrong last, and is not mended yet."),
            **TROUBLE,
        },
    ),
    "kept_key": (
        "A superseded key that lives on.",
        {
            "key_id": (ID, "Its id."),
            "revoke_at": (
                nullable(TIME),
                "When it is revoked; null for one that stays, or whose grace was ended.",
            ),
            "stays": (nullable(TEXT), "Why it stays when its time is over; null for one that goes."),
        },
    ),
    "revoked_key": (
        "A key that was revoked or, in a dry run, would be.",
        {"key_id": (ID, "Its id."), "reason": (one_of(Victim), "What it was.")},
    ),
    "key_result": (
        "What a pass did about a managed key.",
        {
            **NAME,
            "action": (
                nullable(one_of(Action)),
                "What was decided; null where its secret could not be read.",
            ),
            "reason": (nullable(one_of(Reason)), "Why it is rotated."),
            "hold": (nullable(one_of(Hold)), "Why a rotation that has a reason is not done now."),
            "outcome": (one_of(Outcome), "What came of it."),
            **CURRENT,
            **DUE,
            "superseded": (list_of(part("kept_key")), "Live keys that it has replaced."),
            "orphans": (list_of(ID), "The ids of live keys of it that were never published."),
            "revoked": (list_of(part("revoked_key")), "What was revoked."),
            **TROUBLE,
        },
    ),
    "titled_key": (
        "A live key that is not managed here.",
        {"key_id": (ID, "Its id."), "title": (TEXT, "Its title at the gateway; cut, and without secrets.")},
    ),
    "pass_record": (
        "A pass that the long-running mode has made.",
        {
            "run_id": (TEXT, "The `run_id` of its lines in the log; empty where it ended before it had one."),
            "began": (TIME, "When it began, by this machine's clock."),
            "ended": (TIME, "When it ended, by this machine's clock."),
            "converged": (BOOL, "Whether nothing failed, was refused, stopped or not reached."),
            "rotated": (COUNT, "Rotations."),
            "revoked": (COUNT, "Keys that were revoked."),
            "failed": (COUNT, "Managed keys that failed."),
            "error": (nullable(part("failure")), "Why the whole account was given up."),
        },
    ),
    "finding": (
        "What was tried.",
        {
            "name": (TEXT, "What was looked at."),
            "state": ({"enum": ["ok", "note", "bad", "skipped"]}, "What it means for a pass."),
            "seen": (TEXT, "What was seen."),
            "cure": (nullable(TEXT), "What cures it."),
            "request_id": (nullable(TEXT), "Of the request that told."),
        },
    ),
    "row": (
        "A row of a decision table.",
        {
            "name": (TEXT, "Its name."),
            "holds": (BOOL, "Whether it holds; of the reasons and of the holds the first counts."),
            "text": (TEXT, "The facts that it goes by."),
        },
    ),
    "fate": (
        "A live key beside the current one, and what becomes of it now.",
        {
            "key_id": (ID, "Its id."),
            "victim": (one_of(Victim), "What it is."),
            "kept": (nullable(one_of(Kept)), "Why it is not revoked now; null where it is."),
            "text": (TEXT, "The facts that this goes by."),
        },
    ),
    "binding": (
        "The Vault that an identity is bound to.",
        {
            "cluster_id": (TEXT, "The id of its cluster; empty where it tells none."),
            "mount": (TEXT, "The mount's UUID."),
            "namespace": (TEXT, "The namespace; empty for none."),
            "addresses": (list_of(TEXT), "The addresses that it is known by."),
        },
    ),
    "newer_key": (
        "The key that a rollback has put aside.",
        {
            "key_id": (ID, "Its id."),
            "revoke_at": (nullable(TIME), "When it is revoked; null where it is already."),
        },
    ),
    "exposed_key": (
        "What a leak of a managed key exposes.",
        {
            "name": (TEXT, "The managed key's name."),
            "going": (list_of(ID), "The ids of the keys that are revoked without grace."),
            "staying": (list_of(ID), "The ids of those that are not ours to revoke."),
        },
    ),
    "contained_key": (
        "What came of a leaked managed key.",
        {
            **NAME,
            "replaced": (nullable(ID), "The id of the key that leaked."),
            "successor": (nullable(ID), "The id of the key in its place; null where there is none."),
            "published_at": (nullable(TIME), "When the successor was published, by the gateway's clock."),
            "revoked": (list_of(ID), "The ids of the keys that were revoked."),
            "alive": (list_of(ID), "The ids of the exposed keys that nobody has seen dead."),
            "unknown": (BOOL, "Whether the secret held a key that fits no listed one."),
            "errors": (list_of(part("failure")), "What went wrong."),
        },
    ),
    "request": (
        "A request that may have changed something.",
        {
            "at": (TIME, "When, by this machine's clock."),
            "method": (TEXT, "Its method."),
            "path": (TEXT, "Its path."),
            "status": (nullable(COUNT), "The answer's status; null where none came."),
            "request_id": (nullable(TEXT), "As the server gave it."),
            "key": (nullable(TEXT), "The managed key that it was made for."),
        },
    ),
}
