"""What this machine offers a model: its processor, and a GPU that llama.cpp can use."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import subprocess
import sys
from pathlib import Path

import msgspec

from lsp_server.models.cores import allowed_cores

_SMI_TIMEOUT_S = 5.0
_SYSCTL_TIMEOUT_S = 5.0
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
    folder = _libraries_folder()
    return [file.name for file in folder.iterdir()] if folder is not None else []


def _libraries_folder() -> Path | None:
    spec = importlib.util.find_spec("llama_cpp")
    if spec is None or spec.origin is None:
        return None
    folder = Path(spec.origin).parent / "lib"
    return folder if folder.is_dir() else None


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


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What the speed of a model depends on, besides the model and its settings.

    Args:
        cpu: the processor's name.
        n_cores: logical cores this process may use.
        gpu: names of the GPUs that llama.cpp can use ("" without one).
        llama_cpp: version of llama-cpp-python, and a fingerprint of its libraries: one version
            can be built with and without a GPU, for this processor and for any.
    """

    cpu: str
    n_cores: int
    gpu: str
    llama_cpp: str


@functools.cache
def describe() -> Machine:
    """This machine."""
    return Machine(
        cpu=_cpu_name(),
        n_cores=allowed_cores(),
        gpu=_gpu_names(),
        llama_cpp=_build(),
    )


def on_battery() -> bool:
    """Whether the machine runs on its battery; False where that cannot be known."""
    import psutil

    try:
        battery = psutil.sensors_battery()
    except (AttributeError, OSError, NotImplementedError, RuntimeError):
        return False
    return battery is not None and battery.power_plugged is False


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if sys.platform == "darwin":
        command = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
        return _output(command, _SYSCTL_TIMEOUT_S) or platform.machine()
    return platform.processor() or platform.machine()


def _gpu_names() -> str:
    libraries = _backend_libraries()
    if any("ggml-cuda" in name for name in libraries):
        command = shutil.which("nvidia-smi")
        query = [command or "", "--query-gpu=name,memory.total", "--format=csv,noheader"]
        return _output(query, _SMI_TIMEOUT_S) if command else ""
    if any("ggml-metal" in name for name in libraries) and _is_apple_silicon():
        return "Metal"
    return ""


def _output(command: list[str], timeout_s: float) -> str:
    """What a command prints, its lines joined; "" if it fails."""
    try:
        output = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=True
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return ""
    return "; ".join(line.strip() for line in output.splitlines() if line.strip())


def _build() -> str:
    try:
        version = importlib.metadata.version("llama-cpp-python")
    except importlib.metadata.PackageNotFoundError:
        return ""
    folder = _libraries_folder()
    files = sorted(folder.glob("*")) if folder is not None else []
    sizes = "".join(f"{file.name}:{_size(file)}\n" for file in files)
    return f"{version} {hashlib.sha256(sizes.encode()).hexdigest()[:12]}"


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except OSError:
        return 0
