"""Token estimates and what fits into a budget."""

from __future__ import annotations

import random

import pytest

from context import budget
from context.budget import cut_left, cut_right, estimate_tokens, fitting_head


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        # Exact counts of the Qwen2.5 tokenizer.
        ("def add(a: int, b: int) -> int:\n    return a + b\n", 19),
        ("import os\nimport sys\n", 6),
        ("x = 12345\n", 9),
        ("self.assertEqual(response.status_code, 200)\n", 11),
        ("for i in range(10):\n    print(i)\n", 12),
    ],
)
def test_estimates_are_a_little_high(text: str, exact: int) -> None:
    """Estimates of ordinary lines lie between 0.9 and 1.7 times the exact count."""
    assert 0.9 * exact <= estimate_tokens(text) <= 1.7 * exact


def test_a_longer_text_has_no_fewer_tokens() -> None:
    """Adding whole lines never lowers the estimate; joining texts does not raise it by much."""
    lines = ["def f(x):\n", "    return x\n", "\n", "\n", "x = 'é🎉'\n", "y\t= f(x)\n"]
    previous = 0
    for count in range(len(lines) + 1):
        now = estimate_tokens("".join(lines[:count]))
        assert now >= previous
        previous = now
    assert previous <= sum(map(estimate_tokens, lines))


def test_a_text_is_counted_line_by_line() -> None:
    """The sum is what a count of the whole text gives, whatever white space is in it."""
    chance = random.Random(5)
    signs = [*"ab9_ .,()", *"\n\n\n  \t\r\x0b\x0c\x1c\x85\xa0", "\u2028", "é", "🎉"]
    for _ in range(5_000):
        text = "".join(chance.choices(signs, k=chance.randrange(16)))
        assert estimate_tokens(text) == len(budget._PIECE.findall(text))
    text = "value = 1\n" * 2_000
    assert estimate_tokens(text) == len(budget._PIECE.findall(text))


@pytest.mark.parametrize("n_tokens", [0, 1, 2, 7, 20, 1000])
@pytest.mark.parametrize("text", ["", "x", "aé🎉b" * 30, "def f():\n    return 1\n" * 9])
def test_cuts_fit_and_are_the_longest(text: str, n_tokens: int) -> None:
    """A cut text fits, and one more character would not."""
    left, right = cut_left(text, n_tokens), cut_right(text, n_tokens)
    assert text.endswith(left)
    assert text.startswith(right)
    assert max(estimate_tokens(left), estimate_tokens(right)) <= n_tokens
    if len(left) < len(text):
        assert estimate_tokens(text[-len(left) - 1 :]) > n_tokens
    if len(right) < len(text):
        assert estimate_tokens(text[: len(right) + 1]) > n_tokens


def test_fitting_head() -> None:
    """As many lines as fit, from the first on."""
    lines = ["one two\n", "three four\n", "five\n"]
    costs = [estimate_tokens(line) for line in lines]
    assert fitting_head(lines, 0) == 0
    assert fitting_head(lines, costs[0]) == 1
    assert fitting_head(lines, costs[0] + costs[1] - 1) == 1
    assert fitting_head(lines, sum(costs)) == 3
    assert fitting_head([], 5) == 0
