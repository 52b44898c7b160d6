"""llama.cpp through llama-cpp-python's low-level API: load, tokenize, evaluate, sample.

The only module that imports llama_cpp. One ``LlamaModel`` is used by one thread, except
``abort``/``clear_abort``, which any thread may call.
"""

from __future__ import annotations

import ctypes
import functools
import os
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import llama_cpp
import numpy as np
import psutil

from context.types import Role, Segment
from lsp_server.engine.healing import Ids, Vocabulary, give_back
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.reuse import Block
from lsp_server.errors import EngineError, ModelInvalidError
from lsp_server.types import SamplingParams

# What an aborted prefill keeps is counted in physical batches: 256 keeps more than 512, and
# 128 was 3 to 5 % slower on two cores.
_N_UBATCH_CPU = 256
_N_UBATCH_GPU = 512
_N_BATCH = 512
_N_CTX_CPU = 8192
_N_CTX_GPU = 32768
_MAX_PIECE_BYTES = 512
# Texts that other model families use as markers; llama.cpp does not count them as end of
# generation, but nothing sensible follows them in a completion.
_STOP_TEXTS = ("<|im_start|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


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


class Encoded(NamedTuple):
    """A prompt as tokens.

    Args:
        tokens: shape (n,).
        counts: how many each segment has.
        healed: bytes of the tokens that were taken off the end of the prefix.
    """

    tokens: list[int]
    counts: tuple[int, ...]
    healed: bytes


class _NativeLog:
    """Keeps the last lines llama.cpp printed: its only account of why a load failed."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self._callback = llama_cpp.llama_log_callback(self._write)
        llama_cpp.llama_log_set(self._callback, ctypes.c_void_p(0))

    def _write(self, level: int, text: bytes, _user_data: object) -> None:
        if level in (3, 4):  # warnings and errors
            self.lines.append(text.decode("utf-8", "replace").strip())
            del self.lines[:-20]

    def last_error(self) -> str:
        """The last message, without paths longer than a line."""
        return next((line for line in reversed(self.lines) if line), "no reason given")[:300]


class LlamaModel:
    """A loaded model with one context.

    Args:
        options: see EngineOptions; ``model_path`` must name a file that was checked before.
        on_progress: called with 0..1 while the weights load; returning False stops the load.

    Raises:
        ModelInvalidError: llama.cpp refuses the file, or it has no FIM tokens.
        EngineError: there is not enough memory for the context.
    """

    def __init__(self, options: EngineOptions, on_progress: Callable[[float], bool]) -> None:
        self._log = _NativeLog()
        llama_cpp.llama_backend_init()
        self._progress_callback = llama_cpp.llama_progress_callback(
            lambda progress, _data: on_progress(float(progress))
        )
        self.supports_gpu = bool(llama_cpp.llama_supports_gpu_offload())
        self.n_gpu_layers = options.n_gpu_layers if self.supports_gpu else 0
        self._model = self._load_model(Path(options.model_path))
        self._vocab = llama_cpp.llama_model_get_vocab(self._model)
        self.n_vocab = int(llama_cpp.llama_vocab_n_tokens(self._vocab))
        self.fim = self._fim_tokens()
        self._stop_ids = self._find_stop_ids()
        self.n_threads = options.n_threads or usable_cores()
        self.flash_attention = False
        self._context = self._make_context(options)
        self._memory = llama_cpp.llama_get_memory(self._context)
        self.n_ctx = int(llama_cpp.llama_n_ctx(self._context))
        self.can_shift = bool(llama_cpp.llama_memory_can_shift(self._memory))
        self.n_ubatch = int(llama_cpp.llama_n_ubatch(self._context))
        self._batch = llama_cpp.llama_batch_init(_N_BATCH, 0, 1)
        self._piece_buffer = ctypes.create_string_buffer(_MAX_PIECE_BYTES)
        self._install_abort()

    # -- loading -------------------------------------------------------------------------

    def _load_model(self, path: Path) -> Any:
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = self.n_gpu_layers
        params.progress_callback = self._progress_callback
        model = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
        if not model:
            raise ModelInvalidError(
                f"llama.cpp cannot load {path.name}: {self._log.last_error()}",
                code="model_load_failed",
                hint="Check the file with: midfill model verify",
            )
        return model

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
            context = llama_cpp.llama_init_from_model(self._model, params)
            if context:
                self.flash_attention = flash
                return context
        raise EngineError(
            f"No context of {params.n_ctx} tokens for this model: {self._log.last_error()}",
            code="context_failed",
            hint="Lower engine.n_ctx, or choose a smaller model.",
        )

    def _fim_tokens(self) -> dict[Role, int]:
        found: dict[Role, int] = {
            "fim_prefix": llama_cpp.llama_vocab_fim_pre(self._vocab),
            "fim_suffix": llama_cpp.llama_vocab_fim_suf(self._vocab),
            "fim_middle": llama_cpp.llama_vocab_fim_mid(self._vocab),
            "repo_name": llama_cpp.llama_vocab_fim_rep(self._vocab),
            "file_sep": llama_cpp.llama_vocab_fim_sep(self._vocab),
        }
        missing = [r for r in ("fim_prefix", "fim_suffix", "fim_middle") if found[r] < 0]
        if missing:
            raise ModelInvalidError(
                f"The model has no FIM tokens ({', '.join(missing)}).",
                code="model_no_fim",
                hint="Choose a code model made for fill-in-the-middle: midfill model list",
            )
        return {role: token for role, token in found.items() if token >= 0}

    def _find_stop_ids(self) -> frozenset[int]:
        stops = set(self.fim.values())
        for text in _STOP_TEXTS:
            ids = self._tokenize(text.encode(), parse_special=True)
            if len(ids) == 1:
                stops.add(ids[0])
        return frozenset(stops)

    def _install_abort(self) -> None:
        # A C function that reads one byte: llama.cpp calls it from its worker threads, and
        # it must not wait for Python's lock. strlen over {flag, 0} gives 0 or 1.
        self._abort_flag = (ctypes.c_char * 2)(b"\0", b"\0")
        self._abort_lock = threading.Lock()
        strlen = ctypes.cast(ctypes.CDLL(None).strlen, ctypes.c_void_p).value
        self._abort_callback = ctypes.cast(strlen or 0, llama_cpp.ggml_abort_callback)
        llama_cpp.llama_set_abort_callback(
            self._context, self._abort_callback, ctypes.addressof(self._abort_flag)
        )

    def close(self) -> None:
        """Free the context and the weights."""
        llama_cpp.llama_batch_free(self._batch)
        llama_cpp.llama_free(self._context)
        llama_cpp.llama_model_free(self._model)

    # -- text and tokens -----------------------------------------------------------------

    def _tokenize(self, data: bytes, *, parse_special: bool) -> list[int]:
        capacity = len(data) + 8
        buffer = (llama_cpp.llama_token * capacity)()
        n_tokens = llama_cpp.llama_tokenize(
            self._vocab, data, len(data), buffer, capacity, False, parse_special
        )
        if n_tokens < 0:
            raise EngineError("The text cannot be tokenized.", code="tokenize_failed")
        return buffer[:n_tokens]

    def tokenize(self, text: str) -> list[int]:
        """Tokens of user text; it can never yield a special token.

        Args:
            text: any text; what cannot be encoded as UTF-8 becomes ``?``.
        """
        ids = self._tokenize(text.encode("utf-8", "replace"), parse_special=False)
        # parse_special=False leaves user-defined tokens on in llama.cpp; control tokens and
        # FIM markers must not come from text whatever kind the GGUF gives them.
        return [i for i in ids if i not in self._stop_ids and not self.is_control(i)]

    def encode(self, segments: Sequence[Segment], heal_bytes: int = 0) -> Encoded:
        """Tokens of a prompt.

        Args:
            segments: in prompt order.
            heal_bytes: size of the word that ends the text before the FIM suffix marker (or,
                where that comes first, before the middle marker); its tokens are taken off.
        """
        tokens: list[int] = []
        counts: list[int] = []
        healed = b""
        if llama_cpp.llama_vocab_get_add_bos(self._vocab):
            tokens.append(llama_cpp.llama_vocab_bos(self._vocab))
        word_end = _end_of_prefix(segments)
        for number, segment in enumerate(segments):
            part: list[int] = []
            if segment.role != "text":
                if segment.role not in self.fim:
                    raise EngineError(
                        f"The model has no {segment.role} token.", code="model_no_fim"
                    )
                part.append(self.fim[segment.role])
            if segment.text:
                text = self.tokenize(segment.text)
                if number == word_end:
                    text, healed = give_back(text, heal_bytes, self.piece)
                part.extend(text)
            tokens.extend(part)
            counts.append(len(part))
        return Encoded(tokens, tuple(counts), healed)

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """All tokens by their bytes; made when it is first needed."""
        ids = range(self.n_vocab)
        return Vocabulary(
            [b"" if self.is_control(i) or self.is_stop(i) else self.piece(i) for i in ids]
        )

    def is_control(self, token: int) -> bool:
        """Whether the token is a marker and not text."""
        return bool(llama_cpp.llama_vocab_is_control(self._vocab, token))

    def is_stop(self, token: int) -> bool:
        """Whether the token ends a completion."""
        return token in self._stop_ids or bool(llama_cpp.llama_vocab_is_eog(self._vocab, token))

    def piece(self, token: int) -> bytes:
        """The bytes of a token; may be part of a character."""
        size = llama_cpp.llama_token_to_piece(
            self._vocab, token, self._piece_buffer, _MAX_PIECE_BYTES, 0, False
        )
        return self._piece_buffer.raw[: max(size, 0)]

    # -- evaluation ----------------------------------------------------------------------

    def abort(self) -> None:
        """Make the running and every further evaluation stop, until ``clear_abort``."""
        self._abort_flag[0] = b"\1"

    def clear_abort(self) -> None:
        """Allow evaluations again."""
        self._abort_flag[0] = b"\0"

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
        return np.ctypeslib.as_array(pointer, shape=(self.n_vocab,))

    # -- sampling ------------------------------------------------------------------------

    def sampler(self, params: SamplingParams) -> Sampler:
        """What picks the tokens of one request."""
        return Sampler(self._context, self._vocab, params)


class Sampler:
    """Picks tokens by llama.cpp's own sampler chain; ``close`` frees it.

    The infill rule ends the text when the end-of-generation tokens together are likelier than
    the text tokens at hand; small models seldom put one of them on top by themselves.

    Args:
        context: of the model.
        vocab: of the model.
        params: how tokens are picked.
    """

    def __init__(self, context: Any, vocab: Any, params: SamplingParams) -> None:
        self._context = context
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        add = llama_cpp.llama_sampler_chain_add
        if params.repeat_penalty != 1.0:
            add(chain, llama_cpp.llama_sampler_init_penalties(64, params.repeat_penalty, 0.0, 0.0))
        add(chain, llama_cpp.llama_sampler_init_top_k(40))
        add(chain, llama_cpp.llama_sampler_init_top_p(params.top_p, 1))
        add(chain, llama_cpp.llama_sampler_init_infill(vocab))
        if params.temperature > 0:
            add(chain, llama_cpp.llama_sampler_init_temp(params.temperature))
            add(chain, llama_cpp.llama_sampler_init_dist(params.seed))
        else:
            add(chain, llama_cpp.llama_sampler_init_greedy())
        self._chain = chain

    def pick(self, index: int) -> int:
        """The token behind the batch's entry ``index``."""
        return int(llama_cpp.llama_sampler_sample(self._chain, self._context, index))

    def close(self) -> None:
        """Free the chain."""
        if self._chain is not None:
            llama_cpp.llama_sampler_free(self._chain)
            self._chain = None


def _end_of_prefix(segments: Sequence[Segment]) -> int:
    """Number of the text segment that ends at the cursor; -1 if there is none."""
    role: Role = "text"
    last = -1
    for number, segment in enumerate(segments):
        if segment.role != "text":
            role = segment.role
        if role == "fim_prefix" and segment.text:
            last = number
    return last


def usable_cores() -> int:
    """Physical cores this process may use; hyper-threads only slow the matrix work down."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, psutil.cpu_count(logical=False) or allowed or 1))
