"""How much is written in the documents, and how much of that comes from suggestions."""

from __future__ import annotations

import collections
from collections.abc import Callable, Sequence

from lsp_server.acceptance.events import Written
from lsp_server.acceptance.file_kind import FileKind, file_kind
from lsp_server.acceptance.kept import n_new_chars
from lsp_server.acceptance.log import EventSink
from lsp_server.acceptance.retention import Later, Timer
from lsp_server.types import Edit, Snapshot

# It is told at most so often.
_EVERY_S = 60.0

_Where = tuple[str, FileKind]


class WrittenChars:
    """Adds up characters by language and kind of file, and logs the sums now and then.

    Args:
        log: where the events go.
        session: id of this server process' session.
        clock: seconds since 1970.
        later: calls something after so many seconds.
    """

    def __init__(
        self, log: EventSink, session: str, clock: Callable[[], float], later: Later
    ) -> None:
        self._log = log
        self._session = session
        self._clock = clock
        self._later = later
        self._n_written: collections.Counter[_Where] = collections.Counter()
        self._n_accepted: collections.Counter[_Where] = collections.Counter()
        self._timer: Timer | None = None

    def edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited, by hand or by an accept.

        Args:
            snapshot: the text after it.
            edits: what was done.
        """
        n_chars = sum(map(n_new_chars, edits))
        if n_chars:
            self._n_written[snapshot.language, file_kind(snapshot.uri)] += n_chars
        if self._n_written and self._timer is None:
            self._timer = self._later(_EVERY_S, self._tell)

    def accepted(self, language: str, uri: str, n_chars: int) -> None:
        """So many of the characters came, or will come, from a suggestion."""
        self._n_accepted[language, file_kind(uri)] += n_chars

    def close(self) -> None:
        """Nothing more is written; what was is told."""
        if self._timer is not None:
            self._timer.cancel()
            self._tell()

    def _tell(self) -> None:
        self._timer = None
        for (language, kind), n_chars in self._n_written.items():
            self._log.append(
                Written(
                    completion_id="",
                    ts=self._clock(),
                    session=self._session,
                    language=language,
                    n_chars=n_chars,
                    n_accepted=min(self._n_accepted[language, kind], n_chars),
                    file_kind=kind,
                )
            )
        self._n_written.clear()
        self._n_accepted.clear()
