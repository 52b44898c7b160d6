--- What is set up in each buffer that the server serves.

local alternatives = require('midfill.alternatives')
local client_of = require('midfill.client').of
local complete = require('midfill.complete')
local keys = require('midfill.keys')
local menu = require('midfill.menu')
local native = require('midfill.native')
local report = require('midfill.report')
local switch = require('midfill.switch')
local api = vim.api

local M = {}

local group = api.nvim_create_augroup('midfill.buffer', {})

---@type table<integer, boolean>
local attached = {}

---@param buf integer
---@param events string[]
---@param desc string
---@param callback fun()
local function on(buf, events, desc, callback)
  api.nvim_create_autocmd(events, { group = group, buffer = buf, desc = desc, callback = callback })
end

---@param buf integer
local function report_cursor(buf)
  on(buf, { 'BufEnter', 'CursorMoved', 'InsertEnter' }, 'Tell where the cursor is', function()
    local client = client_of(buf)
    if client then report.moved(client, buf) end
  end)
  on(buf, { 'BufEnter', 'FocusGained' }, 'Tell what the user looks at', function()
    local client = client_of(buf)
    if client then report.focused(client, buf) end
  end)
end

---@param buf integer
local function follow_typing(buf)
  on(buf, { 'CursorMovedI', 'TextChangedI', 'TextChangedP' }, 'Follow the typing', function()
    alternatives.cancel()
    complete.changed()
  end)
  on(buf, { 'InsertCharPre' }, 'Follow the typing', function()
    complete.typing(vim.v.char)
  end)
  on(buf, { 'InsertEnter' }, 'Ask for a suggestion', complete.entered)
  on(buf, { 'InsertLeave' }, 'Let the suggestion go', complete.left)
  on(buf, { 'BufLeave' }, 'Let the suggestion go', complete.clear)
end

--- The server serves a buffer.
---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  native.set(client, switch.off(buf) == nil)
  if attached[buf] then return end
  attached[buf] = true
  report_cursor(buf)
  if not native.is_on() then follow_typing(buf) end
  keys.map(buf)
  if buf ~= api.nvim_get_current_buf() then return end
  report.focused(client, buf)
  report.moved(client, buf)
  if not native.is_on() and api.nvim_get_mode().mode == 'i' then complete.entered() end
end

--- The server does not serve a buffer any more.
---@param buf integer
function M.detach(buf)
  if not attached[buf] then return end
  attached[buf] = nil
  api.nvim_clear_autocmds({ group = group, buffer = buf })
  if buf == api.nvim_get_current_buf() then complete.clear() end
  keys.unmap(buf)
end

--- Begin to listen to what concerns all buffers.
function M.setup()
  menu.watch(group, vim.schedule_wrap(complete.redraw))
  api.nvim_create_autocmd('LspProgress', {
    group = group,
    desc = 'A suggestion grows',
    callback = function(event)
      complete.progress(event.data.params)
    end,
  })
  -- <C-c> ends insert mode without InsertLeave.
  api.nvim_create_autocmd('ModeChanged', {
    group = group,
    pattern = 'i*:n',
    desc = 'Let the suggestion go',
    callback = complete.left,
  })
  switch.on_change(function()
    for _, client in ipairs(require('midfill.client').all()) do
      native.set(client, switch.off() == nil)
    end
    if switch.off() then
      complete.clear()
    elseif not native.is_on() and api.nvim_get_mode().mode == 'i' then
      complete.entered()
    end
    vim.cmd.redrawstatus({ bang = true })
  end)
end

return M
