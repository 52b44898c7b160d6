"""LoRA adapters are looked at before llama.cpp sees them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lsp_server.errors import ModelInvalidError
from lsp_server.models.adapter import check
from tests.models.gguf_files import LORA_TENSORS, gguf, lora

Q = "blk.0.attn_q.weight"


def write(folder: Path, data: bytes) -> Path:
    """A file with that content."""
    path = folder / "adapter.gguf"
    path.write_bytes(data)
    return path


def refusal(path: Path, architecture: str = "qwen2", **options: Any) -> str:
    """What is said about an adapter that is refused."""
    with pytest.raises(ModelInvalidError) as caught:
        check(path, architecture, **options)
    assert caught.value.code == "lora_invalid"
    assert "engine.lora" in caught.value.hint
    assert str(path) in caught.value.message
    return caught.value.message


def test_good_adapters_pass(tmp_path: Path) -> None:
    """Pairs of all types that converters write, with norms beside them."""
    check(write(tmp_path, lora()), "qwen2")
    check(write(tmp_path, lora({"adapter.lora.alpha": None})), "qwen2")
    tensors = LORA_TENSORS | {
        "blk.0.attn_norm.weight": (64,),
        "token_embd.weight.lora_a": (4, 100),
        "token_embd.weight.lora_b": (4, 64),
        "blk.0.ffn_up_exps.weight.lora_a": (64, 4, 2),
        "blk.0.ffn_up_exps.weight.lora_b": (4, 64, 2),
    }
    types = {f"{Q}.lora_a": 1, f"{Q}.lora_b": 30}
    check(write(tmp_path, lora(tensors=tensors, types=types)), "qwen2")


def test_files_that_are_none(tmp_path: Path) -> None:
    """Missing, relative, a folder, empty, garbage, cut off, a whole model."""
    assert "no such file" in refusal(tmp_path / "missing.gguf")
    assert "not absolute" in refusal(Path("adapter.gguf"))
    assert "no such file" in refusal(tmp_path)
    assert "is empty" in refusal(write(tmp_path, b""))
    assert "is not a GGUF file" in refusal(write(tmp_path, b"PK\3\4 some archive"))
    assert "is cut off" in refusal(write(tmp_path, lora()[:-64]))
    assert "no LoRA adapter (general.type is missing)" in refusal(write(tmp_path, gguf()))


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"general.type": "model"}, "general.type is 'model'"),
        ({"general.type": 7}, "general.type is missing"),
        ({"adapter.type": "ia3"}, "adapter.type is 'ia3'"),
        ({"adapter.type": None}, "adapter.type is missing"),
        ({"adapter.lora.alpha": 8}, "alpha"),
        ({"adapter.lora.alpha": "8"}, "alpha"),
        ({"adapter.lora.alpha": float("nan")}, "alpha"),
        ({"adapter.alora.invocation_tokens": [1, 2]}, "aLoRA"),
        ({"general.architecture": "llama"}, "for llama models, and this one is qwen2"),
    ],
)
def test_wrong_entries(tmp_path: Path, metadata: dict[str, Any], words: str) -> None:
    """Each entry that llama.cpp relies on is checked, its type as well."""
    assert words in refusal(write(tmp_path, lora(metadata)))


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        ({}, "changes nothing"),
        ({f"{Q}.lora_a": (64, 4)}, "only one of its two parts"),
        ({f"{Q}.lora_a": (64, 4), f"{Q}.lora_b": (8, 64)}, "do not fit each other"),
        ({f"{Q}.lora_a": (64,), f"{Q}.lora_b": (4, 64)}, "do not fit each other"),
        ({f"{Q}.lora_a": (64, 0), f"{Q}.lora_b": (0, 64)}, "do not fit each other"),
        ({f"{Q}.lora_a": (64, 4, 2), f"{Q}.lora_b": (4, 64, 2)}, "a dimension too many"),
        ({f"{Q}.lora_a": (64, 4, 2), f"{Q}.lora_b": (4, 64, 3)}, "do not fit each other"),
        (LORA_TENSORS | {"blk.0.attn_q.bias": (64,)}, "no place in an adapter"),
        ({"lora_a": (64, 4)}, "no place in an adapter"),
    ],
)
def test_wrong_tensors(tmp_path: Path, tensors: dict[str, tuple[int, ...]], words: str) -> None:
    """Parts that cannot be multiplied would end llama.cpp's process: they never get there."""
    assert words in refusal(write(tmp_path, lora(tensors=tensors)))


def test_wrong_type(tmp_path: Path) -> None:
    """Integers are no weights."""
    path = write(tmp_path, lora(types={f"{Q}.lora_a": 26}))
    assert "of a type that adapters cannot have" in refusal(path)


def test_embeddings_that_are_the_output_too(tmp_path: Path) -> None:
    """What changes the embeddings only is refused where they are used twice."""
    tensors = {"token_embd.weight.lora_a": (4, 100), "token_embd.weight.lora_b": (4, 64)}
    path = write(tmp_path, lora(tensors=tensors))
    check(path, "qwen2")
    assert "output as well" in refusal(path, ties_output=True)
