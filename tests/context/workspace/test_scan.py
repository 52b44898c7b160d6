"""Which source files a folder holds."""

from __future__ import annotations

from pathlib import Path

from context.workspace import scan as module
from context.workspace.scan import counts, scan


def made(root: Path, *paths: str) -> Path:
    """A folder with these files."""
    for path in paths:
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("x = 1\n", "utf-8")
    return root


def found(root: Path, **options: object) -> list[str]:
    """Paths of a scan."""
    return [file.path for file in scan(root, **options).files]  # type: ignore[arg-type]


def test_source_files_are_found(tmp_path: Path) -> None:
    """Code counts; text, data, secrets, dependencies and generated folders do not."""
    made(
        tmp_path,
        *("a.py", "src/b.py", "src/c.ts", "README.md", "data.json", ".env", ".git/hook.py"),
        *("node_modules/m/index.js", "build/out.py", "certs/.ssh/k.py", "src/__pycache__/b.py"),
    )
    made(tmp_path / "own", "pyvenv.cfg", "lib/site.py")
    assert found(tmp_path) == ["a.py", "src/b.py", "src/c.ts"]


def test_ignore_files_hold(tmp_path: Path) -> None:
    """``.gitignore`` of each folder, and the user's own patterns."""
    made(tmp_path, "a.py", "gen/x.py", "lib/b_pb2.py", "lib/c.py", "old/d.py")
    (tmp_path / ".gitignore").write_text("gen/\n")
    (tmp_path / "lib/.gitignore").write_text("*_pb2.py\n")
    assert found(tmp_path, banned=["old"]) == ["a.py", "lib/c.py"]


def test_links_end(tmp_path: Path) -> None:
    """A loop of links is not followed; a link to a secret is not read."""
    made(tmp_path, "a.py", "sub/b.py")
    made(tmp_path / "home", ".ssh/config")
    (tmp_path / "sub/loop").symlink_to(tmp_path)
    (tmp_path / "sub/out.py").symlink_to(tmp_path / "home/.ssh/config")
    (tmp_path / "sub/dangling.py").symlink_to(tmp_path / "nowhere.py")
    assert found(tmp_path) == ["a.py", "sub/b.py"]


def test_bounds_hold(tmp_path: Path, monkeypatch: object) -> None:
    """More files than are wanted: those nearest to the root, and a reason."""
    made(tmp_path, "deep/er/z.py", "b.py", "a.py")
    result = scan(tmp_path, max_files=2)
    assert [file.path for file in result.files] == ["a.py", "b.py"]
    assert "more than 2 files" in result.left_out


def test_large_and_strange_files_are_left_out(tmp_path: Path) -> None:
    """What is too large to be written by hand, and what is no regular file."""
    made(tmp_path, "a.py")
    (tmp_path / "big.py").write_bytes(b"#" * (module.MAX_FILE_BYTES + 1))
    (tmp_path / "folder.py").mkdir()
    assert found(tmp_path) == ["a.py"]


def test_an_unreadable_root_holds_nothing(tmp_path: Path) -> None:
    """No folder, no files."""
    assert found(tmp_path / "none") == []


def test_single_files_count_as_in_a_scan(tmp_path: Path) -> None:
    """A file that comes later is held against the same rules."""
    made(tmp_path, "a.py", "gen/x.py", "src/node_modules/m.js", "src/ok.py")
    (tmp_path / ".gitignore").write_text("gen/\n")
    (tmp_path / "src/.gitignore").write_text("no.py\n")
    said = {
        path: counts(tmp_path, path, banned=["ban.py"])
        for path in ("a.py", "gen/x.py", "src/node_modules/m.js", "src/ok.py", "src/no.py",
                     "ban.py", "notes.md", ".env")
    }  # fmt: skip
    assert [path for path, counted in said.items() if counted] == ["a.py", "src/ok.py"]
