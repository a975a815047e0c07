"""The convention for titles: one class renders and parses them.

A title is a mark by which a key at the gateway is known to be ours, so only what parses back may ever be revoked.
Its nonce is drawn at random and stands in a claim. Version 0.1.0 wrote another one: three digits are a digest of
the secret's path, four are the version that the key was to become there, modulo 65,536, and the last tells attempts
apart.
"""

import hashlib
import html
import re
import unicodedata
from dataclasses import dataclass
from datetime import UTC, datetime

DEFAULT_TEMPLATE = "{name} [{stamp} {installation}-{nonce}]"
MAX_TITLE = 255
"""Characters. The gateway names no bound; longer labels are commonly refused or cut."""

_PLACEHOLDERS = {
    "name": r"[A-Za-z0-9 ._/-]{1,64}",
    "stamp": r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z",
    "installation": r"[0-9a-f]{6}",
    "nonce": r"[0-9a-f]{8}",
}
_NEEDED = ("name", "installation", "nonce")
_VERSIONS = 0x10000
_FEWEST = 3  # letters that say anything


@dataclass(frozen=True)
class Title:
    """The parts of a title."""

    name: str
    installation: str
    nonce: str

    def is_for(self, path: str) -> bool:
        """Whether version 0.1.0 may have made the key for the secret at `path`."""
        return self.nonce.startswith(_digest(path))

    def version(self, latest: int) -> int | None:
        """Return the version that a key of version 0.1.0 was to become, given the secret's `latest` one.

        It cannot lie further ahead than the next version. None when no such version exists: then the
        secret's history was lost or reset, and nothing can be said.
        """
        version = latest + 1 - (latest + 1 - int(self.nonce[3:7], 16)) % _VERSIONS
        return version if version > 0 else None


class TitleTemplate:
    """A template that renders titles and parses them back.

    Raises ValueError, with a message for the operator, when a title could not be parsed back.
    """

    def __init__(self, template: str = DEFAULT_TEMPLATE) -> None:
        parts = re.split(r"\{([^{}]*)\}", template)
        literals, names = parts[::2], parts[1::2]
        if unknown := [name for name in names if name not in _PLACEHOLDERS]:
            raise ValueError(
                f"{{{unknown[0]}}} is not a placeholder; the placeholders are {_listed(_PLACEHOLDERS)}"
            )
        if missing := [name for name in _NEEDED if name not in names]:
            raise ValueError(
                f"{_listed(missing)} missing: without it the rotator could not recognise its keys"
            )
        if twice := [name for name in _PLACEHOLDERS if names.count(name) > 1]:
            raise ValueError(f"{_listed(twice)} is there twice; write it once")
        if not all(literal.isprintable() and literal.isascii() for literal in literals):
            raise ValueError("only printable ASCII characters can stand between the placeholders")
        if template != template.strip():
            raise ValueError("a title must not begin or end with a space: a gateway may cut it off")
        self._literals, self._names = literals, names
        pattern = re.escape(literals[0])
        for name, literal in zip(names, literals[1:], strict=True):
            pattern += f"(?P<{name}>{_PLACEHOLDERS[name]}){re.escape(literal)}"
        self._pattern = re.compile(pattern)
        self._check_that_names_stay_apart()

    def render(self, name: str, *, now: datetime, installation: str, nonce: str) -> str:
        """Return a title that `parse` reads back, if the name is valid and the others have their form."""
        values = {
            "name": name,
            "stamp": f"{now.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
            "installation": installation,
            "nonce": nonce,
        }
        rest = zip(self._names, self._literals[1:], strict=True)
        return self._literals[0] + "".join(values[name] + literal for name, literal in rest)

    def parse(self, title: str) -> Title | None:
        """Return the parts of a title that this template can have made; None for any other."""
        found = self._pattern.fullmatch(title)
        return found and Title(found["name"], found["installation"], found["nonce"])

    def _check_that_names_stay_apart(self) -> None:
        """Refuse a template in which a name could swallow, or lend, a piece of its neighbour.

        A name may hold letters, digits, spaces and `._/-`, so it must be fenced by the title's edge or by
        a character that no name may hold.
        """
        at = self._names.index("name")
        before, after = self._literals[at], self._literals[at + 1]
        fenced_left = (at == 0 and not before) or _fences(before.rstrip()[-1:])
        fenced_right = (at == len(self._names) - 1 and not after) or _fences(after.lstrip()[:1])
        if not (fenced_left and fenced_right):
            raise ValueError(
                "{name} must stand at an edge of the title or beside a character that no name holds, "
                "such as [ or :, so that it parses back"
            )


def resembles(listed: str, sent: str) -> bool:
    """Whether a list that cuts, folds or escapes titles could show the one that was `sent` as `listed`."""
    shown, made = _letters(listed), _letters(sent)
    return len(shown) >= _FEWEST and (shown in made or made in shown)


def _letters(title: str) -> str:
    plain = unicodedata.normalize("NFKC", html.unescape(title)).casefold()
    return "".join(character for character in plain if character.isalnum())


def valid_name(name: str) -> bool:
    """Whether `name` can be a managed key's name: of its characters, and with no space at an edge."""
    return bool(re.fullmatch(_PLACEHOLDERS["name"], name)) and name == name.strip()


def valid_installation(value: object) -> bool:
    """Whether `value` can be an installation's identity: six lower-case hex digits."""
    return isinstance(value, str) and bool(re.fullmatch(_PLACEHOLDERS["installation"], value))


def _digest(path: str) -> str:
    return hashlib.blake2b(path.encode(), digest_size=2).hexdigest()[1:]


def _fences(character: str) -> bool:
    return bool(character) and not re.fullmatch(r"[A-Za-z0-9 ._/-]", character)


def _listed(names: list[str] | dict[str, str]) -> str:
    return ", ".join(f"{{{name}}}" for name in names)
