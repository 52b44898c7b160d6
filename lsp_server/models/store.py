"""The user's models: which files are there, and which hash each was found to have.

``models.json`` in the model folder holds one record a checked file. It can be lost: catalog files
are checked again when they are next loaded, files of the user must be confirmed again.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Literal

import msgspec

from lsp_server import paths
from lsp_server.errors import MidfillError, ModelInvalidError, ModelNotFoundError, StoreError
from lsp_server.models import catalog
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.locks import file_errors, locked

_log = logging.getLogger(__name__)
_FETCH_HINT = "Run: midfill model fetch"

ConfirmedBy = Literal["catalog", "user"]


class ModelRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A file whose hash was computed, as it was then.

    Args:
        id: catalog id, or the name the user gave it.
        path: absolute path.
        sha256: hash of the file, lower-case hex.
        size_bytes: size when it was hashed.
        mtime_ns: time of its last change when it was hashed.
        confirmed_by: why it may be loaded: the hash is pinned in the catalog, or the user said so.
    """

    id: str
    path: str
    sha256: str
    size_bytes: int
    mtime_ns: int
    confirmed_by: ConfirmedBy

    def fits(self, info: os.stat_result) -> bool:
        """True if the file has not changed since it was hashed."""
        return info.st_size == self.size_bytes and info.st_mtime_ns == self.mtime_ns


class InstalledModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model file on this machine.

    Args:
        id: catalog id, or the name the user gave it.
        path: absolute path.
        size_bytes: size of the file now.
        sha256: its hash, or "" if it was not computed yet (the gate does so before loading).
        confirmed_by: see ModelRecord; None while the hash is not known.
        entry: what the catalog says, for a catalog model.
    """

    id: str
    path: Path
    size_bytes: int
    sha256: str = ""
    confirmed_by: ConfirmedBy | None = None
    entry: ModelEntry | None = None


class _RecordFile(msgspec.Struct, kw_only=True):
    version: int = 1
    models: list[ModelRecord] = []


def entry_path(entry: ModelEntry) -> Path:
    """Where a catalog model is kept once it is fetched."""
    return paths.models_dir() / entry.filename


def records() -> list[ModelRecord]:
    """All records; a damaged file is set aside and counts as empty.

    Raises:
        StoreError: ``models.json`` is there and cannot be read.
    """
    path = _records_path()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StoreError(
            f"Cannot read {path}: {error.strerror or error}.",
            code="records_unreadable",
            hint="Check its permissions.",
        ) from error
    try:
        return msgspec.json.decode(data, type=_RecordFile).models
    except (msgspec.DecodeError, UnicodeDecodeError):
        aside = path.with_suffix(".json.damaged")
        _log.warning("%s is damaged; it is kept as %s", path, aside.name)
        try:
            path.replace(aside)
        except OSError as error:
            _log.warning("%s cannot be renamed: %s", path, error.strerror)
        return []


def save_record(record: ModelRecord) -> None:
    """Add a record; it replaces the one of the same path, and the user's one of the same name.

    Copies of one catalog model may lie in several places, each with its record.

    Raises:
        StoreError: the model folder cannot be written.
        FetchError: the disk is full.
    """

    def change(old: list[ModelRecord]) -> Iterable[ModelRecord]:
        by_name = record.confirmed_by == "user"
        kept = (r for r in old if r.path != record.path and not (by_name and r.id == record.id))
        return [*kept, record]

    _update(change)


def note_check(record: ModelRecord) -> InstalledModel:
    """Remember a check; where that fails (a read-only folder) it is done again next time."""
    try:
        save_record(record)
    except MidfillError as error:
        _log.warning("%s", error)
    return to_installed(record)


def drop_record(model_id: str) -> None:
    """Forget the records of that id.

    Raises:
        StoreError: the model folder cannot be written.
    """
    _update(lambda old: [record for record in old if record.id != model_id])


def record_of(
    path: Path, info: os.stat_result, sha256: str, model_id: str, confirmed_by: ConfirmedBy
) -> ModelRecord:
    """The record of a file; ``info`` is from before it was hashed, so a change since then shows."""
    return ModelRecord(
        id=model_id,
        path=str(path),
        sha256=sha256,
        size_bytes=info.st_size,
        mtime_ns=info.st_mtime_ns,
        confirmed_by=confirmed_by,
    )


def to_installed(record: ModelRecord) -> InstalledModel:
    """The model a record stands for."""
    entry = catalog.by_sha256(record.sha256) if record.confirmed_by == "catalog" else None
    return InstalledModel(
        id=record.id,
        path=Path(record.path),
        size_bytes=record.size_bytes,
        sha256=record.sha256,
        confirmed_by=record.confirmed_by,
        entry=entry,
    )


def installed() -> tuple[InstalledModel, ...]:
    """Every model that is there, catalog models first.

    A catalog file that no record names counts too; the gate hashes it before it is loaded.
    """
    folder = paths.models_dir().resolve()
    # Later wins: of several copies of a model the one in the model folder is meant.
    by_place = sorted(records(), key=lambda record: Path(record.path).resolve().parent == folder)
    found = {r.id: to_installed(r) for r in by_place if Path(r.path).is_file()}
    taken = {model.path for model in found.values() if model.confirmed_by == "user"}
    for entry in catalog.ENTRIES:
        path = entry_path(entry)
        if entry.id not in found and path not in taken and path.is_file():
            size_bytes = path.stat().st_size
            found[entry.id] = InstalledModel(
                id=entry.id, path=path, size_bytes=size_bytes, entry=entry
            )
    order = {entry.id: number for number, entry in enumerate(catalog.ENTRIES)}
    return tuple(sorted(found.values(), key=lambda m: (order.get(m.id, len(order)), m.id)))


def expected_sha256(model: InstalledModel) -> str:
    """The hash of a model, or the pinned one where it was not computed yet ("" if none is)."""
    return model.sha256 or (model.entry.sha256 if model.entry is not None else "")


def recorded_sha256(path: Path) -> str:
    """The hash that was computed for a file ("" if none was)."""
    real = path.resolve()
    return next((r.sha256 for r in records() if Path(r.path).resolve() == real), "")


def resolve(
    id_or_path: str | None, *, gpu_memory_bytes: Callable[[], int | None] | None = None
) -> InstalledModel:
    """The model meant by an id or a path; nothing is hashed here.

    Args:
        id_or_path: catalog id, name of a registered file, or path; None or ``auto`` chooses.
        gpu_memory_bytes: memory of the usable GPU; asked only when there is a choice.

    Raises:
        ModelNotFoundError: ``model_not_fetched``, ``model_unknown`` or ``model_file_missing``.
        ModelInvalidError: ``model_not_trusted``, a file that the user has not confirmed.
    """
    present = installed()
    if id_or_path is None or id_or_path == "auto":
        return _choose(present, gpu_memory_bytes)
    for model in present:
        if model.id == id_or_path:
            return model
    if looks_like_path(id_or_path):
        return _by_path(Path(id_or_path).expanduser(), present)
    _refuse_vanished(id_or_path)
    entry = catalog.find(id_or_path)
    by_id = next((model for model in present if model.id == entry.id), None)
    if by_id is not None:
        return by_id
    _refuse_vanished(entry.id)
    raise ModelNotFoundError(
        f"The model {entry.id} is not fetched yet.",
        code="model_not_fetched",
        hint=f"{_FETCH_HINT} {entry.id}",
    )


def _refuse_vanished(model_id: str | None) -> None:
    """Say so when a model of that id (None: any) was there once and its file is gone.

    Raises:
        ModelNotFoundError: ``model_file_missing``.
    """
    for record in records():
        if model_id not in (None, record.id):
            continue
        again = f"{_FETCH_HINT} {record.id}"
        if record.confirmed_by == "user":
            again = f"Put it back, or forget it with: midfill model remove {record.id}"
        raise ModelNotFoundError(
            f"The file of the model {record.id} is gone: {record.path}.",
            code="model_file_missing",
            hint=again,
        )


def looks_like_path(text: str) -> bool:
    """True if the user meant a file, not an id."""
    return os.sep in text or text.startswith("~") or text.lower().endswith(".gguf")


def _by_path(path: Path, present: tuple[InstalledModel, ...]) -> InstalledModel:
    real = path.resolve()
    for model in present:
        if model.path in (path, real):
            return model
    if not real.is_file():
        raise ModelNotFoundError(
            f"There is no model file {path}.", code="model_file_missing", hint="Check the path."
        )
    size_bytes = real.stat().st_size
    # A copy of a catalog file may be loaded from anywhere: the gate will look at its hash.
    entry = next((e for e in catalog.ENTRIES if e.size_bytes == size_bytes), None)
    if entry is None:
        raise not_trusted(path)
    return InstalledModel(id=entry.id, path=real, size_bytes=size_bytes, entry=entry)


def not_trusted(path: Path) -> ModelInvalidError:
    """The error for a file that is neither pinned nor confirmed by the user."""
    return ModelInvalidError(
        f"{path.name} is not a model of the catalog, and you have not confirmed it yet. A model "
        "file can attack the program that loads it.",
        code="model_not_trusted",
        hint=f"If you trust it, run: midfill model fetch --file {path}",
    )


def _choose(
    present: tuple[InstalledModel, ...], gpu_memory_bytes: Callable[[], int | None] | None
) -> InstalledModel:
    if not present:
        _refuse_vanished(None)
        raise ModelNotFoundError(
            "No model is fetched yet.", code="model_not_fetched", hint=_FETCH_HINT
        )
    if len(present) == 1:
        return present[0]
    if gpu_memory_bytes is None:
        from lsp_server.models import machine

        gpu_memory_bytes = machine.gpu_memory_bytes
    memory = gpu_memory_bytes()
    default = catalog.default_entry(memory)
    known = [(model.entry, model) for model in present if model.entry is not None]
    if not known:
        return present[0]

    def rank(entry: ModelEntry) -> tuple[bool, bool, int]:
        """The default; else the largest that the GPU holds; else the smallest."""
        fits = memory is not None and entry.min_gpu_bytes <= memory
        return entry.id == default.id, fits, entry.size_bytes if fits else -entry.size_bytes

    return max(known, key=lambda pair: rank(pair[0]))[1]


def _records_path() -> Path:
    return paths.models_dir() / "models.json"


def _update(change: Callable[[list[ModelRecord]], Iterable[ModelRecord]]) -> None:
    folder = paths.private_dir(paths.models_dir())
    path = _records_path()
    with file_errors(folder), locked(folder / "models.json.lock", wait=True):
        content = _RecordFile(models=list(change(records())))
        data = msgspec.json.format(msgspec.json.encode(content), indent=2)
        temporary = path.with_suffix(".json.new")
        handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
