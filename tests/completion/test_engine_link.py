"""The engine as the editor sees it: paused, unloaded, gone, and back."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from lsp_server import settings
from lsp_server.completion.build import build_service
from lsp_server.engine import pause, spawn
from lsp_server.engine.protocol import StateChange
from lsp_server.types import (
    Skip,
    Status,
)
from tests.completion.serving import Serve, request, text_of, until
from tests.scripted_engine import write_script


async def test_what_the_engine_could_not_do_is_told(serve: Serve) -> None:
    """The notice of a ready engine is part of the status."""
    service = serve()
    seen: list[Status] = []
    service.on_status = seen.append
    client = service._engine.find()
    client._on_state(
        StateChange(state="ready", model="7b", on_gpu=True, message="The context was lowered.")
    )
    assert seen == [Status(kind="Normal", message="7b on GPU", notice="The context was lowered.")]


async def test_killed_engine_gives_an_empty_answer_and_comes_back(serve: Serve) -> None:
    """``kill -9`` in mid-stream: this request is answered with a reason, the next one is served."""
    service = serve(
        {"after": "slow", "pieces": ["1"], "hang": True}, {"after": "quick", "text": "done"}
    )
    statuses: list[Status] = []
    service.on_status = statuses.append
    started = asyncio.Event()
    task = asyncio.create_task(
        service.complete(request("slow‸"), lambda _completion: started.set())
    )
    await started.wait()
    (socket,) = spawn.sockets()
    engine = await spawn.query(socket)
    assert engine is not None
    os.kill(engine.pid, 9)
    answer = await task
    assert isinstance(answer, Skip)
    assert answer.reason == "engine_died"
    assert any(status.kind == "Error" for status in statuses)
    assert text_of(await service.complete(request("quick‸", number=2))) == "done"
    assert statuses[-1].kind == "Normal"


async def test_poison_prompt(serve: Serve) -> None:
    """A prompt that ended the engine twice is answered with the reason, and the engine lives."""
    service = serve({"after": "bad", "abort": True}, default="done")
    statuses: list[Status] = []
    service.on_status = statuses.append
    reasons = []
    for number in range(3):
        answer = await service.complete(request("bad‸", number=number))
        assert isinstance(answer, Skip)
        reasons.append(answer.reason)
        if number < 2:
            assert text_of(await service.complete(request("x = ‸", number=9))) == "done"
    assert reasons == ["engine_died", "engine_died", "prompt_quarantined"]
    assert statuses[-1].kind == "Normal"


async def test_an_unloaded_engine_is_told_and_woken(tmp_path: Path) -> None:
    """The status says that the model is unloaded; looking at a document loads it again."""
    script = write_script(tmp_path / "script.json", default="done")
    layer = {"model": {"id": f"scripted:{script}"}, "engine": {"unload_idle_s": 0.001}}
    service = build_service(lambda editor: settings.load(editor=editor, command_line=layer))
    statuses: asyncio.Queue[Status] = asyncio.Queue()
    service.on_status = statuses.put_nowait

    async def until(words: str) -> Status:
        async with asyncio.timeout(60):
            while words not in (status := await statuses.get()).message:
                pass
            return status

    service.document_opened(request("x = ‸").snapshot)
    unloaded = await until("is unloaded")
    assert (unloaded.kind, unloaded.busy) == ("Normal", False)
    service.focused("file:///a.py")
    await until("Loading")
    await until("scripted on CPU")
    assert text_of(await service.complete(request("x = ‸"))) == "done"
    await service.aclose()


async def test_paused(serve: Serve) -> None:
    """While midfill is paused no engine is started, every answer has the reason, the status says
    how to go on; then all is as before."""
    service = serve(default="done")
    statuses: list[Status] = []
    service.on_status = statuses.append
    pause.set_paused(True)
    await service.start()
    service.document_opened(request("x = ‸").snapshot)
    service.focused("file:///a.py")
    answer = await service.complete(request("x = ‸"))
    assert isinstance(answer, Skip)
    assert answer.reason == "paused"
    assert "midfill engine resume" in answer.message
    assert [status.kind for status in statuses] == ["Inactive"]
    assert statuses[0].message == answer.message
    assert spawn.sockets() == []
    account = service.account("file:///a.py")
    assert account is not None
    assert account.answer == answer
    pause.set_paused(False)
    assert text_of(await service.complete(request("x = ‸", number=2))) == "done"
    assert statuses[-1].kind == "Normal"


async def test_pause_of_which_the_engine_knows_nothing(serve: Serve) -> None:
    """The flag alone pauses a server, and without it all is well again."""
    service = serve(default="done")
    statuses: list[Status] = []
    service.on_status = statuses.append
    await service.complete(request("x = ‸"))
    pause.set_paused(True)
    assert isinstance(await service.complete(request("x = ‸", number=2)), Skip)
    assert statuses[-1].kind == "Inactive"
    pause.set_paused(False)
    assert text_of(await service.complete(request("x = ‸", number=3))) == "done"
    assert statuses[-1] == Status(kind="Normal", message="scripted on CPU")


async def test_paused_in_mid_stream(serve: Serve) -> None:
    """A request that runs when midfill is paused is answered empty with the reason, which is no
    error; the state of the engine is the editor's status."""
    service = serve({"after": "slow", "pieces": ["1"], "hang": True}, default="done")
    statuses: list[Status] = []
    service.on_status = statuses.append
    started = asyncio.Event()
    task = asyncio.create_task(
        service.complete(request("slow‸"), lambda _completion: started.set())
    )
    await started.wait()
    pause.set_paused(True)
    assert await spawn.tell_all_paused(True) == 1
    answer = await task
    assert isinstance(answer, Skip)
    assert answer.reason == "paused"
    assert statuses[-1].kind == "Inactive"
    pause.set_paused(False)
    assert await spawn.tell_all_paused(False) == 1
    assert text_of(await service.complete(request("x = ‸", number=2))) == "done"
    assert {status.kind for status in statuses} == {"Normal", "Inactive"}


async def test_a_pause_empties_every_answer_until_it_ends(serve: Serve) -> None:
    """The status says so at once, the engine is told, and goes on afterwards."""
    service = serve(default="1")
    statuses: list[Status] = []
    service.on_status = statuses.append
    assert text_of(await service.complete(request("x = ‸"))) == "1"
    await service.pause(True)
    assert statuses[-1].kind == "Inactive"
    assert service.standing().paused
    answer = await service.complete(request("x = ‸", number=2))
    assert isinstance(answer, Skip)
    assert answer.reason == "paused"
    await until(lambda: "paused" in repr(service._engine.find().state))
    await service.pause(False)
    assert [status.kind for status in statuses[-1:]] == ["Normal"]
    assert not service.standing().paused
    assert text_of(await service.complete(request("y = ‸", number=3))) == "1"


async def test_pause_and_resume_in_one_breath_end_in_the_last(serve: Serve) -> None:
    """They are carried out in the order in which they came."""
    service = serve(default="1")
    await service.complete(request("x = ‸"))
    await asyncio.gather(service.pause(True), service.pause(False), service.pause(True))
    assert pause.is_paused()
    await asyncio.gather(service.pause(False), service.pause(True), service.pause(False))
    assert not pause.is_paused()
    assert text_of(await service.complete(request("x = ‸", number=2))) == "1"
