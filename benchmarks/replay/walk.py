"""Types a run of lines again, asks at every pause, and takes what is right."""

from __future__ import annotations

import contextlib
import re
from bisect import bisect_right
from itertools import accumulate

import msgspec

from benchmarks.replay import pauses
from benchmarks.replay.match import compare, n_tokens_of
from benchmarks.replay.suffix import Below
from benchmarks.replay.types import (
    Match,
    Opportunity,
    PauseKind,
    Project,
    SuffixMode,
    Suggester,
    Suggestion,
    Target,
    Walk,
)
from benchmarks.replay.workspace import Workspace, read_text
from lsp_server.errors import StoreError
from lsp_server.positions import content_length, split_lines


class WalkOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a run is typed.

    Args:
        identifier_step: pause at every such character of an identifier; 0 for none.
        min_chars: shortest rest of a line that is an opportunity.
        accepts: False judges suggestions without ever taking one; the opportunities then do
            not depend on the answers, which comparisons pair by pair need.
        pauses_per_line: at most so many pauses of each line, chosen by chance; None for all.
        seed: of that choice.
    """

    identifier_step: int = pauses.IDENTIFIER_STEP
    min_chars: int = pauses.MIN_CHARS
    accepts: bool = True
    pauses_per_line: int | None = None
    seed: int = 1


async def walk(
    project: Project,
    target: Target,
    suggester: Suggester,
    mode: SuffixMode,
    options: WalkOptions | None = None,
) -> Walk:
    """Type a run of lines again.

    When the cursor is in a line, all above it stands there as the developer left it. Below it
    stands, in ``full``, everything from the next line on, lines of the run among it (the
    developer rewrites line by line); in ``function`` the same without the rest of the function
    or class around the cursor; in ``empty`` nothing. What was once taken away does not come back
    before it is typed.

    Args:
        project: where a ``Workspace``, the file on the disk is cut like the document for as long
            as the walk lasts; any other project's files are only read.
        target: the run.
        suggester: who is asked; it was started for the project.
        mode: what stands below the cursor.
        options: default when None.

    Raises:
        MidfillError: the file cannot be read, or the suggester cannot answer.
        RuntimeError: the document did not become what the developer wrote.
    """
    script = Script(read_text(project.root / target.path), target)
    place = f"{project.name}|{target.key}"
    typist = _Typist(script, place, target, suggester, mode, options or WalkOptions())
    with contextlib.ExitStack() as stack:
        if isinstance(project, Workspace):
            stack.enter_context(project.truncated(target.path, typist.document))
        await suggester.open(target.path, typist.document)
        await typist.type_all()
        await suggester.close()
    return Walk(
        project=project.name,
        cluster=f"{project.cluster or project.name}|{target.path}",
        path=target.path,
        target=target.key,
        suffix=mode,
        new_file=target.new_file,
        n_characters=script.n_counted(script.start, script.end),
        n_typed=typist.n_typed,
        opportunities=tuple(typist.opportunities),
    )


class Script:
    """The final text of a file and the run in it, in lines and in offsets.

    Args:
        text: of the file.
        target: the run.
    """

    def __init__(self, text: str, target: Target) -> None:
        self.text = text
        self.lines = split_lines(text)
        self.starts = list(accumulate(map(len, self.lines), initial=0))
        if not 0 <= target.first_line < target.last_line <= len(self.lines):
            raise StoreError(
                f"{target.key} does not fit its file, which has {len(self.lines)} lines.",
                code="corpus_unreadable",
                hint="Build the corpus again.",
            )
        self.start = self.starts[target.first_line]
        self.end = self.content_end(target.last_line - 1)

    def indent_end(self, line: int) -> int:
        """Offset of the first character of a line that is no indentation."""
        content = self.content(line)
        return self.starts[line] + len(content) - len(content.lstrip())

    def content_end(self, line: int) -> int:
        """Offset of a line's EOL."""
        return self.starts[line] + content_length(self.lines[line])

    def content(self, line: int) -> str:
        """A line without its EOL."""
        return self.lines[line][: content_length(self.lines[line])]

    def line_of(self, offset: int) -> int:
        """The line an offset is in; that of an EOL is the line it ends."""
        return bisect_right(self.starts, offset, hi=len(self.lines)) - 1

    def n_counted(self, start: int, end: int) -> int:
        """Characters between two offsets, indentation and line ends left out: editors set them."""
        return sum(
            max(0, min(end, self.content_end(line)) - max(start, self.indent_end(line)))
            for line in range(self.line_of(start), self.line_of(max(start, end - 1)) + 1)
        )


class _Typist:
    """The state of one walk: the cursor as an offset in the final text, and what is below it."""

    def __init__(
        self,
        script: Script,
        place: str,
        target: Target,
        suggester: Suggester,
        mode: SuffixMode,
        options: WalkOptions,
    ) -> None:
        self.script = script
        self.n_typed = 0
        self.opportunities: list[Opportunity] = []
        self._place = place
        self._target = target
        self._suggester = suggester
        self._mode = mode
        self._options = options
        self._below = Below(script.lines, mode)
        self._line = target.first_line
        self._at = script.indent_end(self._line)
        # The first line that stands below the cursor's.
        self._rest = self._below.first_line(self._line)
        # What the suggester's document must be; kept by the edits alone.
        self.document = script.text[: self._at] + self._tail()

    async def type_all(self) -> None:
        """Type to the end of the run."""
        while True:
            await self._type_line()
            if self._at >= self.script.end:
                break
            await self._next_line()
        expected = self.script.text[: self._at] + self._tail()
        if self.document != expected:
            raise RuntimeError(f"{self._place}: the replay went wrong, its document differs")

    async def _type_line(self) -> None:
        """Type the rest of the cursor's line; an accepted text may end in a later line."""
        line = self._line
        if line in self._target.lines:
            for pause in self._pauses(line):
                offset = self.script.starts[line] + pause.column
                # An accepted text may end behind the line's next pauses, or in another line.
                if offset >= self._at and self._line == line:
                    await self._type_to(offset)
                    await self._pause(pause.kind)
            if self._line == line:
                await self._type_to(self.script.content_end(line))
            elif self._at < self.script.end:
                await self._type_line()
        elif self._at < self.script.content_end(line):
            await self._insert(self.script.content_end(line), by_hand=True)

    def _pauses(self, line: int) -> tuple[pauses.Pause, ...]:
        options, content = self._options, self.script.content(line)
        found = pauses.pauses(
            content, identifier_step=options.identifier_step, min_chars=options.min_chars
        )
        place = f"{self._place}|{line}|{content}"
        return pauses.choose(found, options.pauses_per_line, seed=options.seed, place=place)

    async def _type_to(self, offset: int) -> None:
        while self._at < offset:
            await self._insert(self._at + 1, by_hand=True)

    async def _insert(self, end: int, *, by_hand: bool) -> None:
        """Insert what the developer wrote up to an offset."""
        text, column = self.script.text[self._at : end], self._column
        await self._suggester.replace(self._line, column, self._line, column, text)
        self.document = self.document[: self._at] + text + self.document[self._at :]
        if by_hand:
            self.n_typed += self.script.n_counted(self._at, min(end, self.script.end))
        self._at = end
        self._line = self.script.line_of(end)

    async def _next_line(self) -> None:
        """Type a line end and the next line's indentation, as one edit of an editor is.

        Where the next line stands below the cursor, the edit takes away what the suffix mode
        does not leave there.
        """
        script, line, column = self.script, self._line, self._column
        new_line = line + 1
        text = script.text[self._at : script.indent_end(new_line)]
        end_line, end_column, n_removed = line, column, 0
        if new_line == self._rest:
            self._rest = self._below.first_line(new_line)
            end_line = self._rest - 1
            end_column = len(script.content(end_line))
            n_removed = script.content_end(end_line) - self._at
        await self._suggester.replace(line, column, end_line, end_column, text)
        self.document = self.document[: self._at] + text + self.document[self._at + n_removed :]
        self._at += len(text)
        self._line = new_line

    async def _pause(self, kind: PauseKind) -> None:
        """Ask at the cursor, judge the answer, and take it where it is right."""
        script, line, column = self.script, self._line, self._column
        rest = script.text[self._at : script.content_end(line)]
        suggestion = await self._suggester.suggest(line, column)
        match = self._judge(suggestion, rest) if suggestion.text else None
        accepted = bool(self._options.accepts and match and match.line and match.n_accepted)
        self.opportunities.append(
            Opportunity(
                line=line,
                column=column,
                kind=kind,
                in_comment=pauses.in_comment(script.content(line), column),
                target=rest,
                n_target_tokens=n_tokens_of(rest),
                suggestion=suggestion,
                match=match,
                accepted=accepted,
                before=script.text[script.starts[line] : self._at],
            )
        )
        if match and accepted:
            await self._insert(self._at + match.n_accepted, by_hand=False)
            n_taken = len(suggestion.text) if match.block else _first_line_end(suggestion.text)
            await self._suggester.accept(suggestion, n_taken)
        elif match:
            await self._suggester.dismiss(suggestion)

    def _judge(self, suggestion: Suggestion, rest: str) -> Match:
        script = self.script
        block_end = {
            "full": script.content_end(self._line),
            "function": script.content_end(self._rest - 1),
            "empty": script.end,
        }[self._mode]
        return compare(
            suggestion.text,
            before=script.text[script.starts[self._line] : self._at],
            line_rest=rest,
            block_rest=script.text[self._at : block_end],
            replace_after=suggestion.replace_after,
        )

    @property
    def _column(self) -> int:
        return self._at - self.script.starts[self._line]

    def _tail(self) -> str:
        """What stands right of and below the cursor: the line's end and the lines left there."""
        return self.script.text[self.script.content_end(self._rest - 1) :]


def _first_line_end(text: str) -> int:
    """Length of a suggestion up to the end of its first line that is not blank."""
    found = re.match(r"\s*[^\r\n]*", text)
    return found.end() if found else 0
