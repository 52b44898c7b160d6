"""A job at work: what of its prompt is still to be evaluated, and the text it has so far."""

from __future__ import annotations

import codecs
import functools
from collections import deque
from collections.abc import Sequence

import numpy as np

from lsp_server.engine.job import Clock, Job, StopStrings
from lsp_server.engine.llama.corpus import BORDER, Corpora, Reading
from lsp_server.engine.llama.detours import Detours
from lsp_server.engine.llama.healing import Healing
from lsp_server.engine.llama.model import Entry, LlamaModel
from lsp_server.engine.llama.ngrams import WEIGHT, Ngrams
from lsp_server.engine.llama.parts import Parts, parts_of
from lsp_server.engine.llama.reuse import GAP, Block, Plan
from lsp_server.engine.llama.sampler import NOTHING, Expected, mixed
from lsp_server.engine.llama.slots import Slot
from lsp_server.engine.llama.speculation import Lookup
from lsp_server.engine.llama.tokenizer import Encoded
from lsp_server.types import FinishReason

# Enough to find the place again.
_N_BEFORE = 16


class Task:
    """A job in its slot.

    Args:
        llama: the model.
        job: what was asked for.
        slot: where its prompt lies; taken until ``leave``.
        prompt: as tokens.
        plan: how the slot gets from what it holds to the prompt.
        clock: of the job.
        last_text: what was generated in the slot before; it may come again.
        corpora: what the n-gram model is made of; None for none.

    Attributes:
        next_token: sampled, and not evaluated yet.
        guess: tokens that may follow it; evaluated with it.
        first_entry: where in the batch they stand.
    """

    def __init__(
        self,
        llama: LlamaModel,
        job: Job,
        slot: Slot,
        prompt: Encoded,
        plan: Plan,
        clock: Clock,
        last_text: Sequence[int] = (),
        corpora: Corpora | None = None,
    ) -> None:
        self.job = job
        self.slot = slot
        self.clock = clock
        self.next_token: int | None = None
        self.guess: list[int] = []
        self.first_entry = 0
        self._last_text = last_text
        self._end_logprob: float | None = None
        self._lookup: Lookup | None = None
        self._corpora = corpora
        self._ngrams: Ngrams | None = None
        self._llama = llama
        self._tokens = prompt.tokens
        self._counts = prompt.counts
        self._healing = Healing(prompt.healed)
        words = llama.tokenizer
        self._detours = Detours(
            job.request.detours, lambda: words.vocabulary, lambda: words.stop_ids
        )
        self._holes = deque(plan.holes)
        self._parked: deque[Block] = deque(plan.blocks)
        sampling = job.request.sampling
        self._sampler = llama.sampler(sampling)
        self._watch = StopStrings(job.request.stop)
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._enter(plan)

    def _enter(self, plan: Plan) -> None:
        slot = self.slot
        slot.busy = True
        self._llama.park(slot.seq_id, slot.parking, plan.blocks, plan.n_kept)
        # What is not evaluated yet is a gap; a job that ends early leaves some.
        slot.tokens = self._tokens[: plan.n_kept] + [GAP] * (len(self._tokens) - plan.n_kept)
        slot.n_shared = min(slot.n_shared, plan.n_kept)
        slot.n_prompt = len(self._tokens)
        slot.moved(plan)
        self._unpark_up_to(self._holes[0][0])

    @property
    def n_left(self) -> int:
        """Tokens of the prompt that are still to be evaluated."""
        return sum(end - start for start, end in self._holes)

    def chunk(self, n_most: int) -> tuple[int, list[int], bool]:
        """The next tokens of the prompt: position, ids, and whether they end it.

        Args:
            n_most: at most so many.
        """
        start, end = self._holes[0]
        stop = min(end, start + n_most)
        return start, self._tokens[start:stop], stop == len(self._tokens)

    def evaluated(self, start: int, n_tokens: int) -> None:
        """So many tokens of the prompt were evaluated."""
        end = start + n_tokens
        self.slot.tokens[start:end] = self._tokens[start:end]
        hole_end = self._holes[0][1]
        if end < hole_end:
            self._holes[0] = (end, hole_end)
            return
        self._holes.popleft()
        if self._holes:
            self._unpark_up_to(self._holes[0][0])
        else:
            self.clock.mark("prefill")
            self.job.prefilled(self.clock, self._counts)

    def entries(self, n_guessed: int) -> list[Entry]:
        """What to evaluate next: the token that was sampled, and guesses at what follows it.

        Args:
            n_guessed: at most so many guesses.
        """
        assert self.next_token is not None
        self.guess = self._guess(n_guessed)
        start = len(self.slot.tokens)
        return [
            Entry(token, start + number, self.slot.seq_id, True)
            for number, token in enumerate((self.next_token, *self.guess))
        ]

    def settle(self) -> None:
        """The token that was sampled is evaluated."""
        assert self.next_token is not None
        self.slot.tokens.append(self.next_token)
        self.next_token = None

    def written(self) -> list[int]:
        """The text so far, and a few tokens of what stands before it."""
        before = self._parts.before
        return [*before[-_N_BEFORE:], *self.slot.tokens[len(self._tokens) :]]

    def _guess(self, n_guessed: int) -> list[int]:
        sampling = self.job.request.sampling
        n_guessed = min(n_guessed, sampling.max_tokens - self.clock.n_generated - 1)
        if n_guessed <= 0 or sampling.temperature > 0 or self._healing.wanted:
            return []
        before, behind = self._parts.before, self._parts.behind
        generated = [*self.slot.tokens[len(self._tokens) :], self.next_token or 0]
        if self._lookup is None:
            is_stop = self._llama.tokenizer.is_stop
            others = (behind, self._last_text)
            self._lookup = Lookup(before, others, lambda token: not is_stop(token))
        self._lookup.add(generated[self._lookup.n_tokens - len(before) :])
        return self._lookup.guess(n_guessed)

    @functools.cached_property
    def _parts(self) -> Parts:
        return parts_of(self.job.request.segments, self._tokens, self._counts)

    def _expected(self) -> Expected:
        """What the workspace's texts lead to expect, see Ngrams."""
        home = self.job.request.home
        if self._corpora is None or not home.corpus:
            return NOTHING
        if self._ngrams is None:
            parts = self._parts
            windows = (parts.window_before, parts.window_behind)
            readings = (
                Reading(np.array([*windows[0], BORDER, *windows[1]], dtype=np.int32)),
                self._corpora.of(home.corpus, home.path, *windows),
            )
            is_stop = self._llama.tokenizer.is_stop
            self._ngrams = Ngrams(parts.window_before, readings, lambda token: not is_stop(token))
        return self._ngrams.expected()

    def sample(self, index: int) -> FinishReason | None:
        """Pick the next token and send its text; a reason when that was the last.

        Args:
            index: of the entry in the batch behind which it stands.
        """
        sampling = self.job.request.sampling
        if sampling.max_tokens == 0:
            return "length"
        if wanted := self._healing.wanted:
            fitting = self._llama.tokenizer.vocabulary.fitting(wanted)
            if len(banned := self._detours.banned(wanted)):
                fitting = np.setdiff1d(fitting, banned)
            if not len(fitting):
                return "stop"
            expected = self._expected()
            pick = self._llama.best_among(fitting, index, expected)
            self._sampler.accept(pick.token)
        else:
            expected = self._expected()
            logits = mixed(self._llama.logits(index), expected)
            pick = self._sampler.pick(logits, self._detours.banned())
            if self._llama.tokenizer.is_stop(pick.token):
                self._end_logprob = pick.logprob
                self.job.send(self._watch.flush() + self._utf8.decode(b"", final=True))
                return "stop"
        if self._ngrams is not None:
            self._ngrams.feed(pick.token)
        self.clock.n_generated += 1
        beyond = self._healing.feed(self._llama.tokenizer.piece(pick.token))
        self._detours.feed(beyond)
        if beyond:
            self.clock.first_token()
        text, stopped = self._watch.feed(self._utf8.decode(beyond))
        if beyond:
            sure = (pick.logprob,), (pick.margin,), (pick.entropy,)
            self.job.send(text, *sure, *self._judged(pick.token, expected))
        else:
            self.job.send(text)
        if stopped:
            return "stop"
        if self.clock.n_generated >= sampling.max_tokens:
            self.job.send(self._watch.flush())
            return "length"
        self.next_token = pick.token
        return None

    def _judged(self, token: int, expected: Expected) -> tuple[tuple[float, ...], ...]:
        """What the n-gram model alone thinks of a token, and of the likeliest other one."""
        if self._ngrams is None:
            return (), ()
        others = (share for other, share in expected.items() if other != token)
        return (expected.get(token, 0.0) / WEIGHT,), (max(others, default=0.0) / WEIGHT,)

    def finish(self, reason: FinishReason) -> None:
        """Send the last chunk and leave the slot."""
        self.leave()
        self.clock.mark("decode")
        self.job.finish(reason, self.clock, self._counts, self._end_logprob)

    def leave(self) -> None:
        """Give the slot free. What is parked goes back, so that a later prompt finds it."""
        self._unpark_up_to(len(self._tokens))
        self._sampler.close()
        self.slot.busy = False

    def _unpark_up_to(self, position: int) -> None:
        slot = self.slot
        while self._parked and self._parked[0].target < position:
            block = self._parked.popleft()
            start, end = block.target, block.target + block.length
            self._llama.unpark(slot.seq_id, slot.parking, start, end)
            slot.tokens[start:end] = self._tokens[start:end]
