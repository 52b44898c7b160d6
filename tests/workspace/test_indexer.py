"""The process that brings an index up to date."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from context.workspace.symbols import FileSymbols
from lsp_server.workspace import store
from lsp_server.workspace.indexer import read_source, run
from lsp_server.workspace.messages import (
    HEADER_BYTES,
    Done,
    Files,
    Gone,
    Message,
    Order,
    Progress,
    decode,
    size_of,
)

LONG_AGO_NS = 10**18


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small project, and a cache folder of its own."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    folder = tmp_path / "project"
    for name in ("a", "b", "c"):
        write(folder / f"{name}.py", f"class {name.upper()}: ...\n")
    return folder


def write(path: Path, text: str, mtime_ns: int = LONG_AGO_NS) -> None:
    """A file that was changed long ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    os.utime(path, ns=(mtime_ns, mtime_ns))


def indexed(root: Path) -> list[Message]:
    """What one run sends."""
    sent: list[Message] = []
    run(Order(root=str(root), store=str(store.path_of(root))), sent.append)
    return sent


def changed(sent: list[Message]) -> dict[str, FileSymbols]:
    """Files that were sent."""
    return {path: found for m in sent if isinstance(m, Files) for path, found in m.files}


def gone(sent: list[Message]) -> set[str]:
    """Files that were said to be gone."""
    return {path for message in sent if isinstance(message, Gone) for path in message.paths}


def test_the_first_run_sends_everything(root: Path) -> None:
    """And says how far it is, and when it is done."""
    sent = indexed(root)
    assert [*changed(sent)] == ["a.py", "b.py", "c.py"]
    assert Progress(n_done=3, n_all=3) in sent
    assert sent[-1] == Done(n_files=3)


def test_the_next_run_sends_what_changed(root: Path) -> None:
    """New, changed and removed files; the rest is known."""
    indexed(root)
    write(root / "b.py", "class Other: ...\n", LONG_AGO_NS + 1)
    write(root / "d.py", "class D: ...\n")
    (root / "c.py").unlink()
    sent = indexed(root)
    assert {*changed(sent)} == {"b.py", "d.py"}
    assert gone(sent) == {"c.py"}
    assert sent[-1] == Done(n_files=3)
    sent = indexed(root)
    assert not changed(sent)
    assert not gone(sent)


def test_a_touched_file_is_not_sent_again(root: Path) -> None:
    """Its hash says that it is the same."""
    indexed(root)
    write(root / "a.py", "class A: ...\n", LONG_AGO_NS + 10**9)
    assert not changed(indexed(root))


def test_a_change_in_the_same_tick_is_seen(root: Path) -> None:
    """Size and time alone are not believed where the file had just been written."""
    path = root / "a.py"
    path.write_text("class A: ...\n")
    indexed(root)
    info = path.stat()
    path.write_text("class Z: ...\n")
    os.utime(path, ns=(info.st_mtime_ns, info.st_mtime_ns))
    assert [s.name for s in changed(indexed(root))["a.py"].symbols] == ["Z"]


def test_a_damaged_index_is_made_anew(root: Path) -> None:
    """As if there were none."""
    indexed(root)
    place = store.path_of(root)
    place.write_bytes(place.read_bytes()[:-1])
    assert len(changed(indexed(root))) == 3


def test_a_file_that_became_binary_is_gone(root: Path) -> None:
    """What is no source any more is dropped."""
    indexed(root)
    (root / "a.py").write_bytes(b"\0\1\2")
    assert gone(indexed(root)) == {"a.py"}


def test_texts_are_read_as_the_editor_has_them(tmp_path: Path) -> None:
    """Without a byte order mark, with one kind of line end."""
    path = tmp_path / "a.py"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_source(path) == b"a\nb\nc\n"
    assert read_source(tmp_path / "none.py") is None


def test_the_process_speaks_frames(root: Path) -> None:
    """An order on stdin, messages on stdout, and nothing else there."""
    order = Order(root=str(root))
    done = subprocess.run(
        [sys.executable, "-P", "-m", "lsp_server.workspace.indexer"],
        input=msgspec.json.encode(order),
        capture_output=True,
        check=True,
    )
    stream = io.BytesIO(done.stdout)
    sent = []
    while header := stream.read(HEADER_BYTES):
        sent.append(decode(stream.read(size_of(header))))
    assert {*changed(sent)} == {"a.py", "b.py", "c.py"}
    assert sent[-1] == Done(n_files=3)
