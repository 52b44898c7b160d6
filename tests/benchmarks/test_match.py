"""The matcher: A-line, A-block, A-prefix, and what counts as a target."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.replay.match import compare, is_substantial, is_trivial

_GOLDEN = Path(__file__).parent.parent / "golden" / "benchmarks" / "match.toml"
CASES: list[dict[str, Any]] = tomllib.loads(_GOLDEN.read_text("utf-8"))["case"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_golden(case: dict[str, Any]) -> None:
    """A suggestion matches under the rules that the case names and types what it says."""
    target = case["target"]
    block_rest = target + case.get("eol", "\n") + case.get("below", "")
    match = compare(
        case["text"],
        before=case.get("before", ""),
        line_rest=target,
        block_rest=block_rest,
        replace_after=case.get("replace_after", 0),
        line_after=case.get("line_after", ""),
    )

    rules = {"line": match.line, "block": match.block, "prefix": match.prefix}
    assert [name for name, holds in rules.items() if holds] == case["rules"]
    accepted = case.get("accepted", target) if match.line else ""
    assert block_rest[: match.n_accepted] == accepted
    word = case.get("word", target) if match.prefix else ""
    assert block_rest[: match.n_prefix] == word
    assert match.edit_similarity == 1.0 or not match.line


def test_every_case_has_its_own_name() -> None:
    """No golden case hides another one, and there are enough of them."""
    assert len({case["name"] for case in CASES}) == len(CASES) >= 60


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_what_the_developer_wrote_always_matches(case: dict[str, Any]) -> None:
    """The developer's own text matches under every rule, in whatever line ends."""
    block_rest = case["target"] + case.get("eol", "\n") + case.get("below", "")
    before = case.get("before", "")
    unix = block_rest.replace("\r\n", "\n")
    for text in (block_rest, unix, unix.replace("\n", "\r\n")):
        match = compare(text, before=before, line_rest=case["target"], block_rest=block_rest)
        assert match.line == match.block == match.prefix == bool(case["target"].strip())


@pytest.mark.parametrize("target", [")", ":", "  ):", "]}),", "...", ""])
def test_targets_without_a_word_are_trivial(target: str) -> None:
    """What has no letter, digit or underscore in it is never counted."""
    assert is_trivial(target)


@pytest.mark.parametrize("target", ["x", "_", "0)", "ü"])
def test_targets_with_a_word_are_not_trivial(target: str) -> None:
    """One letter, digit or underscore makes a target count."""
    assert not is_trivial(target)


@pytest.mark.parametrize(
    ("target", "n_tokens", "expected"),
    [
        ("return x", 2, True),
        ("returns", 2, False),
        ("identifier", 1, False),
        ("x = y   ", 3, False),
    ],
)
def test_substantial_targets(target: str, n_tokens: int, expected: bool) -> None:
    """Two tokens and eight characters, blanks at the ends left out."""
    assert is_substantial(target, n_tokens) is expected


def test_similarity_is_of_the_first_line_without_what_was_typed() -> None:
    """The text left of the cursor does not raise the edit similarity."""
    match = compare(
        "abcd\nmore", before="a_long_name = ", line_rest="abxy", block_rest="abxy\nmore\n"
    )

    assert match.edit_similarity == pytest.approx(0.5)
