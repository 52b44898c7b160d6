"""What the log says of a cursor's place without saying what stands there."""

from __future__ import annotations

from typing import NamedTuple

from lsp_server.types import CompletionRequest

# How much of the text before the cursor the prefix hash covers: enough to tell positions apart,
# little enough to hash on every keystroke.
_N_HASHED_CHARS = 4096


class Around(NamedTuple):
    """The text around a cursor.

    Args:
        n_prefix_chars: characters before it.
        n_suffix_chars: characters after it.
        prefix_end: the end of the text before it.
    """

    n_prefix_chars: int
    n_suffix_chars: int
    prefix_end: str


def around(request: CompletionRequest) -> Around:
    """Look around where a suggestion is asked for.

    Args:
        request: where, in which text.
    """
    lines = request.snapshot.lines
    line = lines[request.line] if request.line < len(lines) else ""
    n_prefix_chars = sum(map(len, lines[: request.line])) + len(line[: request.column])
    pieces = [line[: request.column]]
    n_collected = len(pieces[0])
    above = min(request.line, len(lines))
    while above > 0 and n_collected < _N_HASHED_CHARS:
        above -= 1
        pieces.append(lines[above])
        n_collected += len(pieces[-1])
    prefix_end = "".join(reversed(pieces))[-_N_HASHED_CHARS:]
    return Around(n_prefix_chars, sum(map(len, lines)) - n_prefix_chars, prefix_end)
