"""Fill-in-the-middle prompts: which text goes where, and what may never get into it."""

from __future__ import annotations

import re
from typing import Literal

from context.budget import estimate_tokens
from context.types import FileContext, Prompt, Segment

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


# Letters that the cursor stands behind: a tokenizer begins a new token at digits and underscores.
_LETTERS = re.compile(r"[^\W\d_]*$")


def neutralise(text: str) -> str:
    """``text`` with a space inside everything that looks like a model's marker.

    Args:
        text: user text.
    """
    return _MARKERS.sub(lambda found: found.group() + " ", text)


def build_prompt(context: FileContext, *, order: Order = "psm") -> Prompt:
    """The prompt for a cursor position.

    Args:
        context: what stands left and right of the cursor.
        order: ``psm`` (prefix, suffix, middle) or ``spm`` (suffix, prefix, middle).
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
    segments = (*sides, Segment(role="fim_middle"))
    n_tokens = sum(1 if s.role != "text" else estimate_tokens(s.text) for s in segments)
    return Prompt(segments=segments, n_tokens=n_tokens, heal_bytes=_heal_bytes(context))


def _heal_bytes(context: FileContext) -> int:
    word = _LETTERS.search(context.scope.line_before)
    return len(word.group().encode("utf-8", "replace")) if word else 0
