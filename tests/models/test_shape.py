"""Sizes of a model's parts, from the header of its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from lsp_server.models import gguf as reader
from lsp_server.models.shape import ModelShape, shape_of
from tests.models.gguf_files import file_of

QWEN: dict[str, Any] = {
    "general.architecture": "qwen2",
    "qwen2.block_count": 2,
    "qwen2.context_length": 4096,
    "qwen2.embedding_length": 64,
    "qwen2.feed_forward_length": 96,
    "qwen2.attention.head_count": 4,
    "qwen2.attention.head_count_kv": 2,
    "tokenizer.ggml.tokens": ["a", "b", "c"],
}
TENSORS: dict[str, tuple[int, ...]] = {
    "token_embd.weight": (64, 3),
    "blk.0.attn_q.weight": (64, 64),
    "blk.0.ffn_up.weight": (64, 96),
    "blk.1.attn_q.weight": (64, 64),
    "output_norm.weight": (64,),
    "output.weight": (64, 3),
}


def shape(
    folder: Path,
    metadata: dict[str, Any] | None = None,
    tensors: dict[str, tuple[int, ...]] | None = None,
    types: dict[str, int] | None = None,
) -> ModelShape:
    """The shape of a model with these changes."""
    path = folder / "model.gguf"
    path.write_bytes(file_of(QWEN | (metadata or {}), tensors or TENSORS, types=types))
    return shape_of(reader.read(path))


def test_a_usual_model(tmp_path: Path) -> None:
    """Layers, tables, widths and heads are found."""
    found = shape(tmp_path)
    assert found.layer_bytes == (4 * 64 * (64 + 96), 4 * 64 * 64)
    assert (found.input_bytes, found.output_bytes) == (4 * 64 * 3, 4 * 64 * 4)
    assert not found.ties_output
    assert (found.n_vocab, found.n_embd, found.n_ff, found.n_head) == (3, 64, 96, 4)
    assert (found.n_ctx_train, found.k_head, found.v_head) == (4096, 16, 16)
    assert found.k_width == found.v_width == (32, 32)


def test_tied_output(tmp_path: Path) -> None:
    """Without an output table the embeddings count as one."""
    tensors = {name: size for name, size in TENSORS.items() if name != "output.weight"}
    found = shape(tmp_path, tensors=tensors)
    assert found.ties_output
    assert found.output_bytes == 4 * 64 + found.input_bytes


def test_heads_of_their_own_size(tmp_path: Path) -> None:
    """Where a header names the size of heads, it counts; also one number for each layer."""
    changes = {
        "qwen2.attention.key_length": 48,
        "qwen2.attention.value_length": 40,
        "qwen2.attention.head_count_kv": [2, 1],
    }
    found = shape(tmp_path, changes)
    assert (found.k_width, found.v_width) == ((96, 48), (80, 40))


def test_without_heads_of_keys_all_heads_count(tmp_path: Path) -> None:
    """Models without grouped heads do not name their number."""
    assert shape(tmp_path, {"qwen2.attention.head_count_kv": None}).k_width == (64, 64)


def test_nonsense_is_not_believed(tmp_path: Path) -> None:
    """Numbers that cannot be are 0, and the layers are those that have tensors."""
    changes = {
        "qwen2.block_count": 4_000_000_000,
        "qwen2.embedding_length": "wide",
        "qwen2.attention.head_count": True,
        "qwen2.attention.head_count_kv": [2],
        "qwen2.feed_forward_length": None,
    }
    found = shape(tmp_path, changes)
    assert found.n_layers == 2
    assert (found.n_embd, found.n_ff, found.n_head, found.k_head) == (0, 0, 0, 0)
    assert found.k_width == (0, 0)


def test_types_of_the_future_share_the_rest_of_the_file(tmp_path: Path) -> None:
    """Tensors whose size is not known count with what the file has beside the others."""
    known = sum(shape(tmp_path).layer_bytes)
    found = shape(tmp_path, types={"blk.0.ffn_up.weight": 99})
    assert known <= sum(found.layer_bytes) <= known + 2000
