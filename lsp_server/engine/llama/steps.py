"""One step of the engine: a batch with the next token of every job that streams, and prompts."""

from __future__ import annotations

import time

from lsp_server.engine.backend import refusing
from lsp_server.engine.llama.cells import Cells
from lsp_server.engine.llama.model import Aborted, ContextFull, Entry, LlamaModel
from lsp_server.engine.llama.right_of_way import RightOfWay
from lsp_server.engine.llama.speculation import Speculation
from lsp_server.engine.llama.task import Task
from lsp_server.engine.protocol import LANES
from lsp_server.errors import EngineRefusedError
from lsp_server.types import FinishReason

# How long a step may take while several jobs are at work: longer, and those that stream
# stutter; shorter, and prefill loses speed to small batches (on two cores 32 tokens at a time are
# evaluated at three quarters of the full speed).
_STEP_MS = 250.0
_MIN_CHUNK = 32
# Weight of the newest step in the measured speed.
_NEWEST = 0.3
# Guesses of all jobs leave the rest of a batch to prompts.
_GUESSED_SHARE = 0.25
# Requests with other adapters get their turn after so many steps: each change of adapters makes
# llama.cpp plan its graph anew.
_N_TURN_STEPS = 4


class Steps:
    """Takes tasks from their prompts to their last tokens.

    Args:
        llama: the model.
        cells: of its KV cache.
        way: told what is evaluated.
        speculation: how many tokens are guessed.

    Attributes:
        tasks: at work; who ends, leaves.
    """

    def __init__(
        self, llama: LlamaModel, cells: Cells, way: RightOfWay, speculation: Speculation
    ) -> None:
        self.tasks: list[Task] = []
        self._llama = llama
        self._cells = cells
        self._way = way
        self._speculation = speculation
        # The cells ran out for a batch with guesses.
        self._crowded = False
        self._prefill_tokens_per_ms = 0.0
        self._n_turn_steps = 0

    def end_cancelled(self) -> None:
        """Free the slots of cancelled jobs: the next ones go on with what is evaluated there."""
        for task in [task for task in self.tasks if task.job.cancelled]:
            self.end(task, "cancelled")

    def end(self, task: Task, reason: FinishReason) -> None:
        """Send the last chunk of a task, and free its slot."""
        self.tasks.remove(task)
        if task.clock.n_generated:
            self._speculation.remember(task.slot.seq_id, task.written())
        task.finish(reason)

    def run(self) -> None:
        """One batch: the next token of every job that streams, and a piece of a prompt."""
        self.end_cancelled()
        entries: list[Entry] = []
        tasks = self._of_one_set(self._most_urgent())
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

    def _most_urgent(self) -> list[Task]:
        """Tasks of the first lane at work: a batch for somebody who waits holds nothing else."""
        first = min((_lane(task) for task in self.tasks), default=0)
        return [task for task in self.tasks if _lane(task) == first]

    def _of_one_set(self, tasks: list[Task]) -> list[Task]:
        """Those with equal adapters, which are put on the model: a batch has one set of them."""
        sets = list(dict.fromkeys(task.slot.adapters for task in tasks))
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
        return [task for task in tasks if task.slot.adapters == chosen]

    def _chunks(self, entries: list[Entry], tasks: list[Task]) -> list[_Chunk]:
        """Fill the batch up with pieces of prompts: those first that need least.

        A batch for somebody who is about to get a first token holds nothing that is not small, too.
        """
        chunks: list[_Chunk] = []
        small_only = False
        room = self._room(len(entries))
        waiting = [task for task in tasks if task.next_token is None]
        for task in sorted(waiting, key=lambda task: task.n_left):
            if room <= 0 or (small_only and task.n_left > _MIN_CHUNK):
                break
            start, tokens, is_last = task.chunk(room)
            small_only = small_only or is_last or task.n_left <= _MIN_CHUNK
            chunks.append(_Chunk(task, start, len(tokens), is_last, len(entries)))
            entries += [
                Entry(token, start + i, task.slot.seq_id, is_last and i == len(tokens) - 1)
                for i, token in enumerate(tokens)
            ]
            room -= len(tokens)
        return chunks

    def _room(self, n_decoding: int) -> int:
        room = self._llama.n_ubatch - n_decoding
        if self._llama.shift_pending:
            # This batch cannot be stopped.
            room = min(room, _MIN_CHUNK)
        if len(self.tasks) > 1 and self._prefill_tokens_per_ms:
            room = min(room, max(_MIN_CHUNK, int(_STEP_MS * self._prefill_tokens_per_ms)))
        return room

    def _evaluate(self, entries: list[Entry], decoding: list[Task], chunks: list[_Chunk]) -> bool:
        """Whether the batch was evaluated; else what came of it is settled."""
        tasks = [chunk.task for chunk in chunks] or decoding
        with self._way.step([task.job for task in tasks], prefilling=bool(chunks)):
            # Cancelled before the flag could be raised for it.
            if any(task.job.cancelled for task in tasks):
                return False
            try:
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
                self._cells.keeper.prefilled(chunk.task.clock)

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
                self.end(task, reason)
        if outcome.failed:
            task.leave()
            self.tasks.remove(task)

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
        if self._cells.free_some(task.slot):
            return
        self.tasks.remove(task)
        task.leave()
        self._cells.forget(task.slot)
        task.job.refuse(
            EngineRefusedError(
                "The KV cache is full.", code="context_full", hint="Raise engine.n_ctx."
            )
        )

    def _fail(self, task: Task) -> None:
        """llama.cpp failed: nothing is known about the slot any more."""
        self.tasks.remove(task)
        task.leave()
        self._cells.forget(task.slot)
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


def _lane(task: Task) -> int:
    return LANES.index(task.job.request.lane)
