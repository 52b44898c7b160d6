"""Structs of the replay. Lines and columns are zero-based; columns and lengths in code points."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Protocol

import msgspec

from lsp_server.score.evidence import Evidence

SuffixMode = Literal["full", "function", "empty"]
PauseKind = Literal["line_start", "after_punctuation", "inside_identifier"]
Rule = Literal["A-line", "A-block", "A-prefix"]


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """A run of lines that a developer wrote and that is typed again.

    Args:
        path: of the file, relative to the project's root, with slashes.
        first_line: first line of the run.
        last_line: line after the run.
        lines: the lines of the run that may be opportunities (others are typed in between:
            blank lines, lines that are too short, lines that are not new).
        new_file: whether the whole file is new.
    """

    path: str
    first_line: int
    last_line: int
    lines: tuple[int, ...]
    new_file: bool = False

    @property
    def key(self) -> str:
        """Unique in its project."""
        return f"{self.path}:{self.first_line + 1}-{self.last_line}"


class Project(msgspec.Struct, frozen=True, kw_only=True):
    """A project at one version, on the disk, with what is to be typed again in it.

    Args:
        name: for display, e.g. ``starlette 1.10.0`` or ``midfill 1a2b3c4``.
        root: folder that holds its files in their final state.
        targets: runs to be typed again, in file order.
        cluster: what confidence intervals are drawn by is ``cluster`` and the file's path.
    """

    name: str
    root: Path
    targets: tuple[Target, ...]
    cluster: str = ""


class Suggestion(msgspec.Struct, frozen=True, kw_only=True):
    """What was answered at an opportunity.

    Args:
        text: what would be inserted at the cursor; "" when there is none.
        reason: why there is none; "" when there is one.
        raw: what the model wrote, before any filter.
        replace_after: characters right of the cursor that the text would replace.
        logprobs: natural-log probability of each generated token.
        ttft_ms: until the first token; 0 when none came.
        display_ms: until the first displayable text; 0 when none came.
        total_ms: until the whole suggestion.
        n_prompt: tokens of the prompt.
        n_reused: of these, found in the KV cache.
        id: the completion's id.
        evidence: what the server's score is made of; None where it does not tell.
    """

    text: str
    reason: str = ""
    raw: str = ""
    replace_after: int = 0
    logprobs: tuple[float, ...] = ()
    ttft_ms: float = 0.0
    display_ms: float = 0.0
    total_ms: float = 0.0
    n_prompt: int = 0
    n_reused: int = 0
    id: str = ""
    evidence: Evidence | None = None


class Suggester(Protocol):
    """Who is asked: the language server, or a peer's prompts on the same engine.

    One document is open at a time. Calls come in order and are awaited.
    """

    async def start(self, project: Project) -> None:
        """Get ready for a project; called before its first target."""

    async def open(self, path: str, text: str) -> None:
        """A file (path relative to the root) is opened with this text, which is not on disk."""

    async def replace(
        self, line: int, column: int, end_line: int, end_column: int, text: str
    ) -> None:
        """An edit of the open document; typing is a replacement of nothing."""

    async def suggest(self, line: int, column: int) -> Suggestion:
        """Ask at a cursor position; waits until the suggestion is whole."""

    async def accept(self, suggestion: Suggestion, n_characters: int) -> None:
        """Report that the first ``n_characters`` were taken (all of it is a whole accept)."""

    async def dismiss(self, suggestion: Suggestion) -> None:
        """Report that the developer typed something else."""

    async def close(self) -> None:
        """The open document is closed."""

    async def aclose(self) -> None:
        """No more questions."""


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """How a suggestion compares with what the developer wrote.

    Args:
        line: rule A-line holds.
        block: rule A-block holds.
        prefix: rule A-prefix holds.
        n_accepted: characters of the developer's text that an accept under A-line would have
            typed: all of the suggestion where A-block holds, else its first line; 0 without
            A-line.
        n_prefix: the same for A-prefix (a word accept).
        edit_similarity: normalised, of the suggestion's first line and the rest of the line,
            0 to 1.
    """

    line: bool
    block: bool
    prefix: bool
    n_accepted: int
    n_prefix: int
    edit_similarity: float


class Opportunity(msgspec.Struct, frozen=True, kw_only=True):
    """One pause and what came of it.

    Args:
        line: of the cursor.
        column: of the cursor.
        kind: where in the line the developer paused.
        in_comment: whether the rest of the line is (part of) a comment.
        target: the developer's text from the cursor to the end of the line, without EOL.
        n_target_tokens: tokens of Python in it.
        suggestion: what was answered.
        match: how it compares; None where nothing was suggested.
        accepted: whether the replay took it.
        before: what is typed already of the cursor's line.
    """

    line: int
    column: int
    kind: PauseKind
    in_comment: bool
    target: str
    n_target_tokens: int
    suggestion: Suggestion
    match: Match | None
    accepted: bool
    before: str = ""


class Walk(msgspec.Struct, frozen=True, kw_only=True):
    """One target typed again in one suffix mode; one line of the results file.

    Args:
        project: name of the project.
        cluster: what intervals are drawn by: project and file.
        path: of the file.
        target: the target's key.
        suffix: what stood below the cursor.
        new_file: whether the whole file is new.
        n_characters: of the run, indentation and line ends left out.
        n_typed: of these, typed by hand.
        opportunities: in order.
    """

    project: str
    cluster: str
    path: str
    target: str
    suffix: SuffixMode
    new_file: bool
    n_characters: int
    n_typed: int
    opportunities: tuple[Opportunity, ...]

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"{self.project}|{self.target}|{self.suffix}"
