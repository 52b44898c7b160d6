"""The gate: what may be loaded, and when it is hashed again."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lsp_server.errors import MidfillError, ModelInvalidError, StoreError
from lsp_server.models import catalog, gate, store, verify
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.fetch import fetch
from lsp_server.models.register import register
from tests.models.conftest import TINY_BYTES
from tests.models.gguf_files import PLAIN_TOKENS, gguf
from tests.models.makers import Bytes, Notes


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files that are hashed from now on."""
    seen: list[Path] = []
    real = verify.sha256_of

    def counting(path: Path, on_bytes: verify.OnBytes | None = None) -> str:
        seen.append(path)
        return real(path, on_bytes)

    monkeypatch.setattr(verify, "sha256_of", counting)
    return seen


def fetched(entry: ModelEntry) -> Path:
    """The path of the fetched model."""
    return fetch(entry, Notes(), [Bytes(TINY_BYTES)]).path


def code_of(path: Path) -> str:
    """Why the gate refuses a file."""
    with pytest.raises(MidfillError) as caught:
        gate.ensure_trusted(path)
    assert caught.value.hint
    return caught.value.code


def test_unchanged_file_is_not_hashed_again(tiny: ModelEntry, hashed: list[Path]) -> None:
    """A file with the recorded size and time passes at once."""
    path = fetched(tiny)
    hashed.clear()
    assert gate.ensure_trusted(path).id == "tiny"
    assert hashed == []


def test_touched_file_is_hashed_once(tiny: ModelEntry, hashed: list[Path]) -> None:
    """A new time of change costs one hash, and the record is renewed."""
    path = fetched(tiny)
    os.utime(path, ns=(1, 1))
    hashed.clear()
    for _ in range(2):
        assert gate.ensure_trusted(path).sha256 == tiny.sha256
    assert hashed == [path]


def test_replaced_file_is_refused(tiny: ModelEntry) -> None:
    """A file of the same size with other bytes has the wrong hash; the hint fetches it again."""
    path = fetched(tiny)
    path.write_bytes(TINY_BYTES[:-1] + b"!")
    with pytest.raises(ModelInvalidError) as caught:
        gate.ensure_trusted(path)
    assert caught.value.code == "model_wrong_hash"
    assert caught.value.hint == "Run: midfill model fetch tiny"


def test_catalog_name_alone_is_no_trust(tiny: ModelEntry, folder: Path) -> None:
    """A file that only has a catalog model's name is refused."""
    folder.mkdir(parents=True)
    path = folder / tiny.filename
    path.write_bytes(TINY_BYTES[:-1] + b"!")
    assert code_of(path) == "model_wrong_hash"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"not a model", "model_not_gguf"),
        (TINY_BYTES[:-1], "model_truncated"),
        (gguf(PLAIN_TOKENS), "model_no_fim"),
        (gguf(), "model_not_trusted"),
        (gguf(version=9), "model_unreadable"),
    ],
)
def test_reason_codes(tiny: ModelEntry, tmp_path: Path, data: bytes, code: str) -> None:
    """Each kind of unfit file has its reason code."""
    path = tmp_path / "file.gguf"
    path.write_bytes(data)
    assert code_of(path) == code


def test_missing_file(tiny: ModelEntry, tmp_path: Path) -> None:
    """A path to nothing is a missing file."""
    assert code_of(tmp_path / "none.gguf") == "model_file_missing"


def test_confirmed_file_passes_until_it_changes(tiny: ModelEntry, tmp_path: Path) -> None:
    """A file the user confirmed passes; with other bytes it must be confirmed again."""
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    register(path, Notes(), lambda candidate: True)
    assert gate.ensure_trusted(path).confirmed_by == "user"
    path.write_bytes(gguf(fill=b"\0"))
    os.utime(path, ns=(1, 1))
    assert code_of(path) == "model_wrong_hash"


def test_confirmed_file_may_move(tiny: ModelEntry, tmp_path: Path) -> None:
    """The word of the user is about the bytes, not the place."""
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    register(path, Notes(), lambda candidate: True)
    moved = path.rename(tmp_path / "moved.gguf")
    assert gate.ensure_trusted(moved).id == "mine"
    assert store.resolve("mine").path == moved


def test_record_of_a_hash_that_is_no_longer_pinned(
    tiny: ModelEntry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A record that says "catalog" is not enough: the catalog must still pin the hash."""
    path = fetched(tiny)
    model = store.resolve("tiny")
    monkeypatch.setattr(catalog, "ENTRIES", ())
    assert code_of(path) == "model_not_trusted"
    with pytest.raises(ModelInvalidError) as caught:
        verify.verify(model)
    assert caught.value.code == "model_not_trusted"
    assert code_of(path) == "model_not_trusted", "verifying must not make it the user's word"


def test_read_only_folder_costs_a_hash_only(
    tiny: ModelEntry, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the check cannot be written down, the model still loads."""
    folder.mkdir(parents=True)
    path = folder / tiny.filename
    path.write_bytes(TINY_BYTES)

    def refuse(record: store.ModelRecord) -> None:
        raise StoreError("read-only", code="folder_unwritable", hint="x")

    monkeypatch.setattr(store, "save_record", refuse)
    assert gate.ensure_trusted(path).sha256 == tiny.sha256
    assert verify.verify(store.resolve("tiny")).sha256 == tiny.sha256
    assert store.records() == []


def test_link_to_a_model_is_the_model(tiny: ModelEntry, tmp_path: Path, hashed: list[Path]) -> None:
    """A link is followed: the file behind it is what counts."""
    path = fetched(tiny)
    link = tmp_path / "link.gguf"
    link.symlink_to(path)
    hashed.clear()
    assert gate.ensure_trusted(link).path == path
    assert hashed == []


def test_verify_hashes_whatever_the_record_says(tiny: ModelEntry, hashed: list[Path]) -> None:
    """Verifying always reads the whole file."""
    fetched(tiny)
    hashed.clear()
    counts: list[int] = []
    assert verify.verify(store.resolve("tiny"), counts.append).sha256 == tiny.sha256
    assert len(hashed) == 1
    assert counts[-1] == tiny.size_bytes


def test_verify_notices_changed_bytes_behind_the_same_time(tiny: ModelEntry) -> None:
    """Bytes changed without a trace in size and time are found by verifying."""
    path = fetched(tiny)
    before = path.stat()
    path.write_bytes(TINY_BYTES[:-1] + b"!")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(ModelInvalidError) as caught:
        verify.verify(store.resolve("tiny"))
    assert caught.value.code == "model_wrong_hash"
