"""Which prompt takes which cells of the KV cache, and who makes room for it."""

from __future__ import annotations

from lsp_server.engine.llama.adapters import AdapterSet
from lsp_server.engine.llama.keeper import Keeper
from lsp_server.engine.llama.kv_store import KvStore
from lsp_server.engine.llama.model import LlamaModel
from lsp_server.engine.llama.reuse import Plan
from lsp_server.engine.llama.slots import Slot, SlotTable

# Less is not worth sharing.
_MIN_SHARED = 64


class Cells:
    """The slots, and what lies in them.

    Args:
        llama: the model.
        table: its slots.
        store: where prompts lie on disk; None keeps none.

    Attributes:
        keeper: moves prompts between the slots and the disk.
    """

    def __init__(self, llama: LlamaModel, table: SlotTable, store: KvStore | None) -> None:
        self.keeper = Keeper(llama, table, store, self.make_room)
        self._llama = llama
        self._table = table

    def choose(self, tokens: list[int], adapters: AdapterSet) -> tuple[Slot, Plan]:
        """A slot for a prompt, and how to get there from what it holds then; one must be free.

        Args:
            tokens: of the prompt.
            adapters: with which it is evaluated.
        """
        chosen = self._table.choose(tokens, adapters)
        assert chosen is not None  # a slot is free: nobody else takes jobs
        slot, plan = chosen
        if 2 * (plan.n_kept + plan.n_moved) < len(slot.tokens):
            self.keeper.rescue(slot)
        if slot.adapters != adapters:
            self.forget(slot)
            slot.adapters = adapters
        found = self._table.donor(slot, tokens)
        if found is not None and found[1] >= plan.n_kept + _MIN_SHARED:
            self._share(found[0], slot, found[1])
            plan = self._table.plan(slot, tokens, adapters)
        return slot, self.keeper.restore(slot, plan, tokens) or plan

    def make_room(self, slot: Slot, n_needed: int) -> bool:
        """Forget the prompts unused for longest until a slot can hold so many tokens.

        Returns:
            False if too many are at work.
        """
        others = [other for other in self._table.slots if other is not slot]
        for other in [None, *self._table.idle_by_age(slot)]:
            if other is not None:
                self.keeper.rescue(other)
                self.forget(other)
            if sum(len(s.tokens) for s in others) + n_needed <= self._llama.n_ctx:
                return True
        return False

    def free_some(self, slot: Slot) -> bool:
        """Forget the idle prompt unused for longest, but not this one; False if there is none."""
        idle = self._table.idle_by_age(slot)
        if idle:
            self.keeper.rescue(idle[0])
            self.forget(idle[0])
        return bool(idle)

    def forget(self, slot: Slot) -> None:
        """Empty a slot."""
        self._llama.truncate(slot.seq_id, 0)
        self._llama.truncate(slot.parking, 0)
        slot.clear()

    def _share(self, donor: Slot, slot: Slot, n_shared: int) -> None:
        self._llama.share(donor.seq_id, slot.seq_id, n_shared)
        slot.tokens = donor.tokens[:n_shared]
        slot.n_shared = n_shared
        donor.n_shared = max(donor.n_shared, n_shared)
