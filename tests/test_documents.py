"""The texts open in the editor."""

from __future__ import annotations

import pytest

from lsp_server.documents import Change, DocumentStore, Span, TextDocument
from lsp_server.errors import DocumentError
from lsp_server.lines import BLOCK_LINES, Lines
from lsp_server.positions import PositionEncoding

URI = "file:///home/someone/a.py"


def edit(start: tuple[int, int], end: tuple[int, int], text: str) -> Change:
    """A change of the text between two positions."""
    span = Span(
        start_line=start[0], start_character=start[1], end_line=end[0], end_character=end[1]
    )
    return Change(text=text, span=span)


def document(text: str, encoding: PositionEncoding = "utf-16") -> TextDocument:
    """An open document with a text."""
    return TextDocument(URI, "python", 1, text, encoding=encoding)


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("abc", edit((0, 1), (0, 2), "X"), ["aXc"]),
        ("abc", edit((0, 0), (0, 99), "X"), ["X"]),
        ("abc", edit((0, 2), (0, 1), "X"), ["aXc"]),
        ("a\nb", edit((9, 9), (9, 9), "!"), ["a\n", "b!"]),
        ("a\nb\nc", edit((0, 1), (2, 0), ""), ["ac"]),
        ("a\nb", edit((1, 1), (1, 1), "\n"), ["a\n", "b\n", ""]),
        ("", edit((0, 0), (0, 0), "x\r\ny"), ["x\r\n", "y"]),
        ("a\nb", Change(text="new\n"), ["new\n", ""]),
        ("a\u2028b\x0cc", edit((0, 3), (0, 4), "-"), ["a\u2028b-c"]),
    ],
)
def test_an_edit_changes_exactly_its_range(before: str, change: Change, after: list[str]) -> None:
    """Ranges are taken literally, out of range they end at the text's borders."""
    subject = document(before)
    subject.change(2, [change])
    assert list(subject.lines) == after
    assert subject.version == 2


@pytest.mark.parametrize(
    ("before", "change", "after"),
    [
        ("a\rb", edit((1, 0), (1, 0), "\n"), ["a\r\n", "b"]),
        ("a\rx\nb", edit((1, 0), (1, 1), ""), ["a\r\n", "b"]),
        ("a\nb", edit((0, 1), (0, 1), "\r"), ["a\r\n", "b"]),
        ("a\r\nb", edit((0, 1), (1, 0), "\r"), ["a\r", "b"]),
        ("a\r", edit((1, 0), (1, 0), "\n"), ["a\r\n", ""]),
        ("\r", edit((1, 0), (1, 0), "\n\n"), ["\r\n", "\n", ""]),
    ],
)
def test_cr_and_lf_that_meet_become_one_eol(before: str, change: Change, after: list[str]) -> None:
    """A CR and a LF put next to each other by an edit end one line, not two."""
    subject = document(before)
    subject.change(2, [change])
    assert list(subject.lines) == after


def test_each_step_of_an_edit_sees_the_one_before() -> None:
    """Positions of a later change count in the text the earlier one made."""
    subject = document("one\ntwo")
    subject.change(2, [edit((0, 0), (0, 0), "zero\n"), edit((1, 0), (1, 3), "1")])
    assert subject.text == "zero\n1\ntwo"


@pytest.mark.parametrize(("encoding", "character"), [("utf-8", 4), ("utf-16", 2), ("utf-32", 1)])
def test_columns_count_in_the_negotiated_unit(encoding: PositionEncoding, character: int) -> None:
    """The same place has another column in each encoding."""
    subject = document("😀!", encoding)
    subject.change(2, [edit((0, character), (0, character), "x")])
    assert subject.text == "😀x!"


def test_a_snapshot_never_changes() -> None:
    """A snapshot keeps text and version while the document goes on."""
    subject = document("a\r\nb\r\n")
    snapshot = subject.snapshot()
    subject.change(2, [edit((0, 0), (1, 0), "")])
    assert (snapshot.text, snapshot.version, snapshot.eol) == ("a\r\nb\r\n", 1, "\r\n")
    assert tuple(snapshot.lines) == ("a\r\n", "b\r\n", "")
    assert subject.text == "b\r\n"


def test_eol_is_the_one_most_lines_have() -> None:
    """The EOL follows the edits."""
    subject = document("a\nb\r\nc\r\n")
    assert subject.eol == "\r\n"
    subject.change(2, [edit((1, 0), (3, 0), "")])
    assert subject.eol == "\n"
    assert document("no end of line").eol == "\n"


def test_size_is_counted_in_utf8_bytes() -> None:
    """The size follows every edit and goes along with the snapshot."""
    subject = document("é" * 5)
    assert subject.snapshot().n_bytes == 10
    subject.change(2, [edit((0, 0), (0, 2), "a\r\n😀")])
    assert subject.n_bytes == subject.snapshot().n_bytes == len(subject.text.encode()) == 13


def test_lone_surrogates_become_replacement_characters() -> None:
    """Half a surrogate pair is no text; its replacement keeps the columns."""
    subject = document("a\ud83db")
    subject.change(2, [edit((0, 2), (0, 2), "\ude00")])
    assert subject.text == "a\ufffd\ufffdb"
    assert subject.text.encode()


def test_store_knows_open_documents_only() -> None:
    """Every access to an unknown document says so with a code and what to do."""
    store = DocumentStore()
    store.open(URI, "python", 1, "")
    store.close(URI)
    assert URI not in store
    for access in (store.get, store.close, lambda uri: store.change(uri, 2, [])):
        with pytest.raises(DocumentError, match="open it again") as caught:
            access(URI)
        assert caught.value.code == "document_unknown"


def test_opening_again_replaces_the_document() -> None:
    """A second didOpen wins over the text there is."""
    store = DocumentStore()
    store.open(URI, "python", 7, "old")
    store.open(URI, "python", 1, "new")
    assert store.get(URI).snapshot().text == "new"
    assert store.get(URI).version == 1
    assert len(store) == 1


def test_a_version_that_does_not_grow_is_reported_and_applied() -> None:
    """The text follows the client even when the version number does not."""
    store = DocumentStore()
    store.open(URI, "python", 5, "a")
    assert store.change(URI, 6, [edit((0, 1), (0, 1), "b")])[0]
    assert not store.change(URI, 6, [edit((0, 2), (0, 2), "c")])[0]
    assert not store.change(URI, 3, [edit((0, 3), (0, 3), "d")])[0]
    assert store.change(URI, None, [edit((0, 4), (0, 4), "e")])[0]
    assert store.get(URI).text == "abcde"


def test_lines_behave_like_a_tuple() -> None:
    """Index, slice, iteration, equality and hash agree with the tuple of the same lines."""
    plain = tuple(f"{n}\n" for n in range(3 * BLOCK_LINES + 5))
    lines = Lines(plain)
    assert lines == plain
    assert hash(lines) == hash(plain)
    assert (lines[0], lines[-1], lines[BLOCK_LINES]) == (plain[0], plain[-1], plain[BLOCK_LINES])
    assert lines[500:1500] == plain[500:1500]
    assert lines[::-2] == plain[::-2]
    assert lines[9:3] == ()
    with pytest.raises(IndexError):
        lines[len(plain)]
    with pytest.raises(IndexError):
        lines.replaced(3, 3, ["x"])


def test_emptied_blocks_are_merged() -> None:
    """Deleting line by line leaves no trail of tiny blocks."""
    lines = Lines([f"{n}\n" for n in range(8 * BLOCK_LINES)])
    while len(lines) > 10:
        lines = lines.replaced(5, 7, ["x\n"])
    assert len(lines._blocks) == 1
    assert lines[0] == "0\n"
    assert lines[-1] == f"{8 * BLOCK_LINES - 1}\n"
