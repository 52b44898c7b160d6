"""What a section measures with, and what it hands to the summary."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

import msgspec
from rich.progress import Progress

from benchmarks.figures import Figure, bootstrap
from benchmarks.latency.build import Programs
from benchmarks.records import Record, RunFile
from benchmarks.summary import Plot, Table, Verdict
from context.types import Budget
from lsp_server.engine.options import EngineOptions

K = TypeVar("K")
T = TypeVar("T")
# The interval of fewer is narrow by chance.
_MIN_RESAMPLED = 3


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """What all sections share.

    Args:
        options: of the engine; sections change what they compare.
        budget: of prompts made from code, in tokens.
        seed: of every choice.
        repetitions: how often speeds and times are measured.
        limit: most requests of a session, holes or words; None for each section's own number.
        clients: numbers of clients that ask at once.
        depths: tokens before what is timed, where the context is to be long.
        lengths: tokens of prompts whose first token is timed.
        corpus: folder of the fresh-lines corpus.
        session: file of the typing session.
        f16: the same model in F16; None where there is none.
        programs: llama-bench; None where it cannot be built.
        without: why it cannot be built.
    """

    options: EngineOptions
    budget: Budget
    seed: int
    repetitions: int
    limit: int | None
    clients: tuple[int, ...]
    depths: tuple[int, ...]
    lengths: tuple[int, ...]
    corpus: Path
    session: Path
    f16: Path | None = None
    programs: Programs | None = None
    without: str = ""


def changed(options: EngineOptions, **values: object) -> EngineOptions:
    """Options with other values; those that this engine does not have are left out."""
    known = {name: value for name, value in values.items() if has_option(name)}
    return msgspec.structs.replace(options, **known)


def has_option(name: str) -> bool:
    """Whether this engine has an option of that name."""
    return name in EngineOptions.__struct_fields__


def resampled(values: Sequence[T], statistic: Callable[[Sequence[T]], float]) -> Figure:
    """A statistic with its bootstrap interval; without one where a few values tell nothing."""
    if len(values) >= _MIN_RESAMPLED:
        return bootstrap(values, statistic)
    return Figure(value=statistic(values), low=math.nan, high=math.nan, n=len(values))


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What a section found: its place in the summary."""

    sentence: str = ""
    tables: tuple[Table, ...] = ()
    plots: tuple[Plot, ...] = ()
    verdicts: tuple[Verdict, ...] = ()
    notes: tuple[str, ...] = ()


class Bench:
    """A run: what was measured before is not measured again.

    Args:
        setup: see there.
        file: where records go.
        progress: where the work is shown.
    """

    def __init__(self, setup: Setup, file: RunFile[Record], progress: Progress) -> None:
        self.setup = setup
        self._file = file
        self._progress = progress

    def has(self, key: str) -> bool:
        """Whether this is measured already."""
        return key in self._file.records

    def keep(self, record: Record) -> None:
        """Write a record down."""
        self._file.append(record)

    def of(self, kind: type[K]) -> list[K]:
        """All records of one kind, in the order in which they were measured."""
        return [record for record in self._file.records.values() if isinstance(record, kind)]

    def left(self, name: str, items: Sequence[T], key: Callable[[T], str]) -> Left[T]:
        """What of some items is still to be measured.

        Args:
            name: shown beside the bar.
            items: all of them.
            key: of the record that an item gives.
        """
        left = [item for item in items if not self.has(key(item))]
        return Left(name, left, len(items), self._progress)

    def say(self, text: str) -> None:
        """Tell what is being done."""
        self._progress.console.print(text, highlight=False)


class Left(Generic[T]):
    """Items that are still to be measured; going through them moves a bar."""

    def __init__(self, name: str, left: Sequence[T], n_all: int, progress: Progress) -> None:
        self._name = name
        self._left = left
        self._n_all = n_all
        self._progress = progress

    def __len__(self) -> int:
        return len(self._left)

    def __iter__(self) -> Iterator[T]:
        task = self._progress.add_task(self._name, total=self._n_all)
        self._progress.advance(task, self._n_all - len(self._left))
        for item in self._left:
            yield item
            self._progress.advance(task)
