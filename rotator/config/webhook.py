"""The config's block of the webhook, and the secrets that sign what is sent there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from rotator import signing
from rotator.config import texts
from rotator.config.block import Block
from rotator.errors import ConfigError
from rotator.model import NoticeType
from rotator.redaction import Secret

_ALL: Final[list[NoticeType]] = list(get_args(NoticeType))


class SigningSecret(Block):
    """Where the secret that signs notices is read from: whsec_ and base64; several while it is replaced."""

    env: Annotated[str, AfterValidator(texts.variable)] | None = Field(
        default=None, description="The name of an environment variable, never the secret itself."
    )
    file: Annotated[str, AfterValidator(texts.file_name)] | None = Field(
        default=None, description="A file that holds the secret and nothing else."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if (self.env is None) == (self.file is None):
            raise ValueError("names no source, or two; write one of env, file")
        return self


class Webhook(Block):
    """A receiver of notices: CloudEvents, signed as the Standard Webhooks specification has it."""

    url: Annotated[str, AfterValidator(texts.endpoint)] = Field(
        description="Where notices are posted. http:// only for this machine."
    )
    secret: SigningSecret = Field(description="The source of the secret that signs them.")
    events: list[NoticeType] = Field(default=_ALL, min_length=1, description="Which are sent; all.")


def signing_secrets(webhook: Webhook, environ: Mapping[str, str]) -> tuple[Secret, ...]:
    """Read the secrets. Raises ConfigError, without what was read, when there are none or they are not sound."""
    if webhook.secret.env:
        text = environ.get(webhook.secret.env, "")
    else:
        try:
            text = Path(webhook.secret.file or "").read_text("utf-8")
        except (OSError, UnicodeDecodeError):
            raise ConfigError("webhook.secret names a file that cannot be read; make it readable") from None
    try:
        return signing.parse_secrets(text)
    except ValueError as error:
        raise ConfigError(f"webhook.secret names a source without a sound secret; {error}") from None
