"""What is in a mount: which of its secrets hold keys of the account. For `rotator init`; no pass lists anything.

Only what a preview fits is kept of a secret: its path, its field, the key's id.
"""

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from itertools import islice
from typing import Final, NamedTuple

from rotator.clients.vault.client import Vault
from rotator.config.propose import Found, Survey, holdings
from rotator.errors import BrokenContract, Rejected
from rotator.rules.claims import claims_path
from rotator.rules.previews import Previews

MAX_SECRETS: Final = 1_000
MAX_FOLDERS: Final = 1_000
MAX_DEPTH: Final = 16
"""Folders within folders."""


class _Read(NamedTuple):
    """What came of reading a secret."""

    found: tuple[Found, ...] = ()
    empty: bool = False
    refused: bool = False


def look_around(
    vault: Vault,
    mount: str,
    under: str,
    previews: Previews,
    bearer: str,
    *,
    state_path: str,
    workers: int,
) -> Survey:
    """List the folder `under` of `mount`, and read each secret but the rotator's own records.

    Raises Rejected where that folder may not be listed. What may not be seen within it is told, and left.
    """
    _check_mount(vault, mount)
    listing = _Listing(vault, mount, under)
    claims = claims_path(state_path, "")
    theirs = (path for path in listing if path != state_path and not path.startswith(claims))
    paths = sorted(islice(theirs, MAX_SECRETS))
    with ThreadPoolExecutor(max_workers=workers, thread_name_prefix="rotator") as pool:
        looks = pool.map(lambda path: _look(vault, path, previews, bearer), paths)
        reads = dict(zip(paths, looks, strict=True))
    return Survey(
        found=tuple(one for read in reads.values() for one in read.found),
        paths=frozenset(paths),
        empty=frozenset(path for path, read in reads.items() if read.empty),
        unread=tuple(path for path, read in reads.items() if read.refused),
        under=under,
        cut=next(theirs, None) is not None or listing.cut,
        unlisted=tuple(sorted(listing.unlisted)),
    )


def _check_mount(vault: Vault, mount: str) -> None:
    try:
        vault.check_mount()
    except Rejected as error:
        if error.status != HTTPStatus.FORBIDDEN:
            raise
        raise Rejected(
            f"there is no mount {mount}/, or the token may do nothing there or is no token of this Vault any more",
            status=error.status,
            request_id=error.request_id,
            cure="look at the token: `vault token lookup`; or name another one with --mount; "
            "`vault secrets list` has them",
        ) from None


def _look(vault: Vault, path: str, previews: Previews, bearer: str) -> _Read:
    try:
        version = vault.read(path)
    except (Rejected, BrokenContract):
        return _Read(refused=True)
    if version.data is None:
        return _Read(empty=True)
    return _Read(tuple(holdings(path, version.data, previews, bearer)))


class _Listing(Iterator[str]):
    """The paths of a folder's secrets, those near the top first; each folder is listed when it is its turn."""

    def __init__(self, vault: Vault, mount: str, under: str) -> None:
        self.unlisted: list[str] = []
        self.cut = False
        self._vault, self._mount = vault, mount
        self._folders: deque[tuple[str, int]] = deque([(f"{under}/" if under else "", 0)])
        self._paths: deque[str] = deque()
        self._listed = 0

    def __next__(self) -> str:
        while not self._paths:
            if not self._folders:
                raise StopIteration
            self._open(*self._folders.popleft())
        return self._paths.popleft()

    def _open(self, folder: str, depth: int) -> None:
        if self._listed >= MAX_FOLDERS or depth > MAX_DEPTH:
            self.cut = True
            return
        self._listed += 1
        for name in self._names(folder, depth):
            if name.endswith("/"):
                self._folders.append((folder + name, depth + 1))
            else:
                self._paths.append(folder + name)

    def _names(self, folder: str, depth: int) -> Iterator[str]:
        try:
            yield from self._vault.list(folder)
        except Rejected as error:
            if error.status != HTTPStatus.FORBIDDEN:
                raise
            if depth == 0:
                raise Rejected(
                    f"the Vault token lacks list on {self._mount}/metadata/{folder}",
                    status=error.status,
                    request_id=error.request_id,
                    cure="grant what deploy/vault/init.hcl has to a policy of the token, or name a folder that it "
                    "may list with --under",
                ) from None
            self.unlisted.append(folder.rstrip("/"))
