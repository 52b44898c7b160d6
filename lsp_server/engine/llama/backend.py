"""The llama.cpp back end: takes jobs in, lets them step on together, and uses the pauses."""

from __future__ import annotations

import logging
from collections.abc import Callable

from lsp_server.engine.backend import BackendInfo, refusing
from lsp_server.engine.job import Clock, Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.llama.adapters import NO_ADAPTERS
from lsp_server.engine.llama.cells import Cells
from lsp_server.engine.llama.corpus import Corpora
from lsp_server.engine.llama.gauge import OwnSpeed
from lsp_server.engine.llama.keeper import open_store
from lsp_server.engine.llama.model import LlamaModel
from lsp_server.engine.llama.refresh import refresh
from lsp_server.engine.llama.right_of_way import RightOfWay
from lsp_server.engine.llama.slots import SlotTable
from lsp_server.engine.llama.speculation import Speculation
from lsp_server.engine.llama.steps import Steps
from lsp_server.engine.llama.task import Task
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import SlotStatus
from lsp_server.engine.texts import Texts
from lsp_server.errors import EngineRefusedError

# Moved text is evaluated again when nobody asked for so long, if it moved so far.
_PAUSE_S = 0.4
_MIN_DRIFT = 8
# The model is measured when nobody asked for so long.
_GAUGE_PAUSE_S = 3.0

log = logging.getLogger("midfill.engine")


class LlamaBackend:
    """Runs jobs on llama.cpp, several at once, reusing the KV cache of earlier prompts.

    Args:
        options: see EngineOptions.
        on_progress: called with 0..1 while the model loads; returning False stops it.
        model_sha256: hash of the model file; without it no prompts are kept on disk.
    """

    def __init__(
        self,
        options: EngineOptions,
        on_progress: Callable[[float], bool],
        model_sha256: str = "",
    ) -> None:
        self._llama = LlamaModel(options, on_progress)
        self._table = SlotTable(options.n_slots, can_move=options.move_kv and self._llama.can_shift)
        store = open_store(options, self._llama, model_sha256)
        self._cells = Cells(self._llama, self._table, store)
        self._keeper = self._cells.keeper
        self._way = RightOfWay(self._llama)
        self._speculation = Speculation(options.speculation)
        self._steps = Steps(self._llama, self._cells, self._way, self._speculation)
        self._own_speed = OwnSpeed(options)
        self._corpora: Corpora | None = None

    def info(self) -> BackendInfo:
        """See Backend."""
        return BackendInfo(
            name="llama.cpp",
            n_ctx=self._llama.n_ctx,
            n_threads=self._llama.n_threads,
            n_gpu_layers=self._llama.n_gpu_layers,
            flash_attention=self._llama.flash_attention,
            placement=self._llama.status,
            notice=self._llama.notice,
            adapters=self._llama.adapters.names,
            slots=tuple(
                SlotStatus(seq_id=slot.seq_id, n_tokens=len(slot.tokens))
                for slot in self._table.slots
            ),
            resting=not self._steps.tasks and not self._way.for_nobody,
            speculation=self._speculation.describe(),
            n_guessed=self._speculation.n_guessed,
            n_guessed_right=self._speculation.n_right,
            n_stored_prompts=self._keeper.n_prompts,
            stored_bytes=self._keeper.n_bytes,
            n_unread_texts=self._corpora.n_unread if self._corpora else 0,
            repo_level={"repo_name", "file_sep"} <= set(self._llama.tokenizer.fim),
        )

    def read_from(self, texts: Texts) -> None:
        """See Backend."""
        self._corpora = Corpora(self._llama.tokenizer, texts)

    def interrupt(self, job: Job) -> None:
        """See Backend."""
        self._way.interrupt(job)

    def make_way(self, job: Job) -> None:
        """See Backend."""
        self._way.make_way(job)

    def halt(self) -> None:
        """See Backend."""
        self._way.halt()

    def close(self, *, keep_prompts: bool = True) -> None:
        """See Backend."""
        self._keeper.close(save=keep_prompts)
        self._llama.close()

    def serve(self, lanes: Lanes) -> None:
        """See Backend."""
        self._speculation.learn(self._own_speed.find())
        self._keeper.on_written = lanes.nudge
        while not lanes.closed:
            self._admit(lanes)
            if self._steps.tasks:
                self._steps.run()
                self._keeper.active()
            elif not self._use_pause(lanes):
                lanes.wait()
        for task in list(self._steps.tasks):
            self._steps.end(task, "cancelled")

    def _use_pause(self, lanes: Lanes) -> bool:
        """Do a piece of work that nobody waits for; False if there is none."""
        return (
            self._refresh(lanes)
            or self._keeper.warm_up(lanes)
            or (self._corpora is not None and self._corpora.read_some())
            or self._gauge(lanes)
            or self._keeper.save(lanes)
        )

    def _refresh(self, lanes: Lanes) -> bool:
        """Use a pause to evaluate moved text again; False if there is none, or no pause."""
        slot = self._table.drifted(_MIN_DRIFT)
        if slot is None:
            return False
        if lanes.wait(_PAUSE_S) or lanes.closed:
            return True
        try:
            with self._way.pause():
                self._llama.adapters.use(slot.adapters)
                refresh(self._llama, slot, lambda: not len(lanes) and not lanes.closed)
        except Exception:
            log.exception("moved text could not be evaluated again")
            self._cells.forget(slot)
        return True

    def _gauge(self, lanes: Lanes) -> bool:
        """Use a pause to measure the model; False if that is not needed, or there is none."""
        n_held = sum(len(slot.tokens) for slot in self._table.slots)
        if not self._own_speed.wanted(self._llama.n_ctx - n_held):
            return False
        if lanes.wait(_GAUGE_PAUSE_S) or lanes.closed:
            return True
        with self._way.pause():
            # Nobody is at work, so nothing is parked there.
            parking = self._table.slots[0].parking
            self._llama.adapters.use(NO_ADAPTERS)
            measured = self._own_speed.measure(
                self._llama, parking, lambda: not len(lanes) and not lanes.closed
            )
            self._speculation.learn(measured)
        return True

    # -- who is at work ------------------------------------------------------------------

    def _admit(self, lanes: Lanes) -> None:
        while True:
            if lanes.waits("interactive"):
                self._give_way()
            self._steps.end_cancelled()
            free = any(not slot.busy for slot in self._table.slots)
            if not free or (job := lanes.take()) is None:
                return
            job.running = True
            with refusing(job):
                if job.cancelled:
                    job.finish("cancelled", Clock(job))
                else:
                    self._steps.tasks.append(self._start(job))

    def _give_way(self) -> None:
        """Work for nobody in particular ends when somebody waits."""
        for task in self._steps.tasks:
            if task.job.request.lane != "interactive":
                task.job.cancel()

    def _start(self, job: Job) -> Task:
        clock = Clock(job)
        request = job.request
        in_use = {slot.adapters for slot in self._table.slots}
        adapters = self._llama.adapters.load(request.adapters, in_use)
        prompt = self._llama.tokenizer.encode(request.segments, request.heal_bytes)
        clock.n_prompt = len(prompt.tokens)
        self._check_size(len(prompt.tokens), request.sampling.max_tokens)
        slot, plan = self._cells.choose(prompt.tokens, adapters)
        self._cells.make_room(slot, len(prompt.tokens) + request.sampling.max_tokens)
        clock.n_reused = len(prompt.tokens) - plan.n_evaluated
        clock.mark("tokenize")
        last_text = self._speculation.last_text(slot.seq_id)
        if self._corpora is not None and request.whole_corpus:
            self._corpora.read_all(request.home.corpus)
        return Task(self._llama, job, slot, prompt, plan, clock, last_text, self._corpora)

    def _check_size(self, n_prompt: int, max_tokens: int) -> None:
        n_room = self._llama.n_ctx - max_tokens
        if not 0 < n_prompt <= n_room:
            raise EngineRefusedError(
                f"The prompt has {n_prompt} tokens; there is room for {n_room}.",
                code="prompt_too_long" if n_prompt else "prompt_empty",
                hint="Lower completion.n_prefix_tokens or raise engine.n_ctx.",
            )
