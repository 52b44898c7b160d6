"""Languages by file name."""

from __future__ import annotations

import pytest

from context.source import language_of, line_comment


@pytest.mark.parametrize(
    ("path", "language", "comment"),
    [
        ("/a/b.py", "python", "#"),
        ("a.PYI", "python", "#"),
        ("src/main.rs", "rust", "//"),
        ("x.tsx", "typescriptreact", "//"),
        ("init.lua", "lua", "--"),
        ("Makefile", "makefile", "#"),
        ("docs/README.md", "markdown", ""),
        ("noextension", "plaintext", ""),
        ("", "plaintext", ""),
        (".py", "plaintext", ""),
    ],
)
def test_language_of(path: str, language: str, comment: str) -> None:
    """The language comes from the name, the comment sign from the language."""
    assert language_of(path) == language
    assert line_comment(language) == comment
