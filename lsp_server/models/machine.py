"""What this machine offers a model: the memory of a GPU that the installed llama.cpp can use."""

from __future__ import annotations

import functools
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

_SMI_TIMEOUT_S = 5.0
# Metal lets one process have about this share of the memory it shares with the CPU.
_METAL_SHARE = 2 / 3


@functools.cache
def gpu_memory_bytes() -> int | None:
    """Memory of the largest GPU that the installed llama.cpp build can use; None without one.

    llama_cpp itself is not imported: that is slow, and it belongs to the engine process.
    """
    libraries = _backend_libraries()
    if any("ggml-cuda" in name for name in libraries):
        return nvidia_memory_bytes()
    if any("ggml-metal" in name for name in libraries) and _is_apple_silicon():
        memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        return int(memory_bytes * _METAL_SHARE)
    return None


def _backend_libraries() -> list[str]:
    """File names of the libraries llama-cpp-python was built with."""
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent / "lib"
    return [file.name for file in folder.iterdir()] if folder.is_dir() else []


def _is_apple_silicon() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def nvidia_memory_bytes() -> int | None:
    """Memory of the largest NVIDIA GPU its driver knows, usable or not; None without one."""
    command = shutil.which("nvidia-smi")
    if command is None:
        return None
    try:
        output = subprocess.run(
            [command, "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=_SMI_TIMEOUT_S,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    sizes_mib = [int(line) for line in output.split() if line.isdigit()]
    return max(sizes_mib) * 2**20 if sizes_mib else None
