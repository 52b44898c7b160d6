"""The command :Midfill in a real Neovim, its statusline, health check and messages."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import pytest

from lsp_server.models.catalog import ENTRIES
from tests.e2e.conftest import EditPython, python_file
from tests.e2e.neovim import NeovimSession
from tests.e2e.test_neovim_ghost import BODY, HEAD, NEW_LINE, body

pytestmark = pytest.mark.editor

OLD_SERVER = Path(__file__).with_name("files") / "old_server.py"


def printed_by(editor: NeovimSession, command: str, wanted: str) -> str:
    """What a command prints, once the wanted text is among it."""
    editor.command("messages clear")
    editor.command(command)
    editor.wait_until(lambda: wanted in editor.printed, f"{wanted!r} printed by {command}")
    return editor.printed


def wait_for_message(editor: NeovimSession, wanted: str) -> None:
    """Wait until a message has some text."""
    editor.wait_until(lambda: any(wanted in text for text in editor.messages), f"{wanted!r}")


def sign(editor: NeovimSession) -> str:
    """The statusline's component."""
    text: str = editor.lua("return require('midfill').statusline()")
    return text


def test_status_and_why(edit: EditPython) -> None:
    """They tell of the server, the model, today's figures, and the reason for an empty answer."""
    editor = edit(body(), text=HEAD)
    printed_by(editor, "Midfill why", "sked")
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.n_answered("workspace/executeCommand"), "the accept")
    editor.wait_until(lambda: editor.is_answered_here, "the next answer")
    printed = printed_by(editor, "Midfill status", "Today")
    assert "midfill " in printed
    assert "Today: 1 shown, 1 accepted (100 %)" in printed
    assert "Model: " in printed
    printed = printed_by(editor, "Midfill why", "nothing to add")
    editor.input("<Esc>")
    assert "Midfill why" in printed_by(editor, "Midfill status", "Last empty answer")


def test_suggestions_are_switched_off_and_on(edit: EditPython) -> None:
    """Everywhere, in a buffer, for a filetype, or for some minutes; the statusline shows it."""
    editor = edit(body(), text=HEAD)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    editor.wait_until(lambda: sign(editor) == "midfill ●", "the sign")
    for off, on, reason in (
        ("toggle", "toggle", "switched off."),
        ("disable filetype", "enable filetype", "for this filetype"),
        ("disable buffer", "enable buffer", "in this buffer"),
        ("snooze 5", "enable", "snooze for 5 more min"),
    ):
        editor.command(f"Midfill {off}")
        assert editor.ghost() is None
        assert sign(editor).startswith("midfill ○")
        printed_by(editor, "Midfill why", reason)
        n_asked = len(editor.sent("textDocument/inlineCompletion"))
        editor.input(" <BS>")
        editor.command(f"Midfill {on}")
        editor.wait_until(lambda: editor.ghost() == BODY, f"the ghost text after {on}")
        assert len(editor.sent("textDocument/inlineCompletion")) == n_asked + 1
    assert editor.sent("midfill/didDismissCompletion") == []


def test_filetypes_can_be_left_out(edit: EditPython) -> None:
    """Where a filetype is off, nothing is asked until it is asked for by hand."""
    editor = edit(body(), text=HEAD, options="{ filetypes = { python = false } }")
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.line == "    ", "the new line")
    assert editor.sent("textDocument/inlineCompletion") == []
    editor.input(r"<M-\>")
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")


def test_a_function_may_decide_for_a_filetype(edit: EditPython, tmp_path: Path) -> None:
    """It is asked for each buffer; the others of the filetype are not concerned."""
    options = """{ filetypes = { python = function(buf)
        return vim.fs.basename(vim.api.nvim_buf_get_name(buf)) ~= 'colours.py'
      end } }"""
    editor = edit(body(), text=HEAD, options=options)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.line == "    ", "the new line")
    assert editor.sent("textDocument/inlineCompletion") == []
    printed_by(editor, "Midfill why", "for this filetype")
    editor.input("<Esc>")
    path = python_file(tmp_path, HEAD).with_name("shades.py")
    path.write_text(HEAD)
    editor.open(path)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")


def test_what_needs_insert_mode_says_so(edit: EditPython) -> None:
    """From the command line there is nothing to accept, to go through, or to ask for."""
    editor = edit(body(), text=HEAD)
    for command in ("accept", "accept word", "next", "prev", "dismiss", "trigger"):
        editor.lua("observed.messages = {}")
        editor.command(f"Midfill {command}")
        wait_for_message(editor, "insert mode")
    editor.command("inoremap <F5> <Cmd>Midfill trigger<CR>")
    editor.command("inoremap <F6> <Cmd>Midfill accept word<CR>")
    editor.command("Midfill disable")
    editor.input(NEW_LINE + "<F5>")
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    editor.input("<F6>")
    editor.wait_until(lambda: editor.line == "    return", "the word")


def test_pause_and_resume(edit: EditPython) -> None:
    """A pause holds for the engine; the statusline shows it until it is over."""
    editor = edit(body(), text=HEAD)
    editor.command("Midfill pause")
    editor.wait_until(lambda: sign(editor) == "midfill ○", "the sign")
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.n_answered("textDocument/inlineCompletion"), "an answer")
    assert editor.ghost() is None
    printed_by(editor, "Midfill why", "paused")
    editor.command("Midfill resume")
    editor.wait_until(lambda: sign(editor) != "midfill ○", "the sign")
    editor.input(" <BS>")
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")


def test_settings_of_the_running_server_are_changed(edit: EditPython) -> None:
    """What is given holds from the next request on, and when the server is started again."""
    editor = edit(body(), text=HEAD)
    editor.lua(
        "require('midfill').configure({ completion = { disabled_languages = { 'python' } } })"
    )
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.n_answered("textDocument/inlineCompletion"), "an answer")
    assert editor.ghost() is None
    printed_by(editor, "Midfill why", "switched off for this language")
    editor.lua("require('midfill').configure({ completion = { disabled_languages = {} } })")
    editor.input(" <BS>")
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")


def test_explain_shows_the_snippets_and_marks_their_files(edit: EditPython) -> None:
    """A buffer has the answer and where it came from; p pins the file of a line, u frees it."""
    editor = edit(body(), text=HEAD)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    editor.input("<Esc>")
    editor.command("Midfill explain")
    editor.wait_until(lambda: editor.lua("return vim.bo.filetype") == "midfill", "the page")
    page = "\n".join(editor.lines)
    assert BODY in page
    assert "## colours.py · before_cursor · score 1.00" in page
    head = next(i for i, line in enumerate(editor.lines, 1) if line.startswith("## colours.py"))
    for key, mark in (("p", "[pinned]"), ("u", ""), ("b", "[banned]"), ("u", "")):
        marked = partial(has_line, editor, head, ("## colours.py", mark or "score 1.00"))
        editor.input(f"{head}G{key}")
        editor.wait_until(marked, f"the page after {key}")


def has_line(editor: NeovimSession, number: int, ends: tuple[str, str]) -> bool:
    """Whether a line begins and ends so."""
    line = editor.lines[number - 1]
    return line.startswith(ends[0]) and line.endswith(ends[1])


def test_stats_prints_the_summary_and_opens_the_report(edit: EditPython) -> None:
    """The page is written to a file, which is handed to the browser."""
    editor = edit(body(), text=HEAD)
    editor.lua("_G.opened = {}; vim.ui.open = function(path) table.insert(opened, path) end")
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    editor.input("<Tab><Esc>")
    editor.wait_until(lambda: editor.n_answered("workspace/executeCommand"), "the accept")
    printed_by(editor, "Midfill stats", "1 shown, 1 accepted (100 %), 0 in part, 0 dismissed")
    opened = editor.wait_until(lambda: editor.lua("return opened"), "the report")
    html = Path(opened[0]).read_text(encoding="utf-8")
    assert html.lstrip().lower().startswith("<!doctype html")


_MODELS = [
    {"id": "m", "size_bytes": 491400064, "licence": "Apache-2.0", "default_here": True,
     "fetched": True},
    {"id": "large", "size_bytes": 3285476160, "licence": "Research", "default_here": False,
     "fetched": False},
]  # fmt: skip
# Lists two models; prints what `midfill model fetch --json` prints, then waits for its end.
_FAKE_MIDFILL = """#!/bin/sh
if [ "$2" = list ]; then echo '{models}'; exit; fi
echo "$@" >> '{log}'
printf '{{"event":"progress","model":"m","n_bytes":100,"n_total":1000}}\\n'
printf '{{"event":"progress","model":"m","n_bytes":500,"n_total":1000}}\\n{{"ev'
until [ -e '{go}' ]; do sleep 0.02; done
printf 'ent":"done","model":"m","path":"/models/m.gguf"}}\\n'
"""
# Keeps what is asked, and chooses by number; nothing where there is none.
_CHOOSE = """
_G.asked = nil
vim.ui.select = function(items, options, call)
  asked = { options.prompt, vim.tbl_map(options.format_item or tostring, items) }
  call(items[choice])
end
"""


def fake_midfill(folder: Path, models: object = _MODELS) -> tuple[Path, Path, Path]:
    """A program that stands in for `midfill`, its log, and what lets it end."""
    program, log, go = folder / "fake-midfill", folder / "log", folder / "go"
    program.write_text(_FAKE_MIDFILL.format(models=json.dumps(models), log=log, go=go))
    program.chmod(0o755)
    return program, log, go


def asked(editor: NeovimSession, command: str) -> list[object]:
    """What a command asks the user."""
    editor.lua("asked = nil")
    editor.command(command)
    question: list[object] = editor.wait_until(lambda: editor.lua("return asked"), "the question")
    return question


def use_program(editor: NeovimSession, program: Path) -> None:
    """Let another program stand in for `midfill`."""
    code = "local path = ...; require('midfill.client').program = function() return path end"
    editor.lua(code, str(program))


def test_a_model_is_fetched_once_that_is_confirmed(edit: EditPython, tmp_path: Path) -> None:
    """How far it is stands in the statusline; the end is told; declining runs nothing."""
    program, log, go = fake_midfill(tmp_path)
    editor = edit(text=HEAD)
    use_program(editor, program)
    editor.lua("_G.choice = 2" + _CHOOSE)
    assert asked(editor, "Midfill fetch large")[1] == ["Fetch", "Cancel"]
    assert not log.exists()
    editor.lua("choice = 1")
    question = asked(editor, "Midfill fetch large")
    assert question[0] == "Fetch large (3.3 GB, Research)?"
    editor.wait_until(lambda: sign(editor) == "midfill ◌ 50%%", "how far it is")
    assert log.read_text() == "model fetch large --json\n"
    go.touch()
    editor.wait_until(lambda: "midfill: the model m is there" in editor.messages, "the end")
    assert "%" not in sign(editor)


def test_models_are_offered_with_what_they_take(edit: EditPython, tmp_path: Path) -> None:
    """Without a name; one that is not in the catalog is refused with those that are."""
    program, log, go = fake_midfill(tmp_path)
    editor = edit(text=HEAD)
    use_program(editor, program)
    editor.lua("_G.choice = nil" + _CHOOSE)
    assert asked(editor, "Midfill fetch") == [
        "Fetch which model?",
        ["m (491 MB, the default on this machine, is there)", "large (3.3 GB, Research)"],
    ]
    editor.command("Midfill fetch small")
    wait_for_message(editor, "there is no model small; there are m, large")
    assert not log.exists()
    go.touch()
    editor.lua("choice = 2")
    asked(editor, "Midfill fetch")
    editor.wait_until(lambda: log.exists() and log.read_text(), "the program")
    assert log.read_text() == "model fetch large --json\n"


def test_a_program_that_lists_no_models_fetches_the_default(
    edit: EditPython, tmp_path: Path
) -> None:
    """As an older one; it is asked for all the same."""
    program, log, go = fake_midfill(tmp_path, "no list")
    go.touch()
    editor = edit(text=HEAD)
    use_program(editor, program)
    editor.lua("_G.choice = 1" + _CHOOSE)
    assert asked(editor, "Midfill fetch")[0] == "Fetch the default model?"
    editor.wait_until(lambda: log.exists() and log.read_text(), "the program")
    assert log.read_text() == "model fetch --json\n"


def test_fetching_is_stopped(edit: EditPython, tmp_path: Path) -> None:
    """With ! the program is ended, and that is no failure."""
    program, _, _ = fake_midfill(tmp_path)
    editor = edit(text=HEAD)
    use_program(editor, program)
    editor.lua("_G.choice = 1" + _CHOOSE)
    asked(editor, "Midfill fetch")
    editor.wait_until(lambda: sign(editor) == "midfill ◌ 50%%", "how far it is")
    editor.command("Midfill fetch!")
    wait_for_message(editor, "stopped")
    assert not any("failed" in text for text in editor.messages)


def test_the_command_line_completes(edit: EditPython) -> None:
    """Subcommands and their arguments; an unknown one is refused with a hint."""
    editor = edit(text=HEAD)

    def completed(line: str) -> list[str]:
        found: list[str] = editor.lua("return vim.fn.getcompletion(..., 'cmdline')", line)
        return found

    assert completed("Midfill st") == ["stats", "status"]
    assert completed("Midfill toggle b") == ["buffer"]
    assert sorted(completed("Midfill fetch ")) == sorted(model.id for model in ENTRIES)
    assert completed("Midfill ") == sorted(completed("Midfill "))
    editor.command("Midfill nonsense")
    wait_for_message(editor, "no :Midfill nonsense")
    editor.command("Midfill toggle nonsense")
    wait_for_message(editor, "global, buffer, filetype")


def test_restart_starts_another_server(edit: EditPython) -> None:
    """Suggestions come again from a server with another process."""
    editor = edit(body(), text=HEAD)
    number = editor.lua("return vim.lsp.get_clients()[1].id")
    editor.command("Midfill restart")
    editor.wait_until(
        lambda: editor.lua(
            "local c = vim.lsp.get_clients()[1]; return c and c.initialized and c.id > ...", number
        ),
        "the next server",
    )
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    assert editor.messages == []


def test_a_server_that_dies_is_started_again(edit: EditPython) -> None:
    """Nobody has to do anything, and the only message is Neovim's own."""
    editor = edit(body(), text=HEAD)
    number = editor.lua("return vim.lsp.get_clients()[1].id")
    editor.kill_servers()
    editor.wait_until(
        lambda: editor.lua(
            "local c = vim.lsp.get_clients()[1]; return c and c.initialized and c.id > ...", number
        ),
        "the next server",
    )
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    assert [text for text in editor.messages if text.startswith("midfill:")] == []


def open_more(editor: NeovimSession, folder: Path) -> None:
    """Open some more Python files, and type in each."""
    for number in range(3):
        path = python_file(folder).with_name(f"more{number}.py")
        path.write_text("\n")
        editor.open(path)
        editor.input("ix = 1<Esc>")
        editor.wait_until(lambda: editor.line == "x = 1", "the typed text")


def test_a_missing_command_is_told_once(edit: EditPython, tmp_path: Path) -> None:
    """One message for all files and keys says how to install it; the health check says so too."""
    options = "{ cmd = { 'midfill-that-is-not-there', 'serve' } }"
    editor = edit(text=HEAD, options=options, wait=False)
    open_more(editor, tmp_path)
    told = editor.wait_until(lambda: editor.messages, "the message")
    assert len(told) == 1
    assert 'the command "midfill-that-is-not-there" was not found' in told[0]
    assert "uv tool install" in told[0]
    printed_by(editor, "Midfill why", "was not found")
    editor.command("checkhealth midfill")
    assert any("ERROR" in line and "was not found" in line for line in editor.lines)


def test_a_server_that_does_not_start_is_told_once(edit: EditPython, tmp_path: Path) -> None:
    """It is not tried again for every file, and the message says what to do."""
    command = f"{{ cmd = {{ '{sys.executable}', '-c', 'raise SystemExit(3)' }} }}"
    editor = edit(text=HEAD, options=command, wait=False)
    editor.wait_until(
        lambda: any("did not start (exit code 3)" in text for text in editor.messages),
        "the message",
    )
    open_more(editor, tmp_path)
    ours = [text for text in editor.messages if text.startswith("midfill:")]
    assert len(ours) == 1
    assert ":Midfill doctor" in ours[0]


def test_an_old_server_gives_plain_suggestions(edit: EditPython, tmp_path: Path) -> None:
    """One message asks for an update; nothing is sent that such a server does not know."""
    log = tmp_path / "methods"
    options = f"{{ cmd = {{ '{sys.executable}', '{OLD_SERVER}', '{log}' }} }}"
    editor = edit(text=HEAD, options=options)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == "return r + g", "the ghost text")
    editor.input("<M-Right>")
    editor.wait_until(lambda: editor.line == "    return", "the word")
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.line == "    return r + g", "the accepted text")
    editor.wait_until(lambda: editor.n_answered("workspace/executeCommand"), "the accept")
    editor.input("<Esc>")
    printed_by(editor, "Midfill status", "too old")
    told = [text for text in editor.messages if text.startswith("midfill:")]
    assert len(told) == 1
    assert "too old" in told[0]
    assert "upgrade" in told[0]
    methods = set(log.read_text().split())
    assert not [name for name in methods if "midfill" in name]
    reports = {"textDocument/didShowCompletion", "textDocument/didPartiallyAcceptCompletion"}
    assert not methods & reports
    assert "textDocument/didFocus" not in methods


@pytest.mark.parametrize("neovim", [(0, 12)], indirect=True, ids=["nvim-0.12"])
def test_without_a_model_one_message_says_how_to_get_one(edit: EditPython, tmp_path: Path) -> None:
    """It is told once for all files and keys, with the command of the editor."""
    editor = edit(text=HEAD, before="vim.env.MIDFILL_CONFIG_DIR = vim.fn.tempname()", wait=False)
    editor.wait_for_client()
    open_more(editor, tmp_path)
    told = editor.wait_until(lambda: editor.messages, "the message")
    assert len(told) == 1
    assert "midfill model fetch" in told[0]
    assert ":Midfill fetch" in told[0]
    assert sign(editor) in ("midfill ✗", "midfill ▲")


def test_options_that_are_wrong_are_told(edit: EditPython) -> None:
    """They are named with what was expected, and all others hold."""
    options = "{ menu = 'sometimes', colour = 'red', keys = { accept = 1 } }"
    editor = edit(body(), text=HEAD, options=options)
    told = editor.wait_until(lambda: editor.messages, "the message")
    assert "menu: expected 'hide' or 'show'" in told[0]
    assert "colour: there is no such option" in told[0]
    assert "keys.accept: expected a key or false" in told[0]
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")


def test_the_health_check(edit: EditPython) -> None:
    """It names Neovim, the command, the server's protocol and model, and who has the keys."""
    editor = edit(body(), text=HEAD)
    editor.lua("vim.keymap.set('i', '<Tab>', 'x', { buffer = 0, desc = 'of another plugin' })")
    editor.command("checkhealth midfill")
    page = "\n".join(editor.lines)
    for wanted in ("Neovim 0.1", "speaks protocol 1", "Model: ", "of another plugin", "doctor"):
        assert wanted in page, page
    # The script does not know what belongs into the hole that the doctor fills.
    assert all("known hole" in line for line in editor.lines if "ERROR" in line), page


def test_the_help_has_a_tag_for_each_part(edit: EditPython) -> None:
    """:help finds the options, the commands and the functions."""
    editor = edit(text=HEAD)
    editor.command("helptags ALL")
    for tag in ("midfill", ":Midfill", "midfill-options", "midfill-keys", "midfill.accept()"):
        editor.command(f"help {tag}")
        assert editor.lua("return vim.fn.expand('%:t')") == "midfill.txt"
        editor.command("helpclose")


def test_nothing_is_loaded_before_it_is_needed(edit: EditPython) -> None:
    """The plugin file alone defines the command, and loads no module."""
    editor = edit(text=HEAD, wait=False)
    loaded = editor.lua(
        """
        for name in pairs(package.loaded) do
          if vim.startswith(name, 'midfill') then package.loaded[name] = nil end
        end
        vim.g.loaded_midfill = nil
        vim.cmd.runtime('plugin/midfill.lua')
        local found = {}
        for name in pairs(package.loaded) do
          if vim.startswith(name, 'midfill') then table.insert(found, name) end
        end
        return { found, vim.fn.exists(':Midfill') }
        """
    )
    assert loaded == [[], 2]
