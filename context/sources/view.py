"""What is known of the cursor's place, for the sources of snippets."""

from __future__ import annotations

import functools
import keyword
import re
from collections.abc import Mapping, Sequence

import msgspec

from context.definitions import Definitions
from context.outline import Definition
from context.types import FileContext, Snippet, SourceFile
from context.workspace.imports import Import, imports_in
from context.workspace.words import STOP_WORDS

_CHAIN = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*")
_N_LINES_ABOVE = 40
_N_LINES_BELOW = 10
_MAX_BYTES_BELOW = 64 * 1024
_HALF_LIFE_LINES = 6.0
_HEADER_WEIGHT = 0.7
_BELOW_WEIGHT = 0.4
# Whoever writes arguments wants the signature.
_CALLEE_WEIGHT = 1.5
_MAX_LINE_CHARS = 400


class Chain(msgspec.Struct, frozen=True, gc=False):
    """A name as it is written, with the attributes behind it: ``a.b.c``.

    Args:
        parts: the names.
        weight: 1.0 on the cursor's line, less further away, more for what is called there.
    """

    parts: tuple[str, ...]
    weight: float


class View(msgspec.Struct, frozen=True, kw_only=True):
    """The cursor's place in its file.

    Args:
        path: of the file, relative to the workspace's root, with slashes.
        file: the text.
        cursor: byte offset.
        definitions: of the file.
        before: lines left of and above the cursor, the last one up to the cursor.
        after: lines right of and below the cursor.
        imports: of the file.
        chains: names near the cursor, each with its greatest weight, heaviest first.
        weights: each name near the cursor with its weight.
        enclosing: definitions around the cursor, outermost first.
        shown: what of the file is in the prompt.
    """

    path: str
    file: SourceFile
    cursor: int
    definitions: Definitions
    before: tuple[str, ...]
    after: tuple[str, ...]
    imports: tuple[Import, ...]
    chains: tuple[Chain, ...]
    weights: Mapping[str, float]
    enclosing: tuple[Definition, ...]
    shown: tuple[Snippet, ...]

    @property
    def data(self) -> bytes:
        """The file's text, as UTF-8."""
        return self.file.data

    def shows(self, start: int, end: int) -> bool:
        """Whether text of the file between two offsets is in the prompt as it stands there."""
        return any(
            snippet.start_byte < end and start < snippet.end_byte
            for snippet in self.shown
            if snippet.origin != "outline"
        )


def view_of(
    file: SourceFile,
    path: str,
    cursor: int,
    definitions: Definitions,
    context: FileContext,
) -> View:
    """Look around at a cursor.

    Args:
        file: the text, with ``\\n`` as its only EOL.
        path: of the file, relative to the root.
        cursor: byte offset.
        definitions: of the file.
        context: what of the file is in the prompt, and the scope of the cursor.
    """
    data = file.data
    before = _lines_up_to(data, cursor, _N_LINES_ABOVE)
    after = _lines_from(data, cursor, _N_LINES_BELOW)
    enclosing = _enclosing(context.scope.enclosing, cursor, definitions)
    header = ""
    if enclosing:
        inner = enclosing[-1]
        header = data[inner.start_byte : inner.header_end].decode("utf-8", "replace")
    chains = _chains(before, after, header, context.scope.callee)
    return View(
        path=path,
        file=file,
        cursor=cursor,
        definitions=definitions,
        before=before,
        after=after,
        imports=imports_in(file) if file.language == "python" else (),
        chains=chains,
        weights=_weights(chains),
        enclosing=enclosing,
        shown=(*context.prefix, *context.suffix),
    )


def _lines_up_to(data: bytes, end: int, n_lines: int) -> tuple[str, ...]:
    """The last so many lines before an offset, the last one up to it."""
    start = end
    for _ in range(n_lines):
        start = data.rfind(b"\n", 0, start)
        if start < 0:
            break
    return tuple(data[start + 1 : end].decode("utf-8", "replace").split("\n"))


def _lines_from(data: bytes, start: int, n_lines: int) -> tuple[str, ...]:
    """The first so many lines behind an offset, the first one from there on."""
    lines = data[start : start + _MAX_BYTES_BELOW].split(b"\n", n_lines)[:n_lines]
    return tuple(line.decode("utf-8", "replace") for line in lines)


def _enclosing(qualified: str, cursor: int, definitions: Definitions) -> tuple[Definition, ...]:
    """The definitions of a qualified name, outermost first.

    By name, since behind the last line of a body its definition has ended for the syntax tree.
    """
    found: list[Definition] = []
    for name in qualified.split(".") if qualified else ():
        outer_start = found[-1].start_byte if found else -1
        inside = [
            definition
            for definition, _ in definitions.named([name])
            if definition.kind != "constant" and outer_start < definition.start_byte <= cursor
        ]
        if inside:
            found.append(inside[-1])
    return tuple(found)


def _chains(
    before: Sequence[str], after: Sequence[str], header: str, callee: str
) -> tuple[Chain, ...]:
    weights: dict[tuple[str, ...], float] = {}
    if callee:
        weights[tuple(callee.split("."))] = _CALLEE_WEIGHT

    def add(line: str, weight: float) -> None:
        for parts in chains_in(line[-_MAX_LINE_CHARS:]):
            weights[parts] = max(weights.get(parts, 0.0), weight)

    for distance, line in enumerate(reversed(before)):
        add(line, _HALF_LIFE_LINES / (_HALF_LIFE_LINES + distance))
    for distance, line in enumerate(after):
        add(line, _BELOW_WEIGHT * _HALF_LIFE_LINES / (_HALF_LIFE_LINES + distance))
    for line in header.split("\n"):
        add(line, _HEADER_WEIGHT)
    ordered = sorted(weights.items(), key=lambda pair: -pair[1])
    return tuple(Chain(parts, weight) for parts, weight in ordered)


def _weights(chains: Sequence[Chain]) -> dict[str, float]:
    found: dict[str, float] = {}
    for chain in chains:
        for part in chain.parts:
            # The heaviest chains come first.
            if part not in STOP_WORDS and part not in found:
                found[part] = chain.weight
    return found


# The lines around the cursor are the same at the next keystroke.
@functools.lru_cache(maxsize=512)
def chains_in(line: str) -> tuple[tuple[str, ...], ...]:
    """Names of a line with their attributes, without keywords.

    Args:
        line: of code; what stands in a comment or a string counts as well.
    """
    found = (tuple(chain.split(".")) for chain in _CHAIN.findall(line))
    return tuple(parts for parts in found if len(parts) > 1 or not keyword.iskeyword(parts[0]))
