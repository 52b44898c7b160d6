"""One model and its KV cache: evaluate tokens, move them, see what comes next.

One ``LlamaModel`` is used by one thread, except ``abort``/``clear_abort``, which any thread may
call.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import llama_cpp
import numpy as np

from lsp_server.engine.llama.adapters import Adapters
from lsp_server.engine.llama.healing import Ids
from lsp_server.engine.llama.loading import load
from lsp_server.engine.llama.native import AbortFlag, NativeLog
from lsp_server.engine.llama.reuse import Block
from lsp_server.engine.llama.sampler import (
    NOTHING,
    Expected,
    Logits,
    Picked,
    Sampler,
    mixed,
    picked,
)
from lsp_server.engine.llama.tokenizer import Tokenizer
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineError
from lsp_server.types import SamplingParams


class Aborted(Exception):
    """``llama_decode`` was stopped by the abort flag; evaluated ubatches stay valid."""


class ContextFull(Exception):
    """There are not enough free cells for a batch."""


class Entry(NamedTuple):
    """A token of a batch.

    Args:
        token: its id.
        position: in its sequence.
        seq_id: the sequence.
        wants_logits: whether a token will be sampled behind it.
    """

    token: int
    position: int
    seq_id: int
    wants_logits: bool


class LlamaModel:
    """A loaded model with one context.

    Args:
        options: see EngineOptions; ``model_path`` must name a file that was checked before.
        on_progress: called with 0..1 while the weights load; returning False stops the load.

    Attributes:
        tokenizer: of the model.
        placement: where it lies.
        status: the same, for the user.
        notice: what was not done as asked, and why; "" if all was.
        adapters: LoRA adapters, and which of them are in force.
        shift_pending: whether moved keys are still to be rotated, by the next batch, which cannot
            be stopped.
        kv_recipe: what the state of a sequence depends on beside the model file; states are
            exchanged only between models where it is the same.

    Raises:
        ModelInvalidError: llama.cpp refuses the file, or it has no FIM tokens.
        EngineError: there is not enough memory.
    """

    def __init__(self, options: EngineOptions, on_progress: Callable[[float], bool]) -> None:
        self._log = NativeLog()
        llama_cpp.llama_backend_init()
        loaded = load(options, self._log, on_progress)
        self._weights, self._context = loaded.weights, loaded.context
        self.placement, self.status, self.notice = loaded.placement, loaded.status, loaded.notice
        self.flash_attention = loaded.flash_attention
        self.n_threads = loaded.placement.n_threads
        self.n_gpu_layers = loaded.placement.n_gpu_layers
        self.tokenizer = Tokenizer(self._weights.pointer)
        self.kv_recipe: tuple[str | bool, ...] = (
            llama_cpp.__version__,
            loaded.placement.type_k,
            loaded.placement.type_v,
            self.flash_attention,
        )
        self._memory = llama_cpp.llama_get_memory(self._context)
        self.n_ctx = int(llama_cpp.llama_n_ctx(self._context))
        self.can_shift = bool(llama_cpp.llama_memory_can_shift(self._memory))
        self.n_ubatch = int(llama_cpp.llama_n_ubatch(self._context))
        self.adapters = Adapters(
            self._weights.pointer,
            self._context,
            self._log,
            architecture=loaded.architecture,
            ties_output=loaded.ties_output,
        )
        self._batch = llama_cpp.llama_batch_init(loaded.placement.n_batch, 0, 1)
        self._abort = AbortFlag(self._context)
        self.shift_pending = False
        # Nobody who types a word should wait for it.
        self._vocabulary = threading.Thread(
            target=lambda: self.tokenizer.vocabulary, name="vocabulary", daemon=True
        )
        self._vocabulary.start()

    def close(self) -> None:
        """Free the context and the weights."""
        self._vocabulary.join()
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        self._weights.close()

    # -- evaluation ----------------------------------------------------------------------

    def abort(self) -> None:
        """Make the running and every further evaluation stop, until ``clear_abort``."""
        self._abort.set()

    def clear_abort(self) -> None:
        """Allow evaluations again."""
        self._abort.clear()

    def decode(self, entries: Sequence[Entry]) -> None:
        """Evaluate a batch of at most ``n_batch`` tokens of one or more sequences.

        Args:
            entries: shape (n,); each sequence's in the order of their positions, which go on
                from what it holds.

        Raises:
            Aborted: see ``abort``; ask ``evaluated_length`` how far each sequence came.
            ContextFull: there are not enough free cells; nothing was evaluated.
            EngineError: llama.cpp failed.
        """
        batch = self._batch
        batch.n_tokens = len(entries)
        for i, (token, position, seq_id, wants_logits) in enumerate(entries):
            batch.token[i] = token
            batch.pos[i] = position
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = seq_id
            batch.logits[i] = wants_logits
        code = self._decode(batch)
        if code == 0:
            return
        if code == 2:
            raise Aborted
        if code == 1:
            raise ContextFull
        raise EngineError(
            f"llama.cpp failed to evaluate a batch (code {code}): {self._log.last_error()}",
            code="decode_failed",
        )

    def _decode(self, batch: Any) -> int:
        if not self.shift_pending:
            return int(llama_cpp.llama_decode(self._context, batch))
        # llama.cpp rotates moved keys when it evaluates next, layer by layer. Stopped halfway, it
        # would rotate the first layers once more the time after.
        with self._abort.held_back():
            code = int(llama_cpp.llama_decode(self._context, batch))
        self.shift_pending = code not in (0, 1)
        return code

    def evaluated_length(self, seq_id: int) -> int:
        """Number of tokens evaluated in a sequence."""
        return int(llama_cpp.llama_memory_seq_pos_max(self._memory, seq_id)) + 1

    def truncate(self, seq_id: int, length: int) -> None:
        """Forget all but the first ``length`` tokens of a sequence."""
        llama_cpp.llama_memory_seq_rm(self._memory, seq_id, length, -1)

    def park(self, seq_id: int, parking: int, blocks: Sequence[Block], n_kept: int) -> None:
        """Take blocks of a sequence aside, at their new positions; forget all behind ``n_kept``.

        Args:
            seq_id: the sequence.
            parking: an empty sequence.
            blocks: in order.
            n_kept: tokens that stay.
        """
        memory = self._memory
        for block in blocks:
            end = block.source + block.length
            llama_cpp.llama_memory_seq_cp(memory, seq_id, parking, block.source, end)
        llama_cpp.llama_memory_seq_rm(memory, seq_id, n_kept, -1)
        # No block may be shifted onto one that still has to move: those that move right go
        # from the last to the first, those that move left from the first to the last.
        right = [block for block in reversed(blocks) if block.shift > 0]
        left = [block for block in blocks if block.shift < 0]
        for block in right + left:
            end = block.source + block.length
            llama_cpp.llama_memory_seq_add(memory, parking, block.source, end, block.shift)
            self.shift_pending = True

    def unpark(self, seq_id: int, parking: int, start: int, end: int) -> None:
        """Give positions ``start`` to ``end`` of the parking sequence back."""
        llama_cpp.llama_memory_seq_cp(self._memory, parking, seq_id, start, end)
        llama_cpp.llama_memory_seq_rm(self._memory, parking, start, end)

    def share(self, donor: int, seq_id: int, length: int) -> None:
        """Let a sequence have the first ``length`` tokens of another too, in the same cells."""
        llama_cpp.llama_memory_seq_rm(self._memory, seq_id, -1, -1)
        llama_cpp.llama_memory_seq_cp(self._memory, donor, seq_id, 0, length)

    def move(self, seq_id: int, start: int, end: int, n_places: int) -> None:
        """Move positions ``start`` to ``end`` of a sequence to where there is none."""
        llama_cpp.llama_memory_seq_add(self._memory, seq_id, start, end, n_places)
        self.shift_pending = True

    def drop(self, seq_id: int, start: int, end: int) -> None:
        """Forget positions ``start`` to ``end`` of a sequence."""
        llama_cpp.llama_memory_seq_rm(self._memory, seq_id, start, end)

    # -- states of sequences -------------------------------------------------------------

    def state_bytes(self, seq_id: int) -> int:
        """Size of what ``save_state`` would give for a whole sequence."""
        return int(llama_cpp.llama_state_seq_get_size(self._context, seq_id))

    def save_state(self, seq_id: int, parking: int, length: int) -> bytearray:
        """The first ``length`` tokens of a sequence, for ``load_state``; empty if that fails.

        Args:
            seq_id: the sequence; it stays as it is. Nothing is saved while a shift is pending.
            parking: an empty sequence.
            length: in tokens; none may be missing before that.
        """
        if self.shift_pending:
            return bytearray()
        llama_cpp.llama_memory_seq_cp(self._memory, seq_id, parking, 0, length)
        try:
            # Caches that forget old positions give back less than a whole prompt.
            if not self._is_whole(parking, length):
                return bytearray()
            state = bytearray(self.state_bytes(parking))
            buffer = (ctypes.c_uint8 * len(state)).from_buffer(state)
            n_written = llama_cpp.llama_state_seq_get_data(
                self._context, buffer, len(state), parking
            )
            return state if n_written == len(state) else bytearray()
        finally:
            llama_cpp.llama_memory_seq_rm(self._memory, parking, -1, -1)

    def load_state(self, seq_id: int, state: bytearray | memoryview, length: int) -> bool:
        """Put what ``save_state`` gave into a sequence, in cells of its own.

        Args:
            seq_id: the sequence; what it held is forgotten in any case.
            state: writable; checked to be what a model with the same ``kv_recipe`` gave.
            length: in tokens.

        Returns:
            Whether it worked; it does not where too few cells are free. The sequence is empty
            if not.
        """
        llama_cpp.llama_memory_seq_rm(self._memory, seq_id, -1, -1)
        buffer = (ctypes.c_uint8 * len(state)).from_buffer(state)
        n_read = llama_cpp.llama_state_seq_set_data(self._context, buffer, len(state), seq_id)
        if n_read == len(state) and self._is_whole(seq_id, length):
            return True
        llama_cpp.llama_memory_seq_rm(self._memory, seq_id, -1, -1)
        return False

    def _is_whole(self, seq_id: int, length: int) -> bool:
        first = int(llama_cpp.llama_memory_seq_pos_min(self._memory, seq_id))
        return first == 0 and self.evaluated_length(seq_id) == length

    # -- what comes next -----------------------------------------------------------------

    def best_among(self, ids: Ids, index: int, expected: Expected = NOTHING) -> Picked:
        """The likeliest of some tokens, and how sure it is among them.

        Args:
            ids: shape (n,), not empty.
            index: of the batch's entry behind which it stands.
            expected: see ``mixed``.
        """
        logits = self.logits(index)[ids]
        if expected:
            number_of = {int(token): number for number, token in enumerate(ids)}
            among = {number_of[t]: share for t, share in expected.items() if t in number_of}
            logits = mixed(logits, among)
        best = int(np.argmax(logits))
        return picked(int(ids[best]), float(logits[best]), logits)

    def logits(self, index: int) -> Logits:
        """Of the vocabulary, behind the batch's entry ``index``; overwritten by the next batch.

        Returns:
            Shape (n_vocab,).
        """
        pointer = llama_cpp.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(pointer, shape=(self.tokenizer.n_vocab,))

    # -- sampling ------------------------------------------------------------------------

    def sampler(self, params: SamplingParams) -> Sampler:
        """What picks the tokens of one request."""
        return Sampler(self.tokenizer.vocab, params)
