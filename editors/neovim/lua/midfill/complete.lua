--- The life of a suggestion: asked for, shown while it grows, kept while it is typed, let go.
---
--- While what is typed agrees with the ghost text, the ghost text only gets shorter, and another
--- answer takes its place only where it says something else.

local client_of = require('midfill.client').of
local announce = require('midfill.client').announce
local config = require('midfill.config')
local ghost = require('midfill.ghost')
local menu = require('midfill.menu')
local report = require('midfill.report')
local suggestion = require('midfill.suggestion')
local switch = require('midfill.switch')
local api = vim.api

local M = {}

local METHOD = 'textDocument/inlineCompletion'
local INVOKED, AUTOMATIC = 1, 2

---@class midfill.Request
---@field client vim.lsp.Client
---@field place midfill.Place
---@field token string
---@field id? integer
---@field kind integer
---@field suggestion? midfill.Suggestion made of its answer so far

--- The newest request that was not answered yet.
---@type midfill.Request?
local pending
--- What is shown, or would be without an open menu.
---@type midfill.Suggestion?
local current
---@type uv.uv_timer_t?
local timer
local n_requests = 0
-- Tells a timer's call that is late from the newest.
local n_asked_soon = 0

--- The text and the cursor that were looked at last: one key brings several events.
---@type string?
local seen

---@return string
local function here()
  local row, col = unpack(api.nvim_win_get_cursor(0))
  return table.concat({ api.nvim_get_current_buf(), vim.b.changedtick, row, col }, ' ')
end

---@return boolean
local function is_inserting()
  return api.nvim_get_mode().mode:sub(1, 1) == 'i'
end

-- -- showing it -----------------------------------------------------------------------------

--- Draw what is left of the suggestion, if anything, and if nothing forbids it.
local function draw()
  local rest, right
  if current then
    rest, right = current:rest()
  end
  if not current or not rest or rest == '' or not is_inserting() or menu.hides() then
    ghost.hide()
    return
  end
  ghost.show(rest, right, current:hint())
  report.shown(current)
end

--- Let go of the suggestion; the user was not asked.
local function drop()
  current = nil
  ghost.hide()
end

-- -- asking ---------------------------------------------------------------------------------

--- Another request is waited for, or none any more.
---@param request? midfill.Request
local function wait_for(request)
  local was_waiting = pending ~= nil
  pending = request
  if was_waiting ~= (request ~= nil) then announce() end
end

local function cancel()
  n_asked_soon = n_asked_soon + 1
  if timer then timer:stop() end
  local request = pending
  wait_for(nil)
  if request and request.id and not request.client:is_stopped() then
    request.client:cancel_request(request.id)
  end
end

--- Whether an answer that goes on growing is what is shown.
---@return boolean
local function is_growing()
  return pending ~= nil and current ~= nil and pending.suggestion == current
end

--- Take an answer, or the beginning of one.
---@param request midfill.Request
---@param items lsp.InlineCompletionItem[]
---@param is_whole boolean
local function take(request, items, is_whole)
  if request ~= pending then return end
  if is_whole then wait_for(nil) end
  if #items == 0 then return end
  local fresh = suggestion.new(request.client, request.place, items)
  local rest = fresh:rest()
  if not rest then return end
  local is_own = current ~= nil and current == request.suggestion
  if current and not is_own then
    local shown = current:rest()
    if shown and shown ~= '' then
      if rest == '' or not is_whole and vim.startswith(shown, rest) then return end
    end
  end
  request.suggestion = fresh
  if is_own and current then fresh:follow(current) end
  current = fresh
  draw()
end

---@param request midfill.Request
---@param on_empty? fun()
local function send(request, on_empty)
  local client, place = request.client, request.place
  local params = vim.lsp.util.make_position_params(0, client.offset_encoding)
  ---@diagnostic disable-next-line: inject-field
  params.textDocument.version = vim.lsp.util.buf_versions[place.buf]
  ---@diagnostic disable-next-line: inject-field
  params.context = { triggerKind = request.kind }
  ---@diagnostic disable-next-line: inject-field
  params.partialResultToken = request.token
  local was_sent, id = client:request(METHOD, params, function(err, result)
    if err or type(result) ~= 'table' then
      if request == pending then wait_for(nil) end
      return
    end
    local items = result.items or result
    take(request, items, true)
    if #items == 0 and on_empty then on_empty() end
  end, place.buf)
  if was_sent then
    request.id = id
  elseif request == pending then
    wait_for(nil)
  end
end

--- Ask for a suggestion at the cursor; an older request is taken back.
---@param kind integer
---@param on_empty? fun()
---@return boolean was_asked
local function ask(kind, on_empty)
  cancel()
  local buf = api.nvim_get_current_buf()
  local client = client_of(buf)
  if not client or not is_inserting() then return false end
  if kind == AUTOMATIC and switch.off(buf) then return false end
  n_requests = n_requests + 1
  local request = {
    client = client,
    place = suggestion.place(buf),
    token = ('midfill-%d'):format(n_requests),
    kind = kind,
  }
  wait_for(request)
  send(request, on_empty)
  return true
end

local function ask_soon()
  if not client_of(0) or switch.off(0) then return end
  timer = timer or assert(vim.uv.new_timer())
  local number = n_asked_soon
  timer:start(config.get().debounce_ms, 0, function()
    vim.schedule(function()
      -- A macro is over before anybody could read a suggestion.
      if number == n_asked_soon and vim.fn.reg_executing() == '' then ask(AUTOMATIC) end
    end)
  end)
end

-- -- what happens in the editor -------------------------------------------------------------

--- Something was typed, or the cursor was moved, in insert mode.
function M.changed()
  local now = here()
  if now == seen then return end
  seen = now
  if current then
    local rest = current:rest()
    if rest and (rest ~= '' or is_growing()) then
      draw()
      -- Another request would stop what grows, and start the count of what was taken anew.
      if not is_growing() and current.n_taken == 0 and not current.chosen then
        cancel()
        ask_soon()
      end
      return
    end
    drop()
  end
  cancel()
  ask_soon()
end

--- A character is about to be inserted. Where it is the one that is suggested, the ghost text loses
--- it now: Neovim may draw the line before it tells that the text has changed.
---@param character string
function M.typing(character)
  if not current or not ghost.is_shown() or character == '\t' then return end
  local rest, right = current:rest()
  if rest and right == '' and #rest > #character and vim.startswith(rest, character) then
    ghost.show(rest:sub(#character + 1), right, current:hint(), character)
  end
end

--- A menu was opened or closed.
function M.redraw()
  draw()
end

--- Insert mode begins.
function M.entered()
  seen = nil
  ask_soon()
end

--- Insert mode ends; a suggestion that is still there was not wanted.
function M.left()
  M.dismiss()
end

--- Forget everything without a word.
function M.clear()
  cancel()
  drop()
end

---@param params { token: lsp.ProgressToken, value: any }
function M.progress(params)
  local request = pending
  if not request or params.token ~= request.token or type(params.value) ~= 'table' then return end
  take(request, params.value.items or {}, false)
end

-- -- what the user asks for -----------------------------------------------------------------

--- The suggestion that can be accepted: it stands on the screen.
---@return midfill.Suggestion?
function M.visible()
  return ghost.is_shown() and current or nil
end

--- Another item, or another suggestion, is what is shown.
---@param shown midfill.Suggestion
function M.show(shown)
  current = shown
  draw()
end

--- A suggestion was accepted whole.
function M.finish()
  cancel()
  drop()
end

--- Turn down what is shown.
---@return boolean was_shown
function M.dismiss()
  local shown = current
  local was_visible = ghost.is_shown()
  cancel()
  drop()
  if not shown or not was_visible then return false end
  report.dismissed(shown)
  return true
end

--- Ask now, even where suggestions are switched off.
---@param on_empty? fun()
---@return boolean was_asked
function M.trigger(on_empty)
  drop()
  -- Events of the keys before this one may come after it.
  seen = here()
  return ask(INVOKED, on_empty)
end

--- Whether an answer is awaited.
---@return boolean
function M.is_waiting()
  return pending ~= nil
end

return M
