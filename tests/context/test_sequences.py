"""What two sequences begin with."""

from __future__ import annotations

import random

from context.sequences import common_prefix_length


def test_common_prefix_length_equals_a_plain_count() -> None:
    """The search by halves finds what a loop finds."""
    chance = random.Random(3)
    for _ in range(2000):
        a = chance.choices([1, 2], k=chance.randrange(12))
        b = chance.choices([1, 2], k=chance.randrange(12))
        plain = 0
        while plain < min(len(a), len(b)) and a[plain] == b[plain]:
            plain += 1
        assert common_prefix_length(a, b) == plain
