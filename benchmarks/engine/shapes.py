"""GGUF files of a given shape with random weights: for speed where a large model is not at hand.

The vocabulary comes from a small model of the same family. Every tensor has the type that
llama.cpp's Q4_K_M gives it, so that as many bytes are read and as many products computed; what
such a model writes means nothing. Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import msgspec
import numpy as np

from lsp_server.errors import StoreError, UsageError

_MAGIC, _VERSION, _ALIGNMENT = b"GGUF", 3, 32
_U32, _F32, _STRING, _ARRAY = 4, 6, 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}
_TYPE_F32, _TYPE_Q4_K, _TYPE_Q6_K = 0, 12, 14
_MOSTLY_Q4_K_M = 15
_BLOCK = 256
_BLOCK_BYTES = {_TYPE_Q4_K: 144, _TYPE_Q6_K: 210}
# Scales that leave weights of about 0.02, as trained ones are; larger ones overflow.
_D_Q4_K, _DMIN_Q4_K, _D_Q6_K = 1.3e-4, 9.8e-4, 1.5e-5
_BLOCKS_AT_ONCE = 1 << 15
# True of the base's own file and shape alone; llama.cpp derives what is missing.
_LEFT_OUT = (
    *("general.alignment", "general.size_label", "quantize.", "split."),
    *("qwen2.rope.dimension_count", "qwen2.attention.key_length", "qwen2.attention.value_length"),
)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """The shape of a Qwen2 model.

    Args:
        name: for display.
        n_layers: blocks.
        n_embd: width.
        n_ff: width of the feed-forward part.
        n_head: attention heads.
        n_head_kv: of keys and values.
        ties_output: whether the output is the embedding.
    """

    name: str
    n_layers: int
    n_embd: int
    n_ff: int
    n_head: int
    n_head_kv: int
    ties_output: bool = False


SHAPES = {
    "7b": Shape(
        name="7B shape", n_layers=28, n_embd=3584, n_ff=18944, n_head=28, n_head_kv=4
    ),
    "tiny": Shape(
        name="tiny shape", n_layers=2, n_embd=256, n_ff=512, n_head=4, n_head_kv=2,
        ties_output=True,
    ),
}  # fmt: skip


class Tensor(NamedTuple):
    """A tensor of the file: rows of ``width`` weights each."""

    name: str
    width: int
    n_rows: int
    type: int

    @property
    def n_bytes(self) -> int:
        """Of its data."""
        n_weights = self.width * self.n_rows
        if self.type == _TYPE_F32:
            return 4 * n_weights
        return n_weights // _BLOCK * _BLOCK_BYTES[self.type]


def tensors(shape: Shape, n_vocab: int) -> list[Tensor]:
    """All tensors with the types of Q4_K_M.

    Args:
        shape: of the model.
        n_vocab: tokens of the vocabulary.
    """
    wide, ff = shape.n_embd, shape.n_ff
    kv = wide // shape.n_head * shape.n_head_kv
    found = [Tensor("token_embd.weight", wide, n_vocab, _TYPE_Q4_K)]
    for layer in range(shape.n_layers):
        better = _TYPE_Q6_K if _more_bits(layer, shape.n_layers) else _TYPE_Q4_K
        parts = [
            Tensor("attn_norm.weight", wide, 1, _TYPE_F32),
            Tensor("attn_q.weight", wide, wide, _TYPE_Q4_K),
            Tensor("attn_q.bias", wide, 1, _TYPE_F32),
            Tensor("attn_k.weight", wide, kv, _TYPE_Q4_K),
            Tensor("attn_k.bias", kv, 1, _TYPE_F32),
            Tensor("attn_v.weight", wide, kv, better),
            Tensor("attn_v.bias", kv, 1, _TYPE_F32),
            Tensor("attn_output.weight", wide, wide, _TYPE_Q4_K),
            Tensor("ffn_norm.weight", wide, 1, _TYPE_F32),
            Tensor("ffn_gate.weight", wide, ff, _TYPE_Q4_K),
            Tensor("ffn_up.weight", wide, ff, _TYPE_Q4_K),
            Tensor("ffn_down.weight", ff, wide, better),
        ]
        found += [part._replace(name=f"blk.{layer}.{part.name}") for part in parts]
    found.append(Tensor("output_norm.weight", wide, 1, _TYPE_F32))
    if not shape.ties_output:
        found.append(Tensor("output.weight", wide, n_vocab, _TYPE_Q6_K))
    return found


def _more_bits(layer: int, n_layers: int) -> bool:
    """Whether llama.cpp gives a layer's values and down projection six bits in Q4_K_M."""
    eighth = n_layers // 8
    return layer < eighth or layer >= 7 * n_layers // 8 or (layer - eighth) % 3 == 2


def write(base: Path, path: Path, shape: Shape, seed: int = 0) -> None:
    """Write a model of a shape; it is there whole or not at all.

    Args:
        base: a GGUF file of the same family, whose vocabulary is taken.
        path: of the new file.
        shape: of the new model.
        seed: of its weights.

    Raises:
        UsageError: the base is no GGUF of a Qwen2 model (``base_unusable``).
        StoreError: the file cannot be written (``folder_unwritable``).
    """
    try:
        metadata, n_vocab = read_metadata(base)
    except (OSError, struct.error, KeyError, UnicodeDecodeError) as error:
        raise _unusable(base, str(error)) from error
    partial = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with partial.open("wb") as file:
            _write(file, {**metadata, **_shape_metadata(shape)}, tensors(shape, n_vocab), seed)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise StoreError(
            f"The model cannot be written to {path}: {error.strerror}.", code="folder_unwritable"
        ) from error


def _unusable(base: Path, reason: str) -> UsageError:
    return UsageError(
        f"The vocabulary of {base.name} cannot be used: {reason}.",
        code="base_unusable",
        hint="Name a fetched Qwen2.5-Coder with --model.",
    )


def _shape_metadata(shape: Shape) -> dict[str, bytes]:
    """Type and value of the keys that say the shape."""
    return {
        "general.name": _string_value(f"random weights, {shape.name}"),
        "general.file_type": _u32_value(_MOSTLY_Q4_K_M),
        "qwen2.block_count": _u32_value(shape.n_layers),
        "qwen2.embedding_length": _u32_value(shape.n_embd),
        "qwen2.feed_forward_length": _u32_value(shape.n_ff),
        "qwen2.attention.head_count": _u32_value(shape.n_head),
        "qwen2.attention.head_count_kv": _u32_value(shape.n_head_kv),
    }


# -- reading -----------------------------------------------------------------------------


def read_metadata(path: Path) -> tuple[dict[str, bytes], int]:
    """The metadata of a GGUF file as they stand there: type and value; and its number of tokens.

    Args:
        path: of the file.

    Raises:
        UsageError: it is no GGUF of a Qwen2 model.
    """
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise _unusable(path, "it is no GGUF file")
        _, _, n_pairs = struct.unpack("<IQQ", file.read(20))
        found = {}
        for _ in range(n_pairs):
            name = _read_string(file)
            start = file.tell()
            _skip_value(file, struct.unpack("<I", file.read(4))[0])
            end = file.tell()
            file.seek(start)
            found[name] = file.read(end - start)
    if found.get("general.architecture") != _string_value("qwen2"):
        raise _unusable(path, "its architecture is not qwen2")
    for name in [name for name in found if name.startswith(_LEFT_OUT)]:
        del found[name]
    return found, int(struct.unpack_from("<Q", found["tokenizer.ggml.tokens"], 8)[0])


def _read_string(file: BinaryIO) -> str:
    (size,) = struct.unpack("<Q", file.read(8))
    return file.read(size).decode("utf-8")


def _skip_value(file: BinaryIO, kind: int) -> None:
    if kind == _STRING:
        _read_string(file)
    elif kind == _ARRAY:
        item, n_items = struct.unpack("<IQ", file.read(12))
        if item in _SIZES:
            file.seek(_SIZES[item] * n_items, os.SEEK_CUR)
            return
        for _ in range(n_items):
            _skip_value(file, item)
    else:
        file.seek(_SIZES[kind], os.SEEK_CUR)


# -- writing -----------------------------------------------------------------------------


def _string(text: str) -> bytes:
    data = text.encode("utf-8")
    return struct.pack("<Q", len(data)) + data


def _string_value(text: str) -> bytes:
    return struct.pack("<I", _STRING) + _string(text)


def _u32_value(number: int) -> bytes:
    return struct.pack("<II", _U32, number)


def _padding(size: int) -> bytes:
    return b"\0" * (-size % _ALIGNMENT)


def _write(file: BinaryIO, metadata: dict[str, bytes], parts: list[Tensor], seed: int) -> None:
    head = [_MAGIC, struct.pack("<IQQ", _VERSION, len(parts), len(metadata))]
    head += [_string(name) + value for name, value in metadata.items()]
    offset = 0
    for part in parts:
        shape = (part.width,) if part.n_rows == 1 else (part.width, part.n_rows)
        head.append(_string(part.name) + struct.pack(f"<I{len(shape)}Q", len(shape), *shape))
        head.append(struct.pack("<IQ", part.type, offset))
        offset += part.n_bytes + len(_padding(part.n_bytes))
    data = b"".join(head)
    file.write(data + _padding(len(data)))
    chance = np.random.default_rng(seed)
    for part in parts:
        for piece in _data(part, chance):
            file.write(piece)
        file.write(_padding(part.n_bytes))


def _data(part: Tensor, chance: np.random.Generator) -> Iterator[bytes]:
    """The data of a tensor, piece by piece: norms of one, no bias, random blocks."""
    if part.type == _TYPE_F32:
        value = 0.0 if part.name.endswith(".bias") else 1.0
        yield np.full(part.width * part.n_rows, value, dtype="<f4").tobytes()
        return
    size = _BLOCK_BYTES[part.type]
    n_left = part.n_bytes // size
    while n_left > 0:
        n_blocks = min(n_left, _BLOCKS_AT_ONCE)
        blocks = chance.integers(0, 256, (n_blocks, size), dtype=np.uint8)
        if part.type == _TYPE_Q4_K:
            blocks[:, :4] = np.array([_D_Q4_K, _DMIN_Q4_K], dtype="<f2").view(np.uint8)
        else:
            blocks[:, -2:] = np.array([_D_Q6_K], dtype="<f2").view(np.uint8)
        yield blocks.tobytes()
        n_left -= n_blocks
