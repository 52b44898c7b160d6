"""The progress bar of a replay: opportunities asked for, and the acceptance so far."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from benchmarks.replay.types import Project, SuffixMode, Target, Walk


class ReplayProgress:
    """Draws on stderr while its context lasts.

    Args:
        modes: suffix modes, in order; each has its bar.
        limit: opportunities for each; None when all targets are walked.
        plan: the targets.
    """

    def __init__(
        self,
        modes: Sequence[SuffixMode],
        limit: int | None,
        plan: Sequence[tuple[Project, Target]],
    ) -> None:
        self._limit = limit
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed}/{task.total} {task.fields[unit]}"),
            TextColumn("{task.fields[so_far]}"),
            TimeElapsedColumn(),
            console=Console(stderr=True),
        )
        unit, total = ("targets", len(plan)) if limit is None else ("opportunities", limit)
        self._tasks: dict[SuffixMode, TaskID] = {
            mode: self._bars.add_task(f"suffix {mode}", total=total, unit=unit, so_far="")
            for mode in modes
        }
        self._n_shown = dict.fromkeys(modes, 0)
        self._n_right = dict.fromkeys(modes, 0)

    def __enter__(self) -> ReplayProgress:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def add(self, walk: Walk) -> None:
        """Count a walk."""
        matches = [opportunity.match for opportunity in walk.opportunities]
        self._n_shown[walk.suffix] += sum(match is not None for match in matches)
        self._n_right[walk.suffix] += sum(match is not None and match.line for match in matches)
        self._bars.update(
            self._tasks[walk.suffix],
            advance=1 if self._limit is None else len(walk.opportunities),
            so_far=self.so_far(walk.suffix),
        )

    def so_far(self, mode: SuffixMode) -> str:
        """The acceptance of a mode in words."""
        n_shown = self._n_shown[mode]
        if n_shown == 0:
            return "nothing suggested yet"
        return f"A-line {100 * self._n_right[mode] / n_shown:.1f} % of {n_shown}"
