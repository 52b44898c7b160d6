"""Evaluating moved text again while nobody waits.

Entries of the KV cache that were moved have not seen what was inserted before them. Each move
costs a little of the model's certainty; this takes the debt back, piece by piece, and stops as
soon as somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable

from lsp_server.engine.llama.model import Aborted, Entry, LlamaModel
from lsp_server.engine.llama.reuse import GAP, Block
from lsp_server.engine.llama.slots import Slot

# Small enough that a key typed meanwhile loses little, large enough to run at full speed.
_N_CHUNK = 64


def refresh(llama: LlamaModel, slot: Slot, go_on: Callable[[], bool]) -> None:
    """Evaluate the moved part of a slot's prompt again, from its beginning as far as time allows.

    Args:
        llama: the model; its abort flag ends the work.
        slot: free; what was generated behind its prompt is forgotten.
        go_on: asked before each piece.
    """
    start, end = slot.drifted_from, max(slot.n_prompt - 1, 0)
    if GAP in slot.tokens[:end]:
        end = slot.tokens.index(GAP)
    llama.truncate(slot.seq_id, end)
    del slot.tokens[end:]
    if start >= end:
        slot.settle()
        return
    block = Block(source=start, target=start, length=end - start)
    llama.park(slot.seq_id, slot.parking, (block,), start)
    at = start
    try:
        while at < end and go_on():
            at = _evaluate(llama, slot, at, min(at + _N_CHUNK, end))
    finally:
        # What is not evaluated again stays as it was.
        llama.drop(slot.parking, start, at)
        llama.unpark(slot.seq_id, slot.parking, at, end)
    if at >= end:
        slot.settle()
    else:
        slot.drifted_from = at


def _evaluate(llama: LlamaModel, slot: Slot, start: int, end: int) -> int:
    """Evaluate some tokens; gives the position behind the last one that is."""
    entries = [Entry(slot.tokens[at], at, slot.seq_id, False) for at in range(start, end)]
    try:
        llama.decode(entries)
    except Aborted:
        return max(start, llama.evaluated_length(slot.seq_id))
    return end
