"""Lines of Python text in a form in which two spellings of one text are equal.

Equal are texts that differ only in Unicode normalisation (NFC), in blanks at line ends, in line
ends, or in the quotes around a string. The text is a fragment: it may begin or end inside a
string, or lack brackets.
"""

from __future__ import annotations

import re
import unicodedata

import msgspec

from context.lexical import flat, tokens

# Stand for the quotes around a string; never equal to a quote inside one.
_QUOTE, _TRIPLE_QUOTE = "quote", "triple quote"
_BLANKS = " \t\f\v"
_PREFIX = re.compile(r"(?<!\w)[bBfFrRtTuU]{1,2}\Z")
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_TOKEN = re.compile(
    r"""(?:\d[\w.]*(?:(?<=[eE])[+-]\d+)?|\.\d\w*)     # numbers
      | \w+ | \*\*=? | //=? | >>=? | <<=? | -> | := | \.\.\. | [-+*/%&|^@=!<>]=
      | \S""",
    re.VERBOSE,
)


class Text(msgspec.Struct, frozen=True):
    """A text as units: characters, and one unit for the quotes at an end of a string.

    Args:
        units: in order.
        ends: for each unit, the offset after it in the NFC text.
    """

    units: tuple[str, ...]
    ends: tuple[int, ...]


def lines_of(text: str) -> list[str]:
    """The lines of a text, each with its EOL: ``\\n``, ``\\r\\n`` or ``\\r``."""
    return _LINE.findall(text)


def without_blanks(line: str) -> str:
    """A line without its EOL and the blanks before it."""
    return line.rstrip("\r\n").rstrip(_BLANKS)


def normal(text: str) -> str:
    """The text in NFC, with ``\\n`` as EOL and without blanks at line ends."""
    ended = text.endswith(("\n", "\r"))
    lines = "\n".join(without_blanks(line) for line in lines_of(text))
    return unicodedata.normalize("NFC", lines + "\n" * ended)


def units_of(text: str) -> Text:
    """A text as units; ``text`` is ``normal``."""
    units: list[str] = []
    ends: list[int] = []
    at = 0
    for token in tokens(flat(text)):
        if token.kind != "string":
            continue
        _add(units, ends, text[at : token.start], at)
        prefix = _PREFIX.search(text, 0, token.start)
        _add_string(units, ends, text, token.start, token.end, prefix.group() if prefix else "")
        at = token.end
    _add(units, ends, text[at:], at)
    return Text(tuple(units), tuple(ends))


def n_tokens_of(text: str) -> int:
    """Number of Python tokens in a fragment.

    A string is one token. The words and signs of a comment count like tokens, so that a comment
    weighs the same whether the fragment begins before its ``#`` or behind.
    """
    n_tokens = 0
    at = 0
    for token in tokens(flat(text)):
        if token.kind == "string":
            head = _PREFIX.sub("", text[at : token.start])
            n_tokens += len(_TOKEN.findall(head)) + 1
            at = token.end
    return n_tokens + len(_TOKEN.findall(text[at:]))


def splits_token(left: str, right: str) -> bool:
    """Whether two units side by side are the middle of a word, a number or an operator."""
    return len(left) == len(right) == 1 and _TOKEN.fullmatch(left + right) is not None


def edit_similarity(ours: str, theirs: str) -> float:
    """1 − Levenshtein distance / length of the longer text: the ES of RepoCoder and RepoEval.

    The distance is computed with bit vectors (G. Myers, 1999, in H. Hyyrö's form, 2003).
    """
    longer = max(len(ours), len(theirs))
    return 1.0 if longer == 0 else 1 - _levenshtein(ours, theirs) / longer


def indel_similarity(ours: str, theirs: str) -> float:
    """2 · LCS / both lengths: ``fuzz.ratio / 100``, the ES of CrossCodeEval.

    The longest common subsequence is computed with bit vectors (H. Hyyrö, 2004).
    """
    both = len(ours) + len(theirs)
    if both == 0:
        return 1.0
    places = _places(ours)
    mask = (1 << len(ours)) - 1
    state = mask
    for character in theirs:
        common = state & places.get(character, 0)
        state = ((state + common) | (state - common)) & mask
    return 2 * (len(ours) - state.bit_count()) / both


def _add(units: list[str], ends: list[int], piece: str, start: int) -> None:
    units.extend(piece)
    ends.extend(range(start + 1, start + len(piece) + 1))


def _add_string(
    units: list[str], ends: list[int], text: str, start: int, end: int, prefix: str
) -> None:
    triple = text.startswith(text[start] * 3, start)
    mark = text[start] * 3 if triple else text[start]
    unit = _TRIPLE_QUOTE if triple else _QUOTE
    first = start + len(mark)
    closed = end - first >= len(mark) and text.endswith(mark, first, end)
    if closed and "r" not in prefix.lower():
        # Quotes behind an odd number of backslashes belong to the string.
        head = text[first : end - len(mark)]
        closed = (len(head) - len(head.rstrip("\\"))) % 2 == 0
    last = end - len(mark) if closed else end
    units.append(unit)
    ends.append(first)
    _add_body(units, ends, text, first, last, prefix.lower())
    if closed:
        units.append(unit)
        ends.append(end)


def _add_body(
    units: list[str], ends: list[int], text: str, first: int, last: int, prefix: str
) -> None:
    depth = 0  # of replacement fields in an f-string
    fields = "f" in prefix or "t" in prefix
    at = first
    while at < last:
        size, unit = 1, text[at]
        pair = text[at : min(at + 2, last)]
        if fields and depth == 0 and pair in ("{{", "}}"):
            _add(units, ends, pair, at)
            at += 2
            continue
        if fields and unit in "{}":
            depth = max(0, depth + (1 if unit == "{" else -1))
        elif depth > 0 and unit in "'\"":
            # Strings in a field have the other quotes than the string around it.
            unit = _QUOTE
        elif "r" not in prefix and len(pair) == 2 and pair[0] == "\\":
            if pair[1] in "'\"":
                size, unit = 2, pair[1]
            else:
                _add(units, ends, pair, at)
                at += 2
                continue
        units.append(unit)
        at += size
        ends.append(at)


def _places(text: str) -> dict[str, int]:
    places: dict[str, int] = {}
    for number, character in enumerate(text):
        places[character] = places.get(character, 0) | 1 << number
    return places


def _levenshtein(ours: str, theirs: str) -> int:
    if not ours:
        return len(theirs)
    places = _places(ours)
    mask = (1 << len(ours)) - 1
    last = 1 << (len(ours) - 1)
    plus, minus, distance = mask, 0, len(ours)
    for character in theirs:
        equal = places.get(character, 0)
        zero = (((equal & plus) + plus) ^ plus) | equal | minus
        rise, fall = minus | ~(zero | plus) & mask, plus & zero
        distance += bool(rise & last) - bool(fall & last)
        rise, fall = (rise << 1 | 1) & mask, fall << 1 & mask
        plus, minus = fall | ~(zero | rise) & mask, rise & zero
    return distance
