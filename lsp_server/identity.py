"""Makes sure that the ``context`` package is midfill's own."""

from __future__ import annotations

from lsp_server.errors import UsageError


def check_context() -> None:
    """Refuse to start with another package in the place of ``context``.

    An unrelated package on PyPI installs the same import name.

    Raises:
        UsageError: ``context`` is missing, or is not ours.
    """
    try:
        import context
    except ImportError:
        found = "is missing"
    else:
        if getattr(context, "MIDFILL_CONTEXT", False) is True:
            return
        found = f"is another package ({getattr(context, '__file__', None) or 'unknown place'})"
    raise UsageError(
        f"midfill's own 'context' package {found}.",
        code="context_not_ours",
        hint="Another package has taken the name. Install midfill where it is alone: "
        "pipx install midfill, or uv tool install midfill.",
    )
