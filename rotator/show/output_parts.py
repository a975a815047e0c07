"""What the JSON that the program writes is made of: a table of fields for each part of it."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final, TypeAlias

from rotator.config.propose import Doubt
from rotator.passes.result import Action, Outcome
from rotator.rules.holds import Hold
from rotator.rules.prune import Spared
from rotator.rules.reasons import Reason
from rotator.rules.revocations import Kept, Victim
from rotator.rules.whose import Whose
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
    "path": (TEXT, "The path of its secret, below the mount."),
}
CURRENT: Final = {
    "key_id": (nullable(ID), "The id of the key in the secret, or null if it is not known."),
    "rotated_at": (nullable(TIME), "When that key became current, on the gateway's clock."),
}
DUE: Final = {"due_at": (nullable(TIME), "When it is due, on the gateway's clock.")}
TROUBLE: Final = {
    "warnings": (list_of(TEXT), "What its owner should know."),
    "errors": (list_of(part("failure")), "What went wrong. A key that has been held for long counts, too."),
}
OWNER: Final = {
    "owner": (
        nullable(TEXT),
        "Whose the secret is, by its custom metadata in Vault; cut, and without secrets.",
    ),
    "contact": (nullable(TEXT), "How they are reached, from there."),
}
BEHIND: Final = {
    "behind": (list_of(TEXT), "The consumers whose copies do not hold the current key, as far as was seen.")
}
UNTOLD: Final = {
    "untold": (
        list_of(TEXT),
        "The consumers that are not told yet which key is current, as far as a pass tried.",
    )
}
BESIDE: Final = {
    "frozen": (nullable(part("secret_freeze")), "The freeze of the secret that is in force; null for none."),
    **OWNER,
}
NOW: Final = {"now": (TIME, "The gateway's clock.")}
BOTH_NOWS: Final = {**NOW, "gateway_now": (TIME, "The gateway's clock, the same as `now`.")}
SEVERITY: Final = {
    "severity": ({"enum": [one.word for one in Severity]}, "The severity, as the glossary defines it.")
}
WORST: Final = {**SEVERITY, "headline": (TEXT, "The worst trouble, in words.")}
INSTALLATION: Final = {
    "installation": (nullable(TEXT), "The identity of this installation, or null before there is one.")
}

PARTS: Final[Mapping[str, tuple[str, Fields]]] = {
    "failure": (
        "What went wrong.",
        {
            "message": (TEXT, "What happened."),
            "request_id": (nullable(TEXT), "The id of the request that failed, as its server gave it."),
            "cure": (nullable(TEXT), "What a person can do, or null if only time is known to help."),
            "faults": (
                list_of(TEXT),
                "Every fault of the config with its place. Only an error of the config has it.",
            ),
        },
    ),
    "past_failure": (
        "What went wrong, and when.",
        {
            "at": (TIME, "When it happened, on this machine's clock."),
            "message": (TEXT, "What happened."),
            "request_id": (nullable(TEXT), "The id of the request that failed, as its server gave it."),
            "cure": (nullable(TEXT), "What a person can do, or null if only time is known to help."),
        },
    ),
    "about": (
        "The program that wrote this, and what it works on.",
        {
            "version": (TEXT, "The program's version."),
            "config": (TEXT, "The config file that was read."),
            "account": (nullable(TEXT), "The `account` of the config, or null if the config has none."),
            "gateway": (TEXT, "The gateway's URL."),
            "vault": (TEXT, "Vault's address."),
            "mount": (TEXT, "The mount in Vault."),
            **INSTALLATION,
        },
    ),
    "secret_freeze": (
        "What a person has said of freezing a secret.",
        {
            "until": (
                nullable(TIME),
                "When it ends, by the gateway's clock; null where that cannot be read.",
            ),
            "reason": (TEXT, "Why, in their words; cut, and without secrets."),
        },
    ),
    "other_key": (
        "A live key of a managed key that is not the current one.",
        {
            "key_id": (ID, "Its id."),
            "since": (nullable(TIME), "When it was superseded or, for an orphan, when it was created."),
            "revoke_at": (
                nullable(TIME),
                "When it is revoked, or null if it stays or its grace period was ended.",
            ),
            "stays": (nullable(TEXT), "Why it stays after its time is over, or null if it does not."),
            "unconfirmed": (list_of(TEXT), "The consumers that have not confirmed a later key."),
            "overdue": (BOOL, "Whether it should have been revoked by now."),
        },
    ),
    "key_status": (
        "The state of a managed key.",
        {
            **NAME,
            "state": (one_of(KeyState), "The state in a word."),
            **SEVERITY,
            "why": (nullable(TEXT), "Why it is rotated or held, in words."),
            **CURRENT,
            "age_seconds": (nullable(COUNT), "How long the key has been current."),
            **DUE,
            "superseded": (list_of(part("other_key")), "Live keys that it has replaced."),
            "orphans": (list_of(part("other_key")), "Its live keys that were never published."),
            **BEHIND,
            **UNTOLD,
            **BESIDE,
            "retry_at": (
                nullable(TIME),
                "When it is tried again, on this machine's clock, or null if it is not.",
            ),
            "last_error": (nullable(part("past_failure")), "The last failure that is not mended yet."),
            **TROUBLE,
        },
    ),
    "kept_key": (
        "A superseded key that lives on.",
        {
            "key_id": (ID, "Its id."),
            "revoke_at": (
                nullable(TIME),
                "When it is revoked, or null if it stays or its grace period was ended.",
            ),
            "stays": (nullable(TEXT), "Why it stays after its time is over, or null if it does not."),
            "unconfirmed": (list_of(TEXT), "The consumers that have not confirmed a later key."),
        },
    ),
    "revoked_key": (
        "A key that was revoked or, in a dry run, would be.",
        {
            "key_id": (ID, "Its id."),
            "reason": (one_of(Victim), "What it was."),
        },
    ),
    "key_result": (
        "What a pass did about a managed key.",
        {
            **NAME,
            "action": (
                nullable(one_of(Action)),
                "What the pass decided, or null if it could not read the secret.",
            ),
            "reason": (nullable(one_of(Reason)), "Why it is rotated."),
            "hold": (nullable(one_of(Hold)), "Why a rotation that has a reason waits."),
            "outcome": (one_of(Outcome), "How it ended."),
            **CURRENT,
            **DUE,
            "superseded": (list_of(part("kept_key")), "Live keys that it has replaced."),
            "orphans": (list_of(ID), "The ids of its live keys that were never published."),
            "revoked": (list_of(part("revoked_key")), "The keys that were revoked."),
            **BEHIND,
            **UNTOLD,
            **BESIDE,
            **TROUBLE,
        },
    ),
    "titled_key": (
        "A live key that this rotator does not manage.",
        {
            "key_id": (ID, "Its id."),
            "title": (TEXT, "Its title at the gateway, shortened and without secrets."),
        },
    ),
    "pass_record": (
        "A pass that the long-running mode has made.",
        {
            "run_id": (
                TEXT,
                "The `run_id` of its lines in the log. It is empty if the pass ended before it had one.",
            ),
            "began": (TIME, "When it began, on this machine's clock."),
            "ended": (TIME, "When it ended, on this machine's clock."),
            "converged": (BOOL, "Whether nothing failed, was refused, stopped or not reached."),
            "rotated": (COUNT, "The number of rotations."),
            "revoked": (COUNT, "The number of keys that were revoked."),
            "failed": (COUNT, "The number of managed keys that failed."),
            "error": (nullable(part("failure")), "Why the pass gave up the whole account."),
        },
    ),
    "finding": (
        "One thing that was tried.",
        {
            "name": (TEXT, "What the check looked at."),
            "state": ({"enum": ["ok", "note", "bad", "skipped"]}, "What it means for a pass."),
            "seen": (TEXT, "What it saw."),
            "cure": (nullable(TEXT), "What cures it."),
            "request_id": (nullable(TEXT), "The id of the request that showed it."),
        },
    ),
    "row": (
        "A row of a decision table.",
        {
            "name": (TEXT, "Its name."),
            "holds": (BOOL, "Whether the row applies. The first reason and the first hold that apply count."),
            "text": (TEXT, "The facts behind it."),
        },
    ),
    "fate": (
        "A live key other than the current one, and what a pass would do with it now.",
        {
            "key_id": (ID, "Its id."),
            "victim": (one_of(Victim), "What it is."),
            "kept": (nullable(one_of(Kept)), "Why it is kept, or null if it is revoked now."),
            "text": (TEXT, "The facts behind it."),
        },
    ),
    "binding": (
        "The Vault that an identity is bound to.",
        {
            "cluster_id": (TEXT, "The id of the cluster. It is empty if Vault tells none."),
            "mount": (TEXT, "The mount's UUID."),
            "namespace": (TEXT, "The namespace. It is empty if there is none."),
            "addresses": (list_of(TEXT), "The known addresses of this Vault."),
        },
    ),
    "newer_key": (
        "The newer key, which a rollback has replaced.",
        {
            "key_id": (ID, "Its id."),
            "revoke_at": (nullable(TIME), "When it is revoked, or null if it is revoked already."),
        },
    ),
    "exposed_key": (
        "What a leak of a managed key exposes.",
        {
            "name": (TEXT, "The managed key's name."),
            "going": (list_of(ID), "The ids of the keys that are revoked without a grace period."),
            "staying": (list_of(ID), "The ids of the keys that are not ours to revoke."),
        },
    ),
    "confirmation": (
        "What a consumer confirmed last.",
        {
            "name": (TEXT, "The consumer."),
            "key_id": (nullable(ID), "The id of the key, or null if it has confirmed none."),
        },
    ),
    "copied": (
        "A copy of a key, and whether it holds that key.",
        {
            "consumer": (TEXT, "The consumer that reads the copy."),
            "holds_it": (BOOL, "Whether it was seen to hold the key, or was written."),
            "error": (nullable(part("failure")), "Why it does not."),
        },
    ),
    "contained_key": (
        "What happened to a managed key that has leaked.",
        {
            **NAME,
            "replaced": (nullable(ID), "The id of the key that leaked."),
            "successor": (nullable(ID), "The id of the key that replaced it, or null if there is none."),
            "published_at": (nullable(TIME), "When the successor was published, on the gateway's clock."),
            "revoked": (list_of(ID), "The ids of the keys that were revoked."),
            "alive": (list_of(ID), "The ids of the exposed keys that nobody has seen dead."),
            **OWNER,
            "consumers": (list_of(part("confirmation")), "What each consumer had confirmed."),
            "copies": (list_of(part("copied")), "Its copies, and which of them hold the successor."),
            "unknown": (BOOL, "Whether the secret held a key that fits no key of the list."),
            "errors": (list_of(part("failure")), "What went wrong."),
        },
    ),
    "account_key": (
        "A key of the account, and whose it is.",
        {
            "key_id": (ID, "Its id."),
            "title": (nullable(TEXT), "Its title, cut and without secrets; null where it is not listed."),
            "status": (nullable(TEXT), "Its status, as the gateway lists it."),
            "live": (nullable(BOOL), "Whether it is not listed as revoked; null where it is not listed."),
            "whose": (one_of(Whose), "Whose it is."),
            "managed": (list_of(part("place")), "The managed keys that it belongs to, or may belong to."),
            "bearer": (BOOL, "Whether it is, or may be, the rotator's own key."),
            "created_at": (nullable(TIME), "When it was made, by the gateway."),
            "age_seconds": (nullable(COUNT), "How old it is."),
            "due_at": (nullable(TIME), "When a current key falls due."),
            "revoke_at": (nullable(TIME), "When it is revoked; null for one that stays, or has no grace."),
            "stays": (nullable(TEXT), "Why it stays when its time is over; null for one that goes."),
            "command": (nullable(TEXT), "What revokes it, if it has leaked; null where nothing is to do."),
        },
    ),
    "pruned_key": (
        "A key that a person named, and what came of it.",
        {
            "key_id": (ID, "Its id."),
            "title": (TEXT, "Its title, cut and without secrets; empty where the list does not show it."),
            "whose": (one_of(Whose), "Whose it is."),
            "spared": (nullable(one_of(Spared)), "Why it is not revoked; null where it may be."),
            "why": (nullable(TEXT), "The same in words."),
            "revoked": (BOOL, "Whether it was revoked, and a later list agrees."),
            "revoked_at": (nullable(TIME), "When, by the gateway's clock."),
            "error": (nullable(part("failure")), "Why its revocation failed."),
        },
    ),
    "place": ("A managed key, by its name and its secret, and whose it is.", {**NAME, **OWNER}),
    "stored_key": (
        "A version of a secret that holds, or held, a key.",
        {
            **NAME,
            "version": (COUNT, "The version that holds it."),
            "latest": (COUNT, "The secret's latest version."),
        },
    ),
    "request": (
        "A request that may have changed something.",
        {
            "at": (TIME, "When it happened, on this machine's clock."),
            "method": (TEXT, "Its method."),
            "path": (TEXT, "Its path."),
            "status": (nullable(COUNT), "The status of the answer, or null if none came."),
            "request_id": (nullable(TEXT), "Its id, as the server gave it."),
            "key": (nullable(TEXT), "The managed key for which it was made."),
        },
    ),
    "proposed_file": (
        "A file that `rotator init` proposes.",
        {
            "file": (TEXT, "Its name."),
            "exists": (BOOL, "Whether it was there before."),
            "text": (TEXT, "What should be in it."),
            "diff": (TEXT, "What would change in a file that is there, as `patch` takes it."),
        },
    ),
    "proposed_key": (
        "An entry that `rotator init` proposes.",
        {
            **NAME,
            "field": (TEXT, "The secret's field that holds the plaintext."),
            "key_id": (ID, "The key whose preview it fits."),
        },
    ),
    "question": (
        "Why a key that was found is not proposed.",
        {
            "doubt": (one_of(Doubt), "The kind of doubt."),
            "paths": (list_of(TEXT), "The secrets."),
            "words": (TEXT, "What was seen, and what to do."),
        },
    ),
    "named_path": ("An entry of the config.", NAME),
}
