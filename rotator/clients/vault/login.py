"""The ways to log in to Vault: each reads its credentials anew, and asks Vault once."""

from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from rotator.clients.vault.answers import Lease, VaultAnswer, lease_of
from rotator.clients.vault.session import Kept, speaking_as
from rotator.errors import Rejected, Transient
from rotator.redaction import Secret

Read = Callable[[], Secret]
"""Reads a credential where the config says that it is."""


ISSUE: Final = "`vault token create -policy=rotator`"
ISSUE_THERE: Final = "in that Vault, with the policy that deploy/vault/copies.hcl shows"
"""The same for a further Vault. The command would ask the Vault that VAULT_ADDR names."""


@dataclass(frozen=True)
class Token(Kept):
    """A token that somebody else made and keeps alive; it is never renewed."""

    token: Secret
    variable: str = "VAULT_TOKEN"
    issue: str = ISSUE
    """How to get another one."""

    @property
    def where(self) -> str:
        """The variable that holds it."""
        return self.variable

    @property
    def cure(self) -> str:
        """What helps when it is refused."""
        return (
            f"it is mistyped, has expired, or lacks Vault's `default` policy; issue another one: "
            f"{self.issue}; then put it into {self.variable}"
        )

    def __call__(self, _client: Any) -> Lease:
        """Return the token as it is; Vault is not asked."""
        return Lease(self.token)


@dataclass(frozen=True)
class TokenFile(Kept):
    """The sink of a Vault Agent, which logs in, renews, and writes the token. Read before each request."""

    read: Read
    issue: str = ISSUE

    @property
    def where(self) -> str:
        """The file, as the config names it."""
        return "the file that vault.auth.file names"

    @property
    def cure(self) -> str:
        """What helps when it is refused."""
        return (
            "it has expired, or lacks Vault's `default` policy; check the agent that writes the "
            f"file, or issue another token: {self.issue}; then put it into the file"
        )

    def __call__(self, _client: Any) -> Lease:
        """Read the file. A TTL of 0 has it read again before the next request."""
        return Lease(self.read(), ttl=0)


@dataclass(frozen=True)
class Jwt:
    """The methods `jwt` and `kubernetes`, whose logins are alike. The token that proves who we are is rotated."""

    mount: str
    role: str
    read: Read

    def __call__(self, client: Any) -> Lease:
        """Log in with the JWT as it is now. Raises Rejected, with the cure, where Vault refuses it."""
        jwt = self.read().reveal()
        try:
            return lease_of(client.auth.jwt.jwt_login(self.role, jwt, use_token=False, path=self.mount))
        except Rejected as error:
            at = f"auth/{self.mount}"
            raise _refused(
                error,
                f"check vault.auth and what Vault holds about it: `vault read "
                f"{at}/config` and `vault read {at}/role/{self.role}`",
            ) from None


@dataclass(frozen=True)
class AppRole:
    """The method `approle`. Both halves of the login are read anew each time."""

    mount: str
    role_id: Read
    secret_id: Callable[[Any], Secret]
    """Given the client, for a wrapped one is unwrapped by Vault."""

    def __call__(self, client: Any) -> Lease:
        """Log in. Raises Rejected, with the cure, where Vault refuses either half."""
        role_id, secret_id = self.role_id().reveal(), self.secret_id(client).reveal()
        try:
            answer = client.auth.approle.login(role_id, secret_id, use_token=False, mount_point=self.mount)
            return lease_of(answer)
        except Rejected as error:
            raise _refused(
                error,
                "check vault.auth.mount and role_id; if they are right, the secret id has "
                f"expired or is used up; issue another one: `vault write -f "
                f"auth/{self.mount}/role/ROLE/secret-id`; if it is response-wrapped, set "
                f"vault.auth.secret_id_response_wrapping_path",
            ) from None


_unwrapped: Final[dict[Secret, Secret]] = {}
"""What was in each wrapping token that this process has used: after a reload of the config nobody can ask again."""


@dataclass
class Wrapped:
    """A secret id that comes response-wrapped. It is unwrapped once, and then kept in memory alone."""

    read: Read
    path: str
    """Where the secret id must have been made, as Vault's own agent asks it."""
    _cut_off: Secret | None = field(default=None, repr=False)
    """The wrapping token that we may have used up without seeing the answer."""

    def __call__(self, client: Any) -> Secret:
        """Return the secret id. Raises Rejected where its wrapping token is not good, or no longer."""
        token = self.read()
        if token not in _unwrapped:
            _unwrapped[token] = self._unwrap(client, token)
        return _unwrapped[token]

    def look(self, client: Any) -> None:
        """Raise Rejected unless the wrapping token is good. This does not use it up."""
        self._look(client, self.read())

    def _look(self, client: Any, token: Secret) -> None:
        try:
            seen: VaultAnswer = client.adapter.post("/v1/sys/wrapping/lookup", json={"token": token.reveal()})
        except Rejected as error:
            raise self._gone(error, token) from None
        if seen.data.get("creation_path") != self.path:
            raise self._suspect(
                "was not made at vault.auth.secret_id_response_wrapping_path (check that path)"
            )

    def _unwrap(self, client: Any, token: Secret) -> Secret:
        self._look(client, token)
        with speaking_as(client, token):
            try:
                answer: VaultAnswer = client.sys.unwrap()
            except Rejected as error:
                raise self._gone(error, token) from None
            except Transient as error:
                self._cut_off = token if error.ambiguous else self._cut_off
                raise
        return answer.secret("data", "secret_id")

    def _gone(self, error: Rejected, token: Secret) -> Rejected:
        if self._cut_off == token:
            return Rejected(
                "the secret id was lost: the connection was cut while it was unwrapped",
                status=error.status,
                cure=f"issue a new wrapped one at {self.path}",
            )
        return self._suspect(
            "is not valid: it was used before, has expired, or never was a token", error.status
        )

    def _suspect(self, wrong: str, status: int | None = None) -> Rejected:
        return Rejected(
            f"the wrapping token of the secret id {wrong}; unless you used it yourself, somebody "
            "else may hold the secret id",
            status=status,
            cure=f"list the accessors: `vault list {self.path}`; destroy each that nobody should "
            f"hold: `vault write {self.path}-accessor/destroy secret_id_accessor=…`; then issue "
            f"a new wrapped secret id",
        )


def _refused(error: Rejected, cure: str) -> Rejected:
    if error.status in (None, HTTPStatus.NOT_FOUND):  # a wrong certificate or namespace: no login was asked
        return error
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:  # a mistake in the set-up that the answer names
        cure = error.cure or cure
    return Rejected(f"Vault refused the login: {error.message}", status=error.status, cure=cure)
