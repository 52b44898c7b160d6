"""The end of a block in languages without a grammar here: braces, closing words, indents."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

from context.scope import leading, width
from context.source import line_comment
from context.types import CursorScope

_WORD = re.compile(r"\w*")
_CLOSING_WORDS = frozenset(("end", "done", "fi", "esac"))
_MIDDLE_WORDS = frozenset(
    ("else", "elif", "elseif", "elsif", "rescue", "ensure", "when", "catch", "finally")
)
_PAIRS = {")": "(", "]": "[", "}": "{"}
# A blank line after this many lines is a good place to stop.
_PARAGRAPH_LINES = 3


def braces_end(text: str, scope: CursorScope) -> int | None:
    """Length of a completion up to the end of its block.

    Args:
        text: everything streamed so far, with ``\\n`` as EOL.
        scope: where the cursor stands.

    Returns:
        Number of characters; None while the block may go on.
    """
    block = _Braces(scope)
    brackets = brackets_in(text, scope.language)
    found = next(brackets, None)
    offset = 0
    keep = 0
    lines = text.split("\n")
    for number, line in enumerate(lines[:-1]):
        end = offset + len(line)
        on_line: list[str] = []
        while found is not None and found[0] < end:
            on_line.append(found[1])
            found = next(brackets, None)
        verdict = block.read(line, number, on_line)
        if verdict == "before":
            return keep
        if line.strip():
            keep = end
        if verdict == "after":
            return keep
        offset = end + 1
    return keep if block.is_outside(lines[-1], len(lines) - 1) else None


class _Braces:
    """Follows the complete lines of a completion."""

    def __init__(self, scope: CursorScope) -> None:
        self._line_before = scope.line_before
        self._on_blank = not scope.line_before.strip()
        self._own = width(leading(scope.line_before))
        self._base = width(scope.indent)
        # Each open bracket with the number of its line; -1 is the text left of the cursor.
        self._stack: list[tuple[str, int]] = []
        for _, bracket in brackets_in(scope.line_before, scope.language):
            self._change(bracket, -1)
        # A block that a word opens, as `then` does.
        self._by_word = not self._on_blank and not self._stack and self._base > self._own
        self._is_deeper = False
        self._n_lines = 0
        self._n_gap = 0

    def read(self, line: str, number: int, brackets: list[str]) -> str:
        """Take a complete line.

        Args:
            line: its text.
            number: counts the completion's lines from 0.
            brackets: those on it, outside of strings and comments.

        Returns:
            ``before`` or ``after`` when the block ends before or after the line, else "".
        """
        if not line.strip():
            return "before" if number > 0 and self._gap_ends() else ""
        if self.is_outside(line + "\n", number):
            return "before"
        was_open = bool(self._stack)
        column = self._column(line, number)
        self._n_gap = 0
        self._n_lines += 1
        closes = False
        for bracket in brackets:
            opened = self._change(bracket, number)
            if opened is None and number > 0:
                return "before"
            if opened is not None and opened < number:
                # Inside of a body that is indented, a nested block ends nothing.
                closes = closes or not self._on_blank or (bracket == "}" and self._base == 0)
        if self._stack:
            return ""
        if closes:
            return "after"
        return "" if was_open else self._read_words(line, column, number)

    def is_outside(self, line: str, number: int) -> bool:
        """Whether a line, perhaps not complete, is indented less than the block."""
        if number == 0 or self._stack or not line.strip():
            return False
        column = width(leading(line))
        if not self._by_word:
            if self._n_lines == 0 and not self._line_before:
                self._base = min(self._base, column)
            return column < self._base
        if column > self._own:
            return False
        word = _WORD.match(line.lstrip())
        if column < self._own or word is None:
            return True
        if word.end() == len(line.lstrip()):
            return False
        return word.group() not in _CLOSING_WORDS | _MIDDLE_WORDS

    def _read_words(self, line: str, column: int, number: int) -> str:
        found = _WORD.match(line.lstrip())
        closes = found is not None and found.group() in _CLOSING_WORDS
        if self._by_word:
            return "after" if closes and number > 0 and column == self._own else ""
        if not self._on_blank:
            return "after"
        if closes and self._is_deeper and column == self._base:
            return "after"
        self._is_deeper = column > self._base
        return ""

    def _gap_ends(self) -> bool:
        self._n_gap += 1
        if self._stack or self._by_word or self._is_deeper or self._n_lines == 0:
            return False
        return self._n_gap >= 2 or self._n_lines >= _PARAGRAPH_LINES

    def _column(self, line: str, number: int) -> int:
        column = width(leading(self._line_before + line if number == 0 else line))
        if self._n_lines == 0 and self._on_blank and number == 0:
            self._base = min(self._base, column)
        return column

    def _change(self, bracket: str, number: int) -> int | None:
        """Open or close a bracket.

        Returns:
            For a closing bracket the line on which its partner is, None when there is none; for
            an opening one ``number``.
        """
        partner = _PAIRS.get(bracket)
        if partner is None:
            self._stack.append((bracket, number))
            return number
        for index in range(len(self._stack) - 1, -1, -1):
            if self._stack[index][0] == partner:
                line = self._stack[index][1]
                del self._stack[index:]
                return line
        return None


def brackets_in(text: str, language: str, *, growing: bool = False) -> Iterator[tuple[int, str]]:
    """Offsets of the brackets outside of strings and comments.

    Args:
        text: with ``\\n`` as EOL.
        language: LSP language id.
        growing: whether more text comes: a string that is open at the end is one.
    """
    pattern = _pattern(line_comment(language), language == "rust", growing)
    for found in pattern.finditer(text):
        if found.lastgroup == "bracket":
            yield found.start(), found.group()


@functools.cache
def _pattern(marker: str, has_lifetimes: bool, growing: bool) -> re.Pattern[str]:
    end = r"|\Z" if growing else ""
    # In Rust a single quote also begins a lifetime.
    single = r"'(?:\\[^'\n]*|[^\\'\n])'" if has_lifetimes else rf"'(?:\\.|[^'\\\n])*(?:'{end})"
    parts = [
        rf"{re.escape(marker)}[^\n]*" if marker else "",
        r"/\*(?:[^*]|\*(?!/))*(?:\*/|\Z)" if marker == "//" else "",
        rf'"(?:\\.|[^"\\\n])*(?:"{end})',
        single,
        r"`(?:\\.|[^`\\])*(?:`|\Z)",
        r"(?P<bracket>[()\[\]{}])",
    ]
    return re.compile("|".join(part for part in parts if part))
