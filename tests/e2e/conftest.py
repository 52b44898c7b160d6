"""Real editors for the end-to-end tests."""

from __future__ import annotations

import itertools
import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import end_engines, unavailable
from tests.e2e.neovim import (
    VERSIONS,
    NeovimMissingError,
    NeovimSession,
    Version,
    documented_setup,
    find_or_install_neovim,
)
from tests.e2e.vscode import (
    CHROMIUM_OPTIONS,
    CodeServer,
    VSCodeMissingError,
    build_extension,
    find_or_install_chromium,
    find_or_install_vscode,
    private_env,
    wait_until,
)
from tests.e2e.vscode_document import Document, describe, script
from tests.e2e.vscode_window import VSCodeWindow

_NAMES = itertools.count(1)

StartNeovim = Callable[[], NeovimSession]
UseServer = Callable[[str], None]
UseSettings = Callable[[dict[str, Any]], None]


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


def _found(find: Callable[[], Path]) -> Path:
    """What the tests need; without it they are skipped, or fail where nothing may be missing."""
    try:
        return find()
    except VSCodeMissingError as error:
        unavailable(str(error))
        raise


# Not for the session: while it runs, no test on the same thread can have an event loop of its own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium, headless."""
    chromium = _found(find_or_install_chromium)
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=str(chromium), args=list(CHROMIUM_OPTIONS)
        )
        yield started
        started.close()


@pytest.fixture(scope="session")
def vsix() -> Path:
    """The extension, built."""
    return _found(build_extension)


@pytest.fixture(scope="session")
def code_server() -> Path:
    """The command of the VS Code server."""
    return _found(find_or_install_vscode)


@pytest.fixture(scope="module")
def vscode_window(
    browser: Browser, vsix: Path, code_server: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[VSCodeWindow]:
    """The window that most tests share, with a scripted engine."""
    folder = tmp_path_factory.mktemp("e")
    env = private_env(folder, script())
    workspace = folder / "project"
    workspace.mkdir()
    first = workspace / "first.py"
    first.write_text("")
    with CodeServer(code_server, folder / "code", env, vsix) as server:
        window = VSCodeWindow(browser, server, workspace, first)
        try:
            wait_until(lambda: "Ready" in window.status(), "the server", 60.0)
            yield window
        except AssertionError:
            describe(window, "start")
            raise
        finally:
            window.close()
    end_engines(Path(env["MIDFILL_RUNTIME_DIR"]))


@pytest.fixture
def document(vscode_window: VSCodeWindow, request: pytest.FixtureRequest) -> Iterator[Document]:
    """A new file in the shared window, with the cursor in it."""
    file = vscode_window.server.folder.parent / "project" / f"file{next(_NAMES)}.py"
    file.write_text("")
    vscode_window.open(file)
    n_failed = request.session.testsfailed
    yield Document(vscode_window, file)
    if request.session.testsfailed > n_failed:
        describe(vscode_window, request.node.name)
    vscode_window.press("Escape")


@pytest.fixture
def use_server(vscode_window: VSCodeWindow, tmp_path: Path) -> Iterator[UseServer]:
    """Sets ``midfill.server.path`` to a program of a few lines; the usual server comes back."""
    window = vscode_window
    machine = window.server.settings_file("Machine")
    usual = json.loads(machine.read_text())
    program = tmp_path / "midfill"

    def use(source: str) -> None:
        program.write_text(source)
        program.chmod(0o755)
        machine.write_text(json.dumps({**usual, "midfill.server.path": str(program)}))

    yield use
    n_before = window.server.n_connected()
    machine.write_text(json.dumps(usual))
    wait_until(
        lambda: window.server.n_connected() > n_before,
        lambda: f"the usual server; it is {window.status()}",
        60.0,
    )
    window.run("Notifications: Clear All Notifications")


@pytest.fixture
def use_settings(vscode_window: VSCodeWindow) -> Iterator[UseSettings]:
    """Changes settings while the window is open; they are as before after the test."""
    machine = vscode_window.server.settings_file("Machine")
    usual = json.loads(machine.read_text())

    def use(settings: dict[str, Any]) -> None:
        # The editor shows the title once it has read the file; what comes later finds the rest set.
        title = f"settings {next(_NAMES)}"
        machine.write_text(json.dumps({**usual, **settings, "window.title": title}))
        wait_until(lambda: vscode_window.page.title() == title, "the settings", 30.0)

    yield use
    use({})
