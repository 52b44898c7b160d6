"""llama.cpp's own bench, run once a measurement."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec

from lsp_server.errors import EngineError

_TIMEOUT_S = 3600.0
# What the engine hands to llama.cpp at once is at most one physical batch.
_MIN_BATCH = 512
_ALL_LAYERS = 999


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """How llama-bench is run; as the engine is.

    Args:
        model: the GGUF file.
        n_threads: of the CPU.
        n_ubatch: tokens in a physical batch.
        flash_attention: whether it is on.
        n_gpu_layers: on the GPU; -1 is all.
    """

    model: Path
    n_threads: int
    n_ubatch: int
    flash_attention: bool
    n_gpu_layers: int


class _Result(msgspec.Struct):
    n_prompt: int
    n_gen: int
    samples_ts: list[float]


def command(
    program: Path, setting: Setting, *, n_prompt: int = 0, n_gen: int = 0, depth: int = 0
) -> list[str]:
    """The command line of one measurement.

    Args:
        program: ``llama-bench``.
        setting: see there.
        n_prompt: evaluate so many tokens, or
        n_gen: decode so many.
        depth: tokens in the KV cache before that.
    """
    layers = _ALL_LAYERS if setting.n_gpu_layers < 0 else setting.n_gpu_layers
    return [
        *(str(program), "-m", str(setting.model), "-o", "json", "-r", "1"),
        *("-p", str(n_prompt), "-n", str(n_gen), "-d", str(depth)),
        *("-t", str(setting.n_threads), "-ub", str(setting.n_ubatch)),
        *("-b", str(max(_MIN_BATCH, setting.n_ubatch))),
        *("-fa", "on" if setting.flash_attention else "off", "-ngl", str(layers)),
    ]


def tokens_per_s(line: Sequence[str]) -> float:
    """Run a command of ``command`` and give the speed it found.

    Raises:
        EngineError: it failed (``peer_failed``).
    """
    try:
        done = subprocess.run(
            line,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"llama-bench cannot be run: {error}.", code="peer_failed") from error
    if done.returncode != 0:
        last = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise EngineError(
            f"llama-bench failed with status {done.returncode}: {last[0][:300]}",
            code="peer_failed",
        )
    return parse(done.stdout)


def parse(output: str) -> float:
    """The tokens a second in the JSON that llama-bench prints.

    Args:
        output: of a run with one test and one repetition.

    Raises:
        EngineError: it is something else (``peer_failed``).
    """
    try:
        (result,) = msgspec.json.decode(output.encode(), type=list[_Result])
        (speed,) = result.samples_ts
    except (msgspec.MsgspecError, ValueError) as error:
        raise EngineError(
            f"llama-bench printed something unexpected: {error}", code="peer_failed"
        ) from error
    return speed
