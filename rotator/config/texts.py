"""The config's texts: a check of each kind, and what every block is made of.

Each check returns the text in its one form, or raises ValueError with what is wrong and what would be right. It
never repeats the text: somebody may have pasted a key.
"""

import os.path
import re
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Annotated, Self, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from rotator.rules import cadence, titles

MAX_PATH = 512
"""Characters of a path in Vault."""


def url(text: str, *, allow_http: bool = False) -> str:
    """Check the base URL of a service; `http:` would show every secret to the network.

    A host that is this machine may be spoken to in the clear, and any host with `allow_http`.
    """
    scheme, host, extras = _url_parts(text)
    if not host or scheme not in ("http", "https"):
        raise ValueError("is not a URL; write https:// and a host, such as https://host.example.com:8443")
    if extras:
        raise ValueError("has a user, a query or a fragment; write only scheme, host, port and path")
    if scheme == "http" and not (allow_http or _is_loopback(host)):
        raise ValueError("would send secrets unencrypted; write https:// (http:// is for localhost only)")
    return text.rstrip("/")


def vault_address(text: str, *, allow_http: bool = False) -> str:
    """Check Vault's URL. It may have a path, such as a reverse proxy's prefix; the API's own is added to it."""
    base = url(text, allow_http=allow_http)
    found = re.fullmatch(r"(https?://[^/]+.*?)/+(v1|ui)(/.*)?", base, re.IGNORECASE)
    if found:
        raise ValueError(f"has /{found[2]}, which is not part of the address; write {found[1]}")
    return base


def endpoint(text: str) -> str:
    """Check a URL that is called as it is written: a slash at its end may matter to who serves it."""
    url(text)
    return text


def secret_path(text: str) -> str:
    """Check a path, a mount or a namespace of Vault; slashes at its edges mean nothing."""
    path = text.strip("/")
    if not 0 < len(path) <= MAX_PATH:
        raise ValueError(
            f"is not a path; write 1 to {MAX_PATH} characters, such as apimall/production-backend"
        )
    if any(part in ("", ".", "..") or part != part.strip() for part in path.split("/")):
        raise ValueError("has an empty part, `.`, `..` or a space at a part's edge; write it without")
    if strange := re.search(r"[?#%*\\]", path) or _unprintable(path):
        raise ValueError(f"holds {_shown(strange[0])}, which no path may have; write it without")
    return path


def mount(text: str) -> str:
    """Check where a secrets engine is mounted: not the path of the API below it."""
    path = secret_path(text)
    alone = re.sub(r"^(?:v1/)?(?:(?:meta)?data/)*|(?:/(?:meta)?data)*$", "", path)
    if alone != path:
        raise ValueError(
            f"has a part of Vault's API (v1, data or metadata) before or after the mount; write mount: {alone}"
        )
    return path


def key_name(text: str) -> str:
    """Check a managed key's name: it must stand in a title and be parsed back."""
    if not titles.valid_name(text):
        raise ValueError(
            f"is not a valid name: {_why_no_name(text, 'A-Za-z0-9 ._/-', 64)}; write 1 to 64 letters (a-z, A-Z), "
            "digits, spaces, or any of . _ / -, no space at an edge"
        )
    return text


def secret_field(text: str) -> str:
    """Check the name of a field of a secret."""
    return _plain(text, "field", 128)


def consumer_name(text: str) -> str:
    """Check a consumer's name, which is a part of a path."""
    if text in (".", ".."):
        raise ValueError(f"is {text}, which no part of a path may be; write a letter or a digit too")
    return _plain(text, "consumer", 64)


def vault_name(text: str) -> str:
    """Check what a further Vault is called."""
    if text.lower() in ("vault", "gateway"):
        raise ValueError(f"is {text}, which is another server's name; write another, such as the region's")
    return _plain(text, "Vault", 64)


def variable(text: str) -> str:
    """Check an environment variable's name. A key that was pasted in its place is none: it has a hyphen."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,127}", text):
        raise ValueError(
            "is not a variable's name; write the name, such as APIMALL_API_KEY, never the key itself"
        )
    return text


def role_name(text: str) -> str:
    """Check the name of a role in Vault."""
    return _plain(text, "role", 128)


def file_name(text: str) -> str:
    """Check a file's name. Whether the file is there is seen when it is read: it may be mounted later."""
    if not text or not text.isprintable():
        raise ValueError("is not a file's name; write a path, such as /run/secrets/apimall-api-key")
    return text


def existing_file(text: str) -> str:
    """Check the name of a file that must be there when the config is read, such as a CA's."""
    if not os.path.isfile(text):
        raise ValueError("names no file that is there; mount the file or correct the path")
    return text


def title_template(text: str) -> str:
    """Check that titles parse back, and that the longest of them is one the gateway can hold."""
    if not all(re.fullmatch(r"[a-z]{1,20}", name) for name in re.findall(r"\{([^{}]*)\}", text)):
        raise ValueError(
            "has braces around something that is not a placeholder; write {name}, {installation}, {nonce}, {stamp}"
        )
    longest = titles.TitleTemplate(text).render(
        "n" * 64, now=datetime(2027, 1, 1, tzinfo=UTC), installation="0" * 6, nonce="0" * 8
    )
    if len(longest) > titles.MAX_TITLE:
        raise ValueError(f"makes titles of over {titles.MAX_TITLE} characters; shorten it")
    return text


def as_text(value: object) -> object:
    """Leave a bare number to the field's own check: to quote it would not make it right."""
    return str(value) if isinstance(value, int | float) else value


def cron(text: str) -> str:
    """Check a cron expression of five fields, as in crontab(5)."""
    cadence.check_expression(text)
    return text


def timezone(text: str) -> str:
    """Check a name of the time zone database, such as Europe/Berlin."""
    cadence.check_timezone(text)
    return text


def spread(text: str) -> str:
    """Check a share of a period."""
    if not re.fullmatch(r"([1-9]|[1-4][0-9]|50)%", text):
        raise ValueError("is not a share of a period; write a percentage from 1% to 50%, such as 10%")
    return text


def listen(text: str) -> str:
    """Check the address of our own HTTP server."""
    host_and_port(text)
    return text


def host_and_port(text: str) -> tuple[str, int]:
    """Return the host, without the brackets of IPv6, and the port. Raises ValueError for no address."""
    found = re.fullmatch(
        r"(?:\[([0-9a-f:.]{2,39})\]|([a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?)):([0-9]{1,5})", text
    )
    if not found or not 0 < int(found[4]) < 65536:
        raise ValueError(
            "is not an address; write a host and a port, such as 127.0.0.1:9464, or null for none"
        )
    return found[1] or found[2], int(found[4])


def host_name(text: str) -> str:
    """Check the name of a host, alone."""
    if not re.fullmatch(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?", text):
        raise ValueError(
            f"is not a host's name: {_why_no_name(text, 'A-Za-z0-9_.-', 253)}; write it without scheme, port, "
            "path, `*` and spaces, such as rotator.example.com"
        )
    return text.lower()


def metrics_file(text: str) -> str:
    """Check the name of a file for node_exporter, which reads no other."""
    if not file_name(text).endswith(".prom"):
        raise ValueError("is not a file for node_exporter; write a path that ends in .prom")
    return text


def job(text: str) -> str:
    """Check the name of a job at the Pushgateway."""
    return _plain(text, "job", 64)


def metrics_url(text: str) -> str:
    """Check a Pushgateway's URL. It gets no secret, so it may be spoken to in the clear."""
    return url(text, allow_http=True)


def _plain(text: str, what: str, longest: int) -> str:
    if not re.fullmatch(rf"[A-Za-z0-9_.-]{{1,{longest}}}", text):
        why = _why_no_name(text, "A-Za-z0-9_.-", longest)
        raise ValueError(
            f"is not a {what}'s name: {why}; write 1 to {longest} letters (a-z, A-Z), digits, or any of _ . -"
        )
    return text


def _why_no_name(text: str, allowed: str, longest: int) -> str:
    """Say why a text is no name of these characters. Of the text itself, one character is shown at most."""
    if strange := re.search(rf"[^{allowed}]", text):
        return f"it holds {_shown(strange[0])}"
    if not text:
        return "it is empty"
    if len(text) > longest:
        return f"it has {len(text)} characters"
    return f"it begins or ends with {_shown(text[-1] if text[0].isalnum() else text[0])}"


def _unprintable(text: str) -> list[str]:
    return [character for character in text if not character.isprintable()]


def _shown(character: str) -> str:
    """Name a character so that it is seen, also where it is a look-alike of another one, or none is drawn."""
    if character == " ":
        return "a space"
    code = f"U+{ord(character):04X}"
    if not character.isprintable():
        return code
    return f"`{character}`" if character.isascii() else f"`{character}` ({code})"


def _url_parts(text: str) -> tuple[str, str, bool]:
    """Return scheme, host and whether there is more than a base URL has; empty texts for no URL."""
    if not re.fullmatch(r"[!-\[\]-~]+", text):  # ASCII without spaces and backslashes
        return "", "", False
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return "", "", False
    return parts.scheme, parts.hostname or "", "@" in parts.netloc or "?" in text or "#" in text


def _is_loopback(host: str) -> bool:
    if host in ("localhost", "::1"):
        return True
    return bool(re.fullmatch(r"[0-9.]+", host)) and _is_loopback_v4(host)


def _is_loopback_v4(host: str) -> bool:
    try:
        return IPv4Address(host).is_loopback
    except ValueError:
        return False


SecretPath: TypeAlias = Annotated[str, AfterValidator(secret_path)]
FileName: TypeAlias = Annotated[str, AfterValidator(file_name)]
VariableName: TypeAlias = Annotated[str, AfterValidator(variable)]


class Block(BaseModel):
    """A block of the config: it cannot be changed, converts no types, and refuses unknown fields."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        arbitrary_types_allowed=True,
        defer_build=True,  # the file's model has them all in it
    )


class Sources(Block):
    """Where a credential is read from: a file or an environment variable."""

    file: FileName | None = Field(default=None, description="A file that holds it and nothing else.")
    env: VariableName | None = Field(
        default=None, description="The name of an environment variable, never the credential itself."
    )

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        if sum(getattr(self, name) is not None for name in type(self).model_fields) != 1:
            raise ValueError(
                f"names no source, or several; write one of {', '.join(type(self).model_fields)}"
            )
        return self
