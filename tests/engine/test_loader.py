"""From options to a loaded back end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lsp_server.engine import loader
from lsp_server.engine.llama import backend as llama_backend
from lsp_server.engine.options import EngineOptions
from lsp_server.models import gate
from lsp_server.models.store import InstalledModel

MODEL = InstalledModel(id="m", path=Path("m.gguf"), size_bytes=1, sha256="5e" * 32)


def test_the_back_end_learns_which_file_it_loads(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the hash that was checked: prompts on disk belong to it."""
    loaded: list[Any] = []
    monkeypatch.setattr(gate, "ensure_trusted", lambda _path: MODEL)
    monkeypatch.setattr(llama_backend, "LlamaBackend", lambda *args: loaded.extend(args))
    options = EngineOptions(model_path="m.gguf")
    loader.open_backend(options, lambda _: True)
    assert loaded[0] == options
    assert loaded[2] == MODEL.sha256
