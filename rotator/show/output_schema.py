"""The JSON Schema of all that the program writes as JSON: `python -m rotator.show.output_schema`.

The text is rotator/show/output.schema.json, which is in the package.
"""

import json
import sys
from collections.abc import Mapping
from typing import Any, Final

from rotator.rules.decide import Note
from rotator.rules.given import Form
from rotator.rules.holds import Hold
from rotator.rules.identify import Verdict
from rotator.rules.reasons import Reason
from rotator.show.output import SCHEMA, Kind
from rotator.show.output_parts import (
    BEHIND,
    BESIDE,
    BOOL,
    BOTH_NOWS,
    COUNT,
    CURRENT,
    DUE,
    ID,
    INSTALLATION,
    NAME,
    NOW,
    PARTS,
    TEXT,
    TIME,
    WORST,
    Fields,
    Rule,
    list_of,
    nullable,
    one_of,
    part,
)

KINDS: Final[Mapping[Kind, tuple[str, Fields]]] = {
    Kind.PASS: (
        "`rotator --once`, `--rotate-now` and `--dry-run`: what a pass did or would do.",
        {
            "run_id": (TEXT, "The `run_id` of its lines in the log."),
            "dry_run": (BOOL, "Whether this was a dry run, which changes nothing."),
            "converged": (BOOL, "Whether nothing failed, was refused, stopped or not reached."),
            "rotated": (COUNT, "The number of rotations."),
            "revoked": (COUNT, "The number of keys that were revoked."),
            "failed": (COUNT, "The number of managed keys that failed."),
            "not_reached": (COUNT, "The number of managed keys that had no turn before the pass was over."),
            **INSTALLATION,
            **BOTH_NOWS,
            "keys": (list_of(part("key_result")), "The managed keys, in the config's order."),
            "foreign": (
                list_of(part("titled_key")),
                "Live keys with titles like ours that this config cannot claim.",
            ),
            "error": (
                nullable(part("failure")),
                "Why the pass gave up the whole account, if it did.",
            ),
        },
    ),
    Kind.STATUS: (
        "`rotator status`: one look at the account.",
        {
            "well": (BOOL, "Whether nothing failed and nothing is overdue."),
            **WORST,
            "about": (part("about"), "The program that wrote this, and what it works on."),
            **BOTH_NOWS,
            **INSTALLATION,
            "keys": (list_of(part("key_status")), "The managed keys, in the config's order."),
            "foreign": (
                list_of(part("titled_key")),
                "Live keys of another installation, with titles like ours.",
            ),
            "leftovers": (
                list_of(part("titled_key")),
                "Live keys made for a name or path that is not in the config.",
            ),
            "unmanaged": (list_of(part("titled_key")), "Live keys that a person or another program made."),
            "bearer": (list_of(ID), "The ids that the rotator's own key may have."),
        },
    ),
    Kind.SERVICE: (
        "`/status.json` of the long-running mode.",
        {
            **WORST,
            "about": (part("about"), "The program that wrote this, and what it works on."),
            "now": (TIME, "This machine's clock."),
            "gateway_now": (TIME, "The gateway's clock."),
            "started": (TIME, "When the program was started."),
            "alive": (BOOL, "Whether further passes will come."),
            "overdue": (BOOL, "Whether the next pass should have begun by now."),
            "ready": (BOOL, "Whether `/readyz` answers 200."),
            "why_not_ready": (nullable(TEXT), "Why `/readyz` does not answer 200, or null if it does."),
            "next_pass": (nullable(TIME), "When the next pass begins, or null while a pass is made."),
            "reload_failed": (
                BOOL,
                "Whether the old config is in use because the new one has faults.",
            ),
            "error": (nullable(part("failure")), "Why the last pass gave up the whole account, if it did."),
            "keys": (list_of(part("key_status")), "The managed keys, in the config's order."),
            "foreign": (
                list_of(ID),
                "The ids of live keys with titles like ours that this config cannot claim.",
            ),
            "passes": (list_of(part("pass_record")), "The last passes, with the newest first."),
        },
    ),
    Kind.CHECK: (
        "`rotator check`: what a pass needs.",
        {
            "well": (BOOL, "Whether nothing is bad."),
            "checks": (list_of(part("finding")), "What was tried, in order."),
            "looks": (COUNT, "How often all of it was tried; these are the findings of the last time."),
        },
    ),
    Kind.EXPLANATION: (
        "`rotator explain`: why a managed key is or is not rotated now.",
        {
            **NAME,
            "version": (COUNT, "The version of the secret. It is 0 if nothing was ever written."),
            **BOTH_NOWS,
            "verdict": (TEXT, "What a pass would do now."),
            "rotates": (BOOL, "Whether it would rotate the key."),
            "reason": (nullable(one_of(Reason)), "Why it is rotated."),
            "hold": (nullable(one_of(Hold)), "Why a rotation that has a reason waits."),
            **CURRENT,
            **DUE,
            "reasons": (list_of(part("row")), "The reasons to rotate."),
            "holds": (list_of(part("row")), "The rows that may hold a rotation."),
            "others": (list_of(part("fate")), "Its other keys."),
            "note": (nullable(one_of(Note)), "Why a pass writes only the bookkeeping."),
            **BEHIND,
            **BESIDE,
            "warnings": (list_of(TEXT), "What its owner should know."),
        },
    ),
    Kind.ROLLBACK: (
        "`rotator rollback`: the previous key is current again.",
        {
            **NAME,
            "dry_run": (BOOL, "Whether this was a dry run, which changes nothing."),
            "current": (ID, "The id of the key that is current again."),
            "superseded": (part("newer_key"), "The newer key."),
            "from_version": (COUNT, "The version of the secret that held its plaintext."),
            "version": (COUNT, "The version that holds it now."),
            **DUE,
            **NOW,
            "request_id": (nullable(TEXT), "The id of the request that proved the previous key."),
            "copies": (list_of(part("copied")), "Its copies, and which of them hold that key now."),
        },
    ),
    Kind.FREEZE: (
        "`rotator hold` and `rotator release`: whether a secret is frozen.",
        {
            **NAME,
            "frozen": (nullable(part("secret_freeze")), "The freeze that stands there now; null for none."),
            "before": (nullable(part("secret_freeze")), "The one that stood there before; null for none."),
            **NOW,
        },
    ),
    Kind.INSTALLATION: (
        "`rotator installation`: the identity as it is now.",
        {
            "installation": (TEXT, "The identity."),
            "bound": (part("binding"), "The Vault that it is bound to."),
        },
    ),
    Kind.ACK: (
        "`rotator ack`: what a consumer has confirmed.",
        {
            "name": (TEXT, "The managed key."),
            "consumer": (TEXT, "Who confirmed."),
            "key_id": (ID, "The key that it has taken up."),
        },
    ),
    Kind.EXPOSURE: (
        "`rotator --rotate-now --revoke-old-now --dry-run`: what a leak exposes.",
        {
            "dry_run": (BOOL, "Always true: nothing was changed."),
            "keys": (list_of(part("exposed_key")), "The managed keys that were named."),
        },
    ),
    Kind.INCIDENT: (
        "`rotator --rotate-now --revoke-old-now`: the record of a leak.",
        {
            "over": (BOOL, "Whether every exposed key is dead."),
            "gateway": (TEXT, "The gateway's URL."),
            "vault": (TEXT, "Vault's address and the mount."),
            **INSTALLATION,
            "began": (TIME, "When it began, on this machine's clock."),
            "ended": (TIME, "When it ended, on this machine's clock."),
            "run_ids": (list_of(TEXT), "The `run_id` of the lines of its passes in the log."),
            "keys": (list_of(part("contained_key")), "The managed keys that were named."),
            "requests": (list_of(part("request")), "Each request that may have changed something."),
            "error": (
                nullable(part("failure")),
                "What ended the command before it revoked the old keys, if anything did.",
            ),
        },
    ),
    Kind.PROPOSAL: (
        "`rotator init`: the config and the policy that it proposes.",
        {
            "written": (
                list_of(TEXT),
                "With `--write`: the files that were not there.",
            ),
            "config": (part("proposed_file"), "The config."),
            "policy": (part("proposed_file"), "The policy of the rotator's own token."),
            "entries": (list_of(part("proposed_key")), "Keys that are to be managed and are not yet."),
            "questions": (list_of(part("question")), "What a person is to decide."),
            "unstored": (
                list_of(part("titled_key")),
                "Live keys that are in no secret that was seen.",
            ),
            "gone": (list_of(part("named_path")), "Entries of the config whose secret is not there."),
            "unread": (list_of(TEXT), "Secrets that could not be read."),
            "unlisted": (list_of(TEXT), "Folders that could not be listed."),
            "looked_at": (COUNT, "Secrets that were looked at."),
            "cut": (BOOL, "Whether there are more."),
            "next": (list_of(TEXT), "The commands that come next."),
        },
    ),
    Kind.IDENTIFIED: (
        "`rotator identify`, and `rotator leaked` where it has nothing to contain: which key a string is.",
        {
            "given": (one_of(Form), "What the string is."),
            "verdict": (one_of(Verdict), "Whether the key is alive; dead means that nothing is to do."),
            "works": (
                nullable(BOOL),
                "Whether the gateway takes it; null where it was not tried, or in vain.",
            ),
            "request_id": (nullable(TEXT), "Of the request that told."),
            "error": (nullable(part("failure")), "Why trying it told nothing."),
            **BOTH_NOWS,
            "keys": (list_of(part("account_key")), "The keys that it may be."),
            "stored": (list_of(part("stored_key")), "The versions of secrets that hold, or held, it."),
            "unread": (
                list_of(TEXT),
                "The managed keys whose secrets could not be read: it may stand there.",
            ),
        },
    ),
    Kind.KEYS: (
        "`rotator keys`: every key of the account, those first that need attention.",
        {
            "about": (part("about"), "Which program this is, and what it works on."),
            **BOTH_NOWS,
            "keys": (list_of(part("account_key")), "The keys, revoked ones too."),
            "unread": (list_of(TEXT), "The managed keys whose secrets could not be read."),
        },
    ),
    Kind.PRUNE: (
        "`rotator prune`: the record of unmanaged keys that a person revoked, or would.",
        {
            "over": (BOOL, "Whether every key that was named is dead."),
            "dry_run": (BOOL, "Whether nothing was to be changed."),
            "about": (part("about"), "Which program this is, and what it works on."),
            "by": (TEXT, "Who ran it, as the machine knows them."),
            "reason": (nullable(TEXT), "Why, in their own words."),
            "began": (TIME, "When it began, by this machine's clock."),
            "ended": (TIME, "When it ended, by this machine's clock."),
            "keys": (list_of(part("pruned_key")), "The keys that were named."),
            "requests": (list_of(part("request")), "Each request that may have changed something."),
        },
    ),
    Kind.ERROR: (
        "A failure, which any command prints in place of its result, also after a wrong use.",
        {
            "converged": (BOOL, "Always false."),
            "error": (part("failure"), "What went wrong."),
        },
    ),
}
OPTIONAL: Final = frozenset({"faults", "bound"})
"""Fields that are left out where they say nothing. Any other is always there."""


def schema() -> dict[str, Any]:
    """Return the schema: JSON Schema 2020-12. It allows fields that it does not name: later versions add some."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "What rotator writes as JSON.",
        "oneOf": [part(kind) for kind in KINDS],
        "$defs": {
            **{kind: _object(says, {**_envelope(kind), **fields}) for kind, (says, fields) in KINDS.items()},
            **{name: _object(says, fields) for name, (says, fields) in PARTS.items()},
        },
    }


def render() -> str:
    """Return the text of output.schema.json."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _envelope(kind: Kind) -> Fields:
    return {
        "schema": ({"const": SCHEMA}, "The number of this schema."),
        "kind": ({"const": kind.value}, "What this object tells of."),
    }


def _object(says: str, fields: Fields) -> Rule:
    return {
        "type": "object",
        "description": says,
        "properties": {name: {**rule, "description": text} for name, (rule, text) in fields.items()},
        "required": [name for name in fields if name not in OPTIONAL],
    }


if __name__ == "__main__":
    sys.stdout.write(render())
