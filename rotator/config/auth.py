"""How to log in to Vault, as it is written: a block for each method."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema
from pydantic.json_schema import SkipJsonSchema

from rotator.config import texts
from rotator.config.texts import Block, FileName, SecretPath, Sources, VariableName
from rotator.redaction import Secret, is_word

METHOD: Final = "token"
"""Where the config names no method."""
TOKEN: Final = "VAULT_TOKEN"  # noqa: S105 - a variable's name
ROLE_ID: Final = "VAULT_ROLE_ID"
SECRET_ID: Final = "VAULT_SECRET_ID"  # noqa: S105 - a variable's name
SERVICE_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount/token"


def _token(secret: Secret) -> Secret:
    if not is_word(secret.reveal()):
        raise ValueError("holds a space or an unprintable character; set it to the token alone")
    return secret


def _role_id(value: Any) -> Secret:
    if not isinstance(value, str) or not is_word(value):
        raise ValueError("is not a role id; write the one word, in quotes, that Vault gave you")
    return Secret(value)


RoleName: TypeAlias = Annotated[str, AfterValidator(texts.role_name)]
RoleIdValue: TypeAlias = Annotated[
    Secret, BeforeValidator(_role_id), WithJsonSchema({"type": "string", "minLength": 1})
]


class RoleIdSources(Sources):
    """Where the role id is read from: a file, an environment variable, or it stands here."""

    value: RoleIdValue | None = Field(default=None, description="The role id itself: it is half a login.")


class TokenAuth(Block):
    """Use the token in an environment variable. It is never renewed."""

    method: Literal["token"] = Field(default=METHOD, description="How to log in to Vault.")
    env: VariableName = Field(
        default=TOKEN, description="The name of the variable that holds the token, never the token itself."
    )
    token: SkipJsonSchema[Annotated[Secret, AfterValidator(_token)]]
    """From the variable alone: a token in a file is soon a token in a repository."""


class TokenFileAuth(Block):
    """Use the token in a file that somebody keeps alive, such as the sink of a Vault Agent."""

    method: Literal["token_file"] = Field(description="How to log in to Vault.")
    file: FileName = Field(description="A file that holds the token; read before each request to Vault.")


class AppRoleAuth(Block):
    """Log in with a role id and a secret id."""

    method: Literal["approle"] = Field(description="How to log in to Vault.")
    mount: SecretPath = Field(default="approle", description="Where the auth method is mounted.")
    role_id: RoleIdSources = Field(
        default_factory=lambda: RoleIdSources(env=ROLE_ID),
        description="The source of the role id: one of value, file, env.",
        json_schema_extra={"default": {"env": ROLE_ID, "file": None, "value": None}},
    )
    secret_id: Sources = Field(
        default_factory=lambda: Sources(env=SECRET_ID),
        description="The source of the secret id: one of file, env.",
        json_schema_extra={"default": {"env": SECRET_ID, "file": None}},
    )
    secret_id_response_wrapping_path: SecretPath | None = Field(
        default=None,
        description="Where the secret id must have been made if it comes response-wrapped, "
        "such as auth/approle/role/rotator/secret-id; then the source holds the wrapping token.",
    )


class KubernetesAuth(Block):
    """Log in with the token of the pod's service account."""

    method: Literal["kubernetes"] = Field(description="How to log in to Vault.")
    mount: SecretPath = Field(default="kubernetes", description="Where the auth method is mounted.")
    role: RoleName = Field(description="The role in Vault.")
    file: FileName = Field(
        default=SERVICE_ACCOUNT,
        description="The service account's token; read at each login, because it is rotated.",
    )


class JwtAuth(Block):
    """Log in with a JWT."""

    method: Literal["jwt"] = Field(description="How to log in to Vault.")
    mount: SecretPath = Field(default="jwt", description="Where the auth method is mounted.")
    role: RoleName = Field(description="The role in Vault.")
    jwt: Sources = Field(description="The source of the JWT: one of file, env; read at each login.")


Auth: TypeAlias = TokenAuth | TokenFileAuth | AppRoleAuth | KubernetesAuth | JwtAuth
