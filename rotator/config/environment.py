"""The environment's say in the config.

`ROTATOR_` and a field's path, joined by `__`, overrides the file: `ROTATOR_GATEWAY__URL`,
`ROTATOR_KEYS__0__PATH`. A text is taken as it is, anything else is read as YAML. A name that is no field is
a fault, because a misspelt one would be a setting that silently does nothing.

What Kubernetes and Docker set for a service beside us, called `rotator-…`, is known by its form and left alone.

Vault's own variables only fill in what the file leaves out: one that is left over from work on another
cluster must not redirect secrets. Nor is one looked at that has no use, as a CA has none for plain http.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from rotator.config import yaml
from rotator.config.auth import METHOD
from rotator.config.auth import TOKEN as VAULT_TOKEN
from rotator.config.lookup import TOKEN, closest, every_path, kind_at
from rotator.config.yaml import Path
from rotator.redaction import Secret

PREFIX: Final = "ROTATOR_"
_NO_FIELDS: Final = re.compile(
    r"ROTATOR_(?:CONFIG|SHARDS|TEST_VAULT|SERVICE_HOST|SERVICE_PORT.*|PORT|PORT_.*)"
)
"""The config's place, how many shards there are, the tests' switch, and what Kubernetes injects for a service
named `rotator`."""

_SERVICE_LINKS: Final = (
    ("SERVICE_HOST", r"[0-9A-Fa-f.:]+"),
    (r"SERVICE_PORT(_[A-Z0-9_]+)?", r"[0-9]+"),
    (r"PORT(_[0-9]+_(TCP|UDP|SCTP))?", r"(tcp|udp|sctp)://.+:[0-9]+"),
    (r"PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO", r"tcp|udp|sctp"),
    (r"PORT_[0-9]+_(TCP|UDP|SCTP)_PORT", r"[0-9]+"),
    (r"PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR", r"[0-9A-Fa-f.:]+"),
    ("NAME", r"/\S+/\S+"),  # Docker's own links
    (r"ENV_\w+", r"[\s\S]*"),
)
"""How such a variable's name ends, and what it holds."""

_VAULT: Final = {
    "VAULT_ADDR": "address",
    "VAULT_NAMESPACE": "namespace",
    "VAULT_SKIP_VERIFY": "tls_skip_verify",
    "VAULT_CACERT": "ca_cert",
    "VAULT_CLIENT_CERT": "client_cert",
    "VAULT_CLIENT_KEY": "client_key",
}
_UNUSED: Final = "unused-token-of-a-further-vault"
_OF_TLS: Final = ("tls_skip_verify", "ca_cert", "client_cert", "client_key")
_BOOLEANS: Final = {"1": True, "t": True, "true": True, "0": False, "f": False, "false": False}


class Override(NamedTuple):
    """One variable that stands for a field."""

    name: str
    path: Path
    value: Any


def overrides(environ: Mapping[str, str]) -> tuple[list[Override], list[str]]:
    """Return what `ROTATOR_...` says, outer fields before inner ones, and a line for each fault."""
    found, faults = [], []
    for name, text in sorted(environ.items()):
        if not name.startswith(PREFIX) or _NO_FIELDS.fullmatch(name):
            continue
        path = _path(name)
        kind = kind_at(path)
        if kind is None and _is_service_link(name, text):
            continue
        if kind is None or name != _variable(path):
            faults.append(f"environment {_echo(name)}: is an unknown field; {_suggestion(name)}")
            continue
        value, wrong = _read(kind, text)
        faults += [f"environment {name}: {fault}" for fault in wrong]
        if not wrong:
            found.append(Override(name, path, value))
    return sorted(found, key=lambda override: (len(override.path), override.path)), faults


def apply(override: Override, values: dict[str, Any]) -> bool:
    """Put the value in its place in `values`. False where that is past a list's end or inside no block."""
    *outer, last = override.path
    block: Any = values
    for segment, after in zip(outer, override.path[1:], strict=True):
        if not _fits(block, segment):
            return False
        _grow(block, segment)
        if block[segment] is None:
            block[segment] = [] if isinstance(after, int) else {}
        block = block[segment]
    if not _fits(block, last):
        return False
    _grow(block, last)
    block[last] = override.value
    return True


def fill_in(environ: Mapping[str, str], values: dict[str, Any]) -> dict[Path, str]:
    """Give Vault's block what the file leaves out; return the variable of each field that got one.

    An empty variable counts as none, as in Vault's own client. What the file sets to null is not left out.
    """
    vault = _block(values, "vault")
    auth = _block(vault, "auth")
    origins: dict[Path, str] = {}
    for name, field in _VAULT.items():
        if environ.get(name) and field not in vault and _is_used(field, vault):
            text = environ[name]
            vault[field] = _BOOLEANS.get(text.lower(), text) if field == "tls_skip_verify" else text
            origins["vault", field] = name
    _fill_in_token(environ, auth, TOKEN, VAULT_TOKEN, origins)
    further = values.get("vaults")
    for index, block in enumerate(further if isinstance(further, list) else ()):
        if isinstance(block, dict) and isinstance(block.get("auth"), dict):
            _fill_in_token(environ, block["auth"], ("vaults", index, *TOKEN[1:]), None, origins)
    return origins


def spare_copies(values: dict[str, Any]) -> None:
    """Let who does not ask a further Vault have no token for it."""
    further = values.get("vaults")
    for block in further if isinstance(further, list) else ():
        auth = block.get("auth") if isinstance(block, dict) else None
        if isinstance(auth, dict) and auth.get("method") == METHOD and isinstance(auth.get("env"), str):
            auth.setdefault("token", Secret(_UNUSED))


def _fill_in_token(
    environ: Mapping[str, str],
    auth: dict[str, Any],
    place: Path,
    usual: str | None,
    origins: dict[Path, str],
) -> None:
    """Give a login by token the token. `usual`: the variable that holds it where the login names none."""
    if auth.setdefault("method", METHOD) != METHOD or "token" in auth:
        return
    name = auth.get("env", usual)
    if not isinstance(name, str):
        return
    if environ.get(name):
        auth["token"] = Secret(environ[name])
    origins[place] = name


def _is_used(field: str, vault: Mapping[str, Any]) -> bool:
    if str(vault.get("address")).lower().startswith("http://") and field in _OF_TLS:
        return False
    return field != "ca_cert" or vault.get("tls_skip_verify") is not True


def _is_service_link(name: str, text: str) -> bool:
    return any(
        re.fullmatch(f"{PREFIX}([A-Z0-9_]+_)?{end}", name) and re.fullmatch(form, text)
        for end, form in _SERVICE_LINKS
    )


def _block(values: dict[str, Any], name: str) -> dict[str, Any]:
    """Return the block `name`, made if it is missing; one to throw away where something else stands."""
    block = values.setdefault(name, {})
    return block if isinstance(block, dict) else {}


def _fits(block: object, segment: str | int) -> bool:
    if isinstance(segment, int):
        return isinstance(block, list) and segment <= len(block)
    return isinstance(block, dict)


def _grow(block: Any, segment: str | int) -> None:
    if isinstance(segment, str):
        block.setdefault(segment)
    elif segment == len(block):
        block.append(None)


def _read(kind: Any, text: str) -> tuple[Any, Sequence[str]]:
    if kind in (str, Secret):
        printable = text.isprintable()
        return text, [] if printable else ["holds an unprintable character; write one plain line"]
    document = yaml.parse(text)
    return document.root and document.root.plain(), [fault.text for fault in document.faults]


def _path(name: str) -> Path:
    parts = name.removeprefix(PREFIX).lower().split("__")
    return tuple(int(part) if re.fullmatch(r"[0-9]{1,5}", part) else part for part in parts)


def _variable(path: Path) -> str:
    return PREFIX + "__".join(str(segment).upper() for segment in path)


def _suggestion(name: str) -> str:
    index = next(iter(re.findall(r"__([0-9]{1,5})", name)), "0")
    known = [_variable(path).removeprefix(PREFIX) for path in every_path(int(index))]
    close = closest(name.upper().removeprefix(PREFIX), known)
    return f"did you mean {PREFIX}{close}?" if close else "unset it"


def _echo(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_]{1,80}", name) else f"{PREFIX}…"
