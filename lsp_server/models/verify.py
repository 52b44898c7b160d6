"""Hash model files ourselves: what a downloader reports about its own work is no proof."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

from lsp_server.errors import ModelInvalidError, ModelNotFoundError
from lsp_server.models import catalog, gguf, store
from lsp_server.models.store import InstalledModel

_BLOCK_BYTES = 1 << 20

OnBytes = Callable[[int], None]


def sha256_of(path: Path, on_bytes: OnBytes | None = None) -> str:
    """The sha256 of a file, lower-case hex.

    Args:
        path: the file.
        on_bytes: called with the number of bytes hashed so far.

    Raises:
        ModelNotFoundError: ``model_file_missing``.
        ModelInvalidError: ``model_unreadable``.
    """
    digest = hashlib.sha256()
    n_bytes = 0
    try:
        with path.open("rb", buffering=0) as file:
            while block := file.read(_BLOCK_BYTES):
                digest.update(block)
                n_bytes += len(block)
                if on_bytes is not None:
                    on_bytes(n_bytes)
    except FileNotFoundError as error:
        raise ModelNotFoundError(
            f"There is no model file {path}.", code="model_file_missing", hint="Check the path."
        ) from error
    except OSError as error:
        raise ModelInvalidError(
            f"{path} cannot be read: {error.strerror or error}.",
            code="model_unreadable",
            hint="Check that it is a file and that you may read it.",
        ) from error
    return digest.hexdigest()


def verify(model: InstalledModel, on_bytes: OnBytes | None = None) -> InstalledModel:
    """Check a model's header and hash, whatever was found earlier, and note the result.

    Args:
        model: what ``store.resolve`` gave.
        on_bytes: called with the number of bytes hashed so far.

    Returns:
        The model with its hash.

    Raises:
        ModelNotFoundError: the file is gone.
        ModelInvalidError: ``model_not_gguf``, ``model_truncated``, ``model_unreadable``,
            ``model_no_fim``, ``model_wrong_hash`` or ``model_not_trusted`` (the catalog pins
            its hash no more).
    """
    gguf.require_fim(gguf.read(model.path), model.path)
    info = model.path.stat()
    sha256 = sha256_of(model.path, on_bytes)
    entry = catalog.by_sha256(sha256)
    expected = model.entry.sha256 if model.entry is not None else model.sha256
    if sha256 != expected:
        raise wrong_hash(model, sha256, expected)
    if entry is None and model.confirmed_by != "user":
        raise store.not_trusted(model.path)
    confirmed_by: store.ConfirmedBy = "catalog" if entry is not None else "user"
    record = store.record_of(model.path, info, sha256, model.id, confirmed_by)
    return store.note_check(record)


def wrong_hash(model: InstalledModel, found: str, expected: str) -> ModelInvalidError:
    """The error for a file that is not what it was, or not what its name says."""
    again = model.id if model.entry is not None else f"--file {model.path}"
    return ModelInvalidError(
        f"{model.path.name} is damaged or was replaced: its sha256 is {found[:16]}…, "
        f"{expected[:16]}… is expected.",
        code="model_wrong_hash",
        hint=f"Run: midfill model fetch {again}",
    )
