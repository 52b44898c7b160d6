"""Which prompt lies in which sequence of the KV cache, and how much of it a new one can reuse."""

from __future__ import annotations

from collections.abc import Sequence

from context.sequences import common_prefix_length


class Slot:
    """One sequence of the KV cache and the tokens that are evaluated in it."""

    __slots__ = ("last_used", "seq_id", "tokens")

    def __init__(self, seq_id: int) -> None:
        self.seq_id = seq_id
        self.tokens: list[int] = []
        self.last_used = 0


class SlotTable:
    """Chooses a slot for a prompt.

    Args:
        n_slots: number of sequences.
    """

    def __init__(self, n_slots: int) -> None:
        self.slots = [Slot(seq_id) for seq_id in range(n_slots)]
        self._clock = 0

    def choose(self, tokens: Sequence[int]) -> tuple[Slot, int]:
        """The slot for a prompt, and how many of its leading tokens are already evaluated.

        The longest common prefix wins; a prompt that shares less than a quarter with every
        slot takes the one unused for longest, so that two files do not push each other out.
        The last token is never counted as reused: its logits are needed.
        """
        self._clock += 1
        shared = [common_prefix_length(slot.tokens, tokens) for slot in self.slots]
        best = max(range(len(self.slots)), key=lambda i: (shared[i], self.slots[i].last_used))
        if 4 * shared[best] < len(tokens):
            oldest = min(self.slots, key=lambda slot: (bool(slot.tokens), slot.last_used))
            best = oldest.seq_id
        slot = self.slots[best]
        slot.last_used = self._clock
        return slot, min(shared[best], len(tokens) - 1)
