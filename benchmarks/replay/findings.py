"""What a replay found, as a summary."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from benchmarks.figures import Figure
from benchmarks.replay import metrics, tables, timing
from benchmarks.replay.curve import Curve
from benchmarks.replay.metrics import Sample
from benchmarks.replay.types import Walk
from benchmarks.summary import Cell, Column, RunInfo, Summary, Table, Verdict, show
from benchmarks.verdicts import against
from lsp_server.errors import UsageError

_GOAL = 0.92
_SMALL_COVERAGE = 0.1


class Baseline(msgspec.Struct, frozen=True, kw_only=True):
    """What a prompt of the file alone reached on a corpus made the same way (not this one).

    768 tokens before the cursor, 256 after it, greedy, the first line judged by A-line.

    Args:
        n: its opportunities.
        hit_rate: A-line of all.
        line_start: the same at line start.
        mid_line: the same further right.
        auc: of the sum of log-probs.
        at_coverage: acceptance at a coverage.
        coverage_at_92: coverage at 92 % acceptance.
    """

    n: int
    hit_rate: float
    line_start: float
    mid_line: float
    auc: float
    at_coverage: dict[float, float]
    coverage_at_92: float


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """What is aimed at on fresh lines; None where nothing is."""

    hit_rate: float | None
    coverage_at_92: float


BASELINES = {
    "0.5b-instruct-q4": Baseline(
        n=240,
        hit_rate=0.171,
        line_start=0.148,
        mid_line=0.209,
        auc=0.845,
        at_coverage={0.5: 0.30, 0.3: 0.39, 0.2: 0.48, 0.1: 0.67},
        coverage_at_92=0.03,
    ),
    "1.5b-instruct-q4": Baseline(
        n=103,
        hit_rate=0.369,
        line_start=0.309,
        mid_line=0.486,
        auc=0.839,
        at_coverage={0.5: 0.63, 0.3: 0.70, 0.2: 0.65, 0.1: 0.70},
        coverage_at_92=0.0,
    ),
}
GOALS = {
    "0.5b-instruct-q4": Goal(hit_rate=0.30, coverage_at_92=0.12),
    "1.5b-instruct-q4": Goal(hit_rate=0.50, coverage_at_92=0.25),
    "7b-instruct-q4": Goal(hit_rate=None, coverage_at_92=0.40),
    "7b-base-q8": Goal(hit_rate=None, coverage_at_92=0.40),
}


def findings(walks: Sequence[Walk], run: RunInfo, *, title: str = "Acceptance (replay)") -> Summary:
    """The findings of a replay.

    The headline, the groups, the curve and the times are of one suffix mode, see
    ``metrics.main_mode``.

    Args:
        walks: of one or more suffix modes.
        run: what they were made with; ``options["seed"]`` is the seed of the intervals, and
            ``options["corpus"]`` begins with ``fresh`` where the corpus is the fresh lines.
        title: of the summary.

    Raises:
        UsageError: there is no opportunity in the walks (``no_opportunities``).
    """
    mode = metrics.main_mode(walks)
    seed = int(run.options.get("seed") or 0)  # type: ignore[arg-type]
    data = metrics.sample([walk for walk in walks if walk.suffix == mode], seed=seed)
    if data.n == 0:
        raise UsageError(
            "The replay had no opportunity to judge.",
            code="no_opportunities",
            hint="Take more targets (a higher --limit), or another corpus.",
        )
    curve = metrics.coverage_curve(data)
    latency = timing.latency_plot(data)
    compared = _against_baseline(data, curve, run)
    return Summary(
        title=title,
        headline=_headline(data, curve, run),
        run=run,
        n=data.n,
        tables=(
            tables.overview(walks, seed=seed),
            *compared,
            tables.curve_table(curve),
            *tables.groups(data),
            tables.score_table(data),
            timing.latency_table(data),
            tables.pause_table(data),
            tables.filter_table(data),
            tables.reason_table(data),
        ),
        plots=(tables.curve_plot(curve), *([latency] if latency else ())),
        verdicts=_verdicts(data, curve, run),
        notes=_notes(data, mode, run),
    )


def is_fresh(run: RunInfo) -> bool:
    """Whether a run was made on the fresh lines."""
    return str(run.options.get("corpus", "")).startswith("fresh")


def _headline(data: Sample, curve: Curve, run: RunInfo) -> str:
    projects = len({walk.project for walk in data.walks})
    everything, goal = curve.at_coverage[0], curve.at_acceptance[-1]
    what = "Python written after the model's cutoff" if is_fresh(run) else "Python"
    rocc = metrics.rocc(data)
    completed = "" if math.isnan(rocc.value) else f" and {_percent(rocc)} RoCC"
    parts = [
        f"Unfiltered, replay acceptance (A-line) is {_percent(everything.acceptance)} at full "
        f"coverage, which is {_percent(everything.coverage)}{completed}, on {data.n:,} "
        f"opportunities in {what}, from {projects} project{'s' * (projects != 1)}.",
    ]
    reached = goal.coverage.value
    if reached == 0:
        parts.append(f"No threshold reaches {100 * _GOAL:g} % acceptance.")
    else:
        only = "only " if reached < _SMALL_COVERAGE else ""
        at_rocc = "" if math.isnan(goal.rocc.value) else f" and {_percent(goal.rocc)} RoCC"
        parts.append(
            f"It is {100 * _GOAL:g} % {only}at {_percent(goal.coverage)} coverage{at_rocc}, with a "
            "threshold chosen on the same opportunities."
        )
    parts.append(
        "This is agreement with code that developers wrote, not a measured human adoption rate."
    )
    return " ".join(parts)


def _percent(figure: Figure) -> str:
    text = show(figure, "percent")
    return text.replace("(", "(95 % CI ", 1)


def _at(data: Sample, *, line_start: bool) -> Figure:
    where = data.flags(lambda o: (o.kind == "line_start") == line_start)
    return data.resamples.share(data.matches() & where, where)


def _against_baseline(data: Sample, curve: Curve, run: RunInfo) -> tuple[Table, ...]:
    baseline, goal = BASELINES.get(run.model), GOALS.get(run.model)
    if baseline is None or not is_fresh(run):
        return ()
    at = {point.asked: point.acceptance for point in curve.at_coverage}
    hit_goal = goal.hit_rate if goal else None
    reached_goal = goal.coverage_at_92 if goal else None
    rows: list[tuple[Cell, ...]] = [
        ("A-line of all", metrics.hit_rate(data), baseline.hit_rate, hit_goal),
        ("at line start", _at(data, line_start=True), baseline.line_start, None),
        ("mid-line", _at(data, line_start=False), baseline.mid_line, None),
    ]
    rows += [
        (f"acceptance at {100 * level:g} % coverage", at[level], theirs, None)
        for level, theirs in baseline.at_coverage.items()
    ]
    reached = curve.at_acceptance[-1].coverage
    rows.append(("coverage at 92 %", reached, baseline.coverage_at_92, reached_goal))
    # As text: the other rows are shares.
    auc = show(curve.auc, "ratio")
    rows.append(("AUC of the sum of log-probs", auc, show(baseline.auc, "ratio"), None))
    return (
        Table(
            title="Against a prompt of the file alone, same model",
            columns=(
                Column("figure"),
                Column("here", "percent"),
                Column("file alone", "percent"),
                Column("goal", "percent"),
            ),
            rows=tuple(rows),
            note=f"File alone: 768 tokens before the cursor and 256 after it, on {baseline.n} "
            "opportunities of another corpus made the same way, without intervals; its mix of "
            "pauses is not ours, so the rows by place compare best.",
        ),
    )


def _verdicts(data: Sample, curve: Curve, run: RunInfo) -> tuple[Verdict, ...]:
    if not is_fresh(run):
        return ()
    verdicts = []
    baseline, goal = BASELINES.get(run.model), GOALS.get(run.model)
    hits, reached = metrics.hit_rate(data), curve.at_acceptance[-1].coverage
    if baseline is not None:
        whose = f"a prompt of the file alone (N = {baseline.n}, another corpus made the same way):"
        starts = _at(data, line_start=True)
        verdicts += [
            against("A-line of all opportunities", hits, baseline.hit_rate, whose),
            against("A-line at line start", starts, baseline.line_start, whose),
        ]
    if goal is not None:
        if goal.hit_rate is not None:
            verdicts.append(
                against("A-line of all opportunities", hits, goal.hit_rate, "the goal of")
            )
        verdicts.append(
            against("Coverage at 92 % acceptance", reached, goal.coverage_at_92, "the goal of")
        )
    return tuple(verdicts)


def _notes(data: Sample, mode: str, run: RunInfo) -> tuple[str, ...]:
    notes = [
        "A replay types the developers' lines again and asks at each pause. A-line: the first "
        "line of the suggestion equals the developer's to its end; A-block: all of the suggestion "
        "does; A-prefix: it does up to the first closing bracket or line end. Blanks at line ends, "
        "line ends, Unicode normalisation and quote style do not count, nor does text that was "
        "typed already; targets without a word in them are left out.",
        f"Intervals are 95 %, from 2,000 resamples of {data.resamples.n_clusters} files. Headline, "
        f"groups, curve and times are of the suffix mode {mode}.",
        "RoCC: characters that accepted suggestions typed, of all. Keystrokes saved: 1 − (typed "
        "characters + one for each accept + one for each dismissal) / characters. Indentation and "
        "line ends are in neither: editors set them.",
    ]
    if math.isnan(metrics.rocc(data).value):
        notes.append(
            "This replay took no suggestion, so that every run has the same opportunities; RoCC "
            "and keystrokes saved are not defined for it."
        )
    if not is_fresh(run):
        notes.append(
            "The model may have seen this code in its training, unless it is newer than the model."
        )
    return tuple(notes)
