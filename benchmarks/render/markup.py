"""HTML built from elements, so that no text can come into a page unescaped."""

from __future__ import annotations

import html

_VOID = frozenset({"meta", "br"})


class Markup(str):
    """Text that is HTML already; any other string is escaped where it is put into an element."""

    __slots__ = ()


def element(tag: str, /, *children: str, **attributes: str | None) -> Markup:
    """An element.

    Args:
        tag: its name.
        children: ``Markup`` as it is, other strings escaped.
        attributes: escaped; ``class_`` is class, ``aria_label`` is aria-label, None leaves it out.
    """
    start = tag + "".join(
        f' {key.rstrip("_").replace("_", "-")}="{html.escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    if tag in _VOID:
        return Markup(f"<{start}>")
    return Markup(f"<{start}>{''.join(map(escape, children))}</{tag}>")


def escape(text: str) -> Markup:
    """Text as HTML; ``Markup`` stays what it is."""
    return text if isinstance(text, Markup) else Markup(html.escape(text))
