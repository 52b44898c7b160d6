"""What the header of a GGUF file says, as values."""

from __future__ import annotations

from typing import Any

import msgspec

from lsp_server.models.fim_tokens import FimTokens

# Elements and bytes of a block, by tensor type. Types llama.cpp has dropped or not yet made are
# not listed: of such a tensor only the start is checked.
BLOCKS: dict[int, tuple[int, int]] = {
    0: (1, 4),  # F32
    1: (1, 2),  # F16
    2: (32, 18),  # Q4_0
    3: (32, 20),  # Q4_1
    6: (32, 22),  # Q5_0
    7: (32, 24),  # Q5_1
    8: (32, 34),  # Q8_0
    9: (32, 36),  # Q8_1
    10: (256, 84),  # Q2_K
    11: (256, 110),  # Q3_K
    12: (256, 144),  # Q4_K
    13: (256, 176),  # Q5_K
    14: (256, 210),  # Q6_K
    15: (256, 292),  # Q8_K
    16: (256, 66),  # IQ2_XXS
    17: (256, 74),  # IQ2_XS
    18: (256, 98),  # IQ3_XXS
    19: (256, 50),  # IQ1_S
    20: (32, 18),  # IQ4_NL
    21: (256, 110),  # IQ3_S
    22: (256, 82),  # IQ2_S
    23: (256, 136),  # IQ4_XS
    24: (1, 1),  # I8
    25: (1, 2),  # I16
    26: (1, 4),  # I32
    27: (1, 8),  # I64
    28: (1, 8),  # F64
    29: (256, 56),  # IQ1_M
    30: (1, 2),  # BF16
    34: (256, 54),  # TQ1_0
    35: (256, 66),  # TQ2_0
    39: (32, 17),  # MXFP4
    40: (64, 36),  # NVFP4
    41: (128, 18),  # Q1_0
    42: (64, 18),  # Q2_0
}


class TensorInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A tensor of a GGUF file.

    Args:
        name: e.g. ``blk.0.attn_q.weight``.
        shape: ggml's order, the row length first.
        kind: ggml's number of its type.
        n_bytes: size of its data (0 for a type this reader does not know).
    """

    name: str
    shape: tuple[int, ...]
    kind: int
    n_bytes: int


class GgufInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What the header of a GGUF file says.

    Args:
        architecture: e.g. ``qwen2``.
        name: the model's name ("" if it has none).
        size_bytes: size of the file.
        context_length: tokens the model was trained for (0 if not said).
        file_type: llama.cpp's number for the mix of quantizations (None if not said).
        n_vocab: tokens in the vocabulary.
        n_tensors: tensors in the file.
        n_params: elements of all tensors.
        has_chat_template: True for files made for chat too; the template is never rendered.
        fim: the FIM tokens.
        metadata: scalar entries, and short arrays of integers; other arrays are None.
        kinds: GGUF's number of the type of each entry.
        tensors: in the order of the file.
    """

    architecture: str
    name: str
    size_bytes: int
    context_length: int
    file_type: int | None
    n_vocab: int
    n_tensors: int
    n_params: int
    has_chat_template: bool
    fim: FimTokens
    metadata: dict[str, Any]
    kinds: dict[str, int]
    tensors: tuple[TensorInfo, ...]
