"""How much of a file stands below the cursor's line, in each suffix mode."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator, Sequence

from benchmarks.replay.types import SuffixMode

_HEADER = re.compile(r"(?:async\s+def|def|class)\b")
# Lines that close a bracket stand at the indentation of a header without ending its body.
_CLOSERS = (")", "]", "}")


class Below:
    """Tells which line stands below a cursor's line.

    Args:
        lines: of the whole file in its final state, with EOLs.
        mode: ``full``: the next line; ``function``: the line after the innermost function or
            class around the cursor's line (at module level: after the statement); ``empty``:
            nothing.
    """

    def __init__(self, lines: Sequence[str], mode: SuffixMode) -> None:
        self._lines = lines
        self._mode = mode
        self._spans: list[tuple[int, int]] | None = None
        if mode == "function":
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")
                    tree = ast.parse("".join(lines).removeprefix("\ufeff"))
                self._spans = list(_spans(tree))
            except (SyntaxError, ValueError, RecursionError, MemoryError):
                # Code that this Python cannot read has indentation all the same.
                pass

    def first_line(self, line: int) -> int:
        """The first line that stands below ``line``; ``len(lines)`` where there is none."""
        if self._mode == "empty":
            return len(self._lines)
        if self._mode == "full":
            return line + 1
        if self._spans is None:
            return self._by_indentation(line)
        around = [(start, end) for start, end in self._spans if start <= line < end]
        return min(around, key=lambda span: span[1] - span[0], default=(line, line + 1))[1]

    def _by_indentation(self, line: int) -> int:
        header = line
        depth = _depth(self._lines[line])
        while header >= 0 and not self._is_header(header, depth, own=header == line):
            header -= 1
        if header < 0:
            return line + 1
        limit = _depth(self._lines[header])
        end = header + 1
        for number in range(header + 1, len(self._lines)):
            text = self._lines[number].strip()
            if not text:
                continue
            if _depth(self._lines[number]) <= limit and not text.startswith(_CLOSERS):
                break
            end = number + 1
        return max(end, line + 1)

    def _is_header(self, number: int, depth: int, *, own: bool) -> bool:
        text = self._lines[number]
        inside = own or _depth(text) < depth
        return inside and _HEADER.match(text.strip()) is not None


def _spans(tree: ast.Module) -> Iterator[tuple[int, int]]:
    """First line and line after the last of what may be removed around a cursor."""
    blocks = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    inner = (node for node in ast.walk(tree) if isinstance(node, blocks))
    for node in (*tree.body, *inner):
        decorators = node.decorator_list if isinstance(node, blocks) else []
        start = min([node.lineno, *(decorator.lineno for decorator in decorators)])
        yield start - 1, node.end_lineno or node.lineno


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
