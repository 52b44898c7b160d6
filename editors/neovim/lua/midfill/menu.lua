--- Completion menus: Neovim's own, nvim-cmp's and blink.cmp's.

local config = require('midfill.config')
local api = vim.api

local M = {}

--- What a loaded plugin's function says; a plugin that is not loaded is left alone.
---@param plugin string
---@param name string
---@return any
local function ask(plugin, name)
  local loaded = package.loaded[plugin]
  local call = type(loaded) == 'table' and loaded[name]
  if not call then return end
  local ok, answer = pcall(call)
  return ok and answer or nil
end

---@return boolean
function M.is_open()
  return vim.fn.pumvisible() == 1
    or ask('cmp', 'visible') == true
    or ask('blink.cmp', 'is_menu_visible') == true
end

--- Whether an entry of an open menu is chosen: then its keys are meant for it.
---@return boolean
local function has_selection()
  if vim.fn.pumvisible() == 1 then return vim.fn.complete_info({ 'selected' }).selected >= 0 end
  return ask('cmp', 'get_selected_entry') ~= nil or ask('blink.cmp', 'get_selected_item') ~= nil
end

--- Whether ghost text has to stay away.
---@return boolean
function M.hides()
  return config.get().menu == 'hide' and M.is_open()
end

--- Whether the keys belong to a menu, though ghost text stands beside it.
---@return boolean
function M.takes_keys()
  return M.is_open() and has_selection()
end

--- Call something whenever a menu opens or closes.
---@param group integer augroup
---@param call fun()
function M.watch(group, call)
  api.nvim_create_autocmd({ 'CompleteChanged', 'CompleteDone' }, { group = group, callback = call })
  api.nvim_create_autocmd('User', {
    group = group,
    pattern = { 'BlinkCmpMenuOpen', 'BlinkCmpMenuClose' },
    callback = call,
  })
  local function watch_cmp()
    local cmp = package.loaded['cmp']
    if type(cmp) ~= 'table' or not cmp.event or M.watched == cmp then return end
    M.watched = cmp
    cmp.event:on('menu_opened', call)
    cmp.event:on('menu_closed', call)
  end
  watch_cmp()
  api.nvim_create_autocmd('InsertEnter', {
    group = group,
    callback = vim.schedule_wrap(watch_cmp),
  })
end

return M
