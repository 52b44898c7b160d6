"""Structs of the context package. Offsets are UTF-8 byte offsets unless a name says otherwise.

Those that are made by the hundred at every key are left out of garbage collection: values that
never change cannot be part of a cycle.
"""

from __future__ import annotations

from typing import Literal

import msgspec

Role = Literal["text", "fim_prefix", "fim_suffix", "fim_middle", "repo_name", "file_sep"]


class SourceFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file as text.

    Args:
        path: absolute path or URI, for display and for the repo-level FIM form.
        language: LSP language id, e.g. ``python``.
        data: the text as UTF-8; end-of-line characters are kept as they are.
        blocks: the same text in pieces of whole lines. Where the file's next version does not
            differ it has the very same objects, see ``PerBlock``; () for a text in one piece.
    """

    path: str
    language: str
    data: bytes
    blocks: tuple[bytes, ...] = ()


class Snippet(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A piece of text that goes into the prompt.

    Args:
        path: file the text comes from.
        start_byte: first byte of the source range, in that file.
        end_byte: byte after the source range; the text may be an outline of that range.
        text: what stands in the prompt.
        origin: why it is there, e.g. ``imports``, ``outline``, ``surrounding``,
            ``enclosing``, ``before_cursor``, ``after_cursor``.
        score: relevance, higher is better; 1.0 for text next to the cursor.
    """

    path: str
    start_byte: int
    end_byte: int
    text: str
    origin: str
    score: float = 1.0


class Segment(msgspec.Struct, frozen=True, kw_only=True, array_like=True, gc=False):
    """A part of a prompt: user text (``role == "text"``) or one FIM token named by its role.

    User text never yields special tokens; the engine maps roles to token ids of the GGUF.
    """

    role: Role
    text: str = ""


class Prompt(msgspec.Struct, frozen=True, kw_only=True):
    """A prompt ready for the engine.

    Args:
        segments: in prompt order.
        n_tokens: estimated number of tokens; the engine reports the exact one.
        stop: strings that end the generation when they appear in it.
        heal_bytes: size in UTF-8 bytes of what is typed of the token at the cursor.
    """

    segments: tuple[Segment, ...]
    n_tokens: int
    stop: tuple[str, ...] = ()
    heal_bytes: int = 0


class Budget(msgspec.Struct, frozen=True, kw_only=True):
    """Upper bounds in tokens: the two sides of the cursor, and other files."""

    n_prefix_tokens: int
    n_suffix_tokens: int
    n_context_tokens: int = 0


Place = Literal["statement", "arguments", "parameters", "decorator", "empty_body", "text"]


class CursorScope(msgspec.Struct, frozen=True, kw_only=True):
    """Where the cursor stands.

    Args:
        kind: ``code``, ``string``, ``docstring`` or ``comment``.
        line_before: text of the cursor's line left of the cursor.
        line_after: text of the cursor's line right of the cursor, without its EOL.
        next_line: first non-blank line below the cursor's line ("" if none).
        indent: white space that the enclosing block's statements begin with (for an empty
            body: the indent a new statement there should have).
        multi_line: whether a suggestion of several lines makes sense here.
        enclosing: qualified name of the enclosing function or class ("" at module level).
        language: LSP language id of the file.
        open_brackets: brackets open at the cursor, outermost first; None when not known.
        place: what is written there: a ``statement``, ``arguments`` of a call, ``parameters`` of a
            definition, a ``decorator``, the first line of an ``empty_body``, or ``text`` (of a
            string or comment).
        callee: dotted name of what is called, where arguments are written; "" elsewhere.
    """

    kind: Literal["code", "string", "docstring", "comment"]
    line_before: str
    line_after: str
    next_line: str
    indent: str
    multi_line: bool
    enclosing: str = ""
    language: str = "python"
    open_brackets: str | None = None
    place: Place = "statement"
    callee: str = ""


class FileContext(msgspec.Struct, frozen=True, kw_only=True):
    """What the current file gives to the prompt.

    Args:
        prefix: snippets left of the cursor, in prompt order; the last one ends at the cursor.
        suffix: snippets right of the cursor, in prompt order; the first one starts there.
        scope: where the cursor stands.
    """

    prefix: tuple[Snippet, ...]
    suffix: tuple[Snippet, ...]
    scope: CursorScope

    @property
    def prefix_text(self) -> str:
        """The text left of the cursor as it stands in the prompt."""
        return "".join(snippet.text for snippet in self.prefix)

    @property
    def suffix_text(self) -> str:
        """The text right of the cursor as it stands in the prompt."""
        return "".join(snippet.text for snippet in self.suffix)
