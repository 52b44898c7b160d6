"""From settings to the engine they mean."""

from __future__ import annotations

import logging
import os

from lsp_server.engine import choice as rules
from lsp_server.engine import measuring, speeds
from lsp_server.engine.choice import Choice, Guess, Verdict
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import Adapter
from lsp_server.models import catalog, machine, store
from lsp_server.models.store import InstalledModel
from lsp_server.settings import Settings

log = logging.getLogger("midfill.launch")

_SCRIPTED = "scripted:"
_AUTO = "auto"


def adapters(settings: Settings) -> tuple[Adapter, ...]:
    """The LoRA adapters of each request; they are no part of the options: the engine switches."""
    return tuple(
        Adapter(path=os.path.expanduser(lora.path), scale=lora.scale)
        for lora in settings.engine.lora
    )


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
            unload_idle_s=engine.unload_idle_s,
        )
    return options_for(model_of(settings), settings)


def model_of(settings: Settings) -> InstalledModel:
    """The model that is used.

    Raises:
        ModelError: it is not there; the message names the command to run.
    """
    if settings.model.id != _AUTO:
        return store.resolve(settings.model.id)
    present = store.installed()
    # No look at speeds and machine where there is no choice.
    return present[0] if len(present) == 1 else choose_model(settings).model


def choose_model(settings: Settings) -> Choice:
    """Which model ``auto`` takes, and why.

    Raises:
        ModelNotFoundError: none is fetched.
    """
    default = store.resolve(None)
    return rules.choose([verdict_of(model, settings) for model in store.installed()], default)


def worth_fetching(settings: Settings) -> Guess | None:
    """A larger model that is not fetched, where ``auto`` would probably take it; CPUs only.

    Which model a GPU carries is known without measuring: the default is by its memory.
    """
    fetched = {model.id for model in store.installed()}
    if settings.model.id != _AUTO or not fetched or machine.gpu_memory_bytes():
        return None
    choice = choose_model(settings)
    others = [entry for entry in catalog.ENTRIES if entry.id not in fetched]
    room_bytes = measuring.room_bytes()
    found = (
        rules.worth_fetching(verdict, others, memory_bytes=room_bytes)
        for verdict in choice.verdicts
        if verdict.model == choice.model
    )
    return next(found, None)


def verdict_of(model: InstalledModel, settings: Settings) -> Verdict:
    """How a fetched model stands against the budget."""
    speed = speeds.find(store.expected_sha256(model), options_for(model, settings))
    return Verdict(model=model, speed=speed, budget_ms=settings.model.budget_ms)


def tell_change(settings: Settings, model_id: str) -> None:
    """Log it when ``auto`` takes another model than the last time: the user left that to us.

    Args:
        settings: in force.
        model_id: what is used now.
    """
    if settings.model.id != _AUTO:
        return
    before = speeds.note_choice(model_id)
    if before not in ("", model_id):
        reason = choose_model(settings).reason
        log.warning("model.id auto takes %s now, not %s: %s", model_id, before, reason)


def unmeasured(settings: Settings) -> tuple[EngineOptions, ...]:
    """Engines of the models to measure when there is nothing else to do; none if not ``auto``."""
    if settings.model.id != _AUTO or len(store.installed()) < 2:
        return ()
    models = choose_model(settings).unmeasured
    return tuple(options_for(model, settings) for model in models)


def options_for(installed: InstalledModel, settings: Settings) -> EngineOptions:
    """What to start the engine of a model with."""
    engine = settings.engine
    return EngineOptions(
        model_id=installed.id,
        model_path=str(installed.path),
        n_ctx=engine.n_ctx,
        n_slots=engine.n_slots,
        move_kv=engine.move_kv,
        n_gpu_layers=engine.n_gpu_layers,
        n_threads=engine.n_threads,
        flash_attention=engine.flash_attention,
        speculation=engine.speculation,
        split_mode=engine.split_mode,
        tensor_split=engine.tensor_split,
        main_gpu=engine.main_gpu,
        kv_type=engine.kv_type,
        mmap=engine.mmap,
        mlock=engine.mlock,
        kv_store_mib=engine.kv_store_mib,
        n_corpus_tokens=settings.context.n_corpus_tokens,
        idle_exit_s=engine.idle_exit_s,
        unload_idle_s=engine.unload_idle_s,
    )
