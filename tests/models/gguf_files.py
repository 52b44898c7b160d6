"""Writes tiny GGUF files, whole or broken in a chosen way."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping, Sequence
from typing import Any

QWEN_TOKENS = (
    "a",
    "b",
    "<|fim_prefix|>",
    "<|fim_middle|>",
    "<|fim_suffix|>",
    "<|fim_pad|>",
    "<|repo_name|>",
    "<|file_sep|>",
)
PLAIN_TOKENS = ("a", "b", "c")

_U32, _BOOL, _STRING, _ARRAY, _F32 = 4, 7, 8, 9, 6


def string(text: str | bytes) -> bytes:
    """A GGUF string."""
    data = text.encode() if isinstance(text, str) else text
    return struct.pack("<Q", len(data)) + data


def value(item: Any) -> bytes:
    """A metadata value with its type before it."""
    if isinstance(item, bool):
        return struct.pack("<IB", _BOOL, item)
    if isinstance(item, int):
        return struct.pack("<II", _U32, item)
    if isinstance(item, float):
        return struct.pack("<If", _F32, item)
    if isinstance(item, str):
        return struct.pack("<I", _STRING) + string(item)
    if item and isinstance(item[0], int):
        return struct.pack("<IIQ", _ARRAY, _U32, len(item)) + struct.pack(f"<{len(item)}I", *item)
    if item and isinstance(item[0], str):
        body = b"".join(map(string, item))
        return struct.pack("<IIQ", _ARRAY, _STRING, len(item)) + body
    return struct.pack("<IIQ", _ARRAY, _F32, len(item)) + struct.pack(f"<{len(item)}f", *item)


def file_of(
    metadata: dict[str, Any],
    tensors: Mapping[str, tuple[int, ...]],
    *,
    types: dict[str, int] | None = None,
    number: Callable[[], float] | None = None,
) -> bytes:
    """A GGUF file with these entries and tensors.

    Args:
        metadata: entries; one of None is left out.
        tensors: shape of each.
        types: ggml's number of the type of a tensor; F32 where it is not named.
        number: gives the elements of all tensors, which must be F32 then; 0 without it.
    """
    kept = {key: item for key, item in metadata.items() if item is not None}
    header = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(kept))
    header += b"".join(string(key) + value(item) for key, item in kept.items())
    offset = 0
    data = b""
    for name, shape in tensors.items():
        kind = (types or {}).get(name, 0)
        header += string(name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
        header += struct.pack("<IQ", kind, offset)
        # As if every element had four bytes: more than any type here needs.
        n_elements = math.prod(shape)
        offset += -(-4 * n_elements // 32) * 32
        if number is not None:
            data += struct.pack(f"<{n_elements}f", *(number() for _ in range(n_elements)))
        data += b"\0" * (offset - len(data))
    return header + b"\0" * (-len(header) % 32) + data


LORA_TENSORS = {
    "blk.0.attn_q.weight.lora_a": (64, 4),
    "blk.0.attn_q.weight.lora_b": (4, 64),
}


def lora(
    metadata: dict[str, Any] | None = None,
    tensors: Mapping[str, tuple[int, ...]] | None = None,
    types: dict[str, int] | None = None,
    number: Callable[[], float] | None = None,
) -> bytes:
    """A LoRA adapter for the model of ``gguf``.

    Args:
        metadata: more entries; an entry of None leaves a standard one out.
        tensors: instead of the standard ones.
        types, number: see ``file_of``.
    """
    entries: dict[str, Any] = {
        "general.type": "adapter",
        "general.architecture": "qwen2",
        "adapter.type": "lora",
        "adapter.lora.alpha": 8.0,
    }
    entries |= metadata or {}
    chosen = LORA_TENSORS if tensors is None else tensors
    return file_of(entries, chosen, types=types, number=number)


def gguf(
    tokens: Sequence[str] = QWEN_TOKENS,
    *,
    metadata: dict[str, Any] | None = None,
    shape: tuple[int, ...] = (64, 2),
    tensor_type: int = 8,
    tensor_bytes: int | None = None,
    version: int = 3,
    fill: bytes = b"\x5a",
) -> bytes:
    """A GGUF file with one Q8_0 tensor (34 bytes for 32 elements).

    Args:
        tokens: the vocabulary.
        metadata: more entries; an entry of None leaves a standard one out.
        shape: dimensions of the tensor.
        tensor_type: ggml's number of its type.
        tensor_bytes: bytes of the tensor in the file; as many as it needs when None.
        version: GGUF version.
        fill: byte the tensor is made of.
    """
    entries: dict[str, Any] = {
        "general.architecture": "qwen2",
        "general.name": "Tiny",
        "qwen2.context_length": 2048,
        "general.file_type": 7,
        "tokenizer.ggml.tokens": list(tokens),
        "tokenizer.ggml.scores": [0.0] * 3,
        "tokenizer.ggml.merges": ["a b", "b a"],
        "tokenizer.ggml.add_bos_token": False,
    }
    entries |= metadata or {}
    kept = {key: item for key, item in entries.items() if item is not None}
    header = b"GGUF" + struct.pack("<IQQ", version, 1, len(kept))
    header += b"".join(string(key) + value(item) for key, item in kept.items())
    header += string("output.weight") + struct.pack("<I", len(shape))
    header += struct.pack(f"<{len(shape)}Q", *shape) + struct.pack("<IQ", tensor_type, 0)
    header += b"\0" * (-len(header) % 32)
    if tensor_bytes is None:
        n_elements = 1
        for dimension in shape:
            n_elements *= dimension
        tensor_bytes = n_elements // 32 * 34
    return header + fill * tensor_bytes
