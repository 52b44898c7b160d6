"""What is done while nobody waits, with a scripted engine."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from context.types import Prompt
from lsp_server.completion.warmup import Spot
from lsp_server.types import (
    Completion,
    Trigger,
)
from tests.completion.serving import Serve, prompts_asked, request, text_of, watch_evaluation


async def test_the_prompt_at_the_cursor_is_evaluated_ahead(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request from there finds its prompt in the engine's cache."""
    service = serve({"after": "return ", "text": "a + b"})
    asked = request("def add(a, b):\n    return ‸\n")
    evaluated = watch_evaluation(service, monkeypatch)
    service.cursor_at(asked.snapshot, asked.line, asked.column)
    await asyncio.wait_for(evaluated.wait(), 60)
    answer = await service.complete(asked)
    assert isinstance(answer, Completion)
    assert answer.timings.n_reused == answer.timings.n_prompt > 0


@pytest.mark.parametrize("switched_off", [{"warm_up": False}, {"enabled": False}])
async def test_nothing_is_evaluated_ahead_when_switched_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, switched_off: dict[str, bool]
) -> None:
    """Without warm-ups, or without completions, the engine is left alone."""
    service = serve({"after": "return ", "text": "a + b"}, **switched_off)
    asked = request("def add(a, b):\n    return ‸\n")
    evaluated = watch_evaluation(service, monkeypatch)
    service.cursor_at(asked.snapshot, asked.line, asked.column)
    if "enabled" in switched_off:
        await asyncio.wait_for(evaluated.wait(), 60)
    else:
        assert service._ahead._work._task is None
    assert service._engine.model_id == ""


@pytest.mark.parametrize(("trigger", "n_ahead"), [("automatic", 1), ("invoked", 0)])
async def test_the_wait_for_a_pause_is_used(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, trigger: Trigger, n_ahead: int
) -> None:
    """While a newer request may still come, the prompt is evaluated already."""
    service = serve({"after": "return ", "text": "a + b"}, debounce_ms=20)
    ahead: list[Prompt] = []

    async def prefill(prompt: Prompt) -> None:
        ahead.append(prompt)

    monkeypatch.setattr(service._engine, "prefill", prefill)
    asked = request("def add(a, b):\n    return ‸\n")
    answer = await service.complete(msgspec.structs.replace(asked, trigger=trigger))
    assert text_of(answer) == "a + b"
    assert len(ahead) == n_ahead


async def test_the_suggestion_behind_the_one_shown_is_written_ahead(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it is there when the first is accepted, whatever line ends the document has."""
    lanes = prompts_asked(monkeypatch)
    replies = [
        {"after": "    ", "text": "one(x)"},
        {"after": "one(x)\n    ", "text": "two(x)\n    three(x)"},
    ]
    service = serve(*replies, prefetch="on")
    written = asyncio.Event()
    write = service._ahead.write

    async def watched(spot: Spot) -> None:
        await write(spot)
        written.set()

    monkeypatch.setattr(service._ahead, "write", watched)
    first = await service.complete(request("def f(x):\r\n    ‸\r\n"))
    assert text_of(first) == "one(x)"
    await asyncio.wait_for(written.wait(), 10)
    assert [lane for lane in lanes if lane != "warm_up"] == ["interactive", "prefetch"]
    second = await service.complete(request("def f(x):\r\n    one(x)\r\n    ‸\r\n"))
    assert isinstance(second, Completion)
    assert (second.text, second.origin) == ("two(x)\r\n    three(x)", "cache")


@pytest.mark.parametrize("prefetch", ["auto", "off"])
async def test_on_a_cpu_nothing_is_written_ahead_unasked(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, prefetch: str
) -> None:
    """It would be at work all the time."""
    service = serve(default="x", prefetch=prefetch)
    await service.complete(request("a = ‸\n"))
    assert service._ahead._work._task is None
