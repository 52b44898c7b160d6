"""The engine as a process: shared, streamed from, cancelled, killed, idle."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import stat
from pathlib import Path

import psutil
import pytest

from lsp_server.engine import protocol, spawn
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineRefusedError, EngineUnavailableError
from tests.engine.asking import SAMPLING, collect, engine_pid, fim, text_of
from tests.scripted_engine import MakeOptions, client_of


def serving(options: EngineOptions) -> list[int]:
    """Pids of all engine processes with these options."""
    return [
        process.pid
        for process in psutil.process_iter(["cmdline", "status"])
        if str(options.model_path) in " ".join(process.info["cmdline"] or ())
        and process.info["status"] != psutil.STATUS_ZOMBIE
    ]


async def until_gone(pid: int) -> None:
    """Wait for the end of a process that is not our child any more."""
    async with asyncio.timeout(20):
        while psutil.pid_exists(pid):
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return
            await asyncio.sleep(0.01)


async def test_streams_text_with_logprobs_and_timings(scripted: MakeOptions) -> None:
    """Pieces arrive one by one; the first chunk tells the cost of the prompt, the last the end."""
    options = scripted({"after": "return ", "pieces": ["a", " + ", "b"], "logprob": -0.5})
    async with client_of(options) as client:
        chunks = await collect(client, "def add(a, b):\n    return ")
    assert [chunk.text for chunk in chunks] == ["", "a", " + ", "b", ""]
    assert [chunk.logprobs for chunk in chunks[1:-1]] == [(-0.5,)] * 3
    assert chunks[0].timings is not None
    assert chunks[0].timings.n_prompt == len("def add(a, b):\n    return ")
    assert chunks[-1].finish_reason == "stop"


async def test_socket_and_folder_are_private(scripted: MakeOptions, private_folders: Path) -> None:
    """Nobody else can reach the socket."""
    options = scripted(default="x")
    async with client_of(options) as client:
        await text_of(client, "")
        assert stat.S_IMODE(private_folders.stat().st_mode) == 0o700
        assert stat.S_IMODE(options.socket_path.stat().st_mode) == 0o600


async def test_servers_started_at_once_share_one_engine(scripted: MakeOptions) -> None:
    """Clients that find no engine at the same moment end up in the same process."""
    options = scripted(default="ok")
    async with contextlib.AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(client_of(options)) for _ in range(4)]
        texts = await asyncio.gather(*(text_of(client, "x") for client in clients))
        assert texts == ["ok"] * 4
        status = await spawn.query(options.socket_path)
        assert status is not None
        assert status.n_clients == 4
        async with asyncio.timeout(20):
            while serving(options) != [status.pid]:  # those that came second are leaving
                await asyncio.sleep(0.01)


async def test_leaving_the_stream_cancels_in_the_engine(scripted: MakeOptions) -> None:
    """After a client leaves its stream early the next request is served."""
    options = scripted(
        {"after": "slow", "pieces": ["1", "2"], "hang": True}, {"after": "quick", "text": "done"}
    )
    async with client_of(options) as client:
        async with contextlib.aclosing(client.generate(fim("slow"), SAMPLING)) as stream:
            async for chunk in stream:
                if chunk.text == "2":
                    break
        async with asyncio.timeout(20):
            assert await text_of(client, "quick") == "done"


async def test_waiting_request_can_be_cancelled(scripted: MakeOptions) -> None:
    """A request that waits behind another one leaves the queue when it is cancelled."""
    options = scripted({"after": "slow", "pieces": ["1"], "hang": True}, default="x")
    async with client_of(options) as client:
        slow = client.generate(fim("slow"), SAMPLING)
        async for chunk in slow:
            if chunk.text:
                break
        waiting = asyncio.create_task(text_of(client, "other"))
        status = await spawn.query(options.socket_path)
        while status is None or status.n_waiting == 0:
            status = await spawn.query(options.socket_path)
        waiting.cancel()
        while status is None or status.n_waiting > 0:
            status = await spawn.query(options.socket_path)
        await slow.aclose()
        assert await text_of(client, "again") == "x"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGABRT])
async def test_killed_engine_is_replaced(scripted: MakeOptions, number: int) -> None:
    """A kill in mid-stream fails that request with a reason; the next one is served."""
    options = scripted({"after": "slow", "pieces": ["1"], "hang": True}, default="fine")
    async with client_of(options) as client:
        await client.connect()
        pid = await engine_pid(options)
        with pytest.raises(EngineUnavailableError) as caught:
            async for chunk in client.generate(fim("slow"), SAMPLING):
                if chunk.text:
                    os.kill(pid, number)
        assert caught.value.code == "engine_died"
        assert await text_of(client, "next") == "fine"
        assert await engine_pid(options) != pid


async def test_crash_while_streaming_is_survived(scripted: MakeOptions) -> None:
    """An engine that aborts, as llama.cpp may, fails the request and is replaced."""
    options = scripted({"after": "bad", "pieces": ["1"], "abort": True}, default="fine")
    async with client_of(options) as client:
        with pytest.raises(EngineUnavailableError):
            await text_of(client, "bad")
        assert await text_of(client, "next") == "fine"


async def test_crash_loop_is_slowed_down(scripted: MakeOptions) -> None:
    """After repeated crashes the client refuses to start the engine for a while."""
    options = scripted({"after": "bad", "abort": True})
    async with client_of(options) as client:
        codes = []
        for number in range(3):
            with pytest.raises(EngineUnavailableError) as caught:
                await text_of(client, f"{number} bad")
            codes.append(caught.value.code)
    assert codes == ["engine_died", "engine_died", "engine_backoff"]


async def test_poison_prompt_is_quarantined(scripted: MakeOptions) -> None:
    """A prompt that ends the engine twice is refused before it is asked; others are served."""
    options = scripted({"after": "bad", "abort": True}, default="fine")
    async with client_of(options) as client:
        for _ in range(2):
            with pytest.raises(EngineUnavailableError) as died:
                await text_of(client, "bad")
            assert died.value.code == "engine_died"
            await text_of(client, "other")
        pid = await engine_pid(options)
        with pytest.raises(EngineRefusedError) as refused:
            await text_of(client, "bad")
        assert refused.value.code == "prompt_quarantined"
        assert str(options.log_path) in refused.value.hint
        assert await text_of(client, "x = 1 # bad, or not") == "fine"
        assert await engine_pid(options) == pid


async def test_stopping_the_engine_makes_no_prompt_suspect(scripted: MakeOptions) -> None:
    """A request that is at work when the engine is told to leave fails with that reason."""
    options = scripted({"after": "slow", "pieces": ["1"], "hang": True})
    async with client_of(options) as client:
        for _ in range(2):
            with pytest.raises((EngineRefusedError, EngineUnavailableError)) as caught:
                async for chunk in client.generate(fim("slow"), SAMPLING):
                    if chunk.text:
                        await spawn.stop_all()
            assert caught.value.code == "engine_stopped"
            client.breaker.succeeded()
        client.quarantine.check(fim("slow"))


async def test_kills_between_served_requests_are_no_crash_loop(scripted: MakeOptions) -> None:
    """An engine that serves in between is started again at once, however often it is killed."""
    options = scripted({"after": "slow", "pieces": ["1"], "hang": True}, default="fine words")
    async with client_of(options) as client:
        for number in range(7):
            async with contextlib.aclosing(client.generate(fim("x"), SAMPLING)) as stream:
                async for chunk in stream:
                    if chunk.text:
                        break  # as a completion does whose text is whole
            pid = await engine_pid(options)
            with pytest.raises(EngineUnavailableError) as caught:
                async for chunk in client.generate(fim(f"{number} slow"), SAMPLING):
                    if chunk.text:
                        os.kill(pid, signal.SIGKILL)
            assert caught.value.code == "engine_died"


async def test_socket_of_a_dead_engine_is_taken_over(scripted: MakeOptions) -> None:
    """A socket file nobody listens on is no obstacle."""
    options = scripted(default="ok")
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(options.socket_path))
    assert options.socket_path.exists()
    async with client_of(options) as client:
        assert await text_of(client, "") == "ok"


async def test_engine_leaves_when_idle(scripted: MakeOptions) -> None:
    """Without clients the process ends after its idle time and removes its socket."""
    options = scripted(default="ok", idle_exit_s=0.05)
    async with client_of(options) as client:
        await text_of(client, "")
        pid = await engine_pid(options)
    await until_gone(pid)
    assert not options.socket_path.exists()


async def test_unreadable_script_is_reported_with_its_reason(
    scripted: MakeOptions, tmp_path: Path
) -> None:
    """A model that cannot be loaded is refused with the reason; a repaired one is picked up."""
    options = scripted(default="ok")
    script = Path(options.model_path)
    good = script.read_text()
    script.write_text("{")
    async with client_of(options) as client:
        with pytest.raises((EngineRefusedError, EngineUnavailableError)) as caught:
            await text_of(client, "")
        assert caught.value.code == "script_unreadable"
        script.write_text(good)
        assert await text_of(client, "") == "ok"


@pytest.mark.parametrize(
    "data",
    [b"\xff\xff\xff\xff", b"\0\0\0\5hello", b"\0\0\0\1\xc1", b"GET / HTTP/1.1\r\n\r\n", b"\0\0"],
    ids=["huge", "text", "reserved byte", "http", "cut"],
)
async def test_garbage_on_the_socket_hurts_nobody_else(scripted: MakeOptions, data: bytes) -> None:
    """A client that sends garbage is cut off; others go on."""
    options = scripted(default="ok")
    async with client_of(options) as client:
        assert await text_of(client, "") == "ok"
        reader, writer = await asyncio.open_unix_connection(str(options.socket_path))
        writer.write(data)
        writer.write_eof()
        async with asyncio.timeout(10):
            while await protocol.read_frame(reader) is not None:
                pass
        writer.close()
        assert await text_of(client, "") == "ok"


async def test_stop_ends_the_engine(scripted: MakeOptions) -> None:
    """``midfill engine stop`` ends it; the status query then finds none."""
    options = scripted(default="ok")
    async with client_of(options) as client:
        await text_of(client, "")
    pid = await engine_pid(options)
    assert await spawn.stop_all() == 1
    await until_gone(pid)
    assert await spawn.query(options.socket_path) is None
