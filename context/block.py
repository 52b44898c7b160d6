"""Where a streamed completion has said enough: the end of its block, and brackets that fit."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import msgspec

from context.braces import braces_end, brackets_in
from context.lexical import Lexical, Token, advance, close, flat, locate, statement_start, tokens
from context.scope import in_field, leading, width
from context.types import CursorScope

_WORD = re.compile(r"\w*")
_ASYNC = re.compile(r"async[ \t]+(\w*)")
# Without one of these a line changes nothing for the lines below it.
_MARKS = re.compile(r"[()\[\]{}\"'\\#]")
_STRING_START = re.compile(r"[rRuU]?[\"']")
_HEADER_END = re.compile(r":[ \t]*(?:#.*)?$")
_HEADERS = frozenset(
    (
        *("def", "class", "if", "elif", "else", "for", "while", "with", "match", "case"),
        *("try", "except", "finally"),
    )
)
_CONTINUES = frozenset(("elif", "else", "except", "finally"))
_PAIRS = frozenset(("()", "[]", "{}"))
# A blank line after this many lines of a function's body is a good place to stop.
_PARAGRAPH_LINES = 3


def block_end(before: bytes, completion: str, scope: CursorScope) -> int | None:
    """Length of a completion up to which it belongs to the block at the cursor.

    The answer rests only on what no further text can change: lines that are complete, the column
    of a line's first character, a line's first word once something follows it. So the streamed
    and the whole text give the same length, and a length once given stays.

    Args:
        before: all text left of the cursor, as UTF-8.
        completion: everything streamed so far, with ``\\n`` as EOL.
        scope: where the cursor stands.

    Returns:
        Number of characters, without blank lines at the end; None while the block may go on.
    """
    text = flat(completion)
    if scope.language != "python":
        return braces_end(text, scope)
    return _Block(scope, _start(before, scope.enclosing)).end(text)


def balance(
    line_before: str,
    completion: str,
    line_after: str,
    *,
    kind: str = "code",
    open_brackets: str | None = None,
    language: str = "python",
) -> int:
    """Length of a completion up to which its closing brackets and quotes have partners.

    A bracket may be closed when the completion opened it, or when the text left of the cursor did
    and the text right of the cursor does not close it.

    Args:
        line_before: the cursor's line left of the cursor.
        completion: everything streamed so far, with ``\\n`` as EOL.
        line_after: the cursor's line right of the cursor.
        kind: kind of the cursor's scope; brackets of comments and docstrings may be odd.
        open_brackets: brackets open at the cursor, outermost first, when that is known. Without
            it only those of the cursor's line count, and on a blank line a line may begin with
            closing brackets.
        language: LSP language id; of other languages than Python strings and comments are known
            as far as they are alike.

    Returns:
        Number of characters; the same for every longer completion once it is less than all.
    """
    if kind in ("comment", "docstring"):
        return len(completion)
    text = flat(completion)
    is_python = language == "python"
    state = advance(line_before) if is_python or kind == "string" else Lexical()
    if kind == "string" and not state.quote:
        # A string of several lines, whose quotes are further up.
        return len(completion)
    if state.quote and in_field(line_before, state):
        return _field_end(text, state.quote, line_after)
    if state.quote and state.quote in line_after and not advance(line_after, state).quote:
        end = _string_end(text, state)
        if end is not None:
            return end
    if is_python or state.quote:
        outer = list(state.brackets if open_brackets is None else open_brackets)
        signs = _brackets(tokens(text, state), text)
        after = _unopened(_brackets(tokens(line_after), line_after))
    else:
        outer = _left_open(brackets_in(line_before, language))
        signs = brackets_in(text, language, growing=True)
        after = _unopened(brackets_in(line_after, language))
    lenient = open_brackets is None and not line_before.strip() and not after
    return _balanced(text, signs, outer, after, lenient=lenient)


def _balanced(
    text: str, signs: Iterator[tuple[int, str]], outer: list[str], after: str, *, lenient: bool
) -> int:
    stack: list[str] = []
    n_partners = _n_partners(outer, after)
    for at, sign in signs:
        if sign in "([{":
            stack.append(sign)
        elif stack:
            if not _fits(stack, sign):
                return at
        elif _fits(outer, sign):
            # What is right of the cursor still has to find all that it closes.
            if _n_partners(outer, after) < n_partners:
                return at
        elif not (lenient and _begins_line(text, at)):
            return at
    return len(text)


def left_open(text: str, language: str = "python") -> str:
    """The brackets that a text opens and does not close, outermost first.

    Args:
        text: with ``\\n`` as EOL.
        language: LSP language id.
    """
    if language == "python":
        return advance(text).brackets
    return "".join(_left_open(brackets_in(text, language, growing=True)))


class _Start(msgspec.Struct, frozen=True, kw_only=True):
    """What the cursor stands in.

    Args:
        state: strings and brackets around it.
        inside: whether the statement there has begun.
        word: first word of that statement, ``@`` for a decorator.
        column: its column.
        in_class: whether the innermost definition around is a class.
        in_function: whether it is a function.
    """

    state: Lexical
    inside: bool
    word: str
    column: int
    in_class: bool
    in_function: bool


@functools.lru_cache(maxsize=8)
def _start(before: bytes, enclosing: str) -> _Start:
    text = flat(before.decode("utf-8", "replace"))
    state, _ = locate(text)
    statement = text[statement_start(text, state) :]
    name = enclosing.rpartition(".")[2]
    in_class = bool(name) and text.rfind(f"class {name}") > text.rfind(f"def {name}")
    return _Start(
        state=state,
        inside=bool(statement.strip()),
        word=_first_word(statement.lstrip() + "\n") or "",
        column=width(leading(statement)),
        in_class=in_class,
        in_function=bool(name) and not in_class,
    )


class _Block:
    """Follows the lines of a completion in Python."""

    def __init__(self, scope: CursorScope, start: _Start) -> None:
        self._scope = scope
        self._start = start
        self._state = start.state
        # While the statement that the cursor is in, and its body, go on.
        self._inside = start.inside
        self._base = width(scope.indent)
        self._body_column: int | None = None
        # The logical line (statement or header) that is being read.
        self._word = start.word
        self._column = start.column
        self._is_string = False
        self._opens = False
        self._n_statements = 0
        self._definitions: list[tuple[int, str]] = []
        self._tries: list[int] = []
        self._has_definition = False
        self._n_gap = 0
        self._n_run = 0

    def end(self, text: str) -> int | None:
        """Number of characters until the block has ended, None while it may go on."""
        offset = 0
        keep = 0
        lines = text.split("\n")
        for number, line in enumerate(lines):
            is_complete = number < len(lines) - 1
            is_joined = self._inside if number == 0 else self._state.joined
            if line.strip():
                full = self._scope.line_before + line if number == 0 else line
                if not is_joined:
                    if self._ends_at(full, number, is_complete=is_complete):
                        return keep
                    if is_complete:
                        self._begin(full)
                self._n_gap = 0
                keep = offset + len(line)
            elif is_complete and number > 0 and not is_joined and keep and self._gap_ends():
                return keep
            if not is_complete:
                return None
            self._finish(line, number)
            if self._inside and not self._state.joined and self._is_simple():
                if self._start.state.brackets:
                    return keep
                self._go_on()
            offset += len(line) + 1
        return None

    # -- lines ---------------------------------------------------------------------------

    def _begin(self, line: str) -> None:
        """Read the first line of a statement."""
        word = line.lstrip()
        if word.startswith("#"):
            return
        self._column = width(leading(line))
        self._word = _first_word(word + "\n") or ""
        self._is_string = bool(_STRING_START.match(word))
        self._n_statements += 1
        while self._definitions and self._definitions[-1][0] >= self._column:
            self._definitions.pop()
        while self._tries and self._tries[-1] > self._column:
            self._tries.pop()
        if self._word in ("except", "finally") and self._tries[-1:] == [self._column]:
            self._tries.pop()
        if self._word == "try":
            self._tries.append(self._column)
        if self._word in ("def", "class") and self._column <= self._base:
            self._has_definition = True

    def _finish(self, line: str, number: int) -> None:
        """Read the end of a line."""
        if self._state.joined or self._state.comment or _MARKS.search(line):
            self._state = advance(line + "\n", self._state)
        text = line.strip()
        if not text and number > 0:
            return
        if text.startswith("#") and not self._state.joined:
            return
        if text and not self._is_string:
            self._n_run += 1
        if self._state.joined:
            return
        full = self._scope.line_before + line if number == 0 else line
        self._opens = self._word in _HEADERS and bool(_HEADER_END.search(full.rstrip()))
        if self._word in ("def", "class"):
            self._definitions.append((self._column, self._word))
            self._n_run = 0

    def _is_simple(self) -> bool:
        """Whether the cursor's statement is complete and has no body to come."""
        return self._body_column is None and not self._opens and self._word != "@"

    def _go_on(self) -> None:
        """From the complete statement of the cursor on, read a run of statements."""
        self._inside = False
        self._base = self._start.column
        self._n_statements = 1

    # -- ends ----------------------------------------------------------------------------

    def _gap_ends(self) -> bool:
        """Whether a blank line is a place to stop."""
        self._n_gap += 1
        if self._opens or self._word == "@" or self._tries:
            return False
        if self._n_gap >= 2:
            return True
        if self._definitions:
            in_class = self._definitions[-1][1] == "class"
        else:
            in_class = self._start.in_class
        return not in_class and self._n_run >= _PARAGRAPH_LINES

    def _ends_at(self, line: str, number: int, *, is_complete: bool) -> bool:
        """Whether a line that begins a statement is outside of the block."""
        column = width(leading(line))
        word = _first_word(line.lstrip() + ("\n" if is_complete else ""))
        if self._inside:
            return self._ends_statement(column, word)
        if self._n_statements == 0 and column < self._base and self._may_move(number):
            self._base = column
        if column != self._base:
            return column < self._base
        return self._n_statements > 0 and self._is_sibling(word)

    def _may_move(self, number: int) -> bool:
        """Whether the first line knows the indent of the block better than the scope does."""
        return number == 0 or not self._scope.line_before

    def _ends_statement(self, column: int, word: str | None) -> bool:
        """Whether a line is no part of the statement at the cursor, or of its body."""
        own = self._start.column
        if self._word == "@" and self._body_column is None:
            if column != own or word not in (None, "@", "def", "class"):
                return column != own or word is not None
            if word is not None:
                # From here on the decorated definition is the statement.
                self._base = min(self._base, own)
            return False
        if self._body_column is None:
            if column > own:
                self._body_column = column
            return column <= own
        if column >= self._body_column:
            return False
        if column > own:
            return True
        return column < own or not self._may_continue(word)

    def _may_continue(self, word: str | None) -> bool:
        """Whether a clause (``else:`` …) at the column of the cursor's statement belongs to it."""
        scope = self._scope
        if self._start.column < width(scope.indent) and self._start.word != "try":
            return False
        below = scope.next_line
        if width(leading(below)) == self._start.column and _first_word(below.lstrip() + "\n") in (
            _CONTINUES
        ):
            return False
        return word is None or word in _CONTINUES

    def _is_sibling(self, word: str | None) -> bool:
        """Whether a line at the block's own column begins something else."""
        in_function = self._start.in_function and self._base >= width(self._scope.indent)
        if in_function or word is None or word in _CONTINUES or self._word == "@":
            return False
        if self._has_definition:
            return True
        return word in ("def", "class", "@") and self._n_gap > 0


def _first_word(line: str) -> str | None:
    """First word of a line without indent, ``@`` for a decorator; None while it may grow."""
    if line.startswith("@"):
        return "@"
    found = _WORD.match(line)
    if found is None or found.end() == len(line):
        return None
    if found.group() != "async":
        return found.group()
    second = _ASYNC.match(line)
    if second is None:
        return None if not line[5:].strip(" \t") and "\n" not in line else "async"
    return None if second.end() == len(line) else second.group(1)


# -- brackets ----------------------------------------------------------------------------


def _string_end(text: str, state: Lexical) -> int | None:
    """Length up to the quotes that end the string at the cursor; they stand right of it."""
    first = next(iter(tokens(text, state)), None)
    if first is None or first.quote or first.kind != "string":
        return None
    is_closed = text[: first.end].endswith(state.quote)
    return first.end - len(state.quote) if is_closed else first.end


def _field_end(text: str, quote: str, line_after: str) -> int:
    """Length up to what ends a field of an f-string and stands right of the cursor already."""
    n_open = 0
    for number, sign in enumerate(text):
        if sign in "([{":
            n_open += 1
        elif n_open and sign in ")]}":
            n_open -= 1
        elif (sign == "}" and "}" in line_after) or (
            n_open == 0 and sign == quote[0] and quote in line_after
        ):
            return number
    return len(text)


def _begins_line(text: str, offset: int) -> bool:
    """Whether only closing brackets are left of an offset on its line."""
    return not text[text.rfind("\n", 0, offset) + 1 : offset].strip(" \t)]}")


def _fits(stack: list[str], closer: str) -> bool:
    """Close the innermost bracket when it is of the closer's kind."""
    return bool(stack) and stack[-1] + closer in _PAIRS and close(stack, closer)


def _brackets(found: Iterator[Token], text: str) -> Iterator[tuple[int, str]]:
    for token in found:
        if token.kind in ("open", "close"):
            yield token.start, text[token.start]


def _unopened(signs: Iterator[tuple[int, str]]) -> str:
    """The brackets that a text closes and does not open."""
    stack: list[str] = []
    found = ""
    for _, sign in signs:
        if sign in "([{":
            stack.append(sign)
        elif not close(stack, sign):
            found += sign
    return found


def _left_open(signs: Iterator[tuple[int, str]]) -> list[str]:
    """The brackets that a text opens and does not close."""
    stack: list[str] = []
    for _, sign in signs:
        if sign in "([{":
            stack.append(sign)
        else:
            close(stack, sign)
    return stack


def _n_partners(brackets: list[str], closers: str) -> int:
    """How many closing brackets find an open one of their kind."""
    stack = list(brackets)
    return sum(close(stack, closer) for closer in closers)
