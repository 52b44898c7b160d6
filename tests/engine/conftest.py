"""Engines for the tests of the engine room."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lsp_server.engine import measuring
from lsp_server.engine.options import EngineOptions
from tests.scripted_engine import MakeOptions, write_script


@pytest.fixture
def scripted(private_folders: Path, tmp_path: Path) -> MakeOptions:
    """Makes options of scripted engines; the shared fixture ends them."""

    def make(*replies: dict[str, Any], default: str = "", idle_exit_s: float = 60) -> EngineOptions:
        script = write_script(tmp_path / "script.json", *replies, default=default)
        return EngineOptions(
            backend="scripted",
            model_id="scripted",
            model_path=str(script),
            idle_exit_s=idle_exit_s,
        )

    return make


@pytest.fixture
def run_script(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the process that measures a model run a script instead."""

    def use(script: str) -> None:
        monkeypatch.setattr(measuring, "command", lambda _: [sys.executable, "-c", script])

    return use
