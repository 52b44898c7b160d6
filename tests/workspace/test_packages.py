"""Where installed packages are looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from lsp_server.workspace.packages import packages_of


def environment(folder: Path, *versions: str, layout: str = "lib/python{}/site-packages") -> Path:
    """A virtual environment; gives the folder of its packages."""
    for version in versions:
        packages = folder / layout.format(version)
        packages.mkdir(parents=True)
    (folder / "pyvenv.cfg").write_text("home = /usr/bin\n")
    return packages


@pytest.fixture(autouse=True)
def nothing_active(monkeypatch: pytest.MonkeyPatch) -> None:
    """No environment is active."""
    monkeypatch.delenv("VIRTUAL_ENV", raising=False)
    monkeypatch.delenv("CONDA_PREFIX", raising=False)


def test_the_projects_own_environment_comes_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then the one that is active."""
    assert packages_of(tmp_path) is None
    active = environment(tmp_path / "elsewhere", "3.12")
    monkeypatch.setenv("VIRTUAL_ENV", str(tmp_path / "elsewhere"))
    assert packages_of(tmp_path / "project") == active
    own = environment(tmp_path / "project" / ".venv", "3.12")
    assert packages_of(tmp_path / "project") == own


def test_of_several_versions_the_newest_counts(tmp_path: Path) -> None:
    """By number, not by letters."""
    assert packages_of(tmp_path) is None
    assert environment(tmp_path / ".venv", "3.9", "3.12") == packages_of(tmp_path)


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    """Whatever it is called."""
    (tmp_path / "venv/lib/python3.12/site-packages").mkdir(parents=True)
    assert packages_of(tmp_path) is None


def test_the_layout_of_windows_is_known(tmp_path: Path) -> None:
    """There the folder's name has no version."""
    found = environment(tmp_path / "venv", "", layout="Lib/site-packages{}")
    assert packages_of(tmp_path) == found


def test_the_settings_name_an_environment(tmp_path: Path) -> None:
    """Relative to the workspace, or absolute; then no other one is looked for."""
    environment(tmp_path / "project" / ".venv", "3.12")
    other = environment(tmp_path / "project" / "tools" / "py", "3.11")
    assert packages_of(tmp_path / "project", "tools/py") == other
    assert packages_of(tmp_path / "project", str(tmp_path / "project" / "tools" / "py")) == other
    assert packages_of(tmp_path / "project", "nowhere") is None
