"""Whether moved text in the KV cache serves as well as text that is evaluated in its place.

Holes of one line are come to one after another, as somebody types it: what was moved on the way to
one is moved further on the way to the next. Beside each stands a full evaluation of its prompt.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from benchmarks.corpus import fresh
from benchmarks.engine import quality_report
from benchmarks.engine.bench import Bench, Part, Setup, changed
from benchmarks.engine.cells import Logprobs, Strip, divergence, logprobs
from benchmarks.engine.edits import EDITS, States, key_by_key
from benchmarks.engine.holes import Hole, holes, prompt_at
from benchmarks.engine.quality_report import Moved

if TYPE_CHECKING:
    from lsp_server.engine.llama.model import LlamaModel
    from lsp_server.engine.llama.tokenizer import Encoded

_DEFAULT_LIMIT = 500
# Many holes that stand close together share most of their full evaluation.
_PER_TARGET = 12
_N_LINES = 3
# Two prompts, each with what is parked of it, and what is generated.
_N_PROMPTS = 4
_ROOM = 2048
# Every hole is typed at; at every fourth one, one of the other edits is made as well.
_EVERY = 4
_ALWAYS = "typing"
_OTHERS = tuple(name for name in EDITS if name != _ALWAYS)


def measure(bench: Bench) -> None:
    """Measure what is not measured yet."""
    setup = bench.setup
    projects = fresh.fresh_lines(setup.corpus, progress=bench.say)
    chosen = holes(
        projects,
        seed=setup.seed,
        limit=setup.limit or _DEFAULT_LIMIT,
        kinds=("after_punctuation", "inside_identifier"),
        per_target=_PER_TARGET,
        n_lines=_N_LINES,
        is_wanted=lambda hole: bool(EDITS[_ALWAYS](hole, random.Random(0))),
    )
    numbered = [*enumerate(chosen)]
    left = bench.left("quality", numbered, lambda one: f"moved|{_ALWAYS}|{one[1].place}")
    if not left:
        return
    llama = _load(setup)
    try:
        walk = _Walk(setup, llama)
        for number, hole in left:
            for record in walk.at(hole, _others_at(number)):
                bench.keep(record)
    finally:
        llama.close()


def _load(setup: Setup) -> LlamaModel:
    """The model with two strips, checked as the engine checks it."""
    from lsp_server.engine.llama.model import LlamaModel
    from lsp_server.models.gate import ensure_trusted

    ensure_trusted(Path(setup.options.model_path))
    n_tokens = setup.budget.n_prefix_tokens + setup.budget.n_suffix_tokens
    n_ctx = _N_PROMPTS * n_tokens + _ROOM
    options = changed(setup.options, n_slots=2, n_ctx=n_ctx)
    return LlamaModel(options, lambda _progress: True)


def _others_at(number: int) -> tuple[str, ...]:
    """How a hole is come to besides typing."""
    if number % _EVERY:
        return ()
    return (_OTHERS[number // _EVERY % len(_OTHERS)],)


class _Full(NamedTuple):
    """A hole's prompt, evaluated in full, and the log-probability of the developer's line."""

    prompt: Encoded
    logprobs: Logprobs
    text: str
    line_logprob: float


class _Walk:
    """From hole to hole with two prompts in the cache: one evaluated in full, one moved.

    Args:
        setup: of the benchmark.
        llama: with room for two prompts.
    """

    def __init__(self, setup: Setup, llama: LlamaModel) -> None:
        self._setup = setup
        self._llama = llama
        self._full, self._moved = Strip(llama, 0, 2), Strip(llama, 1, 3)
        self._last: Hole | None = None

    def at(self, hole: Hole, others: Sequence[str]) -> Iterator[Moved]:
        """Come to a hole by several kinds of edit; by typing at last, as which it is measured."""
        llama = self._llama
        (prompt,) = self._prompts([(hole.before, hole.after)])
        # What the prompt shares with the last hole's at its beginning was evaluated in this place.
        index = self._full.become(prompt.tokens, move=False)
        expected = logprobs(llama, index)
        text = self._full.first_line(index, prompt.healed)
        full = _Full(prompt, expected, text, _known(self._full, prompt, hole))
        for name in others:
            prompts = self._prompts(EDITS[name](hole, self._chance(hole, name)))
            if len(prompts) > 1:  # else there is no such edit here, or it is outside of the prompt
                self._begin(prompts[0])
                yield self._come_to(hole, name, prompts, full)
        prompts = [] if others else self._onward(hole)
        if len(prompts) < 2:
            prompts = self._prompts(EDITS[_ALWAYS](hole, self._chance(hole, _ALWAYS)))
            self._begin(prompts[0])
        self._last = hole
        yield self._come_to(hole, _ALWAYS, prompts, full)

    def _onward(self, hole: Hole) -> list[Encoded]:
        """Prompts on the way from the last hole; none where that is in another line."""
        if self._last is None or not hole.follows(self._last):
            return []
        return self._prompts(key_by_key(hole, len(hole.before) - len(self._last.before)))

    def _chance(self, hole: Hole, name: str) -> random.Random:
        return random.Random(f"{self._setup.seed}|{hole.place}|{name}")

    def _begin(self, prompt: Encoded) -> None:
        """Evaluate where the edits begin."""
        self._moved.begin_like(self._full, prompt.tokens)
        self._moved.become(prompt.tokens, move=False)

    def _come_to(self, hole: Hole, name: str, prompts: Sequence[Encoded], full: _Full) -> Moved:
        strip = self._moved
        strip.n_evaluated = 0
        # At least the last one, whose logits are needed.
        for prompt in prompts[1:] or prompts:
            index = strip.become(prompt.tokens, move=True)
        found = logprobs(self._llama, index)
        text = strip.first_line(index, prompt.healed)
        n_evaluated = strip.n_evaluated
        return Moved(
            edit=name,
            place=hole.place,
            cluster=hole.cluster,
            n_steps=len(prompts) - 1,
            n_prompt=len(prompt.tokens),
            n_evaluated=n_evaluated,
            n_moved=strip.n_moved,
            full_exact=hole.is_met_by(full.text),
            moved_exact=hole.is_met_by(text),
            same_text=text == full.text,
            same_top=int(np.argmax(full.logprobs)) == int(np.argmax(found)),
            kl=divergence(full.logprobs, found),
            line_nats=_known(strip, prompt, hole) - full.line_logprob,
        )

    def _prompts(self, states: States) -> list[Encoded]:
        """As the language server asks for them; one that stays as it was is not asked for again."""
        encoded = []
        for before, after in states:
            prompt = prompt_at(before, after, self._setup.budget)
            encoded.append(self._llama.tokenizer.encode(prompt.segments, prompt.heal_bytes))
        # The last one of equal prompts: the healed bytes of the end are then those of the hole.
        groups = itertools.groupby(encoded, key=lambda each: each.tokens)
        return [[*group][-1] for _, group in groups]


def _known(strip: Strip, prompt: Encoded, hole: Hole) -> float:
    """Log-probability of the developer's line behind a prompt that a strip holds."""
    # The last token alone is evaluated once more: its logits are those of a generation by now.
    index = strip.become(prompt.tokens, move=False)
    return strip.line_logprob(index, prompt.healed, hole.truth)


def report(bench: Bench) -> Part:
    """Tables and verdicts."""
    return quality_report.report(bench.of(Moved))
