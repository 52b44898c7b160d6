"""Tables and verdicts of the latency benchmark."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
import pytest

from benchmarks import machine
from benchmarks.latency.findings import ratio, summarise
from benchmarks.latency.turns import Outcome, Request
from benchmarks.render import markdown
from benchmarks.summary import RunInfo, Summary

PEER = "llama-server, midfill's prompt"


def request(side: str, step: int, ms: float, outcome: Outcome = "answered") -> Request:
    """A request whose parts came after 1, 2, 3 and 4 times ``ms``."""
    if outcome != "answered":
        ms = 0
    return Request(
        side=side,
        repetition=0,
        step=step,
        kind="cold" if step == 0 else "warm",
        outcome=outcome,
        ttft_ms=ms,
        display_ms=2 * ms,
        line_ms=3 * ms,
        total_ms=4 * ms,
        n_prompt=100 if side == "midfill" else None,
        n_evaluated=10 if side == "midfill" else None,
        text="" if outcome != "answered" else f"line {step}\nmore of {side}",
    )


def summary_of(requests: Sequence[Request]) -> Summary:
    """A summary with plain provenance."""
    run = RunInfo(
        benchmark="latency",
        options={"seed": 1},
        model="",
        model_sha256="",
        code="",
        commit="",
        machine=machine.machine(),
        started=datetime.now(UTC).isoformat(),
    )
    return summarise(run, requests, ("Left out: nothing.",))


def test_the_ratio_is_that_of_the_percentiles() -> None:
    """Half the time at every request is a ratio of 0.5 with an interval of no width."""
    figure = ratio([(step, 50.0 + step, 100.0 + 2 * step) for step in range(20)], 0.95)
    assert (figure.value, figure.low, figure.high, figure.n) == (0.5, 0.5, 0.5, 20)


def test_repetitions_do_not_narrow_the_interval() -> None:
    """The interval is drawn by request of the session, not by measurement."""
    once = [(step, float(1 + step), 10.0) for step in range(10)]
    assert ratio(once * 5, 0.5).low == pytest.approx(ratio(once, 0.5).low, abs=0.1)


@pytest.mark.parametrize(
    ("peer_ms", "outcome"), [(200.0, "ahead"), (100.0, "level"), (50.0, "behind")]
)
def test_verdicts_say_who_is_faster(peer_ms: float, outcome: str) -> None:
    """For p50 and p95 of the first token and the first line; a ratio of 1 is level."""
    requests = [request("midfill", step, 100) for step in range(12)]
    requests += [request(PEER, step, peer_ms) for step in range(12)]
    verdicts = summary_of(requests).verdicts
    assert len(verdicts) == 4
    assert {verdict.outcome for verdict in verdicts} == {outcome}
    assert f"{PEER} {peer_ms:,.0f} ms" in verdicts[0].text


def test_few_requests_give_no_verdict() -> None:
    """Three of them, all faster, prove nothing."""
    requests = [request("midfill", step, 100) for step in range(3)]
    requests += [request(PEER, step, 900) for step in range(3)]
    assert summary_of(requests).verdicts == ()


def test_a_summary_survives_its_file() -> None:
    """Also where there are too few requests for an interval."""
    summary = summary_of([request("midfill", 0, 100), request(PEER, 0, 100)])
    assert msgspec.json.decode(msgspec.json.encode(summary), type=Summary) == summary


def test_overtaken_and_empty_requests_are_counted_and_not_timed() -> None:
    """They are in the table of answers and in no percentile."""
    requests = [request("midfill", 0, 100), request("midfill", 1, 1, "overtaken")]
    requests += [request("midfill", 2, 1, "empty"), request(PEER, 0, 100)]
    requests += [request(PEER, 1, 100), request(PEER, 2, 100)]
    summary = summary_of(requests)
    answers = next(table for table in summary.tables if table.title == "Answers")
    names = [column.name for column in answers.columns]
    ours = dict(zip(names, answers.rows[0], strict=True))
    assert (ours["answered"], ours["empty"], ours["overtaken"]) == (1, 1, 1)
    times = summary.tables[0].rows[0]
    assert (times[0], times[-1]) == ("midfill", 1)
    assert [series.y[-1] for series in summary.plots[0].series] == pytest.approx([1 / 3, 1])


def test_only_requests_that_both_answered_are_paired() -> None:
    """A side that answers only the easy ones must not look faster for it."""
    requests = [request("midfill", 0, 100), request("midfill", 1, 1, "overtaken")]
    requests += [request(PEER, 0, 100), request(PEER, 1, 900)]
    table = next(t for t in summary_of(requests).tables if t.title.startswith("midfill /"))
    row = table.rows[0]
    assert row[0] == "all requests"
    assert row[-1] == 1
    assert row[2] == 1.0


def test_answers_tell_the_share_within_a_time_and_of_equal_first_lines() -> None:
    """Of all requests; the first displayable text counts."""
    requests = [request("midfill", 0, 100), request("midfill", 1, 400)]
    requests += [request(PEER, 0, 200), request(PEER, 1, 400)]
    answers = summary_of(requests).tables[-1]
    within = [getattr(cell, "value", None) for cell in answers.rows[0][1:4]]
    assert within == [0.5, 0.5, 1.0]
    assert getattr(answers.rows[1][-1], "value", None) == 1.0
    assert answers.rows[0][-1] is None


def test_a_run_without_peers_has_a_summary() -> None:
    """And one without a single answer too; both can be drawn."""
    for outcome in ("answered", "overtaken"):
        summary = summary_of([request("midfill", 0, 100, outcome)])
        assert summary.verdicts == ()
        assert "Left out: nothing." in markdown.render(summary)
