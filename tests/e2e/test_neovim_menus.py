"""Beside the real nvim-cmp and blink.cmp, where there are checkouts of them.

No package index has the two: MIDFILL_TEST_NVIM_PLUGINS names a folder with ``nvim-cmp`` and
``blink.cmp`` in it. Without it these tests are skipped; what midfill asks the plugins is tested
with doubles in any case, see ``test_neovim_ghost.py``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.e2e.conftest import EditPython
from tests.e2e.neovim import NeovimSession
from tests.e2e.test_neovim_ghost import BODY, HEAD, NEW_LINE, body

PLUGINS = os.environ.get("MIDFILL_TEST_NVIM_PLUGINS", "")

pytestmark = [
    pytest.mark.editor,
    pytest.mark.skipif(not PLUGINS, reason="MIDFILL_TEST_NVIM_PLUGINS is not set"),
]

# Both offer two words once three characters are typed, with the keys that most people give them.
_CMP = """
vim.opt.runtimepath:prepend(...)
vim.cmd.runtime('plugin/cmp.lua')
local cmp = require('cmp')
cmp.register_source('words', {
  complete = function(_, _, call) call({ { label = 'retain' }, { label = 'retry' } }) end,
})
local function or_next(fallback)
  if cmp.visible() then cmp.select_next_item() else fallback() end
end
cmp.setup({
  sources = { { name = 'words', keyword_length = 3 } },
  mapping = {
    ['<Tab>'] = cmp.mapping(or_next, { 'i', 's' }),
    ['<C-e>'] = cmp.mapping.abort(),
    ['<CR>'] = cmp.mapping.confirm({ select = false }),
  },
})
_G.plugin = cmp
"""
_BLINK = """
vim.opt.runtimepath:prepend(...)
local Words = {}
function Words.new() return setmetatable({}, { __index = Words }) end
function Words:get_completions(_, call)
  call({ items = { { label = 'retain' }, { label = 'retry' } } })
end
package.preload['tests.words'] = function() return Words end
local blink = require('blink.cmp')
blink.setup({
  fuzzy = { implementation = 'lua' },
  keymap = {
    preset = 'none',
    ['<Tab>'] = { 'select_next', 'fallback' },
    ['<C-e>'] = { 'cancel', 'fallback' },
    ['<CR>'] = { 'accept', 'fallback' },
  },
  completion = { list = { selection = { preselect = false, auto_insert = true } } },
  sources = {
    default = { 'words' },
    providers = { words = { name = 'words', module = 'tests.words', min_keyword_length = 3 } },
  },
})
_G.plugin = blink
"""
_SETUPS = {"nvim-cmp": _CMP, "blink.cmp": _BLINK}
_MENU_IS_OPEN = "local ask = plugin.visible or plugin.is_menu_visible; return ask() == true"


@pytest.fixture(params=sorted(_SETUPS))
def plugin(request: pytest.FixtureRequest) -> str:
    """The Lua that sets a plugin up."""
    name: str = request.param
    folder = Path(PLUGINS) / name
    assert folder.is_dir(), f"{folder} is missing"
    return f"(function(...)\n{_SETUPS[name]}\nend)([[{folder}]])"


def is_open(editor: NeovimSession) -> bool:
    """Whether the plugin's menu is open."""
    answer: bool = editor.lua(_MENU_IS_OPEN)
    return answer


def type_ret(editor: NeovimSession) -> None:
    """Type what is suggested, up to where the plugin's menu opens."""
    editor.input("ret")
    editor.wait_until(lambda: is_open(editor), "the menu")
    editor.wait_until(lambda: editor.ghost() is None, "the ghost text to hide")


@pytest.fixture(params=["menu maps first", "midfill maps first"])
def editor(request: pytest.FixtureRequest, edit: EditPython, plugin: str) -> NeovimSession:
    """A function whose body is suggested; the plugins map their keys in insert mode, midfill when
    the server is there."""
    is_first = request.param == "menu maps first"
    editor = edit(body(), text=HEAD, before=plugin, wait=not is_first)
    editor.input(NEW_LINE)
    editor.wait_for_client()
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    return editor


def test_ghost_text_makes_way_for_the_menu_and_comes_back(editor: NeovimSession) -> None:
    """What is suggested is hidden while the menu is open, and turned down by nobody."""
    type_ret(editor)
    assert not editor.lua("return require('midfill').is_visible()")
    editor.input("<C-e>")
    editor.wait_until(lambda: not is_open(editor), "the menu to close")
    editor.wait_until(lambda: editor.ghost() == BODY.removeprefix("ret"), "the ghost text again")
    assert editor.sent("midfill/didDismissCompletion") == []
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.line == f"    {BODY}", "the accepted text")


def test_the_key_is_the_menus_while_it_is_open(editor: NeovimSession) -> None:
    """Then it goes through the entries; with ghost text it accepts, and else it is a tab."""
    type_ret(editor)
    entries = {"retain", "retry"}
    while entries:
        editor.input("<Tab>")
        editor.wait_until(lambda: editor.line.strip() in entries, f"one of {entries}")
        entries.remove(editor.line.strip())
    chosen = editor.line
    editor.input("<CR>")
    editor.wait_until(lambda: not is_open(editor), "the menu to close")
    assert editor.line == chosen
    editor.wait_until(lambda: editor.is_settled, "the answer for it")
    assert editor.ghost() is None
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.line.startswith(f"{chosen} "), "the tab")


def test_insert_mode_may_be_left_and_entered_again(editor: NeovimSession) -> None:
    """The plugins map their keys anew each time; the keys go on working."""
    for _ in range(3):
        editor.input("<Esc>0C    ")
        editor.lua("require('midfill').trigger()")
        editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    editor.input("<M-Right>")
    editor.wait_until(lambda: editor.line == "    return", "the word")
    editor.input("<Tab>")
    editor.wait_until(lambda: editor.line == f"    {BODY}", "the accepted text")


def test_nothing_is_in_the_way_by_the_health_check(editor: NeovimSession) -> None:
    """A plugin that passes the key on has not taken it."""
    editor.input("<Esc>")
    editor.command("checkhealth midfill")
    page = "\n".join(editor.lines)
    assert "is loaded; while its menu is open" in page
    assert "Another mapping has a key" not in page, page


def test_both_stand_beside_each_other_where_that_is_wanted(edit: EditPython, plugin: str) -> None:
    """With `menu = 'show'` the key of midfill accepts until an entry is selected."""
    keys = "{ menu = 'show', keys = { accept = '<C-l>' } }"
    editor = edit(body(), text=HEAD, before=plugin, options=keys)
    editor.input(NEW_LINE)
    editor.wait_until(lambda: editor.ghost() == BODY, "the ghost text")
    editor.input("ret")
    editor.wait_until(lambda: is_open(editor), "the menu")
    assert editor.ghost() == BODY.removeprefix("ret")
    editor.input("<C-l>")
    editor.wait_until(lambda: editor.line == f"    {BODY}", "the accepted text")
