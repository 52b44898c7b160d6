"""llama.cpp through llama-cpp-python's low-level API: load, tokenize, evaluate, sample.

The only module that imports llama_cpp. One ``LlamaModel`` is used by one thread, except
``abort``/``clear_abort``, which any thread may call.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import llama_cpp
import numpy as np
import psutil

from context.types import Role, Segment
from lsp_server.engine.options import EngineOptions
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
        self.n_ctx_slot = int(llama_cpp.llama_n_ctx_seq(self._context))
        self.n_batch = _N_BATCH
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
        params.n_seq_max = options.n_slots
        # Each slot has cells of its own, so that a prompt does not attend over those of others.
        params.kv_unified = False
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

    def encode(self, segments: Sequence[Segment]) -> tuple[list[int], tuple[int, ...]]:
        """Tokens of a prompt and the token count of each segment."""
        tokens: list[int] = []
        counts: list[int] = []
        if llama_cpp.llama_vocab_get_add_bos(self._vocab):
            tokens.append(llama_cpp.llama_vocab_bos(self._vocab))
        for segment in segments:
            part: list[int] = []
            if segment.role != "text":
                if segment.role not in self.fim:
                    raise EngineError(
                        f"The model has no {segment.role} token.", code="model_no_fim"
                    )
                part.append(self.fim[segment.role])
            if segment.text:
                part.extend(self.tokenize(segment.text))
            tokens.extend(part)
            counts.append(len(part))
        return tokens, tuple(counts)

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

    def evaluate(self, tokens: Sequence[int], position: int, seq_id: int) -> None:
        """Evaluate at most ``n_batch`` tokens; the last one's logits are kept for sampling.

        Args:
            tokens: shape (n,), 1 <= n <= n_batch.
            position: position of the first one in the sequence.
            seq_id: the slot.

        Raises:
            Aborted: see ``abort``; ask ``evaluated_length`` how far it came.
            EngineError: llama.cpp failed; a prompt that outgrows its slot among other reasons.
        """
        batch = self._batch
        n_tokens = len(tokens)
        batch.n_tokens = n_tokens
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = seq_id
            batch.logits[i] = 0
        batch.logits[n_tokens - 1] = 1
        code = llama_cpp.llama_decode(self._context, batch)
        if code == 0:
            return
        if code == 2:
            raise Aborted
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

    def logprob(self, token: int) -> float:
        """Natural-log probability of a token after the last evaluated one."""
        logits = self._logits()
        top = float(logits.max())
        total = float(np.exp(logits - top).sum())
        return float(logits[token]) - top - float(np.log(total))

    def _logits(self) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        pointer = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(pointer, shape=(self.n_vocab,))

    # -- sampling ------------------------------------------------------------------------

    @contextlib.contextmanager
    def sampler(self, params: SamplingParams) -> Iterator[Callable[[], int]]:
        """A function that picks the next token, by llama.cpp's own sampler chain.

        The infill rule ends the text when the end-of-generation tokens together are likelier
        than the text tokens at hand; small models seldom put one of them on top by themselves.
        """
        chain = llama_cpp.llama_sampler_chain_init(llama_cpp.llama_sampler_chain_default_params())
        add = llama_cpp.llama_sampler_chain_add
        if params.repeat_penalty != 1.0:
            add(chain, llama_cpp.llama_sampler_init_penalties(64, params.repeat_penalty, 0.0, 0.0))
        add(chain, llama_cpp.llama_sampler_init_top_k(40))
        add(chain, llama_cpp.llama_sampler_init_top_p(params.top_p, 1))
        add(chain, llama_cpp.llama_sampler_init_infill(self._vocab))
        if params.temperature > 0:
            add(chain, llama_cpp.llama_sampler_init_temp(params.temperature))
            add(chain, llama_cpp.llama_sampler_init_dist(params.seed))
        else:
            add(chain, llama_cpp.llama_sampler_init_greedy())
        try:
            yield lambda: int(llama_cpp.llama_sampler_sample(chain, self._context, -1))
        finally:
            llama_cpp.llama_sampler_free(chain)


def usable_cores() -> int:
    """Physical cores this process may use; hyper-threads only slow the matrix work down."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return max(1, min(allowed or 1, psutil.cpu_count(logical=False) or allowed or 1))
