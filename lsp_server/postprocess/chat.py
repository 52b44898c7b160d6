"""What models that were trained to chat write around the code, and markers of their format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from lsp_server.postprocess.cut import Cut
from lsp_server.postprocess.surroundings import Surroundings

_FENCE = re.compile(r"\s*```[^`\n]*\n")
_FENCE_BELOW = re.compile(r"[\s\S]*?^[ \t]*```[^`\n]*\n", re.MULTILINE)
_FENCE_GROWS = re.compile(r"\s*(?:`{1,2}|```[^`\n]*)")
_MARKER = re.compile(r"<\|[\w-]{1,32}\|>|<｜[^｜\n]{1,32}｜>|<fim_\w{1,16}>")
_MARKER_GROWS = re.compile(r"<(?:\|[\w-]{0,32}\|?|｜[^｜\n]{0,32}｜?|f|fi|fim|fim_\w{0,16})?\Z")
# Sentences that answers begin with. None of them begins a statement of a programming language.
_OPENERS = (
    *("Here is ", "Here's ", "Here are ", "Sure, ", "Sure! ", "Certainly! ", "Certainly, "),
    *("Of course! ", "Of course, ", "I'm sorry", "I am sorry", "I apologize", "As an AI "),
    *("To complete th", "To implement ", "To fix ", "The code ", "The function ", "The missing "),
    *("The completed ", "The following ", "This code ", "This function ", "This method "),
    *("You can ", "Below is ", "In this code", "It looks like ", "It seems "),
)
# The same behind a piece of code.
_SENTENCE = re.compile(
    r"[ \t]*(?:Explanation:|\*\*\w|Here(?:'s| is| are) |Th(?:is|e) (?:above )?(?:code|function"
    r"|method|class|script|program) |In this (?:code|example|function)|Note that |You can |I hope )"
    r"[^=({;]*"
)


class Answer(NamedTuple):
    """The code in what a model wrote.

    Args:
        start: where it begins; None while that is not known.
        end: where it ends, None while it may go on.
        stop: what ended it.
    """

    start: int | None
    end: int | None = None
    stop: str = ""


def code_in(raw: str, place: Surroundings, *, final: bool) -> Answer:
    """Where the code is in what a model wrote, without fences, sentences and markers.

    Args:
        raw: all of it so far.
        place: where it is to stand; only code is looked at for fences and sentences.
        final: no more text comes.
    """
    marker = next((m for m in _MARKER.finditer(raw) if not place.holds(m.group())), None)
    end = marker.start() if marker else None
    stop = "marker" if marker else ""
    text = raw if end is None else raw[:end]
    if end is None and not final and (grows := _MARKER_GROWS.search(text)):
        text = text[: grows.start()]
        end = grows.start()
    if not place.is_code or not place.on_blank_line:
        return Answer(0, end, stop)
    final = final or bool(stop)
    begin = text.lstrip()
    if not final and begin and any(each.startswith(begin) for each in _OPENERS):
        return Answer(None)
    fence = _FENCE.match(text)
    if fence is None and begin.startswith(_OPENERS):
        fence = _FENCE_BELOW.match(text)
        if fence is None:
            return Answer(0, 0, "chat") if final else Answer(None)
    if fence is None:
        grows = _FENCE_GROWS.fullmatch(text)
        if grows is not None and text.strip():
            return Answer(0, 0, "chat") if final else Answer(None)
        if begin.startswith("```"):
            return Answer(0, 0, "chat")
        return Answer(0, end, stop)
    return Answer(fence.end(), end, stop)


def may_be_fence(line: str) -> bool:
    """Whether a line so far is a fence, or may become one."""
    begin = line.strip()
    return bool(begin) and ("```".startswith(begin) or begin.startswith("```"))


def sentence_cut(lines: Sequence[str], start: int = 0) -> Cut | None:
    """The end of the code where a sentence about it follows, or a fence.

    Args:
        lines: complete lines of code; the first one with what stands left of the cursor.
        start: length of what stands left of the cursor.
    """
    at = -start
    for number, line in enumerate(lines):
        begin, at = at, at + len(line) + 1
        is_fence = line.strip().startswith("```")
        if is_fence or (number and _SENTENCE.fullmatch(line)):
            return Cut(at, max(0, begin - 1), "chat")
    return None
