"""Fill-in-the-middle prompts: which text goes where, and what may never get into it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby
from typing import Literal

import msgspec

from context.budget import estimate_tokens
from context.types import FileContext, Prompt, Segment, Snippet

Order = Literal["psm", "spm"]

# Markers of the model families in use. In user text they get a space after their first sign: it
# reads the same to a model and cannot be taken for a token, whatever a tokenizer does with it:
# tokens of the type "user-defined" (Qwen2.5: <tool_call>) are found in plain text even where the
# parsing of special tokens is off.
_MARKERS = re.compile(
    r"<(?=\|[A-Za-z0-9_]{2,32}\|>)"  # <|fim_prefix|>, <|endoftext|>, <|im_start|>
    r"|<(?=｜[^｜<>\n]{2,32}｜>)"  # <｜fim▁begin｜>
    r"|<(?=(?:fim[_-](?:prefix|suffix|middle|pad)|file_sep|filename|reponame)>)"
    r"|<(?=(?:PRE|SUF|MID|EOT)>)"
    r"|<(?=/?(?:tool_call|tool_response|think)>)"
)


# What the cursor stands behind is part of the token that comes next, mostly: letters are of the
# word that is typed, and a word goes together with the one sign before it (".name", " name",
# "_name", "(name"), indentation with all but its last blank. Other signs and single blanks stay.
_TYPED = re.compile(r"[\W_]?[^\W\d_]+$|[._]$|(?<!\S)\s$")


def neutralise(text: str) -> str:
    """``text`` with a space inside everything that looks like a model's marker.

    Args:
        text: user text.
    """
    return _MARKERS.sub(lambda found: found.group() + " ", text)


class Elsewhere(msgspec.Struct, frozen=True, kw_only=True):
    """What stands before the open file in the repo-level form.

    Args:
        repo: name of the workspace.
        path: of the open file, relative to the root.
        snippets: of other files, in prompt order; those of one file stand together.
    """

    repo: str
    path: str
    snippets: tuple[Snippet, ...]


def build_prompt(
    context: FileContext, *, order: Order = "psm", elsewhere: Elsewhere | None = None
) -> Prompt:
    """The prompt for a cursor position.

    Args:
        context: what stands left and right of the cursor.
        order: ``psm`` (prefix, suffix, middle) or ``spm`` (suffix, prefix, middle).
        elsewhere: what other files give; None or nothing of it makes a file-level prompt.
    """
    prefix = (
        Segment(role="fim_prefix"),
        *(Segment(role="text", text=neutralise(s.text)) for s in context.prefix if s.text),
    )
    suffix = (
        Segment(role="fim_suffix"),
        *(Segment(role="text", text=neutralise(s.text)) for s in context.suffix if s.text),
    )
    sides = prefix + suffix if order == "psm" else suffix + prefix
    head = _repo_level(elsewhere) if elsewhere and elsewhere.snippets else ()
    segments = (*head, *sides, Segment(role="fim_middle"))
    n_tokens = sum(1 if s.role != "text" else estimate_tokens(s.text) for s in segments)
    return Prompt(segments=segments, n_tokens=n_tokens, heal_bytes=_heal_bytes(context))


def _repo_level(elsewhere: Elsewhere) -> tuple[Segment, ...]:
    """The repository's name, and each file by its path, the open one last.

    Source: Hui et al., "Qwen2.5-Coder Technical Report", 2024, section 3.2.
    """
    segments = [Segment(role="repo_name"), _text(f"{elsewhere.repo}\n")]
    for path, snippets in groupby(elsewhere.snippets, key=lambda snippet: snippet.path):
        segments += [Segment(role="file_sep"), _text(f"{path}\n{_joined([*snippets])}\n")]
    return (*segments, Segment(role="file_sep"), _text(f"{elsewhere.path}\n"))


def _joined(snippets: Sequence[Snippet]) -> str:
    return "\n\n".join(snippet.text for snippet in snippets)


def _text(text: str) -> Segment:
    return Segment(role="text", text=neutralise(text))


def _heal_bytes(context: FileContext) -> int:
    typed = _TYPED.search(context.scope.line_before)
    return len(typed.group().encode("utf-8", "replace")) if typed else 0
