"""Files the user brings: what is shown, asked, refused, linked and copied."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsp_server.errors import MidfillError
from lsp_server.models import gate, store
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.register import Candidate, register
from tests.models.conftest import TINY_BYTES
from tests.models.gguf_files import PLAIN_TOKENS, gguf
from tests.models.makers import Notes


@pytest.fixture
def mine(tiny: ModelEntry, tmp_path: Path) -> Path:
    """A file of the user that is in no catalog."""
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    return path


def yes(candidate: Candidate) -> bool:
    """The user confirms."""
    return True


def never(candidate: Candidate) -> bool:
    """A question that must not be asked."""
    raise AssertionError("the user was asked")


def test_user_sees_hash_and_fim_tokens(mine: Path) -> None:
    """The question comes with the file's hash, header and FIM tokens."""
    seen: list[Candidate] = []

    def confirm(candidate: Candidate) -> bool:
        seen.append(candidate)
        return True

    model = register(mine, Notes(), confirm)
    assert seen[0].sha256 == model.sha256
    assert seen[0].info.architecture == "qwen2"
    assert seen[0].info.fim.prefix == 2
    assert (model.id, model.path, model.confirmed_by) == ("mine", mine, "user")
    assert store.resolve("mine") == model


def test_refusal_leaves_nothing(mine: Path) -> None:
    """Without the user's word the file is not taken and may not be loaded."""
    with pytest.raises(MidfillError) as caught:
        register(mine, Notes(), lambda candidate: False)
    assert caught.value.code == "not_confirmed"
    assert store.records() == []


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (gguf(PLAIN_TOKENS), "model_no_fim"),
        (gguf()[:-1], "model_truncated"),
        (b"text", "model_not_gguf"),
    ],
)
def test_unfit_file_is_refused_before_the_question(mine: Path, data: bytes, code: str) -> None:
    """A file that cannot complete code, or is broken, is refused with the reason."""
    mine.write_bytes(data)
    with pytest.raises(MidfillError) as caught:
        register(mine, Notes(), never)
    assert caught.value.code == code
    assert store.records() == []


def test_catalog_file_needs_no_word(tiny: ModelEntry, mine: Path) -> None:
    """A local file with a pinned hash is that catalog model."""
    mine.write_bytes(TINY_BYTES)
    model = register(mine, Notes(), never, expected=tiny)
    assert (model.id, model.confirmed_by, model.path) == ("tiny", "catalog", mine)


def test_file_must_be_the_model_it_is_said_to_be(tiny: ModelEntry, mine: Path) -> None:
    """With a catalog id, a file with another hash is refused."""
    with pytest.raises(MidfillError) as caught:
        register(mine, Notes(), never, expected=tiny)
    assert caught.value.code == "model_wrong_hash"


@pytest.mark.parametrize("name", ["tiny", "TINY", "auto", "a b", "../x", "x.gguf", "", "-x"])
def test_bad_names(mine: Path, name: str) -> None:
    """A name that is taken, or could be mistaken for a path or an option, is refused."""
    mine = mine.rename(mine.with_name("tiny.gguf"))
    with pytest.raises(MidfillError) as caught:
        register(mine, Notes(), never, name=name)
    assert caught.value.code == "bad_name"


def test_copy_cannot_take_the_place_of_a_catalog_model(mine: Path) -> None:
    """A file that only has a catalog file's name is not copied to where that one belongs."""
    mine = mine.rename(mine.with_name("TINY.gguf"))
    with pytest.raises(MidfillError) as caught:
        register(mine, Notes(), never, copy=True)
    assert caught.value.code == "bad_name"


def test_copy_lies_in_the_model_folder(mine: Path, folder: Path) -> None:
    """A copy is private and goes on working when the original is gone."""
    model = register(mine, Notes(), yes, name="other", copy=True)
    mine.unlink()
    assert model.path == folder / "other.gguf"
    assert model.path.stat().st_mode & 0o777 == 0o600
    assert gate.ensure_trusted(store.resolve("other").path).id == "other"
    assert not list(folder.glob("*.partial*"))


def test_file_that_changes_while_it_is_copied(mine: Path, folder: Path) -> None:
    """If the copy is not what was confirmed, it is not kept."""

    def change(candidate: Candidate) -> bool:
        mine.write_bytes(gguf(fill=b"\0"))
        return True

    with pytest.raises(MidfillError) as caught:
        register(mine, Notes(), change, copy=True)
    assert caught.value.code == "hash_mismatch"
    assert [file.name for file in folder.iterdir()] == ["mine.gguf.lock"]


def test_file_that_changes_after_the_word(mine: Path) -> None:
    """If a linked file changes between hash and record, the gate hashes it again and refuses."""

    def change(candidate: Candidate) -> bool:
        mine.write_bytes(gguf(fill=b"\0"))
        return True

    register(mine, Notes(), change)
    with pytest.raises(MidfillError) as caught:
        gate.ensure_trusted(mine)
    assert caught.value.code == "model_wrong_hash"


def test_same_name_is_taken_over(mine: Path, tmp_path: Path) -> None:
    """A second file under the same name replaces the first one's record."""
    register(mine, Notes(), yes)
    other = tmp_path / "other.gguf"
    other.write_bytes(gguf(fill=b"\1"))
    register(other, Notes(), yes, name="mine")
    assert [record.path for record in store.records()] == [str(other)]
