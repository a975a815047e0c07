"""Vault's wire format: what an answer must look like, and what each status asks of the caller.

Pure: takes a status, headers and bytes, returns values or raises one of `rotator.errors`. A message
never holds data.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from math import inf
from typing import Any, Final, NamedTuple

from rotator.clients.answers import Answer
from rotator.errors import BrokenContract, Conflict, Rejected
from rotator.redaction import Secret, is_word, words
from rotator.rules.model import Version
from rotator.rules.times import parse_time

MAX_COUNT: Final = 10**12
"""No version is so high, and no token lives for so many seconds."""


class Lease(NamedTuple):
    """A token, and for how long it was given."""

    token: Secret
    ttl: float = inf
    """In seconds."""
    renewable: bool = False
    ours: bool = False
    """Whether a login of ours made it, so that nobody else uses it."""


class Health(NamedTuple):
    """What a server says of itself."""

    version: str
    initialized: bool
    sealed: bool
    standby: bool
    cluster_id: str = ""
    """Empty where it does not say."""


class TokenFacts(NamedTuple):
    """What Vault says of our token."""

    ttl: timedelta | None
    """None when it does not expire."""
    renewable: bool
    policies: tuple[str, ...]
    uses: int | None = None
    """How many requests it is good for yet; None when that has no bound."""


class VaultAnswer(Answer):
    """One answer of Vault, with what Vault's API says must be in it."""

    def __init__(self, what: str, status: int, headers: Mapping[str, str], content: bytes) -> None:
        super().__init__(what, status, headers, content or b"{}")

    @property
    def data(self) -> Mapping[str, Any]:
        """The object in `data`; empty where none is."""
        data = self.body.get("data")
        return data if isinstance(data, dict) else {}

    @property
    def errors(self) -> str:
        """What Vault says is wrong: short, printable and redacted."""
        errors = self.body.get("errors")
        said = [error for error in errors if isinstance(error, str)] if isinstance(errors, list) else []
        return words(re.sub(r"^\d+ errors? occurred:\s*\*\s*", "", "; ".join(said)).strip())

    def integer(self, *path: str) -> int:
        """Return the count at `path`, from 0 to below MAX_COUNT. Raises BrokenContract where none is."""
        value = self._at(path)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < MAX_COUNT:
            raise self.broken(f"{'.'.join(path)} is not a count")
        return value

    def secret(self, *path: str) -> Secret:
        """Return the one word of printable ASCII at `path`. Raises BrokenContract where none is."""
        value = self._at(path)
        if not isinstance(value, str) or not is_word(value):
            raise self.broken(f"{'.'.join(path)} is not there")
        return Secret(value)

    def _at(self, path: Iterable[str]) -> Any:
        value: Any = self.body
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value

    def broken(self, fault: str) -> BrokenContract:
        """The error for an answer that lacks what it must have."""
        cure = "check that vault.address is a Vault server, and that vault.mount is a KV version 2 mount"
        if self.fault and "nested" in self.fault:
            cure = "move the deeply nested data to a secret of its own"
        return self.broken_contract(f"the answer is not Vault's: {self.fault or fault}", cure)

    def raise_for_refusal(self) -> None:
        """Raise what the status means. Returns for a success, and for a 404, which is an answer too."""
        if self.status == HTTPStatus.BAD_REQUEST and "missing client token" in self.errors:
            self.status = HTTPStatus.FORBIDDEN  # as later servers call it
        said = f"{self.status} ({self.errors})" if self.errors else str(self.status)
        message = f"{self.what}: {said}"
        if self.status == HTTPStatus.TOO_MANY_REQUESTS:
            raise self.limited(said, cure=_cure(self))
        if self.status in _NOT_EXECUTED or (self.status in _REFUSALS and _PASSING.search(self.errors)):
            raise self.transient(said, ambiguous=False, cure=_cure(self))
        if self.status == HTTPStatus.NOT_FOUND and not _NOWHERE.search(self.errors):
            if not self.body.keys() & {"errors", "data"}:
                raise self.broken("a 404 that does not come from Vault")
            return
        if HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES:
            return
        if self.status == HTTPStatus.BAD_REQUEST and "check-and-set" in self.errors:
            raise Conflict(message, status=self.status)
        foreign = self.status not in _OWN or (self.fault and self.status != HTTPStatus.NOT_FOUND)
        if foreign and self.status in _REFUSALS:
            cure = "a proxy or a firewall between here and Vault answered; let it pass what goes to Vault"
            raise self.transient(f"{self.status}, but not from Vault", ambiguous=True, cure=cure)
        mistaken = _MISTAKEN.search(self.errors)
        if self.status == HTTPStatus.REQUEST_TIMEOUT or (self.status >= 500 and not mistaken):
            raise self.transient(said, ambiguous=True, cure=_cure(self))
        raise Rejected(message, status=self.status, cure=_cure(self))


_NEEDED: Final = {"GET": "read", "LIST": "list", "PATCH": "patch"}
_NO_NAMESPACE: Final = "namespace not found"
# A 404 that is no answer of a secrets engine: there is none.
_NOWHERE: Final = re.compile(f"no handler for route|{_NO_NAMESPACE}")
# 412: the node has not seen the state yet that the request needs. 472, 473: a standby that does not serve.
_NOT_EXECUTED: Final = {307, 412, HTTPStatus.TOO_EARLY, 472, 473}
_REFUSALS: Final = range(400, 500)
# What Vault itself refuses with. 413: a body that is too large.
_OWN: Final = {400, 403, 404, 405, 413}
# A KV engine that is being upgraded answers 400: after a start, an unseal, a failover.
_PASSING: Final = re.compile(
    "from non-versioned to versioned|for a brief period|try again later|temporarily|being migrated|(is|been) locked"
)
# A mistake in the set-up that old servers answer with 500.
_MISTAKEN: Final = re.compile("claim .{1,40} is invalid|invalid (issuer|audience)")


def _cure(answer: VaultAnswer) -> str | None:
    if _NO_NAMESPACE in answer.errors:
        return "the namespace does not exist; correct or unset vault.namespace or VAULT_NAMESPACE"
    if answer.status == HTTPStatus.NOT_FOUND:
        return (
            "there is no such mount; make it: `vault secrets enable -path=MOUNT -version=2 kv`; "
            "or correct vault.mount"
        )
    if answer.status == HTTPStatus.METHOD_NOT_ALLOWED and answer.what.startswith("PATCH"):
        return "Vault has custom metadata since 1.9: with an older one, a secret cannot be frozen"
    if answer.status == HTTPStatus.FORBIDDEN:
        needed = _NEEDED.get(answer.what.partition(" ")[0], "create and update")
        return f"check that the token has not expired, and that its policy grants {needed} on this path"
    if _MISTAKEN.search(answer.errors):
        return (
            "Vault before 1.9 checks who issued a service account's token: set `disable_iss_validation=true`, or "
            "the right `issuer`, in the auth method's config"
        )
    if answer.status == HTTPStatus.TOO_MANY_REQUESTS:
        return (
            "a quota in Vault is reached; look at the quotas on this mount, and at the settings: "
            "`vault read sys/quotas/config`"
        )
    if answer.status == HTTPStatus.SERVICE_UNAVAILABLE:
        return (
            "find out whether Vault is sealed: `vault status`; if it is, unseal it: `vault operator unseal`"
        )
    if answer.status == HTTPStatus.TEMPORARY_REDIRECT:
        return (
            "set vault.address to the active node or to a load balancer; the rotator does not "
            "follow the redirect with its token"
        )
    return None


def lease_of(answer: VaultAnswer) -> Lease:
    """What a login or a renewal gave. A TTL of none is Vault's for a token that does not expire."""
    auth = answer.body.get("auth")
    renewable = isinstance(auth, dict) and auth.get("renewable") is True
    ttl = answer.integer("auth", "lease_duration")
    return Lease(answer.secret("auth", "client_token"), ttl or inf, renewable, ours=True)


def health_of(answer: VaultAnswer) -> Health:
    """Return what `sys/health` says. Raises BrokenContract unless it tells whether it is sealed."""
    flags = [answer.body.get(name) for name in ("initialized", "sealed", "standby")]
    if not all(isinstance(flag, bool) for flag in flags):
        raise answer.broken("it does not say whether it is sealed")
    version, cluster_id = (answer.body.get(name) for name in ("version", "cluster_id"))
    initialized, sealed, standby = map(bool, flags)
    named = words(str(version or "unknown")), words(str(cluster_id or ""))
    return Health(named[0], initialized, sealed, standby, named[1])


def token_of(answer: VaultAnswer) -> TokenFacts:
    """Return what `auth/token/lookup-self` says. A `ttl` of 0 without an `expire_time` never expires."""
    ttl, policies = answer.integer("data", "ttl"), answer.data.get("policies")
    expires = answer.data.get("expire_time") is not None or ttl > 0
    return TokenFacts(
        timedelta(seconds=ttl) if expires else None,
        answer.data.get("renewable") is True,
        tuple(words(str(name)) for name in policies) if isinstance(policies, list) else (),
        uses if isinstance(uses := answer.data.get("num_uses"), int) and uses > 0 else None,
    )


def names_of(answer: VaultAnswer) -> list[str]:
    """Return what a folder holds. A 404 is one that is not there."""
    if answer.status == HTTPStatus.NOT_FOUND:
        return []
    names = answer.data.get("keys")
    if not isinstance(names, list) or not all(isinstance(name, str) and name for name in names):
        raise answer.broken("data.keys is not a list of names")
    return names


def version_of(answer: VaultAnswer) -> Version:
    """Return the version that was read. A 404 with metadata is one that was deleted or destroyed."""
    if answer.status == HTTPStatus.NOT_FOUND and not answer.data:
        return Version(0, None)
    number = answer.integer("data", "metadata", "version")
    data = answer.data.get("data")
    metadata = answer.data.get("metadata")
    custom = custom_of(metadata)
    if answer.status == HTTPStatus.NOT_FOUND:
        return Version(number, None, _time_of(answer, "created_time"), custom=custom)
    if not isinstance(data, dict):
        raise answer.broken("data.data is not an object")
    written_at, deletes_at = _time_of(answer, "created_time"), _time_of(answer, "deletion_time")
    return Version(number, data, written_at, deletes_at, custom)


def custom_of(metadata: object) -> Mapping[str, str]:
    """Return a secret's custom metadata. Servers before 1.9 have none; a value that is no text is shown as one."""
    custom = metadata.get("custom_metadata") if isinstance(metadata, dict) else None
    return {name: str(value) for name, value in custom.items()} if isinstance(custom, dict) else {}


def _time_of(answer: VaultAnswer, name: str) -> datetime | None:
    metadata = answer.data.get("metadata")
    text = metadata.get(name) if isinstance(metadata, dict) else None
    try:
        # Vault gives nanoseconds, and Python's times have none.
        return parse_time(re.sub(r"(\.[0-9]{6})[0-9]+", r"\1", text)) if isinstance(text, str) else None
    except ValueError:
        return None


def capabilities_of(answer: VaultAnswer, path: str) -> set[str]:
    """Return what the token may do at `path`, of what a KV engine knows; `root` may do all of it."""
    granted = answer.data.get(path)
    names = {str(name) for name in granted} if isinstance(granted, list) else set()
    if "deny" in names:
        return set()
    return names | {"create", "read", "update"} if "root" in names else names
