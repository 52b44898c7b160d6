"""The catalog: pins, defaults, look-ups."""

from __future__ import annotations

import re

import pytest

from lsp_server.errors import ModelNotFoundError
from lsp_server.models import catalog
from lsp_server.models.catalog import PackageParts

GB = 10**9


@pytest.mark.parametrize("entry", catalog.ENTRIES, ids=lambda entry: entry.id)
def test_every_entry_is_pinned(entry: catalog.ModelEntry) -> None:
    """Each model has a commit, a sha256, a size and a licence, and a GGUF file name."""
    assert re.fullmatch(r"[0-9a-f]{40}", entry.revision)
    assert re.fullmatch(r"[0-9a-f]{64}", entry.sha256)
    assert entry.size_bytes > 100_000_000
    assert entry.licence
    assert entry.filename.endswith(".gguf")
    assert "/" not in entry.filename


def test_ids_files_and_hashes_are_unique() -> None:
    """No two entries share an id, a file name or a hash."""
    for field in ("id", "filename", "sha256"):
        values = [getattr(entry, field) for entry in catalog.ENTRIES]
        assert len(set(values)) == len(values), field


@pytest.mark.parametrize(
    ("memory", "expected"),
    [
        (None, "0.5b-instruct-q4"),
        (0, "0.5b-instruct-q4"),
        (1 * GB, "0.5b-instruct-q4"),
        (4 * GB, "1.5b-instruct-q4"),
        (8 * GB, "7b-instruct-q4"),
        (10 * GB, "7b-base-q8"),
        (80 * GB, "7b-base-q8"),
    ],
)
def test_default_fits_the_machine(memory: int | None, expected: str) -> None:
    """Without a GPU the smallest model is the default; with one, what its memory holds."""
    assert catalog.default_entry(memory).id == expected


def test_find_ignores_case_and_spaces() -> None:
    """An id may be typed in any case."""
    assert catalog.find(" 0.5B-Instruct-Q4 ").id == "0.5b-instruct-q4"


@pytest.mark.parametrize("typed", ["7b-instruct-q8", "7b-base", "3b"])
def test_unknown_id_gets_a_suggestion(typed: str) -> None:
    """An id that is nearly right is answered with the close one and with all."""
    with pytest.raises(ModelNotFoundError) as caught:
        catalog.find(typed)
    assert caught.value.code == "model_unknown"
    assert "Did you mean" in caught.value.hint
    assert all(entry.id in caught.value.hint for entry in catalog.ENTRIES)


def test_nonsense_gets_no_suggestion() -> None:
    """An id like none of them is answered with the list only."""
    with pytest.raises(ModelNotFoundError) as caught:
        catalog.find("zzz")
    assert "Did you mean" not in caught.value.hint


def test_part_requirements_are_exact() -> None:
    """Parts are asked for by number and exact version."""
    parts = PackageParts(name="some-part{n}", version="1.2", n_parts=12)
    assert parts.requirement(11) == "some-part11==1.2"
