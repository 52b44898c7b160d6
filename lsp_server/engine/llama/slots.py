"""Which prompt lies in which sequence of the KV cache."""

from __future__ import annotations

from collections.abc import Sequence

from context.sequences import common_prefix_length
from lsp_server.engine.llama.adapters import NO_ADAPTERS, AdapterSet
from lsp_server.engine.llama.reuse import GAP, Plan, plan_reuse

# A prompt that keeps less than this share of a slot's beginning may find more by moving blocks.
_MIN_KEPT = 0.25
# Above this, looking for blocks in every slot takes longer than it saves.
_MAX_SEARCHED = 4096


class Slot:
    """One prompt in the KV cache: a sequence, and a second one to park text in.

    Attributes:
        tokens: evaluated at positions 0, 1, …; ``reuse.GAP`` where there is none.
        n_shared: so many leading cells may belong to other slots too, and must not be moved.
        n_prompt: length of the prompt; generated tokens follow.
        n_drifted: tokens by which text was moved since it was last evaluated.
        drifted_from: where the moved text begins.
        busy: whether a job is at work in it.
        adapters: with which the tokens were evaluated; with others their entries are worth nothing.
    """

    __slots__ = (
        "adapters", "busy", "drifted_from", "last_used", "n_drifted", "n_prompt", "n_shared",
        "parking", "seq_id", "tokens",
    )  # fmt: skip

    def __init__(self, seq_id: int, parking: int) -> None:
        self.seq_id = seq_id
        self.parking = parking
        self.tokens: list[int] = []
        self.n_shared = 0
        self.n_prompt = 0
        self.n_drifted = 0
        self.drifted_from = 0
        self.busy = False
        self.last_used = 0
        self.adapters: AdapterSet = NO_ADAPTERS

    def held(self, adapters: AdapterSet) -> list[int]:
        """The tokens that serve a prompt with these adapters."""
        return self.tokens if self.adapters == adapters else []

    def moved(self, plan: Plan) -> None:
        """Text was moved as planned."""
        if not plan.blocks:
            if plan.n_kept <= self.drifted_from:
                self.settle()
            return
        first = min(block.target for block in plan.blocks)
        kept = self.drifted_from if self.n_drifted and self.drifted_from < plan.n_kept else first
        self.drifted_from = min(first, kept)
        self.n_drifted += max(abs(block.shift) for block in plan.blocks)

    @property
    def n_whole(self) -> int:
        """Leading tokens of the prompt that are evaluated, without a gap."""
        n_tokens = min(self.n_prompt, len(self.tokens))
        return self.tokens.index(GAP) if GAP in self.tokens[:n_tokens] else n_tokens

    def clear(self) -> None:
        """It holds nothing any more."""
        self.tokens = []
        self.n_shared = self.n_prompt = 0
        self.settle()

    def settle(self) -> None:
        """All text was evaluated where it stands."""
        self.n_drifted = self.drifted_from = 0


class SlotTable:
    """Chooses a slot for a prompt.

    Args:
        n_slots: number of prompts that are kept.
        can_move: whether blocks can be moved within a sequence.

    Attributes:
        slots: all of them.
        can_move: see above.
    """

    def __init__(self, n_slots: int, *, can_move: bool = True) -> None:
        self.slots = [Slot(seq_id, n_slots + seq_id) for seq_id in range(n_slots)]
        self.can_move = can_move
        self._clock = 0

    def choose(
        self, tokens: Sequence[int], adapters: AdapterSet = NO_ADAPTERS
    ) -> tuple[Slot, Plan] | None:
        """A free slot for a prompt and how to get there from what it holds; None if all work.

        The longest common beginning wins. A prompt that shares less than a quarter with every
        slot takes the one of which most can be moved; and if that is less than a quarter as
        well, the one unused for longest, so that two files do not push each other out.

        Args:
            tokens: the prompt.
            adapters: it is evaluated with; a slot of others has to be emptied first.
        """
        free = [slot for slot in self.slots if not slot.busy]
        if not free:
            return None
        self._clock += 1
        shared = {s.seq_id: common_prefix_length(s.held(adapters), tokens) for s in free}
        best = max(free, key=lambda slot: (shared[slot.seq_id], slot.last_used))
        plan = self.plan(best, tokens, adapters)
        if shared[best.seq_id] < _MIN_KEPT * len(tokens):
            if len(tokens) <= _MAX_SEARCHED:
                plans = [
                    (slot, self.plan(slot, tokens, adapters))
                    for slot in free
                    if slot.held(adapters)
                ]
                best, plan = min(
                    plans, key=lambda found: found[1].n_evaluated, default=(best, plan)
                )
            if len(tokens) - plan.n_evaluated < _MIN_KEPT * len(tokens):
                best = min(free, key=lambda slot: (bool(slot.tokens), slot.last_used))
                plan = self.plan(best, tokens, adapters)
        best.last_used = self._clock
        return best, plan

    def donor(self, slot: Slot, tokens: Sequence[int]) -> tuple[Slot, int] | None:
        """Another slot that shares more of the beginning, and how much; it may be at work."""
        own = common_prefix_length(slot.tokens, tokens)
        others = [
            (common_prefix_length(other.tokens, tokens), other)
            for other in self.slots
            if other is not slot and other.held(slot.adapters)
        ]
        n_shared, other = max(others, key=lambda found: found[0], default=(0, slot))
        n_shared = min(n_shared, len(tokens) - 1)
        return (other, n_shared) if n_shared > own else None

    def drifted(self, n_least: int) -> Slot | None:
        """The free slot used last whose text was moved by so many tokens or more."""
        found = [s for s in self.slots if not s.busy and s.n_drifted >= n_least]
        return max(found, key=lambda slot: slot.last_used, default=None)

    def idle_by_age(self, but: Slot) -> list[Slot]:
        """Slots that may be emptied, the one unused for longest first."""
        idle = [s for s in self.slots if s.tokens and not s.busy and s is not but]
        return sorted(idle, key=lambda slot: slot.last_used)

    def plan(self, slot: Slot, tokens: Sequence[int], adapters: AdapterSet) -> Plan:
        """How a slot gets from what it holds to a prompt with these adapters."""
        held = slot.held(adapters)
        n_shared = slot.n_shared if held else 0
        return plan_reuse(held, tokens, move=self.can_move, first_source=n_shared)
