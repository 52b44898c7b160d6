"""A prompt in the KV cache, made by moving text or by evaluating it, without a scheduler.

The engine's own plan, cache operations and samplers; what is left out is who is served when, and
that moved text is evaluated again in pauses.
"""

from __future__ import annotations

import codecs
from collections import deque
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from context.sequences import common_prefix_length
from lsp_server.engine.llama.healing import Healing
from lsp_server.engine.llama.reuse import plan_reuse
from lsp_server.types import SamplingParams

if TYPE_CHECKING:
    from lsp_server.engine.llama.model import LlamaModel

Logprobs = NDArray[np.float64]
_MAX_TOKENS = 48


class Strip:
    """A sequence of the KV cache that holds one prompt.

    Args:
        llama: the model.
        seq_id: of the sequence.
        parking: of another one, where text waits while what stands before it is evaluated.

    Attributes:
        tokens: of the prompt, all evaluated.
        n_evaluated: tokens that were evaluated so far.
        n_moved: how many places text was moved by, added up.
    """

    def __init__(self, llama: LlamaModel, seq_id: int, parking: int) -> None:
        self.tokens: list[int] = []
        self.n_evaluated = 0
        self.n_moved = 0
        self._llama = llama
        self._seq_id = seq_id
        self._parking = parking
        # So many leading cells belong to another sequence too and must not be moved.
        self._n_shared = 0

    def begin_like(self, other: Strip, tokens: Sequence[int]) -> None:
        """Hold what another strip and a prompt have in common at their beginning, nothing else."""
        n_shared = min(common_prefix_length(other.tokens, tokens), len(tokens) - 1)
        self._llama.truncate(self._seq_id, 0)
        self._llama.share(other._seq_id, self._seq_id, n_shared)
        self.tokens = other.tokens[:n_shared]
        self._n_shared = n_shared
        self.n_evaluated = self.n_moved = 0

    def become(self, tokens: Sequence[int], *, move: bool) -> int:
        """Hold another prompt.

        Args:
            tokens: shape (n,), not empty.
            move: whether text that stands elsewhere in it is moved; else all behind the common
                beginning is evaluated.

        Returns:
            Place in the last batch of the prompt's last token, for ``logprobs`` and samplers.
        """
        llama = self._llama
        plan = plan_reuse(self.tokens, tokens, move=move, first_source=self._n_shared)
        llama.park(self._seq_id, self._parking, plan.blocks, plan.n_kept)
        self._n_shared = min(self._n_shared, plan.n_kept)
        waiting = deque(plan.blocks)
        index = 0
        for start, end in plan.holes:
            while waiting and waiting[0].target < start:
                block = waiting.popleft()
                ends = (block.target, block.target + block.length)
                llama.unpark(self._seq_id, self._parking, *ends)
            index = self._evaluate(tokens, start, end)
        self.tokens = list(tokens)
        self.n_evaluated += plan.n_evaluated
        self.n_moved += max((abs(block.shift) for block in plan.blocks), default=0)
        return index

    def _evaluate(self, tokens: Sequence[int], start: int, end: int, first_logits: int = -1) -> int:
        from lsp_server.engine.llama.model import Entry

        n_most = self._llama.n_ubatch
        first_logits = first_logits if first_logits >= 0 else len(tokens) - 1
        for first in range(start, end, n_most):
            piece = range(first, min(first + n_most, end))
            self._llama.decode(
                [Entry(tokens[at], at, self._seq_id, at >= first_logits) for at in piece]
            )
        return len(piece) - 1

    def first_line(self, index: int, healed: bytes) -> str:
        """What the model writes up to the end of the line; the prompt stays as it is.

        Args:
            index: as ``become`` gave it.
            healed: bytes that were taken off the prompt, which the text begins with and which are
                left out of it.
        """
        n_prompt = len(self.tokens)
        sampler = self._llama.sampler(SamplingParams(max_tokens=_MAX_TOKENS))
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        healing = Healing(healed)
        text = ""
        try:
            for _ in range(_MAX_TOKENS):
                token = self._next(sampler, healing, index)
                if token is None:
                    break
                text += decoder.decode(healing.feed(self._llama.tokenizer.piece(token)))
                if "\n" in text:
                    break
                self.tokens.append(token)
                index = self._evaluate(self.tokens, len(self.tokens) - 1, len(self.tokens))
        finally:
            sampler.close()
            self._llama.truncate(self._seq_id, n_prompt)
            del self.tokens[n_prompt:]
        return text.split("\n", 1)[0]

    def line_logprob(self, index: int, healed: bytes, line: str) -> float:
        """Natural-log probability that the model gives to a line; the prompt stays as it is.

        Args:
            index: as ``become`` gave it.
            healed: bytes that were taken off the prompt, which the line goes on from.
            line: without its end, which counts as well; cut off where it fills a batch.
        """
        n_prompt = len(self.tokens)
        text = healed.decode("utf-8", "replace") + line + "\n"
        wanted = self._llama.tokenizer.tokenize(text)[: self._llama.n_ubatch]
        total = float(logprobs(self._llama, index)[wanted[0]])
        try:
            self.tokens.extend(wanted[:-1])
            self._evaluate(self.tokens, n_prompt, len(self.tokens), first_logits=n_prompt)
            for place, token in enumerate(wanted[1:]):
                total += float(logprobs(self._llama, place)[token])
        finally:
            self._llama.truncate(self._seq_id, n_prompt)
            del self.tokens[n_prompt:]
        return total

    def _next(self, sampler: Any, healing: Healing, index: int) -> int | None:
        tokenizer = self._llama.tokenizer
        if healing.wanted:
            fitting = tokenizer.vocabulary.fitting(healing.wanted)
            return self._llama.best_among(fitting, index)[0] if len(fitting) else None
        token = int(sampler.pick(self._llama.logits(index)).token)
        return None if tokenizer.is_stop(token) else token


def logprobs(llama: LlamaModel, index: int) -> Logprobs:
    """Natural-log probabilities of all tokens behind an entry of the last batch.

    Args:
        llama: the model.
        index: of the entry.

    Returns:
        Shape (n_vocab,).
    """
    # A copy: the next evaluation writes over the model's own.
    logits = np.array(llama.logits(index), dtype=np.float64)
    logits -= logits.max()
    return np.asarray(logits - np.log(np.exp(logits).sum()))


def divergence(p: Logprobs, q: Logprobs) -> float:
    """Kullback-Leibler divergence D(p || q) in nats.

    Args:
        p: natural-log probabilities, shape (n,).
        q: the same.
    """
    return max(0.0, float(np.sum(np.exp(p) * (p - q))))
