"""From comparisons of moved and evaluated text to their table and verdicts."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np

from benchmarks.engine.bench import Part
from benchmarks.engine.edits import EDITS
from benchmarks.figures import Figure
from benchmarks.resampling import Resamples
from benchmarks.summary import Cell, Column, Outcome, Table, Verdict, show

# Exact match may differ by one point.
GOAL = 0.01
_PERCENTILES = (0.5, 0.95)


class Moved(msgspec.Struct, frozen=True, kw_only=True, tag="moved"):
    """One hole, come to by edits with moved text, beside a full evaluation.

    Args:
        edit: kind of edit.
        place: of the hole.
        cluster: what intervals are drawn by.
        n_steps: prompts on the way, each made out of the one before; 0 where the prompt stayed as
            it was, which says nothing.
        n_prompt: tokens of the last one.
        n_evaluated: tokens evaluated on the way.
        n_moved: places by which text was moved since it was evaluated, added up.
        full_exact: whether the first line is the developer's after a full evaluation.
        moved_exact: the same with moved text.
        same_text: whether both first lines are equal.
        same_top: whether the likeliest first token is the same.
        kl: divergence of the first token's distribution, D(full || moved), in nats.
        line_nats: log-probability of the developer's line with moved text, less that after a full
            evaluation.
    """

    edit: str
    place: str
    cluster: str
    n_steps: int
    n_prompt: int
    n_evaluated: int
    n_moved: int
    full_exact: bool
    moved_exact: bool
    same_text: bool
    same_top: bool
    kl: float
    line_nats: float

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"moved|{self.edit}|{self.place}"


def report(records: Sequence[Moved]) -> Part:
    """Tables and verdicts.

    Args:
        records: of all edits.
    """
    rows = []
    verdicts = []
    sentence = ""
    for name in EDITS:
        chosen = [record for record in records if record.edit == name and record.n_steps]
        if not chosen:
            continue
        apart = difference(chosen)
        rows.append(_row(name, chosen, apart))
        verdicts.append(verdict(name, apart))
        if not sentence:
            sentence = (
                f"Exact match with moved text less that of a full evaluation ({name}): "
                f"{show(apart, 'percent')} (N = {len(chosen)})."
            )
    if not rows:
        return Part()
    return Part(sentence=sentence, tables=(_table(rows),), verdicts=tuple(verdicts))


def difference(records: Sequence[Moved]) -> Figure:
    """Share of exact first lines with moved text, less that after a full evaluation.

    Paired, drawn by file.
    """
    resamples = Resamples([record.cluster for record in records])
    apart = np.array([float(r.moved_exact) - float(r.full_exact) for r in records])
    return resamples.mean(apart, np.ones(len(records), dtype=np.bool_))


def verdict(name: str, apart: Figure) -> Verdict:
    """Ahead only where the whole interval is within the goal, behind where all is outside.

    Args:
        name: kind of edit.
        apart: difference of the shares.
    """
    outcome: Outcome = "level"
    words = "is not yet shown to be within"
    if math.isnan(apart.low):
        words = "has too few files to be judged by"
    elif apart.low >= -GOAL and apart.high <= GOAL:
        outcome, words = "ahead", "is within"
    elif apart.high < -GOAL:
        outcome, words = "behind", "is below"
    elif apart.low > GOAL:
        words = "is above"
    return Verdict(
        text=f"Exact match after {name}, moved less evaluated: {show(apart, 'percent')} {words} "
        f"the goal of ± 1 point (N = {apart.n:,}).",
        outcome=outcome,
    )


def _row(name: str, records: Sequence[Moved], apart: Figure) -> tuple[Cell, ...]:
    resamples = Resamples([record.cluster for record in records])
    every = np.ones(len(records), dtype=np.bool_)
    kl = np.array([record.kl for record in records])

    def share(values: list[bool]) -> Figure:
        return resamples.mean(np.array(values, dtype=np.float64), every)

    return (
        name,
        share([r.full_exact for r in records]),
        share([r.moved_exact for r in records]),
        apart,
        share([r.same_text for r in records]),
        share([r.same_top for r in records]),
        resamples.mean(np.array([record.line_nats for record in records]), every),
        resamples.mean(kl, every),
        *resamples.percentiles(kl, every, _PERCENTILES),
        sum(r.n_steps for r in records) / len(records),
        sum(r.n_evaluated for r in records) / sum(r.n_steps for r in records),
        len(records),
    )


def _table(rows: Sequence[tuple[Cell, ...]]) -> Table:
    return Table(
        title="Moved text against a full evaluation",
        columns=(
            Column("edit"),
            *(Column("exact, evaluated", "percent"), Column("exact, moved", "percent")),
            Column("difference", "percent"),
            *(Column("same first line", "percent"), Column("same first token", "percent")),
            Column("line, nats", "number"),
            *(Column("KL mean", "number"), Column("KL p50", "number"), Column("KL p95", "number")),
            *(Column("prompts", "rate"), Column("tokens a prompt", "rate")),
            Column("N", "count"),
        ),
        rows=tuple(rows),
        note="First line of a greedy generation at cursors inside lines of code newer than the "
        "models, in midfill's prompts, against what the developer wrote. Typing: the last 1 to 40 "
        "characters key by key, and on to the next hole of the line; deleting: up to 20 wrong "
        "ones; accepting: 2 to 6 lines and the line so far at once; editing: a line below or above "
        "was not there. Nothing is evaluated again on the way, as it would be in a pause. "
        "Line: log-probability of what the developer wrote to the end of the line, moved less "
        "evaluated. KL: D(evaluated || moved) of the first token, in nats. 95 % intervals, drawn "
        "by file.",
    )
