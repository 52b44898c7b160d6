"""Waits a moment for the client to say what would else be assumed: that a suggestion is shown."""

from __future__ import annotations

import msgspec

from lsp_server.acceptance.events import Event, Shown
from lsp_server.acceptance.log import EventSink
from lsp_server.acceptance.retention import Later, Timer

# A client that reports what it shows does so within a few frames of the answer, or where it is
# slow before the user can do anything with it.
_WAIT_S = 5.0


class AssumedShown:
    """An event log that settles, before anything else is logged, how the last answer was shown.

    So the first suggestion of a client that reports what it shows has that as its evidence, though
    nothing was known of the client when it was answered.

    Args:
        log: where the events go, in the order in which they come.
        later: calls something after so many seconds.
    """

    def __init__(self, log: EventSink, later: Later) -> None:
        self._log = log
        self._later = later
        self._assumed: Shown | None = None
        self._timer: Timer | None = None

    def append(self, event: Event) -> None:
        """Log an event."""
        self.settle()
        self._log.append(event)

    def assume(self, event: Shown) -> None:
        """A suggestion is thought to be shown, unless the client says so within a moment."""
        self.settle()
        self._assumed = event
        self._timer = self._later(_WAIT_S, self.settle)

    def announced(self, completion_id: str) -> None:
        """The client says that it shows a suggestion."""
        if self._assumed is not None and self._assumed.completion_id == completion_id:
            self._assumed = msgspec.structs.replace(self._assumed, evidence="client")
            self.settle()

    def settle(self) -> None:
        """Log what was assumed."""
        event, timer = self._assumed, self._timer
        self._assumed = self._timer = None
        if timer is not None:
            timer.cancel()
        if event is not None:
            self._log.append(event)
