"""Whether a suggestion is shown."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest

from lsp_server.acceptance.events import Failed, Shown
from lsp_server.acceptance.store import read_events
from lsp_server.completion.draft import Explanation
from lsp_server.completion.service import CompletionService
from lsp_server.completion.showing import Judge, Probability, Verdict, target_of
from lsp_server.score.features import NAMES
from lsp_server.settings import CompletionSettings, Mode
from lsp_server.types import Completion, CompletionRequest, Skip, Trigger
from tests.completion.serving import Serve, request
from tests.score.makers import evidence

P_LINE = NAMES.index("p_line")
UNLIKELY, LIKELY = -2.0, -0.01


class ByLogprob:
    """Takes the probability of the first line's tokens as that of an accept."""

    def probability(self, features: tuple[float, ...]) -> float | None:
        """It is one of the features."""
        return features[P_LINE]

    def least(self, target: float) -> float:
        """The target itself."""
        return target


def judging(
    service: CompletionService,
    draw: Callable[[], float] = lambda: 1.0,
    scorer: Probability | None = None,
) -> None:
    """Have the service judge by log-probability, or as it is told."""
    service._judge.scorer, service._judge._draw = scorer or ByLogprob(), draw


async def ask(
    service: CompletionService, marked: str = "a = ‸", *, trigger: Trigger = "automatic",
    number: int = 1,
) -> tuple[Completion | Skip, list[str], Explanation]:  # fmt: skip
    """The answer, the partial texts before it, and what it was made of."""
    partial: list[str] = []
    explained: list[Explanation] = []
    asked = request(marked, number=number)
    answer = await service.complete(
        CompletionRequest(
            id=asked.id, snapshot=asked.snapshot, line=asked.line, column=asked.column,
            trigger=trigger,
        ),
        lambda completion: partial.append(completion.text),
        explained.append,
    )  # fmt: skip
    return answer, partial, explained[0]


@pytest.mark.parametrize(
    ("target", "mode", "expected"),
    [("auto", "balanced", 0.0), ("auto", "eager", 0.0), (0.9, "eager", 0.9), (0.0, "quiet", 0.0)],
)
def test_what_share_is_to_be_taken(target: Any, mode: Mode, expected: float) -> None:
    """As the user says; left open, only who wants quiet has something held back."""
    assert target_of(CompletionSettings(target_acceptance=target, mode=mode)) == expected
    assert target_of(CompletionSettings(mode="quiet")) > 0


def test_a_verdict_is_given_once() -> None:
    """Later evidence does not change it."""
    verdict = Verdict(ByLogprob(), 0.5)
    waited = [verdict.waits]
    for logprob in (LIKELY, UNLIKELY):
        verdict.look(lambda logprob=logprob: evidence("x", logprob))  # type: ignore[misc]
        waited.append(verdict.waits)
    assert waited == [True, False, False]
    assert not verdict.hides


def test_exploration_by_a_seeded_chance() -> None:
    """About as many as the setting says, the same ones for the same seed; 0 switches it off."""
    asked = request("a = ‸")

    def explored(share: float, seed: int) -> list[bool]:
        judge = Judge(ByLogprob(), draw=random.Random(seed).random)
        settings = CompletionSettings(target_acceptance=0.9, explore=share)
        found = []
        for _ in range(2000):
            verdict = judge.verdict(settings, asked, lambda: False)
            verdict.look(lambda: evidence("x", UNLIKELY))
            assert verdict.hides != verdict.explored
            found.append(verdict.explored)
        return found

    assert explored(0.05, 1) == explored(0.05, 1)
    assert 60 < sum(explored(0.05, 1)) < 140
    assert not any(explored(0.0, 1))
    assert all(explored(1.0, 1))


async def test_unlikely_suggestions_are_held_back(serve: Serve) -> None:
    """With a reason that can be looked up, and without a flash of text before."""
    service = serve({"text": "one + two * three\n", "logprob": UNLIKELY}, target_acceptance=0.5)
    judging(service)
    answer, partial, explained = await ask(service)
    assert isinstance(answer, Skip)
    assert answer.reason == "low_score"
    assert "target_acceptance" in answer.message
    assert partial == []
    assert explained.p is not None
    assert explained.p < explained.least_p == 0.5
    assert explained.evidence is not None
    assert explained.evidence.text.startswith("one")
    await service.aclose()
    assert [e.reason for e in read_events() if isinstance(e, Failed)] == ["low_score"]


async def test_likely_ones_are_shown_once_the_line_is_whole(serve: Serve) -> None:
    """Until then nothing is shown, from then on every change is."""
    pieces = ["if ", "x:", "\n", "    y", " = 1"]
    service = serve({"pieces": pieces, "logprob": LIKELY}, target_acceptance=0.5)
    judging(service)
    answer, partial, _ = await ask(service, "def f():\n    ‸")
    assert isinstance(answer, Completion)
    assert answer.p is not None
    assert answer.p > 0.5
    assert partial[0].startswith("if x:")
    assert all("if x:" in text for text in partial)


async def test_without_a_target_everything_streams(serve: Serve) -> None:
    """However unlikely; its probability is known at the end all the same."""
    service = serve({"pieces": ["one", " + two"], "logprob": UNLIKELY})
    judging(service)
    answer, partial, _ = await ask(service)
    assert isinstance(answer, Completion)
    assert partial[0] == "one"
    assert answer.p == pytest.approx(0.018, abs=0.001)


async def test_who_asks_is_always_shown(serve: Serve) -> None:
    """An explicit request has no threshold, and streams at once."""
    service = serve({"pieces": ["one", " + two"], "logprob": UNLIKELY}, target_acceptance=0.9)
    judging(service)
    answer, partial, explained = await ask(service, trigger="invoked")
    assert isinstance(answer, Completion)
    assert partial[0] == "one"
    assert explained.least_p == 0.0


async def test_what_is_shown_stays_while_it_is_typed(serve: Serve) -> None:
    """What is left of it may look unlikely by itself: it does not vanish under the hands."""

    class OnlyLong(ByLogprob):
        def probability(self, features: tuple[float, ...]) -> float | None:
            return 0.9 if features[NAMES.index("log_chars")] > 2.2 else 0.1

    service = serve({"text": "first + second"}, target_acceptance=0.5)
    judging(service, scorer=OnlyLong())
    answer, _, _ = await ask(service)
    assert isinstance(answer, Completion)
    rest, _, explained = await ask(service, "a = first + s‸", number=2)
    assert isinstance(rest, Completion), rest
    assert rest.text == "econd"
    assert explained.p == 0.1


async def test_a_few_are_shown_to_learn_of_them(serve: Serve) -> None:
    """They are marked in the log, with what their probability was estimated from."""
    service = serve({"text": "one + two", "logprob": UNLIKELY}, target_acceptance=0.5, explore=0.02)
    judging(service, lambda: 0.01)
    answer, _, _ = await ask(service)
    assert isinstance(answer, Completion)
    await service.aclose()
    (shown,) = [event for event in read_events() if isinstance(event, Shown)]
    assert shown.explored
    assert shown.p is not None
    assert shown.p < 0.5
    assert len(shown.features) == len(NAMES)
    assert shown.features_version > 0


async def test_accepts_and_dismissals_become_evidence(serve: Serve) -> None:
    """The next suggestion knows what became of the ones before."""
    service = serve({"text": "one"})
    await ask(service, number=1)
    await service.accepted("id-1")
    await ask(service, "b = ‸", number=2)
    service.dismissed("id-2")
    _, _, explained = await ask(service, "c = ‸", number=3)
    assert explained.evidence is not None
    assert [past.accepted for past in explained.evidence.history] == [False, True]
