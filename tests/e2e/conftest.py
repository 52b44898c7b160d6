"""Real editors for the end-to-end tests."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import unavailable
from tests.e2e.neovim import NeovimMissingError, NeovimSession, find_or_install_neovim

StartNeovim = Callable[[], NeovimSession]


@pytest.fixture(scope="session")
def neovim() -> Path:
    """A Neovim with inline completion."""
    try:
        return find_or_install_neovim()
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
