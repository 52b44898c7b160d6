"""The prompt of Tabby: its agent and its server together.

Numbers: 20 lines above and 20 below the cursor; an empty suffix is a line end. Before the prefix
stand snippets as comments (``# Path: …``, then the lines, a bare ``#`` between two snippets), up
to 768 characters: first declarations of the names used above the cursor, nearest first, up to 5 of
up to 500 characters; then text around the cursor in up to 5 recently opened files, up to 500
characters each; then, if more than 256 characters are left, the 20 best hits of the code search
for the words of the prefix in chunks of up to 512 characters. Each source ends at the first
snippet that does not fit. Template: prefix, suffix, middle.

Where it differs: a language server's declarations are replaced by the project's syntax trees
(imported names, names with a single definition in the project, and the open file's own names
outside the lines in the prompt); the search has BM25 alone, where the server fuses it with
embeddings, and no thresholds, which need both scores. Other files have no recent edits in a
replay.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from benchmarks.peers.library import Chunk, Symbol, symbols_of
from benchmarks.peers.strategy import EditorState, commented, file_prompt
from context.types import Prompt

_N_PREFIX_LINES, _N_SUFFIX_LINES = 20, 20
_MAX_SNIPPETS_CHARS, _MIN_SEARCH_CHARS = 768, 256
_N_DECLARATIONS, _N_OPENED, _N_HITS = 5, 5, 20
_MAX_SNIPPET_CHARS = 500
_WORD = re.compile(r"[A-Za-z_]\w*")


class Tabby:
    """See the module."""

    name = "tabby"
    writes_indent = False
    knows_texts = False

    def prompt(self, state: EditorState) -> Prompt:
        """See Strategy."""
        above = state.before.split("\n")
        prefix = "\n".join(above[-_N_PREFIX_LINES - 1 :])
        suffix = "\n".join(state.after.split("\n")[: _N_SUFFIX_LINES + 1]) or "\n"
        snippets = _fitting(_declarations(state, prefix, suffix), _MAX_SNIPPETS_CHARS)
        snippets += _fitting(_opened(state), _MAX_SNIPPETS_CHARS - _n_chars(snippets))
        n_left = _MAX_SNIPPETS_CHARS - _n_chars(snippets)
        if n_left > _MIN_SEARCH_CHARS:
            hits = state.library.search(prefix, state.path, _N_HITS)
            snippets += _fitting((hit for hit in hits if hit not in snippets), n_left)
        return file_prompt(_comments(snippets) + prefix, suffix)


def _comments(snippets: list[Chunk]) -> str:
    lines: list[str] = []
    for snippet in snippets:
        if lines:
            lines.append("")
        lines += [f"Path: {snippet.path}", *snippet.text.split("\n")]
    return commented(lines)


def _fitting(snippets: Iterable[Chunk], n_chars: int) -> list[Chunk]:
    """The first snippets, up to the one that does not fit."""
    chosen = []
    for snippet in snippets:
        n_chars -= len(snippet.text)
        if n_chars < 0:
            break
        chosen.append(snippet)
    return chosen


def _n_chars(snippets: list[Chunk]) -> int:
    return sum(len(snippet.text) for snippet in snippets)


def _declarations(state: EditorState, prefix: str, suffix: str) -> list[Chunk]:
    """Declarations of the names above the cursor, the nearest name first."""
    found: dict[tuple[str, str], Chunk] = {}
    own: dict[str, Symbol] = {}
    for definition in symbols_of(state.path, state.text):
        own.setdefault(definition.name, definition)
    for name in dict.fromkeys(reversed(_WORD.findall(prefix))):
        if len(found) == _N_DECLARATIONS:
            break
        symbol = (
            state.library.imported(name, state.text, state.path)
            or own.get(name)
            or state.library.defined(name, state.path)
        )
        if symbol is None:
            continue
        first_line = symbol.text.partition("\n")[0]
        if symbol.path == state.path and f"\n{first_line}" in f"\n{prefix}{suffix}":
            continue
        if cropped := _cropped(symbol.text.split("\n")):
            found.setdefault((symbol.path, cropped), Chunk(path=symbol.path, text=cropped))
    return list(found.values())


def _opened(state: EditorState) -> Iterator[Chunk]:
    """Text around the cursor in the files opened last."""
    for visit in list(reversed(state.visits))[:_N_OPENED]:
        lines = state.library.files[visit.path].split("\n")
        start = end = visit.leave_line
        size = 0
        # In turn one line above and one below, as long as both fit.
        while start > 0 or end < len(lines):
            more = lines[max(0, start - 1) : start] + lines[end : end + 1]
            size += sum(len(line) + 1 for line in more)
            if size > _MAX_SNIPPET_CHARS:
                break
            start, end = max(0, start - 1), min(len(lines), end + 1)
        if shown := "\n".join(lines[start:end]).strip("\n"):
            yield Chunk(path=visit.path, text=shown)


def _cropped(lines: list[str]) -> str:
    """The first lines that have 500 characters at most."""
    kept: list[str] = []
    size = 0
    for line in lines:
        size += len(line) + 1
        if size > _MAX_SNIPPET_CHARS:
            break
        kept.append(line)
    return "\n".join(kept).rstrip()
