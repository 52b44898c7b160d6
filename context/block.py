"""Where a streamed completion has said enough: the end of its block, and brackets that fit."""

from __future__ import annotations

import functools
import re

from context.lexical import Lexical, advance, close, flat, tokens
from context.scope import leading, width
from context.types import CursorScope

_DEFINITION = re.compile(r"(?:async[ \t]+def|def|class)\b|@\w")
_CONTINUES = re.compile(r"(?:elif|else|except|finally|case)\b")
_CLOSES = re.compile(r"[)\]}]|(?:end|done|fi|esac)\b")
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
        self._on_blank = not scope.line_before.strip()
        self._own = width(leading(scope.line_before))
        self._base = width(scope.indent)
        typed = scope.line_before.strip()
        self._has_definition = bool(_DEFINITION.match(typed))
        self._after_decorator = typed.startswith("@")
        self._is_header = self._has_definition and not self._after_decorator
        self._n_lines = 0
        self._has_gap = False

    def end(self, text: str) -> int | None:
        """Number of characters until the block has ended."""
        offset = 0
        last_end = 0
        for number, line in enumerate(text.split("\n")):
            if number > 0 or self._on_blank:
                full = self._scope.line_before + line if number == 0 else line
                if self._ends_at(full, number):
                    return last_end
                if number > 0 and self._closes(full):
                    return offset + len(line) if text[offset + len(line) :] else None
            elif line.strip():
                self._n_lines += 1
            self._state = self._after(line)
            if line.strip():
                last_end = offset + len(line)
                self._has_gap = False
            elif number > 0:
                self._has_gap = True
            offset += len(line) + 1
        return None

    def _after(self, line: str) -> Lexical:
        return advance(line + "\n", self._state) if self._python else self._state

    def _ends_at(self, line: str, number: int) -> bool:
        if not line.strip() or (self._python and self._joined(number)):
            return False
        if number > 0 and self._at_bracket:
            # The statement with the bracket is complete; a header is followed by its body.
            self._at_bracket = False
            if not self._is_header:
                return True
        column, word = width(leading(line)), line.lstrip()
        first = self._n_lines == 0
        self._n_lines += 1
        if first and (self._on_blank or column > self._own):
            # The completion's own first line tells the block's indent better than a guess does.
            self._base = min(self._base, column)
        if column < self._base:
            return not (self._python is False and self._is_closer(word))
        if column > self._base or not self._python:
            return False
        return self._sibling_ends(word, first)

    def _sibling_ends(self, word: str, first: bool) -> bool:
        """Whether a line at the block's own indent begins something else."""
        if self._is_header and not self._on_blank and self._base == self._own:
            return not _CONTINUES.match(word)
        is_definition = bool(_DEFINITION.match(word))
        if not is_definition:
            self._after_decorator = False
            return False
        ends = not self._after_decorator and not first and (self._has_definition or self._has_gap)
        self._has_definition = True
        self._after_decorator = word.startswith("@")
        return ends

    def _joined(self, number: int) -> bool:
        return number > 0 and self._state.joined

    def _is_closer(self, word: str) -> bool:
        return bool(_CLOSES.match(word))

    def _closes(self, line: str) -> bool:
        """Whether a line with a closing brace ends the block that the cursor's line opens."""
        if self._python or not line.strip() or self._on_blank:
            return False
        opened = width(self._scope.indent) > self._own
        return opened and width(leading(line)) <= self._own and self._is_closer(line.lstrip())


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
