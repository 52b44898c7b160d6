"""Where in a line a developer pauses, found on the single line without its surroundings."""

from __future__ import annotations

import keyword
import random
import re
from collections.abc import Iterator
from typing import Literal

import msgspec

from benchmarks.replay.types import PauseKind

IDENTIFIER_STEP = 3
MIN_CHARS = 8

TokenKind = Literal["blank", "comment", "string", "number", "name", "operator"]

# A string that does not end on its line is one to the end of the line: multi-line strings begin
# like that. Longer operators stand first; any other character is an operator by itself.
_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
  | (?P<comment>\#.*)
  | (?P<string>(?:[rR][bBfFtT]?|[bBfFtT][rR]?|[uU])?
        (?:\"\"\"(?:\\.|(?!\"\"\").)*(?:\"\"\"|\\?$)
          |'''(?:\\.|(?!''').)*(?:'''|\\?$)
          |"(?:\\.|[^"\\])*(?:"|\\?$)
          |'(?:\\.|[^'\\])*(?:'|\\?$)))
  | (?P<number>\.?\d(?:[eE][+-]?\d|[\w.])*)
  | (?P<name>[^\W\d]\w*)
  | (?P<operator>\*\*=|//=|>>=|<<=|\.\.\.|->|:=|[-+*/%&|^@=!<>]=|\*\*|//|<<|>>|.)
    """,
    re.VERBOSE,
)
_PAUSE_AFTER = ("(", "[", ",", ".")
# What is never an opportunity by itself.
_TRIVIAL = frozenset(")]}:,; \t")


class Token(msgspec.Struct, frozen=True):
    """A piece of a line: columns in code points, the end not included."""

    kind: TokenKind
    start: int
    end: int


class Pause(msgspec.Struct, frozen=True):
    """A cursor position in a line; ``column`` counts code points."""

    column: int
    kind: PauseKind


def tokens(line: str) -> tuple[Token, ...]:
    """Tokens of Python in a line, blanks among them; any text has some.

    Args:
        line: without EOL; taken to begin outside of strings and comments.
    """
    return tuple(
        Token(found.lastgroup, found.start(), found.end())  # type: ignore[arg-type]
        for found in _TOKEN.finditer(line)
    )


def in_comment(line: str, column: int) -> bool:
    """Whether what is right of a column is a comment or a part of one."""
    return any(
        token.kind == "comment" and not line[column : token.start].strip() for token in tokens(line)
    )


def pauses(
    line: str, *, identifier_step: int = IDENTIFIER_STEP, min_chars: int = MIN_CHARS
) -> tuple[Pause, ...]:
    """The opportunities of a line, from left to right.

    A developer pauses at the start of a line, with the cursor behind the indentation (which is
    set already: how deep a new line stands is the developer's decision); in code after an opening
    bracket, a comma, a dot and an operator that ends in ``=``; and inside identifiers. There are
    none of the latter two in strings, numbers and comments. Nor is there an opportunity where
    nothing but closing brackets, colons and commas is to come.

    Args:
        line: as the developer wrote it, without EOL.
        identifier_step: pause at every such character of an identifier; 0 for none.
        min_chars: shortest rest of the line that counts, blanks at its ends left out.
    """
    found: dict[int, PauseKind] = {len(line) - len(line.lstrip()): "line_start"}
    for column, kind in _inner_pauses(line, identifier_step):
        found.setdefault(column, kind)
    return tuple(
        Pause(column, kind)
        for column, kind in sorted(found.items())
        if _is_worth_it(line[column:], min_chars)
    )


def choose(
    candidates: tuple[Pause, ...], limit: int | None, *, seed: int, place: str
) -> tuple[Pause, ...]:
    """At most ``limit`` of a line's pauses, in their order.

    Args:
        candidates: of one line.
        limit: None for all.
        seed: of the choice.
        place: names the line; the choice depends on nothing else.
    """
    if limit is None or len(candidates) <= limit:
        return candidates
    chosen = random.Random(f"{seed}|{place}").sample(range(len(candidates)), limit)
    return tuple(candidates[index] for index in sorted(chosen))


def _inner_pauses(line: str, identifier_step: int) -> Iterator[tuple[int, PauseKind]]:
    for token in tokens(line):
        text = line[token.start : token.end]
        if token.kind == "operator" and (text in _PAUSE_AFTER or text.endswith("=")):
            yield token.end, "after_punctuation"
        elif token.kind == "name" and identifier_step and not keyword.iskeyword(text):
            for column in range(token.start + identifier_step, token.end, identifier_step):
                yield column, "inside_identifier"


def _is_worth_it(rest: str, min_chars: int) -> bool:
    return len(rest.strip()) >= max(1, min_chars) and not _TRIVIAL.issuperset(rest)
