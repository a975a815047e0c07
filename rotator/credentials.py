"""The credentials for Vault, each read from where the config says that it is, when a login needs it."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

from rotator.clients.vault.login import ISSUE, AppRole, Jwt, Read, Token, TokenFile, Wrapped
from rotator.clients.vault.session import Login
from rotator.config import AppRoleAuth, Auth, JwtAuth, KubernetesAuth, Sources, TokenAuth, TokenFileAuth
from rotator.errors import Rejected, Transient
from rotator.files import read_text
from rotator.redaction import Secret, is_word


def login_of(auth: Auth, environ: Mapping[str, str], issue: str = ISSUE) -> Login:
    """Return the login that the config names. Its credentials are read at each login, not now.

    `issue`: how to get another token, if the config names one.
    """
    match auth:
        case TokenAuth():
            return Token(auth.token, auth.env, issue)
        case TokenFileAuth():
            return TokenFile(partial(_word_in, "vault.auth.file", auth.file), issue)
        case KubernetesAuth():
            return Jwt(auth.mount, auth.role, partial(_word_in, "vault.auth.file", auth.file))
        case JwtAuth():
            return Jwt(auth.mount, auth.role, _reader("vault.auth.jwt", auth.jwt, environ))
        case AppRoleAuth():
            return _app_role(auth, environ)


def _app_role(auth: AppRoleAuth, environ: Mapping[str, str]) -> AppRole:
    value = auth.role_id.value
    role_id = (lambda: value) if value else _reader("vault.auth.role_id", auth.role_id, environ)
    read = _reader("vault.auth.secret_id", auth.secret_id, environ)
    return AppRole(auth.mount, role_id, wrapped_of(auth, environ) or (lambda _client: read()))


def wrapped_of(auth: Auth, environ: Mapping[str, str]) -> Wrapped | None:
    """Return the secret id that comes response-wrapped, if one does."""
    if not isinstance(auth, AppRoleAuth) or not auth.secret_id_response_wrapping_path:
        return None
    read = _reader("vault.auth.secret_id", auth.secret_id, environ)
    return Wrapped(read, auth.secret_id_response_wrapping_path)


def _reader(place: str, sources: Sources, environ: Mapping[str, str]) -> Read:
    if sources.file is not None:
        return partial(_word_in, f"{place}.file", sources.file)
    return partial(_word_of, f"{place}.env", sources.env or "", environ)


def _word_of(place: str, name: str, environ: Mapping[str, str]) -> Secret:
    return _one_word(f"{place} {name}", environ.get(name, ""))


def _word_in(place: str, name: str) -> Secret:
    """Read the one word in a file. One that is missing or empty may be about to be written."""
    what = f"{place} {name}"
    try:
        text = read_text(Path(name))
    except FileNotFoundError:
        text = ""
    except UnicodeDecodeError:
        raise Rejected(f"{what}: is not UTF-8", cure="write the credential alone into it") from None
    except OSError as error:
        raise Rejected(f"{what}: {error.strerror}", cure="make it a file that this user can read") from None
    if not text.strip():
        raise Transient(
            f"{what}: is missing or empty",
            ambiguous=False,
            cure="mount the file, and check that the program that writes it is running",
        )
    return _one_word(what, text)


def _one_word(what: str, text: str) -> Secret:
    word = Secret(text.strip())
    if not is_word(word.reveal()):
        raise Rejected(
            f"{what}: holds a space or an unprintable character", cure="store the credential alone"
        )
    return word
