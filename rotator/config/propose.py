"""What `rotator init` proposes: an entry for each key whose secret is known, and what a person is to decide.

Pure. No plaintext comes here: what a secret holds was compared with the list's previews when it was read.
"""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import groupby
from typing import Any, Final

from rotator.config.misread import secret_faults
from rotator.config.texts import secret_field, secret_path
from rotator.redaction import redact
from rotator.rules.bookkeeping import read_plaintext
from rotator.rules.model import Key, ManagedKey
from rotator.rules.previews import Previews
from rotator.rules.titles import TitleTemplate, valid_name

LONGEST_NAME: Final = 64
LONGEST_QUOTE: Final = 80
"""Characters of somebody's own words, such as a title, that are repeated."""


@dataclass(frozen=True)
class Found:
    """A field of a secret that holds the plaintext of a key of the account."""

    path: str
    field: str
    keys: tuple[Key, ...]
    """The live keys whose previews it fits; of more than one, nobody can tell which it is."""
    bearer: bool = False
    """Whether it is the very key that we called the gateway with."""


@dataclass(frozen=True)
class Survey:
    """What was seen in a mount."""

    found: tuple[Found, ...] = ()
    paths: frozenset[str] = frozenset()
    """Every secret that is listed."""
    empty: frozenset[str] = frozenset()
    """Those of them whose latest version is deleted, or was never written."""
    unread: tuple[str, ...] = ()
    """Those that could not be read."""
    unlisted: tuple[str, ...] = ()
    """Folders that could not be listed."""
    under: str = ""
    """The folder that was looked at; empty for all of the mount."""
    cut: bool = False
    """Whether there was more than is looked at."""

    def saw(self, folder: str) -> bool:
        """Whether all that is in a folder is in `paths`."""
        folder = folder.rstrip("/") + "/"
        hidden = any(is_below(f"{one}/", folder) or is_below(folder, one) for one in self.unlisted)
        return is_below(folder, self.under) and not (self.cut or hidden)


class Doubt(StrEnum):
    """Why a key that was found is not proposed."""

    BEARER = "bearer"
    ONE_PREVIEW = "one_preview"
    MANY_PLACES = "many_places"
    MANY_KEYS = "many_keys"
    UNFIT = "unfit"


@dataclass(frozen=True)
class Question:
    """What a person is to decide."""

    doubt: Doubt
    paths: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Candidate:
    """An entry that is proposed."""

    name: str
    path: str
    field: str
    key: Key


@dataclass(frozen=True)
class Proposal:
    """What to write, and what to tell."""

    entries: tuple[Candidate, ...] = ()
    questions: tuple[Question, ...] = ()
    unstored: tuple[Key, ...] = ()
    """Live keys of the account that are in no secret."""
    gone: tuple[ManagedKey, ...] = ()
    """Entries of the present config that have no secret."""
    managed: tuple[ManagedKey, ...] = ()
    """Entries of the present config."""


Unfit = Callable[[str], str | None]
"""Returns why a policy could not name a path; None where it can."""


def holdings(
    path: str, data: Mapping[str, Any] | None, previews: Previews, bearer: str | None
) -> Iterator[Found]:
    """Yield each field of a secret that holds a key of the account."""
    for field in data or {}:
        text = read_plaintext(data, field)
        if text is None:
            continue
        keys = tuple(previews.matching(text))
        if keys or text == bearer:
            yield Found(path, field, keys, text == bearer)


def propose(
    survey: Survey,
    listed: Iterable[Key],
    *,
    titles: TitleTemplate,
    managed: Sequence[ManagedKey] = (),
    bearer_path: str | None = None,
    bearer_ids: Collection[int] = (),
    unfit: Unfit = lambda _path: None,
) -> Proposal:
    """Return what to propose beside the entries that are `managed` already."""
    known = {key.path for key in managed}
    found = sorted(survey.found, key=lambda one: (one.path, one.field))
    sure: list[Found] = []
    questions: list[Question] = []
    for path, group in groupby(found, lambda one: one.path):
        here = list(group)
        if path in known or path == bearer_path:
            continue
        if question := _question(path, here, unfit):
            questions.append(question)
        else:
            sure += here
    twice = [_places(places) for places in _by_key(found).values() if _is_spread(places, known)]
    spread = {path for question in twice for path in question.paths}
    stored = {key.id for one in found for key in one.keys} | set(bearer_ids)
    return Proposal(
        entries=_named([one for one in sure if one.path not in spread], titles, managed),
        questions=(*questions, *twice),
        unstored=tuple(
            sorted(
                (key for key in listed if key.live and key.id not in stored and not titles.parse(key.title)),
                key=lambda key: key.id,
            )
        ),
        gone=tuple(key for key in managed if _is_gone(key.path, survey)),
        managed=tuple(managed),
    )


def quoted(text: str) -> str:
    """Somebody's own words on one line, without what would be no text on a terminal or in a comment."""
    plain = "".join(character if character.isprintable() else "?" for character in redact(text, short=True))
    return f'"{plain[:LONGEST_QUOTE]}…"' if len(plain) > LONGEST_QUOTE else f'"{plain}"'


def _question(path: str, here: Sequence[Found], unfit: Unfit) -> Question | None:
    """Say why no entry can be proposed for a secret; None where one can."""
    if any(one.bearer for one in here):
        words = (
            f"the secret {quoted(path)} holds the API key that this command was given. To let the rotator "
            "read its own key there, write the path in gateway.api_key.vault. To have it rotated, add an entry, too"
        )
        return Question(Doubt.BEARER, (path,), words)
    for text, check, what in (
        (path, secret_path, f"the path {quoted(path)}"),
        *((one.field, secret_field, f"the field {quoted(one.field)} of {quoted(path)}") for one in here),
    ):
        if fault := _fault(text, check) or (unfit(path) if text is path else None):
            words = f"{what} {fault}. Move the key that it holds to another secret, and run this again"
            return Question(Doubt.UNFIT, (path,), words)
    if len(here) > 1 and len({one.keys for one in here}) > 1:
        fields = ", ".join(f"{_ids(one.keys)} in {quoted(one.field)}" for one in here)
        words = f"the secret {quoted(path)} holds several keys: {fields}. Give each a secret of its own"
        return Question(Doubt.MANY_KEYS, (path,), words)
    if len(here[0].keys) > 1:
        words = (
            f"the secret {quoted(path)} holds {_ids(here[0].keys, 'or')}, which have the same preview. Revoke "
            "the one that no program uses, and run this again"
        )
        return Question(Doubt.ONE_PREVIEW, (path,), words)
    return None


def _fault(text: str, check: Callable[[str], str]) -> str | None:
    """Return why the config could not hold a text as it is; None where it can."""
    try:
        same = check(text) == text
    except ValueError as error:
        return str(error).partition(";")[0]
    return None if same and _is_plain(text) else "is not one that a config can hold"


def _is_plain(text: str) -> bool:
    """Whether a text looks like no secret, and is shown as it is."""
    return redact(text, short=True) == text and not list(secret_faults({"text": text}))


def _by_key(found: Iterable[Found]) -> Mapping[int, list[Found]]:
    places: dict[int, list[Found]] = {}
    for one in found:
        if len(one.keys) == 1 and not one.bearer:
            places.setdefault(one.keys[0].id, []).append(one)
    return places


def _is_spread(places: Sequence[Found], known: Collection[str]) -> bool:
    return len(places) > 1 and any(one.path not in known for one in places)


def _places(places: Sequence[Found]) -> Question:
    at = ", ".join(f"{quoted(one.path)} ({quoted(one.field)})" for one in places)
    words = (
        f"{_ids(places[0].keys)} is in several places: {at}. Only the one in the config gets the new key. "
        "Choose it, let every program read from there, and write that entry"
    )
    return Question(Doubt.MANY_PLACES, tuple(dict.fromkeys(one.path for one in places)), words)


def _ids(keys: Sequence[Key], word: str = "and") -> str:
    ids = [str(key.id) for key in keys]
    return f"key {ids[0]}" if len(ids) == 1 else f"keys {', '.join(ids[:-1])} {word} {ids[-1]}"


def _is_gone(path: str, survey: Survey) -> bool:
    """Whether the secret would have been seen, and was not."""
    if survey.cut or path in survey.unread or not is_below(path, survey.under):
        return False
    if any(is_below(path, folder) for folder in survey.unlisted):
        return False
    return path not in survey.paths or path in survey.empty


def is_below(path: str, folder: str) -> bool:
    """Whether a path lies in a folder; all do in the one without a name."""
    return not folder or path.startswith(folder.rstrip("/") + "/")


def _named(
    found: Iterable[Found], titles: TitleTemplate, managed: Iterable[ManagedKey]
) -> tuple[Candidate, ...]:
    taken = {key.name.strip("/") for key in managed}
    entries = []
    for one in found:
        name = next(name for name in _names(one, titles) if name.strip("/") not in taken)
        taken.add(name.strip("/"))
        entries.append(Candidate(name, one.path, one.field, one.keys[0]))
    return tuple(entries)


def _names(one: Found, titles: TitleTemplate) -> Iterator[str]:
    """Yield names for an entry, the best first, without end: a title's, the path's, the path's with a number."""
    title = one.keys[0].title
    ours = titles.parse(title)
    by_path = re.sub(r"[^A-Za-z0-9 ._/-]+", "-", one.path)[-LONGEST_NAME:].strip(" -/") or "key"
    for name in (ours.name if ours else title.strip(), by_path):
        if valid_name(name) and name.strip("/") and _is_plain(name):
            yield name
    number = 2
    while True:
        yield f"{by_path[: LONGEST_NAME - 8].strip() if _is_plain(by_path) else 'key'} {number}"
        number += 1
