"""Packages that only the benchmarks need, and what to do when they are missing."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from lsp_server.errors import UsageError


@contextlib.contextmanager
def needed(purpose: str) -> Iterator[None]:
    """Around the imports of packages from the ``benchmarks`` extra.

    Args:
        purpose: what they are needed for, as the subject of a sentence: "The fit".

    Raises:
        UsageError: one cannot be imported (``extra_missing``).
    """
    try:
        yield
    except ImportError as error:
        name = (error.name or "").partition(".")[0] or "a package"
        raise UsageError(
            f"{purpose} needs {name}, which cannot be imported: {error}.",
            code="extra_missing",
            hint="Run pip install '.[benchmarks]' in the checkout (midfill[benchmarks]).",
        ) from error
