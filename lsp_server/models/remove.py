"""Forget a model, and delete its file where that file is midfill's own."""

from __future__ import annotations

from pathlib import Path

import msgspec

from lsp_server import paths
from lsp_server.errors import FetchError, ModelNotFoundError
from lsp_server.models import catalog, store
from lsp_server.models.locks import file_errors, locked
from lsp_server.models.partial import remove_leftovers

_PARTIAL = ".partial"


class Removal(msgspec.Struct, frozen=True, kw_only=True):
    """What was done.

    Args:
        id: the model.
        deleted: files that are gone.
        kept: files of the user, outside the model folder, that are only forgotten.
        freed_bytes: size of what was deleted.
    """

    id: str
    deleted: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    freed_bytes: int = 0


def plan(model_id: str) -> Removal:
    """What ``remove`` would do; nothing is changed.

    Raises:
        ModelNotFoundError: ``model_unknown`` or ``model_not_fetched``.
    """
    folder = paths.models_dir()
    recorded = [r for r in store.records() if r.id == model_id]
    ours = {folder / r.path for r in recorded if (folder / r.path).parent == folder.resolve()}
    elsewhere = (r.path for r in recorded if folder / r.path not in ours)
    if not recorded or any(entry.id == model_id for entry in catalog.ENTRIES):
        ours.add(store.entry_path(catalog.find(model_id)))
    files = [file for target in sorted(ours) for file in _files_of(target) if file.is_file()]
    if not files and not recorded:
        raise ModelNotFoundError(
            f"The model {model_id} is not fetched.",
            code="model_not_fetched",
            hint="See: midfill model list",
        )
    return Removal(
        id=model_id,
        deleted=tuple(map(str, files)),
        kept=tuple(path for path in elsewhere if Path(path).is_file()),
        freed_bytes=sum(file.stat().st_size for file in files),
    )


def remove(model_id: str) -> Removal:
    """Remove a model, whole or half fetched.

    Raises:
        ModelNotFoundError: ``model_unknown`` or ``model_not_fetched``.
        FetchError: ``fetch_running``.
        StoreError: the model folder cannot be written.
    """
    removal = plan(model_id)
    targets = {Path(file.removesuffix(_PARTIAL)) for file in removal.deleted}
    for target in sorted(targets):
        with locked(target.with_name(target.name + ".lock"), wait=False) as held:
            if not held:
                raise FetchError(
                    f"Another midfill is fetching {model_id} right now.",
                    code="fetch_running",
                    hint="Stop it first.",
                )
            with file_errors(target.parent):
                target.unlink(missing_ok=True)
                remove_leftovers(target)
    if any(record.id == model_id for record in store.records()):
        store.drop_record(model_id)
    return removal


def _files_of(target: Path) -> tuple[Path, Path]:
    """The model, and what is there of it while it is fetched."""
    return target, target.with_name(target.name + _PARTIAL)
