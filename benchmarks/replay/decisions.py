"""Whether two runs made the same decisions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec

from benchmarks.replay.types import Opportunity, Walk

_MAX_SHOWN_CHARS = 60


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Decisions of two runs side by side.

    Args:
        n: opportunities of the walks that both runs made, each counted once.
        n_identical: of these, with the same suggestion, judgement and outcome in both.
        differences: one line for each of the others, in the order of the first run.
        n_walks_alone: walks that only one of the runs made: one had a higher limit.
    """

    n: int
    n_identical: int
    differences: tuple[str, ...]
    n_walks_alone: int = 0


def compare_decisions(first: Sequence[Walk], second: Sequence[Walk]) -> Comparison:
    """Compare two runs opportunity by opportunity; times do not count.

    Args:
        first: walks of one run.
        second: walks of the other.
    """
    keys, other_keys = {walk.key for walk in first}, {walk.key for walk in second}
    common = keys & other_keys
    ours, theirs = (
        _decisions([walk for walk in walks if walk.key in common]) for walks in (first, second)
    )
    differences = [
        f"{key}: {_words(ours.get(key))} | {_words(theirs.get(key))}"
        for key in (*ours, *(key for key in theirs if key not in ours))
        if _outcome(ours.get(key)) != _outcome(theirs.get(key))
    ]
    n = len(ours.keys() | theirs.keys())
    return Comparison(
        n=n,
        n_identical=n - len(differences),
        differences=tuple(differences),
        n_walks_alone=len(keys ^ other_keys),
    )


def _decisions(walks: Sequence[Walk]) -> dict[str, Opportunity]:
    return dict(_keyed(walks))


def _keyed(walks: Sequence[Walk]) -> Iterator[tuple[str, Opportunity]]:
    for walk in walks:
        for opportunity in walk.opportunities:
            place = f"{opportunity.line + 1}:{opportunity.column + 1}"
            yield f"{walk.project} {walk.path}:{place} ({walk.suffix})", opportunity


def _outcome(opportunity: Opportunity | None) -> object:
    if opportunity is None:
        return None
    said = opportunity.suggestion
    return said.text, said.reason, said.replace_after, opportunity.match, opportunity.accepted


def _words(opportunity: Opportunity | None) -> str:
    if opportunity is None:
        return "not asked"
    said = opportunity.suggestion
    text = repr(said.text[:_MAX_SHOWN_CHARS]) if said.text else said.reason
    return f"{text}, {'accepted' if opportunity.accepted else 'not accepted'}"
