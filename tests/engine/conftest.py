"""An engine process with a scripted back end, and its clients."""

from __future__ import annotations

import contextlib
import json
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lsp_server.engine import spawn
from lsp_server.engine.client import EngineClient
from lsp_server.engine.options import EngineOptions

MakeOptions = Callable[..., EngineOptions]


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A private runtime folder with a short name: socket addresses hold about 100 bytes."""
    folder = Path(tempfile.mkdtemp(prefix="mf-"))
    monkeypatch.setenv("MIDFILL_RUNTIME_DIR", str(folder))
    monkeypatch.setenv("MIDFILL_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
async def scripted(runtime: Path, tmp_path: Path) -> AsyncIterator[MakeOptions]:
    """Writes a script and gives the options of an engine that plays it."""

    def make(*replies: dict[str, Any], default: str = "", idle_exit_s: float = 60) -> EngineOptions:
        script = tmp_path / "script.json"
        script.write_text(json.dumps({"replies": replies, "default": default}))
        return EngineOptions(
            backend="scripted",
            model_id="scripted",
            model_path=str(script),
            idle_exit_s=idle_exit_s,
        )

    yield make
    await spawn.stop_all(runtime)


@contextlib.asynccontextmanager
async def client_of(options: EngineOptions) -> AsyncIterator[EngineClient]:
    """A client that is closed at the end."""
    client = EngineClient(options, name="test")
    try:
        yield client
    finally:
        await client.aclose()
