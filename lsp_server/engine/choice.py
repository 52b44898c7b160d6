"""Which model ``model.id = "auto"`` takes: the largest that is fast enough on this machine.

A larger model gives better suggestions, and one that comes late is not seen. So each fetched
model's time to a first line is measured, and held against a budget.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from lsp_server.engine.speeds import Speed
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.store import InstalledModel

# Models under others are not recommended unasked.
_FREE_LICENCES = ("Apache-2.0",)


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """How a model stands against the budget.

    Args:
        model: which.
        speed: what was measured; None if nothing was yet.
        budget_ms: time to a first line that is still fast enough.
    """

    model: InstalledModel
    speed: Speed | None
    budget_ms: float

    @property
    def fits(self) -> bool:
        """Whether it was measured and is fast enough."""
        return self.speed is not None and self.speed.first_line_ms <= self.budget_ms

    @property
    def open(self) -> bool:
        """Whether measuring it (again) may make it fast enough."""
        return self.speed is None or not (self.fits or self.speed.settled)

    def __str__(self) -> str:
        if self.speed is None:
            return "not measured yet"
        sign = "≤" if self.fits else ">"
        return f"{self.speed.first_line_ms:,.0f} ms {sign} {self.budget_ms:,.0f} ms budget"


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """What auto takes.

    Args:
        model: the model.
        reason: why, for the user.
        verdicts: on every model that could have been taken, the largest first.
    """

    model: InstalledModel
    reason: str
    verdicts: tuple[Verdict, ...]

    @property
    def unmeasured(self) -> tuple[InstalledModel, ...]:
        """Larger models that would be taken if they turned out to be fast enough."""
        larger = []
        for verdict in self.verdicts:
            if verdict.model == self.model:
                break
            if verdict.open:
                larger.append(verdict.model)
        return tuple(larger)


class Guess(msgspec.Struct, frozen=True, kw_only=True):
    """A model that is not fetched, and would probably be fast enough.

    Args:
        model_id: of the catalog.
        size_bytes: of its file.
        first_line_ms: time to a first line as it is to be expected.
    """

    model_id: str
    size_bytes: int
    first_line_ms: float

    def __str__(self) -> str:
        return (
            f"{self.model_id} gives better suggestions and would probably take "
            f"{self.first_line_ms:,.0f} ms here: midfill model fetch {self.model_id}"
        )


def worth_fetching(
    verdict: Verdict, entries: Sequence[ModelEntry], *, memory_bytes: int
) -> Guess | None:
    """The largest model that is not fetched and would probably be fast enough here.

    Every token reads all weights: times are taken to go as the sizes of the files.

    Args:
        verdict: on the model that is used.
        entries: models to choose from.
        memory_bytes: that the weights may take.
    """
    speed, used = verdict.speed, verdict.model
    if speed is None or used.entry is None:
        return None
    larger = [
        Guess(model_id=entry.id, size_bytes=entry.size_bytes, first_line_ms=first_line_ms)
        for entry in entries
        if entry.n_params > used.entry.n_params
        and entry.licence in _FREE_LICENCES
        and entry.size_bytes <= memory_bytes
        and (first_line_ms := speed.first_line_ms * entry.size_bytes / used.size_bytes)
        <= verdict.budget_ms
    ]
    return max(larger, key=lambda guess: guess.size_bytes, default=None)


def choose(verdicts: Sequence[Verdict], default: InstalledModel) -> Choice:
    """The largest fetched model that is fast enough.

    The machine's default counts as fast enough until it is measured; others do not. If nothing
    fits, the fastest is taken. Files of the user's own are taken only when there is no model of
    the catalog: nothing is known about how good they are.

    Args:
        verdicts: on every fetched model, not empty.
        default: what to take while nothing is known.
    """
    if len(verdicts) == 1:
        reason = f"the only one fetched; {verdicts[0]}"
        return Choice(model=verdicts[0].model, reason=reason, verdicts=tuple(verdicts))
    known = [verdict for verdict in verdicts if verdict.model.entry is not None] or verdicts
    largest_first = tuple(sorted(known, key=lambda v: v.model.size_bytes, reverse=True))
    for verdict in largest_first:
        if verdict.fits:
            reason = f"the largest that is fast enough here: {verdict}"
            return Choice(model=verdict.model, reason=reason, verdicts=largest_first)
        if verdict.speed is None and verdict.model == default:
            break
    else:
        timed = [(v.speed.first_line_ms, v) for v in largest_first if v.speed is not None]
        if timed:
            fastest = min(timed, key=lambda pair: pair[0])[1]
            reason = f"the fastest, though none is fast enough here: {fastest}"
            return Choice(model=fastest.model, reason=reason, verdicts=largest_first)
    reason = "the default for this machine; not measured yet"
    return Choice(model=default, reason=reason, verdicts=largest_first)
