"""Figures from events."""

from __future__ import annotations

from typing import Any

import pytest

from lsp_server.acceptance.events import (
    Dismissed,
    Event,
    Failed,
    PartiallyAccepted,
    Retained,
    Written,
)
from lsp_server.acceptance.report import percentile, summarise, wilson_interval
from tests.acceptance.makers import accepted, requested, shown

COMMON: dict[str, Any] = {"ts": 1002.0, "session": "s1", "language": "python", "model": "0.5b"}


def test_each_suggestion_counts_once() -> None:
    """Repeated and contradicting events of one suggestion give one outcome."""
    events: list[Event] = [
        requested("a"),
        shown("a"),
        PartiallyAccepted(completion_id="a", n_chars=4, **COMMON),
        accepted("a"),
        Dismissed(completion_id="a", reason="escape", **COMMON),
        requested("b"),
        shown("b", evidence="answered"),
        PartiallyAccepted(completion_id="b", n_chars=4, **COMMON),
        PartiallyAccepted(completion_id="b", n_chars=7, **COMMON),
        requested("c"),
        shown("c"),
        Dismissed(completion_id="c", reason="escape", **COMMON),
        requested("d"),
        Failed(completion_id="d", reason="superseded", **COMMON),
        requested("e"),
        Failed(completion_id="e", reason="superseded", **COMMON),
        requested("f"),
        Failed(completion_id="f", reason="disabled", **COMMON),
    ]
    total = summarise(events).total
    assert (total.requested, total.shown, total.shown_assumed) == (6, 3, 1)
    assert (total.accepted, total.partially_accepted, total.dismissed) == (1, 1, 1)
    assert total.n_accepted_chars == 12 + 7
    assert list(total.failed.items()) == [("superseded", 2), ("disabled", 1)]


def test_accept_without_its_shown_does_not_count() -> None:
    """When the events begin between shown and accepted, the rate stays a rate."""
    figures = summarise([accepted("a"), shown("b")]).total.as_json()
    assert (figures["accepted"], figures["shown"], figures["acceptance_rate"]) == (0, 1, 0.0)


def test_same_id_in_two_sessions_is_two_suggestions() -> None:
    """Completion ids need to be unique only within their session."""
    report = summarise([requested("1", session="s1"), requested("1", session="s2")])
    assert report.total.requested == 2


def test_groups_take_the_model_from_any_event() -> None:
    """A request made before its model was known is counted with the model that answered it."""
    report = summarise([requested("a"), shown("a"), requested("b"), shown("b", model="7b")])
    assert [(key, tally.requested, tally.shown) for key, tally in report.groups] == [
        (("python", "0.5b"), 1, 1),
        (("python", "7b"), 1, 1),
    ]


def test_groups_are_named_in_json() -> None:
    """Each group carries its grouping values beside the same figures as the total."""
    events: list[Event] = [shown("a"), shown("b"), accepted("b"), shown("c", language="lua")]
    figures = summarise(events, by=("language",)).as_json()
    assert [group["language"] for group in figures["groups"]] == ["python", "lua"]
    assert "model" not in figures["groups"][0]
    assert figures["groups"][0]["acceptance_rate"] == 0.5
    only_total = {"groups", "n_written_chars", "written_share"}
    assert set(figures) - only_total == set(figures["groups"][0]) - {"language"}


def test_json_has_its_published_shape() -> None:
    """Scripts rely on these names; without data rates and latencies are null."""
    assert summarise([]).as_json() == {
        "requested": 0,
        "shown": 0,
        "shown_assumed": 0,
        "accepted": 0,
        "partially_accepted": 0,
        "dismissed": 0,
        "failed": {},
        "acceptance_rate": None,
        "acceptance_rate_ci95": None,
        "n_accepted_chars": 0,
        "retention": [],
        "latency_ms": {"p50": None, "p95": None},
        "ttft_ms": {"p50": None, "p95": None},
        "n_written_chars": 0,
        "written_share": None,
        "groups": [],
    }


def test_what_is_left_and_what_is_written() -> None:
    """Characters add up; a suggestion is mostly kept while at most a third of it is gone."""
    events: list[Event] = [
        shown("a"), accepted("a"), shown("b"), accepted("b"),
        Retained(**COMMON, completion_id="a", n_chars=12, n_kept=8, after_s=30.0),
        Retained(**COMMON, completion_id="b", n_chars=12, n_kept=7, after_s=30.0),
        Retained(**COMMON, completion_id="b", n_chars=12, n_kept=0, after_s=600.0),
        Written(**COMMON, completion_id="", n_chars=70, n_accepted=20),
        Written(**COMMON, completion_id="", n_chars=30, n_accepted=5),
    ]  # fmt: skip
    figures = summarise(events).as_json()
    assert figures["retention"] == [
        {"after_s": 30.0, "n": 2, "kept_chars": 15 / 24, "mostly_kept": 0.5},
        {"after_s": 600.0, "n": 1, "kept_chars": 0.0, "mostly_kept": 0.0},
    ]
    assert (figures["n_written_chars"], figures["written_share"]) == (100, 0.25)
    assert figures["requested"] == 0


def test_latency_is_that_of_the_shown() -> None:
    """Percentiles cover shown suggestions only; a cached one has no time to first token."""
    events = [shown(f"c{n}", latency_ms=float(n)) for n in range(101)]
    figures = summarise(events).as_json()
    assert figures["latency_ms"] == {"p50": 50.0, "p95": 95.0}
    assert figures["ttft_ms"] == {"p50": 40.0, "p95": 40.0}


@pytest.mark.parametrize(
    ("n_hits", "n", "low", "high"),
    # Published values: Newcombe, Statistics in Medicine 17 (1998), table I, method 3.
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval(n_hits: int, n: int, low: float, high: float) -> None:
    """The interval agrees with published values."""
    interval = wilson_interval(n_hits, n)
    assert interval is not None
    assert list(interval) == pytest.approx([low, high], abs=5e-5)


def test_wilson_interval_at_the_ends() -> None:
    """No trials have no interval; all or no hits give an interval that ends at one or zero."""
    assert wilson_interval(0, 0) is None
    assert (wilson_interval(5, 5) or (0, 0))[1] == 1.0
    assert (wilson_interval(0, 5) or (1, 1))[0] == 0.0


@pytest.mark.parametrize(
    ("values", "p", "expected"),
    [([], 50, None), ([3.0], 95, 3.0), ([1.0, 2.0], 50, 1.5), ([4.0, 1.0, 3.0, 2.0], 95, 3.85)],
)
def test_percentile(values: list[float], p: float, expected: float | None) -> None:
    """Percentiles interpolate between neighbours."""
    assert percentile(values, p) == (None if expected is None else pytest.approx(expected))
