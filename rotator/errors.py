"""What can go wrong, split by what the caller should do about it.

Whoever knows a library translates what that raises into these, once. A message says what happened and
never holds a body, a header, a plaintext or a token; `cure` says what the operator can do.
"""

import re
from collections.abc import Iterator
from typing import Any, Final, Self

RETRIED: Final = "the next pass tries again"
"""What is said where there is no cure, because time alone is known to help."""
AGAIN: Final = "run this again"
"""What is said instead where no pass repeats what a person asked for."""


class RotatorError(Exception):
    """Any failure that this program names itself."""

    ambiguous = False
    """Whether the call may have taken effect all the same."""

    def __init__(
        self,
        message: str,
        *,
        status: int | None = None,
        request_id: str | None = None,
        cure: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.request_id = request_id
        self.cure = cure

    def __str__(self) -> str:
        where = f" (request_id {self.request_id})" if self.request_id else ""
        cure = f"; {self.cure}" if self.cure else ""
        return f"{self.message}{where}{cure}"

    def again(self, command: str | None = None) -> Self:
        """Return the same for what no pass repeats: the cure says that it is run again, by which command."""
        how = f"run it again: `{command}`" if command else AGAIN
        said = self.cure or RETRIED
        if how in said or AGAIN in said:
            return self
        error = type(self).__new__(type(self), *self.args)
        error.__dict__.update(self.__dict__)
        error.cure = said.replace(RETRIED, how) if RETRIED in said else f"{said}; then {how}"
        return error

    def of_vault(self, name: str) -> Self:
        """Return the same of a further Vault: the fields of the config that it names are that Vault's."""
        error = type(self).__new__(type(self), *self.args)
        error.__dict__.update(self.__dict__)
        error.message, error.cure = in_vault(self.message, name), self.cure and in_vault(self.cure, name)
        return error

    def to_json(self) -> dict[str, Any]:
        """An error in every JSON that the program writes."""
        return {"message": self.message, "request_id": self.request_id, "cure": self.cure}


def unexpected(error: Exception) -> RotatorError:
    """Name what nobody foresaw. Its own words may hold a secret: they are for the log, which redacts."""
    return RotatorError(
        f"unexpected {type(error).__name__}",
        cure="this is a fault of the rotator: report it, and attach the log",
    )


class Transient(RotatorError):  # noqa: N818
    """Try again later."""

    def __init__(
        self,
        message: str,
        *,
        ambiguous: bool,
        retry_after: float | None = None,
        status: int | None = None,
        request_id: str | None = None,
        cure: str | None = None,
    ) -> None:
        super().__init__(message, status=status, request_id=request_id, cure=cure)
        self.ambiguous = ambiguous
        self.retry_after = retry_after
        """Seconds that the server asked us to wait, if it did."""


class Limited(Transient):
    """The server was called too fast, and did nothing. Whoever calls it next waits for its turn."""


class Rejected(RotatorError):  # noqa: N818
    """The call was understood and refused; the same call will be refused again."""


class NoToken(Rejected):
    """Vault gave us no token, or takes ours no more: it refuses every further call, too."""


class HeldBack(Rejected):
    """Nothing was tried: a row of a decision table stands against it, and time alone does not end that."""


class Denied(RotatorError):  # noqa: N818
    """Our own credential was refused: every further call with it would be, too."""


class Conflict(RotatorError):  # noqa: N818
    """Somebody else wrote first: check-and-set found another version."""


class BrokenContract(RotatorError):  # noqa: N818
    """An answer is not the contract's. Whether the call took effect is unknown."""

    ambiguous = True


class ConfigError(RotatorError):
    """What a person gave, mostly the config, has faults; `faults` holds one line each. Nothing was touched."""

    def __init__(self, message: str, faults: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.faults = faults

    def __str__(self) -> str:
        return "\n".join([self.message + ":" * bool(self.faults), *(f"  {fault}" for fault in self.faults)])


_FIELD_OF_VAULT: Final = re.compile(
    r"(?<![\w./-])vault(?=\.(?:address|namespace|mount|auth|allow_http|ca_cert|client_cert|client_key|"
    r"tls_skip_verify|timeout)\b)"
)


def in_vault(text: str, name: str) -> str:
    """Return a text of the Vault client with the config's fields as they are called in a further Vault."""
    return _FIELD_OF_VAULT.sub(f"vaults[{name}]", text).replace(" or VAULT_NAMESPACE", "")


def cause(error: BaseException) -> str:
    """Say what went wrong without the exception's text, which can hold a header."""
    for seen in chain(error):
        if (
            isinstance(seen, OSError)
            and seen.strerror
            and type(seen).__module__ in ("builtins", "ssl", "socket")
        ):
            return seen.strerror
    return type(error).__name__


def chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and all that it came from, however its library wraps them."""
    pending: list[BaseException] = [error]
    seen: set[int] = set()
    while pending:
        current = pending.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        inner = [current.__cause__, current.__context__, getattr(current, "reason", None), *current.args]
        pending += [under for under in inner if isinstance(under, BaseException)]
