"""What ``midfill model fetch --json`` prints: one JSON object a line, for programs that show it.

``progress`` now and then, at last ``done`` or ``error``; see editors/protocol.md.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from lsp_server.errors import MidfillError
from lsp_server.models.progress import Progress
from lsp_server.models.store import InstalledModel

_EVERY_S = 0.25
_TERMINATED = 128 + signal.SIGTERM

Write = Callable[[dict[str, Any]], None]


class Terminated(KeyboardInterrupt):
    """The process was asked to end."""


class EventProgress:
    """Progress as events. The bytes never become fewer, so that a bar never goes back.

    Hashing what was fetched comes after it, and adds none.

    Args:
        model_id: of the model.
        write: takes an event.
        clock: seconds, monotonic.
    """

    def __init__(
        self, model_id: str, write: Write, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._model_id = model_id
        self._write = write
        self._clock = clock
        self._n_bytes = self._n_total = 0
        self._told: tuple[int, int] | None = None
        self._told_s = 0.0

    def start(self, title: str, total_bytes: int, done_bytes: int = 0) -> None:
        """See Progress."""
        self._n_total = max(self._n_total, total_bytes)
        self._n_bytes = max(self._n_bytes, done_bytes)
        self._tell()

    def update(self, done_bytes: int) -> None:
        """See Progress."""
        self._n_bytes = max(self._n_bytes, done_bytes)
        if self._clock() - self._told_s >= _EVERY_S:
            self._tell()

    def note(self, text: str) -> None:
        """See Progress; people read stderr."""
        print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """See Progress."""
        if self._told is not None:
            self._tell()

    def _tell(self) -> None:
        self._told_s = self._clock()
        if self._told == (self._n_bytes, self._n_total):
            return
        self._told = self._n_bytes, self._n_total
        self._write(
            {
                "event": "progress",
                "model": self._model_id,
                "n_bytes": self._n_bytes,
                "n_total": self._n_total,
            }
        )


def run(model_id: str, work: Callable[[Progress], InstalledModel]) -> int:
    """Fetch a model, and print what happens.

    Args:
        model_id: of the model, as far as it is known.
        work: does it.

    Returns:
        The process' exit code.
    """
    try:
        model = work(EventProgress(model_id, _print))
    except MidfillError as error:
        _print_error(error.code, error.message, error.hint)
        print(f"midfill: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        hint = "Run the same command again: it goes on where this one stopped."
        _print_error("interrupted", "It was stopped; what was fetched is kept.", hint)
        raise
    _print(
        {
            "event": "done",
            "model": model.id,
            "path": str(model.path),
            "sha256": model.sha256,
            "size_bytes": model.size_bytes,
            "confirmed_by": model.confirmed_by,
        }
    )
    return 0


def until_terminated(work: Callable[[], int]) -> int:
    """Run something that SIGTERM ends in order: what was begun is left so that it can go on.

    Args:
        work: gives the exit code.

    Returns:
        That code, or 143 after SIGTERM, as shells have it.
    """
    with _raising_on_sigterm():
        try:
            return work()
        except Terminated:
            return _TERMINATED


@contextlib.contextmanager
def _raising_on_sigterm() -> Iterator[None]:
    def leave(_number: int, _frame: FrameType | None) -> None:
        # A second one ends the process at once.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        raise Terminated

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _print_error(code: str, message: str, hint: str) -> None:
    _print({"event": "error", "code": code, "message": message, "hint": hint})


def _print(event: dict[str, Any]) -> None:
    print(json.dumps(event), flush=True)
