"""Results files: JSON lines, first what the run was made with, then one line a record.

A record is written whole or not at all, so a run that was interrupted goes on where it ended.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Generic, Protocol, TypeVar

import msgspec

from benchmarks.summary import RunInfo
from lsp_server.errors import StoreError, UsageError


class Record(Protocol):
    """What can be written: a Struct with a key that is unique in its run."""

    @property
    def key(self) -> str: ...


R = TypeVar("R", bound=Record)
# What may differ between the two halves of one run.
_FREE = ("commit", "machine", "started")


class RunFile(Generic[R]):
    """A results file.

    Args:
        path: where; made with its folders if it is not there.
        run: what this run is made with.
        record_type: the Struct of a record.
        restart: whether an earlier run in the file is given up.

    Raises:
        UsageError: the file holds another run (``other_run``) or something else
            (``not_a_run``).
        StoreError: it cannot be read or written.
    """

    def __init__(
        self, path: Path, run: RunInfo, record_type: type[R], *, restart: bool = False
    ) -> None:
        self.path = path
        self.run = run
        self.records: dict[str, R] = {}
        self._decoder = msgspec.json.Decoder(record_type)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            if restart or not path.exists() or path.stat().st_size == 0:
                path.write_bytes(msgspec.json.encode(run) + b"\n")
            else:
                self._resume()
        except OSError as error:
            raise StoreError(
                f"The results file {path} cannot be used: {error.strerror}.",
                code="results_unusable",
                hint="Give another one with --output.",
            ) from error

    def append(self, record: R) -> None:
        """Add a record; it is on the disk when this returns."""
        line = msgspec.json.encode(record) + b"\n"
        with self.path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self.records[record.key] = record

    def _resume(self) -> None:
        data = self.path.read_bytes()
        first, *lines = data.split(b"\n")
        try:
            found = msgspec.json.decode(first, type=RunInfo)
        except msgspec.MsgspecError as error:
            raise UsageError(
                f"{self.path} is no results file of a benchmark.",
                code="not_a_run",
                hint="Give another one with --output.",
            ) from error
        if differences := _differences(found, self.run):
            raise UsageError(
                f"{self.path} holds another run: {', '.join(differences)}.",
                code="other_run",
                hint="Give another file with --output, or --restart to measure anew.",
            )
        whole, torn = lines[:-1], lines[-1]
        for line in whole:
            record = self._decoder.decode(line)
            self.records[record.key] = record
        if torn:
            os.truncate(self.path, len(data) - len(torn))


def read_run(path: Path, record_type: type[R]) -> tuple[RunInfo, list[R]]:
    """A results file as it stands, for those who only read it.

    Raises:
        UsageError: there is none (``no_run``), or it is something else (``not_a_run``).
    """
    decoder = msgspec.json.Decoder(record_type)
    try:
        first, *lines = path.read_bytes().split(b"\n")
        return msgspec.json.decode(first, type=RunInfo), [decoder.decode(x) for x in lines[:-1]]
    except OSError as error:
        raise UsageError(
            f"There is no results file {path}.",
            code="no_run",
            hint="Run the benchmark that writes it first.",
        ) from error
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"{path} is no results file of this benchmark: {error}.", code="not_a_run"
        ) from error


def _differences(old: RunInfo, new: RunInfo) -> Sequence[str]:
    differences = []
    for field in RunInfo.__struct_fields__:
        before, after = getattr(old, field), getattr(new, field)
        if field == "options":
            names = sorted(before.keys() | after.keys())
            differences += [
                f"{name} {before.get(name)} instead of {after.get(name)}"
                for name in names
                if before.get(name) != after.get(name)
            ]
        elif field not in _FREE and before != after:
            differences.append(f"{field} {before} instead of {after}")
    return differences
