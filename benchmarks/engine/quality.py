"""Whether moved text in the KV cache serves as well as text that is evaluated in its place."""

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
from benchmarks.engine.edits import EDITS, States
from benchmarks.engine.holes import Hole, holes, prompt_at
from benchmarks.engine.quality_report import Moved

if TYPE_CHECKING:
    from lsp_server.engine.llama.model import LlamaModel
    from lsp_server.engine.llama.tokenizer import Encoded

_DEFAULT_LIMIT = 500
_PER_TARGET = 5
# Two prompts, each with what is parked of it, and what is generated.
_N_PROMPTS = 4
_ROOM = 2048
# Every hole is typed at; at every second one, one of the other edits is made as well.
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
        is_wanted=lambda hole: bool(EDITS[_ALWAYS](hole, random.Random(0))),
    )
    numbered = [*enumerate(chosen)]
    left = bench.left("quality", numbered, lambda one: f"moved|{_ALWAYS}|{one[1].place}")
    if not left:
        return
    llama = _load(setup)
    try:
        full, moved = Strip(llama, 0, 2), Strip(llama, 1, 3)
        for number, hole in left:
            for record in _hole(setup, llama, (full, moved), hole, _edits_at(number)):
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


def _edits_at(number: int) -> tuple[str, ...]:
    """How a hole is come to; the kind by which it counts as measured comes last."""
    if number % 2:
        return (_ALWAYS,)
    return (_OTHERS[number // 2 % len(_OTHERS)], _ALWAYS)


class _Full(NamedTuple):
    """A hole's prompt, evaluated in full."""

    prompt: Encoded
    logprobs: Logprobs
    text: str


def _hole(
    setup: Setup,
    llama: LlamaModel,
    strips: tuple[Strip, Strip],
    hole: Hole,
    edits: Sequence[str],
) -> Iterator[Moved]:
    """One hole, come to by several kinds of edit, beside one full evaluation of its prompt."""
    full, moved = strips
    (prompt,) = _prompts(setup, llama, [(hole.before, hole.after)])
    # What the prompt shares with the last hole's at its beginning was evaluated in this place.
    index = full.become(prompt.tokens, move=False)
    expected = logprobs(llama, index)
    evaluated = _Full(prompt, expected, full.first_line(index, prompt.healed))
    for name in edits:
        states = EDITS[name](hole, random.Random(f"{setup.seed}|{hole.place}|{name}"))
        prompts = _prompts(setup, llama, states)
        if len(prompts) < 2 and name != _ALWAYS:
            continue  # there is no such edit here, or it is outside of the prompt
        moved.begin_like(full, prompts[0].tokens)
        moved.become(prompts[0].tokens, move=False)
        moved.n_evaluated = 0
        yield _moved(llama, moved, hole, name, prompts, evaluated)


def _moved(
    llama: LlamaModel,
    strip: Strip,
    hole: Hole,
    name: str,
    prompts: Sequence[Encoded],
    evaluated: _Full,
) -> Moved:
    # At least the last one, whose logits are needed.
    for prompt in prompts[1:] or prompts:
        index = strip.become(prompt.tokens, move=True)
    found = logprobs(llama, index)
    text = strip.first_line(index, prompt.healed)
    return Moved(
        edit=name,
        place=hole.place,
        cluster=hole.cluster,
        n_steps=len(prompts) - 1,
        n_prompt=len(prompt.tokens),
        n_evaluated=strip.n_evaluated,
        n_moved=strip.n_moved,
        full_exact=hole.is_met_by(evaluated.text),
        moved_exact=hole.is_met_by(text),
        same_text=text == evaluated.text,
        same_top=int(np.argmax(evaluated.logprobs)) == int(np.argmax(found)),
        kl=divergence(evaluated.logprobs, found),
    )


def _prompts(setup: Setup, llama: LlamaModel, states: States) -> list[Encoded]:
    """As the language server asks for them; one that stays as it was is not asked for again."""
    encoded = []
    for before, after in states:
        prompt = prompt_at(before, after, setup.budget)
        encoded.append(llama.tokenizer.encode(prompt.segments, prompt.heal_bytes))
    # The last one of equal prompts, so that the healed bytes of the end are those of the hole.
    groups = itertools.groupby(encoded, key=lambda each: each.tokens)
    return [[*group][-1] for _, group in groups]


def report(bench: Bench) -> Part:
    """Tables and verdicts."""
    return quality_report.report(bench.of(Moved))
