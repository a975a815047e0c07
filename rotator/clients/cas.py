"""Which CAs are trusted, and what says so: a file of the config, SSL_CERT_FILE, SSL_CERT_DIR, or nothing."""

import errno
import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from rotator.errors import Rejected, cause


class Cas(NamedTuple):
    """What names the CAs: a variable or nothing, and a file or directory; both empty for the usual CAs."""

    variable: str
    place: str

    def __str__(self) -> str:
        return " ".join(self).strip()

    def load(self) -> ssl.SSLContext:
        """Return a context that trusts them. Raises OSError."""
        if self.variable != "SSL_CERT_DIR":
            if self.place and Path(self.place).is_fifo():  # it would be waited for
                raise OSError(errno.EINVAL, "not a file")
            return ssl.create_default_context(cafile=self.place)
        # OpenSSL itself says nothing of a directory in which it finds none.
        places = [Path(part) for part in self.place.split(os.pathsep) if part]
        if not any(any(place.glob("[0-9a-f]*.[0-9]*")) for place in places):
            raise FileNotFoundError(errno.ENOENT, "no certificate in it has its hash for a name")
        return ssl.create_default_context(capath=self.place)


def cas_of(ca_cert: str | None, environ: Mapping[str, str]) -> Cas:
    """Return what names the CAs. The config's file wins over the variables, and SSL_CERT_FILE over SSL_CERT_DIR."""
    if ca_cert:
        return Cas("", ca_cert)
    named = (Cas(name, environ.get(name, "")) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return next((cas for cas in named if cas.place), Cas("", ""))


def not_loaded(variable: str, place: str, error: OSError, *, field: str = "vault.ca_cert") -> Rejected:
    """Return what is said of a file that cannot be loaded: what names it, and what cures it.

    `field` names it where no variable does.
    """
    if error.filename and error.filename == os.environ.get("SSLKEYLOGFILE"):
        # Python's ssl writes the sessions' keys there, for whoever wants to read along.
        return Rejected(f"SSLKEYLOGFILE ({error.filename}): {cause(error)}", cure="unset SSLKEYLOGFILE")
    if variable:
        cure = f"correct {variable}, or unset it to trust the usual CAs"
        return Rejected(f"{variable} ({place}) cannot be loaded: {cause(error)}", cure=cure)
    if not place:
        return Rejected(f"the usual CAs cannot be loaded: {cause(error)}")
    return Rejected(
        f"{field} ({place}) cannot be loaded: {cause(error)}",
        cure=f"name PEM files in {field}, and a key without a passphrase",
    )
