"""What is kept of each problem; one line of the results file."""

from __future__ import annotations

from typing import Literal

import msgspec

from benchmarks.infilling.sandbox import Outcome

# raw: as the model wrote it; line: its first line; post: what midfill would show of it.
Form = Literal["raw", "line", "post"]
Variant = Literal["", "without", "with"]


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """How a completion compares with the ground truth.

    Args:
        exact: exact match (EM).
        similarity: edit similarity (ES), 0 to 1.
    """

    exact: bool
    similarity: float


class Generation(msgspec.Struct, frozen=True, kw_only=True):
    """What came of one prompt.

    Args:
        raw: everything the model wrote.
        text: what midfill would show of it.
        stop: why midfill would have ended the stream; "" where the model ended it.
        finish: why the engine ended it: ``stop`` or ``length``.
        ttft_ms: until the first token.
        total_ms: until the last one.
        n_prompt: tokens of the prompt.
        n_reused: of these, found in the KV cache.
        n_generated: tokens generated.
    """

    raw: str
    text: str
    stop: str = ""
    finish: str = ""
    ttft_ms: float = 0.0
    total_ms: float = 0.0
    n_prompt: int = 0
    n_reused: int = 0
    n_generated: int = 0


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One problem and what came of it.

    Args:
        set: name of the set.
        task_id: unique in its set.
        generation: what the model wrote.
        variant: without or with cross-file context; "" where there is no such choice.
        line_match: whether the first line is exactly the canonical one.
        outcomes: how the tests went, for each form of the completion.
        scores: how the completion compares with the ground truth, for each form of it.
    """

    set: str
    task_id: str
    generation: Generation
    variant: Variant = ""
    line_match: bool = False
    outcomes: dict[Form, Outcome] = {}
    scores: dict[Form, Score] = {}

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"{self.set}|{self.task_id}|{self.variant}"
