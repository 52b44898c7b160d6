"""Suggestions that are found again after a restart."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lsp_server.completion import suggestion_cache
from lsp_server.types import (
    Completion,
    CompletionRequest,
    Status,
)
from tests.completion.serving import Serve, request, text_of

SPEECH = "foo(\n    bar,\n    baz,\n)"


async def from_disk(
    serve: Serve, asked: CompletionRequest, default: str = SPEECH, **completion: Any
) -> Completion:
    """The suggestion of a service that has just started."""
    service = serve(default=default, **{"cache_mib": 16, "multi_line": "always", **completion})
    answer = await service.complete(asked)
    assert isinstance(answer, Completion), answer
    await service.aclose()
    return answer


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's disk is waited for."""
    monkeypatch.setattr(suggestion_cache, "_READ_S", 30.0)


@pytest.mark.usefixtures("patient")
async def test_a_suggestion_is_found_again_after_a_restart(serve: Serve) -> None:
    """At the very same text; it is the same in all that is told of it, and nothing is asked."""
    first = await from_disk(serve, request("x = ‸\n"))
    again = await from_disk(serve, request("x = ‸\n"))
    assert (first.origin, again.origin) == ("engine", "cache")
    assert again.text == first.text
    assert again.score == first.score
    assert again.finish_reason == first.finish_reason


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("asked", "default", "options"),
    [
        (request("y = ‸\n"), SPEECH, {}),
        (request("x = ‸\nz"), SPEECH, {}),
        (request("x = f‸\n"), SPEECH, {}),
        (request("x = ‸\n", uri="file:///b.py"), SPEECH, {}),
        (request("x = ‸\n"), SPEECH + " # of another model", {}),
        (request("x = ‸\n"), SPEECH, {"max_lines": 3}),
        (request("x = ‸\n"), SPEECH, {"temperature": 0.5}),
        (request("x = ‸\n"), SPEECH, {"cache_mib": 0}),
    ],
    ids=["before", "after", "typed", "file", "model", "shape", "sampling", "off"],
)
async def test_another_recipe_is_another_suggestion(
    serve: Serve, asked: CompletionRequest, default: str, options: dict[str, Any]
) -> None:
    """All that it depends on is in its key."""
    await from_disk(serve, request("x = ‸\n"))
    assert (await from_disk(serve, asked, default, **options)).origin == "engine"


@pytest.mark.usefixtures("patient")
async def test_what_was_found_again_is_followed_as_any_other(serve: Serve) -> None:
    """Over several lines that are typed as it says, as the same suggestion."""
    first = await from_disk(serve, request("x = ‸\n"))
    assert first.text == SPEECH
    service = serve(cache_mib=16, multi_line="always", default=SPEECH)
    found = await service.complete(request("x = ‸\n", number=2))
    typed = await service.complete(request("x = foo(\n    bar,\n  ‸\n", number=3))
    assert isinstance(found, Completion)
    assert isinstance(typed, Completion)
    assert (found.origin, typed.origin) == ("cache", "cache")
    assert typed.text == "  baz,\n)"
    assert found.identity == typed.identity != ""


async def test_a_home_that_cannot_be_written_keeps_no_suggestion_from_being_made(
    serve: Serve, tmp_path: Path
) -> None:
    """One warning says so."""
    (tmp_path / "cache").write_text("no folder")
    service = serve(default="y", cache_mib=16)
    told: list[Status] = []
    came = asyncio.Event()

    def on_status(status: Status) -> None:
        if status.kind == "Warning":
            told.append(status)
            came.set()

    service.on_status = on_status
    for number, marked in enumerate(("x = ‸\n", "z = ‸\n", "w = ‸\n")):
        assert text_of(await service.complete(request(marked, number=number))) == "y"
    async with asyncio.timeout(30):
        await came.wait()
    assert len(told) == 1
