"""Measuring a loaded model, on a KV cache that checks how it is used."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from lsp_server.engine import speeds
from lsp_server.engine.llama import backend as llama_backend
from lsp_server.engine.llama import gauge as gauge_module
from lsp_server.engine.llama.backend import LlamaBackend
from lsp_server.engine.llama.gauge import OwnSpeed, gauge
from lsp_server.engine.options import EngineOptions
from lsp_server.models import machine, store
from tests.engine.driver import Driver, Recorder, fim_request
from tests.engine.llama.fake_llama import FakeLlama
from tests.engine.makers import speed

N_CTX = 1200


def test_all_figures_and_nothing_left_behind() -> None:
    """Every figure is there, progress grows to the end, and the sequence is empty again."""
    llama = FakeLlama(N_CTX)
    shares: list[float] = []
    found = gauge(llama, 1, model_id="m", on_progress=shares.append)  # type: ignore[arg-type]
    assert found is not None
    assert (found.model_id, found.n_prompt_tokens, found.n_runs) == ("m", 1024, 5)
    assert sorted(found.step_ms) == [1, 2, 4, 8, 16]
    assert 0 < found.first_line_ms <= found.first_line_p50_ms
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert llama.sequence(1) == []


def test_a_line_behind_a_key_is_what_is_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The time of a first line is that of eight tokens at once and ten one by one."""
    llama = FakeLlama(N_CTX)
    now_s = 0.0

    def decode(entries: list[object]) -> None:
        nonlocal now_s
        now_s += 0.010 + 0.001 * len(entries)
        FakeLlama.decode(llama, entries)  # type: ignore[arg-type]

    monkeypatch.setattr(llama, "decode", decode)
    monkeypatch.setattr(time, "perf_counter", lambda: now_s)
    found = gauge(llama, 0)  # type: ignore[arg-type]
    assert found is not None
    assert found.first_line_ms == pytest.approx(15 + 11 + 10 * 11)
    assert found.decode_tokens_per_s == pytest.approx(1000 / 11)
    assert found.step_ms == pytest.approx({1: 11, 2: 12, 4: 14, 8: 18, 16: 26})
    assert found.prefill_tokens_per_s == pytest.approx(32 / 0.042)


def test_a_slow_machine_gets_a_shorter_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that would evaluate the prompt for minutes is measured behind less of it."""
    llama = FakeLlama(N_CTX)
    now_s = 0.0

    def clock() -> float:
        nonlocal now_s
        now_s += 4.0
        return now_s

    monkeypatch.setattr(time, "perf_counter", clock)
    found = gauge(llama, 0)  # type: ignore[arg-type]
    assert found is not None
    assert found.n_prompt_tokens == 4 * 32


@pytest.mark.parametrize("n_steps", [0, 1, 10, 50, 80])
def test_interrupted_at_any_step(n_steps: int) -> None:
    """Whenever somebody else needs the model it is free at once, with nothing left behind."""
    llama = FakeLlama(N_CTX)
    left = iter(range(n_steps))
    assert gauge(llama, 0, go_on=lambda: next(left, None) is not None) is None  # type: ignore[arg-type]
    assert llama.sequence(0) == []
    assert llama.n_batches == n_steps


def test_aborted_inside_a_step() -> None:
    """The abort flag ends it like any evaluation."""
    llama = FakeLlama(N_CTX)
    llama.abort()
    assert gauge(llama, 0) is None  # type: ignore[arg-type]
    assert llama.sequence(0) == []


@pytest.fixture
def options(tmp_path: Path) -> EngineOptions:
    """Options of a model whose file was hashed."""
    path = tmp_path / "m.gguf"
    path.write_bytes(b"weights")
    store.save_record(store.record_of(path, path.stat(), "c" * 64, "m", "user"))
    return EngineOptions(model_id="m", model_path=str(path), n_slots=2)


def engine(
    monkeypatch: pytest.MonkeyPatch, options: EngineOptions, n_ctx: int
) -> tuple[FakeLlama, Driver[LlamaBackend]]:
    """A back end on a fake model that waits for no pause."""
    llama = FakeLlama(n_ctx)
    monkeypatch.setattr(llama_backend, "LlamaModel", lambda *_: llama)
    monkeypatch.setattr(llama_backend, "_GAUGE_PAUSE_S", 0.0)
    return llama, Driver(LlamaBackend(options, lambda _: True))


def until_known(driver: Driver[LlamaBackend]) -> None:
    """Wait until the back end has measured its model."""
    driver.run(fim_request("x", "y"))
    while driver.backend._own_speed.wanted(10**6):
        driver.lanes.wait(0.001)


def test_an_engine_measures_its_model_in_a_pause(
    monkeypatch: pytest.MonkeyPatch, options: EngineOptions
) -> None:
    """The figures are kept for the next start, and decide on speculation at once."""
    _, driver = engine(monkeypatch, options, 3000)
    assert driver.backend.info().speculation == "off until it is measured whether it gains"
    with driver:
        until_known(driver)
        driver.run(fim_request("x", "z"))
        assert "guessed tokens costs" in driver.backend.info().speculation
    kept = speeds.find("c" * 64, options)
    assert kept is not None
    assert (kept.model_id, kept.n_sessions) == ("m", 1)


def test_known_figures_serve_from_the_start(
    monkeypatch: pytest.MonkeyPatch, options: EngineOptions
) -> None:
    """A model that was measured often enough is not measured again."""
    speeds.save("c" * 64, options, speed(n_sessions=3))
    llama, driver = engine(monkeypatch, options, 3000)
    with driver:
        driver.run(fim_request("x", "y"))
        assert driver.backend.info().speculation.startswith("off: a step with")
        assert not driver.backend._own_speed.wanted(10**6)
    assert llama.n_evaluated < 100


def test_not_where_it_would_push_prompts_out(
    monkeypatch: pytest.MonkeyPatch, options: EngineOptions
) -> None:
    """Without room for its prompt nothing is measured, and no prompt is forgotten for it."""
    llama, driver = engine(monkeypatch, options, 1150)
    # Waiting already when the thread starts: with no prompt yet there would be room.
    job = driver.put(Recorder(fim_request("x" * 100, "y")))
    with driver:
        job.wait()
        assert llama.n_evaluated < 200
        assert driver.backend.info().slots[0].n_tokens > 100


def test_not_on_battery(monkeypatch: pytest.MonkeyPatch, options: EngineOptions) -> None:
    """A machine on its battery is neither drained nor judged by its slower speed."""
    own = OwnSpeed(options)
    assert own.wanted(2000)
    monkeypatch.setattr(machine, "on_battery", lambda: True)
    assert not own.wanted(2000)


def test_given_up_after_many_interruptions(options: EngineOptions) -> None:
    """A model that never finds a pause is left alone."""
    own = OwnSpeed(options)
    llama = FakeLlama(N_CTX)
    for _ in range(gauge_module._MAX_TRIES):
        assert own.wanted(2000)
        assert own.measure(llama, 0, lambda: False) is None  # type: ignore[arg-type]
    assert not own.wanted(2000)


def test_a_failure_is_no_failure_of_the_engine(
    monkeypatch: pytest.MonkeyPatch, options: EngineOptions
) -> None:
    """If measuring fails, requests are served as before."""

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(gauge_module, "gauge", fail)
    _, driver = engine(monkeypatch, options, 3000)
    with driver:
        until_known(driver)
        job = driver.put(Recorder(fim_request("a", "b")))
        job.wait()
        assert job.refusal is None
