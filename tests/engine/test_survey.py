"""Models are measured in pauses, and whoever asks comes first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from lsp_server.engine import survey as survey_module
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.survey import Survey

PATIENCE_S = 20
A, B = (EngineOptions(model_id=name, model_path=f"/{name}") for name in "ab")


class Bench:
    """Stands in for the measuring process."""

    def __init__(self) -> None:
        self.started: asyncio.Queue[str] = asyncio.Queue()
        self.ended: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.let_go = asyncio.Event()
        self.idle = True
        self.allowed = {A, B}
        self.asked_idle = asyncio.Event()

    async def measure(self, options: EngineOptions) -> bool:
        """Until it is let go."""
        self.started.put_nowait(options.model_id)
        try:
            await self.let_go.wait()
        except asyncio.CancelledError:
            self.ended.put_nowait((options.model_id, "cancelled"))
            raise
        self.ended.put_nowait((options.model_id, "done"))
        return True

    def is_idle(self) -> bool:
        """Whether the engine rests."""
        self.asked_idle.set()
        return self.idle

    async def next(self) -> str:
        """The model that is measured next."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.started.get()

    async def end(self) -> tuple[str, str]:
        """How the running measurement ends."""
        async with asyncio.timeout(PATIENCE_S):
            return await self.ended.get()


@pytest.fixture
def bench() -> Bench:
    """A machine on which everything may be measured."""
    return Bench()


@pytest.fixture
async def survey(bench: Bench) -> AsyncIterator[Survey]:
    """A survey that waits for no pause."""
    made = Survey(
        bench.is_idle,
        measure=bench.measure,
        may_run=lambda options: options in bench.allowed,
        pause_s=0.0,
    )
    yield made
    await made.aclose()


async def test_one_after_another(bench: Bench, survey: Survey) -> None:
    """Each model is measured once, however often it is named."""
    bench.let_go.set()
    survey.add([A, B])
    survey.add([A])
    assert [await bench.end(), await bench.end()] == [("a", "done"), ("b", "done")]
    survey.add([A, B])
    assert survey._timer is None
    assert bench.started.qsize() == 2


async def test_a_request_ends_it_at_once(bench: Bench, survey: Survey) -> None:
    """Somebody asks: the measurement ends, and comes again in the next pause."""
    survey.add([A])
    assert await bench.next() == "a"
    survey.disturb()
    assert await bench.end() == ("a", "cancelled")
    assert await bench.next() == "a"
    bench.let_go.set()
    assert await bench.end() == ("a", "done")


async def test_nothing_happens_while_it_is_not_allowed(bench: Bench, survey: Survey) -> None:
    """A pause ends what is measured, and then not even the clock is looked at; later it goes on."""
    survey.add([A])
    assert await bench.next() == "a"
    survey.allow(False)
    assert await bench.end() == ("a", "cancelled")
    survey.disturb()
    survey.add([B])
    assert survey._timer is None
    bench.let_go.set()
    survey.allow(True)
    assert {await bench.end(), await bench.end()} == {("a", "done"), ("b", "done")}


async def test_given_up_after_many_interruptions(bench: Bench, survey: Survey) -> None:
    """A model that never finds a pause long enough is left alone; the others are not."""
    survey.add([A])
    for _ in range(survey_module._MAX_TRIES):
        assert await bench.next() == "a"
        survey.disturb()
        await bench.end()
    survey.add([B])
    assert await bench.next() == "b"


async def test_not_while_the_engine_works(bench: Bench, survey: Survey) -> None:
    """An engine that is not idle is asked again later."""
    bench.idle = False
    survey.add([A])
    async with asyncio.timeout(PATIENCE_S):
        await bench.asked_idle.wait()
    assert bench.started.empty()
    bench.idle = True
    assert await bench.next() == "a"


async def test_a_machine_that_may_not_be_used(bench: Bench, survey: Survey) -> None:
    """On battery or without memory a model waits; another one that fits goes first."""
    bench.allowed = {B}
    survey.add([A, B])
    assert await bench.next() == "b"
    bench.allowed = {A, B}
    bench.let_go.set()
    assert await bench.next() == "a"


async def test_closing_ends_the_measurement(bench: Bench, survey: Survey) -> None:
    """An engine that leaves takes its measurement along, and starts no other."""
    survey.add([A, B])
    await bench.next()
    await survey.aclose()
    assert await bench.end() == ("a", "cancelled")
    assert survey._timer is None
    assert bench.started.empty()


@pytest.mark.parametrize(
    ("script", "logged"),
    [
        ('print(\'noise\'); print(\'{"code": "x", "message": "It is damaged."}\')', "damaged"),
        ("import os; os.abort()", "died"),
        ("", "died"),
    ],
)
async def test_a_model_that_cannot_be_measured_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    run_script: Callable[[str], None],
    script: str,
    logged: str,
) -> None:
    """A model that kills its process, or is refused, is named in the log and not tried again."""
    run_script(script)
    done: asyncio.Queue[bool] = asyncio.Queue()

    async def measure(options: EngineOptions) -> bool:
        done.put_nowait(await survey_module._measure(options))
        return True

    made = Survey(lambda: True, measure=measure, may_run=lambda _: True, pause_s=0.0)
    made.add([A])
    async with asyncio.timeout(PATIENCE_S):
        assert await done.get() is True
    assert f"a could not be measured: {'It is ' if logged == 'damaged' else ''}" in caplog.text
    assert logged in caplog.text
    await made.aclose()


async def test_an_interrupted_process_is_ended(run_script: Callable[[str], None]) -> None:
    """The process of an interrupted measurement does not stay behind."""
    run_script("import signal; print('{}', flush=True); signal.pause()")
    task = asyncio.create_task(survey_module._measure(A))
    processes: list[asyncio.subprocess.Process] = []
    create = asyncio.create_subprocess_exec

    async def keep(*arguments: str, **options: Any) -> asyncio.subprocess.Process:
        processes.append(await create(*arguments, **options))
        started.set()
        return processes[-1]

    started = asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(asyncio, "create_subprocess_exec", keep)
        async with asyncio.timeout(PATIENCE_S):
            await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert processes[0].returncode is not None
