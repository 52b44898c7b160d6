"""What the user does with documents, and who is to know."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from lsp_server.completion.ahead import Ahead
from lsp_server.completion.engine_link import EngineLink
from lsp_server.completion.feed import Feed
from lsp_server.completion.recording import Recording
from lsp_server.completion.rhythm import Rhythm
from lsp_server.completion.warmup import Spot
from lsp_server.types import Edit, FileMark, Snapshot
from lsp_server.workspace.workspaces import Workspaces

_MAX_SHORT_LINES = 100


class Documents:
    """Passes on what is opened, edited, looked at and closed.

    Args:
        workspaces: where the documents lie.
        feed: has the engine know their texts.
        engine: is woken before it is asked.
        ahead: prepares the next request.
        rhythm: of the user's keys.
        recording: of the session.
        forget: each is called with the URI of a document that is closed.
    """

    def __init__(
        self,
        workspaces: Workspaces,
        feed: Feed,
        engine: EngineLink,
        ahead: Ahead,
        rhythm: Rhythm,
        recording: Recording,
        *,
        forget: Iterable[Callable[[str], None]],
    ) -> None:
        self._workspaces = workspaces
        self._feed = feed
        self._engine = engine
        self._ahead = ahead
        self._rhythm = rhythm
        self._recording = recording
        self._forget = tuple(forget)

    def opened(self, snapshot: Snapshot) -> None:
        """Get the engine up while the user reads.

        Of a short document all text is in the prompt, wherever the cursor will be.
        """
        if tracker := self._recording.tracker:
            tracker.document_opened(snapshot)
        self._workspaces.document(snapshot)
        self._feed.changed(snapshot.uri)
        self._engine.wake()
        if len(snapshot.lines) <= _MAX_SHORT_LINES:
            self.cursor_at(snapshot, len(snapshot.lines) - 1, 0)

    def edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited.

        Args:
            snapshot: the text after it.
            edits: what was done, one after another.
        """
        if tracker := self._recording.tracker:
            tracker.document_edited(snapshot, edits)
        self._workspaces.edited(snapshot, edits)
        self._feed.edited(snapshot)
        self._rhythm.key()

    def cursor_at(
        self, snapshot: Snapshot, line: int, column: int, *, typing: bool = False
    ) -> None:
        """The next request is likely to come from here, soon if the user is typing."""
        if not typing:
            self._workspaces.looked(snapshot.uri, line)
        spot = Spot(snapshot=snapshot, line=line, column=column)
        if typing:
            self._ahead.typing(spot)
        else:
            self._ahead.resting(spot)

    def changed(self, uri: str) -> None:
        """A file was saved, made, changed or removed."""
        self._workspaces.changed(uri)
        self._feed.changed(uri)

    def mark(self, uri: str, mark: FileMark) -> bool:
        """A file is wanted in every prompt, or in none; False if it is in no folder."""
        is_known = self._workspaces.mark(uri, mark)
        if is_known:
            self._feed.changed(uri)
        return is_known

    def focused(self, uri: str) -> None:
        """The user looks at a document, and may type: have the model loaded."""
        self._engine.wake()

    def closed(self, uri: str) -> None:
        """Forget a document."""
        if tracker := self._recording.tracker:
            tracker.document_closed(uri)
        self._workspaces.closed(uri)
        self._feed.changed(uri)
        for forget in self._forget:
            forget(uri)
