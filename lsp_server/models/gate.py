"""The gate before llama.cpp: a file is loaded only if its hash is pinned or the user confirmed it.

llama.cpp can be crashed, and has been attacked, by crafted model files.
"""

from __future__ import annotations

import os
from pathlib import Path

from lsp_server.errors import ModelNotFoundError
from lsp_server.models import catalog, gguf, store, verify
from lsp_server.models.store import InstalledModel, ModelRecord


def ensure_trusted(path: Path) -> InstalledModel:
    """Check that a model may be loaded; fast when the file has not changed since its last check.

    Args:
        path: the file that is about to be loaded.

    Returns:
        The model, with its hash.

    Raises:
        ModelNotFoundError: ``model_file_missing``.
        ModelInvalidError: ``model_not_gguf``, ``model_truncated``, ``model_unreadable``,
            ``model_no_fim``, ``model_wrong_hash`` or ``model_not_trusted``.
    """
    path = path.expanduser().resolve()
    known = store.records()
    record = next((r for r in known if Path(r.path).resolve() == path), None)
    try:
        info = path.stat()
    except OSError as error:
        raise ModelNotFoundError(
            f"There is no model file {path}.",
            code="model_file_missing",
            hint="Run: midfill model list",
        ) from error
    if record is not None and record.fits(info) and _is_trusted(record):
        return store.to_installed(record)
    return _check(path, info, known, record)


def _is_trusted(record: ModelRecord) -> bool:
    """A record that says "catalog" counts only while the catalog still pins its hash."""
    return record.confirmed_by == "user" or catalog.by_sha256(record.sha256) is not None


def _check(
    path: Path, info: os.stat_result, known: list[ModelRecord], record: ModelRecord | None
) -> InstalledModel:
    gguf.require_fim(gguf.read(path), path)
    sha256 = verify.sha256_of(path)
    entry = catalog.by_sha256(sha256)
    if entry is not None:
        return store.note_check(store.record_of(path, info, sha256, entry.id, "catalog"))
    confirmed = next((r for r in known if r.confirmed_by == "user" and r.sha256 == sha256), None)
    if confirmed is not None:
        return store.note_check(store.record_of(path, info, sha256, confirmed.id, "user"))
    named = catalog.by_filename(path.name)
    if record is not None and record.sha256 != sha256:
        raise verify.wrong_hash(store.to_installed(record), sha256, record.sha256)
    if named is not None:
        model = InstalledModel(id=named.id, path=path, size_bytes=named.size_bytes, entry=named)
        raise verify.wrong_hash(model, sha256, named.sha256)
    raise store.not_trusted(path)
