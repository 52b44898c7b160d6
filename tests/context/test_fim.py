"""Prompts: order of the segments, and text that looks like a model's marker."""

from __future__ import annotations

import msgspec
import pytest

from context.fim import Order, build_prompt, neutralise
from context.types import CursorScope, FileContext, Snippet


def context_of(prefix: str, suffix: str) -> FileContext:
    """A context with one snippet a side."""
    scope = CursorScope(
        kind="code", line_before="", line_after="", next_line="", indent="", multi_line=True
    )

    def side(text: str) -> tuple[Snippet, ...]:
        if not text:
            return ()
        return (Snippet(path="a", start_byte=0, end_byte=1, text=text, origin="x"),)

    return FileContext(prefix=side(prefix), suffix=side(suffix), scope=scope)


@pytest.mark.parametrize(
    ("order", "roles"),
    [
        ("psm", ["fim_prefix", "text", "fim_suffix", "text", "fim_middle"]),
        ("spm", ["fim_suffix", "text", "fim_prefix", "text", "fim_middle"]),
    ],
)
def test_order(order: Order, roles: list[str]) -> None:
    """Segments come in the order the model was trained on."""
    prompt = build_prompt(context_of("a = ", "\nb"), order=order)
    assert [segment.role for segment in prompt.segments] == roles


def test_empty_sides_keep_their_markers() -> None:
    """At the ends of a file the markers alone are sent."""
    prompt = build_prompt(context_of("", ""))
    assert [s.role for s in prompt.segments] == ["fim_prefix", "fim_suffix", "fim_middle"]


@pytest.mark.parametrize(
    "marker",
    [
        "<|fim_prefix|>", "<|fim_middle|>", "<|endoftext|>", "<|im_start|>", "<|repo_name|>",
        "<fim_suffix>", "<fim-middle>", "<file_sep>", "<｜fim▁hole｜>", "<PRE>", "<EOT>",
        "<tool_call>", "</tool_call>",
    ],
)  # fmt: skip
def test_markers_in_text_are_broken(marker: str) -> None:
    """No marker survives in user text, and nothing but one space is added."""
    text = f'x = "{marker}"'
    safe = neutralise(text)
    assert marker not in safe
    assert safe.replace(" ", "") == text.replace(" ", "")
    assert len(safe) == len(text) + 1
    assert marker not in "".join(s.text for s in build_prompt(context_of(text, text)).segments)


@pytest.mark.parametrize(
    "text",
    ["a < b | c > d", "x <| y", "List[int]", "<pre>", "<s>text</s>", "if a<b: pass", "a[SUFFIX]"],
)
def test_ordinary_text_is_left_alone(text: str) -> None:
    """Code that only resembles a marker stays as it is."""
    assert neutralise(text) == text


@pytest.mark.parametrize(
    ("line", "n_bytes"),
    [
        ("", 0), ("    ", 0), ("x = ", 0), ("foo(", 0), ("sel", 3), ("self.na", 2), ("x1", 0),
        ("get_na", 2), ("getNa", 5), ("größ", 6), ("a + 12", 0), ("_", 0),
    ],
)  # fmt: skip
def test_the_word_at_the_cursor_is_to_be_healed(line: str, n_bytes: int) -> None:
    """Letters right before the cursor; digits and underscores are tokens of their own."""
    context = context_of(line, "\n")
    scope = msgspec.structs.replace(context.scope, line_before=line)
    prompt = build_prompt(msgspec.structs.replace(context, scope=scope))
    assert prompt.heal_bytes == n_bytes
