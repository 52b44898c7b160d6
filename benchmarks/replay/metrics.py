"""Figures of replayed walks, each with an interval by cluster (project and file).

An opportunity is *shown* where it has a suggestion, and *accepted* where the suggestion matches
under a rule (see match.py); whether the replay went on with it does not matter. Targets without
a word in them are not counted.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec
import numpy as np

from benchmarks.figures import Figure
from benchmarks.replay.curve import Curve, curve
from benchmarks.replay.match import is_substantial, is_trivial
from benchmarks.replay.text import lines_of
from benchmarks.replay.types import Opportunity, Rule, SuffixMode, Suggestion, Walk
from benchmarks.resampling import Bools, Floats, Resamples

ScoreName = Literal["sum", "sum_all", "mean", "min", "first", "length"]
Case = tuple[Walk, Opportunity]

SCORES: Mapping[ScoreName, str] = {
    "sum": "sum of log-probs, first line",
    "sum_all": "sum of log-probs",
    "mean": "mean log-prob",
    "min": "least log-prob",
    "first": "log-prob of the first token",
    "length": "shortness",
}
_WORST = -1e9


class Sample(msgspec.Struct, frozen=True):
    """Walks as arrays: an element a counted opportunity, in order.

    Args:
        walks: what it was made of.
        cases: the opportunities.
        shown: whether there is a suggestion.
        resamples: of the opportunities' clusters.
        walk_resamples: the same resamples, for numbers of whole walks.
    """

    walks: tuple[Walk, ...]
    cases: tuple[Case, ...]
    shown: Bools
    resamples: Resamples
    walk_resamples: Resamples

    @property
    def n(self) -> int:
        """Number of opportunities."""
        return len(self.cases)

    def flags(self, test: Callable[[Opportunity], bool]) -> Bools:
        """A test of each opportunity."""
        return np.array([test(opportunity) for _, opportunity in self.cases], dtype=np.bool_)

    def values(self, number: Callable[[Opportunity], float]) -> Floats:
        """A number of each opportunity."""
        return np.array([number(opportunity) for _, opportunity in self.cases], dtype=np.float64)

    def walk_values(self, number: Callable[[Walk], float]) -> Floats:
        """A number of each walk."""
        return np.array([number(walk) for walk in self.walks], dtype=np.float64)

    def matches(self, rule: Rule = "A-line") -> Bools:
        """Where a suggestion matches."""
        return self.flags(lambda opportunity: matches(opportunity, rule))


def sample(walks: Sequence[Walk], *, seed: int = 0) -> Sample:
    """Walks as arrays."""
    cases = tuple(
        (walk, opportunity)
        for walk in walks
        for opportunity in walk.opportunities
        if not is_trivial(opportunity.target)
    )
    clusters = [walk.cluster for walk in walks]
    return Sample(
        tuple(walks),
        cases,
        np.array([bool(o.suggestion.text) for _, o in cases], dtype=np.bool_),
        Resamples([walk.cluster for walk, _ in cases], seed=seed, among=clusters),
        Resamples(clusters, seed=seed),
    )


def main_mode(walks: Sequence[Walk]) -> SuffixMode:
    """The suffix mode whose figures stand for a replay: ``full`` where it was replayed.

    The modes ask at the same places, so together they would count each line several times.
    """
    replayed = {walk.suffix for walk in walks}
    modes: tuple[SuffixMode, ...] = ("full", "function", "empty")
    return next((mode for mode in modes if mode in replayed), "full")


def matches(opportunity: Opportunity, rule: Rule = "A-line") -> bool:
    """Whether the suggestion of an opportunity is accepted under a rule."""
    match = opportunity.match
    if match is None or not opportunity.suggestion.text:
        return False
    return {"A-line": match.line, "A-block": match.block, "A-prefix": match.prefix}[rule]


def acceptance(data: Sample, rule: Rule = "A-line") -> Figure:
    """Accepted / shown."""
    return data.resamples.share(data.matches(rule), data.shown)


def hit_rate(data: Sample, rule: Rule = "A-line") -> Figure:
    """Accepted / opportunities: acceptance × coverage, where nothing shown is a miss."""
    return data.resamples.share(data.matches(rule), np.ones(data.n, dtype=np.bool_))


def substantial_acceptance(data: Sample, rule: Rule = "A-line") -> Figure:
    """Accepted / shown, of targets of at least 2 tokens and 8 characters."""
    which = data.shown & data.flags(lambda o: is_substantial(o.target, o.n_target_tokens))
    return data.resamples.share(data.matches(rule) & which, which)


def coverage(data: Sample) -> Figure:
    """Shown / opportunities."""
    return data.resamples.share(data.shown, np.ones(data.n, dtype=np.bool_))


def edit_similarity(data: Sample) -> Figure:
    """Mean edit similarity of what is shown with the developer's rest of the line."""
    values = data.values(lambda o: o.match.edit_similarity if o.match else 0.0)
    return data.resamples.mean(values, data.shown)


def acceptance_by(
    walks: Sequence[Walk],
    group: Callable[[Walk, Opportunity], str | None],
    *,
    rule: Rule = "A-line",
    seed: int = 0,
) -> dict[str, Figure]:
    """Accepted / shown in each group of opportunities; ``n`` is how many were shown.

    Args:
        walks: what was replayed.
        group: name of an opportunity's group; None leaves it out.
        rule: what counts as accepted.
        seed: of the resampling.
    """
    data = sample(walks, seed=seed)
    names = [group(walk, opportunity) for walk, opportunity in data.cases]
    accepted = data.matches(rule)
    figures = {}
    for name in sorted({name for name in names if name is not None}):
        which = data.shown & np.array([other == name for other in names], dtype=np.bool_)
        figures[name] = data.resamples.share(accepted & which, which)
    return figures


def paired_difference(
    ours: Sequence[Walk],
    theirs: Sequence[Walk],
    *,
    rule: Rule = "A-line",
    seed: int = 0,
) -> Figure:
    """Our hit rate − theirs on the opportunities that both had; above 0 is in our favour.

    Opportunities are the same where walk and position are. Both sides count every common one,
    so that a suggestion held back is a miss and no side gains by answering only what is easy.
    Clusters are drawn in pairs, which takes out how hard the files are.

    Args:
        ours: our walks, of a replay that takes no suggestion: else each side's accepts decide
            which opportunities it has.
        theirs: the peer's, of the same targets and suffix modes.
        rule: what counts as accepted.
        seed: of the resampling.

    Returns:
        The difference, -1 to 1; ``n`` is the number of common opportunities.
    """
    other = {_place(case): case for case in sample(theirs, seed=seed).cases}
    pairs = [
        (case, other[_place(case)])
        for case in sample(ours, seed=seed).cases
        if _place(case) in other
    ]
    resamples = Resamples([case[0].cluster for case, _ in pairs], seed=seed)
    gains = [int(matches(a[1], rule)) - int(matches(b[1], rule)) for a, b in pairs]
    if not gains:
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=0)
    return resamples.share(np.array(gains, dtype=np.float64), np.ones(len(gains)))


def rocc(data: Sample) -> Figure:
    """Ratio of completed code: characters that accepted suggestions typed / all characters.

    NaN where the replay took none of its accepted suggestions (it was told not to).
    """
    if not _takes(data):
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=data.n)
    n_characters = data.walk_values(lambda walk: walk.n_characters)
    n_typed = data.walk_values(lambda walk: walk.n_typed)
    return data.walk_resamples.share(n_characters - n_typed, n_characters)


def keystrokes_saved(data: Sample) -> Figure:
    """1 − (typed characters + one key an accept + one a dismissal) / all characters.

    NaN as in ``rocc``; below 0 where dismissals cost more than accepts save.
    """
    if not _takes(data):
        return Figure(value=math.nan, low=math.nan, high=math.nan, n=data.n)
    n_characters = data.walk_values(lambda walk: walk.n_characters)
    # Each one shown costs a key: to accept it or to dismiss it.
    n_keys = data.walk_values(
        lambda walk: walk.n_typed + sum(bool(o.suggestion.text) for o in walk.opportunities)
    )
    return data.walk_resamples.share(n_characters - n_keys, n_characters)


def score_of(suggestion: Suggestion, name: ScoreName = "sum") -> float:
    """A score of a suggestion, higher is surer.

    Which tokens are the first line's is taken from its share of the raw text's characters: the
    engine reports log-probabilities without the text of each token.

    Args:
        suggestion: with log-probabilities; without them every score but ``length`` is the worst.
        name: one of ``SCORES``.
    """
    if name == "length":
        return -float(len(suggestion.text))
    logprobs = suggestion.logprobs
    if not logprobs:
        return _WORST
    if name == "sum":
        return sum(logprobs[: _n_first_line_tokens(suggestion)])
    if name == "sum_all":
        return sum(logprobs)
    if name == "mean":
        return sum(logprobs) / len(logprobs)
    return min(logprobs) if name == "min" else logprobs[0]


def coverage_curve(data: Sample, name: ScoreName = "sum", *, rule: Rule = "A-line") -> Curve:
    """The coverage curve of a score, with RoCC beside each point.

    RoCC at a threshold is an approximation: suggestions below the threshold are taken as typed
    by hand, and the opportunities that this would have opened are not asked.
    """
    n_characters = data.walk_values(lambda walk: walk.n_characters)
    return curve(
        data.values(lambda o: score_of(o.suggestion, name)),
        data.matches(rule),
        data.shown,
        data.resamples,
        saved=data.values(_saved),
        n_characters=data.walk_resamples.totals(n_characters) if _takes(data) else None,
    )


def at_pause(data: Sample, pause_ms: float) -> tuple[Figure, Figure]:
    """Coverage and A-line acceptance if only what is displayed within a pause were shown."""
    in_time = data.shown & data.flags(lambda o: shown_after_ms(o.suggestion) <= pause_ms)
    everything = np.ones(data.n, dtype=np.bool_)
    return (
        data.resamples.share(in_time, everything),
        data.resamples.share(data.matches() & in_time, in_time),
    )


def shown_after_ms(suggestion: Suggestion) -> float:
    """When a suggestion could first be seen; those that come in one piece come at their end."""
    return suggestion.display_ms or suggestion.total_ms


def latency_percentiles(
    data: Sample,
    number: Callable[[Suggestion], float],
    shares: Sequence[float],
    which: Callable[[Suggestion], bool] = lambda suggestion: True,
) -> tuple[Figure, ...]:
    """Percentiles of a time in ms over the requests that have it (it is above 0).

    Args:
        data: the opportunities.
        number: the time.
        shares: 0 to 1 each.
        which: leaves requests out.
    """
    values = data.values(lambda o: number(o.suggestion))
    chosen = (values > 0) & data.flags(lambda o: which(o.suggestion))
    return data.resamples.percentiles(values, chosen, shares)


def _place(case: Case) -> tuple[str, int, int]:
    walk, opportunity = case
    return walk.key, opportunity.line, opportunity.column


def _takes(data: Sample) -> bool:
    """Whether the replay went on with what it accepted; true where there was nothing to take."""
    return any(o.accepted for _, o in data.cases) or not bool(data.matches().any())


def _saved(opportunity: Opportunity) -> float:
    """Characters that the replay took from a suggestion, without indentation and line ends."""
    match = opportunity.match
    if match is None or not opportunity.accepted:
        return 0.0
    n_line = len(opportunity.target.strip())
    if not match.block or match.n_accepted <= len(opportunity.target):
        return float(n_line)
    lines = [line for line in lines_of(opportunity.suggestion.text) if line.strip()]
    return float(n_line + sum(len(line.strip()) for line in lines[1:]))


def _n_first_line_tokens(suggestion: Suggestion) -> int:
    raw = suggestion.raw
    n_blank = len(raw) - len(raw.lstrip())
    end = raw.find("\n", n_blank)
    if end < 0:
        return len(suggestion.logprobs)
    return max(1, round(len(suggestion.logprobs) * (end + 1) / len(raw)))
