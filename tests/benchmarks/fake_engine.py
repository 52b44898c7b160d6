"""The engine's own back end on a model of the KV cache, for benchmarks without a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console
from rich.progress import Progress

from benchmarks.engine import driver
from benchmarks.engine.bench import Bench, Setup
from benchmarks.engine.command import record_type
from benchmarks.engine.driver import Engine
from benchmarks.records import Record, RunFile
from context.types import Budget
from lsp_server.engine.llama import backend as llama_backend
from lsp_server.engine.llama.backend import LlamaBackend
from lsp_server.engine.options import EngineOptions
from tests.benchmarks.makers import made_up_run
from tests.engine.llama.fake_llama import FakeLlama

_N_VOCAB = 128


class FakeModel(FakeLlama):
    """A fake whose logits have their top at what it predicts."""

    def logits(self, index: int) -> Any:
        logits = np.zeros(_N_VOCAB, dtype=np.float32)
        logits[self.predicted[index]] = 5.0
        return logits


def install(monkeypatch: pytest.MonkeyPatch, n_ctx: int = 60_000) -> list[FakeModel]:
    """Let every engine be opened on a fake; gives the models in the order they are opened."""
    models: list[FakeModel] = []

    def make(*_: object) -> FakeModel:
        models.append(FakeModel(n_ctx))
        return models[-1]

    monkeypatch.setattr(llama_backend, "LlamaModel", make)
    # Nothing is evaluated again in pauses: figures of tests must not depend on the clock.
    monkeypatch.setattr(llama_backend, "_PAUSE_S", 3600.0)
    monkeypatch.setattr(driver, "open_backend", LlamaBackend)
    return models


def engine(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Engine:
    """An engine on a fake, to be entered."""
    install(monkeypatch)
    return Engine(EngineOptions(**options))


def setup(tmp_path: Path, **changes: Any) -> Setup:
    """What a run is made with."""
    fields: dict[str, Any] = {
        "options": EngineOptions(model_id="fake", model_path=str(tmp_path / "fake.gguf")),
        "budget": Budget(n_prefix_tokens=60, n_suffix_tokens=30),
        "seed": 1,
        "repetitions": 2,
        "limit": None,
        "clients": (1, 3),
        "depths": (64,),
        "lengths": (64, 128),
        "corpus": tmp_path / "corpus",
        "session": tmp_path / "session.jsonl",
    }
    return Setup(**{**fields, **changes})


def bench(tmp_path: Path, **changes: Any) -> Bench:
    """A run, or the rest of it, in the test's own results file."""
    file: RunFile[Record] = RunFile(tmp_path / "run.jsonl", made_up_run(), record_type())
    return Bench(setup(tmp_path, **changes), file, Progress(console=Console(quiet=True)))


def lines(tmp_path: Path) -> int:
    """Lines of the results file, its header left out."""
    return len((tmp_path / "run.jsonl").read_bytes().splitlines()) - 1
