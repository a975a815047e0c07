"""The operations guide as a page: what to do is one click from what is wrong. Pure.

It is the text that is packed with the program, so it is of this very version, and there when the network is not.
"""

import re
from collections import Counter
from collections.abc import Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token


def guide(text: str) -> str:
    """Return the guide, which is Markdown, as HTML; of its links, only those within it are left."""
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = parser.parse(text)
    seen: Counter[str] = Counter()
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        if token.type == "heading_open" and following:
            token.attrSet("id", _anchor(following.content, seen))
        if token.children:
            token.children = _at_home(token.children)
    return str(parser.renderer.render(tokens, parser.options, {}))


def _anchor(heading: str, seen: Counter[str]) -> str:
    """As GitHub makes it, so that a link to the guide is the same in both places."""
    slug = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    seen[slug] += 1
    return f"{slug}-{seen[slug] - 1}" if seen[slug] > 1 else slug


def _at_home(tokens: Sequence[Token]) -> list[Token]:
    """Without the links that lead to files: there is none of them here."""
    kept, leads_out = [], False
    for token in tokens:
        if token.type == "link_open":
            leads_out = not str(token.attrGet("href")).startswith("#")
        if not (leads_out and token.type in ("link_open", "link_close")):
            kept.append(token)
    return kept
