"""What figures were measured on: the machine, the commit, the code and the model."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from pathlib import Path

import msgspec
import psutil

ROOT = Path(__file__).resolve().parent.parent
# What is measured; the benchmarks' own code is not part of the fingerprint.
_MEASURED = ("lsp_server", "context")


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """A machine, in words that identify no one.

    Args:
        cpu: name of the processor.
        cores: physical cores.
        memory_gib: memory in GiB.
        system: operating system and architecture.
        python: version of Python.
        load_1min: load average when the run began.
    """

    cpu: str
    cores: int
    memory_gib: float
    system: str
    python: str
    load_1min: float

    def __str__(self) -> str:
        return f"{self.cpu}, {self.cores} cores, {self.memory_gib:g} GiB"


def machine() -> Machine:
    """This machine."""
    return Machine(
        cpu=_cpu_name(),
        cores=psutil.cpu_count(logical=False) or os.cpu_count() or 0,
        memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        load_1min=round(os.getloadavg()[0], 2),
    )


def commit() -> str:
    """The commit of the checkout, with ``+`` when files differ from it."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
        return subprocess.run(
            command, cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def code_fingerprint() -> str:
    """12 hex digits that change with the code that is measured, committed or not."""
    digest = hashlib.sha256()
    for folder in _MEASURED:
        for path in sorted((ROOT / folder).rglob("*.py")):
            digest.update(path.relative_to(ROOT).as_posix().encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
