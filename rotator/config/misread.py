"""What a config holds by a common slip: a secret itself, or a path as Vault's API or its command line has it.

Each is named for what it is, with the line to write. Only a path is repeated, never a secret.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from rotator.config.lookup import as_main
from rotator.config.validate import Fault, Sound
from rotator.config.yaml import Path

_KINDS: Final = (
    (r"sk-[A-Za-z0-9_-]{16,}", "an API key", "APIMALL_API_KEY"),
    (r"(?:hv[sbr]|[sbr])\.[A-Za-z0-9_-]{20,}", "a Vault token", "VAULT_TOKEN"),
    (r"whsec_[A-Za-z0-9+/=_-]{16,}", "a signing secret", "WEBHOOK_SECRET"),
    (r"eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*", "a JWT", "VAULT_JWT"),
)
_SOURCES: Final[Mapping[Path, tuple[str, str]]] = {
    ("gateway", "api_key"): ("an API key", "APIMALL_API_KEY"),
    ("webhook", "secret"): ("a signing secret", "WEBHOOK_SECRET"),
    ("keys", "consumers", "secret"): ("a signing secret", "WEBHOOK_SECRET"),
    ("vault", "auth", "secret_id"): ("a secret id", "VAULT_SECRET_ID"),
    ("vault", "auth", "jwt"): ("a JWT", "VAULT_JWT"),
}
"""The blocks that name where a secret is read from: the secret, and the variable that usually has it.

A place in a list has no number here.
"""
_ROLE_ID: Final = "vault", "auth", "role_id"
"""Half a login, and the one such value that may stand in the config."""
_TOKEN: Final = ("vault", "token"), ("vault", "auth", "token")


def secret_faults(values: Mapping[str, Any]) -> Iterator[Fault]:
    """Yield a fault for each text that is a secret, by its form or because it stands where only its source does."""
    for path, text in _texts(values, ()):
        place = as_main(path)
        if place == _ROLE_ID:
            yield path, "is the role id itself; write role_id: {value: …}, or name its source"
            continue
        if (names := _names(place)) in _SOURCES:
            what, variable = _SOURCES[names]
        elif place in _TOKEN:
            what, variable = "a Vault token", "VAULT_TOKEN"
        elif found := next((kind for kind in _KINDS if re.fullmatch(kind[0], text)), None):
            _, what, variable = found
        else:
            continue
        yield path, f"holds {what} itself, which whoever reads the config could use; {_cure(path, variable)}"


def path_faults(sound: Sound, mount: str) -> Iterator[Fault]:
    """Yield a fault for each path below `mount` that begins with the mount, or with what the API puts after it."""
    places: list[Path] = [("vault", "state_path"), ("vault", "acks_path"), ("gateway", "api_key", "vault")]
    for place in [*places, *(("keys", index, "path") for index in sound.entries)]:
        yield from path_fault(sound, place, mount, "vault.mount")


def path_fault(sound: Sound, place: Path, mount: str, field: str) -> Iterator[Fault]:
    """Yield the fault of one path, if it begins so. `field`: what the config calls the mount."""
    path = (sound.text(*place) or "").strip("/")
    if (inner := _below(mount, path)) != path:
        lead = path.removesuffix(inner)
        yield (
            place,
            f"begins with {lead}, but a path begins below {field}, without `data/` or `metadata/`; "
            f"write {place[-1]}: {inner}",
        )


def _cure(path: Path, variable: str) -> str:
    if variable == "VAULT_TOKEN":
        further = "set a variable to it, and write its name in auth.env"
        return further if path[0] == "vaults" else "remove it and set VAULT_TOKEN"
    names = _names(as_main(path))
    source = next((place for place in _SOURCES if place == names[: len(place)]), None)
    if source is None:
        return "remove it, and write no secret here"
    return f"set the variable {variable} to it, and write {source[-1]}: {{env: {variable}}}"


def _names(path: Path) -> Path:
    return tuple(segment for segment in path if isinstance(segment, str))


def _below(mount: str, path: str) -> str:
    """Return what is left of a path once all is taken off that stands before it in the API or on a command line."""
    leads = (f"v1/{mount}/", f"{mount}/", "data/", "metadata/")
    while lead := next((lead for lead in leads if path.startswith(lead)), None):
        path = path.removeprefix(lead).lstrip("/")
    return path


def _texts(value: Any, path: Path) -> Iterator[tuple[Path, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, inner in value.items():
            yield from _texts(inner, (*path, name))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _texts(inner, (*path, index))
