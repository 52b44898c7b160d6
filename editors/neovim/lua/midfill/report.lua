--- Tells the server what becomes of its suggestions, and where the cursor is.

local text = require('midfill.text')
local api = vim.api

local M = {}

local CURSOR_PAUSE_MS = 50

---@param client vim.lsp.Client
---@param method string
---@param params table
local function notify(client, method, params)
  if client:is_stopped() or not require('midfill.client').is_current(client) then return end
  client:notify(method, params)
end

--- The items told as shown, by their ids; the oldest are forgotten.
---@type table<string, true>
local told_shown = {}
---@type string[]
local order = {}
local MAX_TOLD = 256

---@type string?
local newest_shown

--- The item stands on the screen; told once, of several alternatives each time one does.
---@param suggestion midfill.Suggestion
function M.shown(suggestion)
  local id = suggestion:id()
  if not id or id == newest_shown or (told_shown[id] and not suggestion.chosen) then return end
  newest_shown = id
  told_shown[id] = true
  table.insert(order, id)
  if #order > MAX_TOLD then told_shown[table.remove(order, 1)] = nil end
  notify(suggestion.client, 'textDocument/didShowCompletion', { item = suggestion:item() })
end

---@param suggestion midfill.Suggestion
---@return boolean
function M.was_shown(suggestion)
  local id = suggestion:id()
  return id ~= nil and told_shown[id] ~= nil
end

--- A part was inserted.
---@param suggestion midfill.Suggestion
---@param n_bytes integer of the item's text, from its start
function M.partly_accepted(suggestion, n_bytes)
  notify(suggestion.client, 'textDocument/didPartiallyAcceptCompletion', {
    item = suggestion:item(),
    acceptedLength = text.units(suggestion:item(), n_bytes),
  })
end

--- All of it was inserted.
---@param suggestion midfill.Suggestion
function M.accepted(suggestion)
  local command, client = suggestion:item().command, suggestion.client
  if not command or client:is_stopped() then return end
  client:request('workspace/executeCommand', {
    command = command.command,
    arguments = command.arguments,
  }, function() end, suggestion.place.buf)
end

--- The user turned it down.
---@param suggestion midfill.Suggestion
function M.dismissed(suggestion)
  if M.was_shown(suggestion) then
    notify(suggestion.client, 'midfill/didDismissCompletion', { item = suggestion:item() })
  end
end

---@type uv.uv_timer_t?
local timer

--- The cursor is somewhere else; told once it rests.
---@param client vim.lsp.Client
---@param buf integer
function M.moved(client, buf)
  timer = timer or assert(vim.uv.new_timer())
  timer:start(CURSOR_PAUSE_MS, 0, function()
    vim.schedule(function()
      if api.nvim_get_current_buf() ~= buf then return end
      local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
      notify(client, 'midfill/didMoveCursor', params)
    end)
  end)
end

--- The user looks at a buffer.
---@param client vim.lsp.Client
---@param buf integer
function M.focused(client, buf)
  notify(client, 'textDocument/didFocus', { textDocument = { uri = vim.uri_from_bufnr(buf) } })
end

return M
