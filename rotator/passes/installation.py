"""Reading this rotator's identity at the start of every pass, making it once, and binding it to its Vault."""

import secrets
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import TypeVar

from rotator.clients import retry
from rotator.errors import Conflict, Rejected, Transient
from rotator.passes.account import Account
from rotator.passes.each import each
from rotator.rules.bookkeeping import read_block
from rotator.rules.installation import FIELD, MOVE, Identity, check_place, lost, read_identity
from rotator.rules.model import ManagedKey, Version

T = TypeVar("T")


class Change(StrEnum):
    """What only a person can say of an identity."""

    MOVE = "move"
    """This is the original: it is bound to the Vault that is here."""
    ADD_ADDRESS = "add-address"
    """This is another address of the Vault that it is bound to."""
    RENEW = "renew"
    """This is a copy, or the identity is lost: a new one is made, and the old one's keys become unmanaged."""


def read_installation(account: Account, *, create: bool) -> str | None:
    """Return the identity. Where there never was one, make it, or return None if not to `create`.

    Raises Rejected, with the cure, for one that was deleted, or that is of another Vault.
    """
    path = account.state_path
    version = account.store.read(path)
    if version.data is None:
        account.store.check_mount()
        if version.number:
            raise lost(path, version.number)
        if any(each(account.keys, partial(_was_ours, account), workers=account.concurrency).done.values()):
            return _patiently(account, lambda: _reread(account))
        if not create:
            return None
        return _patiently(account, lambda: _create(account))
    identity = read_identity(version.data, path)
    here = account.store.whereabouts()
    check_place(identity, here, path)
    if identity.bound is None and create:
        _bind(account, Identity.new(identity.installation, here), version)
    return identity.installation


def _reread(account: Account) -> str:
    """One attempt to read an identity that there must have been: wait a few seconds and run "
    "this again: a read from Vault may be stale for so long."""
    version = account.store.read(account.state_path, once=True)
    if version.data is None:
        gone = lost(account.state_path, version.number)
        raise Transient(gone.message, ambiguous=False, cure=gone.cure)
    identity = read_identity(version.data, account.state_path)
    check_place(identity, account.store.whereabouts(), account.state_path)
    return identity.installation


def _was_ours(account: Account, key: ManagedKey) -> bool:
    """Whether the secret's bookkeeping is of a rotator, so that there was an identity once."""
    block = read_block(account.store.read(key.path).data, key.bookkeeping)
    return account.titles.parse(block.title) is not None


def change_installation(account: Account, change: Change) -> Identity:
    """Make the change that a person asked for, and return the identity. Raises Rejected where it makes no sense."""

    def attempt() -> Identity:
        version = account.store.read(account.state_path, once=True)
        here = account.store.whereabouts()
        if change is Change.RENEW:
            identity = Identity.new(secrets.token_hex(3), here)
        else:
            if version.data is None:
                raise lost(account.state_path, version.number)
            # To move is the cure for a binding that makes no sense, too: it is written anew, whatever it was.
            data = {FIELD: version.data.get(FIELD)} if change is Change.MOVE else version.data
            known = read_identity(data, account.state_path)
            identity = Identity.new(known.installation, here)
            if change is Change.ADD_ADDRESS and known.bound:
                identity = known.reached_at(here.address)
                check_place(identity, here, account.state_path)
        _write(account, identity, version)
        return identity

    return _patiently(account, attempt)


def _create(account: Account) -> str:
    """One attempt: read again, for another replica may have been first, and write where there is nothing."""
    version = account.store.read(account.state_path, once=True)
    if version.data is not None:
        return read_identity(version.data, account.state_path).installation
    if version.number:
        raise lost(account.state_path, version.number)
    identity = Identity.new(secrets.token_hex(3), account.store.whereabouts())
    _write(account, identity, version)
    return identity.installation


def _bind(account: Account, identity: Identity, version: Version) -> None:
    """Say of an identity of version 0.1.0 which Vault it is of."""
    try:
        account.store.write(account.state_path, identity.to_json(), cas=version.number)
    except Conflict:
        pass  # another replica did, or will be asked the same by the next pass
    except Rejected as error:
        raise Rejected(
            f"the identity at {account.state_path} is not bound to its Vault yet, and the "
            f"rotator could not bind it: {error.message}",
            status=error.status,
            cure=f"bind it with a token that may update it: {MOVE}; or grant `update` on it for one pass",
        ) from None


def _write(account: Account, identity: Identity, version: Version) -> None:
    try:
        account.store.write(account.state_path, identity.to_json(), cas=version.number)
    except Conflict as error:
        raise Transient(
            error.message,
            ambiguous=False,
            cure="wait a few seconds and run this again: a read from Vault may be stale for so long",
        ) from None


def _patiently(account: Account, attempt: Callable[[], T]) -> T:
    return retry.call(attempt, account.policy, event="vault.retry", sleep=account.stopping.sleep)
