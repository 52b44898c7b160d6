"""midfill in a real Neovim, set up as editors/neovim/README.md says."""

from __future__ import annotations

import colorsys
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import midfill_command
from tests.e2e.conftest import StartNeovim, use_script
from tests.e2e.neovim import NeovimSession, documented_setup

pytestmark = pytest.mark.editor

# Loading the model and evaluating a first prompt on a busy CPU.
FIRST_GHOST_TIMEOUT_S = 180.0
# What a model writes does not depend on the editor's version.
NEWEST = pytest.mark.parametrize("neovim", [(0, 12)], indirect=True, ids=["nvim-0.12"])


@pytest.fixture
def real_file(tmp_path: Path) -> Path:
    """A Python file as people write them, in a project of its own."""
    project = tmp_path / "project"
    project.mkdir()
    (project / "pyproject.toml").write_text("[project]\nname = 'colours'\n")
    return Path(shutil.copy(colorsys.__file__, project / "colours.py"))


def editing(start: StartNeovim, path: Path) -> NeovimSession:
    """Neovim with the documented setup, the file open and the server attached."""
    session = start()
    session.lua(documented_setup())
    session.open(path)
    session.wait_for_client()
    return session


def whole_ghost(editor: NeovimSession) -> Callable[[], str | None]:
    """Gives the ghost text once it does not grow any more."""
    return lambda: editor.ghost() if editor.is_settled else None


def stats() -> dict[str, Any]:
    """What ``midfill stats --json`` prints."""
    printed = subprocess.run(
        [midfill_command(), "stats", "--json"], capture_output=True, text=True, check=True
    ).stdout
    figures: dict[str, Any] = json.loads(printed)
    return figures


@pytest.mark.model
@NEWEST
def test_ghost_text_is_accepted_and_counted(
    start_neovim: StartNeovim,
    real_file: Path,
    default_model_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A function's head brings ghost text; <Tab> inserts it and `midfill stats` counts it."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(default_model_cache))
    editor = editing(start_neovim, real_file)
    editor.input("Go<CR><C-u>def rgb_to_grey(r, g, b):<CR>")
    ghost = editor.wait_until(whole_ghost(editor), "ghost text", FIRST_GHOST_TIMEOUT_S)
    before = editor.lines
    assert ghost.strip()
    assert before[-2] == "def rgb_to_grey(r, g, b):"

    editor.input("<Tab>")
    editor.wait_until(
        lambda: editor.n_answered("workspace/executeCommand"), "the answer to the accept command"
    )
    assert "\n".join(editor.lines) == "\n".join(before) + ghost

    figures = stats()
    assert figures["shown"] >= 1
    assert figures["accepted"] == 1
    assert figures["n_accepted_chars"] >= len(ghost)
    assert [group["language"] for group in figures["groups"] if group["accepted"]] == ["python"]


@pytest.mark.model
@NEWEST
def test_typing_on_brings_the_next_suggestion(
    start_neovim: StartNeovim,
    real_file: Path,
    default_model_cache: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A suggestion that is typed over is replaced by one for the new place; leaving clears it."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(default_model_cache))
    editor = editing(start_neovim, real_file)
    editor.input("Go<CR><C-u>def rgb_to_grey(r, g, b):<CR>")
    editor.wait_until(whole_ghost(editor), "ghost text", FIRST_GHOST_TIMEOUT_S)
    editor.input("grey = (r + g + b) / 3<CR>return ")
    editor.wait_until(lambda: editor.lines[-1].endswith("return "), "the typed text")
    ghost = editor.wait_until(whole_ghost(editor), "the next ghost text", FIRST_GHOST_TIMEOUT_S)
    assert ghost.startswith("grey")
    editor.input("<Esc>")
    editor.wait_until(lambda: editor.ghost() is None, "the ghost text to go")
    assert editor.lines[-1].rstrip().endswith("return")


def n_served() -> int:
    """How many requests the engine has answered."""
    printed = subprocess.run(
        [midfill_command(), "engine", "status", "--json"], capture_output=True, text=True
    ).stdout
    engines = json.loads(printed or "[]")
    return sum(engine["n_served"] for engine in engines)


def test_the_prompt_at_the_cursor_is_evaluated_while_nobody_types(
    start_neovim: StartNeovim, real_file: Path, tmp_path: Path
) -> None:
    """Moving the cursor is enough; nothing is shown."""
    use_script(tmp_path)
    editor = editing(start_neovim, real_file)
    editor.input("40G")
    editor.wait_until(n_served, "a prompt evaluated ahead", 60.0)
    assert editor.ghost() is None
    assert editor.n_answered("textDocument/inlineCompletion") == 0


def test_scripted_suggestion_is_accepted_and_counted(
    start_neovim: StartNeovim, real_file: Path, tmp_path: Path
) -> None:
    """With a scripted engine the same way through editor, server and log needs no model."""
    text = "return 0.3 * r + 0.6 * g + 0.1 * b"
    use_script(tmp_path, {"after": "(r, g, b):\n    ", "text": text})
    editor = editing(start_neovim, real_file)
    editor.input("Go<CR><C-u>def rgb_to_grey(r, g, b):<CR>")
    assert editor.wait_until(whole_ghost(editor), "ghost text", 60.0) == text
    editor.input("<Tab>")
    editor.wait_until(
        lambda: editor.n_answered("workspace/executeCommand"), "the answer to the accept command"
    )
    assert editor.lines[-2:] == ["def rgb_to_grey(r, g, b):", f"    {text}"]
    figures = stats()
    assert (figures["accepted"], figures["n_accepted_chars"]) == (1, len(text))
    assert (figures["shown"], figures["dismissed"]) == (1, 0)


def test_without_a_model_the_editor_stays_usable(
    start_neovim: StartNeovim, real_file: Path
) -> None:
    """Before a model is fetched, requests are answered with nothing, and <Tab> is a tab."""
    editor = editing(start_neovim, real_file)
    editor.input("Go<CR><C-u>def rgb_to_grey(r, g, b):<CR>")
    editor.wait_until(
        lambda: editor.n_answered("textDocument/inlineCompletion"), "an answer without a model"
    )
    assert editor.ghost() is None
    before = editor.lines
    editor.input("<Tab>x")
    editor.wait_until(lambda: editor.lines[-1].endswith("x"), "the typed tab")
    after = editor.lines
    assert after[:-1] == before[:-1]
    assert len(after[-1].expandtabs()) > len(before[-1].expandtabs()) + 1
    assert "Error" not in editor.printed
