"""The worker: a model that is loaded when it is needed and freed when it is not."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lsp_server.engine import worker
from lsp_server.engine.backend import Backend, BackendInfo, serve_in_turn
from lsp_server.engine.job import Clock, Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import (
    EngineState,
    Generate,
    PlacementStatus,
    SlotStatus,
    StateChange,
)
from lsp_server.engine.texts import Texts
from lsp_server.engine.worker import Worker
from lsp_server.errors import EngineUnavailableError
from lsp_server.types import SamplingParams
from tests.engine.driver import Recorder

_PATIENCE_S = 60
_SOON_S = 0.001


class EchoBackend:
    """Answers each job with its number; a job of no tokens runs until it is cancelled.

    Args:
        on_close: called while it closes.
    """

    def __init__(self, on_close: Callable[[], None] = lambda: None) -> None:
        self.closed = False
        self.halted = threading.Event()
        self._on_close = on_close

    def info(self) -> BackendInfo:
        """See Backend."""
        slots = (SlotStatus(seq_id=0, n_tokens=7),)
        placement = PlacementStatus(
            devices=("CUDA0",),
            n_layers=25,
            n_gpu_layers=25,
            split_mode="none",
            kv_type="f16",
            host_bytes=1,
            gpu_bytes=(1,),
        )
        return BackendInfo(name="echo", n_ctx=99, n_gpu_layers=25, placement=placement, slots=slots)

    def serve(self, lanes: Lanes) -> None:
        """See Backend."""
        serve_in_turn(lanes, self._run)

    def _run(self, job: Job) -> None:
        assert not self.closed
        if job.request.sampling.max_tokens == 0:
            job.send("begun")
            assert job.wait_cancelled(_PATIENCE_S)
            job.finish("cancelled", Clock(job))
            return
        job.send(str(job.request.request_id))
        job.finish("stop", Clock(job))

    def read_from(self, texts: Texts) -> None:
        """See Backend."""

    def interrupt(self, job: Job) -> None:
        """See Backend."""
        assert not self.closed

    def make_way(self, job: Job) -> None:
        """See Backend."""
        assert not self.closed

    def halt(self) -> None:
        """See Backend."""
        assert not self.closed
        self.halted.set()

    def close(self, *, keep_prompts: bool = True) -> None:
        """See Backend."""
        assert not self.closed
        self.closed = True
        self._on_close()


class Engine:
    """A worker, what it told, and the back ends it opened.

    Args:
        unload_idle_s: see EngineOptions.
    """

    def __init__(self, unload_idle_s: float = 0.0) -> None:
        self.lanes = Lanes(unload_idle_s)
        self.opened: list[EchoBackend] = []
        self.told: list[StateChange] = []
        self.open: Callable[[Callable[[float], bool]], EchoBackend] = lambda _: EchoBackend()
        self._changed = threading.Condition()
        self.worker = Worker(EngineOptions(model_id="m"), self.lanes, self._tell, self._load)

    def _load(self, _options: EngineOptions, on_progress: Callable[[float], bool]) -> Backend:
        backend = self.open(on_progress)
        self.opened.append(backend)
        return backend

    def _tell(self, state: StateChange) -> None:
        with self._changed:
            self.told.append(state)
            self._changed.notify_all()

    def wait_for(self, *states: EngineState) -> None:
        """Wait until these states, and no others, were told from the beginning."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.states == list(states), _PATIENCE_S), (
                self.states
            )

    def wait_until(self, state: EngineState) -> StateChange:
        """Wait until this is the state."""
        with self._changed:
            assert self._changed.wait_for(
                lambda: bool(self.told) and self.told[-1].state == state, _PATIENCE_S
            ), self.states
            return self.told[-1]

    @property
    def states(self) -> list[str]:
        """All states it told, in order; loading once however often its progress was told."""
        return [
            state.state
            for n, state in enumerate(self.told)
            if n == 0 or state.state != self.told[n - 1].state
        ]

    def put(self, number: int, **options: Any) -> Recorder:
        """Put a job into its lane."""
        job = Recorder(Generate(request_id=number, segments=(), **options))
        self.lanes.put(job)
        return job

    def ask(self, number: int) -> None:
        """A job that is answered, once."""
        check(self.put(number))

    def leave(self) -> None:
        """End the thread."""
        self.lanes.close()
        self.worker.join(_PATIENCE_S)


def check(job: Recorder) -> None:
    """A job was answered, with one last chunk."""
    job.wait()
    assert job.text == str(job.request.request_id)
    assert [chunk.finish_reason for chunk in job.chunks] == [None, "stop"]


@pytest.fixture
def engine() -> Iterator[Engine]:
    """An engine that never unloads by itself; it is started by the test."""
    made = Engine()
    yield made
    made.leave()


@pytest.fixture
def lazy() -> Iterator[Engine]:
    """An engine that unloads after a millisecond without a job."""
    made = Engine(_SOON_S)
    yield made
    made.leave()


def test_loads_at_once_and_serves(engine: Engine) -> None:
    """Whoever starts an engine is about to ask; it is ready before the first job."""
    engine.worker.start()
    engine.wait_for("loading", "ready")
    assert (engine.told[-1].on_gpu, engine.told[-1].n_ctx) == (True, 99)
    for number in range(3):
        engine.ask(number)
    engine.leave()
    assert [backend.closed for backend in engine.opened] == [True]


def test_unloads_after_idling(lazy: Engine) -> None:
    """Without jobs for long enough the back end is closed, and what it was is still known."""
    lazy.worker.start()
    state = lazy.wait_until("unloaded")
    assert lazy.states == ["loading", "ready", "unloaded"]
    assert (state.model, state.on_gpu, state.n_ctx, state.message) == ("m", True, 99, "")
    assert [backend.closed for backend in lazy.opened] == [True]
    info = lazy.worker.info()
    assert info is not None
    assert (info.name, info.n_ctx, info.slots) == ("echo", 99, ())


def test_never_unloads_when_told_so(engine: Engine) -> None:
    """With 0 the back end waits for its next job without an end in sight."""
    engine.worker.start()
    engine.wait_until("ready")
    waiting = threading.Event()
    held = engine.lanes._changed.wait

    def wait(timeout: float | None = None) -> bool:
        assert timeout is None
        waiting.set()
        return held(timeout)

    engine.lanes._changed.wait = wait  # type: ignore[method-assign]
    engine.ask(1)
    assert waiting.wait(_PATIENCE_S)
    engine.ask(2)
    assert engine.states == ["loading", "ready"]


def test_the_next_job_loads_again(lazy: Engine) -> None:
    """A job for an unloaded engine waits for the model and is answered by a new back end."""
    lazy.worker.start()
    lazy.wait_until("unloaded")
    lazy.ask(1)
    lazy.wait_until("unloaded")
    assert lazy.states == ["loading", "ready", "unloaded"] * 2
    assert [backend.closed for backend in lazy.opened] == [True, True]


def test_a_wake_up_loads_without_a_job(lazy: Engine) -> None:
    """What an editor's focus means: be ready before somebody asks."""
    lazy.worker.start()
    lazy.wait_until("unloaded")
    lazy.lanes.wake()
    lazy.wait_for("loading", "ready", "unloaded", "loading", "ready", "unloaded")


def test_a_job_that_comes_while_it_closes_waits(lazy: Engine) -> None:
    """A job put in the middle of unloading is answered once, by the next back end."""
    jobs: list[Recorder] = []

    def put_one() -> None:
        if not jobs:
            jobs.append(lazy.put(1))

    lazy.open = lambda _: EchoBackend(on_close=put_one)
    lazy.worker.start()
    lazy.wait_until("unloaded")
    (job,) = jobs
    check(job)
    assert lazy.states == ["loading", "ready"] * 2 + ["unloaded"]


def test_a_job_in_the_moment_of_unloading_keeps_the_model(engine: Engine) -> None:
    """If a job comes when the back end has just been sent home, it goes on with it."""
    served: list[Backend] = []

    class Leaving(EchoBackend):
        def serve(self, lanes: Lanes) -> None:
            served.append(self)
            lanes._wanted = len(served) > 1  # as when it has idled for too long
            if len(served) == 1:
                jobs.append(engine.put(1))
                return
            super().serve(lanes)

    jobs: list[Recorder] = []
    engine.open = lambda _: Leaving()
    engine.worker.start()
    engine.wait_until("ready")
    engine.ask(2)
    check(jobs[0])
    assert len(served) == 2
    assert len(engine.opened) == 1


@pytest.mark.parametrize("seed", range(3))
def test_every_job_is_answered_once(monkeypatch: pytest.MonkeyPatch, seed: int) -> None:
    """Jobs at any moment of loading, serving and unloading: none is lost, none doubled."""
    monkeypatch.setattr(worker, "give_back_memory", lambda: None)  # slow, a hundred times
    chance = random.Random(seed)
    engine = Engine(_SOON_S)
    engine.open = lambda _: EchoBackend(
        on_close=lambda: jobs.append(engine.put(len(jobs))) if chance.random() < 0.3 else None
    )
    jobs: list[Recorder] = []
    engine.worker.start()
    for _ in range(150):
        jobs.append(engine.put(len(jobs)))
        match chance.randrange(4):
            case 0:
                engine.wait_until("unloaded")
            case 1:
                jobs[-1].wait()
            case 2:
                engine.lanes.wait(_SOON_S)
    for job in list(jobs):
        check(job)
    assert len(engine.opened) > 10
    engine.leave()
    assert all(backend.closed for backend in engine.opened)


# -- pause -------------------------------------------------------------------------------


def test_pause_frees_the_model_and_resume_waits_for_a_job(engine: Engine) -> None:
    """After a pause nothing is loaded until a job comes."""
    engine.worker.start()
    engine.wait_until("ready")
    engine.lanes.pause()
    engine.worker.halt()
    paused = engine.wait_until("paused")
    assert engine.opened[0].closed
    assert (paused.code, paused.n_ctx) == ("paused", 99)
    assert "midfill engine resume" in paused.hint
    engine.lanes.resume()
    assert engine.wait_until("unloaded").code == ""
    engine.ask(1)
    assert engine.states == ["loading", "ready", "paused", "unloaded", "loading", "ready"]


def test_pause_while_a_job_runs(engine: Engine) -> None:
    """The job at work is cancelled, what it evaluates is stopped, and the model is freed."""
    engine.worker.start()
    begun = threading.Event()
    job = Recorder(
        Generate(request_id=1, segments=(), sampling=SamplingParams(max_tokens=0)),
        on_chunk=lambda *_: begun.set(),
    )
    engine.lanes.put(job)
    assert begun.wait(_PATIENCE_S)
    engine.lanes.pause()
    job.cancel()
    engine.worker.halt()
    engine.wait_until("paused")
    assert job.last.finish_reason == "cancelled"
    assert engine.opened[0].halted.is_set()
    assert engine.opened[0].closed


def test_pause_while_loading(engine: Engine) -> None:
    """A load is stopped, which is no failure; after resume it begins anew."""
    loading = threading.Event()
    go_on = threading.Event()

    def open_slowly(on_progress: Callable[[float], bool]) -> EchoBackend:
        loading.set()
        assert go_on.wait(_PATIENCE_S)
        if not on_progress(0.5):
            raise EngineUnavailableError("stopped", code="model_load_failed")
        return EchoBackend()

    engine.open = open_slowly
    engine.worker.start()
    assert loading.wait(_PATIENCE_S)
    engine.lanes.pause()
    go_on.set()
    engine.wait_until("paused")
    assert engine.opened == []
    engine.lanes.resume()
    engine.ask(1)
    assert "failed" not in engine.states


def test_a_stopped_load_is_no_failure_even_if_it_is_wanted_again(engine: Engine) -> None:
    """Resume in the moment in which the load gives up: it is loaded again."""

    def give_up_once(on_progress: Callable[[float], bool]) -> EchoBackend:
        if engine.told[-1].progress == 0 and len(engine.told) == 1:
            engine.lanes.pause()
            stopped = not on_progress(0.5)
            engine.lanes.resume()
            engine.lanes.wake()
            assert stopped
            raise EngineUnavailableError("stopped", code="model_load_failed")
        return EchoBackend()

    engine.open = give_up_once
    engine.worker.start()
    engine.ask(1)
    assert engine.states == ["loading", "ready"]


def test_paused_from_the_beginning(engine: Engine) -> None:
    """An engine that starts while midfill is paused loads nothing."""
    engine.lanes.pause()
    engine.worker.start()
    engine.wait_for("paused")
    assert engine.opened == []
    assert engine.worker.info() is None


# -- failures ----------------------------------------------------------------------------


def test_a_failed_load_ends_the_thread(engine: Engine) -> None:
    """The reason is told, and what waits stays in the lanes for whoever refuses it."""

    def fail(_on_progress: Callable[[float], bool]) -> EchoBackend:
        raise EngineUnavailableError("It is gone.", code="model_gone", hint="Fetch it.")

    engine.open = fail
    engine.put(1)
    engine.worker.start()
    state = engine.wait_until("failed")
    assert (state.code, state.message, state.hint) == ("model_gone", "It is gone.", "Fetch it.")
    engine.worker.join(_PATIENCE_S)
    assert len(engine.lanes) == 1


def test_a_failed_reload_is_told_too(lazy: Engine) -> None:
    """A model that disappeared while it was unloaded fails the engine with the reason."""
    lazy.worker.start()
    lazy.wait_until("unloaded")

    def fail(_on_progress: Callable[[float], bool]) -> EchoBackend:
        raise ValueError("anything")

    lazy.open = fail
    lazy.put(1)
    assert lazy.wait_until("failed").code == "load_failed"


def test_a_back_end_that_breaks_fails_the_engine(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """An error outside of any job is no silence: the state says so, and nothing of it is logged."""

    class Broken(EchoBackend):
        def serve(self, lanes: Lanes) -> None:
            raise RuntimeError("secret text")

    engine.open = lambda _: Broken()
    engine.worker.start()
    assert engine.wait_until("failed").code == "engine_failed"
    assert "secret" not in caplog.text


def test_progress_is_told_in_steps(engine: Engine) -> None:
    """Of a hundred reports a handful is passed on, in the order of loading."""

    def open_slowly(on_progress: Callable[[float], bool]) -> EchoBackend:
        assert all(on_progress(n / 100) for n in range(101))
        return EchoBackend()

    engine.open = open_slowly
    engine.worker.start()
    engine.wait_until("ready")
    progress = [state.progress for state in engine.told if state.state == "loading"]
    assert progress == sorted(progress)
    assert 5 < len(progress) < 15
