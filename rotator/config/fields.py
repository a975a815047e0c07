"""The config as it is written: fields, bounds and defaults. The editor's schema is made of it.

Checks that need more than one block are in `assemble`.
"""

from datetime import timedelta
from typing import Annotated, Final, Self, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from rotator.config import texts
from rotator.config.kinds import Duration, DurationOrZero, lasting
from rotator.config.monitoring import Http, MetricsBlock, Webhook
from rotator.config.texts import Block, FileName, SecretPath, Sources, VariableName
from rotator.config.vaults import FurtherVault, VaultBlock, VaultName
from rotator.rules.bookkeeping import FIELD
from rotator.rules.titles import DEFAULT_TEMPLATE

MAX_KEYS: Final = 10_000
MAX_CONSUMERS: Final = 20
MAX_VAULTS: Final = 20


Name: TypeAlias = Annotated[str, AfterValidator(texts.key_name)]
SecretField: TypeAlias = Annotated[str, AfterValidator(texts.secret_field)]
Cron: TypeAlias = Annotated[str, AfterValidator(texts.cron)]
Spread: TypeAlias = Annotated[str, BeforeValidator(texts.as_text), AfterValidator(texts.spread)]
TimeZone: TypeAlias = Annotated[str, AfterValidator(texts.timezone)]


class BearerSources(Block):
    """Where the bearer, the rotator's own API key, is read from. The first source that has one wins."""

    vault: SecretPath | None = Field(
        default=None,
        description="A path below the KV mount; the field is `api_key`. It may be a managed key's path.",
    )
    file: FileName | None = Field(default=None, description="A file that holds the key and nothing else.")
    env: VariableName | None = Field(
        default=None, description="The name of an environment variable, never the key itself."
    )

    @model_validator(mode="after")
    def _has_a_source(self) -> Self:
        if not (self.vault or self.file or self.env):
            raise ValueError("names no source; write at least one of vault, file and env")
        return self


class GatewayBlock(Block):
    """The gateway whose keys are rotated."""

    url: Annotated[str, AfterValidator(texts.url)] = Field(
        default="https://gateway.apimall.ai/api/v1",
        description="The API's base URL. http:// only for this machine.",
    )
    api_key: BearerSources = Field(
        default_factory=lambda: BearerSources(env="APIMALL_API_KEY"),
        description="The sources of the bearer; one at least.",
        json_schema_extra={"default": {"env": "APIMALL_API_KEY", "file": None, "vault": None}},
    )
    max_concurrency: int = Field(default=8, ge=1, le=64, description="Requests at the same time.")
    timeout: Duration = lasting("30s", "The bound on one whole request.")


class Passes(Block):
    """When the long-running mode makes a pass: `every` with `jitter`, or `cron` with `timezone`."""

    every: Duration | None = Field(
        default=None, description="The time from one pass to the next; 10m where there is no `cron`."
    )
    jitter: DurationOrZero | None = Field(
        default=None,
        description="A random time up to this is added to `every`; 30s, or `every` if that is less.",
    )
    cron: Cron | None = Field(default=None, description="Five fields; fires by the wall clock of `timezone`.")
    timezone: TimeZone | None = Field(default=None, description="The time zone of `cron`; UTC.")

    @model_validator(mode="after")
    def _is_one_or_the_other(self) -> Self:
        by_clock = self.cron is not None
        if by_clock and (self.every is not None or self.jitter is not None):
            raise ValueError("has `cron` beside `every` or `jitter`; keep one kind")
        if self.timezone is not None and not by_clock:
            raise ValueError("has `timezone` without `cron`; remove it or write `cron`")
        if not by_clock and self.jitter_or_default > self.every_or_default:
            raise ValueError("has a `jitter` longer than `every`; write a shorter `jitter`")
        return self

    @property
    def every_or_default(self) -> timedelta:
        """`every`, or 10 minutes. It means nothing where there is a `cron`."""
        return timedelta(minutes=10) if self.every is None else self.every

    @property
    def jitter_or_default(self) -> timedelta:
        """`jitter`, or 30 seconds, or all of `every` where that is less."""
        return min(timedelta(seconds=30), self.every_or_default) if self.jitter is None else self.jitter


class EntryPolicy(Block):
    """How a key is rotated. What a key leaves out, or sets to null, is taken from `defaults`."""

    rotation_period: Duration | None = Field(
        default=None,
        description="The age at which a key is due. Takes the place of a default rotation_schedule.",
    )
    spread: Spread | None = Field(
        default=None,
        description="Each key falls due earlier, by its own share of this part of rotation_period; none.",
    )
    rotation_schedule: Cron | None = Field(
        default=None,
        description="Five cron fields: when a key is due. Takes the place of a default rotation_period.",
    )
    rotation_window: Duration | None = Field(
        default=None,
        description="How long after a firing of rotation_schedule a rotation may still begin; unbounded.",
    )
    timezone: TimeZone | None = Field(default=None, description="The time zone of rotation_schedule; UTC.")
    grace_period: Duration | None = Field(
        default=None,
        description="How long a replaced key lives on; at most the shortest time between rotations.",
    )
    grace_limit: Duration | None = Field(
        default=None,
        description="How long a replaced key lives on at most while a consumer has not confirmed the new one.",
    )
    field: SecretField | None = Field(
        default=None, description="The secret's field that holds the plaintext."
    )
    bookkeeping: SecretField | None = Field(
        default=None, description="The secret's field that holds the rotator's own record."
    )
    revoke_adopted: bool | None = Field(
        default=None, description="Revoke replaced keys too that were made by hand and only adopted."
    )
    allow_short: bool | None = Field(
        default=None, description="Allow less than an hour between rotations, and for grace_period."
    )

    @model_validator(mode="after")
    def _has_one_cadence(self) -> Self:
        if self.rotation_period is not None and self.rotation_schedule is not None:
            raise ValueError("has both rotation_period and rotation_schedule; keep one of them")
        return self

    @property
    def names_a_cadence(self) -> bool:
        """Whether it says when a key falls due. An entry that does takes no cadence from `defaults`."""
        return self.rotation_period is not None or self.rotation_schedule is not None


class Defaults(EntryPolicy):
    """The settings of each key that does not have its own. rotation_period is 30d where no cadence is given."""

    grace_period: Duration = lasting("24h", "How long a replaced key lives on.")
    grace_limit: Duration | None = Field(
        default=None,
        description="How long a replaced key lives on at most while a consumer has not confirmed the new one; "
        "7d, but at least grace_period, and at most ten times the shortest time between rotations.",
    )
    field: SecretField = Field(default="api_key", description="The secret's field that holds the plaintext.")
    bookkeeping: SecretField = Field(
        default=FIELD, description="The secret's field that holds the rotator's own record."
    )
    revoke_adopted: bool = Field(
        default=False, description="Revoke replaced keys too that were made by hand and only adopted."
    )
    allow_short: bool = Field(
        default=False, description="Allow less than an hour between rotations, and for grace_period."
    )


class CopyBlock(Block):
    """Where a copy of the key is kept, for programs that cannot read it in `vault`."""

    vault: VaultName = Field(description="The name of one of `vaults`.")
    path: SecretPath | None = Field(
        default=None, description="The path below the mount of that Vault; else the path of the entry."
    )


class ConsumerBlock(Block):
    """A program, or a group of them, that uses the key and confirms that it has taken up a new one.

    How, its `url` or its `copy` says. With neither it confirms by itself.
    """

    name: Annotated[str, AfterValidator(texts.consumer_name)] = Field(
        description="Unique in its entry. Part of the path at which it confirms."
    )
    url: Annotated[str, AfterValidator(texts.endpoint)] | None = Field(
        default=None,
        description="Where it is told which key is current; a 2xx confirms. http:// only for this machine.",
    )
    secret: Sources | None = Field(
        default=None, description="The source of what signs for it; webhook.secret where it is left out."
    )
    copied_to: CopyBlock | None = Field(
        default=None,
        alias="copy",
        description="The rotator writes the key there, too. Such a consumer confirms by what its copy holds.",
    )

    @model_validator(mode="after")
    def _has_one_way(self) -> Self:
        if self.url is not None and self.copied_to is not None:
            raise ValueError("has both url and copy, though its copy tells which key is current; keep one")
        return self


class Entry(EntryPolicy):
    """One managed key."""

    name: Name = Field(
        description="Unique. Part of the title of each key at the gateway: a new name begins a new family."
    )
    path: SecretPath = Field(description="Unique. Where the secret is stored, below the KV mount.")
    consumers: list[ConsumerBlock] = Field(
        default_factory=list,
        max_length=MAX_CONSUMERS,
        description="Who uses the key, and confirms that it has taken up a new one.",
    )


class Clocks(Block):
    """The clocks of a rotation; they are fields of the config's top level."""

    in_flight: Duration = lasting(
        "2m", "An unstored key younger than this is left to the replica that made it."
    )
    orphan_after: Duration = lasting(
        "15m", "An unstored key of this age is revoked. Must be longer than any rotation of another replica."
    )
    verify_deadline: Duration = lasting("60s", "How long a new key has until the gateway accepts it.")
    store_deadline: Duration = lasting("5m", "For how long storing a new key in Vault is tried.")
    pass_deadline: Duration = lasting(
        "30m",
        "How long a pass may last. A key that a rate limit delays beyond it is not reached, and "
        "comes first in the next pass.",
    )
    clock_tolerance: Duration = lasting(
        "5m",
        "How far apart the clocks of the gateway and of this machine may be. Beyond it nothing is revoked.",
    )


class File(Clocks):
    """The config of the rotator: one file for one account."""

    account: Name | None = Field(
        default=None, description="What people call the account; it is shown, and has no other use."
    )
    gateway: GatewayBlock = Field(
        default_factory=GatewayBlock, description="Where keys are made and revoked."
    )
    vault: VaultBlock = Field(description="The Vault in which the plaintexts are stored.")
    vaults: list[FurtherVault] = Field(
        default_factory=list,
        max_length=MAX_VAULTS,
        description="Further Vaults, mounts or namespaces, in which copies are kept.",
    )
    webhook: Webhook | None = Field(default=None, description="Where notices go; none are sent without it.")
    schedule: Passes = Field(default_factory=Passes, description="When the long-running mode makes a pass.")
    http: Http = Field(default_factory=Http, description="The HTTP server of the long-running mode.")
    metrics: MetricsBlock = Field(
        default_factory=MetricsBlock, description="Where a single pass leaves its metrics."
    )
    title_template: Annotated[str, AfterValidator(texts.title_template)] = Field(
        default=DEFAULT_TEMPLATE,
        description="Titles of keys at the gateway: with {name}, {installation} and {nonce}, maybe {stamp}.",
    )
    defaults: Defaults = Field(
        default_factory=Defaults, description="The settings of each key that does not have its own."
    )
    keys: list[Entry] = Field(min_length=1, max_length=MAX_KEYS, description="The managed keys.")
