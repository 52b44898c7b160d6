"""Small wheels and repositories to replay."""

from __future__ import annotations

import os
import subprocess
import zipfile
from collections.abc import Mapping
from pathlib import Path

from benchmarks.replay.types import Target

OLD = {
    "shelf/__init__.py": "from shelf.books import Book\n",
    "shelf/books.py": "class Book:\n    title: str = 'none'\n    pages: int = 0\n",
    "shelf/_vendor/copied.py": "copied = elsewhere(1)\n",
}
NEW = {
    "shelf/__init__.py": "from shelf.books import Book\n",
    "shelf/books.py": (
        '"""Books\n\nand what is in them."""\n\n'
        "class Book:\n    pages: int = 0\n    author: str = 'none'\n"
    ),
    # One of its lines stood in another file before.
    "shelf/lend.py": "# lending\ntitle: str = 'none'\nlent_out = set()\n",
    "shelf/_vendor/copied.py": "copied = elsewhere(2)\n",
}


def write_wheel(folder: Path, version: str, files: dict[str, str], name: str = "shelf") -> Path:
    """A wheel that pip takes."""
    folder.mkdir(parents=True, exist_ok=True)
    wheel = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    metadata = {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    with zipfile.ZipFile(wheel, "w") as archive:
        for path, text in {**files, **metadata}.items():
            archive.writestr(path, text)
    return wheel


BOOKS = "class Book:\n    title: str = 'none'\n    pages: int = 0\n"


class Repo:
    """A repository that a test writes."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.n_commits = 0
        path.mkdir(parents=True)
        self.git("init", "--quiet", "--initial-branch=main")
        self.git("config", "user.name", "Tester")
        self.git("config", "user.email", "tester@example.invalid")
        self.git("config", "core.autocrlf", "false")

    def git(self, *arguments: str, date: str = "") -> str:
        """Run git in it; returns what it prints."""
        dates = {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date} if date else {}
        return subprocess.run(
            ["git", "-C", str(self.path), *arguments],
            env={**os.environ, **dates},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()

    def write(self, files: Mapping[str, str | bytes | None]) -> None:
        """Write files; None deletes one."""
        for name, content in files.items():
            place = self.path / name
            if content is None:
                place.unlink()
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content.encode() if isinstance(content, str) else content)

    def commit(self, files: Mapping[str, str | bytes | None], subject: str = "work") -> str:
        """Write files and commit; each commit is a day after the one before. Returns its hash."""
        self.write(files)
        self.git("add", "--all")
        self.n_commits += 1
        date = f"2025-03-{self.n_commits:02}T12:00:00+00:00"
        self.git("commit", "--quiet", "--allow-empty", "-m", subject, date=date)
        return self.git("rev-parse", "HEAD")


def lines_of(targets: tuple[Target, ...]) -> dict[str, list[int]]:
    """The targets' lines by path."""
    found: dict[str, list[int]] = {}
    for target in targets:
        found.setdefault(target.path, []).extend(target.lines)
    return found
