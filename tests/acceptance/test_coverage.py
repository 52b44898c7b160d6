"""Acceptance against coverage, from the log."""

from __future__ import annotations

import msgspec
import pytest

from lsp_server.acceptance.coverage import calibration_error, curve
from lsp_server.acceptance.events import Event, Failed
from tests.acceptance.makers import accepted, shown


def log(*pairs: tuple[float | None, bool], score: float = -0.25) -> list[Event]:
    """Suggestions with a probability, and whether each was accepted."""
    events: list[Event] = []
    for number, (p, taken) in enumerate(pairs):
        name = str(number)
        events.append(msgspec.structs.replace(shown(name), p=p, score=score - number / 100))
        if taken:
            events.append(accepted(name))
    return events


def held_back(n: int) -> list[Event]:
    """Suggestions that were not shown."""
    return [
        Failed(completion_id=f"h{number}", ts=1.0, session="s1", reason="low_score")
        for number in range(n)
    ]


SURE = [(0.9, True)] * 9 + [(0.85, False)]
DOUBTFUL = [(0.3, True)] * 2 + [(0.2, False)] * 8


def test_the_likeliest_are_accepted_most() -> None:
    """At half of the coverage the sure ones are left, and so on."""
    found = curve(log(*SURE, *DOUBTFUL))
    assert found is not None
    acceptance = {point.coverage: point.acceptance for point in found.at_coverage}
    assert acceptance == {1.0: 0.55, 0.8: 11 / 16, 0.5: 0.9, 0.3: 1.0, 0.2: 1.0, 0.1: 1.0}
    coverage = {level: point.coverage for level, point in found.at_acceptance}
    assert coverage == {0.5: 1.0, 0.75: 0.6, 0.9: 0.6, 0.92: 0.45}
    assert (found.now.coverage, found.now.acceptance) == (1.0, 0.55)
    assert (found.ranked_by, found.n_held_back) == ("P(accept)", 0)


def test_what_was_held_back_was_made() -> None:
    """It lowers the coverage; what would have become of it is not known."""
    found = curve([*log(*SURE, *SURE), *held_back(20)])
    assert found is not None
    assert found.now.coverage == 0.5
    assert (found.n_made, found.n_held_back) == (40, 20)
    by_coverage = {point.coverage: point.acceptance for point in found.at_coverage}
    assert by_coverage[1.0] is by_coverage[0.8] is None
    assert by_coverage[0.5] == 0.9


def test_logs_from_before_there_was_a_probability() -> None:
    """They are ranked by the log-probability."""
    found = curve(log(*[(None, number < 10) for number in range(30)]))
    assert found is not None
    assert found.ranked_by == "mean log-probability"
    assert found.ece is None
    assert found.at_coverage[3].acceptance == 1.0


def test_too_little_says_nothing() -> None:
    """A curve of a handful of suggestions would be taken at its word."""
    assert curve(log(*SURE)) is None
    assert curve([]) is None


def test_a_threshold_cannot_part_equals() -> None:
    """Of twenty suggestions with one score all are shown or none."""
    found = curve(log(*[(0.5, number < 10) for number in range(20)]))
    assert found is not None
    assert dict(found.at_acceptance)[0.75].coverage == 0.0


@pytest.mark.parametrize(("p", "error"), [(0.5, 0.0), (0.9, 0.4)])
def test_calibration_error(p: float, error: float) -> None:
    """How far the probability is from the share that was accepted."""
    judged = [(p, number % 2 == 0) for number in range(100)]
    assert calibration_error(judged) == pytest.approx(error)


def test_as_json() -> None:
    """The figures have names."""
    found = curve(log(*SURE, *DOUBTFUL))
    assert found is not None
    figures = found.as_json()
    assert figures["at_coverage"][0]["coverage"] == 1.0
    assert figures["at_acceptance"][-1]["asked"] == 0.92
    assert figures["now"]["acceptance"] == 0.55
