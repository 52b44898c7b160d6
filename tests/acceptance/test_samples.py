"""Texts for fine-tuning: what is kept, what never is, and where it lies."""

from __future__ import annotations

import sqlite3
import stat
import time
from pathlib import Path

import msgspec
import pytest

from lsp_server.acceptance import sample_store
from lsp_server.acceptance.sample_store import SampleStore
from lsp_server.acceptance.samples import Sample
from lsp_server.acceptance.tracker import AcceptanceTracker
from lsp_server.documents import Change, Span, TextDocument
from lsp_server.errors import StoreError
from lsp_server.types import CompletionRequest
from tests.acceptance.makers import ListLog, completion
from tests.acceptance.test_retention import Clock

URI = "file:///work.py"
SAMPLE = Sample(
    completion_id="c", ts=5.0, session="s", language="python", model="m", prefix="x = ",
    suggestion="1", became="accepted", after="1", after_s=30.0,
)  # fmt: skip
KEY = "AKIA" + "ABCDEFGH" * 2


class Desk:
    """A tracker that keeps texts, and one document."""

    def __init__(self, text: str = "import os\nx = \ny = 2\n", *, may_keep: bool = True) -> None:
        self.clock = Clock()
        self.kept: list[Sample] = []
        self.tracker = AcceptanceTracker(
            ListLog(),
            "session",
            clock=lambda: self.clock.now_s,
            monotonic=lambda: self.clock.now_s,
            later=self.clock.later,
            keep_text=self.kept.append,
            may_keep_text=lambda _uri: may_keep,
        )
        self.document = TextDocument(URI, "python", 1, text)
        self.tracker.document_opened(self.document.snapshot())

    def suggest(self, text: str, line: int = 1, column: int = 4) -> None:
        """A suggestion is shown."""
        request = CompletionRequest(
            id="c1", snapshot=self.document.snapshot(), line=line, column=column
        )
        self.tracker.requested(request)
        answer = msgspec.structs.replace(completion("c1", text), line=line, column=column)
        self.tracker.answered(answer, request)

    def edit(self, start: tuple[int, int], end: tuple[int, int], text: str) -> None:
        """An edit of the document."""
        span = Span(
            start_line=start[0], start_character=start[1], end_line=end[0], end_character=end[1]
        )
        edits = self.document.change(2, [Change(text=text, span=span)])
        self.tracker.document_edited(self.document.snapshot(), edits)


def test_what_stood_there_after_half_a_minute() -> None:
    """What the user made of it, with edits above, below and in it, and nothing around."""
    desk = Desk()
    desk.suggest("foo(1)")
    desk.edit((1, 4), (1, 4), "foo(1)")
    desk.tracker.accepted("c1")
    desk.edit((0, 0), (0, 0), "# more above\n")
    desk.edit((2, 8), (2, 9), "a,\n  b")
    desk.edit((4, 0), (4, 1), "zzz")
    desk.clock.go_on(29)
    assert desk.kept == []
    desk.clock.go_on(1)
    (sample,) = desk.kept
    assert (sample.prefix, sample.suggestion) == ("import os\nx = ", "foo(1)")
    assert (sample.after, sample.became, sample.after_s) == ("foo(a,\n  b)", "accepted", 30.0)
    assert (sample.completion_id, sample.session, sample.language) == ("c1", "session", "python")


def test_what_was_written_instead() -> None:
    """Of one that was typed over; deleted text leaves nothing."""
    desk = Desk()
    desk.suggest("foo(1)")
    desk.edit((1, 4), (1, 4), "bar")
    desk.tracker.document_closed(URI)
    (sample,) = desk.kept
    assert (sample.after, sample.became, sample.after_s) == ("bar", "typed_over", 0.0)
    desk = Desk()
    desk.suggest("foo(1)")
    desk.edit((1, 4), (1, 4), "bar")
    desk.edit((0, 3), (1, 7), "")
    desk.clock.go_on(30)
    assert [sample.after for sample in desk.kept] == [""]


def test_a_text_that_is_sent_as_a_whole_moves_nothing() -> None:
    """As some editors and formatters do."""
    text = "import os\n" * 30 + "x = \ny = 2\n"
    desk = Desk(text)
    desk.suggest("foo", line=30)
    lines = len(text.splitlines())
    desk.edit((0, 0), (lines, 0), text.replace("x = ", "x = foo").replace("import", "import", 1))
    desk.clock.go_on(30)
    assert [sample.after for sample in desk.kept] == ["foo"]


def test_keys_are_taken_out() -> None:
    """Of all three texts, and where one begins in the prefix and ends in the suggestion."""
    desk = Desk(f'one = "{KEY}"\nx = \n')
    desk.suggest(f'"{KEY}"')
    desk.edit((1, 4), (1, 4), f'f("{KEY}")')
    desk.clock.go_on(30)
    (sample,) = desk.kept
    assert KEY not in str(sample)
    assert sample.after == 'f("REDACTED")'
    desk = Desk("import os\npassword = 'correct horse'\n")
    desk.suggest("battery99-staple'", column=12)
    desk.clock.go_on(30)
    (sample,) = desk.kept
    assert "staple" not in str(sample)


def test_files_that_no_prompt_may_show_are_left_out() -> None:
    """Whatever happens in them."""
    desk = Desk(may_keep=False)
    desk.suggest("foo(1)")
    desk.edit((1, 4), (1, 4), "foo(1)")
    desk.clock.go_on(60)
    assert desk.kept == []


def test_the_session_ends_before_half_a_minute() -> None:
    """What stands there then is kept, with the time."""
    desk = Desk()
    desk.suggest("foo(1)")
    desk.clock.go_on(4)
    desk.tracker.close()
    assert [(sample.after, sample.after_s) for sample in desk.kept] == [("", 4.0)]


# -- the file ----------------------------------------------------------------------------


def test_the_file_is_private_and_read_back(tmp_path: Path) -> None:
    """Only the user may read it."""
    store = SampleStore(tmp_path)
    store.add(SAMPLE)
    store.close()
    assert list(sample_store.read(tmp_path)) == [SAMPLE]
    assert list(sample_store.read(tmp_path, since_ts=6.0)) == []
    assert stat.S_IMODE((tmp_path / "samples.sqlite").stat().st_mode) == 0o600


def test_old_ones_are_deleted_when_it_is_opened(tmp_path: Path) -> None:
    """As events are."""
    new = msgspec.structs.replace(SAMPLE, ts=time.time())
    for store in (SampleStore(tmp_path), SampleStore(tmp_path, keep_s=1000.0)):
        store.add(SAMPLE if store._keep_s == 0 else new)
        store.close()
    assert list(sample_store.read(tmp_path)) == [new]


def test_clearing_leaves_no_text(tmp_path: Path) -> None:
    """Nor does clearing a damaged file, or none."""
    sample_store.clear(tmp_path)
    store = SampleStore(tmp_path)
    store.add(msgspec.structs.replace(SAMPLE, suggestion="unmistakable_text"))
    store.close()
    sample_store.clear(tmp_path)
    assert b"unmistakable_text" not in (tmp_path / "samples.sqlite").read_bytes()
    (tmp_path / "samples.sqlite").write_bytes(b"no database, " * 100)
    with pytest.raises(StoreError):
        list(sample_store.read(tmp_path))
    sample_store.clear(tmp_path)
    assert list(sample_store.read(tmp_path)) == []


def test_a_file_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    """And drops the samples."""
    told: list[StoreError] = []
    with sqlite3.connect(tmp_path / "samples.sqlite") as other:
        other.execute("CREATE TABLE samples (something TEXT)")
    other.close()
    store = SampleStore(tmp_path, on_warning=told.append)
    store.add(SAMPLE)
    store.add(SAMPLE)
    store.close()
    assert [error.code for error in told] == ["samples_unusable"]
