"""midfill in a real VS Code, built and installed as a user does."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.conftest import end_engines, midfill_command, unavailable
from tests.e2e.vscode import (
    CHROMIUM_OPTIONS,
    CodeServer,
    VSCodeMissingError,
    VSCodeWindow,
    build_extension,
    find_or_install_chromium,
    find_or_install_vscode,
    private_env,
    wait_until,
)

pytestmark = pytest.mark.editor

_NAMES = itertools.count(1)
_LONG = ["total = 0", "\n    for n in a:", "\n        total += n", "\n    return total / b"]
_LINES = "first = a\n    second = b\n    return first"
N_SESSION = 120


def script() -> dict[str, Any]:
    """What the engine answers, by the line above the cursor."""
    replies: list[dict[str, Any]] = [
        {"after": "def f(a, b):\n    ", "text": "return a + b"},
        {"after": "def f(a, b):\n    r", "text": "eturn a + b"},
        {"after": "def g(a, b):\n    ", "pieces": _LONG, "interval_ms": 300},
        {"after": "def h(a, b):\n    ", "text": _LINES},
        {
            "after": "def k(a, b):\n    ",
            "text": "return a",
            "sampled": [{"text": "return b"}, {"text": "yield a"}],
        },
    ]
    replies += [
        {"after": f"def s{n}(a, b):\n    ", "text": f"return a * {n} + b"} for n in range(N_SESSION)
    ]
    return {"replies": replies}


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
def editor(
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


class Document:
    """A new file in the shared window, which the editor saves by itself.

    Args:
        window: shows it.
        path: of the file.
    """

    def __init__(self, window: VSCodeWindow, path: Path) -> None:
        self.window = window
        self.path = path

    def wait_for_text(self, text: str) -> None:
        """Wait until the editor has saved this text."""
        wait_until(
            lambda: self.path.read_text() == text,
            lambda: f"the text; it is {self.path.read_text()!r}",
        )

    def ask(self, head: str, ghost: str) -> None:
        """Type the head of a function and wait for its ghost text."""
        self.window.type(head, delay_ms=5)
        self.window.press("Enter")
        self.wait_for_ghost(ghost)

    def wait_for_ghost(self, text: str) -> None:
        """Wait until this ghost text stands on the screen; "" is none."""
        shown = text.replace("\n", "")
        wait_until(
            lambda: self.window.ghost() == shown, lambda: f"{text!r}; it is {self.window.ghost()!r}"
        )

    def stats(self) -> dict[str, Any]:
        """What ``midfill stats --json`` prints."""
        printed = subprocess.run(
            [midfill_command(), "stats", "--json"],
            capture_output=True,
            text=True,
            check=True,
            env=self.window.server.env,
        ).stdout
        figures: dict[str, Any] = json.loads(printed)
        return figures

    def counts(self) -> dict[str, int]:
        """How many suggestions the log says were shown, and what became of them."""
        figures = self.stats()
        return {name: figures[name] for name in _COUNTED}

    def wait_for_counts(self, before: dict[str, int], **more: int) -> None:
        """Wait until the log has so many more of each than before, and no other ones."""
        wanted = {name: n + more.get(name, 0) for name, n in before.items()}
        wait_until(
            lambda: self.counts() == wanted, lambda: f"{wanted} in the log; it is {self.counts()}"
        )


_COUNTED = ("shown", "accepted", "partially_accepted", "dismissed")


@pytest.fixture
def document(editor: VSCodeWindow, request: pytest.FixtureRequest) -> Iterator[Document]:
    """A new file in the shared window, with the cursor in it."""
    file = editor.server.folder.parent / "project" / f"file{next(_NAMES)}.py"
    file.write_text("")
    editor.open(file)
    n_failed = request.session.testsfailed
    yield Document(editor, file)
    if request.session.testsfailed > n_failed:
        describe(editor, request.node.name)
    editor.press("Escape")


def describe(window: VSCodeWindow, name: str) -> None:
    """Print what helps to see why a test failed."""
    print(window.status(), window.notifications(), repr(window.ghost()))
    print(window.server.logs())
    if shots := os.environ.get("MIDFILL_TEST_SCREENSHOTS"):
        window.page.screenshot(path=f"{shots}/{name}.png")


def test_ghost_text_is_accepted_and_counted(document: Document) -> None:
    """A function's head brings ghost text; Tab inserts it, and the log counts it."""
    before = document.counts()
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Tab")
    document.wait_for_text("def f(a, b):\n    return a + b")
    document.wait_for_counts(before, shown=1, accepted=1)
    # Of the very first one the server cannot know yet that it will be told what is shown.
    assert document.stats()["shown_assumed"] <= 1


def test_ghost_text_grows(document: Document) -> None:
    """Each partial result is shown, and none is shorter than the last."""
    before = document.counts()
    document.window.watch_ghost()
    text = "".join(_LONG)
    document.ask("def g(a, b):", text)
    seen = document.window.seen_ghosts()
    # Between two of them the editor may paint an empty frame when the machine is busy.
    grown = [ghost for ghost in seen if ghost]
    assert len(grown) >= 3, seen
    assert all(later.startswith(earlier) for earlier, later in itertools.pairwise(grown)), seen
    document.window.press("Tab")
    document.wait_for_text(f"def g(a, b):\n    {text}")
    document.wait_for_counts(before, shown=1, accepted=1)


def test_a_word_is_accepted_in_part(document: Document) -> None:
    """Ctrl+Right takes a word; the log counts the suggestion once, as partly accepted."""
    before = document.counts()
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Control+ArrowRight")
    document.wait_for_text("def f(a, b):\n    return")
    document.wait_for_counts(before, shown=1, partially_accepted=1)
    document.wait_for_ghost(" a + b")
    for taken, rest in ((" ", "a + b"), (" a", " + b")):
        document.window.press("Control+ArrowRight")
        document.wait_for_text(f"def f(a, b):\n    return{taken}")
        document.wait_for_ghost(rest)
    document.wait_for_counts(before, shown=1, partially_accepted=1)


def test_a_line_is_accepted_in_part(document: Document) -> None:
    """Ctrl+Shift+Right takes a line of several."""
    before = document.counts()
    document.ask("def h(a, b):", _LINES)
    document.window.press("Control+Shift+ArrowRight")
    document.wait_for_text("def h(a, b):\n    first = a\n")
    document.wait_for_counts(before, shown=1, partially_accepted=1)


def test_escape_is_logged_as_dismissed(document: Document) -> None:
    """Escape takes the ghost text away, leaves the text as it is, and is counted."""
    before = document.counts()
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Escape")
    document.wait_for_ghost("")
    document.wait_for_counts(before, shown=1, dismissed=1)
    document.wait_for_text("def f(a, b):\n    ")


def test_typing_on_keeps_the_rest_without_flicker(document: Document) -> None:
    """Whoever types what is suggested sees its rest all the time; it is one suggestion."""
    before = document.counts()
    document.ask("def f(a, b):", "return a + b")
    document.window.watch_ghost()
    document.window.type("return a", delay_ms=60)
    document.wait_for_ghost(" + b")
    seen = document.window.seen_ghosts()
    assert all(ghost and "return a + b".endswith(ghost) for ghost in seen), seen
    document.window.press("Tab")
    document.wait_for_text("def f(a, b):\n    return a + b")
    document.wait_for_counts(before, shown=1, accepted=1)


def test_alternatives_are_shown_one_after_another(document: Document) -> None:
    """Alt+] and Alt+[ go through the suggestions for the place; the one that is shown is taken."""
    before = document.counts()
    document.ask("def k(a, b):", "return a")
    for key, text in (
        ("Alt+BracketRight", "return b"),
        ("Alt+BracketRight", "yield a"),
        ("Alt+BracketRight", "return a"),
        ("Alt+BracketLeft", "yield a"),
    ):
        document.window.press(key)
        document.wait_for_ghost(text)
    document.window.press("Tab")
    document.wait_for_text("def k(a, b):\n    yield a")
    document.wait_for_counts(before, shown=1, accepted=1)


def test_a_language_is_switched_off_and_on(document: Document) -> None:
    """The status bar says that it is off; nothing is asked for until it is on again."""
    window, switch = document.window, "midfill: Switch On or Off for This Language"
    window.run(switch)
    wait_until(lambda: "Off for python" in window.status(), "the state in the status bar")
    requested = document.stats()["requested"]
    window.focus_end()
    window.type("def f(a, b):")
    window.press("Enter")
    document.wait_for_text("def f(a, b):\n    ")
    window.run(switch)
    wait_until(lambda: "Ready" in window.status(), "the state in the status bar")
    assert document.stats()["requested"] == requested
    window.focus_end()
    window.type("r", delay_ms=0)
    document.wait_for_ghost("eturn a + b")


def test_a_server_that_dies_is_started_again(document: Document) -> None:
    """Suggestions come again without a message and without the user's doing."""
    servers = document.window.server.processes("serve")
    assert len(servers) == 1
    servers[0].kill()
    wait_until(
        lambda: [each for each in document.window.server.processes("serve") if each not in servers],
        "another server",
    )
    wait_until(lambda: "Ready" in document.window.status(), "the state in the status bar")
    document.ask("def f(a, b):", "return a + b")
    assert document.window.notifications() == []


def test_without_a_suggestion_the_keys_are_the_editors(document: Document) -> None:
    """Where no ghost text stands, Tab, Escape and Ctrl+Right do what they always do."""
    before = document.counts()
    document.window.type("x y")
    document.window.press("Home")
    document.window.press("Escape")
    document.window.press("Control+ArrowRight")
    document.window.press("Tab")
    document.wait_for_text("x    y")
    document.wait_for_counts(before)


def test_the_status_bar_tells_model_latency_and_acceptance(document: Document) -> None:
    """After an accept the item shows the model, how fast it was and today's counts."""
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Tab")
    document.wait_for_text("def f(a, b):\n    return a + b")
    figures = document.stats()
    wanted = (
        "Ready",
        "Model: ",
        "Last suggestion after ",
        f"Today: {figures['accepted']} of {figures['shown']} accepted",
    )
    wait_until(
        lambda: all(text in document.window.status() for text in wanted),
        lambda: f"{wanted}; it is {document.window.status()!r}",
    )


def test_why_there_is_no_suggestion(document: Document) -> None:
    """The command says in a sentence, and by its code, why the last request brought nothing."""
    before = document.stats()["failed"].get("model_stopped", 0)
    document.window.type("def nothing(a, b):")
    document.window.press("Enter")
    wait_until(
        lambda: document.stats()["failed"].get("model_stopped", 0) > before, "an empty answer"
    )
    document.window.run("midfill: Why Is There No Suggestion?")
    wait_until(
        lambda: any("(model_stopped)" in text for text in document.window.notifications()),
        lambda: f"the reason; there are {document.window.notifications()}",
    )
    document.window.run("Notifications: Clear All Notifications")


def test_statistics_are_shown_in_a_tab(document: Document) -> None:
    """The server's page of figures is shown, in the editor's colours."""
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Tab")
    document.window.run("midfill: Show Statistics")
    wait_until(
        lambda: "Shown and accepted, day by day" in document.window.web_text(), "the statistics"
    )


def test_the_last_suggestion_is_explained(document: Document) -> None:
    """What the model wrote and was shown is told in a tab beside the document."""
    document.ask("def f(a, b):", "return a + b")
    document.window.press("Tab")
    document.wait_for_text("def f(a, b):\n    return a + b")
    document.window.press("Enter")
    document.window.run("midfill: Explain the Last Suggestion")
    wait_until(lambda: "What the model was shown" in document.window.web_text(), "the explanation")


def test_a_session_agrees_with_the_log(document: Document) -> None:
    """Of 120 suggestions that are taken whole, in part, turned down or ignored, the log has all."""
    window, before = document.window, document.counts()
    expected = ""
    for n in range(N_SESSION):
        head, text = f"def s{n}(a, b):", f"return a * {n} + b"
        document.ask(head, text)
        action = n % 4
        if action == 0:
            window.press("Tab")
            body = text
        elif action == 1:
            window.press("Control+ArrowRight")
            document.wait_for_ghost(f" a * {n} + b")
            body = "return"
        elif action == 2:
            window.press("Escape")
            document.wait_for_ghost("")
            body = ""
        else:
            # Shown while it is read, then another text is typed.
            body = "pass"
            shown = before["shown"] + n + 1
            wait_until(lambda: document.counts()["shown"] == shown, lambda: f"{shown} shown")  # noqa: B023
            window.type("pass")
        expected += f"{head}\n    {body}\n"
        document.wait_for_text(expected[:-1])
        for key in ("Enter", "Home", "Home", "Shift+End", "Delete"):
            window.press(key)
    quarter = N_SESSION // 4
    document.wait_for_counts(
        before, shown=N_SESSION, accepted=quarter, partially_accepted=quarter, dismissed=quarter
    )


@pytest.fixture
def bare_window(
    browser: Browser, vsix: Path, code_server: Path, tmp_path: Path
) -> Iterator[VSCodeWindow]:
    """A window of a profile that was never used, on a machine without a server."""
    empty = tmp_path / "bin"
    empty.mkdir()
    for program in ("sh", "bash", "env", "node", "uname", "dirname", "readlink", "cat"):
        if found := shutil.which(program):
            (empty / program).symlink_to(found)
    env = {**os.environ, "PATH": str(empty)}
    workspace = tmp_path / "project"
    workspace.mkdir()
    file = workspace / "first.py"
    file.write_text("")
    settings = {"workbench.welcomePage.walkthroughs.openOnInstall": True}
    with CodeServer(code_server, tmp_path / "code", env, vsix, settings) as server:
        window = VSCodeWindow(browser, server, workspace, file)
        yield window
        window.close()


def test_a_missing_server_is_told_of_once(bare_window: VSCodeWindow) -> None:
    """A new profile shows one message and the first steps; the next window shows neither."""
    window = bare_window
    text = "The midfill server is not installed."
    wait_until(lambda: text in window.status(), "the state in the status bar", 60.0)
    wait_until(lambda: len(window.notifications()) == 1, "the message")
    assert text in window.notifications()[0]
    wait_until(lambda: "Get started with midfill" in window.page.inner_text("body"), "the steps")
    window.page.reload()
    window.page.wait_for_selector(".monaco-editor .view-line, .gettingStarted", timeout=120_000)
    wait_until(lambda: text in window.status(), "the state in the status bar", 60.0)
    assert window.notifications() == []
    window.run("midfill: Restart the Server")
    wait_until(lambda: len(window.notifications()) == 1, "the message, which was asked for")


@pytest.fixture
def use_server(editor: VSCodeWindow, tmp_path: Path) -> Iterator[Callable[[str], None]]:
    """Sets ``midfill.server.path`` to a program of a few lines; the usual server comes back."""
    machine = editor.server.settings_file("Machine")
    usual = json.loads(machine.read_text())

    def use(source: str) -> None:
        program = tmp_path / "midfill"
        program.write_text(source)
        program.chmod(0o755)
        machine.write_text(json.dumps({**usual, "midfill.server.path": str(program)}))

    yield use
    machine.write_text(json.dumps(usual))
    editor.run("Notifications: Clear All Notifications")
    wait_until(
        lambda: "Ready" in editor.status(), lambda: f"the server; it is {editor.status()}", 60.0
    )


def test_a_server_that_ends_at_once_is_told_of_once(
    document: Document, use_server: Callable[[str], None]
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


def test_an_older_server_still_suggests(
    document: Document, use_server: Callable[[str], None]
) -> None:
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
    document: Document, use_server: Callable[[str], None], tmp_path: Path
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
