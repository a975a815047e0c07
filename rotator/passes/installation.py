"""This rotator's identity: made once, with check-and-set 0, and read at the start of every pass.

It is the mark by which a rotator knows its own keys. A config that is copied to another Vault gets another
identity there, so two rotators cannot revoke each other's keys.
"""

import secrets

from rotator.clients import retry
from rotator.errors import Conflict, Rejected, Transient
from rotator.passes.account import Account
from rotator.rules.model import Version
from rotator.rules.titles import valid_installation

FIELD = "installation"


def read_installation(account: Account, *, create: bool) -> str | None:
    """Return the identity. Where there is none, make one, or return None if not to `create`."""
    version = account.store.read(account.state_path)
    if version.data is not None:
        return identity_of(version, account.state_path)
    account.store.check_mount()
    if not create:
        return None
    return retry.call(
        lambda: _create(account), account.policy, event="vault.retry", sleep=account.stopping.sleep
    )


def _create(account: Account) -> str:
    """One attempt: read again, for another replica may have been first, and write where there is nothing."""
    version = account.store.read(account.state_path, once=True)
    if version.data is not None:
        return identity_of(version, account.state_path)
    identity = secrets.token_hex(3)
    try:
        account.store.write(account.state_path, {FIELD: identity}, cas=version.number)
    except Conflict as error:
        raise Transient(error.message, ambiguous=False, cure="a read may be stale for seconds") from None
    return identity


def identity_of(version: Version, path: str) -> str:
    """Return the identity that stands in a secret, or raise Rejected."""
    identity = (version.data or {}).get(FIELD)
    if isinstance(identity, str) and valid_installation(identity):
        return identity
    raise Rejected(
        f"the secret at {path} holds no installation: six hex digits in `{FIELD}`",
        cure="roll it back; if it is lost, delete it: the keys made so far are then foreign, and left alone",
    )
