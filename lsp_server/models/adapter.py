"""The gate before llama.cpp for LoRA adapters: the file is read here first.

llama.cpp ends the process over some adapters (a setting of the wrong type, parts that cannot be
multiplied), ignores others in silence, and applies some in another way than they were trained.
"""

from __future__ import annotations

import math
from pathlib import Path

from lsp_server.errors import ModelInvalidError, ModelNotFoundError
from lsp_server.models import gguf
from lsp_server.models.gguf_info import GgufInfo, TensorInfo

_STRING, _FLOAT32 = 8, 6
# F32, F16, Q8_0, BF16: what converters write, and what llama.cpp can multiply with.
_TYPES = {0, 1, 8, 30}
_HINT = (
    "Take it out of engine.lora, or make it with llama.cpp's convert_lora_to_gguf.py from an "
    "adapter of this very model."
)


def check(path: Path, architecture: str, *, ties_output: bool = False) -> GgufInfo:
    """Read the header of an adapter and refuse what cannot work.

    Args:
        path: of the GGUF file.
        architecture: of the model it is for, e.g. ``qwen2``.
        ties_output: whether that model's output is its table of embeddings: llama.cpp would put
            what is meant for the one on both.

    Raises:
        ModelInvalidError: ``lora_invalid``.
    """
    if not path.is_absolute():
        raise invalid(path, "its path is not absolute")
    try:
        if not path.is_file():
            raise invalid(path, "there is no such file")
        info = gguf.read(path)
    except (ModelInvalidError, ModelNotFoundError) as error:
        if error.code == "lora_invalid":
            raise
        raise invalid(path, error.message.rstrip(".")) from error
    for key, expected in (("general.type", "adapter"), ("adapter.type", "lora")):
        found = info.metadata.get(key)
        if info.kinds.get(key) != _STRING or found != expected:
            raise invalid(path, f"it is no LoRA adapter ({key} is {_shown(found)})")
    if info.kinds.get("adapter.lora.alpha", _FLOAT32) != _FLOAT32 or not math.isfinite(
        info.metadata.get("adapter.lora.alpha", 0.0)
    ):
        raise invalid(path, "its adapter.lora.alpha is no 32-bit number")
    if "adapter.alora.invocation_tokens" in info.metadata:
        raise invalid(path, "it takes effect only behind certain tokens (aLoRA)")
    if info.architecture != architecture:
        raise invalid(path, f"it is for {info.architecture} models, and this one is {architecture}")
    _check_pairs(path, info.tensors)
    if ties_output and any(t.name.startswith("token_embd.") for t in info.tensors):
        raise invalid(path, "it changes the embeddings, which are this model's output as well")
    return info


def _check_pairs(path: Path, tensors: tuple[TensorInfo, ...]) -> None:
    """Each weight has an A and a B that can be multiplied; llama.cpp checks them by the model."""
    parts: dict[str, dict[str, TensorInfo]] = {}
    for tensor in tensors:
        name, dot, part = tensor.name.rpartition(".")
        if part in ("lora_a", "lora_b") and dot:
            parts.setdefault(name, {})[part] = tensor
        elif not tensor.name.endswith("_norm.weight"):
            raise invalid(path, f"the tensor '{tensor.name[:80]}' has no place in an adapter")
    if not parts:
        raise invalid(path, "it changes nothing")
    for name, pair in parts.items():
        a, b = pair.get("lora_a"), pair.get("lora_b")
        if a is None or b is None:
            raise invalid(path, f"'{name[:80]}' has only one of its two parts")
        # For the table of embeddings A and B change places.
        rank_of_a = a.shape[:1] if name == "token_embd.weight" else a.shape[1:2]
        fitting = len(a.shape) == len(b.shape) in (2, 3) and rank_of_a == b.shape[:1]
        if not fitting or a.shape[2:] != b.shape[2:] or 0 in (*a.shape, *b.shape):
            raise invalid(path, f"the parts of '{name[:80]}' do not fit each other")
        if len(a.shape) == 3 and "_exps" not in name:
            raise invalid(path, f"'{name[:80]}' has a dimension too many")
        if {a.kind, b.kind} - _TYPES:
            raise invalid(path, f"'{name[:80]}' is of a type that adapters cannot have")


def invalid(path: Path, reason: str) -> ModelInvalidError:
    """The error for an adapter that cannot be used.

    Args:
        path: of the file.
        reason: half a sentence.
    """
    return ModelInvalidError(
        f"The LoRA adapter {path} cannot be used: {reason}.", code="lora_invalid", hint=_HINT
    )


def _shown(value: object) -> str:
    return f"'{value[:40]}'" if isinstance(value, str) else "missing"
