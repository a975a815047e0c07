"""The icon of the page's tab: how bad it is, by colour and by shape. It is its own address: nothing is loaded."""

from typing import Final
from urllib.parse import quote

from rotator.show.severity import Severity

_TRIANGLE: Final = (
    '<path d="M16 2 31 29H1z" fill="{colour}"/>'
    '<path d="M16 11v9M16 22.5v3.5" stroke="#fff" stroke-width="3.6"/>'
)
_DISC: Final = '<circle cx="16" cy="16" r="15" fill="{colour}"/>'
_CROSS: Final = _DISC + '<path d="M10 10l12 12M22 10 10 22" stroke="#fff" stroke-width="4.4"/>'
_CHECK: Final = _DISC + '<path d="M9 16.5l5 5 9-10.5" fill="none" stroke="#fff" stroke-width="4"/>'
_PAUSE: Final = _DISC + '<path d="M12 9v14M20 9v14" stroke="#fff" stroke-width="4"/>'
_NOTE: Final = _DISC + '<path d="M16 13.5V24M16 7.5v3.6" stroke="#fff" stroke-width="4"/>'
_SHAPES: Final = {
    Severity.REFUSED: (_CROSS, "#b3132b"),
    Severity.DANGER: (_TRIANGLE, "#b3132b"),
    Severity.LATE: (_TRIANGLE, "#a15c00"),
    Severity.HELD: (_PAUSE, "#7d4e00"),
    Severity.NOTE: (_NOTE, "#7d4e00"),
    Severity.WELL: (_CHECK, "#116329"),
}


def favicon(severity: Severity) -> str:
    """Return the address of the icon, which is the icon itself."""
    shape, colour = _SHAPES[severity]
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">{shape.format(colour=colour)}</svg>'
    return f"data:image/svg+xml,{quote(svg, safe='')}"
