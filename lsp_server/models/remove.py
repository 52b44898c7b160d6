"""Forget a model, and delete its file where that file is midfill's own."""

from __future__ import annotations

import msgspec

from lsp_server import paths
from lsp_server.errors import FetchError, ModelNotFoundError
from lsp_server.models import catalog, store
from lsp_server.models.locks import file_errors, locked
from lsp_server.models.partial import remove_leftovers


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


def remove(model_id: str) -> Removal:
    """Remove a model, whole or half fetched.

    Raises:
        ModelNotFoundError: ``model_unknown`` or ``model_not_fetched``.
        FetchError: ``fetch_running``.
        StoreError: the model folder cannot be written.
    """
    folder = paths.models_dir()
    recorded = [r for r in store.records() if r.id == model_id]
    ours = {folder / r.path for r in recorded if (folder / r.path).parent == folder.resolve()}
    kept = tuple(r.path for r in recorded if folder / r.path not in ours)
    if not recorded or any(entry.id == model_id for entry in catalog.ENTRIES):
        ours.add(store.entry_path(catalog.find(model_id)))
    deleted: list[str] = []
    freed_bytes = 0
    for target in sorted(ours):
        partial = target.with_name(target.name + ".partial")
        present = [file for file in (target, partial) if file.is_file()]
        if not present:
            continue
        with locked(target.with_name(target.name + ".lock"), wait=False) as held:
            if not held:
                raise FetchError(
                    f"Another midfill is fetching {model_id} right now.",
                    code="fetch_running",
                    hint="Stop it first.",
                )
            freed_bytes += sum(file.stat().st_size for file in present)
            with file_errors(folder):
                target.unlink(missing_ok=True)
                remove_leftovers(target)
            deleted += map(str, present)
    if not deleted and not kept:
        raise ModelNotFoundError(
            f"The model {model_id} is not fetched.",
            code="model_not_fetched",
            hint="See: midfill model list",
        )
    if recorded:
        store.drop_record(model_id)
    return Removal(id=model_id, deleted=tuple(deleted), kept=kept, freed_bytes=freed_bytes)
