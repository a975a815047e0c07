"""What a person gives: a key, when they ask which it is; or a reason, which must hold none. Pure."""

import re
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from rotator.errors import ConfigError
from rotator.redaction import Secret, is_word, redact
from rotator.rules.bookkeeping import stripped
from rotator.rules.model import Key
from rotator.rules.previews import matches_preview

MOST_BYTES: Final = 4096
"""More than this is no key; no more than one byte beyond it is read."""
_PREFIX: Final = "sk-"
"""What a key of the gateway begins with, by its contract."""
_SHORTEST: Final = 20
"""A shorter word is no plaintext."""
_TELLING: Final = 4
"""Fewer known characters of a preview, the prefix not counted, fit too many keys."""
_MASKED: Final = re.compile(r"(?P<head>[!-~]*?)(?:\.{2,}|…+|\*{2,}|[•●]+)(?P<tail>[!-~]*)")
_ID: Final = re.compile(r"#?(?P<id>[1-9][0-9]{0,18})")
LONGEST_REASON: Final = 120
"""Characters of a reason: whatever they are, a freeze with it fits into the 512 bytes that Vault allows."""
_IN_WORDS: Final = re.compile(rf"(?<![A-Za-z0-9]){_PREFIX}[^\s]*")
"""Where in a sentence a key of the gateway may begin."""
_LONG: Final = re.compile(rf"{_PREFIX}[A-Za-z0-9_-]{{16,}}")


class Form(StrEnum):
    """What was given."""

    PLAINTEXT = "plaintext"
    PREVIEW = "preview"
    KEY_ID = "key_id"


class NoKey(ConfigError):  # noqa: N818
    """What was given is none of the three. The message does not repeat it."""

    def __init__(self, why: str) -> None:
        super().__init__(f"that is no key: {why}")


@dataclass(frozen=True)
class Given:
    """What was given, as far as it can be told without asking anybody."""

    form: Form
    key_id: int | None = None
    plaintext: Secret | None = None
    ends: tuple[str, str] = field(default=("", ""), repr=False)
    """What a preview shows before and after its mask."""

    @property
    def is_of_the_gateway(self) -> bool:
        """Whether it looks like a key of the gateway. If not, it may be a secret of another server."""
        return self.plaintext is None or self.plaintext.reveal().startswith(_PREFIX)

    def fits(self, key: Key) -> bool:
        """Whether it may be this listed key, by its id or its preview."""
        if self.plaintext:
            return matches_preview(key, self.plaintext.reveal()) is True
        if self.key_id:
            return key.id == self.key_id
        found = _MASKED.fullmatch(key.preview)
        return found is not None and self._fits_ends(found["head"], found["tail"])

    def fits_text(self, text: str) -> bool:
        """Whether it may be this plaintext: the very same, or its preview."""
        if self.plaintext:
            return self.plaintext == Secret(text)
        head, tail = self.ends
        return (
            self.form is Form.PREVIEW
            and len(text) > len(head) + len(tail)
            and text.startswith(head)
            and text.endswith(tail)
        )

    def _fits_ends(self, head: str, tail: str) -> bool:
        """Whether two previews can be of one plaintext, though one may show more of it."""
        ours, its = self.ends
        heads = ours.startswith(head) or head.startswith(ours)
        return heads and (its.endswith(tail) or tail.endswith(its))


def read_given(raw: bytes) -> Given:
    """Say what was given. Raises NoKey for what is no key, without repeating it."""
    if len(raw) > MOST_BYTES:
        raise NoKey("it is too long to be a key")
    try:
        text = stripped(raw.decode())
    except UnicodeDecodeError:
        raise NoKey("it is no text") from None
    if not text:
        raise NoKey("nothing was given")
    if len(text.splitlines()) > 1:
        raise NoKey("it is more than one line; give one key")
    if (found := _ID.fullmatch(text)) and int(found["id"]) < 2**63:
        return Given(Form.KEY_ID, key_id=int(found["id"]))
    if masked := _MASKED.fullmatch(text):
        ends = masked["head"], masked["tail"]
        if not _tells(masked):
            raise NoKey("it is a preview that shows too little of a key")
        return Given(Form.PREVIEW, ends=ends)
    if not is_word(text) or len(text) < _SHORTEST or text.isdigit():
        raise NoKey("it is no plaintext, no masked preview and no key id; give the key alone")
    return Given(Form.PLAINTEXT, plaintext=Secret(text))


def fault_of_reason(reason: str) -> str | None:
    """Say what is wrong with a reason that a person gives; None where nothing is. It does not repeat it.

    A reason is kept where many can read it: in a secret's metadata, in a record, in the log.
    """
    if not reason.strip():
        return "is empty; say why in a few words"
    if len(reason) > LONGEST_REASON:
        return f"has {len(reason):,} characters; write at most {LONGEST_REASON}"
    if not reason.isprintable():
        return "has a line break or another character that is not printed; write one line of text"
    if redact(reason, short=True) != reason or any(map(_is_like_a_key, _IN_WORDS.findall(reason))):
        return "holds what looks like a key or a token; leave that out"
    return None


def _is_like_a_key(word: str) -> bool:
    """Whether a word may be a key of the gateway, in clear or masked."""
    masked = _MASKED.match(word)
    return _LONG.match(word) is not None or (masked is not None and _tells(masked))


def _tells(masked: re.Match[str]) -> bool:
    """Whether a preview shows enough of a key to tell which it is."""
    return len((masked["head"] + masked["tail"]).removeprefix(_PREFIX)) >= _TELLING
