"""Loads a model where it fits: the steps of a plan, one after another, until llama.cpp agrees."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import llama_cpp
import msgspec

from lsp_server.engine.llama import devices, memory
from lsp_server.engine.llama.estimate import Placement
from lsp_server.engine.llama.memory import Gpu
from lsp_server.engine.llama.native import NativeLog
from lsp_server.engine.llama.placement import Plan, Step, describe, out_of_memory, plan
from lsp_server.engine.llama.weights import Weights
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import PlacementStatus
from lsp_server.errors import EngineError, ModelInvalidError
from lsp_server.models import gguf
from lsp_server.models.cores import physical_cores
from lsp_server.models.shape import ModelShape, shape_of

_KV_TYPES = {"f16": llama_cpp.GGML_TYPE_F16, "q8_0": llama_cpp.GGML_TYPE_Q8_0}
# With AUTO llama.cpp finds out whether the device has it for the model.
_FLASH = {
    "auto": llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO,
    "on": llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED,
    "off": llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED,
}


class Loaded(NamedTuple):
    """A model that is ready to work.

    Args:
        weights: its weights.
        context: llama.cpp's pointer to the context.
        placement: where it lies.
        flash_attention: whether it is used.
        status: the placement, for the user.
        notice: what was not done as asked, and why; "" if all was.
        architecture: of the model, e.g. ``qwen2``.
        ties_output: whether its output is its table of embeddings.
    """

    weights: Weights
    context: Any
    placement: Placement
    flash_attention: bool
    status: PlacementStatus
    notice: str
    architecture: str
    ties_output: bool


def load(options: EngineOptions, log: NativeLog, on_progress: Callable[[float], bool]) -> Loaded:
    """Load a model and make its context.

    Args:
        options: see EngineOptions; ``model_path`` must name a file that was checked before.
        log: of llama.cpp.
        on_progress: called with 0..1 while the weights load; returning False stops the load.

    Raises:
        ModelInvalidError: llama.cpp refuses the file.
        EngineError: ``out_of_memory``, or ``context_failed``.
    """
    info = gguf.read(Path(options.model_path))
    shape = shape_of(info)
    free = memory.measure(devices.gpus())
    found = plan(shape, options, free, n_cores=physical_cores())
    return _Loader(options, log, on_progress, shape, found).run(info.architecture)


class _Loader:
    """Goes through the steps of a plan."""

    def __init__(
        self,
        options: EngineOptions,
        log: NativeLog,
        on_progress: Callable[[float], bool],
        shape: ModelShape,
        steps: Plan,
    ) -> None:
        self._options = options
        self._log = log
        self._on_progress = on_progress
        self._shape = shape
        self._plan = steps
        self._stopped = False
        self._weights: Weights | None = None
        self._loaded_for: Placement | None = None
        self._refused_for: Placement | None = None
        self._refusal = ""
        self._notes: list[str] = []

    def run(self, architecture: str) -> Loaded:
        """The first step that llama.cpp takes."""
        for step in self._plan.steps:
            weights = self._weights_for(step)
            if weights is None:
                continue
            self._log.lines.clear()
            made = make_context(weights.pointer, step.placement, self._options.n_slots, self._log)
            if made is not None:
                return self._loaded(step, weights, *made, architecture=architecture)
            self._refusal = self._log.last_error()
        self._drop_weights()
        raise self._failure()

    def _loaded(
        self, step: Step, weights: Weights, context: Any, flash: bool, *, architecture: str
    ) -> Loaded:
        n_layers = self._shape.n_layers
        notice = describe(self._plan, step, n_layers=n_layers, refusal=self._refusal)
        return Loaded(
            weights=weights,
            context=context,
            placement=step.placement,
            flash_attention=flash,
            status=_status(step, self._plan.memory.gpus, n_layers),
            notice=" ".join([notice, *self._notes]).strip(),
            architecture=architecture,
            ties_output=self._shape.ties_output,
        )

    # -- weights -------------------------------------------------------------------------

    def _weights_for(self, step: Step) -> Weights | None:
        """The weights where a step wants them; None if llama.cpp has no room for them."""
        wanted = _of_weights(step.placement)
        if self._weights is not None and wanted == self._loaded_for:
            return self._weights
        if wanted == self._refused_for:
            return None
        self._drop_weights()
        self._log.lines.clear()
        try:
            self._weights = self._read_weights(step)
        except ModelInvalidError:
            if self._stopped or not self._log.lacks_memory():
                raise
            self._refused_for, self._refusal = wanted, self._log.last_error()
            return None
        self._loaded_for = wanted
        return self._weights

    def _read_weights(self, step: Step) -> Weights:
        placement = step.placement
        self._notes = []
        if placement.use_mlock and (problem := self._lock_problem(step)):
            self._notes.append(problem)
            placement = msgspec.structs.replace(placement, use_mlock=False)
        weights = Weights(
            Path(self._options.model_path),
            self._log,
            self._progress,
            placement=placement,
            gpus=self._plan.memory.gpus,
        )
        if placement.use_mlock and any("mlock" in line for line in self._log.lines):
            self._notes.append(
                "The weights could not be locked in memory (engine.mlock): "
                f"{self._log.last_error()}"
            )
        return weights

    def _lock_problem(self, step: Step) -> str:
        if not llama_cpp.llama_supports_mlock():
            return "This llama.cpp cannot lock memory: engine.mlock has no effect."
        return memory.allow_locking(step.need.host_weight_bytes)

    def _progress(self, progress: float) -> bool:
        self._stopped = self._stopped or not self._on_progress(progress)
        return not self._stopped

    def _drop_weights(self) -> None:
        if self._weights is not None:
            self._weights.close()
        self._weights = self._loaded_for = None

    # -- failure -------------------------------------------------------------------------

    def _failure(self) -> EngineError:
        least = self._plan.steps[-1]
        if self._log.lacks_memory():
            return out_of_memory(least, self._plan.memory, self._refusal)
        return EngineError(
            f"No context of {least.placement.n_ctx:,} tokens for this model: {self._refusal}",
            code="context_failed",
            hint="Choose another model: midfill model list",
        )


def _of_weights(placement: Placement) -> Placement:
    """A placement without all that does not touch the weights."""
    return Placement(
        n_ctx=0,
        n_gpu_layers=placement.n_gpu_layers,
        split_mode=placement.split_mode,
        tensor_split=placement.tensor_split,
        main_gpu=placement.main_gpu,
        use_mmap=placement.use_mmap,
        use_mlock=placement.use_mlock,
    )


def make_context(
    model: Any, placement: Placement, n_slots: int, log: NativeLog
) -> tuple[Any, bool] | None:
    """A context for a loaded model, and whether it uses flash attention; None if refused.

    Args:
        model: llama.cpp's pointer to the weights.
        placement: sizes and types.
        n_slots: prompts that are kept.
        log: of llama.cpp.
    """
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = placement.n_ctx
    params.n_batch, params.n_ubatch = placement.n_batch, placement.n_ubatch
    # Each slot has a second sequence, where text waits while what stands before it changes.
    # Entries can move between sequences only where they share one pool of cells.
    params.n_seq_max = 2 * n_slots
    params.kv_unified = True
    params.n_threads = params.n_threads_batch = placement.n_threads
    params.type_k, params.type_v = _KV_TYPES[placement.type_k], _KV_TYPES[placement.type_v]
    params.flash_attn_type = _FLASH[placement.flash_attention]
    log.lines.clear()
    context = llama_cpp.llama_init_from_model(model, params)
    if not context:
        return None
    return context, placement.flash_attention != "off" and not _switched_off(log)


def _switched_off(log: NativeLog) -> bool:
    """Whether llama.cpp said that it does without flash attention."""
    lines = [line.lower() for line in log.lines]
    return any("flash" in line and ("disabled" in line or "forcing off" in line) for line in lines)


def _status(step: Step, gpus: tuple[Gpu, ...], n_layers: int) -> PlacementStatus:
    placement = step.placement
    used = [
        f"{gpu.name} {gpu.description}".strip()
        for gpu, n_bytes in zip(gpus, step.need.gpu_bytes, strict=True)
        if n_bytes
    ]
    same = placement.type_k == placement.type_v
    return PlacementStatus(
        devices=tuple(used),
        n_layers=n_layers + 1,
        n_gpu_layers=placement.n_gpu_layers,
        split_mode=placement.split_mode,
        kv_type=placement.type_k if same else f"{placement.type_k}, {placement.type_v}",
        host_bytes=step.need.host_bytes,
        gpu_bytes=tuple(n_bytes for n_bytes in step.need.gpu_bytes if n_bytes),
    )
