"""The llama.cpp back end: several jobs at once, each step one batch."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from context.sequences import common_prefix_length
from lsp_server.engine.backend import BackendInfo, refusing
from lsp_server.engine.job import Clock, Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.llama.adapters import NO_ADAPTERS, AdapterSet
from lsp_server.engine.llama.gauge import OwnSpeed
from lsp_server.engine.llama.keeper import Keeper, open_store
from lsp_server.engine.llama.model import Aborted, ContextFull, Entry, LlamaModel
from lsp_server.engine.llama.refresh import refresh
from lsp_server.engine.llama.reuse import Plan
from lsp_server.engine.llama.slots import Slot, SlotTable
from lsp_server.engine.llama.speculation import Speculation
from lsp_server.engine.llama.task import Task
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import LANES, SlotStatus
from lsp_server.errors import EngineRefusedError
from lsp_server.types import FinishReason

# How long a step may take while several jobs are at work: longer, and those that stream
# stutter; shorter, and prefill loses speed to small batches.
_STEP_MS = 150.0
_MIN_CHUNK = 16
# Weight of the newest step in the measured speed.
_NEWEST = 0.3
_MIN_SHARED = 64
# Moved text is evaluated again when nobody asked for so long, if it moved so far.
_PAUSE_S = 0.4
_MIN_DRIFT = 8
# The model is measured when nobody asked for so long.
_GAUGE_PAUSE_S = 3.0
# Guesses of all jobs leave the rest of a batch to prompts.
_GUESSED_SHARE = 0.25
# Requests with other adapters get their turn after so many steps: each change of adapters makes
# llama.cpp plan its graph anew.
_N_TURN_STEPS = 4

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
        self._keeper = Keeper(self._llama, self._table, store, self._make_room)
        self._tasks: list[Task] = []
        self._guard = threading.Lock()
        # What the running step evaluates, and whether it is a piece of a prompt.
        self._at_work: tuple[Job, ...] = ()
        self._prefilling = False
        # Whether it works for nobody in particular.
        self._refreshing = False
        self._speculation = Speculation(options.speculation)
        self._own_speed = OwnSpeed(options)
        # The cells ran out for a batch with guesses.
        self._crowded = False
        self._prefill_tokens_per_ms = 0.0
        self._n_turn_steps = 0

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
            resting=not self._tasks and not self._refreshing,
            speculation=self._speculation.describe(),
            n_guessed=self._speculation.n_guessed,
            n_guessed_right=self._speculation.n_right,
            n_stored_prompts=self._keeper.n_prompts,
            stored_bytes=self._keeper.n_bytes,
        )

    def interrupt(self, job: Job) -> None:
        """See Backend.

        Only a step that does nothing but generate text for this job is stopped at once. A piece
        of a prompt is evaluated to its end: the next request of the same document needs it.
        """
        with self._guard:
            if self._at_work == (job,) and not self._prefilling:
                self._llama.abort()

    def halt(self) -> None:
        """See Backend."""
        with self._guard:
            self._llama.abort()

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
            if self._tasks:
                self._step()
                self._keeper.active()
            elif not self._use_pause(lanes):
                lanes.wait()
        for task in list(self._tasks):
            self._end(task, "cancelled")

    def make_way(self, job: Job) -> None:
        """See Backend. What is being evaluated goes on if the new job can use it."""
        with self._guard:
            if self._refreshing or (
                self._prefilling and not any(_shares(other, job) for other in self._at_work)
            ):
                self._llama.abort()

    def _use_pause(self, lanes: Lanes) -> bool:
        """Do a piece of work that nobody waits for; False if there is none."""
        return (
            self._refresh(lanes)
            or self._keeper.warm_up(lanes)
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
        with self._guard:
            self._llama.clear_abort()
            self._refreshing = True
        try:
            self._llama.adapters.use(slot.adapters)
            refresh(self._llama, slot, lambda: not len(lanes) and not lanes.closed)
        except Exception:
            log.exception("moved text could not be evaluated again")
            self._forget(slot)
        finally:
            with self._guard:
                self._refreshing = False
        return True

    def _gauge(self, lanes: Lanes) -> bool:
        """Use a pause to measure the model; False if that is not needed, or there is none."""
        n_held = sum(len(slot.tokens) for slot in self._table.slots)
        if not self._own_speed.wanted(self._llama.n_ctx - n_held):
            return False
        if lanes.wait(_GAUGE_PAUSE_S) or lanes.closed:
            return True
        with self._guard:
            self._llama.clear_abort()
            self._refreshing = True
        try:
            # Nobody is at work, so nothing is parked there.
            parking = self._table.slots[0].parking
            self._llama.adapters.use(NO_ADAPTERS)
            measured = self._own_speed.measure(
                self._llama, parking, lambda: not len(lanes) and not lanes.closed
            )
            self._speculation.learn(measured)
        finally:
            with self._guard:
                self._refreshing = False
        return True

    # -- who is at work ------------------------------------------------------------------

    def _admit(self, lanes: Lanes) -> None:
        if lanes.waits("interactive"):
            self._give_way()
        self._end_cancelled()
        while any(not slot.busy for slot in self._table.slots):
            if (job := lanes.take()) is None:
                return
            job.running = True
            with refusing(job):
                if job.cancelled:
                    job.finish("cancelled", Clock(job))
                else:
                    self._tasks.append(self._start(job))

    def _give_way(self) -> None:
        """Work for nobody in particular ends when somebody waits."""
        for task in self._tasks:
            if task.job.request.lane != "interactive":
                task.job.cancel()

    def _end_cancelled(self) -> None:
        """Free the slots of cancelled jobs: the next ones go on with what is evaluated there."""
        for task in [task for task in self._tasks if task.job.cancelled]:
            self._end(task, "cancelled")

    def _start(self, job: Job) -> Task:
        clock = Clock(job)
        request = job.request
        in_use = {slot.adapters for slot in self._table.slots}
        adapters = self._llama.adapters.load(request.adapters, in_use)
        prompt = self._llama.tokenizer.encode(request.segments, request.heal_bytes)
        clock.n_prompt = len(prompt.tokens)
        self._check_size(len(prompt.tokens), request.sampling.max_tokens)
        slot, plan = self._choose(prompt.tokens, adapters)
        self._make_room(slot, len(prompt.tokens) + request.sampling.max_tokens)
        clock.n_reused = len(prompt.tokens) - plan.n_evaluated
        clock.mark("tokenize")
        last_text = self._speculation.last_text(slot.seq_id)
        return Task(self._llama, job, slot, prompt, plan, clock, last_text)

    def _check_size(self, n_prompt: int, max_tokens: int) -> None:
        n_room = self._llama.n_ctx - max_tokens
        if not 0 < n_prompt <= n_room:
            raise EngineRefusedError(
                f"The prompt has {n_prompt} tokens; there is room for {n_room}.",
                code="prompt_too_long" if n_prompt else "prompt_empty",
                hint="Lower completion.n_prefix_tokens or raise engine.n_ctx.",
            )

    def _choose(self, tokens: list[int], adapters: AdapterSet) -> tuple[Slot, Plan]:
        chosen = self._table.choose(tokens, adapters)
        assert chosen is not None  # a slot is free: nobody else takes jobs
        slot, plan = chosen
        if 2 * (plan.n_kept + plan.n_moved) < len(slot.tokens):
            self._keeper.rescue(slot)
        if slot.adapters != adapters:
            self._forget(slot)
            slot.adapters = adapters
        found = self._table.donor(slot, tokens)
        if found is not None and found[1] >= plan.n_kept + _MIN_SHARED:
            self._share(found[0], slot, found[1])
            plan = self._table.plan(slot, tokens, adapters)
        return slot, self._keeper.restore(slot, plan, tokens) or plan

    def _share(self, donor: Slot, slot: Slot, n_shared: int) -> None:
        self._llama.share(donor.seq_id, slot.seq_id, n_shared)
        slot.tokens = donor.tokens[:n_shared]
        slot.n_shared = n_shared
        donor.n_shared = max(donor.n_shared, n_shared)

    def _make_room(self, slot: Slot, n_needed: int) -> bool:
        """Forget the prompts unused for longest until ``n_needed`` cells are free."""
        others = [other for other in self._table.slots if other is not slot]
        for other in [None, *self._table.idle_by_age(slot)]:
            if other is not None:
                self._keeper.rescue(other)
                self._forget(other)
            if sum(len(s.tokens) for s in others) + n_needed <= self._llama.n_ctx:
                return True
        return False

    def _forget(self, slot: Slot) -> None:
        self._llama.truncate(slot.seq_id, 0)
        self._llama.truncate(slot.parking, 0)
        slot.clear()

    # -- one step ------------------------------------------------------------------------

    def _step(self) -> None:
        """One batch: the next token of every job that streams, and a piece of a prompt."""
        self._end_cancelled()
        entries: list[Entry] = []
        tasks = self._of_one_set()
        decoding = [task for task in tasks if task.next_token is not None]
        n_guessed = self._n_guessed(len(decoding))
        for task in decoding:
            task.first_entry = len(entries)
            entries += task.entries(n_guessed)
        chunks = self._chunks(entries, tasks)
        if entries and self._evaluate(entries, decoding, chunks):
            self._advance(decoding, chunks)

    def _n_guessed(self, n_decoding: int) -> int:
        """How many tokens to guess for each job that streams."""
        if self._crowded or not n_decoding:
            self._crowded = False
            return 0
        n_room = int(_GUESSED_SHARE * self._llama.n_ubatch) // n_decoding - 1
        return max(0, min(self._speculation.n_most(n_decoding), n_room))

    def _of_one_set(self) -> list[Task]:
        """Tasks with equal adapters, which are put on the model: a batch has one set of them."""
        sets = list(dict.fromkeys(task.slot.adapters for task in self._tasks))
        if not sets:
            return []
        chosen = self._llama.adapters.in_force
        self._n_turn_steps += 1
        if chosen not in sets:
            chosen = sets[0]
        elif self._n_turn_steps > _N_TURN_STEPS:
            chosen = sets[(sets.index(chosen) + 1) % len(sets)]
        if chosen != self._llama.adapters.in_force:
            self._n_turn_steps = 1
            self._llama.adapters.use(chosen)
        return [task for task in self._tasks if task.slot.adapters == chosen]

    def _chunks(self, entries: list[Entry], tasks: list[Task]) -> list[_Chunk]:
        """Fill the batch up with pieces of prompts: those first that need least."""
        chunks: list[_Chunk] = []
        room = self._room(len(entries))
        waiting = [task for task in tasks if task.next_token is None]
        for task in sorted(waiting, key=_urgency):
            if room <= 0:
                break
            start, tokens, is_last = task.chunk(room)
            chunks.append(_Chunk(task, start, len(tokens), is_last, len(entries)))
            entries += [
                Entry(token, start + i, task.slot.seq_id, is_last and i == len(tokens) - 1)
                for i, token in enumerate(tokens)
            ]
            room -= len(tokens)
        return chunks

    def _room(self, n_decoding: int) -> int:
        room = self._llama.n_ubatch - n_decoding
        if len(self._tasks) > 1 and self._prefill_tokens_per_ms:
            room = min(room, max(_MIN_CHUNK, int(_STEP_MS * self._prefill_tokens_per_ms)))
        return room

    def _evaluate(self, entries: list[Entry], decoding: list[Task], chunks: list[_Chunk]) -> bool:
        """Whether the batch was evaluated; else what came of it is settled."""
        tasks = [chunk.task for chunk in chunks] or decoding
        with self._guard:
            self._llama.clear_abort()
            self._at_work = tuple(task.job for task in tasks)
            self._prefilling = bool(chunks)
        try:
            # Cancelled before the flag could be raised for it.
            if any(task.job.cancelled for task in tasks):
                return False
            started_s = time.monotonic()
            self._llama.decode(entries)
            self._learn_speed(len(entries), time.monotonic() - started_s)
            return True
        except Aborted:
            self._settle(decoding, chunks)
        except ContextFull:
            # First without what may be in vain.
            self._crowded = any(task.guess for task in decoding)
            if not self._crowded:
                self._find_cells(chunks[-1].task if chunks else decoding[-1])
        except Exception:
            for task in {*decoding, *(chunk.task for chunk in chunks)}:
                self._fail(task)
        finally:
            with self._guard:
                self._at_work = ()
                self._prefilling = False
        return False

    def _learn_speed(self, n_tokens: int, spent_s: float) -> None:
        if n_tokens >= _MIN_CHUNK:
            speed = n_tokens / max(1000 * spent_s, 1e-3)
            old = self._prefill_tokens_per_ms or speed
            self._prefill_tokens_per_ms = (1 - _NEWEST) * old + _NEWEST * speed

    def _advance(self, decoding: list[Task], chunks: list[_Chunk]) -> None:
        for task in decoding:
            self._take(task)
        for chunk in chunks:
            chunk.task.evaluated(chunk.start, chunk.n_tokens)
            if chunk.is_last:
                self._sample(chunk.task, chunk.first_entry + chunk.n_tokens - 1)
                self._keeper.prefilled(chunk.task.clock)

    def _take(self, task: Task) -> None:
        """Pick the token behind the evaluated one, and behind each guess that came out so."""
        n_right = 0
        task.settle()
        self._sample(task, task.first_entry)
        for guessed in task.guess:
            if task.next_token != guessed or task.job.cancelled:
                break
            n_right += 1
            task.settle()
            self._sample(task, task.first_entry + n_right)
        if task.guess:
            self._speculation.checked(len(task.guess), n_right)
            self._llama.truncate(task.slot.seq_id, len(task.slot.tokens))
            task.guess = []

    def _sample(self, task: Task, index: int) -> None:
        with refusing(task.job) as outcome:
            if reason := task.sample(index):
                self._end(task, reason)
        if outcome.failed:
            task.leave()
            self._tasks.remove(task)

    def _settle(self, decoding: list[Task], chunks: list[_Chunk]) -> None:
        """After an abort: whole physical batches are evaluated, the rest is not.

        A token whose logits are needed is evaluated again.
        """
        for task in decoding:
            self._llama.truncate(task.slot.seq_id, len(task.slot.tokens))
        for chunk in chunks:
            seq_id = chunk.task.slot.seq_id
            n_done = min(self._llama.evaluated_length(seq_id) - chunk.start, chunk.n_tokens)
            if chunk.is_last and n_done == chunk.n_tokens:
                n_done -= 1
                self._llama.truncate(seq_id, chunk.start + n_done)
            if n_done > 0:
                chunk.task.evaluated(chunk.start, n_done)

    def _find_cells(self, task: Task) -> None:
        idle = self._table.idle_by_age(task.slot)
        if idle:
            self._keeper.rescue(idle[0])
            self._forget(idle[0])
            return
        self._tasks.remove(task)
        task.leave()
        self._forget(task.slot)
        task.job.refuse(
            EngineRefusedError(
                "The KV cache is full.", code="context_full", hint="Raise engine.n_ctx."
            )
        )

    def _end(self, task: Task, reason: FinishReason) -> None:
        self._tasks.remove(task)
        if task.clock.n_generated:
            self._speculation.remember(task.slot.seq_id, task.written())
        task.finish(reason)

    def _fail(self, task: Task) -> None:
        """llama.cpp failed: nothing is known about the slot any more."""
        self._tasks.remove(task)
        task.leave()
        self._forget(task.slot)
        task.job.refuse(
            EngineRefusedError("The engine failed on this request.", code="decode_failed")
        )


class _Chunk:
    """A piece of a prompt in a batch."""

    __slots__ = ("first_entry", "is_last", "n_tokens", "start", "task")

    def __init__(
        self, task: Task, start: int, n_tokens: int, is_last: bool, first_entry: int
    ) -> None:
        self.task = task
        self.start = start
        self.n_tokens = n_tokens
        self.is_last = is_last
        self.first_entry = first_entry


def _shares(running: Job, waiting: Job) -> bool:
    """Whether most of the prefix that is being evaluated is the waiting job's as well."""
    if running.request.adapters != waiting.request.adapters:
        return False
    ours, theirs = _prefix(running), _prefix(waiting)
    n_shared = common_prefix_length(ours, theirs)
    return 2 * n_shared > len(ours)


def _prefix(job: Job) -> bytes:
    texts: list[str] = []
    for segment in job.request.segments:
        if segment.role == "fim_suffix":
            break
        texts.append(segment.text)
    return "".join(texts).encode("utf-8", "replace")


def _urgency(task: Task) -> tuple[int, int]:
    return LANES.index(task.job.request.lane), task.n_left
