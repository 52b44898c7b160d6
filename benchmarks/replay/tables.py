"""Tables of a replay's findings."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.figures import Figure
from benchmarks.replay import metrics
from benchmarks.replay.curve import GRID, Curve
from benchmarks.replay.match import compare
from benchmarks.replay.metrics import Sample, ScoreName
from benchmarks.replay.types import Match, Opportunity, Walk
from benchmarks.resampling import Bools
from benchmarks.summary import Cell, Column, Plot, Series, Table

PAUSES_MS = (300, 700, 1000, 2000)
_SUFFIXES = {"full": "full", "function": "rest of function cut", "empty": "empty"}
_KINDS = {
    "line_start": "line start",
    "after_punctuation": "after punctuation",
    "inside_identifier": "inside an identifier",
}


def overview(walks: Sequence[Walk], *, seed: int) -> Table:
    """The main figures, a column a suffix mode."""
    by_mode = {
        name: metrics.sample([walk for walk in walks if walk.suffix == mode], seed=seed)
        for mode, name in _SUFFIXES.items()
    }
    by_mode = {name: data for name, data in by_mode.items() if data.n}
    rows: list[tuple[Cell, ...]] = [("N", *(f"{data.n:,}" for data in by_mode.values()))]
    rows += [(name, *map(figure_of, by_mode.values())) for name, figure_of in _FIGURES]
    return Table(
        title="By what stands below the cursor",
        columns=(Column("figure"), *(Column(name, "percent") for name in by_mode)),
        rows=tuple(rows),
        note="A-line, A-block, A-prefix and ES (1 − Levenshtein distance / longer length) are of "
        "what was shown; A-line of all and perfect lines (A-line at line start) are of all such "
        "opportunities, where nothing shown is a miss.",
    )


def perfect_lines(data: Sample) -> Figure:
    """Share of the pauses at line start for which the whole line was right."""
    starts = data.flags(lambda o: o.kind == "line_start")
    return data.resamples.share(data.matches() & starts, starts)


_FIGURES: tuple[tuple[str, Callable[[Sample], Figure]], ...] = (
    ("coverage", metrics.coverage),
    ("A-line", metrics.acceptance),
    ("A-block", lambda data: metrics.acceptance(data, "A-block")),
    ("A-prefix", lambda data: metrics.acceptance(data, "A-prefix")),
    ("A-line, ≥ 2 tokens and ≥ 8 characters", metrics.substantial_acceptance),
    ("A-line of all", metrics.hit_rate),
    ("perfect lines", perfect_lines),
    ("ES", metrics.edit_similarity),
    ("RoCC", metrics.rocc),
    ("keystrokes saved", metrics.keystrokes_saved),
)


def groups(data: Sample) -> tuple[Table, ...]:
    """Acceptance by pause, in code and comments, in new and old files, and by project."""
    return (
        _grouped("By pause", data, lambda _, o: _KINDS[o.kind]),
        _grouped("Code and comments", data, lambda _, o: "comment" if o.in_comment else "code"),
        _grouped("New and old files", data, lambda w, _: "new file" if w.new_file else "old file"),
        _grouped("By project", data, lambda w, _: w.project),
    )


def _grouped(title: str, data: Sample, group: Callable[[Walk, Opportunity], str]) -> Table:
    names = [group(walk, opportunity) for walk, opportunity in data.cases]
    rows: list[tuple[Cell, ...]] = []
    for name in sorted(set(names)):
        here = np.array([other == name for other in names], dtype=np.bool_)
        shown = here & data.shown
        share = data.resamples.share
        rows.append(
            (
                name,
                int(np.count_nonzero(here)),
                share(shown, here),
                share(data.matches() & here, shown),
                share(data.matches("A-prefix") & here, shown),
                share(data.matches() & here, here),
            )
        )
    return Table(
        title=title,
        columns=(
            Column(title.removeprefix("By ") if title.startswith("By ") else "where"),
            Column("N", "count"),
            Column("coverage", "percent"),
            Column("A-line", "percent"),
            Column("A-prefix", "percent"),
            Column("A-line of all", "percent"),
        ),
        rows=tuple(rows),
    )


def curve_table(curve: Curve) -> Table:
    """The coverage curve in figures."""
    rows: list[tuple[Cell, ...]] = []
    for point in curve.at_coverage:
        name = "everything suggested" if point.asked == 1 else f"coverage {100 * point.asked:g} %"
        covered: Cell = point.coverage if point.asked == 1 else point.coverage.value
        rows.append((name, covered, point.acceptance, point.rocc))
    for point in curve.at_acceptance:
        rows.append(
            (
                f"acceptance ≥ {100 * point.asked:g} %",
                point.coverage,
                point.acceptance.value,
                point.rocc,
            )
        )
    return Table(
        title="Coverage curve (A-line)",
        columns=(
            Column("shown"),
            Column("coverage", "percent"),
            Column("acceptance", "percent"),
            Column("RoCC", "percent"),
        ),
        rows=tuple(rows),
        note="Shown are the suggestions with the best sum of log-probs. The thresholds are chosen "
        "on these same opportunities, which flatters them. RoCC takes a suggestion below the "
        "threshold as typed by hand; the opportunities this would have opened are not asked.",
    )


def curve_plot(curve: Curve) -> Plot:
    """Acceptance against coverage, with the interval."""
    known = [(x, y) for x, y in zip(GRID, curve.grid, strict=True) if y.value == y.value]
    return Plot(
        title="Acceptance against coverage",
        kind="line",
        x_label="coverage",
        y_label="acceptance (A-line)",
        x_unit="percent",
        y_unit="percent",
        series=(
            Series(
                name="sum of log-probs",
                x=tuple(x for x, _ in known),
                y=tuple(y.value for _, y in known),
                low=tuple(y.low for _, y in known),
                high=tuple(y.high for _, y in known),
            ),
        ),
        note="Band: 95 % interval by file.",
    )


def score_table(data: Sample) -> Table:
    """How well each score ranks."""
    rows: list[tuple[Cell, ...]] = []
    for score, label in metrics.SCORES.items():
        rows.append((label, *_ranking(data, score)))
    return Table(
        title="Scores that a threshold could use",
        columns=(
            Column("score"),
            Column("AUC", "ratio"),
            Column("AURC", "ratio"),
            Column("acceptance at 50 % coverage", "percent"),
            Column("at 20 %", "percent"),
            Column("coverage at 92 %", "percent"),
        ),
        rows=tuple(rows),
        note="AUC: how often an accepted suggestion has the better score. AURC: area under the "
        "risk-coverage curve, lower is better.",
    )


def _ranking(data: Sample, score: ScoreName) -> tuple[Cell, ...]:
    found = metrics.coverage_curve(data, score)
    at = {point.asked: point for point in found.at_coverage}
    reached = {point.asked: point for point in found.at_acceptance}
    return (
        found.auc,
        found.aurc,
        at[0.5].acceptance,
        at[0.2].acceptance,
        reached[0.92].coverage,
    )


def pause_table(data: Sample) -> Table:
    """What a developer sees who pauses for so long."""
    rows: list[tuple[Cell, ...]] = []
    for pause_ms in PAUSES_MS:
        shown, accepted = metrics.at_pause(data, pause_ms)
        rows.append((f"{pause_ms:,} ms", shown, accepted))
    return Table(
        title="Shown within a pause",
        columns=(
            Column("pause"),
            Column("coverage", "percent"),
            Column("A-line", "percent"),
        ),
        rows=tuple(rows),
        note="Shown is what has its first displayable text within the pause, on this machine.",
    )


def reason_table(data: Sample) -> Table:
    """Why nothing was suggested."""
    reasons = Counter(
        o.suggestion.reason or "unknown" for _, o in data.cases if not o.suggestion.text
    )
    rows: list[tuple[Cell, ...]] = [
        (
            reason,
            count,
            data.resamples.share(
                data.flags(
                    lambda o, reason=reason: (  # type: ignore[misc]
                        not o.suggestion.text and (o.suggestion.reason or "unknown") == reason
                    )
                ),
                np.ones(data.n),
            ),
        )
        for reason, count in sorted(reasons.items(), key=lambda item: (-item[1], item[0]))
    ]
    return Table(
        title="Why nothing was suggested",
        columns=(Column("reason"), Column("N", "count"), Column("of all", "percent")),
        rows=tuple(rows),
    )


def filter_table(data: Sample) -> Table:
    """The model's own first line against what the filters left of it."""
    written = data.flags(lambda o: bool(o.suggestion.raw.strip()))
    raw = data.flags(lambda o: (match := raw_match(o)) is not None and match.line)
    final = data.matches() & written
    shown = data.shown & written

    def row(name: str, hits: Bools, of: Bools) -> tuple[Cell, ...]:
        return name, int(np.count_nonzero(of)), data.resamples.share(hits, of)

    return Table(
        title="What the filters do",
        columns=(
            Column("of what the model wrote"),
            Column("N", "count"),
            Column("A-line", "percent"),
        ),
        rows=(
            row("as the model wrote it", raw, written),
            row("after the filters, of all", final, written),
            row("after the filters, of shown", final & shown, shown),
            row("kept from being shown", raw & ~shown, written & ~shown),
            row("shown, right only after the filters", final & ~raw, shown),
            row("shown, right only before the filters", raw & ~final & shown, shown),
        ),
        note="The first non-blank line of the model's text is judged like a suggestion; in the "
        "last three rows the share is of suggestions that the filters spoiled or saved.",
    )


def raw_match(opportunity: Opportunity) -> Match | None:
    """How the model's text compares before any filter; None where it wrote nothing."""
    raw = opportunity.suggestion.raw
    if not raw.strip():
        return None
    before = opportunity.before
    if not before and opportunity.kind == "line_start":
        before = " " * opportunity.column
    return compare(raw, before=before, line_rest=opportunity.target, block_rest=opportunity.target)
