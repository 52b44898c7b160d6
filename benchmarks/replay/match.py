"""Whether a suggestion agrees with what the developer wrote: A-line, A-block, A-prefix.

Both texts are compared as whole lines, from the beginning of the cursor's line, in the form of
``text.units_of``: NFC, blanks at line ends, EOL and quote style do not count; everything else
does, blanks inside a line among it.

- **A-line**: the first non-blank line of the suggestion is the developer's line. Blank lines may
  come before it only where the cursor stands at the start of a line; the line then brings its own
  indentation, which must be right.
- **A-block**: A-line, and each further line of the suggestion is the developer's next line.
  Blank lines at the suggestion's end do not count.
- **A-prefix**: A-line, or the first line up to and with its first closing bracket (up to its end
  where there is none) is what the developer wrote next. Brackets in strings and comments do not
  count; the piece has a word in it and ends where a word of the developer's ends.

Characters that were typed already are stripped in two places, and only if the suggestion does
not match with them:

- left of the cursor: the longest end of ``before`` that the suggestion begins with, if it begins
  at a word, at a quote or at the line's first character, and has a word in it (or is the line's
  whole indentation). At ``foo.ba`` both ``bar(x)`` and ``foo.bar(x)`` are judged as ``r(x)``;
- right of the cursor: the whole rest of the line, where the suggestion's line ends with it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

import msgspec

from benchmarks.replay.text import (
    Text,
    edit_similarity,
    lines_of,
    n_tokens_of,
    normal,
    splits_token,
    units_of,
    without_blanks,
)
from benchmarks.replay.types import Match
from context.lexical import flat, tokens

__all__ = ["compare", "is_substantial", "is_trivial", "n_tokens_of"]

_MIN_TOKENS = 2
_MIN_CHARACTERS = 8
_WORD = re.compile(r"\w")


class _Candidate(msgspec.Struct, frozen=True):
    """One way to read a suggestion.

    Args:
        lines: whole lines, the first one with what stands left of the cursor; normal.
        start: where the suggestion begins in the first line.
    """

    lines: tuple[str, ...]
    start: int


def compare(
    text: str,
    *,
    before: str,
    line_rest: str,
    block_rest: str,
    replace_after: int = 0,
    line_after: str = "",
) -> Match:
    """Compare a suggestion with what the developer wrote from the cursor on.

    Args:
        text: the suggestion, as it would be inserted at the cursor.
        before: what is typed already of the cursor's line.
        line_rest: the developer's rest of that line, without EOL.
        block_rest: all that the developer wrote from the cursor on, with EOLs.
        replace_after: characters right of the cursor that the suggestion replaces.
        line_after: what stands right of the cursor already; the end of ``line_rest``, or "".

    Returns:
        The match. Its numbers of characters count in ``block_rest``, line ends and indentation
        with them, without blanks at the end of the last line and without ``line_after``.
    """
    candidates = list(_candidates(text, before, line_after, replace_after))
    line = normal(before + line_rest)
    seam = len(unicodedata.normalize("NFC", before))
    if not candidates or not line_rest.strip():
        return _no_match(_similarity(candidates, line[seam:]))
    wanted = units_of(line)
    rest = without_blanks(line_rest)
    n_after = len(line_after.rstrip()) if rest.endswith(line_after.rstrip()) else 0
    found = [c for c in candidates if units_of(c.lines[0]).units == wanted.units][:1]
    ends = (_prefix_end(reading, wanted) for reading in found or candidates)
    end = next(filter(None, ends), 0)
    n_prefix = min(_original_length(line_rest, end - seam), len(rest) - n_after) if end else 0
    if not found:
        similarity = _similarity(candidates, line[seam:])
        return msgspec.structs.replace(
            _no_match(similarity), prefix=n_prefix > 0, n_prefix=n_prefix
        )
    block, n_block = _block(found[0], before, block_rest)
    return Match(
        line=True,
        block=block,
        prefix=True,
        n_accepted=(n_block or len(rest)) - n_after,
        # None where the piece is nothing but an accent on the last typed letter.
        n_prefix=n_prefix or len(rest) - n_after,
        edit_similarity=1.0,
    )


def is_trivial(target: str) -> bool:
    """Whether a target has no word in it, e.g. a lone ``)`` or ``:``; it is never counted."""
    return _WORD.search(target) is None


def is_substantial(target: str, n_tokens: int) -> bool:
    """Whether a target has at least 2 tokens and 8 characters.

    Args:
        target: the developer's text from the cursor to the end of the line.
        n_tokens: Python tokens in it.
    """
    return n_tokens >= _MIN_TOKENS and len(target.strip()) >= _MIN_CHARACTERS


def _no_match(similarity: float) -> Match:
    return Match(
        line=False, block=False, prefix=False, n_accepted=0, n_prefix=0, edit_similarity=similarity
    )


def _similarity(candidates: list[_Candidate], theirs: str) -> float:
    if not candidates:
        return 0.0
    first = candidates[0]
    return edit_similarity(first.lines[0][first.start :].strip(), theirs.strip())


def _candidates(
    text: str, before: str, line_after: str, replace_after: int
) -> Iterator[_Candidate]:
    """The ways to read a suggestion, the plainest first."""
    lines = [line.rstrip("\r\n") for line in lines_of(text)]
    while lines and not lines[-1].strip():
        lines.pop()
    n_blank = next((n for n, line in enumerate(lines) if line.strip()), len(lines))
    if n_blank == len(lines):
        return
    if n_blank and not before.strip():
        whole = _whole("", lines[n_blank:])
        yield _Candidate(whole, len(whole[0]) - len(whole[0].lstrip()))
        return
    kept = line_after[replace_after:].rstrip()
    ends = [kept] if kept else [""]
    if kept and lines[-1].rstrip().endswith(kept):
        ends.append("")
    starts = [0]
    if overlap := _overlap(before, lines[0]):
        starts.append(overlap)
    for start in starts:
        for end in ends:
            read = [lines[0][start:], *lines[1:]]
            read[-1] += end
            yield _Candidate(_whole(before, read), len(unicodedata.normalize("NFC", before)))


def _whole(before: str, lines: list[str]) -> tuple[str, ...]:
    return tuple(normal(line) for line in (before + lines[0], *lines[1:]))


def _overlap(before: str, line: str) -> int:
    """Length of the beginning of ``line`` that repeats the end of ``before``."""
    typed = unicodedata.normalize("NFC", before)
    offered = unicodedata.normalize("NFC", line)
    for at in range(max(0, len(typed) - len(offered)), len(typed)):
        if offered.startswith(typed[at:]) and _begins_token(typed, at):
            return _original_length(line, len(typed) - at)
    return 0


def _begins_token(typed: str, at: int) -> bool:
    if not _WORD.search(typed, at):
        return at == 0
    return (
        at == 0
        or typed[at] in "'\""
        or (_WORD.match(typed, at) is not None and _WORD.match(typed, at - 1) is None)
    )


def _block(candidate: _Candidate, before: str, block_rest: str) -> tuple[bool, int]:
    """Whether all lines match, and the characters of ``block_rest`` that several lines are."""
    n_lines = len(candidate.lines)
    theirs = lines_of(block_rest)[:n_lines]
    if n_lines == 1:
        return True, 0
    if n_lines > len(theirs):
        return False, 0
    written = normal(before + "".join(theirs)).removesuffix("\n")
    if units_of("\n".join(candidate.lines)).units != units_of(written).units:
        return False, 0
    return True, sum(map(len, theirs[:-1])) + len(without_blanks(theirs[-1]))


def _prefix_end(candidate: _Candidate, wanted: Text) -> int:
    """Where rule A-prefix's piece ends in the developer's line (NFC); 0 if it does not match."""
    line = candidate.lines[0]
    end = len(line)
    for token in tokens(flat(line)):
        closes = token.kind == "close" and token.start >= candidate.start
        if closes and _WORD.search(line, candidate.start, token.end):
            end = token.end
            break
    units = units_of(line[:end]).units
    n_units = len(units)
    if wanted.units[:n_units] != units:
        return 0
    if n_units < len(wanted.units):
        if not _WORD.search(line, candidate.start, end):
            return 0
        if splits_token(units[-1], wanted.units[n_units]):
            return 0
    return wanted.ends[n_units - 1]


def _original_length(original: str, n_normal: int) -> int:
    """How many characters of a text become the first ``n_normal`` ones of its NFC form."""
    if unicodedata.is_normalized("NFC", original):
        return min(n_normal, len(original))
    for size in range(len(original)):
        done = len(unicodedata.normalize("NFC", original[:size])) >= n_normal
        if done and not unicodedata.combining(original[size]):
            return size
    return len(original)
