"""The engine as a process that rests: unloaded, paused."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from lsp_server.engine import pause, spawn
from lsp_server.engine.client import EngineClient
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import StateChange
from lsp_server.errors import EngineRefusedError, EngineUnavailableError
from tests.engine.asking import SAMPLING, engine_pid, fim, text_of
from tests.scripted_engine import MakeOptions, client_of


def unloading(options: EngineOptions) -> EngineOptions:
    """The same engine, but it unloads as soon as it has nothing to do."""
    return msgspec.structs.replace(options, unload_idle_s=0.001)


class Watcher:
    """The states a client is told."""

    def __init__(self) -> None:
        self.states: list[str] = []
        self._changed = asyncio.Condition()
        self._tasks: set[asyncio.Task[None]] = set()

    def __call__(self, state: StateChange) -> None:
        """A client's ``on_state``."""
        self.states.append(state.state)
        task = asyncio.ensure_future(self._notify())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def until(self, state: str) -> None:
        """Wait until this is the state."""
        async with asyncio.timeout(60), self._changed:
            await self._changed.wait_for(lambda: self.states[-1:] == [state])


@contextlib.asynccontextmanager
async def watched(options: EngineOptions) -> AsyncIterator[tuple[EngineClient, Watcher]]:
    """A client, and what it is told."""
    watcher = Watcher()
    client = EngineClient(options, name="test", on_state=watcher)
    try:
        yield client, watcher
    finally:
        await client.aclose()


async def test_unloads_while_clients_stay(scripted: MakeOptions) -> None:
    """An idle engine frees its model though editors are connected, and the next request is served
    by the same process; the status tells it."""
    options = unloading(scripted(default="ok"))
    async with watched(options) as (client, watcher):
        assert await text_of(client, "") == "ok"
        await watcher.until("unloaded")
        status = await spawn.query(options.socket_path)
        assert status is not None
        assert (status.state, status.n_ctx, status.slots) == ("unloaded", 8192, ())
        for _ in range(10):
            assert await text_of(client, "") == "ok"
        assert await engine_pid(options) == status.pid
        assert client.breaker.n_failures == 0


async def test_a_client_wakes_the_engine(scripted: MakeOptions) -> None:
    """Without any request the model is loaded for whoever is about to ask."""
    options = unloading(scripted(default="ok"))
    async with watched(options) as (client, watcher):
        await client.connect()
        await watcher.until("unloaded")
        del watcher.states[:]
        await client.wake()
        await watcher.until("unloaded")
        assert [state for state in watcher.states if state != "loading"] == ["ready", "unloaded"]


async def test_a_model_that_is_gone_fails_the_reload(scripted: MakeOptions) -> None:
    """The request that needed it is refused with the reason; with the file back all is well."""
    options = unloading(scripted(default="ok"))
    script = Path(options.model_path)
    good = script.read_text()
    async with watched(options) as (client, watcher):
        await client.connect()
        await watcher.until("unloaded")
        script.unlink()
        with pytest.raises((EngineRefusedError, EngineUnavailableError)) as caught:
            await text_of(client, "")
        assert caught.value.code == "script_unreadable"
        script.write_text(good)
        assert await text_of(client, "") == "ok"


async def test_pause_ends_what_runs_and_refuses_the_rest(scripted: MakeOptions) -> None:
    """Pausing in mid-stream: that request and all others get the reason at once, the model is
    freed, and after resume the same process serves again."""
    options = scripted({"after": "slow", "pieces": ["1"], "hang": True}, default="ok")
    async with watched(options) as (client, watcher), client_of(options) as other:
        stream = client.generate(fim("slow"), SAMPLING)
        async for chunk in stream:
            if chunk.text:
                break
        waiting = asyncio.create_task(text_of(other, "x"))
        status = await spawn.query(options.socket_path)
        while status is None or status.n_waiting == 0:
            status = await spawn.query(options.socket_path)
        pause.set_paused(True)
        assert await spawn.tell_all_paused(True) == 1
        for refused in (anext(stream), waiting, text_of(client, "new")):
            with pytest.raises(EngineRefusedError) as caught:
                await refused
            assert caught.value.code == "paused"
            assert "midfill engine resume" in caught.value.hint
        await watcher.until("paused")
        paused = await spawn.query(options.socket_path)
        assert paused is not None
        assert (paused.pid, paused.state, paused.slots) == (status.pid, "paused", ())
        pause.set_paused(False)
        assert await spawn.tell_all_paused(False) == 1
        await watcher.until("ready")  # an editor is there: its user is back
        assert await text_of(client, "new") == "ok"
        assert await engine_pid(options) == status.pid


async def test_pausing_twice_and_resuming_twice_is_harmless(scripted: MakeOptions) -> None:
    """What is so already is answered at once."""
    options = scripted(default="ok")
    async with client_of(options) as client:
        await client.connect()
        for paused in (True, True, False, False):
            pause.set_paused(paused)
            assert await spawn.tell_all_paused(paused) == 1
        assert await text_of(client, "") == "ok"


async def test_an_engine_started_meanwhile_is_paused(scripted: MakeOptions) -> None:
    """The pause outlives every process: a new engine loads nothing. It goes on as soon as the flag
    is gone, even if nobody tells it."""
    options = scripted(default="ok")
    pause.set_paused(True)
    async with watched(options) as (client, watcher):
        with pytest.raises(EngineRefusedError) as caught:
            await text_of(client, "")
        assert caught.value.code == "paused"
        await watcher.until("paused")
        pause.set_paused(False)
        assert await text_of(client, "") == "ok"
