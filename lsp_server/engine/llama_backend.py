"""The llama.cpp back end: prefill with KV reuse, decode, stop."""

from __future__ import annotations

import codecs
import threading
from collections.abc import Callable

from lsp_server.engine.backend import BackendInfo
from lsp_server.engine.job import Clock, Job, StopStrings
from lsp_server.engine.llama import Aborted, LlamaModel
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import SlotStatus
from lsp_server.engine.slots import Slot, SlotTable
from lsp_server.errors import EngineRefusedError
from lsp_server.types import FinishReason


class LlamaBackend:
    """Runs jobs on llama.cpp, reusing the KV cache of earlier prompts."""

    def __init__(self, options: EngineOptions, on_progress: Callable[[float], bool]) -> None:
        self._llama = LlamaModel(options, on_progress)
        self._table = SlotTable(options.n_slots)
        self._guard = threading.Lock()
        self._running: Job | None = None

    def info(self) -> BackendInfo:
        """See Backend."""
        return BackendInfo(
            name="llama.cpp",
            n_ctx=self._llama.n_ctx,
            n_threads=self._llama.n_threads,
            n_gpu_layers=self._llama.n_gpu_layers,
            flash_attention=self._llama.flash_attention,
            slots=tuple(
                SlotStatus(seq_id=slot.seq_id, n_tokens=len(slot.tokens))
                for slot in self._table.slots
            ),
        )

    def interrupt(self, job: Job) -> None:
        """See Backend. The flag is raised only while this very job is being evaluated."""
        with self._guard:
            if self._running is job:
                self._llama.abort()

    def close(self) -> None:
        """See Backend."""
        self._llama.close()

    def run(self, job: Job) -> None:
        """See Backend."""
        with self._guard:
            self._running = job
            self._llama.clear_abort()
        try:
            if job.cancelled:
                job.finish("cancelled", Clock(job))
            else:
                self._run(job)
        finally:
            with self._guard:
                self._running = None
                self._llama.clear_abort()

    def _run(self, job: Job) -> None:
        clock = Clock(job)
        tokens, counts = self._llama.encode(job.request.segments)
        clock.n_prompt = len(tokens)
        clock.mark("tokenize")
        n_room = self._llama.n_ctx_slot - job.request.sampling.max_tokens
        if not tokens or len(tokens) > n_room:
            raise EngineRefusedError(
                f"The prompt has {len(tokens)} tokens; a slot has room for {n_room}.",
                code="prompt_too_long" if tokens else "prompt_empty",
                hint="Lower completion.n_prefix_tokens or raise engine.n_ctx.",
            )
        slot, clock.n_reused = self._table.choose(tokens)
        reason: FinishReason
        try:
            self._prefill(slot, tokens, clock.n_reused)
            clock.mark("prefill")
            job.prefilled(clock, counts)
            reason = self._decode(job, slot, clock)
        except Aborted:
            reason = "cancelled"
            self._keep_evaluated(slot, tokens)
        except BaseException:
            self._forget(slot)
            raise
        clock.mark("decode")
        job.finish(reason, clock, counts)

    def _prefill(self, slot: Slot, tokens: list[int], n_reused: int) -> None:
        self._llama.truncate(slot.seq_id, n_reused)
        slot.tokens = tokens[:n_reused]
        step = self._llama.n_batch
        for start in range(n_reused, len(tokens), step):
            chunk = tokens[start : start + step]
            self._evaluate(slot, chunk)

    def _evaluate(self, slot: Slot, chunk: list[int]) -> None:
        self._llama.evaluate(chunk, len(slot.tokens), slot.seq_id)
        slot.tokens.extend(chunk)

    def _decode(self, job: Job, slot: Slot, clock: Clock) -> FinishReason:
        sampling = job.request.sampling
        watch = StopStrings(job.request.stop)
        utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        if sampling.max_tokens == 0:
            return "length"
        with self._llama.sampler(sampling) as pick:
            while True:
                token = pick()
                clock.first_token()
                if self._llama.is_stop(token):
                    job.send(watch.flush() + utf8.decode(b"", final=True))
                    return "stop"
                clock.n_generated += 1
                logprob = self._llama.logprob(token)
                text, stopped = watch.feed(utf8.decode(self._llama.piece(token)))
                job.send(text, (logprob,))
                if stopped:
                    return "stop"
                if clock.n_generated >= sampling.max_tokens:
                    job.send(watch.flush())
                    return "length"
                if job.cancelled:
                    return "cancelled"
                self._evaluate(slot, [token])

    def _keep_evaluated(self, slot: Slot, tokens: list[int]) -> None:
        n_evaluated = self._llama.evaluated_length(slot.seq_id)
        known = slot.tokens if len(slot.tokens) >= n_evaluated else tokens
        slot.tokens = known[:n_evaluated]
        self._llama.truncate(slot.seq_id, len(slot.tokens))

    def _forget(self, slot: Slot) -> None:
        self._llama.truncate(slot.seq_id, 0)
        slot.tokens = []
