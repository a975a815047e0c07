"""What is in a lock, and what is wrong with it, by what the locked packages say of themselves."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError
from importlib.metadata import requires as of_metadata
from itertools import product
from typing import Final

from packaging.markers import default_environment
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

Environment = Mapping[str, str]
Requires = Callable[[str], list[str]]
Pins = Mapping[str, Requirement]

_SYSTEMS: Final = {"linux": ("Linux", "posix"), "darwin": ("Darwin", "posix"), "win32": ("Windows", "nt")}
HERE: Final[Environment] = {**default_environment()}  # type: ignore[dict-item] # its values are all texts
ENVIRONMENTS: Final[list[Environment]] = [
    {
        **HERE,
        "python_version": version,
        "python_full_version": f"{version}.0",
        "sys_platform": system,
        "platform_system": _SYSTEMS[system][0],
        "os_name": _SYSTEMS[system][1],
    }
    for version, system in product(("3.11", "3.12", "3.13"), _SYSTEMS)
]
"""Where a lock is used, or may be."""


_parsed = cache(Requirement)


@cache
def requires(name: str) -> list[str]:
    """What an installed package says that it requires."""
    return of_metadata(name) or []


def pins(lock: str) -> dict[str, Requirement]:
    """Each package's line, without its hashes."""
    lines = [line.rstrip("\\ ") for line in lock.splitlines() if line[:1].strip() and line[0] != "#"]
    found: dict[str, Requirement] = {canonicalize_name(pin.name): pin for pin in map(_parsed, lines)}
    assert len(found) == len(lines), "a package has two lines"
    return found


def version(pin: Requirement) -> Version:
    [only] = pin.specifier
    assert only.operator == "==", f"{pin} is not pinned"
    return Version(only.version)


def faults(lock: str, roots: Iterable[str], requires: Requires = requires) -> list[str]:
    """Say where pip would look for what the lock does not name, and what nobody asks for."""
    locked = pins(lock)
    found: dict[str, None] = {}
    asked: set[tuple[str, str]] = set()
    for environment in ENVIRONMENTS:
        walk = _Walk(locked, environment, requires)
        found.update(dict.fromkeys(walk.faults(roots)))
        asked |= walk.asked
    named = [(name, extra) for name, pin in locked.items() for extra in ("", *_extras(pin))]
    return [*found, *(f"nobody asks for {_label(*one)}" for one in named if one not in asked)]


def _extras(requirement: Requirement) -> list[str]:
    return sorted(map(canonicalize_name, requirement.extras))


def _label(name: str, extra: str) -> str:
    return f"{name}[{extra}]" if extra else name


class _Walk:
    """From the roots to all that they require, in one environment."""

    def __init__(self, locked: Pins, environment: Environment, requires: Requires) -> None:
        self._locked, self._environment, self._requires = locked, environment, requires
        self.asked: set[tuple[str, str]] = set()
        """Each package with no extra, and with each."""

    def faults(self, roots: Iterable[str]) -> Iterator[str]:
        for root in roots:
            yield from self._of(_parsed(root), "the project")

    def _of(self, wanted: Requirement, who: str) -> Iterator[str]:
        name = canonicalize_name(wanted.name)
        pin = self._locked.get(name)
        if pin is None or not self._holds(pin):
            yield f"{who} asks for {wanted}: there is no line for it"
            return
        if not wanted.specifier.contains(version(pin), prereleases=True):
            yield f"{who} asks for {wanted}: the line is {pin}"
        if not set(_extras(wanted)) <= set(_extras(pin)):
            yield f"{who} asks for {wanted}: the line is {pin}"
        for extra in ("", *_extras(wanted)):
            if (name, extra) not in self.asked:
                self.asked.add((name, extra))
                yield from self._inside(name, extra, pin)

    def _inside(self, name: str, extra: str, pin: Requirement) -> Iterator[str]:
        try:
            inner = self._requires(name)
        except PackageNotFoundError:  # which is right for a package of another system, and a leaf then
            if self._holds(pin, HERE):
                yield f"{name} is locked but not installed"
            return
        for requirement in map(_parsed, inner):
            if self._holds(requirement, {**self._environment, "extra": extra}):
                yield from self._of(requirement, _label(name, extra))

    def _holds(self, requirement: Requirement, environment: Environment | None = None) -> bool:
        marker = requirement.marker
        return marker is None or marker.evaluate(dict(environment or self._environment))
