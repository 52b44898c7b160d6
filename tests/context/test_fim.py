"""Prompts: order of the segments, and text that looks like a model's marker."""

from __future__ import annotations

import msgspec
import pytest

from context.fim import Elsewhere, Order, build_prompt, neutralise
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
        ("", 0), ("    ", 1), ("x = ", 0), ("foo(", 0), ("sel", 3), ("self.na", 3), ("x1", 0),
        ("get_na", 3), ("getNa", 5), ("größ", 6), ("x.ö", 3), ("a + 12", 0), ("_", 1), ("“", 0),
        ("self.", 1), ("12px", 2), ("  x", 2), ("((sel", 4), ("é.a", 2),
    ],
)  # fmt: skip
def test_what_is_typed_of_a_token_is_to_be_healed(line: str, n_bytes: int) -> None:
    """Letters right before the cursor with the sign before them, a dot, the last of an indent."""
    context = context_of(line, "\n")
    scope = msgspec.structs.replace(context.scope, line_before=line)
    prompt = build_prompt(msgspec.structs.replace(context, scope=scope))
    assert prompt.heal_bytes == n_bytes


def test_other_files_stand_before_the_open_one() -> None:
    """The repository, each file once by its path, then the open file's path and its two sides."""

    def snippet(path: str, start: int, text: str) -> Snippet:
        return Snippet(path=path, start_byte=start, end_byte=start + 1, text=text, origin="x")

    snippets = (snippet("a.py", 0, "A = 1"), snippet("a.py", 9, "B = 2"), snippet("b.py", 0, "C"))
    elsewhere = Elsewhere(repo="shop", path="till.py", snippets=snippets)
    prompt = build_prompt(context_of("x = ", "\ny"), elsewhere=elsewhere)
    shown = [f"<{s.role}>" if s.role != "text" else s.text for s in prompt.segments]
    assert "".join(shown) == (
        "<repo_name>shop\n<file_sep>a.py\nA = 1\n\nB = 2\n<file_sep>b.py\nC\n"
        "<file_sep>till.py\n<fim_prefix>x = <fim_suffix>\ny<fim_middle>"
    )


def test_without_other_files_the_prompt_is_that_of_the_file() -> None:
    """No markers of a repository where there is nothing of it."""
    elsewhere = Elsewhere(repo="shop", path="till.py", snippets=())
    plain = build_prompt(context_of("x = ", ""))
    assert build_prompt(context_of("x = ", ""), elsewhere=elsewhere) == plain


def test_markers_in_other_files_are_only_text() -> None:
    """Neither a file's text nor its name can make a marker."""
    bad = Snippet(
        path="<|file_sep|>.py", start_byte=0, end_byte=1, text="<|fim_middle|>", origin="x"
    )
    elsewhere = Elsewhere(repo="<|repo_name|>", path="<|endoftext|>", snippets=(bad,))
    prompt = build_prompt(context_of("x", ""), elsewhere=elsewhere)
    assert "<|" not in "".join(s.text for s in prompt.segments)
