"""What is recorded of a session: the acceptance log, and texts for fine-tuning."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from lsp_server.acceptance.log import EventLog
from lsp_server.acceptance.sample_store import SampleStore
from lsp_server.acceptance.tracker import AcceptanceTracker
from lsp_server.errors import StoreError
from lsp_server.settings import LogSettings


class Recording:
    """Records what becomes of suggestions, until the user wants no more of it.

    Args:
        tracker: makes events of what happens; None records nothing.
        event_log: stores them; closed with the recording.
        samples: the same, for texts.

    Attributes:
        tracker: None where nothing is recorded, or nothing more.
    """

    def __init__(
        self,
        tracker: AcceptanceTracker | None = None,
        event_log: EventLog | None = None,
        samples: SampleStore | None = None,
    ) -> None:
        self.tracker = tracker
        self._event_log = event_log
        self._samples = samples
        self._closing: asyncio.Task[None] | None = None

    @classmethod
    def begin(
        cls,
        settings: LogSettings,
        *,
        on_warning: Callable[[StoreError], None],
        may_keep_text: Callable[[str], bool],
    ) -> Recording:
        """Record what the settings say, if anything.

        Args:
            settings: of the user.
            on_warning: called if something cannot be stored.
            may_keep_text: whether text of a document may be kept, by its URI.
        """
        if not settings.enabled:
            return cls()
        keep_s = 86_400.0 * settings.keep_days
        event_log = EventLog(on_warning=on_warning, keep_s=keep_s)
        samples = SampleStore(keep_s=keep_s) if settings.keep_text else None
        tracker = AcceptanceTracker(
            event_log,
            session=uuid.uuid4().hex,
            keep_text=samples.add if samples else None,
            may_keep_text=may_keep_text,
        )
        return cls(tracker, event_log, samples)

    @property
    def is_on(self) -> bool:
        """Whether events are stored."""
        return self._event_log is not None

    async def flush(self) -> bool:
        """Have all events so far stored; False where none are recorded."""
        if self._event_log is None:
            return False
        if self.tracker is not None:
            self.tracker.settle()
        await self._event_log.flush()
        return True

    def follow(self, settings: LogSettings) -> None:
        """Other settings: keep no more than they allow; what was recorded stays."""
        if not settings.enabled:
            self._stop()
        elif not settings.keep_text and self.tracker:
            self.tracker.stop_keeping_text()

    def _stop(self) -> None:
        tracker, event_log = self.tracker, self._event_log
        self.tracker = self._event_log = None
        if tracker is not None:
            tracker.stop_keeping_text()
            tracker.close()
        if event_log is not None:
            self._closing = asyncio.create_task(event_log.aclose())

    async def aclose(self) -> None:
        """Store all of it."""
        if self.tracker:
            self.tracker.close()
        if self._event_log is not None:
            await self._event_log.aclose()
        if self._samples is not None:
            await asyncio.to_thread(self._samples.close)
        if self._closing is not None:
            await self._closing
