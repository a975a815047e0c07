"""This rotator's identity, and which Vault it is bound to. Pure.

The identity is the mark by which a rotator knows its own keys. All that is in a Vault can be copied, the identity
too: so it says of which Vault it is, and is refused anywhere else until a person says which one is the original.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rotator.errors import Rejected
from rotator.rules.titles import valid_installation

FIELD: Final = "installation"
BOUND: Final = "bound"
MOVE: Final = "`rotator installation move`"
ADD_ADDRESS: Final = "`rotator installation add-address`"
RENEW: Final = "`rotator installation renew`"


@dataclass(frozen=True)
class Whereabouts:
    """What Vault and the mount say of themselves, and how they were reached. What is not said is empty."""

    cluster_id: str
    mount: str
    """The mount's UUID."""
    namespace: str
    address: str


@dataclass(frozen=True)
class Identity:
    """The record at `vault.state_path`."""

    installation: str
    bound: Whereabouts | None
    """The Vault that it is of; its `address` is empty. None for one that version 0.1.0 wrote."""
    addresses: tuple[str, ...] = ()
    """Those under which that Vault may be reached."""

    @classmethod
    def new(cls, installation: str, here: Whereabouts) -> "Identity":
        """One that is bound to the Vault that is `here`."""
        return cls(installation, here, (here.address,))

    def reached_at(self, address: str) -> "Identity":
        """The same with one more address of the same Vault."""
        return Identity(self.installation, self.bound, tuple(dict.fromkeys((*self.addresses, address))))

    def to_json(self) -> dict[str, Any]:
        """The record as it is written."""
        if self.bound is None:
            return {FIELD: self.installation}
        bound = {
            "cluster_id": self.bound.cluster_id,
            "mount": self.bound.mount,
            "namespace": self.bound.namespace,
            "addresses": list(self.addresses),
        }
        return {FIELD: self.installation, BOUND: bound}


def read_identity(data: Mapping[str, Any], path: str) -> Identity:
    """Read the record. Raises Rejected, with the cure, for one that makes no sense."""
    installation, bound = data.get(FIELD), data.get(BOUND)
    if not valid_installation(installation):
        raise Rejected(
            f"the secret at {path} holds no identity: `{FIELD}` must be six hex digits",
            cure=f"roll the secret back; if it is lost, make a new identity: {RENEW}; the keys "
            f"made so far are then unmanaged, and never revoked",
        )
    if bound is None:
        return Identity(str(installation), None)
    fields = bound if isinstance(bound, dict) else {}
    parts = [
        part for name in ("cluster_id", "mount", "namespace") if isinstance(part := fields.get(name), str)
    ]
    addresses = fields.get("addresses")
    if len(parts) != 3 or not isinstance(addresses, list):
        raise Rejected(
            f"the secret at {path} does not say which Vault it belongs to: `{BOUND}` cannot be read",
            cure=f"roll the secret back; or, if this is the Vault that it was made for: {MOVE}",
        )
    cluster_id, mount, namespace = parts
    return Identity(
        str(installation), Whereabouts(cluster_id, mount, namespace, ""), tuple(map(str, addresses))
    )


def check_place(identity: Identity, here: Whereabouts, path: str) -> None:
    """Raise Rejected, with the cure for each possibility, unless `here` is the Vault that the identity is of."""
    bound = identity.bound
    if bound is None:
        return
    parted = [
        what
        for what, was, now in (
            ("cluster", bound.cluster_id, here.cluster_id),
            ("mount", bound.mount, here.mount),
            ("namespace", bound.namespace, here.namespace),
        )
        if was != now
    ]
    if parted:
        raise Rejected(
            f"the identity {identity.installation} at {path} was made in another Vault (with another "
            f"{', '.join(parted)}), so it was copied here or moved here; nothing was created or revoked",
            cure=f"if it was moved, and no rotator uses the other Vault any more: {MOVE}; "
            f"if this is a copy: {RENEW}; the keys made so far are left to the original",
        )
    if here.address not in identity.addresses:
        raise Rejected(
            f"the identity {identity.installation} at {path} was made in a Vault that is reached at "
            f"{', '.join(identity.addresses)}, not at {here.address}; nothing was created or revoked",
            cure=f"if this is another address of the same Vault: {ADD_ADDRESS}; if it has moved here: {MOVE}; "
            f"if this is a copy, such as a restored snapshot: {RENEW}",
        )


def lost(path: str, number: int) -> Rejected:
    """The error for an identity that was there once; `number` is that of its last version, 0 where none is left."""
    said = (
        f"the identity at {path} was deleted; without it the rotator does not know its own keys, and nothing was "
        "created or revoked"
    )
    if not number:
        return Rejected(
            said,
            cure=f"make a new identity: {RENEW}; the keys made so far are then unmanaged, and never revoked",
        )
    return Rejected(
        said,
        cure=f"undelete it, with vault.mount in place of MOUNT: `vault kv undelete "
        f"-versions={number} -mount=MOUNT {path}`; if it is lost for good, make a new one: "
        f"{RENEW}; the keys made so far are then unmanaged, and never revoked",
    )
