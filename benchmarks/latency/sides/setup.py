"""What all sides have in common: the same model file, threads and lengths."""

from __future__ import annotations

from pathlib import Path

import msgspec

from context.types import Budget


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What all sides are started with.

    Args:
        model: id or path of the model, as midfill's settings take it.
        model_path: the GGUF file.
        n_threads: for prompts and for decoding.
        n_ctx: tokens of context for one request.
        budget: midfill's bounds for the two sides of the cursor, in tokens.
        max_tokens: longest suggestion of midfill and of those that get its prompt.
        seed: of samplers that draw.
    """

    model: str
    model_path: Path
    n_threads: int
    n_ctx: int
    budget: Budget
    max_tokens: int
    seed: int


# Loads the weights and leaves next to nothing in a KV cache.
WARM_UP = "import "
