"""One model and its KV cache: evaluate tokens, move them, see what comes next.

One ``LlamaModel`` is used by one thread, except ``abort``/``clear_abort``, which any thread may
call.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import llama_cpp
import numpy as np

from lsp_server.engine.llama.healing import Ids
from lsp_server.engine.llama.native import AbortFlag, NativeLog, usable_cores
from lsp_server.engine.llama.reuse import Block
from lsp_server.engine.llama.sampler import Sampler
from lsp_server.engine.llama.tokenizer import Tokenizer
from lsp_server.engine.llama.weights import Weights
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineError
from lsp_server.types import SamplingParams

# What an aborted prefill keeps is counted in physical batches: 256 keeps more than 512, and
# 128 was 3 to 5 % slower on two cores.
_N_UBATCH_CPU = 256
_N_UBATCH_GPU = 512
_N_BATCH = 512
_N_CTX_CPU = 8192
_N_CTX_GPU = 32768


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

    Raises:
        ModelInvalidError: llama.cpp refuses the file, or it has no FIM tokens.
        EngineError: there is not enough memory for the context.
    """

    def __init__(self, options: EngineOptions, on_progress: Callable[[float], bool]) -> None:
        self._log = NativeLog()
        llama_cpp.llama_backend_init()
        self.supports_gpu = bool(llama_cpp.llama_supports_gpu_offload())
        self.n_gpu_layers = options.n_gpu_layers if self.supports_gpu else 0
        self._weights = Weights(
            Path(options.model_path), self._log, on_progress, n_gpu_layers=self.n_gpu_layers
        )
        self.tokenizer = Tokenizer(self._weights.pointer)
        self.n_threads = options.n_threads or usable_cores()
        self.flash_attention = False
        self._context = self._make_context(options)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self.n_ctx = int(llama_cpp.llama_n_ctx(self._context))
        self.can_shift = bool(llama_cpp.llama_memory_can_shift(self._memory))
        self.n_ubatch = int(llama_cpp.llama_n_ubatch(self._context))
        self._batch = llama_cpp.llama_batch_init(_N_BATCH, 0, 1)
        self._abort = AbortFlag(self._context)

    def _make_context(self, options: EngineOptions) -> Any:
        on_gpu = self.n_gpu_layers != 0
        params = llama_cpp.llama_context_default_params()
        params.n_ctx = options.n_ctx or (_N_CTX_GPU if on_gpu else _N_CTX_CPU)
        params.n_batch = _N_BATCH
        params.n_ubatch = _N_UBATCH_GPU if on_gpu else _N_UBATCH_CPU
        # Each slot has a second sequence, where text waits while what stands before it changes.
        # Entries can move between sequences only where they share one pool of cells.
        params.n_seq_max = 2 * options.n_slots
        params.kv_unified = True
        params.n_threads = params.n_threads_batch = self.n_threads
        # "auto" asks for flash attention first: every build in use has it, and a back end
        # that lacks it for this model refuses the context instead of slowing down silently.
        attempts = {"auto": (True, False), "on": (True,), "off": (False,)}[options.flash_attention]
        for flash in attempts:
            params.flash_attn_type = (
                llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
                if flash
                else llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED
            )
            context = llama_cpp.llama_init_from_model(self._weights.pointer, params)
            if context:
                self.flash_attention = flash
                return context
        raise EngineError(
            f"No context of {params.n_ctx} tokens for this model: {self._log.last_error()}",
            code="context_failed",
            hint="Lower engine.n_ctx, or choose a smaller model.",
        )

    def close(self) -> None:
        """Free the context and the weights."""
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
        code = llama_cpp.llama_decode(self._context, batch)
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

    def unpark(self, seq_id: int, parking: int, start: int, end: int) -> None:
        """Give positions ``start`` to ``end`` of the parking sequence back."""
        llama_cpp.llama_memory_seq_cp(self._memory, parking, seq_id, start, end)
        llama_cpp.llama_memory_seq_rm(self._memory, parking, start, end)

    def share(self, donor: int, seq_id: int, length: int) -> None:
        """Let a sequence have the first ``length`` tokens of another too, in the same cells."""
        llama_cpp.llama_memory_seq_rm(self._memory, seq_id, -1, -1)
        llama_cpp.llama_memory_seq_cp(self._memory, donor, seq_id, 0, length)

    def drop(self, seq_id: int, start: int, end: int) -> None:
        """Forget positions ``start`` to ``end`` of a sequence."""
        llama_cpp.llama_memory_seq_rm(self._memory, seq_id, start, end)

    def logprob(self, token: int, index: int) -> float:
        """Natural-log probability of a token behind the batch's entry ``index``."""
        logits = self._logits(index)
        top = float(logits.max())
        total = float(np.exp(logits - top).sum())
        return float(logits[token]) - top - float(np.log(total))

    def best_among(self, ids: Ids, index: int) -> tuple[int, float]:
        """The likeliest of some tokens, and its natural-log probability among them.

        Args:
            ids: shape (n,), not empty.
            index: of the batch's entry behind which it stands.
        """
        logits = self._logits(index)[ids]
        best = int(np.argmax(logits))
        total = float(np.exp(logits - logits[best]).sum())
        return int(ids[best]), -float(np.log(total))

    def _logits(self, index: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        pointer = llama_cpp.llama_get_logits_ith(self._context, index)
        return np.ctypeslib.as_array(pointer, shape=(self.tokenizer.n_vocab,))

    # -- sampling ------------------------------------------------------------------------

    def sampler(self, params: SamplingParams) -> Sampler:
        """What picks the tokens of one request."""
        return Sampler(self._context, self.tokenizer.vocab, params)
