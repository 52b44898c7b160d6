"""What a peer's prompt builder is given, and the parts that all of them are made of."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from benchmarks.peers.library import Library
from context import fim
from context.budget import cut_left, cut_right, estimate_tokens
from context.types import FileContext, Prompt, Role, Segment

# Number of tokens of a text. The peers' budgets are in tokens of the model itself.
TokenCounter = Callable[[str], int]
# No token of a source file is longer on average, so that what lies further away cannot fit.
_MAX_CHARS_PER_TOKEN = 16


class Visit(msgspec.Struct, frozen=True, kw_only=True):
    """Another file that the developer looked at before.

    Args:
        path: of the file, relative to the project's root.
        enter_line: where the cursor stood when the file was entered.
        leave_line: where it stood when the file was left.
    """

    path: str
    enter_line: int
    leave_line: int


class EditorState(msgspec.Struct, frozen=True, kw_only=True):
    """What an editor knows when a completion is asked for.

    There is no clipboard and no edit of another file: a replay of one file has neither.

    Args:
        project: the project's name.
        path: of the open file, relative to the project's root, with slashes.
        text: of the open file, with ``\\n`` as its only EOL.
        offset: of the cursor, in code points.
        library: the project's files on the disk.
        visits: files looked at before, the oldest first; the open file is not among them.
        context: what midfill takes from the open file.
    """

    project: str
    path: str
    text: str
    offset: int
    library: Library
    visits: tuple[Visit, ...]
    context: FileContext

    @property
    def before(self) -> str:
        """The text left of the cursor."""
        return self.text[: self.offset]

    @property
    def after(self) -> str:
        """The text right of the cursor."""
        return self.text[self.offset :]


class Strategy(Protocol):
    """A tool's way to build a prompt.

    Attributes:
        name: as in the table.
        writes_indent: on a blank line the prompt ends before the line's indentation, which the
            model then writes; what is there already is cut off its answer.
        knows_texts: the engine has an n-gram model of the project's files beside the prompt.
    """

    @property
    def name(self) -> str: ...

    @property
    def writes_indent(self) -> bool: ...

    @property
    def knows_texts(self) -> bool: ...

    def prompt(self, state: EditorState) -> Prompt:
        """The prompt for a cursor position."""


def mark(role: Role) -> Segment:
    """A token of the FIM family."""
    return Segment(role=role)


def text(content: str) -> Segment:
    """User text."""
    return Segment(role="text", text=content)


def prompt_of(*segments: Segment) -> Prompt:
    """A prompt; user text in it cannot be taken for a token."""
    safe = tuple(
        Segment(role="text", text=fim.neutralise(s.text)) if s.role == "text" else s
        for s in segments
        if s.role != "text" or s.text
    )
    n_tokens = sum(1 if s.role != "text" else estimate_tokens(s.text) for s in safe)
    return Prompt(segments=safe, n_tokens=n_tokens)


def file_prompt(prefix: str, suffix: str) -> Prompt:
    """The file-level form: prefix, suffix, middle."""
    return prompt_of(
        mark("fim_prefix"), text(prefix), mark("fim_suffix"), text(suffix), mark("fim_middle")
    )


def last_tokens(content: str, n_tokens: int, count: TokenCounter) -> str:
    """The end of a text that has so many tokens at most, cut at a character."""
    near = content[-_MAX_CHARS_PER_TOKEN * n_tokens :] if n_tokens > 0 else ""
    return cut_left(near, n_tokens, count)


def first_tokens(content: str, n_tokens: int, count: TokenCounter) -> str:
    """The beginning of a text that has so many tokens at most, cut at a character."""
    return cut_right(content[: _MAX_CHARS_PER_TOKEN * max(0, n_tokens)], n_tokens, count)


def last_lines(content: str, n_tokens: int, count: TokenCounter) -> str:
    """The last lines of a text that have so many tokens at most together."""
    kept = last_tokens(content, n_tokens, count)
    if len(kept) == len(content) or content[: len(content) - len(kept)].endswith("\n"):
        return kept
    return kept.partition("\n")[2]


def first_lines(content: str, n_tokens: int, count: TokenCounter) -> str:
    """The first lines of a text that have so many tokens at most together."""
    kept = first_tokens(content, n_tokens, count)
    if len(kept) == len(content) or content[len(kept) :].startswith("\n"):
        return kept
    return kept[: kept.rfind("\n") + 1].removesuffix("\n")


def commented(lines: list[str]) -> str:
    """Lines as comments of Python; empty ones are a bare sign."""
    return "".join(f"# {line}\n" if line else "#\n" for line in lines)
