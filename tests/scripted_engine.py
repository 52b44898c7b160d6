"""An engine process with a scripted back end, for tests."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Protocol

from lsp_server.engine.client import EngineClient
from lsp_server.engine.options import EngineOptions


class MakeOptions(Protocol):
    """Writes a script and gives the options of an engine that plays it."""

    def __call__(
        self, *replies: dict[str, Any], default: str = "", idle_exit_s: float = 60
    ) -> EngineOptions: ...


def write_script(path: Path, *replies: dict[str, Any], default: str = "") -> Path:
    """Write a script for the scripted back end; one that is there already is left as it is."""
    text = json.dumps({"replies": replies, "default": default})
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    return path


@contextlib.asynccontextmanager
async def client_of(options: EngineOptions) -> AsyncIterator[EngineClient]:
    """A client that is closed at the end."""
    client = EngineClient(options, name="test")
    try:
        yield client
    finally:
        await client.aclose()
