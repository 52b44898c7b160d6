"""What a replay found, as a summary."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from benchmarks.figures import Figure
from benchmarks.render import markdown
from benchmarks.replay.findings import findings, is_fresh
from benchmarks.summary import Cell, RunInfo, Summary
from benchmarks.verdicts import against, outcome
from lsp_server.errors import UsageError
from tests.benchmarks.makers import made_up_run
from tests.benchmarks.walks import many_walks, opportunity, walk


def run_on(corpus: str, **changes: Any) -> RunInfo:
    """A run on a corpus."""
    return made_up_run(options={"corpus": corpus, "seed": 3}, **changes)


def table(summary: Summary, title: str) -> dict[str, tuple[Cell, ...]]:
    """The rows of a table by their first cell."""
    found = next(table for table in summary.tables if table.title == title)
    return {str(row[0]): row[1:] for row in found.rows}


def value(cell: Cell) -> float:
    """The value of a cell that is a figure."""
    assert isinstance(cell, Figure)
    return cell.value


def test_the_headline_leads_with_what_is_unfiltered() -> None:
    """Acceptance at full coverage with N and interval comes first, then coverage at 92 %."""
    summary = findings(many_walks(), run_on("fresh-lines 12ab"))

    text = summary.headline
    assert text.startswith("Unfiltered, replay acceptance (A-line) is ")
    assert (
        "on 180 opportunities in Python written after the model's cutoff, from 1 project." in text
    )
    assert text.index("at full coverage") < text.index("92 %")
    assert text.count("95 % CI") >= 4
    assert "not a measured human adoption rate" in text
    assert summary.n == 180


def test_the_headline_says_when_no_threshold_reaches_the_goal() -> None:
    """Zero coverage is not dressed up."""
    walks = [walk([opportunity("wrong", logprobs=(-0.1,)), opportunity()], file=f) for f in "ab"]

    assert "No threshold reaches 92 % acceptance." in findings(walks, run_on("mine")).headline


def test_modes_are_columns_and_counted_once() -> None:
    """The headline is of the full suffix; every mode has its column."""
    walks = [*many_walks(suffix="empty", seed=9), *many_walks()]
    summary = findings(walks, run_on("mine"))

    rows = table(summary, "By what stands below the cursor")
    assert rows["N"] == ("180", "180")
    assert summary.n == 180
    alone = table(findings(many_walks(), run_on("mine")), "By what stands below the cursor")
    assert rows["A-line"][0] == alone["A-line"][0]
    assert rows["A-line"][1] != rows["A-line"][0]


def test_groups_add_up() -> None:
    """Each grouping holds every opportunity once."""
    summary = findings(many_walks(), run_on("mine"))

    for title in ("By pause", "Code and comments", "New and old files", "By project"):
        counts = [row[0] for row in table(summary, title).values()]
        assert sum(int(count) for count in counts if isinstance(count, int)) == 180


def test_verdicts_only_for_the_same_model_on_fresh_lines() -> None:
    """Other models and other corpora are not compared with the baseline and the goals."""
    walks = many_walks()

    assert len(findings(walks, run_on("fresh-lines 1")).verdicts) == 4
    assert len(findings(walks, run_on("fresh-lines 1", model="7b-base-q8")).verdicts) == 1
    assert findings(walks, run_on("fresh-lines 1", model="other")).verdicts == ()
    assert findings(walks, run_on("12 commits of mine")).verdicts == ()
    assert not is_fresh(run_on("12 commits of fresh"))


def test_bad_news_are_told() -> None:
    """A figure that is below the goal by more than chance is behind."""
    walks = [walk([opportunity("wrong") for _ in range(20)], file=f"{n}.py") for n in range(9)]
    walks += [walk([opportunity(), opportunity("wrong")], file="right.py")]
    summary = findings(walks, run_on("fresh-lines 1"))

    told = {verdict.text.split(":")[0]: verdict.outcome for verdict in summary.verdicts}
    assert told["A-line of all opportunities"] == "behind"
    rows = table(summary, "Against a prompt of the file alone, same model")
    assert value(rows["A-line of all"][0]) == pytest.approx(1 / 182)
    assert rows["A-line of all"][1:] == (0.171, 0.30)


def test_reasons_for_no_suggestion() -> None:
    """Each reason with its share of all opportunities."""
    silent = [opportunity("", suggestion_reason=reason) for reason in ("repeats", "blank", "blank")]
    summary = findings([walk([*silent, opportunity()])], run_on("mine"))

    rows = table(summary, "Why nothing was suggested")
    assert list(rows) == ["blank", "repeats"]
    assert rows["blank"][0] == 2
    assert value(rows["blank"][1]) == 0.5


def test_what_the_filters_do() -> None:
    """The model's own first line is judged too, also where nothing was shown."""
    right = opportunity().target
    cases = [
        opportunity(suggestion_raw=f"\n    {right}\nmore"),
        opportunity("", suggestion_raw=right),
        opportunity(right[:-1], suggestion_raw=right),
        opportunity(right, suggestion_raw=f"{right} + 1"),
        opportunity("", suggestion_raw="wrong"),
        opportunity("", suggestion_raw=" \n"),
    ]
    rows = table(findings([walk(cases)], run_on("mine")), "What the filters do")

    assert rows["as the model wrote it"][0] == 5
    assert value(rows["as the model wrote it"][1]) == pytest.approx(3 / 5)
    assert value(rows["after the filters, of all"][1]) == pytest.approx(2 / 5)
    assert value(rows["kept from being shown"][1]) == pytest.approx(1 / 2)
    assert value(rows["shown, right only after the filters"][1]) == pytest.approx(1 / 3)
    assert value(rows["shown, right only before the filters"][1]) == pytest.approx(1 / 3)


def test_latency_by_warmth() -> None:
    """A prompt is warm if at least half of it was in the cache."""
    cases = [
        opportunity(suggestion_n_reused=50, suggestion_ttft_ms=10.0),
        opportunity(suggestion_n_reused=49, suggestion_ttft_ms=90.0),
    ]
    summary = findings([walk(cases)], run_on("mine"))

    latency = next(table for table in summary.tables if table.title == "Latency")
    first = {row[1]: value(row[3]) for row in latency.rows if row[0] == "first token"}
    assert first == {"all": 10.0, "warm": 10.0, "cold": 90.0}


def test_plots_have_bands_and_distributions() -> None:
    """The curve has an interval at every point; each time rises from 0 to all requests."""
    curve, latency = findings(many_walks(), run_on("mine")).plots

    band = curve.series[0]
    assert len(band.x) == len(band.low) == len(band.high) > 10
    assert {series.name for series in latency.series} >= {"first token", "whole suggestion"}
    for series in latency.series:
        assert list(series.x) == sorted(series.x)
        assert (series.y[0], series.y[-1]) == (0, 1)


def test_a_summary_can_be_kept_and_shown() -> None:
    """It is JSON, and Markdown without NaN."""
    summary = findings(many_walks(3, 4), run_on("fresh-lines 1"))

    assert msgspec.json.decode(msgspec.json.encode(summary))["n"] == 12
    assert "nan" not in markdown.render(summary)


def test_equal_walks_give_equal_findings() -> None:
    """The seed decides every resample."""
    run = run_on("mine")

    assert msgspec.json.encode(findings(many_walks(), run)) == msgspec.json.encode(
        findings(many_walks(), run)
    )


def test_no_opportunities_are_an_error() -> None:
    """There is nothing to report; the error says what to do."""
    with pytest.raises(UsageError) as caught:
        findings([walk([])], run_on("mine"))

    assert caught.value.code == "no_opportunities"


@pytest.mark.parametrize(
    ("level", "higher_is_better", "expected"),
    [
        (0.2, True, "ahead"),
        (0.35, True, "level"),
        (0.6, True, "behind"),
        (0.2, False, "behind"),
        (0.6, False, "ahead"),
    ],
)
def test_outcome_by_interval(level: float, higher_is_better: bool, expected: str) -> None:
    """Only a level outside of the interval is ahead or behind."""
    figure = Figure(value=0.4, low=0.3, high=0.5, n=9)

    assert outcome(figure, level, higher_is_better=higher_is_better) == expected


def test_without_an_interval_nobody_is_ahead() -> None:
    """One cluster says nothing of chance, and the verdict says so."""
    figure = Figure(value=0.9, low=math.nan, high=math.nan, n=3)
    verdict = against("A-line", figure, 0.1, "the goal of")

    assert verdict.outcome == "level"
    assert "too few clusters" in verdict.text
