"""The prompt of llama.vim, as llama-server's ``/infill`` builds it.

Numbers: 256 lines above and 64 below the cursor; the server keeps the last 768 tokens of the
lines above and of the lines below the first 256 less 2 and less the cursor's line (3/4 and 1/4 of
a batch of 1,024, the server's FIM presets). Before them stands a ring of up to 16 chunks in the
repository-level form: ``<|repo_name|>myproject``, each chunk behind ``<|file_sep|>`` and its file
name, the open file as ``<|file_sep|>filename``. A chunk is 33 lines, drawn by chance, of the 65
around the cursor (its chunk size of 64 is halved there), taken when a file is entered and when it
is left; one that is more than 0.9 similar to a new one makes room for it, and one more than 0.5
similar to the text at the cursor is left out (similarity: 2 · common lines / all lines of both).
The open file gives two chunks: one of the 1,024 lines above, less the 256 in the prompt, and one
of the 64 lines below the 64 in the prompt, taken anew when the cursor has moved by 32 lines. The
whole ring stands in the prompt as long as it fits a context of 8,192 tokens less the batch and
twice the 128 predicted tokens; else its oldest part is cut off. On a blank line the model writes
the indentation itself.

Where it differs: the ring holds files that a made-up session visited (see session), two chunks
each, the first chunk like all others may be left out as too similar, and the 33 lines at the
cursor are compared instead of 33 by chance. Yanked text and saved files give no chunks. llama.vim
asks nothing with more than 8 characters right of the cursor; the replay has none there.
"""

from __future__ import annotations

import random

from benchmarks.peers.library import Chunk
from benchmarks.peers.strategy import (
    EditorState,
    TokenCounter,
    first_tokens,
    last_tokens,
    mark,
    prompt_of,
    text,
)
from context.types import Prompt, Segment

_N_PREFIX_LINES, _N_SUFFIX_LINES = 256, 64
_N_BATCH_TOKENS, _N_CTX_TOKENS, _N_PREDICT_TOKENS = 1024, 8192, 128
_N_CHUNKS = 16
_AROUND_LINES = 32
_CHUNK_LINES = 33
_MIN_CHUNK_LINES = 3
_SCOPE_LINES, _MOVED_LINES = 1024, 32
_BELOW_LINES = 64
_SAME, _TOO_CLOSE = 0.9, 0.5


class LlamaVim:
    """See the module.

    Args:
        count: counts tokens.
        seed: of which lines become chunks.
    """

    name = "llama.vim"
    writes_indent = True
    knows_texts = False

    def __init__(self, count: TokenCounter, *, seed: int = 1) -> None:
        self._count = count
        self._seed = seed

    def prompt(self, state: EditorState) -> Prompt:
        """See Strategy."""
        above, newline, line_before = state.before.rpartition("\n")
        line_after, _, below = state.after.partition("\n")
        lines_above = above.split("\n") if newline else []
        lines_below = below.removesuffix("\n").split("\n") if below else []
        if not (line_before + line_after).strip():
            line_before = line_after = ""
        prefix = "\n".join(lines_above[-_N_PREFIX_LINES:]) + "\n"
        suffix = f"{line_after}\n" + "\n".join(lines_below[:_N_SUFFIX_LINES]) + "\n"
        n_suffix = _N_BATCH_TOKENS // 4 - 2 - self._count(line_before)
        return prompt_of(
            *self._extra(self._ring(state, lines_above, lines_below)),
            mark("fim_prefix"),
            text(last_tokens(prefix, 3 * (_N_BATCH_TOKENS // 4), self._count) + line_before),
            mark("fim_suffix"),
            text(first_tokens(suffix, max(0, n_suffix), self._count)),
            mark("fim_middle"),
        )

    def _extra(self, ring: list[Chunk]) -> list[Segment]:
        """The ring as text, its end as far as there is room."""
        room = _N_CTX_TOKENS - _N_BATCH_TOKENS - 2 * _N_PREDICT_TOKENS
        parts = [mark("repo_name"), text("myproject\n")]
        for chunk in ring:
            parts += [mark("file_sep"), text(f"{chunk.path}\n{chunk.text}\n")]
        parts += [mark("file_sep"), text("filename\n")]
        kept: list[Segment] = []
        for part in reversed(parts):
            n_tokens = self._count(part.text) if part.role == "text" else 1
            if n_tokens > room:
                kept.append(text(last_tokens(part.text, room, self._count)))
                break
            kept.append(part)
            room -= n_tokens
        return kept[::-1]

    def _ring(
        self, state: EditorState, lines_above: list[str], lines_below: list[str]
    ) -> list[Chunk]:
        ring: list[Chunk] = []
        for visit in state.visits:
            lines = state.library.files[visit.path].removesuffix("\n").split("\n")
            for at in (visit.enter_line, visit.leave_line):
                around = lines[max(0, at - _AROUND_LINES) : at + _AROUND_LINES + 1]
                self._add(ring, visit.path, around, f"{visit.path} {at}")
        # Steps of the cursor, so that the open file's chunks stay as they are in between.
        line = len(lines_above) // _MOVED_LINES * _MOVED_LINES
        far_above = lines_above[max(0, line - _SCOPE_LINES) : max(0, line - _N_PREFIX_LINES)]
        self._add(ring, state.path, far_above, f"above {line}")
        below = lines_below[line + _N_SUFFIX_LINES - len(lines_above) - 1 :]
        self._add(ring, state.path, below[:_BELOW_LINES], f"below {line}")
        half = _CHUNK_LINES // 2
        here = [*lines_above[-half:], state.before.rpartition("\n")[2], *lines_below[:half]]
        close = [similarity(chunk.text.split("\n"), here) > _TOO_CLOSE for chunk in ring]
        kept = [chunk for chunk, is_close in zip(ring, close, strict=True) if not is_close]
        return kept[-_N_CHUNKS:]

    def _add(self, ring: list[Chunk], path: str, lines: list[str], place: str) -> None:
        if len(lines) < _MIN_CHUNK_LINES:
            return
        if len(lines) > _CHUNK_LINES:
            chance = random.Random(f"{self._seed} {place}")
            start = chance.randrange(len(lines) - _CHUNK_LINES + 1)
            lines = lines[start : start + _CHUNK_LINES]
        ring[:] = [chunk for chunk in ring if similarity(chunk.text.split("\n"), lines) <= _SAME]
        ring.append(Chunk(path=path, text="\n".join(lines)))


def similarity(ours: list[str], theirs: list[str]) -> float:
    """2 · lines of ours that are in theirs / lines of both."""
    known = set(theirs)
    return 2 * sum(line in known for line in ours) / (len(ours) + len(theirs))
