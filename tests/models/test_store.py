"""Which models are there, which one is meant, and records that are damaged."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from lsp_server.errors import ModelInvalidError, ModelNotFoundError
from lsp_server.models import catalog, gate, store
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.fetch import fetch
from tests.models.conftest import TINY_BYTES
from tests.models.gguf_files import gguf
from tests.models.makers import Bytes, Notes


def place(folder: Path, name: str, data: bytes = TINY_BYTES) -> Path:
    """A file in that folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path


def confirm(path: Path, model_id: str) -> None:
    """A record as if the user had confirmed the file."""
    store.save_record(store.record_of(path, path.stat(), "f" * 64, model_id, "user"))


def test_nothing_is_there_at_first(tiny: ModelEntry) -> None:
    """Without a model the error names the command to run."""
    assert store.installed() == ()
    with pytest.raises(ModelNotFoundError) as caught:
        store.resolve(None)
    assert caught.value.code == "model_not_fetched"
    assert caught.value.hint == "Run: midfill model fetch"


def test_known_id_that_is_not_fetched(tiny: ModelEntry) -> None:
    """The error for a catalog model names the command with its id."""
    with pytest.raises(ModelNotFoundError) as caught:
        store.resolve("tiny")
    assert caught.value.hint == "Run: midfill model fetch tiny"


def test_unknown_id(tiny: ModelEntry) -> None:
    """An id that is in no list is answered with the list."""
    with pytest.raises(ModelNotFoundError) as caught:
        store.resolve("tinny")
    assert caught.value.code == "model_unknown"
    assert "Did you mean tiny?" in caught.value.hint


@pytest.mark.parametrize("how", ["id", "upper case", "path", "auto", "None"])
def test_fetched_model_is_resolved(tiny: ModelEntry, how: str) -> None:
    """Id, path and no choice at all lead to the fetched model."""
    path = fetch(tiny, Notes(), [Bytes(TINY_BYTES)]).path
    asked = {"id": "tiny", "upper case": "TINY", "path": str(path), "auto": "auto"}.get(how)
    model = store.resolve(asked)
    assert (model.id, model.path, model.sha256) == ("tiny", path, tiny.sha256)
    assert model.entry == tiny


def test_catalog_file_without_a_record_is_found(tiny: ModelEntry, folder: Path) -> None:
    """A catalog file that was put into the folder counts, with its hash not known yet."""
    path = place(folder, tiny.filename)
    model = store.resolve("tiny")
    assert (model.path, model.sha256, model.confirmed_by) == (path, "", None)


def test_path_of_an_unconfirmed_file(tiny: ModelEntry, tmp_path: Path) -> None:
    """A file that is neither pinned nor confirmed is refused with the command that takes it."""
    path = place(tmp_path, "other.gguf", gguf())
    with pytest.raises(ModelInvalidError) as caught:
        store.resolve(str(path))
    assert caught.value.code == "model_not_trusted"
    assert f"midfill model fetch --file {path}" in caught.value.hint


def test_path_that_does_not_exist(tiny: ModelEntry) -> None:
    """A path to nothing is a missing file, not an unknown id."""
    with pytest.raises(ModelNotFoundError) as caught:
        store.resolve("nowhere/model.gguf")
    assert caught.value.code == "model_file_missing"


def test_copy_of_a_catalog_file_elsewhere(tiny: ModelEntry, tmp_path: Path) -> None:
    """A catalog file is taken from any place, subject to the gate."""
    path = place(tmp_path / "elsewhere", "copy.gguf")
    assert store.resolve(str(path)).id == "tiny"
    assert gate.ensure_trusted(path).confirmed_by == "catalog"


def test_folder_copy_is_preferred(tiny: ModelEntry, folder: Path, tmp_path: Path) -> None:
    """Of two copies of a model, the id means the one in the model folder."""
    ours = fetch(tiny, Notes(), [Bytes(TINY_BYTES)]).path
    gate.ensure_trusted(place(tmp_path / "elsewhere", "copy.gguf"))
    assert len(store.records()) == 2
    assert store.resolve("tiny").path == ours


def entries(*sizes: int) -> tuple[ModelEntry, ...]:
    """Catalog entries of those sizes; the first is the CPU default, the last two GPU ones."""
    base = catalog.ENTRIES[0]
    ids = ("cpu", "middle", "gpu-small", "gpu-large")
    return tuple(
        msgspec.structs.replace(
            base,
            id=name,
            filename=f"{name}.gguf",
            size_bytes=size,
            sha256=name.rjust(64, "0"),
            default_for="cpu" if name == "cpu" else "gpu" if name.startswith("gpu") else None,
            min_gpu_bytes=size * 1000,
        )
        for name, size in zip(ids, sizes, strict=True)
    )


@pytest.mark.parametrize(
    ("present", "memory", "expected"),
    [
        (("cpu", "middle", "gpu-small", "gpu-large"), None, "cpu"),
        (("middle", "gpu-small"), None, "middle"),
        (("cpu", "middle", "gpu-small", "gpu-large"), 100_000, "gpu-large"),
        (("cpu", "middle", "gpu-small", "gpu-large"), 5_000, "gpu-small"),
        (("cpu", "middle"), 100_000, "middle"),
        (("gpu-large",), None, "gpu-large"),
    ],
)
def test_choice_among_fetched_models(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    present: tuple[str, ...],
    memory: int | None,
    expected: str,
) -> None:
    """The machine's default wins; else the largest that its GPU holds; else the smallest."""
    monkeypatch.setattr(catalog, "ENTRIES", entries(2, 3, 4, 8))
    for entry in catalog.ENTRIES:
        if entry.id in present:
            place(folder, entry.filename, bytes(entry.size_bytes))
    assert store.resolve(None, gpu_memory_bytes=lambda: memory).id == expected


def test_own_file_is_used_when_there_is_no_other(tiny: ModelEntry, tmp_path: Path) -> None:
    """A confirmed file is the choice if no catalog model is fetched, and never before one."""
    confirm(place(tmp_path, "mine.gguf", gguf()), "mine")
    assert store.resolve(None).id == "mine"
    fetch(tiny, Notes(), [Bytes(TINY_BYTES)])
    assert store.resolve(None).id == "tiny"
    assert store.resolve("mine").confirmed_by == "user"


@pytest.mark.parametrize("asked", ["tiny", "TINY", None])
def test_deleted_file_is_reported(tiny: ModelEntry, asked: str | None) -> None:
    """A record whose file is gone does not count; the error names the file and the command."""
    path = fetch(tiny, Notes(), [Bytes(TINY_BYTES)]).path
    path.unlink()
    assert store.installed() == ()
    with pytest.raises(ModelNotFoundError) as caught:
        store.resolve(asked)
    assert caught.value.code == "model_file_missing"
    assert str(path) in caught.value.message
    assert caught.value.hint == "Run: midfill model fetch tiny"


def test_deleted_file_of_the_user_is_reported(tiny: ModelEntry, tmp_path: Path) -> None:
    """A file of the user's that is gone cannot be fetched: the hint says what else to do."""
    path = place(tmp_path, "mine.gguf", gguf())
    confirm(path, "mine")
    path.unlink()
    with pytest.raises(ModelNotFoundError) as caught:
        store.resolve("mine")
    assert caught.value.code == "model_file_missing"
    assert "midfill model remove mine" in caught.value.hint


def test_own_file_under_a_catalog_name_is_not_that_model(tiny: ModelEntry, folder: Path) -> None:
    """A confirmed file that has the name of a catalog file is listed once, as the user's."""
    confirm(place(folder, tiny.filename, gguf()), "mine")
    assert [model.id for model in store.installed()] == ["mine"]


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"models": [{"id": 1}]}', b'{"models": 7}'],
)
def test_damaged_records_are_set_aside_and_rebuilt(
    tiny: ModelEntry, folder: Path, damage: bytes
) -> None:
    """A damaged models.json is kept under another name; the next check records the file anew."""
    path = fetch(tiny, Notes(), [Bytes(TINY_BYTES)]).path
    (folder / "models.json").write_bytes(damage)
    assert store.resolve("tiny").sha256 == ""
    assert (folder / "models.json.damaged").read_bytes() == damage
    assert gate.ensure_trusted(path).sha256 == tiny.sha256
    assert store.resolve("tiny").sha256 == tiny.sha256


def test_records_are_private(tiny: ModelEntry, folder: Path) -> None:
    """Folder and records can be read by their owner only."""
    fetch(tiny, Notes(), [Bytes(TINY_BYTES)])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / "models.json").stat().st_mode & 0o777 == 0o600
