"""The engine in this process: jobs that keep time, timed evaluations, prompts of exact length."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from benchmarks.engine.driver import Engine, Recorded
from benchmarks.engine.timer import DecodeTimer, Step
from benchmarks.engine.words import Words, request, segments
from lsp_server.engine.llama.tokenizer import Encoded
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineError, EngineRefusedError
from tests.benchmarks import fake_engine
from tests.engine.llama.fake_llama import FakeLlama, FakeTokenizer, expected_text


def test_a_request_is_served_and_keeps_its_times(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prompt is there before the first token, and the tokens come in order."""
    with fake_engine.engine(monkeypatch) as engine:
        wanted = request("some text", 12)
        job = engine.run(wanted)
        llama: Any = engine.llama
        assert job.text == expected_text(llama, wanted)
        times = [job.created_s, job.prefilled_s, *job.token_times_s, job.ended_s]
        assert times == sorted(times)
        assert len(job.token_times_s) == job.timings.n_generated


def test_an_endless_text_ends_with_its_length_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the model predicts; behind the context its own end counts again."""
    texts = [f"text {number}" for number in range(8)]
    with fake_engine.engine(monkeypatch) as engine:
        with engine.endless():
            endless = [engine.run(request(text, 40)) for text in texts]
        ended = [engine.run(request(text, 40)) for text in texts]
    assert [job.timings.n_generated for job in endless] == [40] * len(texts)
    assert any(job.finish_reason == "stop" for job in ended)


def test_a_refusal_is_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    """With its own code."""
    fake_engine.install(monkeypatch, n_ctx=32)
    with Engine(EngineOptions()) as engine, pytest.raises(EngineRefusedError) as refused:
        engine.run(request("x" * 100, 4))
    assert refused.value.code == "prompt_too_long"


def test_a_job_that_waits_is_cancelled_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Though the engine has not seen it."""
    models = fake_engine.install(monkeypatch)
    gate = threading.Event()
    with Engine(EngineOptions(n_slots=1)) as engine:
        models[0].before_ubatch = lambda: gate.wait(30)
        running = engine.put(Recorded(request("one", 4)))
        engine.timer.wait_started(1)
        waiting = engine.put(Recorded(request("two", 4), "b"))
        engine.cancel(waiting)
        waiting.wait()
        assert waiting.finish_reason == "cancelled"
        gate.set()
        running.wait()
        assert running.finish_reason != "cancelled"


def test_a_failed_engine_leaves_nobody_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that wait get its error, and those that come later too."""
    fake_engine.install(monkeypatch)
    engine = Engine(EngineOptions())
    monkeypatch.setattr(engine._backend._steps, "run", lambda: 1 // 0)
    with engine:
        for text in ("first", "second"):
            with pytest.raises(EngineError) as failed:
                engine.run(request(text, 4))
            assert failed.value.code == "engine_failed"


class _Decoder:
    """A model that fails on request."""

    def __init__(self) -> None:
        self.fails = False

    def decode(self, entries: list[int]) -> str:
        """Evaluate."""
        if self.fails:
            raise EngineError("It fails.", code="decode_failed")
        return f"{len(entries)} evaluated"


def test_evaluations_are_timed_and_pass_through() -> None:
    """With their number of tokens; one that failed is told apart, and its error comes through."""
    llama = _Decoder()
    timer = DecodeTimer(llama)
    assert llama.decode([1, 2, 3]) == "3 evaluated"
    llama.fails = True
    with pytest.raises(EngineError):
        llama.decode([1])
    assert [(step.n_tokens, step.whole) for step in timer.steps] == [(3, True), (1, False)]
    assert timer.n_started == 2
    assert timer.wait_started(2)
    assert all(step.ms >= 0 for step in timer.steps)


def test_only_evaluations_within_a_stretch_count() -> None:
    """One that began before or ended behind it does not."""
    timer = DecodeTimer(_Decoder())
    timer.steps = [Step(1, float(at), at + 0.5, True) for at in range(5)]
    assert [step.started_s for step in timer.between(1.0, 3.2)] == [1.0, 2.0]


@pytest.mark.parametrize("n_prompt", [4, 5, 17, 256, 1000])
def test_a_prompt_has_exactly_so_many_tokens(n_prompt: int) -> None:
    """Equal places give equal texts, others give others."""
    tokenizer = FakeTokenizer()
    words = Words(tokenizer, seed=1)
    text = words.text(n_prompt, "place", 3)
    assert len(tokenizer.encode(segments(text)).tokens) == n_prompt
    assert words.text(n_prompt, "place", 3) == text
    if n_prompt > 100:
        assert words.text(n_prompt, "place", 4) != text
        longer = words.text(n_prompt + 50, "on", begin=text)
        assert longer.startswith(text)
        assert words.count(longer) == n_prompt + 50


class _Pairs(FakeTokenizer):
    """A tokenizer that never gives an odd number of tokens."""

    def encode(self, segments: Any, heal_bytes: int = 0) -> Encoded:
        """Everything twice."""
        encoded = super().encode(segments, heal_bytes)
        return encoded._replace(tokens=encoded.tokens * 2)


def test_a_length_that_cannot_be_met_is_an_error() -> None:
    """Instead of a measurement of something else."""
    with pytest.raises(EngineError) as failed:
        Words(_Pairs(), seed=1).text(33)
    assert failed.value.code == "no_such_prompt"


def test_the_fake_model_is_timed_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every token of a request is in one of the evaluations."""
    with fake_engine.engine(monkeypatch) as engine, engine.endless():
        job = engine.run(request("text", 5))
        llama: Any = engine.llama
        assert isinstance(llama, FakeLlama)
        assert sum(step.n_tokens for step in engine.timer.steps) == job.timings.n_prompt + 4
