"""The table of prompts: which one leads to the most lines that are right."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec

from benchmarks.figures import Figure
from benchmarks.replay import metrics
from benchmarks.replay.types import Walk
from benchmarks.summary import Cell, Column, Plot, RunInfo, Series, Summary, Table, Verdict, show
from benchmarks.verdicts import outcome

OURS = "midfill"
_NOTES = (
    "Every prompt is asked at the same positions, which do not depend on the answers: no "
    "suggestion is taken, and one pause of each line is drawn by chance.",
    "All prompts go to the same engine with the same model, greedily, with the same longest "
    "suggestion, and what comes back is cut by midfill's filters, so that rows differ in the "
    "prompt alone. Generation ends with the first line, which is what is judged. Waiting times "
    "play no part.",
    "The peers' prompts are rebuilt from their sources and documentation, with the peer favoured "
    "where it was in doubt; each module of benchmarks/peers states its numbers and where it must "
    "differ. Which files were looked at before is made up, in their favour: those that the open "
    "file imports come first.",
    "Intervals are 95 % bootstrap intervals over files. Evaluated tokens are those of a prompt "
    "that were not found in the KV cache.",
)


class PeerWalk(msgspec.Struct, frozen=True, kw_only=True):
    """One target typed again with one prompt; one line of the results file."""

    strategy: str
    walk: Walk

    @property
    def key(self) -> str:
        """Unique in its run."""
        return peer_key(self.strategy, self.walk.key)


def peer_key(strategy: str, walk_key: str) -> str:
    """The key that a strategy's walk of a target has."""
    return f"{strategy}|{walk_key}"


def balanced(records: Sequence[PeerWalk], strategies: Sequence[str]) -> dict[str, list[Walk]]:
    """Walks by strategy, of the targets that all strategies have walked."""
    by_strategy: dict[str, dict[str, Walk]] = {name: {} for name in strategies}
    for record in records:
        if record.strategy in by_strategy:
            by_strategy[record.strategy][record.walk.key] = record.walk
    common = set.intersection(*(set(walks) for walks in by_strategy.values()))
    return {
        name: [walk for key, walk in sorted(walks.items()) if key in common]
        for name, walks in by_strategy.items()
    }


def findings(
    records: Sequence[PeerWalk],
    strategies: Sequence[str],
    info: RunInfo,
    *,
    ours: str = OURS,
    title: str = "Prompts of midfill and its peers on the same model",
) -> Summary:
    """The findings of a run.

    Args:
        records: what was measured; targets that not all strategies walked are left out.
        strategies: their names.
        info: what the run was made with.
        ours: the strategy that the others are held against.
        title: of the summary.
    """
    seed = int(info.options.get("seed") or 0)  # type: ignore[arg-type]
    walks = balanced(records, strategies)
    samples = {name: metrics.sample(found, seed=seed) for name, found in walks.items()}
    hits = {name: metrics.hit_rate(data) for name, data in samples.items()}
    differences = {
        name: metrics.paired_difference(walks[ours], found, seed=seed)
        for name, found in walks.items()
        if name != ours and ours in walks
    }
    ordered = sorted(strategies, key=lambda name: (-hits[name].value, name))
    n = samples[ordered[0]].n
    return Summary(
        title=title,
        headline=_headline(hits, ordered, n, ours),
        run=info,
        n=n,
        tables=(_table(samples, hits, differences, ordered, ours),),
        plots=(_plot(hits, ordered),),
        verdicts=tuple(
            _verdict(ours, name, hits, differences[name]) for name in ordered if name in differences
        ),
        notes=_NOTES if ours == OURS else _NOTES[:2] + _NOTES[3:],
    )


def _headline(hits: Mapping[str, Figure], ordered: Sequence[str], n: int, ours: str) -> str:
    best = ordered[0]
    first = [name for name in ordered if hits[name].value == hits[best].value]
    if len(first) > 1:
        text = f"No prompt leads alone: {', '.join(first)} have {show(hits[best], 'percent')} each"
        return f"{text} (A-line of all {n:,} opportunities)."
    text = f"The most lines right come from the prompt of {best}: {show(hits[best], 'percent')}"
    if best != ours and ours in hits:
        whose = "midfill's own" if ours == OURS else f"that of {ours}"
        text += f", {whose} {show(hits[ours], 'percent')}"
    elif len(ordered) > 1:
        text += f", next {ordered[1]} {show(hits[ordered[1]], 'percent')}"
    return f"{text} (A-line of all {n:,} opportunities)."


def _table(
    samples: Mapping[str, metrics.Sample],
    hits: Mapping[str, Figure],
    differences: Mapping[str, Figure],
    ordered: Sequence[str],
    ours: str,
) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for name in ordered:
        data = samples[name]
        starts = data.flags(lambda o: o.kind == "line_start")
        asked = data.flags(lambda o: o.suggestion.n_prompt > 0)
        n_prompt = data.values(lambda o: float(o.suggestion.n_prompt))
        n_evaluated = data.values(lambda o: float(o.suggestion.n_prompt - o.suggestion.n_reused))
        rows.append(
            (
                name,
                data.n,
                hits[name],
                data.resamples.share(data.matches() & starts, starts),
                data.resamples.share(data.matches() & ~starts, ~starts),
                metrics.coverage(data).value,
                metrics.edit_similarity(data),
                data.resamples.mean(n_prompt, asked).value,
                data.resamples.mean(n_evaluated, asked).value,
                differences.get(name),
            )
        )
    return Table(
        title="Prompts by lines that are right",
        columns=(
            Column("prompt"),
            Column("N", "count"),
            Column("A-line of all", "percent"),
            Column("at line start", "percent"),
            Column("mid-line", "percent"),
            Column("coverage", "percent"),
            Column("ES", "percent"),
            Column("prompt tokens", "count"),
            Column("evaluated", "count"),
            Column(f"{ours} − it", "percent"),
        ),
        rows=tuple(rows),
        note="A-line of all: the first line is what the developer wrote, of all opportunities; "
        f"nothing suggested is a miss. ES is of what was suggested. {ours} − it: paired "
        f"difference of A-line in percentage points, above 0 in favour of {ours}.",
    )


def _plot(hits: Mapping[str, Figure], ordered: Sequence[str]) -> Plot:
    return Plot(
        title="Lines that are right, by prompt",
        kind="bar",
        x_label="prompt",
        y_label="A-line of all",
        y_unit="percent",
        labels=tuple(ordered),
        series=(
            Series(
                name="A-line of all",
                x=tuple(float(place) for place in range(len(ordered))),
                y=tuple(hits[name].value for name in ordered),
                low=tuple(hits[name].low for name in ordered),
                high=tuple(hits[name].high for name in ordered),
            ),
        ),
        note="With 95 % intervals; the differences in the table are paired and so more certain.",
    )


def _verdict(ours: str, name: str, hits: Mapping[str, Figure], difference: Figure) -> Verdict:
    found = outcome(difference, 0.0)
    where = {"ahead": "ahead of", "level": "level with", "behind": "behind"}[found]
    paired = show(difference, "percent")
    text = (
        f"{ours}'s prompt, {show(hits[ours].value, 'percent')} A-line, is {where} that of {name}, "
        f"{show(hits[name].value, 'percent')} (paired difference {paired} points, "
        f"N = {difference.n:,})."
    )
    if math.isnan(difference.low):
        text = f"{text.removesuffix('.')}; too few files for an interval."
    return Verdict(text=text.replace(" % points", " points"), outcome=found)
