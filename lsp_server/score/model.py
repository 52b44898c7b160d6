"""P(accept): a logistic and boosted trees of the same features, evaluated in plain Python."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Sequence
from functools import lru_cache
from importlib import resources

import msgspec

from lsp_server.errors import StoreError
from lsp_server.score.features import NAMES, VERSION

FORMAT = 1
DATA_FILE = "model.json"
# What is further from the mean says no more.
MOST_DEVIATIONS = 4.0
_MOST_LOGIT = 30.0


class Provenance(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model comes from.

    Args:
        corpus: what was decided about.
        n: suggestions it was fitted to.
        n_accepted: of these.
        date: of the fit.
        model: id of the language model that wrote the suggestions.
        model_sha256: of that model's file.
        commit: of the code that made the suggestions.
    """

    corpus: str
    n: int
    n_accepted: int
    date: str
    model: str = ""
    model_sha256: str = ""
    commit: str = ""


class Node(msgspec.Struct, frozen=True, array_like=True):
    """A node of a tree.

    Args:
        feature: number of the feature that is asked for; -1 at a leaf.
        threshold: values up to it go left.
        left: number of the node there.
        right: number of the other node.
        missing_left: whether an unknown value goes left.
        value: of a leaf.
    """

    feature: int
    threshold: float = 0.0
    left: int = 0
    right: int = 0
    missing_left: bool = False
    value: float = 0.0


Tree = tuple[Node, ...]


class ScoreModel(msgspec.Struct, frozen=True, kw_only=True):
    """The probability that a suggestion is taken.

    The logits of the logistic and of the trees are mixed, then scaled and shifted so that
    probabilities are what is observed (Platt, 1999).

    Args:
        format: of the file.
        features: version of the features.
        names: of the features, in order.
        means: of each feature; an unknown one counts as its mean.
        scales: standard deviation of each; 0 where it never changed, and it is not used.
        weights: of the logistic, for features less their mean, divided by their scale.
        bias: of the logistic.
        trees: of the boosted trees; their leaves add up to a logit.
        trees_bias: what that begins with.
        trees_share: share of the trees in the logit, 0 to 1.
        slope: of the calibration.
        shift: of the calibration.
        quantiles: probabilities of the corpus' suggestions in ascending order, evenly spaced.
        provenance: where it comes from.
    """

    format: int = FORMAT
    features: int = VERSION
    names: tuple[str, ...] = NAMES
    means: tuple[float, ...]
    scales: tuple[float, ...]
    weights: tuple[float, ...]
    bias: float
    trees: tuple[Tree, ...] = ()
    trees_bias: float = 0.0
    trees_share: float = 0.0
    slope: float = 1.0
    shift: float = 0.0
    quantiles: tuple[float, ...] = ()
    provenance: Provenance

    def standard(self, values: Sequence[float]) -> list[float]:
        """Features less their mean, divided by their scale, and not too far out.

        Args:
            values: shape (n_features,).
        """
        return [
            max(-MOST_DEVIATIONS, min((value - mean) / scale, MOST_DEVIATIONS))
            if scale > 0 and value == value
            else 0.0
            for value, mean, scale in zip(values, self.means, self.scales, strict=True)
        ]

    def logit(self, values: Sequence[float]) -> float:
        """Log-odds that a suggestion is taken.

        Args:
            values: its features, shape (n_features,); NaN where one is not known.
        """
        linear = self.bias + sum(map(_times, self.weights, self.standard(values)))
        grown = self.trees_bias + sum(leaf_of(tree, values) for tree in self.trees)
        mixed = (1 - self.trees_share) * linear + self.trees_share * grown
        return self.slope * mixed + self.shift

    def probability(self, values: Sequence[float]) -> float:
        """Probability that a suggestion is taken; see ``logit``."""
        return sigmoid(self.logit(values))


def sigmoid(logit: float) -> float:
    """The probability of log-odds."""
    return 1.0 / (1.0 + math.exp(-max(-_MOST_LOGIT, min(logit, _MOST_LOGIT))))


def leaf_of(tree: Tree, values: Sequence[float]) -> float:
    """What a tree says.

    Args:
        tree: its nodes, the root first.
        values: the features.
    """
    node = tree[0]
    while node.feature >= 0:
        value = values[node.feature]
        goes_left = node.missing_left if value != value else value <= node.threshold
        node = tree[node.left if goes_left else node.right]
    return node.value


def decode(data: bytes, where: str) -> ScoreModel:
    """A model from its file.

    Raises:
        StoreError: it is damaged (``score_damaged``) or of another version (``score_version``).
    """
    try:
        model = msgspec.json.decode(data, type=ScoreModel)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise StoreError(
            f"The score's model {where} is damaged: {error}.",
            code="score_damaged",
            hint="Install midfill again.",
        ) from error
    if model.format != FORMAT or model.features != VERSION or model.names != NAMES:
        raise StoreError(
            f"The score's model {where} is of another version "
            f"(format {model.format}, features {model.features}).",
            code="score_version",
            hint="Install midfill again, or fit it: python -m benchmarks calibration --fit",
        )
    if problem := _problem(model):
        raise StoreError(
            f"The score's model {where} is damaged: {problem}.",
            code="score_damaged",
            hint="Install midfill again.",
        )
    return model


def encode(model: ScoreModel) -> bytes:
    """A model as its file."""
    return msgspec.json.format(msgspec.json.encode(model), indent=0) + b"\n"


@lru_cache(maxsize=1)
def shipped() -> ScoreModel:
    """The model that midfill comes with.

    Raises:
        StoreError: see ``decode``.
    """
    try:
        data = resources.files("lsp_server.score").joinpath(DATA_FILE).read_bytes()
    except OSError as error:
        raise StoreError(
            f"The score's model {DATA_FILE} cannot be read: {error.strerror}.",
            code="score_missing",
            hint="Install midfill again.",
        ) from error
    return decode(data, DATA_FILE)


def threshold(probabilities: Sequence[float], target: float) -> float:
    """The least probability that is shown, so that a share of the shown is taken.

    Args:
        probabilities: calibrated, of many suggestions.
        target: the share, 0 to 1.

    Returns:
        0 where everything may be shown; the target where so few are likely enough that it is not
        to be told by them.
    """
    best = sorted(probabilities, reverse=True)
    total, found = 0.0, math.inf
    for number, probability in enumerate(best, 1):
        total += probability
        if total >= target * number:
            found = probability
    if best and found <= best[-1]:
        return 0.0
    return min(found, target)


def coverage_above(probabilities: Sequence[float], least: float) -> float:
    """Share of suggestions whose probability is at least so much.

    Args:
        probabilities: in ascending order.
        least: the probability.
    """
    if not probabilities:
        return 1.0
    return 1 - bisect_left(probabilities, least) / len(probabilities)


def _times(one: float, other: float) -> float:
    return one * other


def _problem(model: ScoreModel) -> str:
    """What is wrong with a model; "" if nothing is."""
    n = len(model.names)
    if not len(model.means) == len(model.scales) == len(model.weights) == n:
        return f"it needs {n} means, scales and weights"
    numbers = (*model.means, *model.scales, *model.weights, model.bias, model.slope, model.shift)
    if not all(map(math.isfinite, numbers)):
        return "a number is not finite"
    for tree in model.trees:
        if not _is_sound(tree, n):
            return "a tree is broken"
    return ""


def _is_sound(tree: Tree, n_features: int) -> bool:
    # Children come after their parents: every walk ends.
    return bool(tree) and all(
        node.feature < n_features
        and (
            node.feature < 0 or (number < node.left < len(tree) and number < node.right < len(tree))
        )
        for number, node in enumerate(tree)
    )
