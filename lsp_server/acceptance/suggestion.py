"""What the tracker knows of one suggestion."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

from lsp_server.acceptance.events import Unit
from lsp_server.types import Completion, Position, Snapshot

_START = Position(0, 0)


@dataclasses.dataclass(slots=True)
class Suggestion:
    """What is known of one completion id."""

    client: str
    language: str
    model: str
    received_s: float
    uri: str = ""
    # Only while its text is to be kept for fine-tuning.
    snapshot: Snapshot | None = None
    at: Position = _START
    text: str = ""
    latency_ms: float = 0.0
    ttft_ms: float = 0.0
    score: float = 0.0
    p: float | None = None
    features: tuple[float | None, ...] = ()
    explored: bool = False
    answered: bool = False
    announced: bool = False
    shown: bool = False
    accepted: bool = False
    dismissed: bool = False
    # Of its own text, and of all that is left of it together under the name of the first.
    n_accepted_chars: int = 0
    n_taken: int = 0
    unit: Unit = "word"
    # The one that was shown first: this is what is left of it to type, or another for its place.
    first: str = ""
    is_alternative: bool = False
    # Its own text; ``text`` of the one that was shown first is that of whichever stands there.
    own: str = ""
    version: int = 0

    @property
    def is_judged(self) -> bool:
        """Whether there is a text whose probability will not come later."""
        return bool(self.text) and (self.answered or self.p is not None)

    def judged(self, p: float | None, features: Sequence[float], *, explored: bool) -> None:
        """How likely it is to be taken is known, see ``AcceptanceTracker.judged``."""
        self.p, self.explored = p, explored
        # As many digits as matter; what is not known has no number.
        self.features = tuple(
            None if math.isnan(value) else float(f"{value:.5g}") for value in features
        )

    def elapsed_ms(self, completion: Completion, now_s: float) -> float:
        """From the arrival of its request to now.

        Args:
            completion: its text as it was handed out.
            now_s: by the clock of ``CompletionRequest.received_s``.
        """
        if self.received_s > 0:
            return max(0.0, (now_s - self.received_s) * 1000)
        return completion.timings.total_ms


def n_lines(text: str) -> int:
    """Lines that a text touches; 1 for one without a line break."""
    return text.replace("\r\n", "\n").replace("\r", "\n").count("\n") + 1


def chars_of_utf16(text: str, n_utf16: int) -> int:
    """How many characters of ``text`` begin within its first ``n_utf16`` UTF-16 code units."""
    n_units = 0
    for n_chars, character in enumerate(text):
        if n_units >= n_utf16:
            return n_chars
        n_units += 2 if ord(character) > 0xFFFF else 1
    return len(text)


def is_line(text: str, start: int, end: int) -> bool:
    """Whether a part of a text goes on to the end of a line."""
    return text[end : end + 1] in ("\r", "\n") or not set(text[start:end]).isdisjoint("\r\n")
