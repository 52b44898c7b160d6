"""Import statements at the top of a file."""

from __future__ import annotations

import tree_sitter

from context.outline import line_end, line_start

_IMPORTS = ("import_statement", "import_from_statement", "future_import_statement")


def import_ranges(root: tree_sitter.Node, data: bytes) -> list[tuple[int, int]]:
    """Byte ranges of the whole lines of top-level imports, in order.

    Args:
        root: the root node.
        data: the text, as UTF-8.
    """
    found: list[tuple[int, int]] = []
    for node in root.named_children:
        if node.type in _IMPORTS:
            start, end = line_start(data, node.start_byte), line_end(data, node.end_byte)
            if not found or start >= found[-1][1]:
                found.append((start, end))
    return found
