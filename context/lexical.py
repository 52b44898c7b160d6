"""Strings, comments and brackets of Python text that need not be complete.

The cursor is nearly always in a half-typed place, where a syntax tree says little; this looks
only at the text left of it. Positions are character offsets.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from typing import Literal

import msgspec

Kind = Literal["string", "comment", "open", "close", "statement"]

_CLOSER = {"(": ")", "[": "]", "{": "}"}

# Possessive repeats keep each pattern linear. The named groups match where the text ends inside a
# string; a string in single quotes that is not closed ends with its line.
_STRINGS = r"""
    \"{3} [^"\\]*+ (?: (?: \\(?:.|\Z) | "(?!"") ) [^"\\]*+ )*+ (?: \"{3} | (?P<open_d3>\Z) )
  | '{3}  [^'\\]*+ (?: (?: \\(?:.|\Z) | '(?!'') ) [^'\\]*+ )*+ (?: '{3}  | (?P<open_s3>\Z) )
  | "     [^"\\\n]*+ (?: \\(?:.|\Z) [^"\\\n]*+ )*+ (?: " | (?P<open_d>\Z) | (?=\n) )
  | '     [^'\\\n]*+ (?: \\(?:.|\Z) [^'\\\n]*+ )*+ (?: ' | (?P<open_s>\Z) | (?=\n) )
"""
_COMMENT = r"(?P<comment> \# [^\n]*+ )"
# Words that begin a statement and never a line inside brackets.
_STATEMENT = r"""
    (?P<statement> ^ [ \t]*+ (?: def | class | return | import | raise | while | try | pass
        | break | continue | del | global | nonlocal | assert | with | elif | except | finally
        )\b (?! [ \t]*= ) )
"""
_FLAGS = re.VERBOSE | re.DOTALL | re.MULTILINE
_TEXT_TOKEN = re.compile(f"{_COMMENT} | {_STRINGS}", _FLAGS)
_TOKEN = re.compile(
    rf"{_COMMENT} | {_STRINGS} | (?P<bracket> [()\[\]{{}}] ) | {_STATEMENT}", _FLAGS
)
_QUOTES = {"open_d3": '"""', "open_s3": "'''", "open_d": '"', "open_s": "'"}
# The rest of a string that begins further left.
_STRING_ENDS = {
    '"""': re.compile(r'[^"\\]*+(?:(?:\\(?:.|\Z)|"(?!""))[^"\\]*+)*+(?:"{3}|(?P<open>\Z))', _FLAGS),
    "'''": re.compile(r"[^'\\]*+(?:(?:\\(?:.|\Z)|'(?!''))[^'\\]*+)*+(?:'{3}|(?P<open>\Z))", _FLAGS),
    '"': re.compile(r'[^"\\\n]*+(?:\\(?:.|\Z)[^"\\\n]*+)*+(?:"|(?P<open>\Z)|(?=\n))', _FLAGS),
    "'": re.compile(r"[^'\\\n]*+(?:\\(?:.|\Z)[^'\\\n]*+)*+(?:'|(?P<open>\Z)|(?=\n))", _FLAGS),
}
_COMMENT_END = re.compile(r"[^\n]*+")
# Where a scan for brackets may begin: none of these stands inside brackets at column 0.
_ANCHOR = re.compile(r"^(?:def|class|import|async[ ]def|@\w)", re.MULTILINE)
_ANCHOR_CHARS = 4096


class Lexical(msgspec.Struct, frozen=True, kw_only=True):
    """What surrounds a position.

    Args:
        quote: quotes of the string it is in ("" outside of strings).
        quote_start: offset of that string's first quote.
        comment: whether it is in a comment.
        brackets: the open brackets, outermost first, e.g. ``([``.
        bracket_start: offset of the outermost open bracket.
        continued: whether a backslash joins the next line.
    """

    quote: str = ""
    quote_start: int = 0
    comment: bool = False
    brackets: str = ""
    bracket_start: int = 0
    continued: bool = False

    @property
    def joined(self) -> bool:
        """Whether a line that begins here continues an earlier one."""
        return bool(self.quote or self.brackets or self.continued)


class Token(msgspec.Struct, frozen=True, gc=False):
    """A string, a comment, a bracket, or the first word of a statement.

    Args:
        kind: which of them.
        start: offset of its first character.
        end: offset after it.
        quote: for a string that the text ends in, its quotes.
    """

    kind: Kind
    start: int
    end: int
    quote: str = ""


def flat(text: str) -> str:
    """``text`` of the same length, with ``\\n`` for every character of an EOL."""
    if "\r" not in text:
        return text
    return text.replace("\\\r\n", " \\\n").replace("\r", "\n")


def tokens(text: str, state: Lexical | None = None, start: int = 0) -> Iterator[Token]:
    """The tokens of a text, in order.

    Args:
        text: with ``\\n`` as EOL (see ``flat``).
        state: what the text begins in.
        start: offset to begin at.
    """
    if state is not None and state.quote:
        found = _STRING_ENDS[state.quote].match(text, start)
        if found is not None:
            open_quote = state.quote if found.start("open") >= 0 else ""
            yield Token("string", start, found.end(), open_quote)
            start = found.end()
    elif state is not None and state.comment:
        end = _COMMENT_END.match(text, start)
        if end is not None:
            yield Token("comment", start, end.end())
            start = end.end()
    for found in _TOKEN.finditer(text, start):
        name = found.lastgroup
        if name == "bracket":
            kind: Kind = "open" if found.group() in _CLOSER else "close"
            yield Token(kind, found.start(), found.end())
        elif name in ("comment", "statement"):
            yield Token("comment" if name == "comment" else "statement", found.start(), found.end())
        else:
            yield Token("string", found.start(), found.end(), _QUOTES.get(name or "", ""))


def advance(text: str, state: Lexical | None = None, start: int = 0) -> Lexical:
    """What surrounds the end of a text.

    Args:
        text: with ``\\n`` as EOL.
        state: what the text begins in; its offsets are kept.
        start: offset to begin at.
    """
    stack = list(state.brackets) if state is not None else []
    bracket_start = state.bracket_start if state is not None else 0
    quote, quote_start, comment = "", 0, False
    for token in tokens(text, state, start):
        if token.kind == "open":
            if not stack:
                bracket_start = token.start
            stack.append(text[token.start])
        elif token.kind == "close":
            close(stack, text[token.start])
        elif token.kind == "statement":
            # The very first word may stand in the middle of a line.
            if token.start > 0 or state is None:
                stack.clear()
        elif token.end == len(text):
            quote, comment = token.quote, token.kind == "comment"
            quote_start = token.start
            if state is not None and state.quote and token.start == start:
                quote_start = state.quote_start
    continued = not quote and not comment and text.endswith(("\\\n", "\\"))
    return Lexical(
        quote=quote,
        quote_start=quote_start,
        comment=comment,
        brackets="".join(stack),
        bracket_start=bracket_start,
        continued=continued,
    )


def close(stack: list[str], closer: str) -> bool:
    """Close the innermost bracket of a kind, and all that were left open inside it.

    Returns:
        Whether there was one.
    """
    for index in range(len(stack) - 1, -1, -1):
        if _CLOSER[stack[index]] == closer:
            del stack[index:]
            return True
    return False


def locate(text: str) -> tuple[Lexical, tuple[tuple[int, int], ...]]:
    """What surrounds the end of a file's first part, however long that is.

    Strings and comments are looked for from the first character on, brackets only from the last
    definition or import at column 0. The last line is looked at anew each time, the lines above
    it only when they changed.

    Args:
        text: with ``\\n`` as EOL, from the beginning of the file.

    Returns:
        The state, and the ranges of strings of several lines.
    """
    line_start = text.rfind("\n") + 1
    state, spans = _locate_line(text[:line_start])
    return advance(text, state, line_start), spans


def statement_start(text: str, state: Lexical) -> int:
    """First character of the line on which the statement at the end of a text begins.

    Args:
        text: with ``\\n`` as EOL, from the beginning of the file.
        state: what surrounds its end.
    """
    at = len(text)
    if not state.quote and not state.brackets:
        # The last line may close what a line above opened.
        line = text.rfind("\n") + 1
        first = next(tokens(text, None, line), None)
        if first is None or first.kind != "statement":
            state, _ = locate(text[:line])
    if state.quote:
        at = state.quote_start
    if state.brackets:
        at = min(at, state.bracket_start)
    start = text.rfind("\n", 0, at) + 1
    while text.endswith("\\\n", 0, start):
        start = text.rfind("\n", 0, start - 1) + 1
    return start


_Spans = tuple[tuple[int, int], ...]
# Texts that were looked through last. To compare them takes a tenth of the time of hashing them.
_located: deque[tuple[str, tuple[Lexical, _Spans]]] = deque(maxlen=4)
# The same, with the strings of several lines in them.
_looked_through: deque[tuple[str, _Spans]] = deque(maxlen=4)


def _locate_line(text: str) -> tuple[Lexical, _Spans]:
    for known, found in _located:
        if known == text:
            return found
    spans = _spans(text)
    found = advance(text, None, anchor(text, spans)), spans
    _located.append((text, found))
    return found


def _spans(text: str) -> _Spans:
    """Ranges of the strings of several lines in whole lines of text.

    A line that is added to a text that is known costs no more than itself.
    """
    kept: _Spans = ()
    start = 0
    for known, spans in _looked_through:
        if start < len(known) and text.startswith(known):
            # A string that is open at the end may end further on.
            start = len(known)
            if spans and spans[-1][1] >= start:
                start, spans = spans[-1][0], spans[:-1]
            kept = spans
    found = _TEXT_TOKEN.finditer(text, start)
    spans = (
        *kept,
        *(each.span() for each in found if each.lastgroup != "comment" and "\n" in each.group()),
    )
    _looked_through.append((text, spans))
    return spans


def anchor(text: str, spans: tuple[tuple[int, int], ...]) -> int:
    """Where the last definition or import at column 0 begins, 0 where there is none.

    Args:
        text: with ``\\n`` as EOL.
        spans: ranges of strings of several lines in it.
    """
    end = len(text)
    while end > 0:
        start = text.rfind("\n", 0, max(0, end - _ANCHOR_CHARS)) + 1
        for found in reversed(list(_ANCHOR.finditer(text, start, end))):
            if not any(a < found.start() < b for a, b in spans):
                return found.start()
        end = start
    return 0
