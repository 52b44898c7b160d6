"""How many cores this process may use, by its affinity and by the quota of its container."""

from __future__ import annotations

import math
import os
from pathlib import Path

# One quota for each control group from the process's own up to the root.
_OWN_GROUP = Path("/proc/self/cgroup")
_GROUPS = Path("/sys/fs/cgroup")


def allowed_cores() -> int:
    """Logical cores this process may use; a quota of two and a half cores counts as three."""
    can_limit = hasattr(os, "sched_getaffinity")
    n_cores = len(os.sched_getaffinity(0)) if can_limit else os.cpu_count() or 1
    return max(1, math.ceil(min(n_cores, quota())))


def physical_cores() -> int:
    """Physical cores this process may use: hyper-threads only slow matrix work down."""
    import psutil  # only the engine needs it

    allowed = allowed_cores()
    return max(1, min(allowed, psutil.cpu_count(logical=False) or allowed))


def quota() -> float:
    """Cores' worth of time that control groups let this process have; infinite without a limit.

    A thread beyond that is stopped for the rest of each period, and all others wait for it.
    """
    return min(_quotas(), default=math.inf)


def _quotas() -> list[float]:
    found = (_limit(folder) for folder in _folders())
    return [limit for limit in found if limit is not None]


def _folders() -> list[Path]:
    """Those of the process's groups, of both versions of control groups."""
    folders: list[Path] = []
    try:
        lines = _OWN_GROUP.read_text("utf-8", "replace").splitlines()
    except OSError:
        return folders
    for line in lines:
        controllers, _, path = line.partition(":")[2].partition(":")
        names = controllers.split(",")
        if controllers and "cpu" not in names:
            continue
        root = _GROUPS / controllers if controllers else _GROUPS
        group = root / path.lstrip("/")
        folders += [group, *(up for up in group.parents if up.is_relative_to(root))]
    return folders


def _limit(folder: Path) -> float | None:
    try:
        if (folder / "cpu.max").exists():
            wanted, period = (folder / "cpu.max").read_text("ascii").split()[:2]
        else:
            wanted = (folder / "cpu.cfs_quota_us").read_text("ascii")
            period = (folder / "cpu.cfs_period_us").read_text("ascii")
        limit = int(wanted) / int(period)
    except (OSError, ValueError, ZeroDivisionError):  # "max" is no number: no limit
        return None
    return limit if limit > 0 else None
