"""Removing models: ours are deleted, the user's are forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsp_server.errors import MidfillError
from lsp_server.models import store
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.fetch import fetch
from lsp_server.models.locks import locked
from lsp_server.models.partial import Partial
from lsp_server.models.register import register
from lsp_server.models.remove import remove
from tests.models.conftest import TINY_BYTES
from tests.models.gguf_files import gguf
from tests.models.makers import Bytes, Notes


def test_fetched_model_is_deleted(tiny: ModelEntry) -> None:
    """File and record of a fetched model go."""
    path = fetch(tiny, Notes(), [Bytes(TINY_BYTES)]).path
    removal = remove("tiny")
    assert removal.deleted == (str(path),)
    assert removal.freed_bytes == tiny.size_bytes
    assert not path.exists()
    assert store.records() == []


def test_unfinished_fetch_is_deleted(tiny: ModelEntry, folder: Path) -> None:
    """What an interrupted fetch left can be removed by the model's id."""
    folder.mkdir(parents=True)
    partial = Partial(folder / tiny.filename, tiny.sha256)
    partial.append(b"x" * 100)
    partial.end_part()
    partial.close()
    assert remove("tiny").freed_bytes == 100
    assert [file.suffix for file in folder.iterdir()] == [".lock"]


def test_linked_file_of_the_user_is_kept(tiny: ModelEntry, tmp_path: Path) -> None:
    """A file outside the model folder is only forgotten."""
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    register(path, Notes(), lambda candidate: True)
    removal = remove("mine")
    assert (removal.deleted, removal.kept) == ((), (str(path),))
    assert path.exists()
    assert store.records() == []


def test_copied_file_is_deleted(tiny: ModelEntry, tmp_path: Path) -> None:
    """A copy in the model folder is midfill's own: it goes, the original stays."""
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    copied = register(path, Notes(), lambda candidate: True, copy=True).path
    assert remove("mine").deleted == (str(copied),)
    assert path.exists()


@pytest.mark.parametrize(("name", "code"), [("tiny", "model_not_fetched"), ("x", "model_unknown")])
def test_nothing_to_remove(tiny: ModelEntry, name: str, code: str) -> None:
    """Removing what is not there is an error."""
    with pytest.raises(MidfillError) as caught:
        remove(name)
    assert caught.value.code == code


def test_running_fetch_is_not_disturbed(tiny: ModelEntry, folder: Path) -> None:
    """While a fetch runs its files are not removed."""
    path = fetch(tiny, Notes(), [Bytes(TINY_BYTES)]).path
    with (
        locked(folder / "tiny.gguf.lock", wait=False),
        pytest.raises(MidfillError) as caught,
    ):
        remove("tiny")
    assert caught.value.code == "fetch_running"
    assert path.exists()
