"""The watch over the editor's process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from lsp_server.lifecycle.parent import ParentWatch, watch


@pytest.fixture
def editor() -> Iterator[subprocess.Popen[bytes]]:
    """A process that stands for the editor."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.kill()
    process.communicate()


async def test_a_killed_editor_is_noticed(editor: subprocess.Popen[bytes]) -> None:
    """The watch ends with its call when the editor dies, even as a zombie nobody reaped."""
    parent = ParentWatch(editor.pid)
    assert parent.is_alive()
    editor.kill()
    os.waitid(os.P_PID, editor.pid, os.WEXITED | os.WNOWAIT)
    assert not parent.is_alive()
    editor.wait()
    assert not parent.is_alive()


async def test_watch_calls_once_when_the_editor_is_gone(
    editor: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The call comes after the editor's end, not before."""
    calls: list[bool] = []
    alive = iter([True, True, False])
    monkeypatch.setattr(ParentWatch, "is_alive", lambda _self: next(alive))
    await watch(ParentWatch(editor.pid), lambda: calls.append(True), interval_s=0)
    assert calls == [True]


@pytest.mark.parametrize("process_id", [None, 2**22 + 12345, 2**70, -1])
def test_without_a_usable_id_the_starting_process_is_watched(
    process_id: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client in another container, or without an id, counts as alive until ours goes."""
    parent = ParentWatch(process_id)
    assert parent.is_alive()
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert not parent.is_alive()


def test_a_wrapper_that_ends_is_not_the_editor(
    editor: subprocess.Popen[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the editor lives it does not matter who started this process."""
    parent = ParentWatch(editor.pid)
    monkeypatch.setattr(os, "getppid", lambda: 1)
    assert parent.is_alive()
