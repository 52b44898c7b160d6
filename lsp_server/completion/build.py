"""The completion service of a language server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lsp_server.completion.configuration import Load
from lsp_server.completion.recording import Recording
from lsp_server.completion.service import CompletionService


def build_service(
    load: Load, options: Mapping[str, Any] | None = None, *, client_name: str = "midfill"
) -> CompletionService:
    """A service with an acceptance log, as the language server uses it.

    Args:
        load: settings for the options an editor sends.
        options: of the editor.
        client_name: who we are, for the engine's log.
    """
    resolved = load(options or {})
    recording = Recording.begin(
        resolved.settings.acceptance_log,
        on_warning=lambda error: service.warn(error),
        may_keep_text=lambda uri: service.may_keep_text(uri),
    )
    service = CompletionService(
        resolved,
        load=load,
        recording=recording,
        client_name=client_name,
        keeps_suggestions=True,
    )
    return service
