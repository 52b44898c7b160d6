"""Where in a line a developer pauses."""

from __future__ import annotations

import random
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.replay import pauses
from benchmarks.replay.types import PauseKind

_GOLDEN = Path(__file__).parent.parent / "golden" / "benchmarks" / "pauses.toml"
CASES: list[dict[str, Any]] = tomllib.loads(_GOLDEN.read_text("utf-8"))["case"]
MARKS: dict[str, PauseKind] = {
    "▸": "line_start",
    "‸": "after_punctuation",
    "¦": "inside_identifier",
}


def marked(case: dict[str, Any]) -> tuple[str, list[pauses.Pause]]:
    """The line of a case, and the pauses that are marked in it."""
    line, expected = "", []
    for piece in re.split("([▸‸¦])", case["line"]):
        if piece in MARKS:
            expected.append(pauses.Pause(len(line), MARKS[piece]))
        else:
            line += piece
    return line, expected


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_pauses_of_a_line(case: dict[str, Any]) -> None:
    """A line has exactly the pauses that are marked."""
    line, expected = marked(case)
    found = pauses.pauses(
        line,
        identifier_step=case.get("identifier_step", 3),
        min_chars=case.get("min_chars", 1),
    )
    assert list(found) == expected


def test_any_text_falls_into_tokens() -> None:
    """Tokens cover any line without gaps, whatever stands in it."""
    chance = random.Random(7)
    signs = ["'", '"', '"""', "\\", "#", "a", "Ü", "7", ".", " ", "(", "f", "rb", "=", "\t", "🙂"]
    for _ in range(3000):
        line = "".join(chance.choices(signs, k=chance.randrange(14)))
        ends = [0]
        for token in pauses.tokens(line):
            assert token.start == ends[-1] < token.end
            ends.append(token.end)
        assert ends[-1] == len(line)


def test_choice_is_stable() -> None:
    """The pauses chosen of a line depend on the seed and the place alone, and keep their order."""
    found = pauses.pauses("result = compute(first, second, third_argument, fourth)", min_chars=1)
    chosen = pauses.choose(found, 3, seed=1, place="a.py|3")
    assert len(chosen) == 3
    assert chosen == pauses.choose(found, 3, seed=1, place="a.py|3")
    assert sorted(chosen, key=lambda pause: pause.column) == list(chosen)
    others = {pauses.choose(found, 3, seed=1, place=f"a.py|{line}") for line in range(20)}
    assert len(others) > 10
    assert pauses.choose(found, None, seed=1, place="") == found


@pytest.mark.parametrize(
    ("line", "column", "expected"),
    [
        ("# note", 0, True),
        ("    # note", 4, True),
        ("x = 1  # note", 0, False),
        ("x = 1  # note", 5, True),
        ("x = 1  # note", 9, True),
        ("x = '# no'", 4, False),
        ("x = 1", 5, False),
    ],
)
def test_in_comment(line: str, column: int, expected: bool) -> None:
    """A rest counts as a comment when nothing but a comment is to come."""
    assert pauses.in_comment(line, column) is expected
