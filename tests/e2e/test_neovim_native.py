"""The same suggestions through Neovim's own client (0.12)."""

from __future__ import annotations

import pytest

from lsp_server.acceptance.report import summarise
from lsp_server.acceptance.store import read_events
from tests.e2e.conftest import EditPython
from tests.e2e.neovim import documented_setup
from tests.e2e.test_neovim_ghost import BODY, HEAD, NEW_LINE, body

pytestmark = [
    pytest.mark.editor,
    pytest.mark.parametrize("neovim", [(0, 12)], indirect=True, ids=["nvim-0.12"]),
]

NATIVE = "nvim.lsp.inline_completion"


def test_neovim_shows_and_accepts_them(edit: EditPython) -> None:
    """The option hands them over; an accept is counted, and what was shown is assumed."""
    assert "native = true" in documented_setup("With Neovim's own client")
    editor = edit(body(), text=HEAD, options="{ native = true }")
    editor.input(NEW_LINE)
    ghost = editor.wait_until(lambda: editor.settled_ghost(NATIVE), "ghost text", 60.0)
    assert ghost == BODY
    assert editor.ghost() is None
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.n_answered("workspace/executeCommand"), "the accept")
    assert editor.line == "    " + BODY
    total = summarise(read_events()).total
    assert (total.accepted, total.n_accepted_chars) == (1, len(BODY))
    assert total.shown >= total.shown_assumed >= 1
    assert total.dismissed == 0


def test_an_answer_is_told_before_it_is_shown(edit: EditPython) -> None:
    """Neovim says that a request is complete while it still shows the answer before.

    So whoever waits for a ghost text has to look a turn later.
    """
    editor = edit(
        body(text="grey = r"), {"after": "return ", "text": "grey"},
        text=HEAD, options="{ native = true }",
    )  # fmt: skip
    editor.lua(
        """
        _G.told = {}
        local ns = vim.api.nvim_create_namespace(...)
        vim.api.nvim_create_autocmd('LspRequest', { callback = function(event)
          local request = event.data.request
          if request.type ~= 'complete' or request.method ~= 'textDocument/inlineCompletion' then
            return
          end
          local function shown()
            local mark = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })[1]
            return mark and mark[4].virt_text[1][1] or ''
          end
          local at_once = shown()
          vim.schedule(function() table.insert(told, { at_once, shown() }) end)
        end })
        """,
        NATIVE,
    )
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.settled_ghost(NATIVE) == "grey = r", "the first")
    editor.input("x = 1<CR>return ")
    editor.wait_until(lambda: editor.settled_ghost(NATIVE) == "grey", "the second")
    assert editor.lua("return told[1]") == ["", "grey = r"]
    assert editor.lua("return told[#told][2]") == "grey"


def test_only_one_of_the_two_shows_them(edit: EditPython) -> None:
    """Where Neovim's client is on for other servers, it leaves midfill's to the plugin."""
    before = "vim.lsp.inline_completion.enable(true)"
    editor = edit(body(), text=HEAD, before=before)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    active = (
        "return vim.lsp.inline_completion.is_enabled({ client_id = vim.lsp.get_clients()[1].id })"
    )
    assert editor.lua(active) is False
    assert editor.ghost(NATIVE) is None
