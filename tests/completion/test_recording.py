"""What is recorded of a session."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsp_server import settings
from lsp_server.acceptance import sample_store
from lsp_server.acceptance.store import read_events
from lsp_server.completion.build import build_service
from lsp_server.completion.service import CompletionService
from lsp_server.settings import Resolved
from tests.completion.serving import Serve, request, text_of
from tests.scripted_engine import write_script


async def test_events_are_logged_without_source_text(serve: Serve, tmp_path: Path) -> None:
    """Requests, what was shown and accepted, and failures are stored; the text is not."""
    service = serve({"after": "secret_name = ", "text": "hidden_value"}, default="")
    await service.complete(request("secret_name = ‸"))
    await service.accepted("id-1")
    await service.complete(request("other = ‸", number=2))
    await service.aclose()
    kinds = [type(event).__name__ for event in read_events()]
    assert kinds == ["Requested", "Shown", "Accepted", "Ended", "Requested", "Failed"]
    for file in (tmp_path / "state").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert b"hidden_value" not in data
            assert b"secret_name" not in data


async def test_events_are_stored_before_they_are_counted(serve: Serve) -> None:
    """Whoever waits for them finds the last one."""
    service = serve(default="1")
    await service.complete(request("x = ‸"))
    assert await service.recorded()
    assert [type(event).__name__ for event in read_events()] == ["Requested", "Shown"]
    assert [type(event).__name__ for event in read_events(kinds=("shown",))] == ["Shown"]
    assert not await CompletionService(settings.load()).recorded()


@pytest.mark.parametrize("is_on", [True, False])
async def test_texts_are_kept_only_if_wanted(tmp_path: Path, is_on: bool) -> None:
    """And never of files that no prompt may show."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".gitignore").write_text("ignored.py\n")
    script = write_script(tmp_path / "script.json", default="1")
    layer = {
        "model": {"id": f"scripted:{script}"},
        "completion": {"cache_mib": 0},
        "context": {"ban": ["banned.py"]},
        "acceptance_log": {"keep_text": is_on},
    }
    service = build_service(lambda editor: settings.load(editor=editor, command_line=layer))
    service.open_folders([folder])
    names = ("shop.py", "ignored.py", "banned.py", ".env.py", "secrets/shop.py")
    for number, name in enumerate(names):
        asked = request("x = ‸\n", uri=(folder / name).as_uri(), number=number)
        service.document_opened(asked.snapshot)
        assert text_of(await service.complete(asked)) == "1"
    await service.aclose()
    assert [(each.prefix, each.suggestion) for each in sample_store.read()] == (
        [("x = ", "1")] if is_on else []
    )
    assert (tmp_path / "state" / "samples.sqlite").exists() is is_on


async def test_the_log_can_be_switched_off(serve: Serve) -> None:
    """By the editor too: what was recorded stays, and nothing comes after it."""
    service = serve(default="1")
    await service.complete(request("x = ‸"))
    await service.reconfigure({"acceptance_log": {"enabled": False}})
    await service.complete(request("y = ‸", number=2))
    await service.accepted("id-2")
    assert not await service.recorded()
    await service.aclose()
    kinds = [type(event).__name__ for event in read_events()]
    assert [kind for kind in kinds if kind not in ("Ended", "Written")] == ["Requested", "Shown"]


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_log_is_as_the_editor_wants_it_from_the_start(enabled: bool) -> None:
    """Its options say whether there is one, also against the user's file."""

    def load(editor: Mapping[str, Any]) -> Resolved:
        found = settings.load(editor=editor)
        if editor:
            return found
        log = msgspec.structs.replace(found.settings.acceptance_log, enabled=not enabled)
        changed = msgspec.structs.replace(found.settings, acceptance_log=log)
        return msgspec.structs.replace(found, settings=changed)

    service = build_service(load, {"acceptance_log": {"enabled": enabled}})
    assert await service.recorded() is enabled
    await service.aclose()
