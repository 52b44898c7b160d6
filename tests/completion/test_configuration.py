"""Settings that are taken from the editor, and change."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from lsp_server import settings
from lsp_server.completion.scheduler import SUPERSEDED
from lsp_server.completion.service import CompletionService
from lsp_server.settings import Resolved
from lsp_server.types import (
    Completion,
    Skip,
    Status,
)
from tests.completion.serving import Serve, request, text_of, until
from tests.scripted_engine import write_script


async def test_options_of_the_editor_are_taken(serve: Serve) -> None:
    """What the editor sends changes the settings; what it sends wrong is told."""
    service = serve(default="x")
    service.configure({"completion": {"disabled_languages": ["python"], "max_lines": "many"}})
    statuses: list[Status] = []
    service.on_status = statuses.append
    await service.start()
    answer = await service.complete(request("x = ‸"))
    assert isinstance(answer, Skip)
    assert answer.reason == "language_disabled"
    assert statuses[0].kind == "Warning"
    assert "completion.max_lines" in statuses[0].message


async def test_without_a_model_the_status_names_the_command() -> None:
    """No model: every request is answered empty, and one warning says what to run."""
    service = CompletionService(settings.load())
    statuses: list[Status] = []
    service.on_status = statuses.append
    await service.start()
    for number in range(3):
        answer = await service.complete(request("x = ‸", number=number))
        assert isinstance(answer, Skip)
        assert answer.reason == "model_not_fetched"
    await service.aclose()
    assert [status.kind for status in statuses] == ["Warning"]
    assert "midfill model fetch" in statuses[0].message


async def test_settings_hold_at_once_and_bad_ones_change_nothing(serve: Serve) -> None:
    """The next request follows them; taking an option back gives what held before it."""
    service = serve(default="1")
    service.configure({"completion": {"max_lines": 4}})
    problems = await service.reconfigure(
        {"completion": {"disabled_languages": ["python"], "max_lines": "many"}}
    )
    assert ["completion.max_lines" in problem for problem in problems] == [True]
    assert service.resolved.settings.completion.max_lines == 4
    answer = await service.complete(request("x = ‸"))
    assert isinstance(answer, Skip)
    assert answer.reason == "language_disabled"
    assert await service.reconfigure({}) == ()
    assert service.resolved.settings.completion.max_lines == 12
    assert text_of(await service.complete(request("x = ‸", number=2))) == "1"


async def test_another_model_is_taken_at_once(serve: Serve, tmp_path: Path) -> None:
    """What runs is answered empty; settings of the prompt leave the engine where it is."""
    slow = {"after": "x = ", "text": "old", "hang": True}
    service = serve(slow, {"after": "y = ", "text": "old"}, cache_mib=0)
    before = service._engine.find()
    old = asyncio.create_task(service.complete(request("x = ‸"), lambda _: None))
    await until(lambda: before._streams)
    load, other = service._configuration._load, write_script(tmp_path / "other.json", default="new")
    assert load is not None

    def loaded(editor: Mapping[str, Any]) -> Resolved:
        found = load(editor)
        if "model" not in editor:
            return found
        model = msgspec.structs.replace(found.settings.model, id=f"scripted:{other}")
        changed = msgspec.structs.replace(found.settings, model=model)
        return msgspec.structs.replace(found, settings=changed)

    service._configuration._load = loaded
    await service.reconfigure({"completion": {"max_lines": 3}})
    assert service._engine.find() is before
    assert await old == SUPERSEDED
    await service.reconfigure({"model": {"id": "other"}})
    assert service._engine.find() is not before
    assert text_of(await service.complete(request("y = ‸", number=2))) == "new"
    await until(lambda: before._closed)


async def test_other_settings_write_something_else(serve: Serve) -> None:
    """What was there before is forgotten, as it is with the document."""
    service = serve(default="x")
    asked = request("a = ‸\n")

    def configure() -> None:
        service.configure({"completion": {"max_lines": 3}})

    def close() -> None:
        service.document_closed(asked.snapshot.uri)

    for forget in (configure, close):
        await service.complete(asked)
        again = await service.complete(asked)
        assert isinstance(again, Completion)
        assert again.origin == "cache"
        forget()
        new = await service.complete(asked)
        assert isinstance(new, Completion)
        assert new.origin == "engine"
