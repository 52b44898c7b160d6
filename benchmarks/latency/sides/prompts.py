"""midfill's own prompt for a cursor position, for peers that are to evaluate the same text."""

from __future__ import annotations

from benchmarks.latency.session import Moment
from context import fim
from context.gather import gather
from context.syntax import SyntaxTree
from context.types import Budget, Prompt, SourceFile

# The markers of Qwen2.5-Coder.
_MARKERS = {
    "fim_prefix": "<|fim_prefix|>",
    "fim_suffix": "<|fim_suffix|>",
    "fim_middle": "<|fim_middle|>",
}


def prompt(moment: Moment, budget: Budget) -> Prompt:
    """The prompt that midfill makes of a cursor position.

    Args:
        moment: the editor.
        budget: upper bounds in tokens.
    """
    cursor = len(moment.before.encode("utf-8"))
    file = SourceFile(path=moment.path, language="python", data=moment.text.encode("utf-8"))
    return fim.build_prompt(gather(file, SyntaxTree.parse(file), cursor, budget))


def sides(moment: Moment, budget: Budget) -> tuple[str, str]:
    """The same prompt as its text left and right of the cursor."""
    text: dict[str, str] = {"fim_prefix": "", "fim_suffix": ""}
    role = ""
    for segment in prompt(moment, budget).segments:
        if segment.role == "text":
            text[role] += segment.text
        else:
            role = segment.role
    return text["fim_prefix"], text["fim_suffix"]


def marked(moment: Moment, budget: Budget) -> str:
    """The same prompt as one text with Qwen2.5-Coder's markers, for APIs without infilling."""
    segments = prompt(moment, budget).segments
    return "".join(_MARKERS.get(segment.role, segment.text) for segment in segments)
