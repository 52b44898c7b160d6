"""How large the parts of a model are: what has to find room on a GPU or in the memory."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from lsp_server.models.gguf_info import GgufInfo

_BLOCK = re.compile(r"blk\.(\d+)\.")
# Far above any real model: a header that claims more is not believed.
_MAX_LAYERS = 4096
_MAX_WIDTH = 1 << 24


class ModelShape(msgspec.Struct, frozen=True, kw_only=True):
    """Sizes of a model, from the header of its file.

    Args:
        n_vocab: tokens in the vocabulary.
        n_embd: width of the model.
        n_ff: width of the feed-forward part.
        n_head: attention heads.
        n_ctx_train: tokens it was trained for (0 if not said).
        layer_bytes: shape (n_layers,); weights of each repeating layer.
        input_bytes: the table of token embeddings.
        output_bytes: what turns the last layer into logits; a model that has no such table of
            its own uses the embeddings for it.
        ties_output: whether it does.
        k_width, v_width: shape (n_layers,); numbers that one token adds to the KV cache.
        k_head, v_head: width of one head; a quantized KV cache is cut into blocks along it.
    """

    n_vocab: int
    n_embd: int
    n_ff: int
    n_head: int
    n_ctx_train: int
    layer_bytes: tuple[int, ...]
    input_bytes: int
    output_bytes: int
    ties_output: bool
    k_width: tuple[int, ...]
    v_width: tuple[int, ...]
    k_head: int
    v_head: int

    @property
    def n_layers(self) -> int:
        """Repeating layers."""
        return len(self.layer_bytes)


def shape_of(info: GgufInfo) -> ModelShape:
    """Read the sizes off a header; what it does not say is taken from the tensors, or is 0.

    Keys of the metadata: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
    """
    metadata, prefix = info.metadata, f"{info.architecture}."
    layer_bytes, others = _layers(info)
    n_layers = len(layer_bytes)
    n_embd = _number(metadata.get(prefix + "embedding_length"))
    heads = _per_layer(metadata.get(prefix + "attention.head_count"), n_layers)
    kv_heads = _per_layer(metadata.get(prefix + "attention.head_count_kv"), n_layers) or heads
    n_head = max(heads, default=0)
    head = n_embd // n_head if n_head else 0
    k_head = _number(metadata.get(prefix + "attention.key_length")) or head
    v_head = _number(metadata.get(prefix + "attention.value_length")) or head
    input_bytes = others.get("token_embd.weight", 0)
    ties_output = "output.weight" not in others
    output_bytes = sum(others.values()) - input_bytes
    return ModelShape(
        n_vocab=info.n_vocab,
        n_embd=n_embd,
        n_ff=max(
            _per_layer(metadata.get(prefix + "feed_forward_length"), n_layers), default=4 * n_embd
        ),
        n_head=n_head,
        n_ctx_train=info.context_length,
        layer_bytes=layer_bytes,
        input_bytes=input_bytes,
        output_bytes=output_bytes + (input_bytes if ties_output else 0),
        ties_output=ties_output,
        k_width=tuple(k_head * n for n in kv_heads),
        v_width=tuple(v_head * n for n in kv_heads),
        k_head=k_head,
        v_head=v_head,
    )


def _layers(info: GgufInfo) -> tuple[tuple[int, ...], dict[str, int]]:
    """Bytes of each repeating layer, and of every tensor outside of them."""
    layers: dict[int, int] = {}
    others: dict[str, int] = {}
    for tensor in info.tensors:
        if (found := _BLOCK.match(tensor.name)) and int(found[1]) < _MAX_LAYERS:
            layers[int(found[1])] = layers.get(int(found[1]), 0) + tensor.n_bytes
        else:
            others[tensor.name] = others.get(tensor.name, 0) + tensor.n_bytes
    said = _number(info.metadata.get(f"{info.architecture}.block_count"))
    n_layers = max(min(said, _MAX_LAYERS), max(layers, default=-1) + 1)
    # The size of a tensor type this reader does not know is what the file has beside the others.
    unknown = any(tensor.n_bytes == 0 for tensor in info.tensors)
    known_bytes = sum(layers.values()) + sum(others.values())
    rest = max(0, info.size_bytes - known_bytes) // n_layers if unknown and n_layers else 0
    return tuple(layers.get(i, 0) + rest for i in range(n_layers)), others


def _number(value: Any) -> int:
    believed = isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_WIDTH
    return value if believed else 0


def _per_layer(value: Any, n_layers: int) -> tuple[int, ...]:
    """A number that is given once, or once for each layer."""
    if isinstance(value, tuple):
        numbers = tuple(_number(item) for item in value[:n_layers])
        return numbers + (0,) * (n_layers - len(numbers))
    return (_number(value),) * n_layers if value is not None else ()
