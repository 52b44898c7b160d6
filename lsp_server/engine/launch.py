"""From settings to the engine they mean."""

from __future__ import annotations

from lsp_server.engine.options import EngineOptions
from lsp_server.models import store
from lsp_server.settings import Settings

_SCRIPTED = "scripted:"


def engine_options(settings: Settings) -> EngineOptions:
    """What to start the engine with.

    Args:
        settings: ``model.id`` is ``auto``, an id, a path, or ``scripted:PATH`` (a test double).

    Raises:
        ModelError: the model is not there; the message names the command to run.
    """
    engine = settings.engine
    model = settings.model.id
    if model.startswith(_SCRIPTED):
        return EngineOptions(
            backend="scripted",
            model_id="scripted",
            model_path=model.removeprefix(_SCRIPTED),
            idle_exit_s=engine.idle_exit_s,
        )
    installed = store.resolve(None if model == "auto" else model)
    return EngineOptions(
        model_id=installed.id,
        model_path=str(installed.path),
        n_ctx=engine.n_ctx,
        n_slots=engine.n_slots,
        move_kv=engine.move_kv,
        n_gpu_layers=engine.n_gpu_layers,
        n_threads=engine.n_threads,
        flash_attention=engine.flash_attention,
        idle_exit_s=engine.idle_exit_s,
    )
