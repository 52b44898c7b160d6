"""Which files tell how things are written."""

from __future__ import annotations

from context.workspace.scan import Found
from lsp_server.workspace import texts


def paths(near: str, *names: str, max_bytes: int = 1000, size: int = 10) -> list[str]:
    """What is taken of some files."""
    found = [Found(path=name, size=size, mtime_ns=0) for name in names]
    return [*texts.nearest(found, near, max_bytes)]


def test_the_nearest_come_first() -> None:
    """The file itself, its folder, then folders by the steps to them; other languages last."""
    names = ("a.py", "x/a.py", "x/y/a.py", "x/y/b.py", "x/z/a.py", "x/y/a.js", "q/r/a.py")
    assert paths("x/y/b.py", *names) == [
        *("x/y/b.py", "x/y/a.py", "x/a.py", "a.py", "x/z/a.py", "q/r/a.py", "x/y/a.js"),
    ]


def test_the_budget_is_kept() -> None:
    """What does not fit is left out; so are tables of a megabyte."""
    assert paths("a.py", "a.py", "b.py", "c.py", max_bytes=25) == ["a.py", "b.py"]
    assert paths("a.py", "b.py", max_bytes=10**9, size=texts.MAX_BYTES + 1) == []


def test_text_is_readable() -> None:
    """Without keys; broken signs are replaced, nothing is nothing."""
    assert texts.readable(b'password = "hunter2hunter2"') == 'password = "REDACTED"'
    assert texts.readable(b"x\xff") == "x\ufffd"
    assert texts.readable(None) == texts.readable(b"") == ""
