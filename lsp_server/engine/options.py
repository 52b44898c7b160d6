"""What an engine is started with, and where its socket lies."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

import msgspec

from lsp_server import __version__, paths
from lsp_server.engine.protocol import PROTOCOL_VERSION


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True):
    """Options of an engine process; two servers with equal options share one process.

    Args:
        backend: ``llama`` or ``scripted`` (a test double that replays a JSON file).
        model_id: id of the model, for display.
        model_path: GGUF file (or the script of the scripted backend).
        n_ctx: cells of the KV cache, shared by all slots; 0 chooses by backend.
        n_slots: how many prompts are kept in the KV cache.
        move_kv: whether text that stands elsewhere in a new prompt is moved in the KV cache.
        n_gpu_layers: layers on the GPU; -1 is all of them when there is a GPU.
        n_threads: CPU threads; 0 is every core this process may use.
        flash_attention: ``auto`` (off on a CPU), ``on`` or ``off``.
        speculation: whether tokens are guessed from the prompt and checked several at once;
            ``auto`` where that was measured to be faster.
        split_mode: how a model is split over several GPUs; ``auto`` splits what is too large
            for one.
        tensor_split: share of each GPU when split; () is by free memory.
        main_gpu: the GPU for a model that is not split; -1 is the one with most free memory.
        kv_type: of the KV cache; ``auto`` is f16 where the memory suffices.
        mmap: whether the file is mapped; ``auto`` leaves it to llama.cpp.
        mlock: whether the weights are locked in memory.
        kv_store_mib: what the KV caches of prompts may take on disk; 0 keeps none.
        n_corpus_tokens: what is kept of workspaces' texts, estimated, for the n-gram model; 0 does
            without.
        idle_exit_s: seconds without a client after which the process leaves.
        unload_idle_s: seconds without a request after which the model is unloaded; 0 is never.
    """

    backend: Literal["llama", "scripted"] = "llama"
    model_id: str = ""
    model_path: str = ""
    n_ctx: int = 0
    n_slots: int = 4
    move_kv: bool = True
    n_gpu_layers: int = -1
    n_threads: int = 0
    flash_attention: Literal["auto", "on", "off"] = "auto"
    speculation: Literal["auto", "on", "off"] = "auto"
    split_mode: Literal["auto", "none", "layer", "row"] = "auto"
    tensor_split: tuple[float, ...] = ()
    main_gpu: int = -1
    kv_type: Literal["auto", "f16", "q8_0"] = "auto"
    mmap: Literal["auto", "on", "off"] = "auto"
    mlock: bool = False
    kv_store_mib: int = 256
    n_corpus_tokens: int = 1_000_000
    idle_exit_s: float = 300.0
    unload_idle_s: float = 900.0

    @property
    def key(self) -> str:
        """Name shared by all servers that can share this engine (16 hex digits).

        The version is part of it: after an upgrade a new engine starts, and the old one
        leaves once its last client is gone.
        """
        # Decoded once, so that 300 and 300.0 give one key on both sides of the process border.
        canonical = msgspec.json.decode(msgspec.json.encode(self), type=EngineOptions)
        recipe = msgspec.msgpack.encode([__version__, PROTOCOL_VERSION, canonical])
        return hashlib.sha256(recipe).hexdigest()[:16]

    @property
    def socket_path(self) -> Path:
        """The Unix socket the engine listens on."""
        return paths.runtime_dir() / f"engine-{self.key}.sock"

    @property
    def lock_path(self) -> Path:
        """Held for the life of the engine process, so there is at most one."""
        return paths.runtime_dir() / f"engine-{self.key}.lock"

    @property
    def log_path(self) -> Path:
        """Standard error of the engine process."""
        return paths.state_dir() / f"engine-{self.key}.log"
