"""What the tests of completions share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from lsp_server import settings
from lsp_server.completion.build import build_service
from lsp_server.completion.generations import Generations
from lsp_server.completion.service import CompletionService
from lsp_server.settings import Resolved
from tests.completion.serving import Serve
from tests.scripted_engine import write_script


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Makes services whose engine plays a script."""
    services: list[CompletionService] = []

    def make(
        *replies: dict[str, Any],
        default: str = "",
        n_tokens: int = 0,
        n_new_tokens: int = 0,
        one_shot: bool = False,
        **completion: Any,
    ) -> CompletionService:
        script = write_script(tmp_path / "script.json", *replies, default=default)
        layer = {
            "model": {"id": f"scripted:{script}"},
            "completion": {"cache_mib": 0, **completion},
            "context": {"n_tokens": n_tokens, "n_new_tokens": n_new_tokens},
        }

        def load(editor: Mapping[str, Any]) -> Resolved:
            return settings.load(editor=editor, command_line=layer)

        service = CompletionService(load({}), one_shot=True) if one_shot else build_service(load)
        services.append(service)
        return service

    yield make
    for service in services:
        await service.aclose()


@pytest.fixture
async def kept() -> AsyncIterator[Generations]:
    """Streams of all documents; stopped at the end."""
    found = Generations()
    yield found
    await found.aclose()
