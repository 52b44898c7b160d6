"""The prompt of Continue, in its form for Qwen2.5-Coder.

Numbers: 1,024 tokens in all; lines above the cursor up to 30 % of them, lines below up to 20 %;
snippets fill the rest, each counted with 10 tokens more. Snippets are definitions of imported
names that are used within the 5 lines up to the cursor and the first 3 right of and below it,
definitions of the names in the headers of the functions and classes around the cursor (both less
those whose text stands in the prompt already), and recently opened files: of the 10 opened last
the best 5 by 0.6 · 1.15^−age + 0.4 · (1 − relative log size), whole if all of them fit, else their
beginnings, at least 125 tokens each and the better ones more. With snippets the prompt has the
repository-level form: ``<|repo_name|>`` and the project's name, each snippet behind
``<|file_sep|>`` and its path, then the open file's path before the FIM part; without, the
file-level form. An empty suffix is a line end.

Where it differs: a language server's definitions are replaced by the project's syntax trees, and
whole definitions are shown, where Pylance often gives the name alone. Continue puts opened files
first, which fill the room before any definition gets in, and shuffles definitions; here
definitions come first and in the order of their use, in the peer's favour. Tokens are counted
with the model's own tokenizer. Recent edits and the clipboard are of no other file in a replay.
The ranges visited last and the diff are off, as in its newest release.
"""

from __future__ import annotations

import math
import re

import msgspec

from benchmarks.peers.library import Symbol
from benchmarks.peers.strategy import (
    EditorState,
    TokenCounter,
    file_prompt,
    first_lines,
    last_lines,
    mark,
    prompt_of,
    text,
)
from context.types import Prompt, Segment

_N_PROMPT_TOKENS = 1024
_PREFIX_SHARE, _SUFFIX_SHARE = 0.3, 0.2
_N_OVERHEAD_TOKENS = 10
_N_LINES_ABOVE, _N_LINES_BELOW = 5, 3
_N_CONSIDERED, _N_USED = 10, 5
_RECENCY_WEIGHT, _SIZE_WEIGHT, _RECENCY_BASE = 0.6, 0.4, 1.15
_MIN_CHARS, _MIN_TOKENS = 10, 125
_WORD = re.compile(r"[A-Za-z_]\w*")
_HEADER = re.compile(r"(?:async\s+def|def|class)\s+\w+(.*)", re.S)


class _Snippet(msgspec.Struct, frozen=True):
    path: str
    text: str


class Continue:
    """See the module.

    Args:
        count: counts tokens.
    """

    name = "continue"
    writes_indent = False
    knows_texts = False

    def __init__(self, count: TokenCounter) -> None:
        self._count = count

    def prompt(self, state: EditorState) -> Prompt:
        """See Strategy."""
        prefix = last_lines(state.before, int(_N_PROMPT_TOKENS * _PREFIX_SHARE), self._count)
        n_left = _N_PROMPT_TOKENS - self._count(prefix)
        n_suffix = min(n_left, int(_N_PROMPT_TOKENS * _SUFFIX_SHARE))
        suffix = first_lines(state.after, n_suffix, self._count)
        snippets = self._snippets(state, prefix + suffix, n_left - self._count(suffix))
        suffix = suffix or "\n"
        if not snippets:
            return file_prompt(prefix, suffix)
        parts: list[Segment] = [mark("repo_name"), text(f"{state.project}\n")]
        for snippet in snippets:
            parts += [mark("file_sep"), text(f"{snippet.path}\n{snippet.text}\n")]
        parts += [mark("file_sep"), text(f"{state.path}\n")]
        return prompt_of(*parts, *file_prompt(prefix, suffix).segments)

    def _snippets(self, state: EditorState, window: str, n_left: int) -> list[_Snippet]:
        chosen = []
        for symbol in _definitions(state):
            snippet = _Snippet(symbol.path, symbol.text)
            n_tokens = self._count(snippet.text) + _N_OVERHEAD_TOKENS
            if n_tokens <= n_left and snippet.text.strip() not in window:
                chosen.append(snippet)
                n_left -= n_tokens
        for snippet in self._opened(state, n_left):
            n_tokens = self._count(snippet.text) + _N_OVERHEAD_TOKENS
            if n_tokens <= n_left:
                chosen.append(snippet)
                n_left -= n_tokens
        return chosen

    def _opened(self, state: EditorState, n_left: int) -> list[_Snippet]:
        """Recently opened files, whole or their beginnings."""
        latest = [_Snippet(v.path, state.library.files[v.path]) for v in reversed(state.visits)]
        latest = [snippet for snippet in latest if snippet.text.strip()]
        n_room = n_left - _N_OVERHEAD_TOKENS
        whole: list[_Snippet] = []
        n_used = 0
        for snippet in latest:
            n_used += self._count(snippet.text)
            if n_used >= n_room:
                break
            whole.append(snippet)
        if len(whole) >= min(_N_USED, len(latest)):
            return whole
        best = _ranked(latest[:_N_CONSIDERED])[:_N_USED]
        best = best[: max(0, n_room // _MIN_TOKENS)]
        trimmed = []
        for number, snippet in enumerate(best):
            n_files = len(best) - number
            n_tokens = _MIN_TOKENS + int(2 / (n_files + 1) * (n_room - n_files * _MIN_TOKENS))
            beginning = first_lines(snippet.text, n_tokens, self._count)
            trimmed.append(_Snippet(snippet.path, beginning))
            n_room -= self._count(beginning)
        return trimmed


def _ranked(latest: list[_Snippet]) -> list[_Snippet]:
    """Files by recency and size, the best first."""
    sizes = [math.log(max(len(snippet.text), _MIN_CHARS)) for snippet in latest]
    if not sizes:
        return []
    low, high = min(sizes), max(sizes)

    def score(age: int) -> float:
        small = 1 - (sizes[age] - low) / (high - low) if high > low else 0.5
        return _RECENCY_WEIGHT * _RECENCY_BASE**-age + _SIZE_WEIGHT * small

    order = sorted(range(len(latest)), key=lambda age: -score(age))
    return [latest[age] for age in order]


def _definitions(state: EditorState) -> list[Symbol]:
    """Definitions of imported names in use around the cursor, then in the headers around it."""
    above = "\n".join(state.before.split("\n")[-_N_LINES_ABOVE:])
    below = "\n".join(state.after.split("\n")[:_N_LINES_BELOW])
    names = _WORD.findall(f"{above}\n{below}")
    for header in _headers(state.before):
        names += _WORD.findall(header)
    found: dict[tuple[str, str], Symbol] = {}
    for name in dict.fromkeys(names):
        symbol = state.library.imported(name, state.text, state.path)
        if symbol is not None:
            found.setdefault((symbol.path, symbol.text), symbol)
    return list(found.values())


def _headers(before: str) -> list[str]:
    """What stands behind the names of the functions and classes around the cursor."""
    lines = before.split("\n")
    limit = _depth(lines[-1]) or 1
    found = []
    for number in range(len(lines) - 2, -1, -1):
        line = lines[number]
        if not line.strip() or _depth(line) >= limit:
            continue
        header = _HEADER.match(line.strip())
        if header is not None:
            end = number + 1
            while end < len(lines) - 1 and not lines[end - 1].rstrip().endswith(":"):
                end += 1
            found.append("\n".join([header.group(1), *lines[number + 1 : end]]))
        if line.lstrip()[0] not in ")]}":
            limit = _depth(line)
    return found


def _depth(line: str) -> int:
    return len(line) - len(line.lstrip())
