"""Which rows are left out together, and how many threads a fit takes."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from benchmarks.extras import needed


def fold_numbers(clusters: Sequence[str], n_folds: int, seed: int) -> np.ndarray[Any, Any]:
    """The fold of each row; those of a cluster share one.

    Args:
        clusters: of each row.
        n_folds: at most so many.
        seed: of which clusters share a fold.
    """
    groups = np.array(clusters)
    names = np.unique(groups)
    fold_of = np.arange(len(names)) % min(n_folds, len(names))
    np.random.default_rng(seed).shuffle(fold_of)
    return np.asarray(fold_of[np.searchsorted(names, groups)])


def one_thread() -> contextlib.AbstractContextManager[Any]:
    """Fits this small only lose time by waiting for threads, most of all on a busy machine."""
    with needed("The fit"):
        from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]
    limits: contextlib.AbstractContextManager[Any] = threadpool_limits(1)
    return limits
