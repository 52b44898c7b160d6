"""How many tokens a text will take, and how much of it fits."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence

# One match is about one token of a byte-pair vocabulary trained on code: six letters, one digit,
# the space before it, a line end with the indent after it, up to three signs.
_PIECE = re.compile(r"[A-Za-z]{1,6}|[ ](?=\d)|\d|\n\s*|[^\w\s]{1,3}|_+|[^\x00-\x7f]")
_MAX_KEPT_CHARS = 4096
_MAX_LINE_CHARS = 256


def estimate_tokens(text: str) -> int:
    """Estimated number of tokens, meant to err on the high side.

    Against the Qwen2.5 tokenizer on Python's standard library, in pieces of 3,000 characters: mean
    ratio 1.14, 5th percentile 1.03, 95th 1.24 (pieces of 300: 1.14, 0.99, 1.32). It costs 0.2 ms
    per 4 KB; texts and lines seen lately are not counted again. The engine checks the exact number.

    Args:
        text: source code or prose.
    """
    return _kept(text) if len(text) <= _MAX_KEPT_CHARS else _count(text)


# Most parts of a file are the same at the next keystroke, and nearly all lines.
@functools.lru_cache(maxsize=4096)
def _kept(text: str) -> int:
    return _count(text)


def _count(text: str) -> int:
    first, *others = text.split("\n")
    # A line end is one token with the blank lines and the indent behind it.
    bare = [line for line in map(str.lstrip, others) if line]
    has_open_end = bool(others) and not others[-1].strip()
    return _in_line(first) + sum(map(_in_line, bare)) + len(bare) + has_open_end


def _in_line(line: str) -> int:
    return _kept_in_line(line) if len(line) <= _MAX_LINE_CHARS else len(_PIECE.findall(line))


@functools.lru_cache(maxsize=8192)
def _kept_in_line(line: str) -> int:
    return len(_PIECE.findall(line))


def fitting_head(lines: Sequence[str], n_tokens: int) -> int:
    """How many of the first lines fit into a budget of tokens."""
    used = 0
    for count, line in enumerate(lines):
        used += estimate_tokens(line)
        if used > n_tokens:
            return count
    return len(lines)


def cut_left(text: str, n_tokens: int, count: Callable[[str], int] = estimate_tokens) -> str:
    """The end of a text that fits into a budget of tokens, cut at a character."""
    if count(text) <= n_tokens:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high) // 2
        if count(text[middle:]) > n_tokens:
            low = middle + 1
        else:
            high = middle
    return text[low:]


def cut_right(text: str, n_tokens: int, count: Callable[[str], int] = estimate_tokens) -> str:
    """The beginning of a text that fits into a budget of tokens, cut at a character."""
    if count(text) <= n_tokens:
        return text
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if count(text[:middle]) > n_tokens:
            high = middle - 1
        else:
            low = middle
    return text[:low]
