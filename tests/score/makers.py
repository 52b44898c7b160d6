"""Evidence, models and decisions made by hand."""

from __future__ import annotations

import random
from typing import Any

from lsp_server.score.evidence import Evidence, Token
from lsp_server.score.features import NAMES
from lsp_server.score.model import Provenance, ScoreModel, sigmoid
from lsp_server.score.own import Decision

SUM = NAMES.index("logprob_sum")
LENGTH = NAMES.index("log_chars")


def evidence(text: str = "compute(first)", *logprobs: float, **fields: Any) -> Evidence:
    """Evidence of a suggestion whose text is all that the model wrote, in tokens of like size."""
    known = logprobs or (-0.1, -0.5)
    raw = fields.pop("raw", text)
    size = len(raw) / len(known)
    tokens = tuple(
        Token(round(size * (number + 1)), logprob, 2.0, 0.3) for number, logprob in enumerate(known)
    )
    return Evidence(text=text, raw=raw, tokens=tokens, language="python", **fields)


def model(weights: dict[int, float] | None = None, **fields: Any) -> ScoreModel:
    """A logistic of a few features that have mean 0 and scale 1."""
    given = weights if weights is not None else {SUM: 1.0}
    defaults: dict[str, Any] = {
        "means": (0.0,) * len(NAMES),
        "scales": (1.0,) * len(NAMES),
        "weights": tuple(given.get(number, 0.0) for number in range(len(NAMES))),
        "bias": 0.0,
        "quantiles": tuple(number / 100 for number in range(101)),
        "provenance": Provenance(corpus="invented", n=100, n_accepted=40, date="2031-02-03"),
    }
    return ScoreModel(**{**defaults, **fields})


def decisions(
    n: int, *, slope: float = 1.0, shift: float = 0.0, length: float = 0.0, seed: int = 1
) -> list[Decision]:
    """Decisions of a user whose log-odds are those of ``model()``, changed."""
    chance = random.Random(seed)
    found = []
    for _ in range(n):
        values = [0.0] * len(NAMES)
        values[SUM], values[LENGTH] = chance.gauss(0, 1), chance.gauss(0, 1)
        logit = slope * values[SUM] + shift + length * values[LENGTH]
        found.append(Decision(tuple(values), chance.random() < sigmoid(logit)))
    return found
