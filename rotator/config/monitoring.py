"""The config's blocks for what people and monitoring are shown and told."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal, Protocol, TypeAlias, get_args

from pydantic import AfterValidator, BeforeValidator, Field

from rotator.clients import webhook_signature
from rotator.config import texts
from rotator.config.texts import Block, Sources
from rotator.errors import ConfigError
from rotator.files import read_text
from rotator.redaction import Secret

NoticeType: TypeAlias = Literal["rotation.succeeded", "rotation.failed", "revocation.overdue", "pass.failed"]
"""What can be told to a webhook."""
_ALL: Final[list[NoticeType]] = list(get_args(NoticeType))


class Http(Block):
    """What the long-running mode shows: a page, and what monitoring asks for. It shows no secret."""

    listen: Annotated[str, BeforeValidator(texts.as_text), AfterValidator(texts.listen)] | None = Field(
        default="127.0.0.1:9464", description="Host and port; null for no HTTP. Who reaches it may read it."
    )
    names: list[Annotated[str, AfterValidator(texts.host_name)]] = Field(
        default=[],
        max_length=64,
        description="Host names that it answers to beside localhost, addresses and this machine's own name.",
    )

    @property
    def address(self) -> tuple[str, int] | None:
        """Host and port to listen at, an IPv6 address without brackets; None where no HTTP is wanted."""
        return None if self.listen is None else texts.host_and_port(self.listen)


class MetricsBlock(Block):
    """Where a single pass leaves its metrics when it ends: a CronJob has nobody to scrape it."""

    textfile: Annotated[str, AfterValidator(texts.metrics_file)] | None = Field(
        default=None, description="A file for node_exporter's textfile collector; it ends in .prom."
    )
    pushgateway: Annotated[str, AfterValidator(texts.metrics_url)] | None = Field(
        default=None, description="The URL of a Pushgateway."
    )
    job: Annotated[str, AfterValidator(texts.job)] = Field(
        default="rotator", description="The job at the Pushgateway; one for each account."
    )

    @property
    def wanted(self) -> bool:
        """Whether a single pass leaves its metrics anywhere."""
        return bool(self.textfile or self.pushgateway)


class Webhook(Block):
    """A receiver of notices: CloudEvents, signed as the Standard Webhooks specification has it."""

    url: Annotated[str, AfterValidator(texts.endpoint)] = Field(
        description="Where notices are posted. http:// only for this machine."
    )
    secret: Sources = Field(
        description="The source of what signs them: whsec_ and base64; several while it is replaced."
    )
    events: list[NoticeType] = Field(default=_ALL, min_length=1, description="Which are sent; all.")


class Source(Protocol):
    """Where a secret is read from: one of the two."""

    @property
    def file(self) -> str | None:
        """A file that holds it."""
        ...

    @property
    def env(self) -> str | None:
        """A variable that holds it."""
        ...


def signing_secrets(
    source: Source, environ: Mapping[str, str], place: str = "webhook.secret"
) -> tuple[Secret, ...]:
    """Read the secrets from the `source` that the config names at `place`.

    Raises ConfigError, without what was read, when there are none or they are not sound.
    """
    if source.env:
        text = environ.get(source.env, "")
    else:
        try:
            text = read_text(Path(source.file or ""))
        except FileNotFoundError:
            raise ConfigError(
                f"{place} names a file that is not there; mount the file or correct the path"
            ) from None
        except (OSError, UnicodeDecodeError):
            raise ConfigError(
                f"{place} names a file that cannot be read; make it a file that this user can read"
            ) from None
    try:
        return webhook_signature.parse_secrets(text)
    except ValueError as error:
        what = "a source without a valid secret" if text.strip() else "a source that is empty or not set"
        raise ConfigError(f"{place} names {what}; {error}") from None
