"""Which back end an engine process opens."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from lsp_server.engine.backend import Backend
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineUnavailableError


def open_backend(options: EngineOptions, on_progress: Callable[[float], bool]) -> Backend:
    """Load the backend that ``options`` name.

    Args:
        options: see EngineOptions.
        on_progress: called with 0..1 while it loads; returning False stops the load.

    Raises:
        MidfillError: it cannot be loaded; the message says why and what to do.
    """
    # Each back end is imported only when it is used: llama_cpp takes half a second.
    if options.backend == "scripted":
        from lsp_server.engine.scripted import ScriptedBackend

        return ScriptedBackend(options)
    from lsp_server.models.gate import ensure_trusted

    model = ensure_trusted(Path(options.model_path))
    try:
        from lsp_server.engine.llama.backend import LlamaBackend
    except (ImportError, OSError, RuntimeError) as error:
        raise EngineUnavailableError(
            f"llama-cpp-python cannot be imported ({error}).",
            code="llama_missing",
            hint="Install the local engine: pip install 'midfill[local]'",
        ) from error
    return LlamaBackend(options, on_progress, model.sha256)
