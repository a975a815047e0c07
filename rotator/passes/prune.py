"""Revoke unmanaged keys that a person names: the one exception to "never what is not ours".

Look, and let the person confirm what was seen; then, for each key, look again, fence, and only then revoke. A key
that became current meanwhile is spared, and so is one whose id is another key's by now.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import structlog

from rotator.errors import Rejected, RotatorError
from rotator.passes.account import Account
from rotator.passes.each import each
from rotator.passes.fence import Moved, write_on_top
from rotator.passes.look_up import belongings_of
from rotator.passes.observe import Observation, observe, second_look, with_second_look
from rotator.redaction import words
from rotator.rules.claims import Claim, claims_path, read_claims
from rotator.rules.decide import decide
from rotator.rules.evidence import Fence, to_prune, to_update
from rotator.rules.facts import Facts
from rotator.rules.model import ManagedKey
from rotator.rules.prune import Sight, Spared, Word, spared
from rotator.rules.times import format_time
from rotator.rules.whose import Owned

log = structlog.get_logger()


@dataclass(frozen=True)
class Pruned:
    """A key that a person named, and what came of it or, before it is confirmed, would."""

    word: Word
    owned: Owned
    why: Spared | None
    """Why it is not revoked; None where it may be."""
    text: str
    """The same in words."""
    revoked: bool = False
    at: datetime | None = None
    """When it was revoked, by the gateway's clock."""
    error: RotatorError | None = None
    """Why its revocation failed."""

    @property
    def goes(self) -> bool:
        """Whether it is to be revoked."""
        return self.why is None

    @property
    def over(self) -> bool:
        """Whether it is dead."""
        return self.error is None and (self.revoked or self.why is Spared.DEAD)

    def to_json(self) -> dict[str, Any]:
        """An item of `keys` in `rotator prune --json`."""
        return {
            "key_id": self.word.key_id,
            "title": words(self.word.title),
            "whose": self.owned.whose,
            "spared": self.why,
            "why": self.text or None,
            "revoked": self.revoked,
            "revoked_at": format_time(self.at) if self.at else None,
            "error": self.error.to_json() if self.error else None,
        }


@dataclass(frozen=True)
class PrunePlan:
    """What a person is asked to confirm."""

    sight: Sight
    keys: tuple[Pruned, ...]
    installation: str | None

    @property
    def sound(self) -> bool:
        """Whether every key may go, or is dead already. Else none of them goes."""
        return all(key.goes or key.why is Spared.DEAD for key in self.keys)


def plan_prune(account: Account, ids: Iterable[int]) -> PrunePlan:
    """Say of each of these keys whether it may go. Raises where a side cannot be reached or refuses us."""
    sight, seen = _look(account, ids)
    return PrunePlan(sight, tuple(_judged(sight, id_) for id_ in sight.owned), seen.installation)


def prune(account: Account, plan: PrunePlan) -> tuple[Pruned, ...]:
    """Revoke what the plan says, one after the other; a failure ends it. Return what became of each key."""
    done: list[Pruned] = []
    failed = False
    for key in plan.keys:
        if failed or not key.goes:
            done.append(key)
            continue
        try:
            done.append(_revoke(account, plan, key))
        except RotatorError as error:
            done.append(_failed(key, error))
            failed = True
    return tuple(_witnessed(account, done))


def _revoke(account: Account, plan: PrunePlan, key: Pruned) -> Pruned:
    account.stopping.check()
    word = key.word
    sight, seen = _look(account, [word.key_id])
    bearer = account.bearer.current()
    if why := spared(sight, word):
        if why[0] is Spared.DEAD:  # somebody was faster
            return replace(key, why=why[0], text=why[1])
        raise _not_revoked(word, why[1])
    facts = _named_in_title(account, seen, word)
    fence = _fence(account, facts, word) if facts else None
    account.bearer.forget()  # the look began with it, and may have taken long: by now it may be this very key
    if account.bearer.current() != bearer:
        raise _not_revoked(word, "the bearer was replaced meanwhile")
    account.gateway.revoke(to_prune(word, (plan.sight, sight), fence, facts))
    # At once, whatever becomes of this process. A warning: it is rare, and never to be lost among what a pass says.
    log.warning("key.pruned", key_id=word.key_id, title=words(word.title))
    return replace(key, revoked=True, at=account.gateway.now())


def _failed(key: Pruned, error: RotatorError) -> Pruned:
    """Log why it was not revoked, or is not known to be. No pass tries it again."""
    error = error.again()
    log.error(
        "key.revoke_failed",
        error=error.message,
        request_id=error.request_id,
        cure=error.cure,
        key_id=key.word.key_id,
        reason="pruned",
    )
    return replace(key, revoked=False, at=None, error=error)


def _look(account: Account, ids: Iterable[int]) -> tuple[Sight, Observation]:
    """Look at the list and at every secret, and at what this Vault has asked for."""
    seen = observe(account, dry_run=True)
    claims = each(account.keys, lambda key: _open_claims(account, seen, key), workers=account.concurrency)
    belongings, wanted = belongings_of(account, seen), tuple(dict.fromkeys(ids))
    used = {
        id_: why
        for id_ in wanted
        if id_ in seen.listed and (why := seen.ownership.used_by(seen.listed[id_], frozenset()))
    }
    deleted = [
        name for name, facts in seen.facts.items() if facts.version.number and facts.version.data is None
    ]
    sight = Sight(
        now=seen.now,
        owned={id_: belongings.of(id_) for id_ in wanted},
        used=used,
        unread=tuple(sorted({*seen.failed, *claims.failed, *deleted})),
        claims=claims.done,
        orphan_after=account.timing.orphan_after,
        doubt=account.gateway.clock.doubt,
    )
    return sight, seen


def _open_claims(account: Account, seen: Observation, key: ManagedKey) -> tuple[Claim, ...]:
    """The claims whose keys may still be published: it takes the version that each is on to rule that out."""
    path = claims_path(account.state_path, key.path)
    kept = read_claims(account.store.read(path), path).kept
    facts = seen.facts.get(key.name)
    latest = facts.version.number if facts else 0
    return tuple(claim for claim in kept if claim.version > latest and not claim.ended)


def _judged(sight: Sight, id_: int) -> Pruned:
    owned = sight.owned[id_]
    word = Word(id_, owned.key.title if owned.key else "")
    why = spared(sight, word)
    return Pruned(word, owned, why[0] if why else None, why[1] if why else "")


def _named_in_title(account: Account, seen: Observation, word: Word) -> Facts | None:
    """The managed key for which a rotator may have made this one, by its title."""
    title = account.titles.parse(word.title)
    ours = title is not None and title.installation == seen.installation
    return seen.facts.get(title.name) if ours and title else None


def _fence(account: Account, facts: Facts, word: Word) -> Fence:
    """Write the secret on top of what was read, as it is: no late write of any rotator can publish the key then."""
    if facts.pending(account.gateway.now()):  # a write of ours would undo another rotator's work
        raise _not_revoked(word, f"{facts.key.name} is being rotated", cure="run it again in a few minutes")
    facts = with_second_look(facts, partial(second_look, account))
    update = to_update(facts, decide(facts).bookkeeping, account.gateway.clock.doubt)
    try:
        return write_on_top(account, facts.key.path, update, alone=False)
    except Moved:
        raise _not_revoked(word, f"the secret of {facts.key.name} was written meanwhile") from None


def _not_revoked(word: Word, why: str, *, cure: str | None = None) -> Rejected:
    return Rejected(f"key {word.key_id} was not revoked: {why}", cure=cure)


def _witnessed(account: Account, keys: Collection[Pruned]) -> Iterator[Pruned]:
    """A DELETE that was answered well is believed when a later list agrees; and what that shows dead is dead."""
    live, doubt = _still_live(account, keys)
    dead = _dead_by_now(account, keys)
    for key in keys:
        id_ = key.word.key_id
        if key.revoked and doubt:
            text = f"the answer was that key {id_} is revoked, and no list was seen since: {doubt.message}"
            yield _failed(key, Rejected(text, request_id=doubt.request_id))
        elif key.revoked and id_ in live:
            text = f"key {id_} was revoked by the answer, and the list shows it live"
            cure = "run it again; if it stays, ask the gateway's support"
            yield _failed(key, Rejected(text, cure=cure))
        elif id_ in dead:
            yield replace(key, error=None, why=Spared.DEAD, text="it is revoked by now")
        else:
            yield key


def _still_live(account: Account, keys: Collection[Pruned]) -> tuple[frozenset[int], RotatorError | None]:
    """What a later list shows live of what was revoked, or why there is no such list."""
    if not any(key.revoked for key in keys):
        return frozenset(), None
    try:
        return account.gateway.unrevoked(), None
    except RotatorError as error:
        return frozenset(), error


def _dead_by_now(account: Account, keys: Collection[Pruned]) -> frozenset[int]:
    """What failed, or had no turn, and is dead all the same: somebody was faster, or an answer was lost."""
    titles = {key.word.key_id: key.word.title for key in keys if key.goes and not key.revoked}
    try:
        listed = account.gateway.list_keys().keys if titles else ()
    except RotatorError:
        return frozenset()
    return frozenset(key.id for key in listed if not key.live and titles.get(key.id) == key.title)
