"""All rules in order: the displayable part of a stream, and when to stop it."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from context.scope import leading
from context.types import CursorScope
from lsp_server.postprocess import above, below, chat, echo, lead
from lsp_server.postprocess.brackets import leaves_open, unbalanced_cut
from lsp_server.postprocess.closing import without_closing_line
from lsp_server.postprocess.cut import Cut, first
from lsp_server.postprocess.indent import Indenter
from lsp_server.postprocess.keywords import keyword_cut
from lsp_server.postprocess.lengths import Lengths, MultiLine
from lsp_server.postprocess.overlap import overlap_with_line_after, reached_cut
from lsp_server.postprocess.parse import Parsing
from lsp_server.postprocess.repeats import Loops, equal_lines_cut
from lsp_server.postprocess.safety import unsafe_cut
from lsp_server.postprocess.surroundings import Surroundings, is_closing
from lsp_server.postprocess.trivial import is_trivial

_AROUND_CHARS = 2000
# The rules, in the order in which they are listed where each is measured alone.
RULES = (
    *("chat", "lead", "echo", "indent", "unsafe_characters", "length", "keyword", "brackets"),
    *("suffix", "next_line", "line_above", "repeats", "parse", "line_after", "closing_line"),
    "trivial",
)


class View(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream amounts to so far.

    Args:
        text: what may be shown.
        stop: why the stream need not go on ("" while it should); for a text that is whole and of
            which nothing is left, what took it away.
        n_raw: length of the stream's text up to the end of what is shown.
    """

    text: str
    stop: str = ""
    n_raw: int = 0


class Shaper:
    """Shapes the stream of one completion.

    Args:
        scope: where the cursor stands.
        prefix: the text left of the cursor, with ``\\n`` as EOL; at least what is near to it.
        suffix: the same right of the cursor.
        max_lines: longest suggestion.
        multi_line: whether there may be more than one line, see ``Lengths``.
        rules: names of those that are used (``RULES``); None for all.
    """

    def __init__(
        self,
        scope: CursorScope,
        *,
        prefix: str,
        suffix: str,
        max_lines: int,
        multi_line: MultiLine = "auto",
        rules: frozenset[str] | None = None,
    ) -> None:
        self._place = place = Surroundings(scope, prefix, suffix)
        self._rules = frozenset(RULES) if rules is None else rules
        self._scope = scope
        self._document = prefix[-_AROUND_CHARS:] + suffix[:_AROUND_CHARS]
        self._lengths = Lengths(place, max_lines=max_lines, multi_line=multi_line)
        self._indenter = Indenter(place)
        self._loops = Loops()
        self._parsing = Parsing(place)

    def view(self, raw: str, *, final: bool) -> View:
        """The displayable part of ``raw``.

        Args:
            raw: everything streamed so far.
            final: no more text comes.
        """
        if raw.endswith("\r") and not final:
            raw = raw[:-1]  # a line feed may follow
        written, raw = raw, raw.replace("\r\n", "\n").replace("\r", "\n")
        cleaned = self._clean(raw, final=final)
        if cleaned is None:
            return View(text="")
        start, end, stop = cleaned
        text = self._indented(raw[start:end])
        cut = self._cut(text)
        if cut is not None:
            text, stop = text[: cut.keep], cut.stop
        if cut is not None or stop or final:
            text, stop = self._settled(text, stop)
        else:
            text = self._held(text)
        return View(text=text, stop=stop, n_raw=_n_raw(written, raw, start, text) if text else 0)

    def _uses(self, rule: str) -> bool:
        return rule in self._rules

    # -- what is no part of the suggestion ---------------------------------------------------

    def _clean(self, raw: str, *, final: bool) -> tuple[int, int, str] | None:
        """Beginning and end of the code, and what ended it; None while it has not begun."""
        answer = chat.Answer(0)
        if self._uses("chat"):
            answer = chat.code_in(raw, self._place, final=final)
        start, end = answer.start, len(raw) if answer.end is None else answer.end
        if start is None:
            return None
        final = final or bool(answer.stop)
        steps: tuple[tuple[str, Callable[..., int | None]], ...] = (
            ("lead", lead.n_leading),
            ("echo", echo.n_echoed),
        )
        for rule, count in steps:
            n_dropped = count(raw[start:end], self._place, final=final) if self._uses(rule) else 0
            if n_dropped is None:
                return None
            start += n_dropped
        return start, end, answer.stop

    def _indented(self, text: str) -> str:
        return self._indenter.written(text) if self._uses("indent") else text

    # -- where it ends -----------------------------------------------------------------------

    def _cut(self, text: str) -> Cut | None:
        cut = first(self._cuts(text))
        if not self._uses("parse"):
            return cut
        # Only what the other rules leave needs to parse.
        return first((cut, self._parsing.cut(text if cut is None else text[: cut.at])))

    def _cuts(self, text: str) -> list[Cut | None]:
        start = len(self._scope.line_before)
        lines = (self._scope.line_before + text).split("\n")[:-1]
        rules: list[tuple[str, Callable[[], Cut | None]]] = [
            ("unsafe_characters", lambda: unsafe_cut(text, self._document)),
            ("length", lambda: self._lengths.cut(text)),
            ("brackets", lambda: unbalanced_cut(text, self._scope)),
            ("suffix", lambda: reached_cut(text, self._scope.line_after)),
            ("repeats", lambda: self._loops.cut(text)),
            *self._line_rules(lines, start),
        ]
        return [look() for rule, look in rules if self._uses(rule)]

    def _line_rules(
        self, lines: list[str], start: int
    ) -> list[tuple[str, Callable[[], Cut | None]]]:
        """The rules that look at whole lines."""
        place = self._place
        return [
            ("next_line", lambda: below.below_cut(lines, place.below, start)),
            ("line_above", lambda: _moved(above.above_cut(lines, place.above), start)),
            ("repeats", lambda: equal_lines_cut(lines, start)),
            ("keyword", lambda: keyword_cut(lines, place, start)),
            ("chat", lambda: chat.sentence_cut(lines, start) if place.is_code else None),
        ]

    # -- what is still growing ---------------------------------------------------------------

    def _held(self, text: str) -> str:
        """What of a growing text is not taken back, whatever comes.

        The first line is shown as it grows, each further line once it is complete.
        """
        *lines, growing = (self._scope.line_before + text).split("\n")
        if self._uses("line_above") and above.may_repeat_above(lines, growing, self._place.above):
            return ""
        shown = self._held_lines(lines, growing) if lines else self._held_line(text, growing)
        return "" if self._uses("trivial") and is_trivial(shown) else shown

    def _held_line(self, text: str, growing: str) -> str:
        """What of a growing first line stays."""
        if self._uses("next_line") and below.n_held([], growing, self._place.below):
            return ""
        if self._uses("chat") and self._place.is_code and chat.may_be_fence(growing):
            return ""
        n_after = self._n_overlap(text, final=False) if self._uses("line_after") else 0
        return text[: len(text) - n_after].rstrip()

    def _held_lines(self, lines: list[str], growing: str) -> str:
        """Which of several lines stay."""
        n_lines = len(lines)
        if self._uses("next_line"):
            n_lines = min(n_lines, n_lines + 1 - below.n_held(lines, growing, self._place.below))
        while n_lines and not self._is_settled_line(lines, n_lines - 1):
            n_lines -= 1
        return "\n".join(lines[:n_lines])[len(self._scope.line_before) :].rstrip()

    def _is_settled_line(self, lines: list[str], number: int) -> bool:
        """Whether a line that ends the text so far stays whatever follows."""
        line = lines[number].strip()
        if not line:
            return False
        if number and is_closing(lines[number]):
            return False
        return number == 0 or line != lines[number - 1].strip()

    # -- what is whole -----------------------------------------------------------------------

    def _settled(self, text: str, stop: str) -> tuple[str, str]:
        """The last look at a text to which nothing is added."""
        if not text.strip():
            return "", stop
        text = _without_blank_lines(text)
        start = len(self._scope.line_before)
        lines = (self._scope.line_before + text).split("\n")
        rules = self._line_rules(lines, start)
        cut = first(look() for rule, look in rules if self._uses(rule))
        if cut is not None:
            text = text[: cut.keep]
            stop = stop if text.strip() and stop else cut.stop
        for rule, change in self._changes():
            if text.strip() and self._uses(rule):
                changed = change(text)
                stop = stop if changed.strip() else rule
                text = changed
        return self._without_blanks(text), stop

    def _changes(self) -> tuple[tuple[str, Callable[[str], str]], ...]:
        return (
            ("line_after", self._without_line_after),
            ("brackets", lambda text: "" if leaves_open(text, self._scope) else text),
            ("closing_line", lambda text: without_closing_line(text, self._place)),
            ("parse", self._parsing.settled),
            ("trivial", lambda text: "" if is_trivial(text) else text),
        )

    def _without_line_after(self, text: str) -> str:
        return text[: len(text) - self._n_overlap(text, final=True)]

    def _n_overlap(self, text: str, *, final: bool) -> int:
        scope = self._scope
        return overlap_with_line_after(
            text,
            scope.line_after,
            final=final,
            line_before=scope.line_before,
            language=scope.language,
        )

    def _without_blanks(self, text: str) -> str:
        """Blanks at the end stay only where they part the text from what is right of it."""
        whole = text.rstrip()
        after = self._scope.line_after[:1]
        blanks = text[len(whole) :]
        if whole and "\n" not in blanks and after and (after.isalnum() or after in "_\"'"):
            return text
        return whole


def _without_blank_lines(text: str) -> str:
    head, newline, last = text.rpartition("\n")
    while newline and not last.strip():
        text = head
        head, newline, last = text.rpartition("\n")
    return text


def _moved(cut: Cut | None, start: int) -> Cut | None:
    return None if cut is None else cut._replace(at=cut.at - start)


def _n_raw(written: str, raw: str, start: int, text: str) -> int:
    """Length of a stream up to the end of what is shown; only line ends and indents may differ.

    Args:
        written: the stream's text.
        raw: the same with ``\\n`` as EOL.
        start: where the suggestion begins in it.
        text: what is shown.
    """
    end = start + len(text)
    if "\n" in text:
        line = start
        for _ in range(text.count("\n")):
            line = raw.index("\n", line) + 1
        last = text[text.rfind("\n") + 1 :]
        indent = leading(raw[line:].partition("\n")[0])
        end = line + len(indent) + len(last) - len(leading(last))
    if "\r" not in written:
        return end
    size = 0
    for _ in range(end):
        size += 2 if written.startswith("\r\n", size) else 1
    return size
