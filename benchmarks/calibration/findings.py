"""What the calibration found, as a summary."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np

from benchmarks.calibration.data import Decisions
from benchmarks.calibration.measures import N_BINS, Quality, Thresholded
from benchmarks.calibration.models import BELOW, LOGISTIC, PAST, SCORE, TREES
from benchmarks.figures import Figure
from benchmarks.replay.curve import GRID
from benchmarks.replay.metrics import SCORES
from benchmarks.resampling import Resamples
from benchmarks.summary import (
    Cell,
    Column,
    Plot,
    Reference,
    RunInfo,
    Series,
    Summary,
    Table,
    Verdict,
    show,
)
from benchmarks.verdicts import against

# Of the human decisions, leave one developer out.
ANCHOR_LOGPROB_AUC = 0.709
ANCHOR_TREES_AUC = 0.751
ANCHOR_ALL = 0.37
ANCHOR_TENTH = 0.76
PLAIN = SCORES["sum"]


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """One set of decisions and how well each score or model knew them before.

    Args:
        decisions: what was decided.
        qualities: of each score or model.
        is_human: whether developers decided.
        variants: of midfill's score with less than there is.
        thresholded: what each of ``TARGETS`` gives.
    """

    decisions: Decisions
    qualities: tuple[Quality, ...]
    is_human: bool
    variants: tuple[Quality, ...] = ()
    thresholded: tuple[Thresholded, ...] = ()

    def of(self, name: str) -> Quality:
        """The quality of one score or model."""
        return next(quality for quality in self.qualities if quality.name == name)


def findings(judged: Sequence[Judged], run: RunInfo) -> Summary:
    """The findings on each set of decisions; at least one."""
    tables, plots, verdicts = [], [], []
    for one in judged:
        tables.append(_table(one))
        plots += [_curves(one), _reliability(one)]
        if one.is_human:
            tables.append(_anchors(one))
            verdicts += _verdicts(one)
        else:
            tables += [_targets(one)] if one.thresholded else []
            tables += [_variants(one)] if one.variants else []
            verdicts += _replay_verdicts(one)
    return Summary(
        title="Calibration: is an accept known before it is shown?",
        headline=" ".join(_headline(one) for one in judged),
        run=run,
        n=sum(len(one.decisions.shown) for one in judged),
        tables=tuple(tables),
        plots=tuple(plots),
        verdicts=tuple(verdicts),
        notes=_notes(judged),
    )


def base_rate(decisions: Decisions, seed: int = 0) -> Figure:
    """Accepted / shown."""
    return Resamples(decisions.clusters, seed=seed).share(
        decisions.accepted & decisions.shown, decisions.shown
    )


def _headline(one: Judged) -> str:
    decisions = one.decisions
    best = max(one.qualities, key=lambda quality: quality.ranking.auc.value)
    who = "developers" if one.is_human else "files"
    return (
        f"On {int(np.count_nonzero(decisions.shown)):,} suggestions ({decisions.name}; "
        f"{decisions.n_clusters} {who}, each left out of the fit that judges it) the best AUC is "
        f"{show(best.ranking.auc, 'number')}, of {best.name}, with an expected calibration error "
        f"of {show(best.ece, 'percent')}.{_coverage(one)}"
    )


def _coverage(one: Judged) -> str:
    """Of how many suggestions 92 % are accepted."""
    known = {quality.name: quality for quality in one.qualities}
    if SCORE not in known:
        return ""
    ours, theirs = (show(_reaching(known[name], 0.92), "percent") for name in (SCORE, PLAIN))
    return (
        f" At {ours} coverage, the likeliest by {SCORE}, 92 % are accepted; by the sum of "
        f"log-probs at {theirs}."
    )


def _at(quality: Quality, coverage: float) -> Figure:
    return next(p.acceptance for p in quality.ranking.at_coverage if p.asked == coverage)


def _reaching(quality: Quality, acceptance: float) -> Figure:
    """Coverage at which so much is accepted."""
    return next(p.coverage for p in quality.ranking.at_acceptance if p.asked == acceptance)


def _replay_verdicts(one: Judged) -> list[Verdict]:
    """Of midfill's own score, beside the plain sum of log-probs in the same run."""
    known = {quality.name: quality for quality in one.qualities}
    if SCORE not in known:
        return []
    ours, plain = known[SCORE], known[PLAIN]
    theirs = plain.ranking.auc.value
    auc = against(
        f"AUC of {SCORE} ({one.decisions.name})",
        ours.ranking.auc,
        theirs,
        "the sum of log-probs",
        unit="number",
    )
    coverage = against(
        f"Coverage at 92 % accepted, {SCORE} ({one.decisions.name})",
        _reaching(ours, 0.92),
        _reaching(plain, 0.92).value,
        "the sum of log-probs",
    )
    return [auc, coverage]


def _table(one: Judged) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (
            quality.name,
            quality.ranking.auc,
            quality.ranking.aurc,
            quality.ece,
            quality.brier,
            _at(quality, 0.5),
            _at(quality, 0.1),
            _reaching(quality, 0.92),
        )
        for quality in one.qualities
    ]
    shown = int(np.count_nonzero(one.decisions.shown))
    return Table(
        title=f"P(accept), {one.decisions.name}",
        columns=(
            Column("score or model"),
            Column("AUC", "number"),
            Column("AURC", "number"),
            Column("ECE", "percent"),
            Column("Brier", "number"),
            Column("accepted at 50 % coverage", "percent"),
            Column("at 10 %", "percent"),
            Column("coverage at 92 % accepted", "percent"),
        ),
        rows=tuple(rows),
        note=f"{shown:,} shown of {len(one.decisions.shown):,} opportunities; acceptance at full "
        f"coverage is {show(base_rate(one.decisions), 'percent')}. A score alone ranks as it is; "
        "for ECE and Brier a logistic of that one score makes it a probability.",
    )


def _targets(one: Judged) -> Table:
    """Whether a target is reached on files that the fit did not see."""
    rows: list[tuple[Cell, ...]] = [
        (show(each.target, "percent"), each.accepted, each.shown, each.kept)
        for each in one.thresholded
    ]
    return Table(
        title=f"What completion.target_acceptance gives, {one.decisions.name}",
        columns=(
            Column("target"),
            Column("accepted of the shown", "percent"),
            Column("shown of the suggestions", "percent"),
            Column("shown of those that are right", "percent"),
        ),
        rows=tuple(rows),
        note="The threshold is made of the probabilities alone, as in the server.",
    )


def _variants(one: Judged) -> Table:
    """What the score rests on: whether more files or other features would change it."""
    whole = msgspec.structs.replace(one.of(SCORE), name="all other files")
    learning, others = one.variants[:-1], one.variants[-1:]
    rows: list[tuple[Cell, ...]] = [
        (each.name, each.ranking.auc, each.ece, _at(each, 0.1), _reaching(each, 0.92))
        for each in (*learning, whole, *others)
    ]
    cost_us = one.decisions.cost_us
    cost = f"The server spends {cost_us:.0f} µs on the score of a suggestion. " if cost_us else ""
    return Table(
        title=f"What {SCORE} rests on, {one.decisions.name}",
        columns=(
            Column("fitted to"),
            Column("AUC", "number"),
            Column("ECE", "percent"),
            Column("accepted at 10 % coverage", "percent"),
            Column("coverage at 92 % accepted", "percent"),
        ),
        rows=tuple(rows),
        note=f"{cost}The last row does not know {len(BELOW)} features of what stands below the "
        "cursor: in a replay that keeps it, that is the developer's next line, in an editor it "
        "may be what new lines are written above.",
    )


def _anchors(one: Judged) -> Table:
    rows: list[tuple[Cell, ...]] = [
        ("AUC, mean log-prob alone", show(_auc(one, "mean log-prob"), "number"), "0.709"),
        ("AUC, published logistic", show(_auc(one, "published logistic"), "number"), None),
        ("AUC, logistic", show(_auc(one, LOGISTIC), "number"), None),
        ("AUC, boosted trees", show(_auc(one, TREES), "number"), "0.751"),
        ("AUC, trees with the past", show(_auc(one, PAST), "number"), "0.751"),
        ("acceptance at full coverage", show(base_rate(one.decisions), "percent"), "37 %"),
        (
            "acceptance at 10 % coverage, boosted trees",
            show(_at(one.of(TREES), 0.1), "percent"),
            "76 %",
        ),
    ]
    return Table(
        title="Human decisions: beside the anchors",
        columns=(Column("figure"), Column("here"), Column("anchor")),
        rows=tuple(rows),
        note="The anchors are of the same decisions, leave one developer out; the features and "
        "settings of their trees are not known.",
    )


def _auc(one: Judged, name: str) -> Figure:
    return one.of(name).ranking.auc


def _verdicts(one: Judged) -> list[Verdict]:
    best = max((LOGISTIC, TREES, PAST), key=lambda name: _auc(one, name).value)
    verdicts = [
        against(
            "AUC of the mean log-prob alone",
            _auc(one, "mean log-prob"),
            ANCHOR_LOGPROB_AUC,
            "the anchor",
            unit="number",
        ),
        against(
            "AUC of the trees", _auc(one, TREES), ANCHOR_TREES_AUC, "the anchor", unit="number"
        ),
        against(
            "Acceptance at 10 % coverage (trees)",
            _at(one.of(TREES), 0.1),
            ANCHOR_TENTH,
            "the anchor",
        ),
    ]
    if best != TREES:
        verdicts.append(
            against(
                f"AUC of the {best}, the best of our models",
                _auc(one, best),
                ANCHOR_TREES_AUC,
                "the anchor of trees,",
                unit="number",
            )
        )
    return verdicts


def _curves(one: Judged) -> Plot:
    series = []
    for quality in one.qualities:
        points = zip(GRID, quality.ranking.grid, strict=True)
        known = [(x, y.value) for x, y in points if not np.isnan(y.value)]
        series.append(
            Series(
                name=quality.name,
                x=tuple(x for x, _ in known),
                y=tuple(y for _, y in known),
            )
        )
    return Plot(
        title=f"Acceptance against coverage, {one.decisions.name}",
        kind="line",
        x_label="coverage",
        y_label="acceptance",
        x_unit="percent",
        y_unit="percent",
        series=tuple(series),
        references=(Reference(name="everything shown", y=base_rate(one.decisions).value),),
    )


def _reliability(one: Judged) -> Plot:
    fitted = (LOGISTIC, TREES, PAST if one.is_human else SCORE)
    known = {quality.name for quality in one.qualities}
    names = ["mean log-prob", *(name for name in fitted if name in known)]
    return Plot(
        title=f"Reliability, {one.decisions.name}",
        kind="line",
        x_label="predicted acceptance",
        y_label="observed acceptance",
        x_unit="percent",
        y_unit="percent",
        diagonal=True,
        series=tuple(one.of(name).reliability for name in names),
        note=f"{N_BINS} bins with equally many suggestions.",
    )


def _notes(judged: Sequence[Judged]) -> tuple[str, ...]:
    notes = [
        "Every probability comes from a fit that never saw the developer or file it is for, in any "
        "of the runs. The settings of the logistic and of the boosted trees are fixed in advance; "
        f"the share of trees in {SCORE}, and the size of the {PAST} and the spread of the "
        "developers, are chosen anew in every fit, among the files or developers it is fitted to. "
        "Which features there are was decided with an eye on such data, so that the figures of "
        "these two are a little too good. "
        "Intervals are 95 %, from resamples of developers or files; resampling raises the "
        "expected calibration error, whose interval therefore lies high.",
    ]
    if any(one.is_human for one in judged):
        notes.append(
            "Human decisions: only what is known before showing goes in; what came of the same "
            "developer's earlier suggestions is known, in trees with the past. Left out are the "
            "shares edited later, and the time from request "
            "to display, which goes up to minutes and so says when the developer looked. The "
            "published logistic was fitted to an assistant's own telemetry, not to these decisions."
        )
    if any(not one.is_human for one in judged):
        notes.append(
            "Replays: accepted means A-line, which is agreement with code that developers wrote, "
            "not a measured human adoption rate."
        )
    return tuple(notes)
