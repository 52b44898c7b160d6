"""Where the cursor stands: in code or text, in which definition, in which block."""

from __future__ import annotations

import keyword
import re
from typing import Literal

import tree_sitter

from context.lexical import Lexical, flat, locate, statement_start, tokens
from context.source import line_comment
from context.types import CursorScope, Place, SourceFile

Kind = Literal["code", "string", "docstring", "comment"]

_EOL = re.compile(rb"[\r\n]")
_INK = re.compile(rb"[^\s]")
_DEFINITION = re.compile(r"[ \t]*(?:async[ \t]+def|def|class)[ \t]+(\w+)")
_BLOCK_WORDS = re.compile(
    r"[ \t]*(?:async|def|class|if|elif|else|for|while|try|except|finally|with|match|case)\b"
)
_LEAVES = re.compile(r"[ \t]*(?:return|raise|pass|break|continue)\b")
_SUBSCRIPT = re.compile(r"[\w)\]]\[")
_FORMAT_PREFIX = re.compile(r"(?:^|\W)(?:[ft]r?|r[ft])$", re.IGNORECASE)
_CALLED = re.compile(r"[^\W\d]\w*(?:\.[^\W\d]\w*)*$")
_CLOSERS_ONLY = re.compile(r"""[)\]}>"'`:;,\s]*""")
_FIRST_BLOCK = re.compile(r"^(?:def|class|if|for|while|with|try|async)\b[^\n]*:\n([ \t]+)\S", re.M)
_DEFAULT_UNIT = "    "
# Line ends that open a block in languages without a grammar here.
_OPENS = re.compile(
    r"(?:[{(\[:]|=>|\b(?:then|do|else|begin|repeat)|\bfunction\b.*\)|\bdo[ \t]*\|[^|\n]*\|)$"
)
_PROSE = frozenset({"plaintext", "markdown", "html"})
# How far below the cursor an indent is looked for when there is none above.
_UNIT_BYTES = 16 * 1024
_N_LINES_BACK = 20_000
_MAX_STATEMENT_CHARS = 8192


def cursor_scope(file: SourceFile, root: tree_sitter.Node | None, cursor: int) -> CursorScope:
    """Describe a position of a file; never fails, however broken the text is.

    Args:
        file: the text; lines end with ``\\n``, ``\\r\\n`` or ``\\r``.
        root: root of its syntax tree, which tells Python from other languages; what is said here
            comes from the text left of the cursor, since a tree of half-typed code is unsteady.
        cursor: byte offset; an offset past the end means the end.
    """
    data = file.data
    cursor = max(0, min(cursor, len(data)))
    before = flat(data[:cursor].decode("utf-8", "replace").removeprefix("\ufeff"))
    line_end = _eol(data, cursor)
    line_after = data[cursor:line_end].decode("utf-8", "replace")
    next_line = _next_line(data, line_end)
    line_before = before[before.rfind("\n") + 1 :]
    if root is None and file.language != "python":
        return _plain_scope(file.language, before, line_before, line_after, next_line)
    lexical, spans = locate(before)
    lines = _Lines(before, spans, data[line_end:])
    kind = _kind(before, lexical)
    statement = statement_start(before, lexical)
    opens = kind == "code" and not lexical.joined and _opens_block(before, statement)
    indent = _indent(lines, lexical, kind, statement, opens, next_line)
    place, callee = _place(lines, kind, statement)
    return CursorScope(
        kind=kind,
        line_before=line_before,
        line_after=line_after,
        next_line=next_line,
        indent=indent,
        multi_line=_multi_line(line_before, line_after, kind, lexical, opens),
        enclosing=lines.enclosing(statement, indent, opens=opens),
        language=file.language,
        open_brackets=lexical.brackets,
        place=place,
        callee=callee,
    )


def width(indent: str) -> int:
    """Columns that leading white space takes; a tab ends at the next multiple of eight."""
    return len(indent.expandtabs(8))


def leading(line: str) -> str:
    """The white space a line begins with."""
    return line[: len(line) - len(line.lstrip(" \t\f"))]


# -- parts of the file -------------------------------------------------------------------


def _eol(data: bytes, offset: int) -> int:
    found = _EOL.search(data, offset)
    return found.start() if found else len(data)


def _next_line(data: bytes, line_end: int) -> str:
    found = _INK.search(data, line_end)
    if found is None:
        return ""
    start = max(data.rfind(b"\n", 0, found.start()), data.rfind(b"\r", 0, found.start())) + 1
    return data[start : _eol(data, found.start())].decode("utf-8", "replace")


class _Lines:
    """The lines left of the cursor, seen from the last one upwards.

    Args:
        before: the text left of the cursor.
        spans: ranges of strings of several lines in it.
        below: the text below the cursor's line, as UTF-8.
    """

    def __init__(self, before: str, spans: tuple[tuple[int, int], ...], below: bytes) -> None:
        self.before = before
        self._spans = spans
        self._below = below

    def above(self, offset: int) -> tuple[int, str] | None:
        """Start and text of the next line of code above the line that holds ``offset``.

        Blank lines, comments, lines inside strings of several lines and closing brackets at the
        beginning of a line are passed over.
        """
        before = self.before
        end = before.rfind("\n", 0, offset)
        while end >= 0:
            start = before.rfind("\n", 0, end) + 1
            inside = self._span_start(start)
            if inside is not None:
                end = before.find("\n", inside)
                start = before.rfind("\n", 0, inside) + 1
            line = before[start:end]
            if line.strip() and line.lstrip()[0] not in "#)]}":
                return start, line
            end = start - 1
        return None

    def enclosing(self, offset: int, indent: str, *, opens: bool) -> str:
        """Qualified name of the definitions around the cursor.

        Args:
            offset: where the cursor's statement begins.
            indent: indent of a new statement at the cursor.
            opens: whether the cursor's statement is the header of that statement's block.
        """
        names: list[str] = []
        column = width(indent)
        if opens:
            header = _DEFINITION.match(self.before, offset)
            if header:
                names.append(header.group(1))
                column = width(leading(header.group()))
        for _ in range(_N_LINES_BACK):
            if column == 0:
                break
            found = self.above(offset)
            if found is None:
                break
            offset, line = found
            if width(leading(line)) < column:
                column = width(leading(line))
                name = _DEFINITION.match(line)
                if name:
                    names.append(name.group(1))
        return ".".join(reversed(names))

    def levels(self, offset: int) -> list[str]:
        """Indents of the blocks that are open at a line, innermost first."""
        found: list[str] = []
        for _ in range(_N_LINES_BACK):
            above = self.above(offset)
            if above is None or (found and width(found[-1]) == 0):
                break
            offset, line = above
            if not found or width(leading(line)) < width(found[-1]):
                found.append(leading(line))
        return found

    def unit(self) -> str:
        """One step of indent, as this file has it."""
        found = _FIRST_BLOCK.search(self.before)
        if found is None:
            below = self._below[:_UNIT_BYTES].decode("utf-8", "replace")
            found = _FIRST_BLOCK.search(flat(below))
        return found.group(1) if found else _DEFAULT_UNIT

    def _span_start(self, offset: int) -> int | None:
        low, high = 0, len(self._spans)
        while low < high:
            middle = (low + high) // 2
            if self._spans[middle][1] <= offset:
                low = middle + 1
            else:
                high = middle
        if low < len(self._spans) and self._spans[low][0] < offset:
            return self._spans[low][0]
        return None


# -- Python ------------------------------------------------------------------------------


def _kind(before: str, lexical: Lexical) -> Kind:
    if lexical.comment:
        return "comment"
    if not lexical.quote:
        return "code"
    if in_field(before, lexical):
        return "code"
    if lexical.brackets:
        return "string"
    line_start = before.rfind("\n", 0, lexical.quote_start) + 1
    if before[line_start : lexical.quote_start].strip().lower() not in ("", "r", "u"):
        return "string"
    head = before[:line_start].rstrip()
    if not _code_before(head):
        return "docstring"
    return "docstring" if head.endswith(":") and _is_definition(head) else "string"


def in_field(before: str, lexical: Lexical) -> bool:
    """Whether the end of a text is in the expression of an f-string's replacement field.

    Args:
        before: the text.
        lexical: what surrounds its end: a string.
    """
    start = lexical.quote_start
    if not _FORMAT_PREFIX.search(before[max(0, start - 3) : start]):
        return False
    depth = 0
    string = ""
    in_format = False
    for sign in before[start + len(lexical.quote) :].replace("{{", ""):
        if string:
            string = "" if sign == string else string
        elif depth == 0 or (in_format and depth == 1):
            depth += (sign == "{") - (sign == "}" and depth > 0)
            in_format = in_format and depth > 0
        elif sign in "'\"":
            string = sign
        elif sign == ":" and depth == 1:
            in_format = True
        else:
            depth += (sign in "([{") - (sign in ")]}")
    return depth > 0 and not string and not (in_format and depth == 1)


def _code_before(head: str) -> bool:
    return any(line.strip() and not line.lstrip().startswith("#") for line in head.split("\n"))


def _is_definition(head: str) -> bool:
    """Whether a text ends with the header of a function or class, perhaps of several lines."""
    for line in reversed(head.rsplit("\n", 64)[-64:]):
        if _DEFINITION.match(line):
            return True
        if line.lstrip()[:1] not in (")", "]", "") and not line.rstrip().endswith((",", "(", "[")):
            return False
    return False


def _place(lines: _Lines, kind: Kind, statement: int) -> tuple[Place, str]:
    """What is written at the cursor, and what is called there."""
    if kind != "code":
        return "text", ""
    # A table of ten thousand lines is one statement too.
    text = lines.before[max(statement, len(lines.before) - _MAX_STATEMENT_CHARS) :]
    opened: list[int] = []
    for token in tokens(text):
        if token.kind == "open":
            opened.append(token.start)
        elif token.kind == "close" and opened:
            opened.pop()
    for start in reversed(opened):
        called = _CALLED.search(text, 0, start) if text[start] == "(" else None
        if called is not None and not keyword.iskeyword(called.group()):
            header = _DEFINITION.match(text)
            if header and header.end() == start and "class" not in header.group().split():
                return "parameters", ""
            return "arguments", called.group()
    if text.lstrip().startswith("@"):
        return "decorator", ""
    head = lines.before[:statement].rstrip()
    if not text.strip() and head.endswith(":"):
        lexical, _ = locate(head)
        is_code = not (lexical.comment or lexical.quote or lexical.brackets)
        if is_code and _BLOCK_WORDS.match(head, statement_start(head, lexical)):
            return "empty_body", ""
    return "statement", ""


def _opens_block(before: str, statement: int) -> bool:
    text = before[statement:].rstrip(" \t")
    return text.endswith(":") and bool(_BLOCK_WORDS.match(text))


def _indent(
    lines: _Lines, lexical: Lexical, kind: Kind, statement: int, opens: bool, next_line: str
) -> str:
    before = lines.before
    end = before.find("\n", statement)
    line = before[statement : len(before) if end < 0 else end]
    if opens:
        return leading(line) + lines.unit()
    if lexical.joined or line.strip():
        return leading(line)
    return _blank_line_indent(lines, statement, line, next_line)


def _blank_line_indent(lines: _Lines, start: int, typed: str, next_line: str) -> str:
    found = lines.above(start)
    if found is None:
        return typed
    above_start, above = found
    levels = lines.levels(start)
    text = lines.before[above_start:start].rstrip()
    own = levels[0]
    if _BLOCK_WORDS.match(above) and _ends_header(text):
        deeper = own + lines.unit()
        return typed if width(typed) > width(own) else deeper
    if typed:
        fitting = [level for level in levels if width(level) <= width(typed)]
        return fitting[0] if fitting else typed
    # At column 0 nothing is said yet: the lines around have to tell.
    has_gap = lines.before[above_start:start].endswith("\n\n")
    if has_gap and width(leading(next_line)) < width(own):
        return leading(next_line)
    if _LEAVES.match(above) and len(levels) > 1:
        return levels[1]
    return own


def _ends_header(text: str) -> bool:
    """Whether the last line of a statement is the end of a block's header."""
    last = text.split("\n")[-1]
    return re.sub(r"\s+#.*$", "", last).rstrip().endswith(":")


def _multi_line(before: str, after: str, kind: Kind, lexical: Lexical, opens: bool) -> bool:
    if not _CLOSERS_ONLY.fullmatch(after) or kind in ("comment", "string"):
        return False
    if not before.strip():
        return True
    if kind == "docstring":
        # Just behind the opening quotes.
        return len(lexical.quote) == 3 and before.rstrip().endswith(lexical.quote)
    if lexical.quote:
        return False
    return opens or before.rstrip().endswith(("(", "[", "{")) or _stays_open(before, after)


def _stays_open(before: str, after: str) -> bool:
    """Whether a bracket opened left of the cursor on its line is open at the line's end.

    Those of subscripts do not count: hardly one takes several lines.
    """
    stack: list[bool] = []
    for token in tokens(before):
        if token.kind == "open":
            stack.append(not _SUBSCRIPT.match(before, max(0, token.start - 1)))
        elif token.kind == "close" and stack:
            stack.pop()
    n_closed = sum(sign in ")]}" for sign in after)
    return any(stack[: len(stack) - n_closed]) if n_closed < len(stack) else False


# -- other languages ---------------------------------------------------------------------


def _plain_scope(
    language: str, before: str, line_before: str, line_after: str, next_line: str
) -> CursorScope:
    """The same from lines alone, for languages without a grammar."""
    kind = _plain_kind(language, before, line_before)
    text = line_before.rstrip()
    opens = kind == "code" and language not in _PROSE and bool(_OPENS.search(text))
    above = before[: len(before) - len(line_before)].rstrip()
    above = above[above.rfind("\n") + 1 :]
    indent = leading(line_before)
    if opens:
        indent += _plain_unit(before)
    elif not text and not line_before:
        indent = leading(above)
        if language not in _PROSE and _OPENS.search(above):
            indent += _plain_unit(before)
    return CursorScope(
        kind=kind,
        line_before=line_before,
        line_after=line_after,
        next_line=next_line,
        indent=indent,
        multi_line=bool(_CLOSERS_ONLY.fullmatch(line_after)) and (not text or opens),
        language=language,
    )


def _plain_unit(before: str) -> str:
    found = re.search(r"^[^\s].*\n(\t|[ ]{2,8})\S", before, re.M)
    return found.group(1) if found else _DEFAULT_UNIT


def _plain_kind(language: str, before: str, line_before: str) -> Kind:
    if language in _PROSE:
        return "code"
    marker = line_comment(language)
    if marker == "//" or language == "css":
        tail = before[-20_000:]
        if tail.rfind("/*") > tail.rfind("*/"):
            return "comment"
    quotes = '"`' if language in ("rust", "lisp", "clojure") else "\"'`"
    strings = "|".join(rf"{q}(?:\\.|[^{q}\\])*(?P<open{i}>\Z|\\\Z)|{q}(?:\\.|[^{q}\\])*{q}"
                       for i, q in enumerate(quotes))  # fmt: skip
    pattern = (rf"(?P<comment>{re.escape(marker)}.*)|" if marker else "") + strings
    for found in re.finditer(pattern, line_before[-2000:]):
        if found.lastgroup == "comment":
            return "comment"
        if found.lastgroup is not None:
            return "string"
    return "code"
