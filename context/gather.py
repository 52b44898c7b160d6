"""What the current file gives to the prompt, packed to a token budget.

While the user types, the prompt's beginning must stay the same byte for byte: the engine keeps
the KV cache of what two prompts have in common at their start. So the text before the cursor is
shown from a unit boundary (a definition, a statement) that moves only in coarse steps.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from heapq import merge
from itertools import chain

from context.behind import definitions_behind
from context.budget import cut_left, cut_right, estimate_tokens, fitting_head
from context.definitions import Definitions
from context.outline import (
    Definition,
    instance_attributes,
    line_start,
    signature,
)
from context.scope import cursor_scope
from context.syntax import SyntaxTree
from context.types import Budget, FileContext, Snippet, SourceFile

# Share of the prefix budget for text that stands directly before the cursor, when not all of the
# file's beginning fits; the rest is for imports and outlines.
_WINDOW_SHARE = 0.7
_IMPORT_SHARE = 0.4
# The window's start moves at most when this share of the budget has been typed.
_STEP_SHARE = 1 / 6
_LINE_STEP = 16
# No text has more bytes a token.
_MAX_TOKEN_BYTES = 8


def gather(file: SourceFile, tree: SyntaxTree | None, cursor: int, budget: Budget) -> FileContext:
    """The snippets of a file around the cursor.

    Args:
        file: the text, with ``\\n`` as its only EOL.
        tree: its syntax tree; None for languages without a grammar.
        cursor: byte offset of the cursor.
        budget: upper bounds in (estimated) tokens.
    """
    root = tree.root if tree is not None else None
    definitions = tree.definitions if tree is not None else None
    return FileContext(
        prefix=tuple(_prefix(file, definitions, cursor, budget.n_prefix_tokens)),
        suffix=tuple(_suffix(file, cursor, budget.n_suffix_tokens)),
        scope=cursor_scope(file, root, cursor),
    )


# -- left of the cursor ------------------------------------------------------------------


def _prefix(
    file: SourceFile, definitions: Definitions | None, cursor: int, n_tokens: int
) -> list[Snippet]:
    data = file.data
    # Text that cannot fit is not counted in full.
    if (
        cursor <= _MAX_TOKEN_BYTES * n_tokens
        and estimate_tokens(_decode(data[:cursor])) <= n_tokens
    ):
        return [_snippet(file, 0, cursor, "before_cursor")]
    start = _window_start(file, definitions, cursor, n_tokens)
    window = _decode(data[start:cursor])
    text = cut_left(window, n_tokens)
    cut = len(window[: len(window) - len(text)].encode("utf-8", "replace"))
    if cut:
        return [_snippet(file, start + cut, cursor, "before_cursor", text)]
    n_left = n_tokens - estimate_tokens(text)
    # The outline's share must not follow every keystroke either.
    n_outline = min(n_left, int(n_tokens * (1 - _WINDOW_SHARE)))
    head = _head(file, definitions, start, cursor, n_outline)
    enclosing = _innermost(definitions, cursor)
    if enclosing is not None and start < enclosing.start_byte:
        middle = enclosing.start_byte
        return [
            *head,
            _snippet(file, start, middle, "surrounding"),
            _snippet(file, middle, cursor, "enclosing"),
        ]
    origin = "before_cursor" if enclosing is None else "enclosing"
    return [*head, _snippet(file, start, cursor, origin)]


def _window_start(
    file: SourceFile, definitions: Definitions | None, cursor: int, n_tokens: int
) -> int:
    """The earliest boundary from which the text up to the cursor fits its share."""
    data = file.data
    step = max(1, int(n_tokens * _STEP_SHARE))
    n_window = int(n_tokens * _WINDOW_SHARE)
    end = line_start(data, cursor)
    used = estimate_tokens(_decode(data[end:cursor]))
    best: int | None = None
    for boundary in _boundaries(data, definitions, cursor, n_tokens):
        if boundary > end:
            continue
        used += estimate_tokens(_decode(data[boundary:end]))
        # Rounded up, so that the answer changes once per step and not with every token.
        if boundary < end and -(-used // step) * step > n_window:
            break
        best = end = boundary
    return _line_window_start(data, cursor, n_window) if best is None else best


def _line_window_start(data: bytes, cursor: int, n_tokens: int) -> int:
    """The earliest line start that fits when no unit does; in steps of four lines."""
    starts = [line_start(data, cursor)]
    used = estimate_tokens(_decode(data[starts[-1] : cursor]))
    while starts[-1] > 0:
        start = line_start(data, starts[-1] - 1)
        used += estimate_tokens(_decode(data[start : starts[-1]]))
        if used > n_tokens:
            break
        starts.append(start)
    row = data.count(b"\n", 0, starts[-1])
    return starts[max(0, len(starts) - 1 - (-row) % 4)]


def _boundaries(
    data: bytes, definitions: Definitions | None, cursor: int, n_tokens: int
) -> Iterator[int]:
    """Byte offsets before the cursor where a window may start, the last one first.

    Args:
        data: the text.
        definitions: of the file.
        cursor: byte offset.
        n_tokens: those from which it takes more tokens up to the cursor do not matter.
    """
    units = {0}
    if definitions is not None:
        earliest = max(0, cursor - _MAX_TOKEN_BYTES * n_tokens)
        begins = definitions.begins
        within = begins[bisect_left(begins, earliest) : bisect_left(begins, cursor)]
        units.update(line_start(data, begin) for begin in within)
        near = (definition.start_byte for definition in definitions.near(earliest, cursor))
        units.update(start for start in near if earliest <= start < cursor)
    enclosing = _innermost(definitions, cursor)
    # Inside a long function, or where there is no tree: every sixteenth line.
    first = enclosing.start_byte if enclosing is not None else max(units)
    return merge(sorted(units, reverse=True), _steps(data, first, cursor), reverse=True)


def _steps(data: bytes, first: int, cursor: int) -> Iterator[int]:
    """Every sixteenth line's start from a first one up to the cursor, the last one first."""
    end = cursor - 1
    for row in reversed(range(data.count(b"\n", first, max(0, end)) + (first < cursor))):
        start = max(first, data.rfind(b"\n", first, max(0, end)) + 1)
        if row % _LINE_STEP == 0:
            yield start
        end = start - 1


def _head(
    file: SourceFile, definitions: Definitions | None, start: int, cursor: int, n_tokens: int
) -> list[Snippet]:
    """Imports and outlines of what stands before the window."""
    if definitions is None or n_tokens <= 0:
        return []
    pieces: list[Snippet] = []
    n_imports = int(n_tokens * _IMPORT_SHARE)
    for begin, end in definitions.imports():
        if end > start:
            break
        snippet = _snippet(file, begin, end, "imports", score=0.8)
        n_imports -= estimate_tokens(snippet.text)
        if n_imports < 0:
            break
        pieces.append(snippet)
        n_tokens -= estimate_tokens(snippet.text)
    return pieces + _outlines(file, definitions, start, cursor, n_tokens)


def _outlines(
    file: SourceFile, definitions: Definitions, start: int, cursor: int, n_tokens: int
) -> list[Snippet]:
    """Outlines of the definitions before ``start``; the nearest win, the enclosing class first."""
    data = file.data
    enclosing: list[Snippet] = []
    others: list[Definition] = []
    for definition in definitions.near(start, cursor):
        if definition.start_byte >= start:
            break
        around = definition.end_byte > cursor
        if definition.kind == "class" and around:
            enclosing.append(
                _outline(file, definition, signature(definition, data).rstrip(), score=0.9)
            )
            enclosing.extend(_attributes(file, definition, start, n_tokens // 2))
        elif definition.kind == "class" or definition.end_byte <= start:
            others.append(definition)
        else:  # a long function whose beginning is left out
            header = data[definition.start_byte : definition.header_end]
            enclosing.append(_outline(file, definition, _decode(header), score=0.9))
    # Made one by one, since only the nearest fit.
    nearest = chain(reversed(others), definitions.above(start))
    outlines = (_outline(file, d, signature(d, data).rstrip()) for d in nearest)
    chosen: dict[int, Snippet] = {}
    for snippet in chain(enclosing, outlines):
        if snippet.start_byte in chosen:
            continue
        cost = estimate_tokens(snippet.text)
        if cost <= n_tokens:
            chosen[snippet.start_byte] = snippet
            n_tokens -= cost
        elif snippet.origin == "outline":
            break
    return [chosen[start_byte] for start_byte in sorted(chosen)]


def _attributes(
    file: SourceFile, definition: Definition, start: int, n_tokens: int
) -> list[Snippet]:
    """What a class says of its attributes: its own assignments, and ``__init__``.

    Methods use these most. An ``__init__`` that is too long shows its ``self.name =`` lines only.
    """
    found = []
    for member in definition.members:
        if member.end_byte > start:
            continue
        if member.kind == "constant":
            found.append(_outline(file, member, signature(member, file.data).rstrip(), score=0.8))
        elif member.name == "__init__":
            whole = _snippet(file, member.start_byte, member.end_byte, "surrounding", score=0.8)
            if estimate_tokens(whole.text) > n_tokens:
                short = instance_attributes(member, file.data).rstrip()
                whole = _outline(file, member, short, score=0.8)
            found.append(whole)
    return found


# -- right of the cursor -----------------------------------------------------------------


def _suffix(file: SourceFile, cursor: int, n_tokens: int) -> list[Snippet]:
    data = file.data
    rest = data[cursor : cursor + _MAX_TOKEN_BYTES * n_tokens]
    text = rest.decode("utf-8", "ignore")  # the slice may end inside a character
    if cursor + len(rest) == len(data) and estimate_tokens(text) <= n_tokens:
        return [_snippet(file, cursor, len(data), "after_cursor")] if rest else []
    lines = [f"{line}\n" for line in text.split("\n")]
    lines[-1] = lines[-1][:-1]
    count = fitting_head(lines, int(n_tokens * _WINDOW_SHARE))
    head = "".join(lines[:count]) if count else cut_right(lines[0] if lines else "", n_tokens)
    end = cursor + len(head.encode("utf-8", "replace"))
    pieces = [_snippet(file, cursor, end, "after_cursor")]
    n_left = n_tokens - estimate_tokens(head)
    behind = definitions_behind(file, end)
    for definition in behind.definitions if count else ():
        text = signature(definition, behind.data).rstrip()
        piece = _outline(file, definition, text, score=0.3, start=behind.start)
        n_left -= estimate_tokens(piece.text)
        if n_left < 0:
            break
        pieces.append(piece)
    return pieces


# -- helpers -----------------------------------------------------------------------------


def _innermost(definitions: Definitions | None, cursor: int) -> Definition | None:
    """The innermost definition that holds the cursor."""
    near = definitions.near(cursor, cursor) if definitions is not None else []
    holding = [d for d in near if d.start_byte <= cursor < d.end_byte and d.kind != "constant"]
    return holding[-1] if holding else None


def _snippet(
    file: SourceFile,
    start: int,
    end: int,
    origin: str,
    text: str | None = None,
    score: float = 1.0,
) -> Snippet:
    return Snippet(
        path=file.path,
        start_byte=start,
        end_byte=end,
        text=_decode(file.data[start:end]) if text is None else text,
        origin=origin,
        score=score,
    )


def _outline(
    file: SourceFile, definition: Definition, text: str, score: float = 0.5, start: int = 0
) -> Snippet:
    """An outline in place of a definition, whose offsets count from ``start``."""
    # One blank line between outlines of the top level keeps the file's look.
    gap = "" if definition.indent or definition.kind == "constant" else "\n"
    return _snippet(
        file,
        start + definition.start_byte,
        start + definition.end_byte,
        "outline",
        f"{text}\n{gap}",
        score,
    )


def _decode(data: bytes) -> str:
    return data.decode("utf-8", "replace")
