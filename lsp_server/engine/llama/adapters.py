"""LoRA adapters: loaded once each, put on the context and taken off it without a reload.

The KV cache belongs to the adapters it was evaluated with. So the set of a request is a value
that slots keep and compare (``AdapterSet``): equal sets give equal entries.
"""

from __future__ import annotations

import ctypes
import math
import os
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import llama_cpp

from lsp_server.engine.llama.native import NativeLog
from lsp_server.engine.protocol import Adapter
from lsp_server.models import adapter as adapter_file

_MAX_SCALE = 10.0
# More than this many are loaded only as long as requests need them at once.
_N_KEPT = 8


class File(NamedTuple):
    """An adapter's file as it was when it was looked at: a new version is another adapter."""

    path: str
    n_bytes: int
    modified_ns: int
    inode: int


# Files and their scales, in a fixed order, since the order makes no difference.
AdapterSet: TypeAlias = tuple[tuple[File, float], ...]
NO_ADAPTERS: AdapterSet = ()


def adapter_set(wanted: Sequence[Adapter]) -> AdapterSet:
    """What a request asks for, as a value to compare.

    Adapters with a scale of 0 have no effect and are left out.

    Args:
        wanted: as in the request.

    Raises:
        ModelInvalidError: ``lora_invalid``: not there, named twice, or a scale out of range.
    """
    found: dict[File, float] = {}
    for adapter in wanted:
        path = Path(adapter.path)
        if not math.isfinite(adapter.scale) or abs(adapter.scale) > _MAX_SCALE:
            raise adapter_file.invalid(
                path, f"its scale is {adapter.scale}, not between -10 and 10"
            )
        if not path.is_absolute():
            raise adapter_file.invalid(path, "its path is not absolute")
        try:
            info = path.stat()
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise adapter_file.invalid(path, f"it cannot be opened ({reason})") from error
        file = File(adapter.path, info.st_size, info.st_mtime_ns, info.st_ino)
        if file in found:
            raise adapter_file.invalid(path, "it is named twice")
        found[file] = adapter.scale
    return tuple(sorted((file, scale) for file, scale in found.items() if scale))


class Adapters:
    """The adapters of a model and its context; used by one thread.

    Args:
        model: llama.cpp's pointer to the weights.
        context: llama.cpp's pointer to the context.
        log: of llama.cpp.
        architecture: of the model.
        ties_output: whether the model's output is its table of embeddings.

    Attributes:
        in_force: the set on the context.
    """

    def __init__(
        self, model: Any, context: Any, log: NativeLog, *, architecture: str, ties_output: bool
    ) -> None:
        self.in_force: AdapterSet = NO_ADAPTERS
        self._model = model
        self._context = context
        self._architecture = architecture
        self._ties_output = ties_output
        self._log = log
        # The one used last comes last.
        self._loaded: dict[File, Any] = {}

    @property
    def names(self) -> tuple[str, ...]:
        """Paths of the files that are loaded."""
        return tuple(file.path for file in list(self._loaded))

    def load(self, wanted: Sequence[Adapter], in_use: Collection[AdapterSet] = ()) -> AdapterSet:
        """Make sure that a set is loaded.

        Args:
            wanted: as in the request.
            in_use: sets that requests at work need; nothing of them is dropped.

        Raises:
            ModelInvalidError: ``lora_invalid``: one cannot be used.
        """
        adapters = adapter_set(wanted)
        for file, _ in adapters:
            if file in self._loaded:
                self._loaded[file] = self._loaded.pop(file)
            else:
                self._loaded[file] = self._read(file)
        self._drop_old({file for used in (adapters, self.in_force, *in_use) for file, _ in used})
        return adapters

    def use(self, adapters: AdapterSet) -> None:
        """Put a loaded set on the context, and take all others off.

        Args:
            adapters: from ``load``.
        """
        if adapters == self.in_force:
            return
        n = len(adapters)
        pointers = (llama_cpp.llama_adapter_lora_p_ctypes * n)(
            *(self._loaded[file] for file, _ in adapters)
        )
        scales = (ctypes.c_float * n)(*(scale for _, scale in adapters))
        llama_cpp.llama_set_adapters_lora(self._context, pointers, n, scales)
        self.in_force = adapters

    def _read(self, file: File) -> Any:
        path = Path(file.path)
        adapter_file.check(path, self._architecture, ties_output=self._ties_output)
        self._log.lines.clear()
        pointer = llama_cpp.llama_adapter_lora_init(self._model, os.fsencode(path))
        # llama.cpp gives NULL for what it does not take, and nobody would notice.
        if not pointer:
            raise adapter_file.invalid(path, f"llama.cpp refuses it ({self._log.last_error()})")
        return pointer

    def _drop_old(self, needed: Collection[File]) -> None:
        for file in list(self._loaded):
            if len(self._loaded) <= _N_KEPT:
                return
            if file not in needed:
                llama_cpp.llama_adapter_lora_free(self._loaded.pop(file))
