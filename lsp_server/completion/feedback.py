"""What becomes of suggestions, as the editor tells it, and who is to know."""

from __future__ import annotations

from lsp_server.completion.alternatives import Alternatives
from lsp_server.completion.recording import Recording
from lsp_server.completion.rejections import Rejections
from lsp_server.completion.showing import Judge


class Feedback:
    """Passes on what the user does with suggestions.

    Args:
        judge: judges the next ones by it.
        rejections: what was turned down is not made again.
        alternatives: what is typed goes on from the one that the user looks at.
        recording: of the session.
    """

    def __init__(
        self,
        judge: Judge,
        rejections: Rejections,
        alternatives: Alternatives,
        recording: Recording,
    ) -> None:
        self._judge = judge
        self._rejections = rejections
        self._alternatives = alternatives
        self._recording = recording

    def shown(self, completion_id: str) -> None:
        """The client shows a suggestion."""
        self._alternatives.looked_at(completion_id)
        if tracker := self._recording.tracker:
            tracker.shown(completion_id)

    async def accepted(self, completion_id: str) -> None:
        """The user took a suggestion; returns once that is stored."""
        self._taken(completion_id)
        if tracker := self._recording.tracker:
            tracker.accepted(completion_id)
        await self._recording.flush()

    def partially_accepted(self, completion_id: str, n_utf16: int) -> None:
        """The user took the first ``n_utf16`` UTF-16 units of a suggestion."""
        self._taken(completion_id)
        if tracker := self._recording.tracker:
            tracker.partially_accepted(completion_id, n_utf16)

    def _taken(self, completion_id: str) -> None:
        self._judge.history.accepted(self._alternatives.first_of(completion_id))
        self._alternatives.looked_at(completion_id)

    def dismissed(self, completion_id: str) -> None:
        """The user turned a suggestion down."""
        self._judge.history.dismissed(self._alternatives.first_of(completion_id))
        self._rejections.rejected(completion_id)
        self._alternatives.dismissed(completion_id)
        if tracker := self._recording.tracker:
            tracker.dismissed(completion_id)
