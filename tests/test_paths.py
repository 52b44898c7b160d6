"""Folders: places, modes, owners, lengths."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from lsp_server import paths
from lsp_server.errors import StoreError


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_private_dir_is_made_private(tmp_path: Path) -> None:
    """A new folder is open to its owner only, whatever the umask."""
    old = os.umask(0)
    try:
        folder = paths.private_dir(tmp_path / "a" / "b")
    finally:
        os.umask(old)
    assert folder.is_dir()
    assert _mode(folder) == 0o700


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o701, 0o777])
def test_private_dir_tightens(tmp_path: Path, mode: int) -> None:
    """A folder that others may enter is closed; what lies in it stays."""
    folder = tmp_path / "open"
    folder.mkdir()
    (folder / "file").write_text("kept")
    folder.chmod(mode)
    assert paths.private_dir(folder) == folder
    assert _mode(folder) == 0o700
    assert (folder / "file").read_text() == "kept"


def test_private_dir_refuses_another_owner(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of somebody else is not used, and not changed."""
    folder = tmp_path / "theirs"
    folder.mkdir(mode=0o755)
    monkeypatch.setattr(os, "getuid", lambda: folder.stat().st_uid + 1)
    with pytest.raises(StoreError) as caught:
        paths.private_dir(folder)
    assert caught.value.code == "folder_not_private"
    assert "belongs to another user" in caught.value.message
    assert "MIDFILL_RUNTIME_DIR" in caught.value.hint
    assert _mode(folder) == 0o755


def test_private_dir_refuses_a_link_in_tmp(tmp_path: Path) -> None:
    """Everybody may put a link into /tmp, so one there is not followed."""
    link = Path("/tmp") / f"mf-link-{os.getpid()}"
    link.symlink_to(tmp_path)
    try:
        with pytest.raises(StoreError) as caught:
            paths.private_dir(link)
    finally:
        link.unlink()
    assert caught.value.code == "folder_not_private"
    assert str(link) in caught.value.message


def test_private_dir_follows_the_users_own_link(tmp_path: Path) -> None:
    """A cache folder that the user keeps on another disk by a link is fine."""
    (tmp_path / "disk").mkdir()
    (tmp_path / "cache").symlink_to(tmp_path / "disk")
    assert paths.private_dir(tmp_path / "cache") == tmp_path / "cache"
    assert _mode(tmp_path / "disk") == 0o700


def test_private_dir_where_a_file_stands(tmp_path: Path) -> None:
    """A file in the folder's place is named, with the variables that choose another place."""
    (tmp_path / "file").write_text("")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(StoreError) as caught:
            paths.private_dir(place)
        assert caught.value.code == "folder_unwritable"
        assert str(place) in caught.value.message
        assert "MIDFILL_CACHE_DIR" in caught.value.hint


def test_private_dir_that_cannot_be_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the mode cannot be changed the message says what to run."""
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o755)

    def refuse(_path: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(StoreError) as caught:
        paths.private_dir(folder)
    assert caught.value.hint == f"Run: chmod 700 {folder}"


def test_variables_choose_the_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each folder has its variable; a relative path and ~ are made absolute."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIDFILL_CACHE_DIR", "~/c")
    monkeypatch.setenv("MIDFILL_STATE_DIR", "s")
    monkeypatch.setenv("MIDFILL_CONFIG_DIR", str(tmp_path / "k"))
    assert paths.cache_dir() == tmp_path / "c"
    assert paths.models_dir() == tmp_path / "c" / "models"
    assert paths.kv_dir() == tmp_path / "c" / "kv"
    assert paths.state_dir() == tmp_path / "s"
    assert paths.config_dir() == tmp_path / "k"


def test_system_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without variables every folder is named after midfill; an empty variable counts as none."""
    for name in ("CACHE", "STATE", "CONFIG"):
        monkeypatch.setenv(f"MIDFILL_{name}_DIR", "")
    for folder in (paths.cache_dir(), paths.state_dir(), paths.config_dir()):
        assert folder.name == "midfill"
        assert folder.is_absolute()


def test_runtime_dir_of_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The session's runtime folder is used where there is one, else the temporary folder."""
    monkeypatch.delenv("MIDFILL_RUNTIME_DIR")
    monkeypatch.setattr(paths, "_MAX_SOCKET_DIR_BYTES", 1000)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert paths.runtime_dir() == tmp_path / "midfill"
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "missing"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert paths.runtime_dir() == tmp_path / f"midfill-{os.getuid()}"


def test_long_runtime_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A path too long for a socket address gives a short one, the same each time, one for each."""
    chosen = []
    for name in ("x" * 100, "y" * 100, "x" * 100):
        monkeypatch.setenv("MIDFILL_RUNTIME_DIR", str(tmp_path / name))
        chosen.append(paths.runtime_dir())
    assert chosen[0] == chosen[2] != chosen[1]
    for folder in chosen:
        assert folder.parent == Path("/tmp")
        socket = folder / f"engine-{'0' * 16}.sock"
        assert len(os.fsencode(socket)) < 104
