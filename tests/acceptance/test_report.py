"""Figures from events."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from lsp_server.acceptance.events import (
    Dismissed,
    Ended,
    Ending,
    Event,
    Failed,
    PartiallyAccepted,
    Retained,
    Written,
)
from lsp_server.acceptance.history import LATENCY_BOUNDS_MS
from lsp_server.acceptance.report import summarise
from lsp_server.acceptance.tally import percentile, wilson_interval
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
    only_total = {
        "groups", "sessions", "n_written_chars", "n_human_chars", "n_model_chars", "written_share",
        "latency_buckets",
    }  # fmt: skip
    assert set(figures) - only_total == set(figures["groups"][0]) - {"language"}


def test_json_has_its_published_shape() -> None:
    """Scripts rely on these names; without data rates and latencies are null."""
    counts = (
        "requested", "shown", "shown_assumed", "glimpsed", "read", "accepted",
        "partially_accepted", "accepted_lines", "accepted_words", "typed_through",
        "typed_through_lines", "dismissed", "typed_over", "superseded", "closed", "unknown",
        "n_accepted_chars", "n_typed_chars", "sessions", "n_written_chars", "n_human_chars",
        "n_model_chars",
    )  # fmt: skip
    figures = summarise([]).as_json()
    buckets = figures.pop("latency_buckets")
    assert [bucket["up_to_ms"] for bucket in buckets] == [*LATENCY_BOUNDS_MS, None]
    assert figures == {
        **dict.fromkeys(counts, 0),
        "failed": {},
        "acceptance_rate": None,
        "acceptance_rate_ci95": None,
        "read_acceptance_rate": None,
        "retention": [],
        "latency_ms": {"p50": None, "p95": None},
        "ttft_ms": {"p50": None, "p95": None},
        "written_share": None,
        "groups": [],
    }


def ended(completion_id: str, how: Ending, visible_ms: float, n_typed: int = 0) -> Ended:
    """A suggestion of 12 characters stands no longer."""
    return Ended(
        completion_id=completion_id, how=how, visible_ms=visible_ms, n_chars=12, n_typed=n_typed,
        **COMMON,
    )  # fmt: skip


def test_what_was_superseded_at_once_is_in_no_rate() -> None:
    """Half a second is the least; whoever took some of it has seen it."""
    events: list[Event] = [
        shown("a"), ended("a", "superseded", 499), shown("b"), ended("b", "superseded", 500),
        shown("c"), ended("c", "typed_over", 1), shown("d"), accepted("d"),
        ended("d", "accepted", 400), shown("e"), ended("e", "superseded", 300),
        ended("e", "superseded", 300), shown("f"), ended("f", "superseded", 10),
        PartiallyAccepted(completion_id="f", n_chars=3, **COMMON),
    ]  # fmt: skip
    total = summarise(events).total
    assert (total.shown, total.glimpsed, total.counted, total.superseded) == (6, 1, 5, 3)
    assert total.as_json()["acceptance_rate"] == 1 / 5


def test_what_stood_long_enough_was_read() -> None:
    """Three quarters of a second, all the times that it stood there together."""
    events: list[Event] = [
        shown("a"), ended("a", "typed_over", 749), shown("b"), ended("b", "typed_over", 400),
        ended("b", "typed_over", 350), shown("c"), accepted("c"), ended("c", "accepted", 2000),
        shown("d"),
    ]  # fmt: skip
    figures = summarise(events).total.as_json()
    assert (figures["read"], figures["read_acceptance_rate"]) == (2, 0.5)


def test_each_of_the_shown_has_one_outcome() -> None:
    """Taking some of it outweighs how it went; what was typed through is no accept."""
    events: list[Event] = [
        shown("a"), ended("a", "typed_through", 900, n_typed=12),
        shown("b"), ended("b", "typed_through", 900, n_typed=7),
        shown("c"), ended("c", "typed_through", 900, n_typed=12), accepted("c"),
        shown("d"), PartiallyAccepted(completion_id="d", n_chars=7, unit="line", **COMMON),
        PartiallyAccepted(completion_id="d", n_chars=9, unit="line", **COMMON),
        ended("d", "superseded", 900),
        shown("e"), PartiallyAccepted(completion_id="e", n_chars=3, **COMMON),
        shown("f"), ended("f", "closed", 10), shown("g"), ended("g", "session_ended", 10),
        shown("h"), shown("i"), Dismissed(completion_id="i", reason="escape", **COMMON),
        ended("i", "dismissed", 10),
    ]  # fmt: skip
    total = summarise(events).total
    assert (total.typed_through, total.typed_through_lines) == (2, 1)
    assert (total.accepted, total.partially_accepted) == (1, 2)
    assert (total.accepted_lines, total.accepted_words) == (1, 1)
    assert (total.closed, total.unknown, total.dismissed) == (2, 1, 1)
    outcomes = (
        total.accepted, total.partially_accepted, total.typed_through, total.dismissed,
        total.typed_over, total.superseded, total.closed, total.unknown,
    )  # fmt: skip
    assert sum(outcomes) == total.shown


def test_groups_by_session_and_kind_of_file() -> None:
    """The session and the kind of file are those of the request."""
    asked = [
        msgspec.structs.replace(requested("a", session=session), file_kind=kind)
        for session, kind in (("s1", "test"), ("s2", "source"))
    ]
    report = summarise([*asked, shown("a")], by=("session", "file_kind"))
    assert [(key, tally.shown) for key, tally in report.groups] == [
        (("s1", "test"), 1),
        (("s2", "source"), 0),
    ]
    assert report.n_sessions == 2


def test_fast_and_slow_ones_apart() -> None:
    """Each bucket has its own rate."""
    events: list[Event] = [
        shown("a", latency_ms=40),
        accepted("a"),
        shown("b", latency_ms=60),
        shown("c", latency_ms=9e9),
    ]
    found = {b["up_to_ms"]: b for b in summarise(events).as_json()["latency_buckets"]}
    assert (found[50.0]["shown"], found[50.0]["acceptance_rate"]) == (1, 1.0)
    assert (found[100.0]["shown"], found[100.0]["acceptance_rate"]) == (1, 0.0)
    assert (found[200.0]["shown"], found[200.0]["acceptance_rate"]) == (0, None)
    assert found[None]["shown"] == 1


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
    assert (figures["n_human_chars"], figures["n_model_chars"]) == (75, 25)
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
