"""What becomes of suggestions in the documents: on the screen, once accepted, and as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lsp_server.acceptance.events import Ended, Ending, Retained
from lsp_server.acceptance.journal import Journal
from lsp_server.acceptance.retention import Later, Retention
from lsp_server.acceptance.samples import Sample, Samples
from lsp_server.acceptance.screen import Screen
from lsp_server.acceptance.suggestion import Suggestion, is_line
from lsp_server.acceptance.suggestions import Suggestions
from lsp_server.acceptance.written import WrittenChars
from lsp_server.positions import end_of
from lsp_server.types import CompletionRequest, Edit, Position, Snapshot


class FollowedDocuments:
    """Follows suggestions through the edits of their documents, and logs how each one ends.

    Args:
        suggestions: of the session.
        journal: of the session.
        monotonic: a clock, in seconds.
        later: calls something after so many seconds.
        keep_text: takes the text of suggestions, for fine-tuning; None keeps none.
        may_keep_text: whether text of a document may be kept, by its URI.
    """

    def __init__(
        self,
        suggestions: Suggestions,
        journal: Journal,
        *,
        monotonic: Callable[[], float],
        later: Later,
        keep_text: Callable[[Sample], None] | None,
        may_keep_text: Callable[[str], bool],
    ) -> None:
        self._suggestions = suggestions
        self._journal = journal
        self._retention = Retention(self._retained, later)
        self._samples = (
            Samples(keep_text, may_keep_text, later, journal.clock) if keep_text else None
        )
        self._screen = Screen(self._ended, monotonic, later)
        self._written = WrittenChars(journal, journal.session, journal.clock, later)

    # -- documents -----------------------------------------------------------------------

    def opened(self, snapshot: Snapshot) -> None:
        """A document was opened."""
        self._retention.opened(snapshot)

    def edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited.

        Args:
            snapshot: the text after it.
            edits: what was done, one after another.
        """
        self._retention.edited(snapshot, edits)
        self._screen.edited(snapshot, edits)
        if self._samples:
            self._samples.edited(snapshot, edits)
        self._written.edited(snapshot, edits)

    def closed(self, uri: str) -> None:
        """A document was closed."""
        self._retention.closed(uri)
        self._screen.closed(uri)
        if self._samples:
            self._samples.closed(uri)

    @property
    def keeps_text(self) -> bool:
        """Whether the text of suggestions is kept."""
        return self._samples is not None

    def stop_keeping_text(self) -> None:
        """The user does not want it any more."""
        if self._samples:
            self._samples.close()
            self._samples = None

    def close(self) -> None:
        """Nothing more happens; what was written meanwhile is told."""
        self._retention.close()
        self._screen.close()
        if self._samples:
            self._samples.close()
        self._written.close()

    # -- suggestions ---------------------------------------------------------------------

    def requested(self, request: CompletionRequest) -> None:
        """A suggestion is asked for."""
        self._screen.requested(request.snapshot.uri, Position(request.line, request.column))

    def unanswered(self, uri: str) -> None:
        """The last request of a document brought nothing."""
        self._screen.unanswered(uri)

    def show(self, completion_id: str, suggestion: Suggestion) -> None:
        """A suggestion stands on the screen, or what is left of it, or more of it than before."""
        whole, name = self._suggestions.whole(suggestion), suggestion.first or completion_id
        if self._samples and whole is suggestion and suggestion.snapshot:
            sample = self._sample(name, suggestion)
            self._samples.shown(sample, suggestion.uri, suggestion.at, suggestion.snapshot)
        if not whole.accepted:
            self._screen.show(
                name,
                suggestion.uri,
                suggestion.at,
                suggestion.text,
                whole=whole.text,
                n_taken=whole.n_taken,
            )

    def replace(self, name: str, suggestion: Suggestion) -> None:
        """The user looks at another text in the place of a suggestion."""
        self._screen.replace(name, suggestion.uri, suggestion.at, suggestion.own)

    def took(self, completion_id: str, suggestion: Suggestion, n_chars: int) -> int:
        """The user took a suggestion up to some character; how many of the whole that makes."""
        name, whole = suggestion.first or completion_id, self._suggestions.whole(suggestion)
        # What was typed by hand meanwhile was not taken.
        n_skipped = max(0, len(whole.text) - len(suggestion.text))
        known = self._screen.before_accept(name, suggestion.uri, n_skipped + n_chars)
        n_there = min(known[0] - n_skipped, n_chars) if known else 0
        before = max(suggestion.n_accepted_chars, n_there)
        suggestion.n_accepted_chars = n_chars
        if is_line(suggestion.text, before, n_chars):
            whole.unit = "line"
        whole.n_taken += n_chars - before
        self._written.accepted(suggestion.language, suggestion.uri, n_chars - before)
        at = end_of(suggestion.at, suggestion.text[:before])
        self._retention.accepted(
            name,
            suggestion.uri,
            at,
            suggestion.text[before:n_chars],
            is_there=known[1] if known else None,
        )
        self._screen.took(name, suggestion.uri, whole.n_taken)
        return whole.n_taken

    def accepted(self, name: str, suggestion: Suggestion) -> None:
        """All that was left of a suggestion was taken."""
        self._screen.end(name, suggestion.uri, "accepted")
        if self._samples:
            self._samples.became(name, "accepted")

    def dismissed(self, name: str, suggestion: Suggestion) -> None:
        """A suggestion was turned down."""
        self._screen.end(name, suggestion.uri, "dismissed")

    # -- what comes of it ----------------------------------------------------------------

    def _retained(self, name: str, after_s: float, n_chars: int, n_kept: int) -> None:
        suggestion = self._suggestions.get(name)
        if suggestion is not None:
            self._journal.log(
                Retained, name, suggestion, n_chars=n_chars, n_kept=n_kept, after_s=after_s
            )

    def _ended(self, name: str, how: Ending, visible_ms: float, n_chars: int, n_typed: int) -> None:
        suggestion = self._suggestions.get(name)
        if suggestion is None:
            return
        if self._samples:
            part = suggestion.n_taken and not suggestion.accepted
            self._samples.became(name, "partially_accepted" if part else how)
        suggestion.snapshot = None
        self._journal.log(
            Ended,
            name,
            suggestion,
            how=how,
            visible_ms=visible_ms,
            n_chars=n_chars,
            n_typed=n_typed,
        )

    def _sample(self, name: str, suggestion: Suggestion) -> Sample:
        return Sample(
            completion_id=name,
            ts=0.0,
            session=self._journal.session,
            language=suggestion.language,
            model=suggestion.model,
            prefix="",
            suggestion=suggestion.text,
            became="",
            after="",
            after_s=0.0,
        )
