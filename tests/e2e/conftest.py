"""Real editors for the end-to-end tests."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest

from tests.conftest import unavailable
from tests.e2e.neovim import (
    VERSIONS,
    NeovimMissingError,
    NeovimSession,
    Version,
    documented_setup,
    find_or_install_neovim,
)

StartNeovim = Callable[[], NeovimSession]


class EditPython(Protocol):
    """Opens a Python file in a Neovim with the plugin and a scripted engine."""

    def __call__(
        self,
        *replies: dict[str, Any],
        text: str = "",
        options: str = "",
        before: str = "",
        default: str = "",
        wait: bool = True,
    ) -> NeovimSession:
        """An editor with the file open.

        Args:
            replies: of the script, see ``lsp_server.engine.scripted``.
            text: of the file.
            options: of ``setup``, as Lua.
            before: Lua that is run before it.
            default: what the engine says where no reply fits.
            wait: whether to return once the server is there, or at once.
        """


@pytest.fixture(scope="session", params=VERSIONS, ids=["nvim-0.11", "nvim-0.12"])
def neovim(request: pytest.FixtureRequest) -> Path:
    """A Neovim of each version that is supported."""
    version: Version = request.param
    try:
        return find_or_install_neovim(version)
    except NeovimMissingError as error:
        unavailable(str(error))
        raise


@pytest.fixture
def start_neovim(neovim: Path, tmp_path: Path) -> Iterator[StartNeovim]:
    """Starts Neovim with this Python's ``midfill`` first on its PATH and the present MIDFILL_*."""
    sessions: list[NeovimSession] = []

    def start() -> NeovimSession:
        env = {name: value for name, value in os.environ.items() if name.startswith("MIDFILL_")}
        env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
        session = NeovimSession(neovim, tmp_path / f"nvim-{len(sessions)}", env)
        sessions.append(session)
        return session

    yield start
    for session in sessions:
        session.close()


@pytest.fixture
def edit(start_neovim: StartNeovim, tmp_path: Path) -> EditPython:
    """Opens a Python file in Neovim; the plugin is set up as README.md says."""

    def start(
        *replies: dict[str, Any],
        text: str = "",
        options: str = "",
        before: str = "",
        default: str = "",
        wait: bool = True,
    ) -> NeovimSession:
        use_script(tmp_path, *replies, default=default)
        editor = start_neovim()
        setup = documented_setup()
        assert "setup()" in setup
        editor.lua(before)
        editor.lua(setup.replace("setup()", f"setup({options})"))
        editor.lua("vim.cmd.runtime('plugin/midfill.lua')")
        editor.open(python_file(tmp_path, text))
        if wait:
            editor.wait_for_client()
        return editor

    return start


def python_file(folder: Path, text: str = "") -> Path:
    """A Python file in a project of its own."""
    project = folder / "project"
    project.mkdir(exist_ok=True)
    (project / "pyproject.toml").write_text("[project]\nname = 'colours'\n")
    path = project / "colours.py"
    path.write_text(text, encoding="utf-8")
    return path


def use_script(folder: Path, *replies: dict[str, Any], default: str = "") -> None:
    """Let the user's settings name a scripted engine."""
    script = folder / "script.json"
    script.write_text(json.dumps({"replies": replies, "default": default}))
    settings = Path(os.environ["MIDFILL_CONFIG_DIR"]) / "config.toml"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(f"[model]\nid = {json.dumps(f'scripted:{script}')}\n")
