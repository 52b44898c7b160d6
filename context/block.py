"""Where a streamed completion has said enough: the end of its block, and brackets that fit."""

from __future__ import annotations

import functools
import re

from context.lexical import Lexical, advance, close, flat, tokens
from context.scope import leading, width
from context.types import CursorScope

_DEFINITION = re.compile(r"(?:async[ \t]+def|def|class)\b|@\w")
_CONTINUES = re.compile(r"(?:elif|else|except|finally|case)\b")
_CLOSING_WORDS = ("end", "done", "fi", "esac")
_CLOSES = re.compile(rf"[)\]}}]|(?:{'|'.join(_CLOSING_WORDS)})\b")
_COMMENT = re.compile(r"\s#.*$")
# Text further left than this cannot change what is open at the cursor in any usual file.
_MAX_BEFORE_BYTES = 64 * 1024


def block_end(text_before: bytes, completion: str, scope: CursorScope) -> int | None:
    """Length of a completion up to which it belongs to the block at the cursor.

    Args:
        text_before: text left of the cursor, as UTF-8; its end is enough.
        completion: everything streamed so far.
        scope: where the cursor stands.

    Returns:
        Number of characters, without trailing blank lines; None while the block may go on.
    """
    state = _state_before(text_before) if scope.language == "python" else Lexical()
    return _Block(scope, state).end(flat(completion))


def balance(text_before_line: str, completion: str, line_after: str, *, kind: str = "code") -> int:
    """Length of a completion up to which its closing brackets and quotes have partners.

    A bracket may be closed when the completion opened it, or when the text left of the cursor did
    and the text right of the cursor does not close it.

    Args:
        text_before_line: the cursor's line left of the cursor.
        completion: everything streamed so far.
        line_after: the cursor's line right of the cursor.
        kind: kind of the cursor's scope; the brackets of comments and docstrings may be odd.

    Returns:
        Number of characters.
    """
    if kind in ("comment", "docstring"):
        return len(completion)
    text = flat(completion)
    state = advance(text_before_line)
    if state.quote and not advance(line_after, state).quote and _has_quote(line_after, state):
        first = next(iter(tokens(text, state)), None)
        if first is not None and not first.quote and first.kind == "string":
            # The quote that ends the string stands right of the cursor already.
            newline = text.startswith("\n", first.end)
            return first.end if newline else first.end - len(state.quote)
    stack: list[str] = []
    before = list(state.brackets)
    n_closable = max(0, len(before) - _n_closed(line_after))
    for token in tokens(text, state):
        if token.kind == "open":
            stack.append(text[token.start])
        elif token.kind == "close":
            closer = text[token.start]
            if stack:
                if not _fits(stack, closer):
                    return token.start
            elif n_closable and _fits(before, closer):
                n_closable -= 1
            else:
                return token.start
    return len(completion)


class _Block:
    """Follows the lines of a completion."""

    def __init__(self, scope: CursorScope, state: Lexical) -> None:
        self._scope = scope
        self._python = scope.language == "python"
        self._state = state
        self._at_bracket = bool(state.brackets)
        typed = scope.line_before.strip()
        self._on_blank = not typed
        self._own = width(leading(scope.line_before))
        self._base = width(scope.indent)
        self._after_decorator = typed.startswith("@")
        self._has_definition = bool(_DEFINITION.match(typed))
        is_header = self._has_definition and not self._after_decorator
        # Column of a header whose body the completion writes.
        self._header_column = self._own if is_header else -1
        self._opens_brace = not self._python and not self._on_blank and self._base > self._own
        self._n_lines = 0
        self._has_gap = False
        self._last = scope.line_before

    def end(self, text: str) -> int | None:
        """Number of characters until the block has ended."""
        offset = 0
        last_end = 0
        lines = text.split("\n")
        for number, line in enumerate(lines):
            growing = number == len(lines) - 1
            full = self._scope.line_before + line if number == 0 else line
            if (number > 0 or self._on_blank) and full.strip():
                if self._ends_at(full, number, growing):
                    return last_end
                if number > 0 and self._is_closing(full):
                    return None if growing else offset + len(line)
            elif line.strip():
                self._n_lines += 1
            if self._python:
                self._state = advance(line + "\n", self._state)
            if line.strip():
                last_end = offset + len(line)
                self._last = line
            self._has_gap = not line.strip() and number > 0
            offset += len(line) + 1
        return None

    def _ends_at(self, line: str, number: int, growing: bool) -> bool:
        if self._python and number > 0 and self._state.joined:
            return False
        if number > 0 and self._at_bracket:
            # The statement with the bracket is complete; only a header goes on, with its body.
            self._at_bracket = False
            if not _COMMENT.sub("", self._last).rstrip().endswith(":"):
                return True
            self._header_column = width(self._scope.indent)
        column, word = width(leading(line)), line.strip()
        first = self._n_lines == 0
        self._n_lines += 1
        if first and (self._on_blank or column > self._own):
            # The completion's own first line tells the block's indent better than a guess does.
            self._base = min(self._base, column)
        if column < self._base:
            return not (self._opens_brace and self._may_close(word, growing))
        if column > self._base or not self._python or (growing and word.isidentifier()):
            return False
        return self._sibling_ends(word, first)

    def _sibling_ends(self, word: str, first: bool) -> bool:
        """Whether a line at the block's own indent begins something else."""
        if self._header_column == self._base:
            return not _CONTINUES.match(word)
        if not _DEFINITION.match(word):
            self._after_decorator = False
            return False
        ends = not self._after_decorator and not first and (self._has_definition or self._has_gap)
        self._has_definition = True
        self._after_decorator = word.startswith("@")
        return ends

    def _is_closing(self, line: str) -> bool:
        """Whether a line closes the brace that the cursor's line opens."""
        opens = self._opens_brace and width(leading(line)) <= self._own
        return opens and bool(_CLOSES.match(line.lstrip()))

    def _may_close(self, word: str, growing: bool) -> bool:
        grows = growing and any(closer.startswith(word) for closer in _CLOSING_WORDS)
        return grows or bool(_CLOSES.match(word))


@functools.lru_cache(maxsize=8)
def _state_before(text_before: bytes) -> Lexical:
    tail = text_before[-_MAX_BEFORE_BYTES:]
    return advance(flat(tail.decode("utf-8", "replace")))


def _fits(stack: list[str], closer: str) -> bool:
    return (
        close(stack, closer) if stack and "([{".index(stack[-1]) == ")]}".index(closer) else False
    )


def _has_quote(line_after: str, state: Lexical) -> bool:
    return state.quote in line_after


def _n_closed(line_after: str) -> int:
    """How many brackets a text closes that it does not open."""
    stack: list[str] = []
    n_closed = 0
    for token in tokens(line_after):
        if token.kind == "open":
            stack.append(line_after[token.start])
        elif token.kind == "close" and not close(stack, line_after[token.start]):
            n_closed += 1
    return n_closed
