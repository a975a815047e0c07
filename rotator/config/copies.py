"""Where copies are kept, and the rules that join them with the rest of the config."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from rotator.config.fields import ConsumerBlock, Entry
from rotator.config.misread import path_fault
from rotator.config.validate import Fault, Sound
from rotator.config.vaults import FurtherVault, VaultBlock
from rotator.config.yaml import Path, dotted
from rotator.rules.model import CopyTarget


class _Mount(NamedTuple):
    """A mount, in the one form in which two of them can be compared."""

    address: str
    namespace: str
    mount: str


class _Copy(NamedTuple):
    """A copy as it is written."""

    place: Path
    """Of the `copy` block."""
    vault: str
    path: str

    @property
    def of_path(self) -> Path:
        return (*self.place, "path")


def copies_of(entry: Entry) -> Mapping[str, CopyTarget]:
    """Return where the copies of an entry are kept, by consumer."""
    return {
        consumer.name: CopyTarget(consumer.copied_to.vault, consumer.copied_to.path or entry.path)
        for consumer in entry.consumers
        if consumer.copied_to
    }


def copy_faults(sound: Sound) -> Iterator[Fault]:
    """Yield what is wrong with the further Vaults and the copies in them."""
    places = [("vaults", index) for index in sound.items("vaults")]
    further = {place: block for place in places if (block := sound.block(FurtherVault, *place))}
    copies, whole = list(_copies(sound)), _all_sound(sound)
    names = [sound.text(*place, "name") for place in places]
    for place, name in zip(places, names, strict=True):
        if name is None:
            continue
        if (earlier := places[names.index(name)]) != place:
            yield (*place, "name"), f"is already used by {dotted(earlier)}; write another"
        elif whole and all(copy.vault != name for copy in copies):
            yield (
                (*place, "name"),
                f"is used by no copy; remove it, or write copy: {{vault: {name}}} at a consumer",
            )
    known = {name for name in names if name}
    for copy in copies:
        if copy.vault not in known and None not in names:
            wrong = "is no name of `vaults`; add that Vault there"
            others = f"{wrong}, or write one of: {', '.join(sorted(known))}"
            yield (*copy.place, "vault"), others if known else wrong
    main = sound.block(VaultBlock, "vault")
    if main and len(further) == len(places):
        vaults = {block.name: block.beside(main) for block in further.values()}
        yield from _target_faults(sound, main, vaults, [copy for copy in copies if copy.vault in vaults])


def _copies(sound: Sound) -> Iterator[_Copy]:
    for index in sound.entries:
        own = sound.text("keys", index, "path")
        for at in sound.items("keys", index, "consumers"):
            place: Path = ("keys", index, "consumers", at)
            consumer = sound.block(ConsumerBlock, *place)
            if consumer and consumer.copied_to and (path := consumer.copied_to.path or own):
                yield _Copy((*place, "copy"), consumer.copied_to.vault, path.strip("/"))


def _all_sound(sound: Sound) -> bool:
    """Whether no consumer has a fault of its own, so that it is known which Vaults are used."""
    places: list[Path] = [("keys", at) for at in sound.entries]
    return all(sound.block(Entry, *place) for place in places)


def _target_faults(
    sound: Sound, main: VaultBlock, vaults: Mapping[str, VaultBlock], copies: list[_Copy]
) -> Iterator[Fault]:
    """No two copies have one target, and none takes the place of what is kept in Vault already."""
    managed = {(sound.text("keys", i, "path") or "").strip("/"): ("keys", i) for i in sound.entries}
    bearer = (sound.text("gateway", "api_key", "vault") or "").strip("/")
    seen: dict[tuple[_Mount, str], Path] = {}
    for copy in copies:
        vault = vaults[copy.vault]
        yield from path_fault(sound, copy.of_path, vault.mount, f"the mount of {copy.vault}")
        mount = _mount(vault)
        earlier = seen.setdefault((mount, copy.path), copy.place)
        if earlier != copy.place:
            yield copy.of_path, f"is where {dotted(earlier)} is kept, too; write another path"
        elif mount == _mount(main) and copy.path in managed:
            whose = dotted(managed[copy.path])
            yield copy.of_path, f"is the path of {whose} in the same mount; write another path"
        elif mount == _mount(main) and copy.path == bearer:
            yield copy.of_path, "is where the bearer is kept; write another path"
        elif own := _of_a_rotator(copy.path, main):
            yield copy.of_path, f"is {own}, where a rotator keeps its own records; write another path"


def _of_a_rotator(path: str, main: VaultBlock) -> str | None:
    """Return which path of a rotator's own records this is. In another Vault it may be another rotator's."""
    directory = main.state_path.rpartition("/")[0]
    claims = f"{directory}/claims" if directory else "claims"
    for own in (main.state_path, claims, main.acks_path):
        if f"{path}/".startswith(f"{own}/"):
            return own if path == own else f"below {own}"
    return None


def _mount(vault: VaultBlock) -> _Mount:
    parts = urlsplit(vault.address)
    port = parts.port or (443 if parts.scheme.lower() == "https" else 80)
    address = f"{parts.scheme.lower()}://{parts.hostname}:{port}{parts.path.rstrip('/')}"
    return _Mount(address, vault.namespace or "", vault.mount)
