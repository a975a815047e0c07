"""From a file and the environment to a `Config`, or to every fault at once."""

import re
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rotator.config import assemble, environment, misread, validate, yaml
from rotator.config.assemble import Config
from rotator.config.auth import ROLE_ID, SECRET_ID
from rotator.config.fields import File
from rotator.config.monitoring import signing_secrets
from rotator.config.texts import Sources
from rotator.config.yaml import Document, Fault, Node
from rotator.errors import ConfigError, cause
from rotator.files import MAX_BYTES, read_bytes
from rotator.rules.shard import WHOLE, shard_of
from rotator.rules.titles import valid_name

USUAL_PLACES: Final = (Path("config/rotator.yaml"), Path("/etc/rotator/rotator.yaml"))


@dataclass(frozen=True)
class Places:
    """The origin of every value: a line of the file or a variable."""

    file: str
    root: Node
    variables: Mapping[yaml.Path, str]

    def of(self, path: yaml.Path) -> str:
        """Return the place of the value at `path`, or, where none is, of the block that lacks it."""
        for end in range(len(path), 0, -1):
            if variable := self.variables.get(path[:end]):
                return f"environment {variable}" + (f" {yaml.dotted(path)}" if end < len(path) else "")
        node = self.root.nearest(path)
        return f"{self.file}:{node.line}:{node.column} {yaml.dotted(path)}"


def load(path: Path | None, environ: Mapping[str, str], *, needs_bearer: bool = True) -> Config:
    """Read the config at `path`, else at `$ROTATOR_CONFIG`, else at the first usual place that has one.

    `ROTATOR_...` overrides the file, and the file overrides Vault's own variables: one of those that is left
    over from work on another cluster must not redirect secrets. Raises ConfigError with a line for every
    fault; no line repeats a value that could be a secret. `needs_bearer`: an absent bearer is a fault, and so is an
    absent credential for a further Vault.
    """
    return loaded(*read(path, environ), environ, needs_bearer=needs_bearer)


def loaded(name: str, content: bytes, environ: Mapping[str, str], *, needs_bearer: bool = True) -> Config:
    """Return the config that a file called `name` would hold. Raises ConfigError, as `load` does."""
    document = _parse(content)
    overrides, faults = environment.overrides(environ)
    faults = [*(f"{name}:{line}:{column}: {text}" for line, column, text in document.faults), *faults]
    if document.root is None:
        raise _config_error(faults)
    values: dict[str, Any] = document.root.plain()
    origins: dict[yaml.Path, str] = {}
    for override in overrides:
        if environment.apply(override, values):
            origins[override.path] = override.name
        else:
            faults.append(
                f"environment {override.name}: has no place in the file; lists count from 0 without a gap, and "
                "what holds a field must be a block"
            )
    origins |= environment.fill_in(environ, values)
    if not needs_bearer:
        environment.spare_copies(values)
    places = Places(name, document.root, origins)
    faults += _absent_variables(values, environ, needs_bearer=needs_bearer)
    shard = WHOLE
    try:
        shard = shard_of(environ)
    except ValueError as error:
        faults.append(f"environment {error}")
    faults += [f"{places.of(where)}: {text}" for where, text in _value_faults(values, environ)]
    if faults:
        raise _config_error(faults)
    return assemble.build(File.model_validate(values), shard, name)


def managed_names(path: Path | None, environ: Mapping[str, str]) -> list[str]:
    """Return the names that the config has, whatever else is wrong with it; none where it cannot be read."""
    try:
        document = _parse(read(path, environ)[1])
    except ConfigError:
        return []
    values: dict[str, Any] = document.root.plain() if document.root else {}
    for override in environment.overrides(environ)[0]:
        environment.apply(override, values)
    entries = values.get("keys")
    names = [validate.value_at(entry, ("name",)) for entry in entries] if isinstance(entries, list) else []
    return [name for name in names if isinstance(name, str) and valid_name(name)]


def _absent_variables(
    values: Mapping[str, Any], environ: Mapping[str, str], *, needs_bearer: bool
) -> Iterator[str]:
    """A credential that can only come from the environment must be there."""
    bearer = validate.value_at(values, ("gateway", "api_key"))
    if needs_bearer:
        yield from _absent(bearer, "APIMALL_API_KEY", environ, "an API key of the account, the bearer")
    further = values.get("vaults")
    yield from _absent_of_login(values.get("vault"), ROLE_ID, SECRET_ID, environ)
    for block in further if needs_bearer and isinstance(further, list) else ():
        yield from _absent_of_login(block, None, None, environ)  # the usual ones are the main Vault's


def _absent_of_login(
    vault: object, role_id: str | None, secret_id: str | None, environ: Mapping[str, str]
) -> Iterator[str]:
    """`role_id` and `secret_id`: the variables that hold them where the login names no source."""
    login = validate.value_at(vault, ("auth",))
    method = login.get("method") if isinstance(login, dict) else None
    if method == "approle":
        yield from _absent(login.get("role_id"), role_id, environ, "the role id for the login to Vault")
        yield from _absent(login.get("secret_id"), secret_id, environ, "the secret id for the login to Vault")
    if method == "jwt":
        yield from _absent(login.get("jwt"), None, environ, "the JWT for the login to Vault")


def _absent(sources: object, usual: str | None, environ: Mapping[str, str], what: str) -> Iterator[str]:
    sources = {"env": usual} if sources is None else sources
    if not isinstance(sources, dict) or any(sources[name] for name in sources.keys() - {"env"}):
        return
    variable = sources.get("env")
    if isinstance(variable, str) and variable.isidentifier() and not environ.get(variable):
        yield f"environment {variable}: is missing; set it to {what}"


def _value_faults(values: Mapping[str, Any], environ: Mapping[str, str]) -> list[validate.Fault]:
    secrets = list(misread.secret_faults(values))
    named = {path for path, _ in secrets}
    faults = [*secrets, *(fault for fault in validate.field_faults(values) if fault[0] not in named)]
    sound = validate.Sound(values, faults)
    return [*faults, *assemble.joint_faults(sound), *_signing_faults(values, sound, environ)]


def _signing_faults(
    values: Mapping[str, Any], sound: validate.Sound, environ: Mapping[str, str]
) -> Iterator[validate.Fault]:
    """What signs must be there now, not only when there is something to tell."""
    for path in [("webhook", "secret"), *_consumers_secrets(values)]:
        source = validate.value_at(values, path) and sound.block(Sources, *path)
        place = yaml.dotted(path)
        try:
            if source:
                signing_secrets(source, environ, place)
        except ConfigError as error:
            yield path, error.message.removeprefix(f"{place} ")


def _consumers_secrets(values: Mapping[str, Any]) -> Iterator[yaml.Path]:
    entries = values.get("keys")
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        consumers = validate.value_at(entry, ("consumers",))
        for at in range(len(consumers) if isinstance(consumers, list) else 0):
            yield "keys", index, "consumers", at, "secret"


def _reading_order(fault: str) -> tuple[int, int]:
    """The file from its beginning, then the environment."""
    place = re.match(r"[^ ]*?:([0-9]+):([0-9]+)[: ]", fault)
    return (int(place[1]), int(place[2])) if place else (MAX_BYTES, 0)


def _config_error(faults: list[str]) -> ConfigError:
    faults = sorted(dict.fromkeys(faults), key=_reading_order)
    return ConfigError(f"the config has {len(faults)} fault{'s' * (len(faults) > 1)}", tuple(faults))


def _parse(content: bytes) -> Document:
    """Parse a config's bytes; `root` is a mapping or None."""
    if len(content) > MAX_BYTES:
        return _refused(1, 1, f"is bigger than {MAX_BYTES >> 20} MiB; split it over several rotators")
    try:
        text = content.removeprefix(BOM_UTF8).decode()
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        return _refused(line, column, "is not UTF-8; save the file in UTF-8")
    document = yaml.parse(text)
    if document.root is None or isinstance(document.root.value, dict):
        return document
    fault = Fault(document.root.line, document.root.column, _not_a_mapping(document.root))
    return Document(None, (*document.faults, fault))


def _not_a_mapping(root: Node) -> str:
    what = "the file is empty" if root.value is None else "the file holds no fields"
    return f"{what}; begin with `vault:` and `keys:`, as config/minimal.yaml does"


def _refused(line: int, column: int, text: str) -> Document:
    return Document(None, (Fault(line, column, text),))


def read(path: Path | None, environ: Mapping[str, str]) -> tuple[str, bytes]:
    """Return the name of the config and what is in it. Raises ConfigError where there is none."""
    chosen = path or (Path(environ["ROTATOR_CONFIG"]) if environ.get("ROTATOR_CONFIG") else None)
    for candidate in [chosen] if chosen else USUAL_PLACES:
        try:
            return _shown(candidate), read_bytes(candidate, MAX_BYTES + 1)
        except (FileNotFoundError, NotADirectoryError):
            continue
        except IsADirectoryError:
            raise _config_error([f"{_shown(candidate)}: is a directory; name the file in it"]) from None
        except (OSError, ValueError) as error:
            cure = "make it readable for this user, or name another file"
            raise _config_error([f"{_shown(candidate)}: cannot be read ({cause(error)}); {cure}"]) from None
    where = " or ".join(_shown(place) for place in ([chosen] if chosen else USUAL_PLACES))
    cure = "write one (see config/minimal.yaml), or name yours with --config or ROTATOR_CONFIG"
    raise _config_error([f"{where}: there is no such file; {cure}"])


def _shown(path: Path) -> str:
    return "".join(character if character.isprintable() else "?" for character in str(path))
