"""Texts of the workspace's files."""

from __future__ import annotations

import os
from pathlib import Path

from lsp_server.workspace.files import Files


def test_the_editors_text_comes_first(tmp_path: Path) -> None:
    """What is typed and not saved counts."""
    (tmp_path / "a.py").write_text("disk")
    opened = {"a.py": b"editor"}
    files = Files(tmp_path, opened.get)
    assert files.read("a.py") == b"editor"
    opened.clear()
    assert files.read("a.py") == b"disk"


def test_a_change_on_disk_is_seen(tmp_path: Path) -> None:
    """By size and time; a removed file is gone."""
    path = tmp_path / "a.py"
    path.write_text("one")
    files = Files(tmp_path, lambda _path: None)
    assert files.read("a.py") == b"one"
    path.write_text("two")
    os.utime(path, ns=(1, 1))
    assert files.read("a.py") == b"two"
    path.unlink()
    assert files.read("a.py") is None


def test_secrets_are_not_read(tmp_path: Path) -> None:
    """Not even where somebody asks for them by name, or has them open."""
    (tmp_path / ".env").write_text("TOKEN=1")
    assert Files(tmp_path, lambda _path: b"TOKEN=1").read(".env") is None


def test_little_is_kept(tmp_path: Path) -> None:
    """Files are read again rather than kept beyond a bound."""
    for number in range(40):
        (tmp_path / f"f{number}.py").write_bytes(b"x" * 1_000_000)
    files = Files(tmp_path, lambda _path: None)
    for number in range(40):
        assert files.read(f"f{number}.py") is not None
    assert files._n_bytes <= 17 * 2**20


async def test_whoever_asks_does_not_wait_for_the_disk(tmp_path: Path) -> None:
    """A file is missing until it is fetched; one that is none is not asked for again."""
    (tmp_path / "a.py").write_text("one")
    (tmp_path / "b.py").write_bytes(b"\0\0")
    files = Files(tmp_path, at_once=False)
    assert files.read("a.py") is None
    assert files.read("b.py") is None
    assert files.read("nowhere.py") is None
    assert [*files.missing] == ["a.py", "b.py"]
    for path in [*files.missing]:
        await files.fetch(path)
    assert files.read("a.py") == b"one"
    assert files.read("b.py") is None
    assert not files.missing
    (tmp_path / "a.py").write_text("another one")
    assert files.read("a.py") is None
    assert await files.fetch("a.py") == b"another one"
