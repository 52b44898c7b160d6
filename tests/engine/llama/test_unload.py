"""Unloading the default model: the memory is really free, and it comes back as it was."""

from __future__ import annotations

import queue
from pathlib import Path

import psutil
import pytest

from lsp_server.engine.lanes import Lanes
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import StateChange
from lsp_server.engine.worker import Worker
from tests.engine.driver import Recorder, fim_request

pytestmark = pytest.mark.model

_PATIENCE_S = 300


def _resident_bytes() -> int:
    return int(psutil.Process().memory_info().rss)


def test_memory_is_given_back_and_taken_again(default_model_cache: Path) -> None:
    """Unloaded, the process is nearly as small as before the load; the next job gets the same text
    as the first."""
    from lsp_server.engine.llama.backend import LlamaBackend
    from lsp_server.models import catalog

    path = default_model_cache / "models" / catalog.default_entry(None).filename
    told: queue.Queue[StateChange] = queue.Queue()
    lanes = Lanes(idle_s=0.2)
    options = EngineOptions(model_path=str(path), n_ctx=2048, n_slots=2)
    worker = Worker(options, lanes, told.put, LlamaBackend)

    def until(state: str) -> None:
        while told.get(timeout=_PATIENCE_S).state != state:
            pass

    def ask() -> str:
        job = Recorder(fim_request("import json\n\n\ndef load(path):\n    ", "\n", max_tokens=8))
        lanes.put(job)
        job.wait()
        assert job.refusal is None
        return job.text

    before = _resident_bytes()
    lanes.put(first := Recorder(fim_request("x = ", "\n", max_tokens=1)))
    worker.start()
    first.wait()
    loaded = _resident_bytes() - before
    texts = [ask()]
    until("unloaded")
    assert _resident_bytes() - before < 0.25 * loaded
    texts.append(ask())
    assert texts[0] == texts[1]
    lanes.pause()
    worker.halt()
    until("paused")
    assert _resident_bytes() - before < 0.25 * loaded
    lanes.close()
    worker.join(_PATIENCE_S)
