"""What memory is free: of the machine, of the container around us, and what may be locked."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import msgspec
import psutil

_CGROUP_ROOT = Path("/sys/fs/cgroup")
# cgroup v1 says "no limit" with a number of this size.
_NO_LIMIT_BYTES = 1 << 60


class Gpu(msgspec.Struct, frozen=True, kw_only=True):
    """A GPU.

    Args:
        name: of llama.cpp's device, e.g. ``CUDA0``.
        description: of the card.
        free_bytes: free memory.
        total_bytes: all of it.
        shares_host: whether that memory is the machine's own, as on Apple Silicon.
        address: llama.cpp's pointer to the device (0 where nothing is loaded).
    """

    name: str
    description: str = ""
    free_bytes: int
    total_bytes: int
    shares_host: bool = False
    address: int = 0


class Memory(msgspec.Struct, frozen=True, kw_only=True):
    """What is free.

    Args:
        host_free_bytes: memory that can be had without swapping.
        host_total_bytes: all that this process could ever have.
        gpus: those llama.cpp can use, in its order.
    """

    host_free_bytes: int
    host_total_bytes: int
    gpus: tuple[Gpu, ...] = ()


def measure(gpus: tuple[Gpu, ...]) -> Memory:
    """What is free now.

    Args:
        gpus: as llama.cpp sees them.
    """
    machine = psutil.virtual_memory()
    free, total = int(machine.available), int(machine.total)
    if (limit := _cgroup_memory(_own_cgroup(), _CGROUP_ROOT)) is not None:
        free, total = min(free, limit[0]), min(total, limit[1])
    return Memory(host_free_bytes=free, host_total_bytes=total, gpus=gpus)


def _own_cgroup() -> str:
    """The lines of ``/proc/self/cgroup``; "" where there is none."""
    try:
        return Path("/proc/self/cgroup").read_text("utf-8", "replace")
    except OSError:
        return ""


def _cgroup_memory(membership: str, root: Path) -> tuple[int, int] | None:
    """Free bytes and limit of the tightest control group around us; None without one.

    Args:
        membership: text of ``/proc/self/cgroup``: lines ``number:controllers:path``.
        root: where the groups are mounted. Inside a container that is often the group itself,
            while the path is the one outside; so every folder on the way up is looked at.

    Source: the kernel's documentation of cgroup v2 (``memory.max``) and v1
    (``memory.limit_in_bytes``).
    """
    found: list[tuple[int, int]] = []
    for line in membership.splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers == "":
            base, names = root, ("memory.max", "memory.current", "")
        elif "memory" in controllers.split(","):
            base, names = (
                root / "memory",
                ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
            )
        else:
            continue
        parts = [part for part in path.split("/") if part not in ("", "..")]
        for depth in range(len(parts), -1, -1):
            if (group := _read_group(base.joinpath(*parts[:depth]), *names)) is not None:
                found.append(group)
    return min(found, default=None)


def _read_group(folder: Path, limit: str, usage: str, prefix: str) -> tuple[int, int] | None:
    try:
        limit_bytes = int((folder / limit).read_text())
        used_bytes = int((folder / usage).read_text())
    except (OSError, ValueError):  # not there, or "max"
        return None
    if limit_bytes >= _NO_LIMIT_BYTES:
        return None
    # Cached files count as used, and are given up when memory is needed.
    cached = _statistics(folder / "memory.stat")
    reclaimable = sum(cached.get(f"{prefix}{name}_file", 0) for name in ("inactive", "active"))
    return max(0, limit_bytes - max(0, used_bytes - reclaimable)), limit_bytes


def _statistics(path: Path) -> dict[str, int]:
    try:
        lines = [line.split() for line in path.read_text().splitlines()]
    except OSError:
        return {}
    return {line[0]: int(line[1]) for line in lines if len(line) == 2 and line[1].isdigit()}


def allow_locking(n_bytes: int) -> str:
    """Get leave to lock so much memory; gives the reason why that cannot be had, or "".

    The soft limit is raised as far as the hard one allows.

    Args:
        n_bytes: to be locked.
    """
    import resource

    if sys.platform == "linux" and os.geteuid() == 0:
        return ""
    soft, hard = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if soft == resource.RLIM_INFINITY or soft >= n_bytes:
        return ""
    if hard == resource.RLIM_INFINITY or hard >= n_bytes:
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, (hard, hard))
        except (OSError, ValueError):
            pass
        else:
            return ""
    return (
        f"{in_gib(n_bytes)} cannot be locked in memory (engine.mlock): at most {in_gib(soft)} "
        "are allowed. Raise the limit (ulimit -l)."
    )


def in_gib(n_bytes: int) -> str:
    """A size for the user."""
    return f"{n_bytes / 2**20:,.0f} MiB" if n_bytes < 2**30 else f"{n_bytes / 2**30:,.1f} GiB"
