"""What a leak of a managed key exposes: which keys are to go, and which of them stay. Pure; it holds no secret."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from rotator.rules.consumers import Ack
from rotator.rules.decide import Plan
from rotator.rules.facts import Facts
from rotator.rules.owner import NOBODY, Owner


@dataclass(frozen=True)
class Exposed:
    """The keys of one managed key that are to go: the current one, and what lives on in its grace."""

    name: str
    path: str
    current: int | None
    going: tuple[int, ...]
    staying: tuple[int, ...]
    """Not ours to revoke."""
    adopted: tuple[int, ...]
    """Of these, those that `revoke_adopted` would let go."""
    unknown: bool
    """Whether the secret holds a key that may work and fits no listed one: nobody can tell which to revoke."""
    owner: Owner = NOBODY
    """Whose the secret is, as people say."""
    consumers: Mapping[str, int | None] = field(default_factory=dict)
    """The key that each consumer confirmed last; None where it has confirmed none."""

    @property
    def running(self) -> tuple[str, ...]:
        """The consumers that run on one of these keys, as far as they have said."""
        return tuple(name for name, id_ in self.consumers.items() if id_ is None or id_ in self.keys)

    @property
    def keys(self) -> tuple[int, ...]:
        """The ids of all of them, those that are not ours to revoke included."""
        return (*self.going, *self.staying)


def exposed_by(facts: Facts, plan: Plan, *, is_bearer: bool) -> Exposed:
    """Return what a leak of this managed key exposes."""
    current, ids = plan.current.key_id if plan.current else None, []
    # The list alone proves nothing: it may omit a key that works, or call it revoked too early.
    works = facts.current is not None and not facts.refused
    if current and works:
        ids.append(current)
    ids += [id_ for id_ in plan.superseded if id_ != current]
    ours = {key.id for key in facts.family} if not facts.key.revoke_adopted else set(ids)
    # The bearer is one no more when its own entry is rotated.
    going = [
        id_ for id_ in ids if id_ in ours and (id_ not in facts.protected or (is_bearer and id_ == current))
    ]
    staying = tuple(id_ for id_ in ids if id_ not in going)
    return Exposed(
        facts.key.name,
        facts.key.path,
        current,
        tuple(going),
        staying,
        tuple(filter(facts.is_left_to_people, staying)),
        unknown=works and not current,
        owner=facts.owner,
        consumers={name: facts.acks.get(name, Ack()).key_id for name in facts.key.confirming},
    )
