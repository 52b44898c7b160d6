"""P(accept) as the server uses it: the shipped model, changed by what the user's decisions say."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from pathlib import Path

from lsp_server.errors import StoreError
from lsp_server.score import own as learned
from lsp_server.score.model import ScoreModel, shipped, sigmoid, threshold
from lsp_server.score.own import Own

log = logging.getLogger("midfill.score")


class Scorer:
    """Says how likely a suggestion is to be taken.

    Args:
        model: the shipped one; None says nothing of any suggestion.
        own: what was learned from the user's decisions.
    """

    def __init__(self, model: ScoreModel | None, own: Own | None = None) -> None:
        self.model = model
        self.own = own

    def probability(self, features: Sequence[float]) -> float | None:
        """P(accept) of a suggestion; None without a model.

        Args:
            features: of it, see features.py.
        """
        if self.model is None:
            return None
        if self.own is not None:
            return self.own.probability(self.model, features)
        return self.model.probability(features)

    def least(self, target: float) -> float:
        """The least probability that is shown, so that a share of the shown is taken.

        Args:
            target: the share; 0 shows everything.
        """
        if self.model is None or target <= 0:
            return 0.0
        quantiles: Sequence[float] = self.model.quantiles
        if self.own is not None:
            slope, shift = self.own.slope, self.own.shift
            quantiles = [sigmoid(slope * _logit(p) + shift) for p in quantiles]
        return threshold(quantiles, target)


def load(folder: Path | None = None, *, own: bool = True) -> Scorer:
    """The scorer of this user; never fails.

    Args:
        folder: where ``score.json`` lies; by default the state folder.
        own: whether what was learned from the user's decisions is used.
    """
    try:
        model = shipped()
    except StoreError as error:
        log.warning("no score: %s", error)
        return Scorer(None)
    return Scorer(model, learned.load(model, folder) if own else None)


def _logit(probability: float) -> float:
    bounded = min(max(probability, 1e-9), 1 - 1e-9)
    return math.log(bounded / (1 - bounded))
