"""The weights of a model in memory."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from pathlib import Path

import llama_cpp

from lsp_server.engine.llama.estimate import Placement
from lsp_server.engine.llama.memory import Gpu
from lsp_server.engine.llama.native import NativeLog
from lsp_server.errors import ModelInvalidError

_SPLIT_MODES = {
    "none": llama_cpp.LLAMA_SPLIT_MODE_NONE,
    "layer": llama_cpp.LLAMA_SPLIT_MODE_LAYER,
    "row": llama_cpp.LLAMA_SPLIT_MODE_ROW,
}


class Weights:
    """A loaded GGUF file.

    Args:
        path: of the file, which was checked before.
        log: says why a load failed.
        on_progress: called with 0..1 while it loads; returning False stops the load.
        placement: where they go.
        gpus: what the placement's GPU numbers mean.

    Attributes:
        pointer: llama.cpp's.

    Raises:
        ModelInvalidError: llama.cpp refuses the file.
    """

    def __init__(
        self,
        path: Path,
        log: NativeLog,
        on_progress: Callable[[float], bool],
        *,
        placement: Placement,
        gpus: Sequence[Gpu],
    ) -> None:
        # llama.cpp keeps pointers to these.
        self._callback = llama_cpp.llama_progress_callback(
            lambda progress, _data: on_progress(float(progress))
        )
        self._devices = _devices(placement, gpus)
        self._shares = _shares(placement)
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = placement.n_gpu_layers
        params.split_mode = _SPLIT_MODES[placement.split_mode]
        params.load_mode = _load_mode(placement)
        params.progress_callback = self._callback
        if self._devices is not None:
            params.devices = ctypes.cast(self._devices, ctypes.c_void_p)
        if self._shares is not None:
            params.tensor_split = ctypes.cast(self._shares, ctypes.POINTER(ctypes.c_float))
        # A model that is not split is given the one device it may use.
        params.main_gpu = placement.main_gpu if placement.split_mode != "none" else 0
        self.pointer = llama_cpp.llama_model_load_from_file(os.fsencode(path), params)
        if not self.pointer:
            raise ModelInvalidError(
                f"llama.cpp cannot load {path.name}: {log.last_error()}",
                code="model_load_failed",
                hint="Check the file with: midfill model verify",
            )

    def close(self) -> None:
        """Free them."""
        llama_cpp.llama_model_free(self.pointer)


def _devices(placement: Placement, gpus: Sequence[Gpu]) -> ctypes.Array[ctypes.c_void_p] | None:
    """The devices llama.cpp may use, ended by NULL; None on a machine without a GPU."""
    if not gpus:
        return None
    if not placement.n_gpu_layers:
        used: list[Gpu] = []
    elif placement.split_mode == "none":
        used = [gpus[placement.main_gpu]]
    else:
        used = list(gpus)
    return (ctypes.c_void_p * (len(used) + 1))(*(gpu.address for gpu in used), None)


def _shares(placement: Placement) -> ctypes.Array[ctypes.c_float] | None:
    if placement.split_mode == "none":
        return None
    # llama.cpp reads one share for each device it could ever have.
    n_more = int(llama_cpp.llama_max_devices()) - len(placement.tensor_split)
    shares = [*placement.tensor_split, *([0.0] * n_more)]
    return (ctypes.c_float * len(shares))(*shares)


def _load_mode(placement: Placement) -> int:
    if placement.use_mlock:
        mapped = placement.use_mmap is not False
        mode = llama_cpp.LLAMA_LOAD_MODE_MMAP_MLOCK if mapped else llama_cpp.LLAMA_LOAD_MODE_MLOCK
    elif placement.use_mmap is None:
        mode = llama_cpp.LLAMA_LOAD_MODE_AUTO
    else:
        mapped = placement.use_mmap
        mode = llama_cpp.LLAMA_LOAD_MODE_MMAP if mapped else llama_cpp.LLAMA_LOAD_MODE_NONE
    return int(mode)
