"""The pause is a private file that outlives every process."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from lsp_server.engine import pause
from lsp_server.errors import StoreError


def test_set_and_cleared() -> None:
    """Each change tells what was before; doing it twice changes nothing."""
    assert not pause.is_paused()
    assert [pause.set_paused(True), pause.is_paused()] == [False, True]
    assert [pause.set_paused(True), pause.is_paused()] == [True, True]
    assert [pause.set_paused(False), pause.is_paused()] == [True, False]
    assert [pause.set_paused(False), pause.is_paused()] == [False, False]


def test_nobody_else_can_write_it() -> None:
    """The file and its folder belong to the user alone."""
    pause.set_paused(True)
    assert stat.S_IMODE(pause.flag_path().stat().st_mode) == 0o600
    assert stat.S_IMODE(pause.flag_path().parent.stat().st_mode) == 0o700


def test_a_flag_that_cannot_be_removed(tmp_path: Path) -> None:
    """The error names the file."""
    pause.flag_path().mkdir(parents=True)
    assert pause.is_paused()
    with pytest.raises(StoreError) as caught:
        pause.set_paused(False)
    assert caught.value.code == "pause_unwritable"
    assert str(pause.flag_path()) in caught.value.message
