"""Requests to a service whose engine plays a script."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from lsp_server.completion.service import CompletionService
from lsp_server.completion.warmup import Spot
from lsp_server.documents import TextDocument
from lsp_server.engine.client import EngineClient
from lsp_server.types import (
    Completion,
    CompletionRequest,
    Skip,
)

Serve = Callable[..., CompletionService]


def request(
    marked: str, *, uri: str = "file:///a.py", language: str = "python", number: int = 1
) -> CompletionRequest:
    """A request at the mark."""
    before, after = marked.split("‸")
    document = TextDocument(uri, language, 1, before + after)
    lines = before.replace("\r\n", "\n").split("\n")
    return CompletionRequest(
        id=f"id-{number}",
        snapshot=document.snapshot(),
        line=len(lines) - 1,
        column=len(lines[-1]),
    )


def text_of(answer: Completion | Skip) -> str:
    """The suggestion."""
    assert isinstance(answer, Completion), answer
    return answer.text


async def until(holds: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


def watch_evaluation(service: CompletionService, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once a prompt was evaluated ahead, or found not worth it."""
    done = asyncio.Event()
    evaluate = service._ahead.evaluate

    async def watched(spot: Spot, *, resting: bool = False) -> None:
        await evaluate(spot, resting=resting)
        done.set()

    monkeypatch.setattr(service._ahead, "evaluate", watched)
    return done


def prompts_asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lanes of what the engine is asked for from now on."""
    lanes: list[str] = []
    generate = EngineClient.generate

    def watched(client: EngineClient, *arguments: Any, **options: Any) -> Any:
        lanes.append(options.get("lane", "interactive"))
        return generate(client, *arguments, **options)

    monkeypatch.setattr(EngineClient, "generate", watched)
    return lanes
