"""The weights of a model in memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import llama_cpp

from lsp_server.engine.llama.native import NativeLog
from lsp_server.errors import ModelInvalidError


class Weights:
    """A loaded GGUF file.

    Args:
        path: of the file, which was checked before.
        log: says why a load failed.
        on_progress: called with 0..1 while it loads; returning False stops the load.
        n_gpu_layers: layers on the GPU; -1 is all.

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
        n_gpu_layers: int,
    ) -> None:
        self._callback = llama_cpp.llama_progress_callback(
            lambda progress, _data: on_progress(float(progress))
        )
        params = llama_cpp.llama_model_default_params()
        params.n_gpu_layers = n_gpu_layers
        params.progress_callback = self._callback
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
