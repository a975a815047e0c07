"""The Vaults, as they are written: the one that holds the secrets, and further ones that hold copies."""

from typing import Annotated, Any, Final, Self, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from rotator.config import texts
from rotator.config.auth import Auth
from rotator.config.kinds import Duration, ExistingFile, lasting
from rotator.config.texts import Block, SecretPath

VaultName: TypeAlias = Annotated[str, AfterValidator(texts.vault_name)]
_SOURCES: Final = {"token": ("env",), "approle": ("role_id", "secret_id"), "kubernetes": ("file",)}
"""By method of login: the sources that have defaults, which are the main Vault's."""


class _Reached(Block):
    """How a Vault is reached, and where in it the secrets are."""

    allow_http: bool = Field(
        default=False, description="Allow http:// to other hosts. The network can then read the secrets."
    )
    mount: Annotated[str, AfterValidator(texts.mount)] = Field(
        default="secret", description="Where the KV version 2 engine is mounted."
    )
    namespace: SecretPath | None = Field(
        default=None, description="Vault Enterprise and OpenBao. For `vault`, else VAULT_NAMESPACE is used."
    )
    ca_cert: ExistingFile | None = Field(
        default=None, description="A PEM file of CAs. For `vault`, else VAULT_CACERT is used."
    )
    client_cert: ExistingFile | None = Field(
        default=None, description="A PEM file. For `vault`, else VAULT_CLIENT_CERT is used."
    )
    client_key: ExistingFile | None = Field(
        default=None, description="A PEM file. For `vault`, else VAULT_CLIENT_KEY is used."
    )
    tls_skip_verify: bool = Field(
        default=False, description="Trust any certificate. Anybody in between can then read the secrets."
    )
    timeout: Duration = lasting("10s", "The bound on one whole request.")

    @model_validator(mode="after")
    def _certificate_has_its_key(self) -> Self:
        if (self.client_cert is None) != (self.client_key is None):
            raise ValueError("has one of client_cert and client_key; write both or neither")
        return self


class VaultBlock(_Reached):
    """The Vault, or OpenBao, in which the plaintexts are stored."""

    address: str = Field(
        default_factory=str, validate_default=True, description="The server's URL. Else VAULT_ADDR is used."
    )
    state_path: SecretPath = Field(
        default="rotator/installation",
        description="Where, below the mount, this installation keeps its identity.",
    )
    acks_path: SecretPath = Field(
        default="rotator/acks",
        description="Below which, in the mount, consumers confirm the key that they have taken up.",
    )
    auth: Auth = Field(description="How to log in.", discriminator="method")

    @field_validator("address")
    @classmethod
    def _is_a_url(cls, address: str, info: ValidationInfo) -> str:
        if not address:
            raise ValueError("is missing; write Vault's URL here or set VAULT_ADDR")
        return texts.vault_address(address, allow_http=info.data.get("allow_http", False))


class FurtherVault(_Reached):
    """A Vault, mount or namespace that holds copies. VAULT_ADDR and its like do not count for it."""

    name: VaultName = Field(description="Unique. What `copy.vault` calls it.")
    address: str | None = Field(
        default=None,
        description="The server's URL. Without it this is another mount or namespace of `vault`, and what is left "
        "out is as there.",
    )
    auth: Auth | None = Field(
        default=None,
        description="How to log in. Needed with an address; it names the source of each credential.",
        discriminator="method",
    )

    @field_validator("address")
    @classmethod
    def _is_a_url(cls, address: str | None, info: ValidationInfo) -> str | None:
        if address is None:
            return None
        return texts.vault_address(address, allow_http=info.data.get("allow_http", False))

    @model_validator(mode="after")
    def _has_a_login_of_its_own(self) -> Self:
        """No credential of the main Vault goes to another host because a line was left out."""
        if self.address is None:
            return self
        if self.auth is None:
            raise ValueError(
                "has an address without auth; write how to log in there, as in docs/consumers.md"
            )
        for name in _SOURCES.get(self.auth.method, ()):
            if name not in self.auth.model_fields_set:
                raise ValueError(
                    f"logs in by {self.auth.method} without auth.{name}, and the default is the main Vault's; "
                    f"write auth.{name}"
                )
        return self

    def beside(self, main: VaultBlock) -> VaultBlock:
        """Return the whole of it. Without an address it is in the `main` one, which gives the rest."""
        given: dict[str, Any] = {name: getattr(self, name) for name in self.model_fields_set - {"name"}}
        if self.address is not None:
            return VaultBlock.model_construct(**given)
        if self.auth is None:  # also where it is written as nothing
            given.pop("auth", None)
        inherited = {name: getattr(main, name) for name in FurtherVault.model_fields if name != "name"}
        return VaultBlock.model_construct(**{**inherited, **given, "address": main.address})
