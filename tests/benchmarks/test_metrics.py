"""Figures of walks."""

from __future__ import annotations

import math

import pytest

from benchmarks.replay import metrics
from benchmarks.replay.types import Suggestion
from tests.benchmarks.walks import TARGET, many_walks, opportunity, walk

N = len(TARGET)


def test_acceptance_is_of_what_is_shown() -> None:
    """Where nothing is suggested coverage falls, not acceptance."""
    data = metrics.sample(
        [
            walk([opportunity(), opportunity("wrong"), opportunity("")]),
            walk([opportunity()], file="b"),
        ]
    )

    assert data.n == 4
    assert metrics.coverage(data).value == pytest.approx(3 / 4)
    assert metrics.acceptance(data).value == pytest.approx(2 / 3)
    assert metrics.acceptance(data).n == 3
    assert metrics.hit_rate(data).value == pytest.approx(2 / 4)


def test_rules() -> None:
    """Each rule has its own acceptance."""
    two_lines = opportunity(f"{TARGET}\n    other()", below="    another()")
    beginning = opportunity("value = compute(first, second).real", target=f"{TARGET}.imag")
    data = metrics.sample([walk([two_lines, beginning, opportunity(), opportunity("wrong")])])

    shares = [metrics.acceptance(data, rule).value for rule in ("A-line", "A-block", "A-prefix")]
    assert shares == [0.5, 0.25, 0.75]


def test_trivial_targets_are_not_counted() -> None:
    """A lone bracket is no opportunity, and a short target is left out of the strict variant."""
    data = metrics.sample(
        [
            walk(
                [
                    opportunity(")", target=")"),
                    opportunity("x = 1", target="x = 1"),
                    opportunity("no"),
                ]
            )
        ]
    )

    assert data.n == 2
    assert metrics.acceptance(data).value == 0.5
    assert metrics.substantial_acceptance(data).value == 0
    assert metrics.substantial_acceptance(data).n == 1


def test_completed_code_and_keystrokes() -> None:
    """Each suggestion shown costs a key; what nobody suggested is typed."""
    data = metrics.sample([walk([opportunity(), opportunity("wrong"), opportunity("")])])

    assert metrics.rocc(data).value == pytest.approx(1 / 3)
    assert metrics.keystrokes_saved(data).value == pytest.approx((N - 2) / (3 * N))


def test_dismissals_can_cost_more_than_accepts_save() -> None:
    """Keystrokes saved goes below zero."""
    data = metrics.sample([walk([opportunity("wrong"), opportunity("bad")])])

    assert metrics.keystrokes_saved(data).value == pytest.approx(-2 / (2 * N))


def test_a_replay_that_takes_nothing_has_no_completed_code() -> None:
    """It was told not to accept; what it would have saved is not known."""
    data = metrics.sample([walk([opportunity(takes=False), opportunity("wrong")])])

    assert metrics.acceptance(data).value == 0.5
    assert math.isnan(metrics.rocc(data).value)
    assert math.isnan(metrics.keystrokes_saved(data).value)
    assert math.isnan(metrics.coverage_curve(data).at_coverage[0].rocc.value)


def test_groups() -> None:
    """Acceptance in each group; None leaves out."""
    walks = [
        walk([opportunity(), opportunity("wrong")]),
        walk([opportunity(), opportunity("")], file="b.py", new_file=True),
    ]

    found = metrics.acceptance_by(walks, lambda w, _: "new" if w.new_file else "old")
    assert {name: (f.value, f.n) for name, f in found.items()} == {"new": (1, 1), "old": (0.5, 2)}
    kept = metrics.acceptance_by(walks, lambda w, _: "old" if not w.new_file else None)
    assert list(kept) == ["old"]


def test_difference_in_pairs() -> None:
    """Both sides are judged on what both were asked; nothing shown is a miss."""
    ours = [
        walk(
            [opportunity(line=1), opportunity(line=2), opportunity("", line=3), opportunity(line=9)]
        ),
        walk([opportunity(line=1)], file="b.py"),
    ]
    theirs = [
        walk([opportunity("no", line=1), opportunity(line=2), opportunity(line=3)]),
        walk([opportunity("no", line=1)], file="b.py"),
        walk([opportunity(line=1)], file="c.py"),
    ]

    found = metrics.paired_difference(ours, theirs)
    assert found.n == 4
    assert found.value == pytest.approx((2 - 1) / 4)
    assert found.low <= found.value <= found.high
    assert metrics.paired_difference(theirs, ours).value == -found.value


def test_difference_without_common_opportunities() -> None:
    """There is nothing to compare."""
    found = metrics.paired_difference(
        [walk([opportunity()])], [walk([opportunity()], suffix="empty")]
    )

    assert math.isnan(found.value)
    assert found.n == 0


def test_scores() -> None:
    """The sum counts the tokens of the first line that is not blank, by its share of the text."""
    suggestion = Suggestion(
        text="abcd\nefgh", raw="\nabc\nefghi", logprobs=(-0.1, -0.2, -0.4, -0.8)
    )

    scores = {name: metrics.score_of(suggestion, name) for name in metrics.SCORES}
    assert scores == pytest.approx(
        {
            "sum": -0.3,
            "sum_all": -1.5,
            "mean": -1.5 / 4,
            "min": -0.8,
            "first": -0.1,
            "length": -9,
        }
    )


def test_without_log_probs_the_score_is_the_worst() -> None:
    """A suggestion that nothing is known of comes last."""
    assert metrics.score_of(Suggestion(text="x")) < metrics.score_of(
        Suggestion(text="x", logprobs=(-1000.0,))
    )


def test_shown_within_a_pause() -> None:
    """What comes later is not shown; what comes in one piece comes at its end."""
    data = metrics.sample(
        [
            walk(
                [
                    opportunity(suggestion_display_ms=300.0),
                    opportunity("wrong", suggestion_display_ms=301.0),
                    opportunity(suggestion_display_ms=0.0, suggestion_total_ms=250.0),
                    opportunity(""),
                ]
            )
        ]
    )

    shown, accepted = metrics.at_pause(data, 300)
    assert (shown.value, accepted.value) == (0.5, 1)
    assert metrics.at_pause(data, 1000)[1].value == pytest.approx(2 / 3)


def test_latency_leaves_out_what_has_no_time() -> None:
    """Requests that came to no token have no time to the first one."""
    data = metrics.sample(
        [walk([opportunity(suggestion_ttft_ms=ms) for ms in (0.0, 10.0, 20.0, 30.0)])]
    )

    (found,) = metrics.latency_percentiles(data, lambda s: s.ttft_ms, [0.5])
    assert (found.value, found.n) == (20, 3)


def test_completed_code_at_full_coverage_is_that_of_the_replay() -> None:
    """The first point of the curve agrees with the walks' own count."""
    data = metrics.sample(many_walks())

    curve = metrics.coverage_curve(data)
    assert curve.at_coverage[0].rocc.value == pytest.approx(metrics.rocc(data).value)
    assert curve.at_coverage[0].rocc.low == pytest.approx(metrics.rocc(data).low)


def test_a_block_saves_all_its_lines() -> None:
    """Indentation and line ends of an accepted block are not counted."""
    block = opportunity(f"{TARGET}\n        second()", below="        second()")
    data = metrics.sample([walk([block], n_characters=N + 8 + 10, n_typed=10)])

    point = metrics.coverage_curve(data).at_coverage[0]
    assert point.rocc.value == metrics.rocc(data).value == pytest.approx((N + 8) / (N + 18))


def test_the_main_mode_is_full_where_there_is_one() -> None:
    """A replay with several modes is not counted several times."""
    assert metrics.main_mode(many_walks(2, suffix="empty")) == "empty"
    assert metrics.main_mode([*many_walks(2, suffix="empty"), *many_walks(2)]) == "full"


def test_no_walks_give_no_figures() -> None:
    """An empty run is no error here."""
    data = metrics.sample([])

    assert data.n == 0
    assert math.isnan(metrics.acceptance(data).value)
