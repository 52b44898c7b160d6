"""Whether a text goes on in a way its language allows.

Only the definition at the cursor is parsed, and what is added line by line to it incrementally:
the cost does not depend on the size of the file. Where that part does not parse as it stands, or
is too large, nothing is said about what is added.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator

import tree_sitter

from context.braces import brackets_in
from context.lexical import Lexical, advance, anchor, flat, locate
from context.scope import leading, width
from context.sequences import common_prefix_length
from context.types import CursorScope

# About a millisecond for the first parse; what is added costs a tenth of that.
_MAX_REGION_CHARS = 4096
_MAX_ADDED_CHARS = 8192
_CLOSER = {"(": ")", "[": "]", "{": "}"}
_DEFINITION = re.compile(r"^([ \t]+)(?:async[ \t]+def|def|class)[ \t]+\w", re.MULTILINE)
_DECORATOR = re.compile(r"[ \t]*@")
# What a line that is not complete may lack, besides brackets and quotes.
_PYTHON_ENDS = (
    *("", "_", " _", " in _", ": _", " else _", "=_", " _ in _", " _ else _", " import _", "():"),
    *(":", "_:", " _:", " in _:", " _ in _:", " as _:", " _():", ": _:"),
)
# The same for a string, which may be in a field.
_STRING_ENDS = ("", "}", "_}", " _}", ")}", "]}", "_)}")
_BRACE_ENDS = (
    *("", "_", ";", "_;", " _;", " {}", " _ {}", "() {}", ": _", " _ : _", "(_)", " => _", " 0"),
    *("0;", " = 0;", " _ = 0;", " {};", " _;}", " _() {}"),
)
# The same behind a bracket that is closed for the test.
_BLOCK_ENDS = (" {}", " while (_);", ";", " => _", ' from "_";', "")
_N_SURE = 3
# A line of a language with braces that may be the first of something at the top level.
_TOP = re.compile(r"(?:\A|\n[ \t]*\n)(?=[A-Za-z_@])")
# The preprocessor's conditions cut through all syntax.
_LANGUAGES = frozenset(
    {"javascript", "javascriptreact", "typescript", "typescriptreact", "go", "rust", "java"}
)


def gate_for(before: str, scope: CursorScope) -> ParseGate | None:
    """The gate for a place; None where nothing can be said there.

    Args:
        before: the text left of the cursor, with ``\\n`` as EOL; at least its last 4,096
            characters.
        scope: where the cursor stands.
    """
    if scope.kind != "code":
        return None
    parser = _parser(scope.language)
    if parser is None:
        return None
    is_python = scope.language == "python"
    start = _python_start(before, scope) if is_python else _top_start(before)
    if start is None:
        return None
    text = before[start:]
    text = text[: len(text) - len(scope.line_before)]
    head = "if _:\n" if text[:1] in (" ", "\t") else ""
    gate = ParseGate(parser, head + text, scope)
    return gate if gate.parses("", is_open=True) else None


class ParseGate:
    """Parses what is added to a text.

    Args:
        parser: of the language.
        base: the lines above the cursor's, from a definition on.
        scope: where the cursor stands.
    """

    def __init__(self, parser: tree_sitter.Parser, base: str, scope: CursorScope) -> None:
        self._parser = parser
        self._base = base
        self._scope = scope
        self._is_python = scope.language == "python"
        self._state = advance(base) if self._is_python else Lexical()
        self._source = b""
        self._tree: tree_sitter.Tree | None = None

    def parses(self, lines: str, *, is_open: bool) -> bool:
        """Whether the text parses with lines added to it.

        Brackets and quotes that are open at the end are closed for the test; inside of brackets,
        and where the last line may go on, whatever else a half-written expression lacks is tried.

        Args:
            lines: from the beginning of the cursor's line; "" is for the text alone.
            is_open: whether the last line may go on.
        """
        if len(lines) > _MAX_ADDED_CHARS:
            return True
        text = self._base + lines.rstrip(" \t")
        tails = list(self._tails(text, lines, is_open=is_open))
        if not tails or not all(self._has_error(text + tail) for tail in tails):
            return True
        # Parts that are kept may lead the recovery from an error astray: it is looked at anew.
        return not all(self._is_wrong(text + tail) for tail in tails[:_N_SURE])

    def _tails(self, text: str, lines: str, *, is_open: bool) -> Iterator[str]:
        if not self._is_python:
            yield from self._brace_tails(text)
            return
        state = advance(lines, self._state) if lines else self._state
        closers = state.quote + "".join(_CLOSER[each] for each in reversed(state.brackets))
        # What is added behind a comment, or a backslash, stands below it.
        gap = "\n" if state.comment or state.continued else ""
        last = text[text.rfind("\n", 0, len(text) - 1) + 1 :]
        if state.joined or is_open:
            ends = _STRING_ENDS if state.quote else _PYTHON_ENDS
            yield from (f"{gap}{end}{closers}\n" for end in ends)
            yield from (f"{gap}{end}{closers}:\n" for end in ends[:4] if closers)
            yield from (f"{gap}{closers}{end}\n" for end in _PYTHON_ENDS if closers and end)
        else:
            yield "\n"
        if _DECORATOR.match(last) or lines == "":
            indent = leading(last)
            yield f"{closers}\n{indent}def _(): pass\n"

    def _brace_tails(self, text: str) -> Iterator[str]:
        if text.count("`") % 2 or text.rfind("/*") > text.rfind("*/"):
            return  # inside of a string or comment of several lines
        stack = _open_braces(text, self._scope.language)
        closers = "".join(_CLOSER[each] for each in reversed(stack))
        last = text[text.rfind("\n", 0, len(text) - 1) + 1 :]
        gap = "\n" if "//" in last else ""
        yield from (f"{gap}{end}{closers}\n" for end in _BRACE_ENDS)
        for size in range(1, len(closers)):
            yield from (f"{gap}{closers[:size]}{end}{closers[size:]}\n" for end in _BLOCK_ENDS)
        yield from (f"{gap}{closers}{end}\n" for end in _BLOCK_ENDS)

    def _has_error(self, text: str) -> bool:
        source = text.encode("utf-8", "replace")
        old = self._tree
        if old is not None:
            start = common_prefix_length(self._source, source)
            old.edit(
                start_byte=start,
                old_end_byte=len(self._source),
                new_end_byte=len(source),
                start_point=_point(source, start),
                old_end_point=_point(self._source, len(self._source)),
                new_end_point=_point(source, len(source)),
            )
        self._tree = self._parser.parse(source, old) if old else self._parser.parse(source)
        self._source = source
        return self._tree.root_node.has_error

    def _is_wrong(self, text: str) -> bool:
        return self._parser.parse(text.encode("utf-8", "replace")).root_node.has_error


def _point(data: bytes, offset: int) -> tuple[int, int]:
    return data.count(b"\n", 0, offset), offset - (data.rfind(b"\n", 0, offset) + 1)


def _open_braces(text: str, language: str) -> list[str]:
    stack: list[str] = []
    for _, sign in brackets_in(text, language):
        if sign in _CLOSER:
            stack.append(sign)
        elif stack and _CLOSER[stack[-1]] == sign:
            stack.pop()
    return stack


def _python_start(before: str, scope: CursorScope) -> int | None:
    """Where the innermost definition begins that holds the cursor and is short enough."""
    text = flat(before)
    _, spans = locate(text)
    line_start = len(text) - len(scope.line_before)
    start = anchor(text[:line_start], spans)
    earliest = len(text) - _MAX_REGION_CHARS
    if start >= earliest:
        return start
    column = width(scope.indent)
    for found in _DEFINITION.finditer(text, max(0, earliest), line_start):
        in_string = any(a < found.start() < b for a, b in spans)
        if not in_string and width(found.group(1)) < column:
            return found.start()
    return None


def _top_start(before: str) -> int | None:
    earliest = max(0, len(before) - _MAX_REGION_CHARS)
    end = before.rfind("\n") + 1
    starts = [found.end() for found in _TOP.finditer(before, earliest, end)]
    return starts[-1] if starts else None


@functools.cache
def _parser(language: str) -> tree_sitter.Parser | None:
    if language == "python":
        import tree_sitter_python

        return tree_sitter.Parser(tree_sitter.Language(tree_sitter_python.language()))
    if language not in _LANGUAGES:
        return None
    from context.workspace.grammars import parser_of

    return parser_of(language)
