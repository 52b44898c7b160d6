"""Import statements at the top of a file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import tree_sitter

from context.outline import line_end, line_start

_IMPORTS = ("import_statement", "import_from_statement", "future_import_statement")


def import_ranges(nodes: Iterable[tree_sitter.Node], data: bytes) -> Iterator[tuple[int, int]]:
    """Byte ranges of the whole lines of top-level imports, in order.

    Args:
        nodes: at the top of the file's tree.
        data: the text, as UTF-8.
    """
    last = 0
    for node in nodes:
        if node.type in _IMPORTS:
            start, end = line_start(data, node.start_byte), line_end(data, node.end_byte)
            if start >= last:
                last = end
                yield start, end
