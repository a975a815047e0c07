"""Signatures as the Standard Webhooks specification has them: `v1`, HMAC-SHA256 over id, timestamp and body. Pure.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md
"""

import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Final

from rotator.redaction import Secret

_PREFIX: Final = "whsec_"


def parse_secrets(text: str) -> tuple[Secret, ...]:
    """Return the signing secrets that stand in `text`, with white space between them.

    Raises ValueError, without the text, where one is not as the specification wants it.
    """
    secrets = tuple(Secret(word) for word in text.split())
    if not secrets or not all(_is_sound(secret) for secret in secrets):
        raise ValueError(
            f"write {_PREFIX} and the base64 of 24 to 64 random bytes; several with spaces between"
        )
    return secrets


def signature(secrets: Iterable[Secret], id_: str, timestamp: int, body: bytes) -> str:
    """Sign with each secret: a receiver that knows one of them can verify."""
    signed = f"{id_}.{timestamp}.".encode() + body
    digests = (hmac.digest(_key(secret), signed, "sha256") for secret in secrets)
    return " ".join(f"v1,{b64encode(digest).decode()}" for digest in digests)


def _is_sound(secret: Secret) -> bool:
    try:
        return secret.reveal().startswith(_PREFIX) and 24 <= len(_key(secret)) <= 64
    except ValueError:
        return False


def _key(secret: Secret) -> bytes:
    encoded = secret.reveal().removeprefix(_PREFIX)
    return b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
