"""Made-up walks: the suggestions in them were never made."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

from benchmarks.replay.match import compare, n_tokens_of
from benchmarks.replay.types import Opportunity, PauseKind, SuffixMode, Suggestion, Walk

TARGET = "value = compute(first, second)"
KINDS: tuple[PauseKind, ...] = ("line_start", "after_punctuation", "inside_identifier")


def opportunity(
    text: str = TARGET,
    *,
    target: str = TARGET,
    below: str = "",
    logprobs: tuple[float, ...] = (-0.5,),
    takes: bool = True,
    **changes: Any,
) -> Opportunity:
    """An opportunity at which a text was suggested ("" for nothing).

    Args:
        text: what is suggested.
        target: the developer's rest of the line.
        below: what the developer wrote after the line's end.
        logprobs: of the suggestion.
        takes: whether the replay takes what is right.
        changes: fields of the opportunity, or ``suggestion_`` and a field of the suggestion.
    """
    fields: dict[str, Any] = {
        "text": text,
        "reason": "" if text else "model_stopped",
        "raw": text,
        "logprobs": logprobs,
        "ttft_ms": 100.0,
        "display_ms": 200.0 if text else 0.0,
        "total_ms": 400.0,
        "n_prompt": 100,
    }
    prefix = "suggestion_"
    fields |= {k.removeprefix(prefix): v for k, v in changes.items() if k.startswith(prefix)}
    changes = {k: v for k, v in changes.items() if not k.startswith(prefix)}
    match = None
    if text:
        match = compare(text, before="    ", line_rest=target, block_rest=f"{target}\n{below}")
    own: dict[str, Any] = {
        "line": 0,
        "column": 4,
        "kind": "line_start",
        "in_comment": False,
        "target": target,
        "n_target_tokens": n_tokens_of(target),
        "suggestion": Suggestion(**fields),
        "match": match,
        "accepted": bool(takes and match and match.line),
        "before": "    ",
    }
    return Opportunity(**{**own, **changes})


def walk(
    opportunities: Sequence[Opportunity],
    *,
    file: str = "a.py",
    suffix: SuffixMode = "full",
    **changes: Any,
) -> Walk:
    """A walk whose run is the targets of its opportunities."""
    taken = sum(len(o.target) for o in opportunities if o.accepted)
    n_characters = sum(len(o.target) for o in opportunities)
    fields: dict[str, Any] = {
        "project": "invented 1.0",
        "cluster": f"invented|{file}",
        "path": file,
        "target": f"{file}:1-9",
        "suffix": suffix,
        "new_file": False,
        "n_characters": n_characters,
        "n_typed": n_characters - taken,
        "opportunities": tuple(opportunities),
    }
    return Walk(**{**fields, **changes})


def many_walks(
    n_files: int = 12, n_each: int = 15, *, seed: int = 5, suffix: SuffixMode = "full"
) -> list[Walk]:
    """Walks in which a suggestion is right the more often the higher its log-probs are."""
    chance = random.Random(seed)
    return [
        walk(
            [_some_opportunity(chance, line) for line in range(n_each)],
            file=f"file{number}.py",
            suffix=suffix,
            new_file=number % 4 == 0,
        )
        for number in range(n_files)
    ]


def _some_opportunity(chance: random.Random, line: int) -> Opportunity:
    sure = chance.random()
    text = TARGET if chance.random() < sure else "value = None"
    return opportunity(
        "" if chance.random() < 0.1 else text,
        logprobs=tuple(-(1.2 - sure) * chance.random() for _ in range(6)),
        line=line,
        kind=chance.choice(KINDS),
        suggestion_raw=text,
        suggestion_ttft_ms=chance.lognormvariate(5, 0.5),
        suggestion_n_reused=chance.choice([0, 90]),
    )
