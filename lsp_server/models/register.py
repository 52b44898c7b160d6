"""Take a model file that the user brings: look at it, ask, remember its hash."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import msgspec

from lsp_server import paths
from lsp_server.errors import FetchError, ModelInvalidError, UsageError
from lsp_server.models import catalog, gguf, store, verify
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.gguf_info import GgufInfo
from lsp_server.models.locks import locked
from lsp_server.models.partial import Partial
from lsp_server.models.progress import Progress
from lsp_server.models.store import InstalledModel

_BLOCK_BYTES = 1 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A file before the user has said yes.

    Args:
        id: the name it will have.
        path: absolute path.
        sha256: its hash.
        info: what its header says.
        entry: the catalog model it is, if it is one.
    """

    id: str
    path: Path
    sha256: str
    info: GgufInfo
    entry: ModelEntry | None


def register(
    path: Path,
    progress: Progress,
    confirm: Callable[[Candidate], bool],
    *,
    name: str | None = None,
    expected: ModelEntry | None = None,
    copy: bool = False,
) -> InstalledModel:
    """Check a file and remember it as one that may be loaded.

    Args:
        path: a GGUF file.
        progress: shows how far the hashing is.
        confirm: shows the candidate to the user and returns their answer; a catalog model needs
            no word, its hash is pinned.
        name: id to give it; the file's stem when None.
        expected: the catalog model it must be.
        copy: copy it into the model folder; else it stays where it is.

    Raises:
        ModelNotFoundError, ModelInvalidError: no file, not a whole GGUF, no FIM tokens, or not
            the expected model.
        UsageError: ``bad_name``.
        FetchError: ``not_confirmed`` by the user, or ``disk_full``.
        StoreError: the model folder cannot be written.
    """
    path = path.expanduser().resolve()
    info = gguf.read(path)
    gguf.require_fim(info, path)
    before = path.stat()
    progress.start(f"hashing {path.name}", info.size_bytes)
    try:
        sha256 = verify.sha256_of(path, progress.update)
    finally:
        progress.close()
    if expected is not None and sha256 != expected.sha256:
        raise _another_file(path, sha256, expected)
    entry = catalog.by_sha256(sha256)
    model_id = entry.id if entry is not None else _checked_name(name or path.stem, copy=copy)
    candidate = Candidate(id=model_id, path=path, sha256=sha256, info=info, entry=entry)
    if entry is None and not confirm(candidate):
        raise FetchError(
            f"{path.name} was not taken: you did not confirm it.", code="not_confirmed"
        )
    if copy:
        path = _copy(candidate, progress)
        before = path.stat()
    confirmed_by: store.ConfirmedBy = "catalog" if entry is not None else "user"
    record = store.record_of(path, before, sha256, model_id, confirmed_by)
    store.save_record(record)
    return store.to_installed(record)


def _checked_name(name: str, *, copy: bool) -> str:
    taken = name == "auto" or any(entry.id == name.lower() for entry in catalog.ENTRIES)
    # A copy must not lie where a catalog model belongs.
    taken = taken or (copy and catalog.by_filename(f"{name.lower()}.gguf") is not None)
    if taken or not _NAME.fullmatch(name) or store.looks_like_path(name):
        reason = "is taken" if taken else "cannot be used (letters, digits, and . _ + - only)"
        raise UsageError(
            f"The name '{name}' {reason}.",
            code="bad_name",
            hint="Choose another with: --name NAME",
        )
    return name


def _another_file(path: Path, sha256: str, expected: ModelEntry) -> ModelInvalidError:
    return ModelInvalidError(
        f"{path.name} is not {expected.id}: its sha256 is {sha256[:16]}…, "
        f"{expected.sha256[:16]}… is expected.",
        code="model_wrong_hash",
        hint="To take it as a model of your own, leave the id out.",
    )


def _copy(candidate: Candidate, progress: Progress) -> Path:
    """Copy the file into the model folder, check the copy, and put it in place at once."""
    folder = paths.private_dir(paths.models_dir())
    entry = candidate.entry
    target = folder / (entry.filename if entry is not None else f"{candidate.id}.gguf")
    if target.exists() and target.samefile(candidate.path):
        return target
    size_bytes = candidate.info.size_bytes
    with locked(target.with_name(target.name + ".lock"), wait=True):
        partial = Partial(target, candidate.sha256)
        try:
            partial.require_space(size_bytes, 0)
            progress.start(f"copying {candidate.path.name}", size_bytes)
            partial.truncate(0)
            with candidate.path.open("rb") as file:
                while block := file.read(_BLOCK_BYTES):
                    partial.append(block)
                    progress.update(partial.n_bytes)
            if verify.sha256_of(partial.path) != candidate.sha256:
                partial.discard()
                raise FetchError(
                    f"{candidate.path.name} changed while it was copied.",
                    code="hash_mismatch",
                    hint="Run the same command again.",
                )
            partial.finish()
        finally:
            progress.close()
            partial.close()
    return target
