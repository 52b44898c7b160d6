"""What is asked of the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lsp_server import settings
from lsp_server.completion import asking
from lsp_server.completion.warmup import Spot
from lsp_server.engine.client import EngineClient
from lsp_server.engine.protocol import Adapter, StateChange
from lsp_server.types import (
    SamplingParams,
)
from tests.completion.serving import Serve, request


async def test_each_request_names_its_adapters(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Requests and warm-ups carry the adapters of the settings, in the user's folder as well."""
    asked: list[tuple[str, tuple[Adapter, ...]]] = []
    generate = EngineClient.generate

    def watched(client: EngineClient, *arguments: Any, **options: Any) -> Any:
        asked.append((options.get("lane", "interactive"), options["adapters"]))
        return generate(client, *arguments, **options)

    monkeypatch.setattr(EngineClient, "generate", watched)
    monkeypatch.setenv("HOME", str(tmp_path))
    service = serve(default="x")
    service.configure({"engine": {"lora": [{"path": "~/a.gguf", "scale": 0.5}, {"path": "/b"}]}})
    found = request("a = ‸")
    await service.complete(found)
    await service._ahead.evaluate(Spot(snapshot=found.snapshot, line=0, column=4))
    adapters = (Adapter(path=f"{tmp_path}/a.gguf", scale=0.5), Adapter(path="/b", scale=1.0))
    assert {*asked} == {("interactive", adapters), ("warm_up", adapters)}


@pytest.mark.parametrize(
    ("n_ctx", "expected"),
    [(0, (3072, 1024)), (32768, (3072, 1024)), (2048, (1044, 348)), (100, (0, 0))],
)
def test_prompts_fit_the_context_that_was_to_be_had(n_ctx: int, expected: tuple[int, int]) -> None:
    """Where the engine had to lower its context, prompts are shorter instead of refused."""
    state = StateChange(state="ready", on_gpu=True, n_ctx=n_ctx)
    budget = asking.budget(settings.Settings(), state)
    assert (budget.n_prefix_tokens, budget.n_suffix_tokens) == expected


async def test_sampling_settings_reach_the_engine(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the settings say about sampling is what the engine is asked for."""
    options = {
        "temperature": 0.5,
        "temperature_floor": 0.1,
        "temperature_decay": 0.05,
        "top_p": 0.8,
        "repeat_penalty": 1.1,
        "seed": 7,
    }
    asked: list[SamplingParams] = []
    generate = EngineClient.generate

    def listening(self: EngineClient, segments: Any, sampling: SamplingParams, **more: Any) -> Any:
        asked.append(sampling)
        return generate(self, segments, sampling, **more)

    monkeypatch.setattr(EngineClient, "generate", listening)
    await serve(default="done", **options).complete(request("x = ‸"))
    assert [each for each in asked if each.max_tokens] == [SamplingParams(max_tokens=96, **options)]  # type: ignore[arg-type]
