"""What a pass can come upon: one scene for each thing that it does."""

from collections.abc import Callable
from dataclasses import replace

from rotator.rules.bookkeeping import Rotation
from rotator.sandbox.faults import Fault, Phase, Status
from rotator.sandbox.replies import Reply
from tests.facts import PATH, managed
from tests.promises import Promises
from tests.stage import BEARER
from tests.world import World

Scene = Callable[[World, Promises], None]


def missing(world: World, promises: Promises) -> None:
    """Nothing is there yet, not even an identity."""


def due(world: World, promises: Promises) -> None:
    world.make_pass()
    world.advance(7)


def rotated(world: World, promises: Promises) -> None:
    """What was replaced is in its grace, and can be put back."""
    due(world, promises)
    world.make_pass()


def due_with_a_revocation(world: World, promises: Promises) -> None:
    rotated(world, promises)
    world.advance(7)


def sweep(world: World, promises: Promises) -> None:
    world.make_pass()
    world.advance(1)
    world.server.faults.add(Fault("POST /keys", Status(500), at=Phase.AFTER, times=2))
    world.make_pass(forced=True)
    world.advance(1, minutes=16)


def adoption(world: World, promises: Promises) -> None:
    by_hand = promises.by_hand("made by hand")
    world.store.write(PATH, {"api_key": by_hand.plaintext, "note": "keep me"}, cas=0)


def record(world: World, promises: Promises) -> None:
    """Somebody wrote a secret, with its bookkeeping, over ours."""
    world.make_pass()
    by_hand = promises.by_hand("made by hand")
    rotation = Rotation(by_hand.id, by_hand.title, by_hand.created_at, by_hand.created_at, {})
    world.store.write(PATH, rotation.merged_into({"api_key": by_hand.plaintext}, 2), cas=1)


def lost_race(world: World, promises: Promises) -> None:
    """Somebody puts another key into the secret between our create and our store."""
    due(world, promises)
    secret = {**world.secret(), "api_key": promises.by_hand("by hand").plaintext}

    def rival(reply: Reply | None) -> Reply | None:
        world.store.write(PATH, secret, cas=world.store.read(PATH).number)
        return reply

    world.server.faults.add(Fault("POST /keys", rival, at=Phase.AFTER))


def bearer(world: World, promises: Promises) -> None:
    world.keys = (managed(), replace(managed(), name="Rotator", path=BEARER))
    world.bearer_path = BEARER
    due_with_a_revocation(world, promises)


def revoked(world: World, promises: Promises) -> None:
    world.make_pass()
    world.advance(0, minutes=3)
    world.server.account.revoke(world.live[0].id)


def restored(world: World, promises: Promises) -> None:
    """Somebody put the superseded key back, by an older version."""
    due(world, promises)
    world.make_pass()
    world.store.write(PATH, world.store.read(PATH, 1).data or {}, cas=world.store.read(PATH).number)
    world.advance(1, minutes=1)


def unknown(world: World, promises: Promises) -> None:
    """What is in the secret is no key of this account."""
    world.make_pass()
    theirs = "sk-of-another-account-0123456789"
    promises.note(PATH, theirs, by_hand=True)
    world.store.write(PATH, {**world.secret(), "api_key": theirs}, cas=1)


SCENES: list[Scene] = [missing, due, due_with_a_revocation, sweep, adoption, record, lost_race, bearer]
"""Those in which a process is killed; the others differ only in what is read and decided."""
ALL_SCENES = [*SCENES, revoked, restored, unknown]
