"""A document as prompts want it."""

from __future__ import annotations

import pytest

from lsp_server.completion.draft import source_file
from lsp_server.documents import TextDocument


@pytest.mark.parametrize(
    ("marked", "data", "cursor"),
    [
        ("a\r\nb‸", b"a\nb", 3),
        ("a\r\nb\r‸c", b"a\nb\nc", 4),
        ("é‸\r\n", b"\xc3\xa9\n", 2),
    ],
)
def test_source_file(marked: str, data: bytes, cursor: int) -> None:
    """Line ends become plain ones, and the cursor goes along."""
    before, after = marked.split("‸")
    snapshot = TextDocument("file:///a.py", "python", 1, before + after).snapshot()
    line = len(TextDocument("file:///a.py", "python", 1, before).snapshot().lines) - 1
    column = len(TextDocument("file:///a.py", "python", 1, before).snapshot().lines[line])
    file, offset = source_file(snapshot, line, column)
    assert (file.data, offset) == (data, cursor)
