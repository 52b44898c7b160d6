"""The GPUs that the installed llama.cpp can use, asked of ggml."""

from __future__ import annotations

import ctypes
import functools
import sys
from typing import Any

import llama_cpp
import psutil
from llama_cpp import _ggml

from lsp_server.engine.llama.memory import Gpu

# ggml_backend_dev_type in ggml-backend.h.
_GPU, _INTEGRATED_GPU = 1, 2


class _Properties(ctypes.Structure):
    """ggml_backend_dev_props, up to the part that grows with each version."""

    _fields_ = (
        ("name", ctypes.c_char_p),
        ("description", ctypes.c_char_p),
        ("memory_free", ctypes.c_size_t),
        ("memory_total", ctypes.c_size_t),
        ("type", ctypes.c_int),
        ("device_id", ctypes.c_char_p),
        ("capabilities", ctypes.c_bool * 64),
    )


def gpus() -> tuple[Gpu, ...]:
    """The devices llama.cpp would use by itself, in its order.

    A card that two back ends see counts once. Integrated GPUs count only where there is no other.
    Devices on other machines (RPC) are left out.

    Source: ``llama_prepare_model_devices`` in llama.cpp.
    """
    if not llama_cpp.llama_supports_gpu_offload():  # loads the back ends as well
        return ()
    return _usable([_describe(device) for device in _devices()])


def _usable(found: list[tuple[int, str, Gpu]]) -> tuple[Gpu, ...]:
    """Choose among devices.

    Args:
        found: type, id ("" where unknown) and facts of each.
    """
    cards: list[Gpu] = []
    ids: set[str] = set()
    for kind, device_id, gpu in found:
        if kind == _GPU and not gpu.name.startswith("RPC") and device_id not in ids:
            cards.append(gpu)
            ids |= {device_id} - {""}
    integrated = [gpu for kind, _, gpu in found if kind == _INTEGRATED_GPU]
    return tuple(cards or integrated[:1])


def _describe(device: int) -> tuple[int, str, Gpu]:
    properties = _Properties()
    _ggml_library().ggml_backend_dev_get_props(device, ctypes.byref(properties))
    kind = int(properties.type)
    free, total = int(properties.memory_free), int(properties.memory_total)
    if free == 0 and total == 0:
        # A device that has nothing to report; llama.cpp takes the machine's memory then, too.
        free, total = psutil.virtual_memory().available, psutil.virtual_memory().total
    gpu = Gpu(
        name=_text(properties.name),
        description=_text(properties.description),
        free_bytes=free,
        total_bytes=total,
        shares_host=kind == _INTEGRATED_GPU or sys.platform == "darwin",
        address=device,
    )
    return kind, _text(properties.device_id), gpu


def _devices() -> list[int]:
    library = _ggml_library()
    return [
        address
        for index in range(library.ggml_backend_dev_count())
        if (address := library.ggml_backend_dev_get(index))
    ]


@functools.cache
def _ggml_library() -> Any:
    """The library llama_cpp brings, with the signatures of what is called here."""
    library = _ggml.libggml
    library.ggml_backend_dev_count.restype = ctypes.c_size_t
    library.ggml_backend_dev_count.argtypes = ()
    library.ggml_backend_dev_get.restype = ctypes.c_void_p
    library.ggml_backend_dev_get.argtypes = (ctypes.c_size_t,)
    library.ggml_backend_dev_get_props.restype = None
    library.ggml_backend_dev_get_props.argtypes = (ctypes.c_void_p, ctypes.c_void_p)
    return library


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
