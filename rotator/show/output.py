"""JSON for programs: every object that is printed or served says which kind it is, and by which schema.

`output_schema` describes each kind. Within one number of the schema, fields are added; none is removed or renamed.
"""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any, Final

from rotator.errors import ConfigError, RotatorError

SCHEMA: Final = 1


class Kind(StrEnum):
    """What an object tells of."""

    PASS = "pass"  # noqa: S105 - no password
    STATUS = "status"
    SERVICE = "service"
    CHECK = "check"
    EXPLANATION = "explanation"
    ROLLBACK = "rollback"
    FREEZE = "freeze"
    INSTALLATION = "installation"
    ACK = "ack"
    EXPOSURE = "exposure"
    INCIDENT = "incident"
    PROPOSAL = "proposal"
    IDENTIFIED = "identified"
    KEYS = "keys"
    PRUNE = "prune"
    ERROR = "error"


def document(kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the object as it is written."""
    return {"schema": SCHEMA, "kind": kind, **body}


def error_document(error: RotatorError) -> dict[str, Any]:
    """Return what is written in place of a result."""
    faults = {"faults": list(error.faults)} if isinstance(error, ConfigError) and error.faults else {}
    return document(Kind.ERROR, {"converged": False, "error": error.to_json() | faults})
