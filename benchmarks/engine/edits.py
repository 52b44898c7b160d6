"""Ways in which an editor comes to a hole: what stood there before, edit by edit."""

from __future__ import annotations

import random
import re
from collections.abc import Callable

from benchmarks.engine.holes import Hole

# Text left and right of the cursor, after each edit; the last one is the hole's.
States = list[tuple[str, str]]

_WORD_END = re.compile(r"[^\W\d_]*$")
_MAX_TYPED = 40
_MAX_DELETED = 20
_ACCEPTED_LINES = (2, 6)
# The text below the cursor that is in the prompt ends after some twenty lines.
_BELOW_LINES = (1, 8)
_ABOVE_LINES = (3, 15)


def typing(hole: Hole, chance: random.Random) -> States:
    """The last characters of the line are typed, key by key.

    Args:
        hole: where it ends.
        chance: how many.
    """
    # A half-typed word alone does not change a prompt that is healed.
    n_least = len(_word_at_end(hole.before)) + 1
    n_most = min(_MAX_TYPED, len(hole.before) - hole.indent_end)
    if n_most < n_least:
        return []
    return key_by_key(hole, chance.randint(n_least, n_most))


def key_by_key(hole: Hole, n_typed: int) -> States:
    """The last so many characters are typed.

    Args:
        hole: where it ends.
        n_typed: at least 1.
    """
    ends = range(len(hole.before) - n_typed, len(hole.before) + 1)
    return [(hole.before[:end], hole.after) for end in ends]


def deleting(hole: Hole, chance: random.Random) -> States:
    """Something else was typed first, a piece of another line, and is deleted key by key."""
    lines = [line.strip() for line in hole.before.split("\n")[:-1]]
    wrong = [line for line in lines if len(line) >= 3 and not hole.truth.startswith(line[:1])]
    if not wrong:
        return []
    piece = chance.choice(wrong)[: chance.randint(3, _MAX_DELETED)]
    return [(hole.before + piece[:n], hole.after) for n in range(len(piece), -1, -1)]


def accepting(hole: Hole, chance: random.Random) -> States:
    """The lines above and the line so far came at once, as an accepted suggestion does."""
    lines = hole.before.split("\n")
    n_lines = min(chance.randint(*_ACCEPTED_LINES), len(lines) - 1)
    if n_lines < 1:
        return []
    first = lines[-1 - n_lines]
    start = len(hole.before) - sum(len(line) + 1 for line in lines[-1 - n_lines :]) + 1
    indent = len(first) - len(first.lstrip())
    return [(hole.before[: start + indent], hole.after), (hole.before, hole.after)]


def editing_below(hole: Hole, chance: random.Random) -> States:
    """A line below the cursor was not there yet."""
    lines = hole.after.split("\n")
    at = _some_line(lines, range(*_BELOW_LINES), chance)
    if at is None:
        return []
    without = "\n".join(lines[:at] + lines[at + 1 :])
    return [(hole.before, without), (hole.before, hole.after)]


def editing_above(hole: Hole, chance: random.Random) -> States:
    """A line some way above the cursor was not there yet."""
    lines = hole.before.split("\n")
    at = _some_line(
        lines, range(len(lines) - _ABOVE_LINES[1], len(lines) - _ABOVE_LINES[0]), chance
    )
    if at is None:
        return []
    without = "\n".join(lines[:at] + lines[at + 1 :])
    return [(without, hole.after), (hole.before, hole.after)]


EDITS: dict[str, Callable[[Hole, random.Random], States]] = {
    "typing": typing,
    "deleting": deleting,
    "accepting": accepting,
    "editing below": editing_below,
    "editing above": editing_above,
}


def _some_line(lines: list[str], among: range, chance: random.Random) -> int | None:
    """A line with code in it; None if there is none."""
    found = [at for at in among if 0 <= at < len(lines) and lines[at].strip()]
    return chance.choice(found) if found else None


def _word_at_end(text: str) -> str:
    found = _WORD_END.search(text)
    return found.group() if found else ""
