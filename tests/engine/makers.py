"""Figures and models for tests of the choice of a model."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lsp_server.engine.speeds import Speed
from lsp_server.models import catalog
from lsp_server.models.store import InstalledModel


def speed(
    first_line_ms: float = 500.0, *, n_sessions: int = 1, step_ms: dict[int, float] | None = None
) -> Speed:
    """Figures of a measurement."""
    return Speed(
        model_id="m",
        first_line_ms=first_line_ms,
        first_line_p50_ms=1.1 * first_line_ms,
        n_runs=5 * n_sessions,
        n_sessions=n_sessions,
        n_prompt_tokens=1024,
        prefill_tokens_per_s=100_000 / first_line_ms,
        decode_tokens_per_s=10_000 / first_line_ms,
        step_ms=step_ms or {1: 10.0, 2: 18.0, 4: 24.0, 8: 44.0, 16: 66.0},
    )


def model(name: str, size_bytes: int, *, own: bool = False) -> InstalledModel:
    """A fetched model; ``own`` is a file of the user's."""
    entry = msgspec.structs.replace(catalog.ENTRIES[0], id=name, size_bytes=size_bytes)
    return InstalledModel(
        id=name,
        path=Path(f"/models/{name}.gguf"),
        size_bytes=size_bytes,
        sha256=name.rjust(64, "0"),
        entry=None if own else entry,
    )
