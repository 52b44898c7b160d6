"""How a new prompt is made out of the KV cache of an old one.

What two prompts have in common at the beginning is kept as it is. What they have in common
further on is moved: its keys are rotated to their new positions instead of being evaluated
again. A fill-in-the-middle prompt needs that at every key, since each typed token moves all
the text behind the cursor.

Moved entries have not seen the tokens that were inserted before them. The first few of each
moved block are evaluated again, which is enough to hold the distribution at the end of the
prompt in place; how far the rest has drifted is counted, so that it can be refreshed.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from context.sequences import common_prefix_length

# Stands for a token that is not evaluated; equal to no token of a prompt.
GAP = -1

_N_GRAM = 8
# Below this, moving saves less than a step of evaluation costs.
_MIN_BLOCK = 24
# The marker between prefix and suffix, and the first two tokens behind it. With one or four of them
# the distribution at the end differs as little from that of full evaluation (median KL 0.005 to
# 0.007); each costs half a step of one token.
_N_SEAM = 3
_MAX_CANDIDATES = 8


class Block(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens of the old prompt that serve in the new one.

    Args:
        source: position of the first one in the old prompt.
        target: its position in the new one.
        length: how many.
    """

    source: int
    target: int
    length: int

    @property
    def shift(self) -> int:
        """By how many positions they move."""
        return self.target - self.source


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How to make the new prompt.

    Args:
        n_kept: tokens at the beginning that stay as they are.
        blocks: what is moved, in order.
        holes: ranges ``(start, end)`` of the new prompt to evaluate, in order; the last one
            ends the prompt.
    """

    n_kept: int
    blocks: tuple[Block, ...]
    holes: tuple[tuple[int, int], ...]

    @property
    def n_evaluated(self) -> int:
        """Tokens to evaluate."""
        return sum(end - start for start, end in self.holes)

    @property
    def n_moved(self) -> int:
        """Tokens that are moved."""
        return sum(block.length for block in self.blocks)


def plan_reuse(
    old: Sequence[int], new: Sequence[int], *, move: bool = True, first_source: int = 0
) -> Plan:
    """The cheapest way to a prompt.

    Args:
        old: tokens evaluated at positions 0, 1, …; GAP where there is none.
        new: tokens wanted; not empty. The last one is always evaluated: its logits are needed.
        move: whether blocks may be moved.
        first_source: tokens of the old prompt before this one stay where they are.
    """
    n_kept = min(common_prefix_length(old, new), len(new) - 1)
    blocks: tuple[Block, ...] = ()
    if move and n_kept < len(new) - 1:
        blocks = tuple(_blocks(old, new, n_kept, max(n_kept, first_source)))
    holes = []
    position = n_kept
    for block in blocks:
        if block.target > position:
            holes.append((position, block.target))
        position = block.target + block.length
    holes.append((position, len(new)))
    return Plan(n_kept=n_kept, blocks=blocks, holes=tuple(holes))


def _blocks(old: Sequence[int], new: Sequence[int], start: int, source_from: int) -> list[Block]:
    """Common runs behind ``start``, in the same order on both sides, without their seams.

    Each run is the longest that begins at its place in the new prompt; its places in the old
    one are looked up by the run's first few tokens.
    """
    places: dict[tuple[int, ...], list[int]] = {}
    for at in range(source_from, len(old) - _N_GRAM + 1):
        places.setdefault(tuple(old[at : at + _N_GRAM]), []).append(at)
    blocks: list[Block] = []
    at, end = start, len(new) - 1
    while at <= end - _MIN_BLOCK:
        source, length = _longest(old, new, at, places, source_from)
        length = min(length, end - at)
        if length < _MIN_BLOCK:
            at += 1
            continue
        blocks.append(Block(source=source + _N_SEAM, target=at + _N_SEAM, length=length - _N_SEAM))
        at += length
        source_from = source + length
    return blocks


def _longest(
    old: Sequence[int],
    new: Sequence[int],
    at: int,
    places: dict[tuple[int, ...], list[int]],
    source_from: int,
) -> tuple[int, int]:
    """Where in the old prompt the longest run is that begins the new one at ``at``."""
    found = [p for p in places.get(tuple(new[at : at + _N_GRAM]), ()) if p >= source_from]
    best = (0, 0)
    tail = new[at:]
    for source in found[:_MAX_CANDIDATES]:
        length = common_prefix_length(old[source:], tail)
        if length > best[1]:
            best = (source, length)
    return best
