"""What both sides are asked about one managed key: its secret, its claims, its history. Writes nothing."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from functools import partial

from rotator.errors import Rejected, Transient
from rotator.passes.account import Account
from rotator.passes.confirm import Confirmations
from rotator.passes.copy import Copies
from rotator.passes.secret import raise_for_owner, remembered
from rotator.redaction import Secret
from rotator.rules.bookkeeping import WITHOUT_GRACE, read_block
from rotator.rules.claims import claims_path, read_claims
from rotator.rules.copies import content_of
from rotator.rules.current import current_of, named_by
from rotator.rules.facts import Facts
from rotator.rules.history import Read, Trace, held_by, rolled_back, suspects, trace
from rotator.rules.model import Key, ManagedKey, Version
from rotator.rules.ownership import Held, Ownership, Titled
from rotator.rules.previews import Previews
from rotator.rules.reasons import REASONS, first
from rotator.rules.titles import Title, resembles


class Reader:
    """Asks both sides about one managed key at a time."""

    def __init__(
        self,
        account: Account,
        installation: str | None,
        listed: Mapping[int, Key],
        now: datetime,
        copies: Copies,
    ) -> None:
        self._account, self._installation, self._listed, self._now = account, installation, listed, now
        self._doubt = account.gateway.clock.doubt
        self._previews = Previews(listed.values())
        self._past: dict[tuple[str, int], Version] = {}
        """By path and number: what was read of earlier versions, which do not change."""
        self._confirmations = Confirmations(account, copies)

    def held(self, key: ManagedKey) -> Held:
        """Read the secret, and say which key it holds."""
        self._account.stopping.check()
        version = remembered(self._account.store.read(key.path), key)
        raise_for_owner(version, key)
        current = current_of(version, key, self._listed, self._previews, self._now)
        shown = self._listed.get(current.key_id or 0) if current else None
        if current and current.superseded and rolled_back(version, self._versions(key), key, shown):
            current = current.as_rolled_back(self._now)
        return Held(version, current, named_by(version, key, current, self._now))

    def facts(
        self,
        key: ManagedKey,
        held: Held,
        titled: Titled,
        ownership: Ownership,
        *,
        forced: bool,
        without_grace: bool,
    ) -> Facts:
        """Return what both sides know of a managed key; some of it is asked for only where it matters."""
        facts = Facts(
            key=key,
            timing=self._account.timing,
            now=self._now,
            version=held.version,
            listed=self._listed,
            family=titled.families[key.name],
            current=held.current,
            refused=False,
            traces={},
            protected=ownership.protected(key),
            forced=forced,
            doubt=self._doubt,
            without_grace=without_grace,
            unmanaged=ownership.unmanaged,
            unread=ownership.unread,
            live_nonces=titled.nonces,
        )
        facts = replace(facts, refused=facts.doubted and self._is_refused(facts))
        return self._with_evidence(facts, titled, ownership)

    def _is_refused(self, facts: Facts) -> bool:
        """Whether the gateway answers 401 to the current plaintext."""
        try:
            return not self._account.gateway.authenticates(Secret(facts.plaintext or ""), by_all=True).works
        except (Rejected, Transient):
            if facts.rotation and not facts.forced:
                raise
            return False  # it is due or forced anyway; this would only have given a better reason

    def _with_evidence(self, facts: Facts, titled: Titled, ownership: Ownership) -> Facts:
        """Add who asked for each key, and what became of it."""
        unnamed = suspects(facts.current, facts.family)
        if not (unnamed or facts.superseded or first(REASONS, facts)):
            return facts
        path = claims_path(self._account.state_path, facts.key.path)
        claims = read_claims(self._account.store.read(path), path)
        traces = {
            suspect.id: trace(
                suspect,
                titled.titles[suspect.id],
                claims,
                facts.version,
                self._versions(facts.key),
                facts.key,
                facts.now,
            )
            for suspect in unnamed
        }
        asked = {mine.id: claims.of(titled.titles[mine.id].nonce) for mine in facts.family}
        family = tuple(
            mine
            for mine in facts.family
            if mine.id == facts.key_id
            or traces.get(mine.id) in (Trace.ORPHAN, Trace.PUBLISHED)
            or (mine.id not in traces and (asked[mine.id] or titled.titles[mine.id].is_for(facts.key.path)))
        )
        facts = replace(
            facts,
            family=family,
            traces=traces,
            claims=claims,
            asked_at={id_: claim.at for id_, claim in asked.items() if claim},
        )
        facts = replace(
            facts, recorded=frozenset(filter(partial(self._is_recorded, facts), facts.superseded))
        )
        return self._with_history(facts, ownership)

    def _is_recorded(self, facts: Facts, id_: int) -> bool:
        """Whether our records say that we made a superseded key, and the list calls it nothing else."""
        listed, sent = facts.listed.get(id_), facts.titles().get(id_, "")
        title = self._our_title(facts, listed, sent)
        if listed is None or title is None:
            return False
        return facts.claims.of(title.nonce) is not None or listed.title == sent

    def _our_title(self, facts: Facts, listed: Key | None, sent: str) -> Title | None:
        """Read a title as it was sent, if it is of ours for this managed key and the list could show it so."""
        title = self._account.titles.parse(sent)
        if title is None or listed is None or not resembles(listed.title, sent):
            return None
        ours = title.installation == self._installation and title.name == facts.key.name
        return title if ours else None

    def _with_history(self, facts: Facts, ownership: Ownership) -> Facts:
        """Look the superseded keys that are due to go up in older versions: title and preview alone can deceive."""
        unproven: set[int] = set()
        recorded: set[int] = set()
        used: dict[int, str] = {}
        texts: dict[int, frozenset[Secret]] = {}
        ended: dict[int, datetime] = {}
        leaked: set[int] = set()
        for id_, since in facts.superseded.items():
            key, gone = facts.listed.get(id_), since + facts.key.grace_period <= facts.now
            if key is None or not key.live or not gone:
                continue
            found = held_by(key, facts.version, self._versions(facts.key), facts.key, facts.now)
            texts[id_] = found.texts
            if why := ownership.used_by(key, found.texts, besides=facts.key):
                used[id_] = why
            if self._ended_by_an_operator(facts, since, found.version):
                leaked.add(id_)
            elif found.until:
                ended[id_] = found.until
            if found.version is None:
                unproven |= {id_} - facts.asked_at.keys() - facts.recorded
                continue
            block = read_block(found.version.data, facts.key.bookkeeping)
            if block.key_id == id_ and self._our_title(facts, key, block.title):
                recorded.add(id_)
        return replace(
            facts,
            unproven=frozenset(unproven),
            recorded=facts.recorded | recorded,
            texts=texts,
            ended=ended,
            leaked=frozenset(leaked),
            protected={**used, **facts.protected},
        )

    def with_acks(self, facts: Facts) -> Facts:
        """Ask what each consumer has confirmed, where that matters: after a grace."""
        if not any(facts.awaits(id_, since) for id_, since in facts.superseded.items()):
            return facts
        content = content_of(facts, self._installation)
        return replace(facts, acks=self._confirmations.of(facts.key, content))

    def _ended_by_an_operator(self, facts: Facts, since: datetime, held_in: Version | None) -> bool:
        """Whether a claim, too, says that a key has no grace: who may write the secret could say so there.

        An operator ended the grace of what was held before the version that was claimed.
        """
        if since != WITHOUT_GRACE or held_in is None:
            return False
        ended = (claim.version for claim in facts.claims.kept if claim.without_grace)
        return any(held_in.number < version <= facts.version.number for version in ended)

    def _versions(self, key: ManagedKey) -> Read:
        def read(number: int) -> Version:
            if (key.path, number) not in self._past:
                self._past[key.path, number] = remembered(self._account.store.read(key.path, number), key)
            return self._past[key.path, number]

        return read
