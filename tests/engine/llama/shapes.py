"""Models and machines for the tests of placement."""

from __future__ import annotations

from typing import Any

import msgspec

from lsp_server.engine.llama.memory import Gpu, Memory
from lsp_server.models.shape import ModelShape

MIB, GIB = 1 << 20, 1 << 30

# The sizes of Qwen2.5-Coder 7B in Q4_K_M: 28 layers, 4.4 GiB of weights, 56 KiB of KV a token.
SEVEN_B = ModelShape(
    n_vocab=152_064,
    n_embd=3584,
    n_ff=18_944,
    n_head=28,
    n_ctx_train=32_768,
    layer_bytes=(136 * MIB,) * 28,
    input_bytes=292 * MIB,
    output_bytes=426 * MIB,
    ties_output=False,
    k_width=(512,) * 28,
    v_width=(512,) * 28,
    k_head=128,
    v_head=128,
)


def shape(**changes: Any) -> ModelShape:
    """That model with other sizes."""
    return msgspec.structs.replace(SEVEN_B, **changes)


def machine(host_gib: float = 64.0, *gpus_gib: float, shares_host: bool = False) -> Memory:
    """A machine.

    Args:
        host_gib: free memory.
        gpus_gib: free memory of each GPU; it has half a GiB more in all.
        shares_host: whether that is the machine's own.
    """
    return Memory(
        host_free_bytes=int(host_gib * GIB),
        host_total_bytes=int(host_gib * GIB) + GIB,
        gpus=tuple(
            Gpu(
                name=f"CUDA{index}",
                description="Card",
                free_bytes=int(free * GIB),
                total_bytes=int(free * GIB) + GIB // 2,
                shares_host=shares_host,
                address=1000 + index,
            )
            for index, free in enumerate(gpus_gib)
        ),
    )
