"""What an engine process does besides serving, seen from inside."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Iterable

import msgspec
import pytest

from context.types import Segment
from lsp_server.engine import host as host_module
from lsp_server.engine import protocol, spawn
from lsp_server.engine.backend import BackendInfo, serve_in_turn
from lsp_server.engine.client import EngineClient
from lsp_server.engine.host import Host
from lsp_server.engine.job import Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.texts import News, Texts
from lsp_server.errors import ModelNotFoundError
from lsp_server.types import SamplingParams
from tests.scripted_engine import MakeOptions

PATIENCE_S = 20
LARGER = EngineOptions(model_id="larger", model_path="/larger.gguf")


class Recorded:
    """Stands in for the survey, and keeps what it is told."""

    def __init__(self, is_idle: Callable[[], bool]) -> None:
        self.is_idle = is_idle
        self.models: asyncio.Queue[EngineOptions] = asyncio.Queue()
        self.n_disturbed = 0
        self._allowed = True
        self.closed = False

    def add(self, models: Iterable[EngineOptions]) -> None:
        """See Survey."""
        for options in models:
            self.models.put_nowait(options)

    def disturb(self) -> None:
        """See Survey."""
        self.n_disturbed += 1

    def allow(self, allowed: bool) -> None:
        """See Survey."""
        self._allowed = allowed

    def may_measure(self) -> bool:
        """What it was allowed last."""
        return self._allowed

    async def aclose(self) -> None:
        """See Survey."""
        self.closed = True


@pytest.fixture
async def running(
    scripted: MakeOptions, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[EngineOptions, Recorded]]:
    """An engine in this process."""
    surveys: list[Recorded] = []

    def make(is_idle: Callable[[], bool]) -> Recorded:
        surveys.append(Recorded(is_idle))
        return surveys[-1]

    monkeypatch.setattr(host_module, "Survey", make)
    options = scripted(default="fine words")
    host = Host(options)
    task = asyncio.create_task(host.run())
    async with asyncio.timeout(PATIENCE_S):
        while not options.socket_path.exists():
            await asyncio.sleep(0)
    yield options, surveys[0]
    host._leave.set()
    await task
    assert surveys[0].closed


async def test_models_named_by_a_client_are_surveyed(
    running: tuple[EngineOptions, Recorded],
) -> None:
    """A client names models at its connection; its requests disturb; then the engine rests."""
    options, survey = running
    client = EngineClient(options, name="test", survey=lambda: (LARGER,))
    async with contextlib.aclosing(client), asyncio.timeout(PATIENCE_S):
        await client.connect()
        assert await survey.models.get() == LARGER
        assert survey.n_disturbed == 0
        prompt = (Segment(role="fim_prefix"), Segment(role="fim_middle"))
        async for _ in client.generate(prompt, SamplingParams()):
            pass
        assert survey.n_disturbed == 1
        assert survey.is_idle()


async def test_unreadable_models_are_left_out(
    running: tuple[EngineOptions, Recorded],
) -> None:
    """What is no engine's options is skipped; the others are taken."""
    options, survey = running
    client = EngineClient(options, name="test")
    async with contextlib.aclosing(client), asyncio.timeout(PATIENCE_S):
        await client.connect()
        good = msgspec.json.encode(LARGER).decode()
        client._send(protocol.Survey(models=("{", '{"n_ctx": "many"}', good)))
        assert await survey.models.get() == LARGER
        assert survey.models.empty()


async def test_a_client_without_models_is_served(
    running: tuple[EngineOptions, Recorded],
) -> None:
    """If the fetched models cannot be looked at, requests are served all the same."""

    def fail() -> tuple[EngineOptions, ...]:
        raise ModelNotFoundError("It is gone.", code="model_file_missing")

    options, survey = running
    client = EngineClient(options, name="test", survey=fail)
    async with contextlib.aclosing(client), asyncio.timeout(PATIENCE_S):
        prompt = (Segment(role="fim_prefix"), Segment(role="fim_middle"))
        chunks = [chunk async for chunk in client.generate(prompt, SamplingParams())]
        assert "".join(chunk.text for chunk in chunks) == "fine words"
    assert survey.models.empty()


async def test_a_pause_keeps_the_survey_from_measuring(
    running: tuple[EngineOptions, Recorded],
) -> None:
    """While midfill is paused, or the model is unloaded, nothing is measured."""
    options, survey = running
    client = EngineClient(options, name="test")
    async with contextlib.aclosing(client), asyncio.timeout(PATIENCE_S):
        await client.connect()
        assert survey.may_measure()
        assert await spawn.tell_paused(options.socket_path, True)
        assert not survey.may_measure()
        assert not survey.is_idle()
        assert await spawn.tell_paused(options.socket_path, False)
        await client.wake()
        while not survey.is_idle():
            await asyncio.sleep(0)
        assert survey.may_measure()


class WatchedBackend:
    """Serves nobody, and remembers how it was closed."""

    def __init__(self) -> None:
        self.closed: list[bool] = []
        self.texts: Texts | None = None

    def info(self) -> BackendInfo:
        """See Backend."""
        return BackendInfo(name="watched", n_ctx=1, n_stored_prompts=2, stored_bytes=300)

    def serve(self, lanes: Lanes) -> None:
        """See Backend."""
        serve_in_turn(lanes, lambda _job: None)

    def read_from(self, texts: Texts) -> None:
        """See Backend."""
        self.texts = texts

    def interrupt(self, job: Job) -> None:
        """See Backend."""

    def make_way(self, job: Job) -> None:
        """See Backend."""

    def halt(self) -> None:
        """See Backend."""

    def close(self, *, keep_prompts: bool = True) -> None:
        """See Backend."""
        self.closed.append(keep_prompts)


@pytest.mark.parametrize("keep_prompts", [True, False])
async def test_who_stops_it_says_whether_prompts_are_kept(
    scripted: MakeOptions, keep_prompts: bool
) -> None:
    """The back end learns it when it is closed; the status tells what lies on disk."""
    backend = WatchedBackend()
    options = scripted()
    running = asyncio.create_task(Host(options, lambda *_: backend).run())
    async with asyncio.timeout(PATIENCE_S):
        status = None
        while status is None or status.state != "ready":
            await asyncio.sleep(0)
            status = await spawn.query(options.socket_path)
        assert (status.n_stored_prompts, status.stored_bytes) == (2, 300)
        assert await spawn.stop(options.socket_path, keep_prompts=keep_prompts)
        await running
    assert backend.closed == [keep_prompts]


@pytest.mark.parametrize("n_tokens", [100, 0])
async def test_texts_of_a_workspace_reach_the_back_end(
    scripted: MakeOptions, n_tokens: int
) -> None:
    """As they were told, and the status tells how much; one that is to have none takes none."""
    backend = WatchedBackend()
    options = msgspec.structs.replace(scripted(), n_corpus_tokens=n_tokens)
    running = asyncio.create_task(Host(options, lambda *_: backend).run())
    client = EngineClient(options)
    assert not client.tell("shop", "cart.py", "cart = 1")
    async with asyncio.timeout(PATIENCE_S):
        while not options.socket_path.exists():
            await asyncio.sleep(0)
        await client.settle()
        assert client.engine_pid == os.getpid()
        assert client.tell("shop", "cart.py", "cart = 1")
        assert client.tell("shop", "till.py", "till = 2")
        assert client.tell("shop", "cart.py", "")
        status = await spawn.query(options.socket_path)
        while n_tokens and status is not None and status.corpus_chars != 8:
            status = await spawn.query(options.socket_path)
        assert status is not None
        assert status.corpus_chars == (8 if n_tokens else 0)
        await client.aclose()
        assert await spawn.stop(options.socket_path)
        await running
    assert (backend.texts is None) == (not n_tokens)
    if backend.texts is not None:
        backend.texts.tell_again()
        assert backend.texts.take() == News("shop", "till.py", "till = 2")
        assert backend.texts.take() is None
