"""Whether suggestions are made for a text at all."""

from __future__ import annotations

from lsp_server.engine import pause
from lsp_server.settings import CompletionSettings
from lsp_server.types import Skip, Snapshot


def refusal(settings: CompletionSettings, snapshot: Snapshot) -> Skip | None:
    """The reason why none are made; None if there is none.

    Args:
        settings: of the user.
        snapshot: the text.
    """
    if not settings.enabled:
        return Skip(reason="disabled", message="Completion is switched off.")
    if pause.is_paused():
        return Skip(reason=pause.CODE, message=str(pause.refusal()))
    if snapshot.language in settings.disabled_languages:
        return Skip(reason="language_disabled", message=f"Switched off for {snapshot.language}.")
    if snapshot.n_bytes > settings.max_document_bytes:
        return Skip(
            reason="document_too_large",
            message=f"The document has {snapshot.n_bytes / 2**20:.1f} MiB; suggestions are "
            f"made up to {settings.max_document_bytes / 2**20:g} MiB "
            "(completion.max_document_bytes).",
        )
    return None
