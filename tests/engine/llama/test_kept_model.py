"""Prompts that outlive the engine, with the default model."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsp_server import paths
from lsp_server.engine.options import EngineOptions
from tests.engine.driver import Driver, Recorder, fim_request

pytestmark = pytest.mark.model

BEFORE = "".join(f"def f{i}(a):\n    return a + {i}\n\n\n" for i in range(30)) + (
    'def save(path, data):\n    """Write JSON."""\n    with open(path, "w") as file:\n        '
)
AFTER = "\n\n\n" + "".join(f"print(f{i}({i}))\n" for i in range(30))
SHA256 = "5e" * 32


def logprobs(job: Recorder) -> list[float]:
    """Of all tokens."""
    return [logprob for chunk in job.chunks for logprob in chunk.logprobs]


@pytest.mark.parametrize("flash_attention", ["on", "off"])
def test_a_restart_costs_no_prompt(default_model_cache: Path, flash_attention: str) -> None:
    """A new engine gives the same text with the same probabilities, and evaluates one token.

    Text that was moved before the restart is moved on after it; damaged states are refused.
    """
    from lsp_server.engine.llama.backend import LlamaBackend
    from lsp_server.models import catalog

    path = default_model_cache / "models" / catalog.default_entry(None).filename
    options = EngineOptions(
        model_path=str(path),
        n_ctx=3072,
        n_slots=2,
        flash_attention=flash_attention,  # type: ignore[arg-type]
    )
    with Driver(LlamaBackend(options, lambda _: True, SHA256)) as engine:
        engine.run(fim_request(BEFORE, AFTER))
        first = engine.run(fim_request(BEFORE, AFTER))
    assert "json.dump(data, file" in first.text
    (file,) = paths.kv_dir().iterdir()
    assert file.stat().st_size > 500 * 1000

    with Driver(LlamaBackend(options, lambda _: True, SHA256)) as engine:
        assert engine.backend.info().n_stored_prompts == 1
        again = engine.run(fim_request(BEFORE, AFTER))
        assert again.last.timings is not None
        assert again.last.timings.n_reused == again.last.timings.n_prompt - 1 > 500
        assert again.text == first.text
        assert logprobs(again) == pytest.approx(logprobs(first), abs=1e-2)
        key = engine.run(fim_request(BEFORE + "j", AFTER))
        assert key.last.timings is not None
        assert key.last.timings.n_prompt - key.last.timings.n_reused <= 10
        assert "son.dump(data, file" in key.text

        llama = engine.backend._llama
        slot = next(s for s in engine.backend._table.slots if not s.tokens)
        (held,) = [s for s in engine.backend._table.slots if s.tokens]
        length = held.n_whole
        state = llama.save_state(held.seq_id, held.parking, length)
        assert len(state) > length
        for wrong in (state[: len(state) // 2], bytearray(b"x" * 100), bytearray(1)):
            assert not llama.load_state(slot.seq_id, wrong, length)
            assert llama.evaluated_length(slot.seq_id) == 0
        assert not llama.load_state(slot.seq_id, state, length + 1)
        assert llama.load_state(slot.seq_id, state, length)
        assert llama.evaluated_length(slot.seq_id) == length
        llama.truncate(slot.seq_id, 0)
