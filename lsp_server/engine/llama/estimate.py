"""How many bytes a placement needs, on each device, before anything is loaded."""

from __future__ import annotations

from typing import Literal

import msgspec

from lsp_server.engine.llama.memory import Gpu, Memory
from lsp_server.models.shape import ModelShape

KvType = Literal["f16", "q8_0"]
SplitMode = Literal["none", "layer", "row"]

_MIB = 1 << 20
# Bytes of one number in the KV cache: q8_0 keeps 32 numbers and their scale in 34 bytes.
_KV_BYTES = {"f16": 2.0, "q8_0": 34 / 32}
# What stays free on every device: the larger of a floor and a share, but never above a cap.
# llama.cpp's own fitting leaves 1 GiB a device.
_RESERVE_SHARE = 0.05
_MIN_RESERVE, _MAX_RESERVE = 256 * _MIB, 1024 * _MIB
# Python, numpy, llama.cpp's tables, and the logits of the tokens of one batch.
_PROCESS_BYTES = 128 * _MIB
# Allocators round up, and graphs have small tensors that are not counted one by one.
_MARGIN = 1.1
# llama.cpp overlaps batches when whole models are split by layers, with so many input copies.
_N_PIPELINE_COPIES = 4


class Placement(msgspec.Struct, frozen=True, kw_only=True):
    """Where a model lies, and how it is run.

    Args:
        n_ctx: cells of the KV cache.
        type_k, type_v: types of its numbers.
        n_gpu_layers: layers on GPUs, counted from the last one; the output counts as one.
        split_mode: over GPUs; ``none`` puts everything on ``main_gpu``.
        tensor_split: shape (n_gpus,); share of each GPU when split.
        main_gpu: index of a GPU.
        flash_attention: ``auto`` leaves it to llama.cpp.
        n_threads: CPU threads.
        use_mmap: whether the file is mapped; None leaves it to llama.cpp, by device.
        use_mlock: whether the weights are locked in memory.
        n_batch, n_ubatch: tokens of a logical and of a physical batch.
    """

    n_ctx: int
    type_k: KvType = "f16"
    type_v: KvType = "f16"
    n_gpu_layers: int = 0
    split_mode: SplitMode = "none"
    tensor_split: tuple[float, ...] = ()
    main_gpu: int = 0
    flash_attention: Literal["auto", "on", "off"] = "auto"
    n_threads: int = 1
    use_mmap: bool | None = None
    use_mlock: bool = False
    n_batch: int = 512
    n_ubatch: int = 256


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """Bytes a placement needs.

    Args:
        host_bytes: of the machine's memory.
        host_weight_bytes: the weights among them.
        gpu_bytes: shape (n_gpus,); of each GPU.
    """

    host_bytes: int
    host_weight_bytes: int
    gpu_bytes: tuple[int, ...]

    @property
    def total_bytes(self) -> int:
        """All of it."""
        return self.host_bytes + sum(self.gpu_bytes)


def estimate(shape: ModelShape, placement: Placement, n_gpus: int) -> Estimate:
    """What a placement needs: weights, KV cache and compute buffers, device by device.

    Weights lie where llama.cpp puts their layer, the table of embeddings always on the host. The
    KV cache of a layer lies with the layer: ``n_ctx * (k_width * bytes + v_width * bytes)``. The
    compute buffer of a device is reserved for the widest point of a physical batch, since
    llama.cpp reuses its parts: the larger of the logits with one row of activations,
    ``n_ubatch * 4 * (n_vocab + n_embd)``, and the inside of a layer,
    ``n_ubatch * 4 * (3 * n_ff + 4 * n_embd)`` and the scores of attention where flash attention is
    off, ``n_ubatch * 4 * n_ctx * n_head``; beside it the mask, ``n_ubatch * 4 * n_ctx``. A tenth
    is added to the buffers.

    Args:
        shape: of the model.
        placement: to be weighed.
        n_gpus: GPUs there are.

    Source: ``llama_model_base::load_tensors``, ``llama_kv_cache`` and
    ``llama_context::sched_reserve`` in llama.cpp.
    """
    home = layer_homes(shape.n_layers, placement, n_gpus)
    weights = [0] * (n_gpus + 1)  # the host comes last
    kv = [0.0] * (n_gpus + 1)
    weights[-1] += shape.input_bytes
    bytes_k, bytes_v = _KV_BYTES[placement.type_k], _KV_BYTES[placement.type_v]
    for layer, device in enumerate(home[:-1]):
        weights[device] += shape.layer_bytes[layer]
        width_k = shape.k_width[layer] if shape.k_width else 0
        width_v = shape.v_width[layer] if shape.v_width else 0
        kv[device] += placement.n_ctx * (width_k * bytes_k + width_v * bytes_v)
    # On the host a model that has no output table of its own uses the embeddings in place.
    on_host = home[-1] < 0
    weights[home[-1]] += shape.output_bytes - (
        shape.input_bytes if on_host and shape.ties_output else 0
    )
    buffers = _compute_bytes(shape, placement, home, n_gpus)
    need = [int(weights[i] + kv[i] + _MARGIN * buffers[i]) for i in range(n_gpus + 1)]
    return Estimate(
        host_bytes=need[-1] + _PROCESS_BYTES,
        host_weight_bytes=weights[-1],
        gpu_bytes=tuple(need[:-1]),
    )


def layer_homes(n_layers: int, placement: Placement, n_gpus: int) -> list[int]:
    """Which GPU each layer and, last, the output lies on; -1 is the host.

    Source: ``get_layer_buft_list`` in llama.cpp's ``load_tensors``.
    """
    n_all = n_layers + 1
    n_on_gpu = min(placement.n_gpu_layers, n_all) if n_gpus else 0
    first = n_all - n_on_gpu
    if placement.split_mode == "none" or not any(placement.tensor_split):
        return [-1] * first + [placement.main_gpu] * n_on_gpu
    total = sum(placement.tensor_split)
    ends: list[float] = []
    for share in placement.tensor_split:
        ends.append((ends[-1] if ends else 0.0) + share / total)
    on_gpus = [
        next((gpu for gpu, end in enumerate(ends) if index / n_on_gpu < end), len(ends) - 1)
        for index in range(n_on_gpu)
    ]
    return [-1] * first + on_gpus


def _compute_bytes(
    shape: ModelShape, placement: Placement, home: list[int], n_gpus: int
) -> list[float]:
    rows = 4.0 * placement.n_ubatch
    logits = rows * (shape.n_vocab + shape.n_embd)
    layer = rows * (3 * shape.n_ff + 4 * shape.n_embd)
    mask = rows * placement.n_ctx
    if placement.flash_attention == "off":
        layer += mask * shape.n_head
    used = {device for device in home if device >= 0}
    n_copies = _N_PIPELINE_COPIES if len(used) > 1 and -1 not in home else 1
    buffers = [0.0] * (n_gpus + 1)
    for device in {*home}:
        widest = max(layer, logits) if home[-1] == device else layer
        buffers[device] = widest + mask * n_copies
    if used:
        buffers[-1] = max(buffers[-1], rows * shape.n_embd + mask * n_copies)
    if used and -1 in home:
        # Large batches are multiplied on a GPU, whereto the host's weights are copied in passing.
        buffers[home[-1]] += max(shape.layer_bytes, default=0)
    return buffers


def reserve_bytes(total_bytes: int) -> int:
    """What is left free of a memory of that size."""
    return int(min(max(_RESERVE_SHARE * total_bytes, _MIN_RESERVE), _MAX_RESERVE))


def usable_bytes(gpu: Gpu) -> int:
    """What may be taken of a GPU."""
    return max(0, gpu.free_bytes - reserve_bytes(gpu.total_bytes))


def fits(need: Estimate, memory: Memory, *, with_reserve: bool = True) -> bool:
    """Whether there is room.

    Args:
        need: from ``estimate``.
        memory: what is free.
        with_reserve: whether something must stay free.
    """
    return not shortages(need, memory, with_reserve=with_reserve)


class Shortage(msgspec.Struct, frozen=True, kw_only=True):
    """Too little of a memory: its name for the user, what is free and what is needed of it."""

    memory: str
    free_bytes: int
    needed_bytes: int


def shortages(need: Estimate, memory: Memory, *, with_reserve: bool = True) -> list[Shortage]:
    """Where there is not enough room; see ``fits``. What is to stay free counts as needed."""

    def reserve(total_bytes: int) -> int:
        return reserve_bytes(total_bytes) if with_reserve else 0

    found: list[Shortage] = []
    host_bytes = need.host_bytes
    for gpu, wanted in zip(memory.gpus, need.gpu_bytes, strict=False):
        needed = wanted + reserve(gpu.total_bytes)
        if wanted and needed > gpu.free_bytes:
            name = "GPU memory" if len(memory.gpus) == 1 else f"memory on {gpu.name}"
            found.append(Shortage(memory=name, free_bytes=gpu.free_bytes, needed_bytes=needed))
        host_bytes += wanted if gpu.shares_host else 0
    needed = host_bytes + reserve(memory.host_total_bytes)
    if needed > memory.host_free_bytes:
        found.append(
            Shortage(memory="memory", free_bytes=memory.host_free_bytes, needed_bytes=needed)
        )
    return found
