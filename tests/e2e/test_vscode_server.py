"""How a real VS Code finds, starts and installs the server, and what it says when that fails."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser

from tests.conftest import midfill_command
from tests.e2e.conftest import UseServer, use_script
from tests.e2e.vscode import CodeServer, wait_until
from tests.e2e.vscode_document import Document
from tests.e2e.vscode_window import VSCodeWindow

pytestmark = pytest.mark.editor


def test_a_server_that_dies_is_started_again(document: Document) -> None:
    """Suggestions come again without a message and without the user's doing."""
    servers = document.window.server.processes("serve")
    n_before = document.window.server.n_connected()
    assert len(servers) == 1
    servers[0].kill()
    wait_until(
        lambda: document.window.server.n_connected() > n_before, document.window.status, 30.0
    )
    document.ask("def f(a, b):", "return a + b")
    assert document.window.notifications() == []


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder with what a shell and VS Code need, as the whole PATH: no Python and no midfill."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for program in ("sh", "bash", "env", "node", "uname", "dirname", "readlink", "cat", "ln"):
        if found := shutil.which(program):
            (folder / program).symlink_to(found)
    return folder


OpenWindow = Callable[..., VSCodeWindow]


@pytest.fixture
def open_window(
    browser: Browser, vsix: Path, code_server: Path, programs: Path, tmp_path: Path
) -> Iterator[OpenWindow]:
    """Opens a window of a profile that was never used, where only ``programs`` are found."""
    workspace = tmp_path / "project"
    workspace.mkdir()
    file = workspace / "first.py"
    file.write_text("")
    env = {**os.environ, "PATH": str(programs)}
    with contextlib.ExitStack() as stack:

        def start(settings: dict[str, Any], *, trusts: bool = True) -> VSCodeWindow:
            server = CodeServer(code_server, tmp_path / "code", env, vsix, settings, trusts=trusts)
            stack.enter_context(server)
            window = VSCodeWindow(browser, server, workspace, file)
            stack.callback(window.close)
            return window

        yield start


_NOT_INSTALLED = "The midfill server is not installed."


def test_a_missing_server_is_told_of_once(open_window: OpenWindow) -> None:
    """A new profile shows one message and the first steps; the next window shows neither."""
    window = open_window({"workbench.welcomePage.walkthroughs.openOnInstall": True})
    wait_until(lambda: _NOT_INSTALLED in window.status(), "the state in the status bar", 60.0)
    wait_until(lambda: len(window.notifications()) == 1, "the message")
    assert _NOT_INSTALLED in window.notifications()[0]
    wait_until(lambda: "Get started with midfill" in window.page.inner_text("body"), "the steps")
    window.page.reload()
    window.page.wait_for_selector(".monaco-editor .view-line, .gettingStarted", timeout=120_000)
    wait_until(lambda: _NOT_INSTALLED in window.status(), "the state in the status bar", 60.0)
    assert window.notifications() == []
    window.run("midfill: Restart the Server")
    wait_until(lambda: len(window.notifications()) == 1, "the message, which was asked for")


_UV = """#!/bin/sh
echo "$@" >> {folder}/installs
[ -e {folder}/network ] || exit 3
ln -s {midfill} {folder}/midfill
"""


def test_a_missing_server_is_installed_after_consent(
    open_window: OpenWindow, programs: Path, tmp_path: Path
) -> None:
    """The command is shown, then run in a terminal; after a failure it can be run again."""
    use_script(tmp_path, {"after": "def f(a, b):\n    ", "text": "return a + b"})
    uv, installs = programs / "uv", programs / "installs"
    uv.write_text(_UV.format(folder=programs, midfill=midfill_command()))
    uv.chmod(0o755)
    line = "tool install --upgrade midfill[local]\n"
    window = open_window({})
    wait_until(lambda: len(window.notifications()) == 1, "the message", 60.0)
    window.answer("Install")
    dialog = ".monaco-dialog-box"
    window.page.wait_for_selector(dialog)
    assert "uv tool install --upgrade 'midfill[local]'" in window.page.inner_text(dialog)
    assert not installs.exists()
    window.answer("Run in Terminal")
    wait_until(lambda: installs.exists() and installs.read_text() == line, "the command", 30.0)
    wait_until(
        lambda: any("was not installed" in text for text in window.notifications()),
        lambda: f"the failure; there are {window.notifications()}",
    )
    assert _NOT_INSTALLED in window.status()

    (programs / "network").touch()
    window.answer("Try Again")
    wait_until(lambda: "Ready" in window.status(), window.status, 60.0)
    assert installs.read_text() == 2 * line
    window.focus_end()
    window.type("def f(a, b):\n    ")
    wait_until(lambda: window.ghost() == "return a + b", "ghost text", 30.0)


_OWN = """#!/bin/sh
echo "$@" >> {folder}/starts
exec {midfill} "$@"
"""


def test_nothing_of_an_untrusted_workspace_is_run(
    open_window: OpenWindow, programs: Path, tmp_path: Path
) -> None:
    """A server that lies in the workspace is not started, and that is told, until it is trusted."""
    use_script(tmp_path, {"after": "def f(a, b):\n    ", "text": "return a + b"})
    (programs / "midfill").symlink_to(midfill_command())
    project = tmp_path / "project"
    own, starts = project / ".venv" / "bin" / "midfill", project / "starts"
    own.parent.mkdir(parents=True)
    own.write_text(_OWN.format(folder=project, midfill=midfill_command()))
    own.chmod(0o755)
    (project / ".vscode").mkdir()
    settings = {"midfill.server.path": str(own), "midfill.context.environment": str(project)}
    (project / ".vscode" / "settings.json").write_text(json.dumps(settings))
    window = open_window(_UNTRUSTED, trusts=False)
    wait_until(lambda: "Ready" in window.status(), window.status, 60.0)
    wait_until(lambda: "Restricted: the workspace is not trusted" in window.status(), "the state")
    window.focus_end()
    window.type("def f(a, b):\n    ")
    wait_until(lambda: window.ghost() == "return a + b", "ghost text", 30.0)
    assert not starts.exists()
    assert window.notifications() == []

    window.run("Workspaces: Manage Workspace Trust")
    window.page.click(".workspace-trust-editor .monaco-button:has-text('Trust') >> nth=0")
    wait_until(starts.exists, "the workspace's own server", 60.0)
    wait_until(lambda: "Ready" in window.status(), window.status, 60.0)
    wait_until(lambda: "Restricted" not in window.status(), "the state")
    assert starts.read_text() == "serve\n"


_UNTRUSTED = {
    "security.workspace.trust.enabled": True,
    "security.workspace.trust.startupPrompt": "never",
    "security.workspace.trust.banner": "never",
}


def test_a_server_that_ends_at_once_is_told_of_once(
    document: Document, use_server: UseServer
) -> None:
    """The message says what the server said last; there is no second start by itself."""
    starts = document.path.with_suffix(".starts")
    use_server(f"#!/bin/sh\necho start >> {starts}\necho 'it is broken' >&2\nexit 1\n")
    window = document.window
    wait_until(
        lambda: "it is broken" in window.status(), lambda: f"the state; it is {window.status()}"
    )
    wait_until(lambda: len(window.notifications()) == 1, "the message")
    assert "it is broken" in window.notifications()[0]
    window.run("Notifications: Clear All Notifications")
    window.run("midfill: Restart the Server")
    wait_until(lambda: starts.read_text().count("start") == 2, "the second start")
    wait_until(
        lambda: "it is broken" in window.status(), lambda: f"the state; it is {window.status()}"
    )
    wait_until(lambda: len(window.notifications()) == 1, "the message, which was asked for")
    assert starts.read_text().count("start") == 2


_DYING = Path(__file__).parent / "files" / "dying_server.py"


def test_a_server_that_dies_again_and_again_is_left_alone(
    document: Document, use_server: UseServer, tmp_path: Path
) -> None:
    """After three restarts there is one message, which says what the server said last."""
    use_server(f"#!{sys.executable}\n{_DYING.read_text()}")
    window, starts = document.window, tmp_path / "midfill.starts"
    wait_until(lambda: "it fell over" in window.status(), window.status, 60.0)
    wait_until(lambda: len(window.notifications()) == 1, "the message")
    assert "it fell over" in window.notifications()[0]
    assert starts.read_text().count("start") == 4


_OLD_SERVER = f"""#!{sys.executable}
import sys
from lsp_server import cli, handlers

def initialize(session, params, original=handlers.HANDLERS["initialize"]):
    result = original(session, params)
    result.capabilities.experimental = None
    return result

handlers.HANDLERS["initialize"] = initialize
sys.exit(cli.main())
"""


def test_an_older_server_still_suggests(document: Document, use_server: UseServer) -> None:
    """One message says that the server is old and offers an update; ghost text still comes."""
    use_server(_OLD_SERVER)
    window = document.window
    wait_until(
        lambda: any("is older than this extension" in text for text in window.notifications()),
        lambda: f"the message; there are {window.notifications()}",
    )
    assert len(window.notifications()) == 1
    window.focus_end()
    document.ask("def f(a, b):", "return a + b")
    window.press("Tab")
    document.wait_for_text("def f(a, b):\n    return a + b")
    window.run("Notifications: Clear All Notifications")
    n_before = window.server.n_connected()
    window.run("midfill: Restart the Server")
    wait_until(lambda: window.server.n_connected() > n_before, window.status, 30.0)
    window.run("midfill: Show Statistics")
    wait_until(
        lambda: any("needs a newer server" in text for text in window.notifications()),
        lambda: f"what is needed; there are {window.notifications()}",
    )
    assert len(window.notifications()) == 1


_FETCHING = f"""#!{sys.executable}
import json, os, pathlib, sys, time
there = pathlib.Path(__file__).with_suffix(".there")
if sys.argv[1:3] == ["model", "fetch"]:
    assert sys.argv[-1] == "--json"
    event = {{"event": "progress", "model": "m", "n_bytes": 1 << 28, "n_total": 1 << 29}}
    print(json.dumps(event), flush=True)
    while not there.exists():
        time.sleep(0.02)
    print(json.dumps({{"event": "done", "model": "m", "path": "m.gguf"}}), flush=True)
    sys.exit(0)
if not there.exists():
    os.environ["MIDFILL_CONFIG_DIR"] = os.environ["MIDFILL_CACHE_DIR"] = str(there.parent)
from lsp_server import cli
sys.exit(cli.main())
"""


def test_a_model_is_fetched_after_consent(
    document: Document, use_server: UseServer, tmp_path: Path
) -> None:
    """Without a model the user is asked once; a progress shows the download; then it is used."""
    use_server(_FETCHING)
    window = document.window
    wait_until(
        lambda: any("no model is fetched yet" in text for text in window.notifications()),
        lambda: f"the question; there are {window.notifications()}, {window.status()}",
    )
    assert len(window.notifications()) == 1
    window.page.click(".notifications-toasts >> text=Fetch the Default")
    wait_until(
        lambda: any("256 MiB of 512 MiB" in text for text in window.notifications()),
        lambda: f"the progress; there are {window.notifications()}",
    )
    (tmp_path / "midfill.there").touch()
    wait_until(
        lambda: any("the model is there" in text for text in window.notifications()),
        lambda: f"the end; there are {window.notifications()}",
    )
    wait_until(lambda: "Ready" in window.status(), lambda: f"the server; it is {window.status()}")
    window.focus_end()
    document.ask("def f(a, b):", "return a + b")
