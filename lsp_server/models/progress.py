"""How a long transfer shows itself on stderr: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import rich.progress

_LINE_EVERY_S = 5.0


class Progress(Protocol):
    """Where a transfer reports to."""

    def start(self, title: str, total_bytes: int, done_bytes: int = 0) -> None:
        """Begin a step of ``total_bytes``, of which ``done_bytes`` are there already."""

    def update(self, done_bytes: int) -> None:
        """Say how many bytes of the step are done."""

    def note(self, text: str) -> None:
        """Print a line."""

    def close(self) -> None:
        """Finish the step."""


def for_stderr() -> Progress:
    """The progress display that fits stderr."""
    return BarProgress() if sys.stderr.isatty() else LineProgress(_to_stderr, time.monotonic)


class SilentProgress:
    """Shows nothing."""

    def start(self, title: str, total_bytes: int, done_bytes: int = 0) -> None:
        """See Progress."""

    def update(self, done_bytes: int) -> None:
        """See Progress."""

    def note(self, text: str) -> None:
        """See Progress."""

    def close(self) -> None:
        """See Progress."""


class LineProgress:
    """A plain line every few seconds, for logs and pipes.

    Args:
        write: prints one line.
        clock: seconds, monotonic.
    """

    def __init__(self, write: Callable[[str], None], clock: Callable[[], float]) -> None:
        self._write = write
        self._clock = clock
        self._title = ""
        self._total_bytes = self._first_bytes = self._done_bytes = 0
        self._started_s = self._written_s = 0.0

    def start(self, title: str, total_bytes: int, done_bytes: int = 0) -> None:
        """See Progress."""
        self._title, self._total_bytes = title, total_bytes
        self._first_bytes = self._done_bytes = done_bytes
        self._started_s = self._written_s = self._clock()
        resumed = f", {_megabytes(done_bytes)} of them there already" if done_bytes else ""
        self._write(f"{title}: {_megabytes(total_bytes)}{resumed}")

    def update(self, done_bytes: int) -> None:
        """See Progress."""
        self._done_bytes = done_bytes
        now = self._clock()
        if now - self._written_s >= _LINE_EVERY_S:
            self._written_s = now
            self._write(self._line(now))

    def note(self, text: str) -> None:
        """See Progress."""
        self._write(text)

    def close(self) -> None:
        """See Progress."""
        if self._title and self._done_bytes > self._first_bytes:
            self._write(self._line(self._clock()))
        self._title = ""

    def _line(self, now: float) -> str:
        elapsed_s = max(now - self._started_s, 1e-6)
        bytes_per_s = (self._done_bytes - self._first_bytes) / elapsed_s
        percent = 100 * self._done_bytes / max(self._total_bytes, 1)
        line = (
            f"{self._title}: {percent:3.0f} %, {_megabytes(self._done_bytes)} of "
            f"{_megabytes(self._total_bytes)}, {_megabytes(bytes_per_s)}/s"
        )
        left_bytes = self._total_bytes - self._done_bytes
        if left_bytes > 0 and bytes_per_s > 0:
            line += f", {left_bytes / bytes_per_s:,.0f} s left"
        return line


class BarProgress:
    """A bar with bytes, speed and time left."""

    def __init__(self) -> None:
        from rich.console import Console

        self._console = Console(stderr=True, highlight=False)
        self._bar: rich.progress.Progress | None = None
        self._task: rich.progress.TaskID | None = None

    def start(self, title: str, total_bytes: int, done_bytes: int = 0) -> None:
        """See Progress."""
        from rich import progress as bars

        self.close()
        self._bar = bars.Progress(
            bars.TextColumn("{task.description}", markup=False),
            bars.BarColumn(),
            bars.TaskProgressColumn(),
            bars.DownloadColumn(),
            bars.TransferSpeedColumn(),
            bars.TimeRemainingColumn(),
            console=self._console,
        )
        self._task = self._bar.add_task(title, total=total_bytes, completed=done_bytes)
        self._bar.start()

    def update(self, done_bytes: int) -> None:
        """See Progress."""
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, completed=done_bytes)

    def note(self, text: str) -> None:
        """See Progress."""
        self._console.print(text, markup=False)

    def close(self) -> None:
        """See Progress."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None


def _megabytes(n_bytes: float) -> str:
    return f"{n_bytes / 1e6:,.1f} MB"


def _to_stderr(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
