"""Percentiles with bootstrap confidence intervals, and what machine they come from."""

from __future__ import annotations

import os
import platform
import random
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psutil

_N_RESAMPLES = 2000


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its interval.

    Args:
        value: the figure.
        low: lower end of the 95 % interval.
        high: upper end.
        n: how many measurements it rests on.
    """

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:,.0f} ({self.low:,.0f}–{self.high:,.0f})"


def percentile(values: Sequence[float], share: float) -> float:
    """A percentile by linear interpolation; ``share`` is 0 to 1.

    Raises:
        ValueError: there are no values.
    """
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def bootstrap(
    values: Sequence[float], statistic: Callable[[Sequence[float]], float], seed: int = 0
) -> Figure:
    """A statistic of the values with its percentile-bootstrap 95 % interval."""
    chance = random.Random(seed)
    estimates = [statistic(chance.choices(values, k=len(values))) for _ in range(_N_RESAMPLES)]
    return Figure(
        value=statistic(values),
        low=percentile(estimates, 0.025),
        high=percentile(estimates, 0.975),
        n=len(values),
    )


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    return {
        "cpu": _cpu_name(),
        "cores": psutil.cpu_count(logical=False),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "load_1min": round(os.getloadavg()[0], 2),
    }


def commit() -> str:
    """The commit of the checkout, with ``+`` when files differ from it."""
    try:
        here = Path(__file__).parent
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=12"]
        return subprocess.run(
            command, cwd=here, capture_output=True, text=True, check=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def _cpu_name() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
