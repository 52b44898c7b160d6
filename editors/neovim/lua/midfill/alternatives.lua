--- Other suggestions for the same place, one after another.

local client = require('midfill.client')
local complete = require('midfill.complete')
local config = require('midfill.config')
local message = require('midfill.message')
local suggestion = require('midfill.suggestion')

local M = {}

---@type { client: vim.lsp.Client, id: integer }?
local asked

local function cancel()
  if asked and not asked.client:is_stopped() then asked.client:cancel_request(asked.id) end
  asked = nil
end

---@param shown midfill.Suggestion
---@param step integer
local function turn(shown, step)
  shown:select((shown.index - 1 + step) % #shown.items + 1)
  complete.show(shown)
end

---@param asked_for midfill.Suggestion
---@param place midfill.Place
---@param items lsp.InlineCompletionItem[]
---@param step integer
local function take(asked_for, place, items, step)
  local shown = complete.visible()
  if not shown or #items == 0 then return end
  -- The rest of its answer may have come meanwhile, which makes it another object.
  local id = shown:id()
  if shown ~= asked_for and (not id or id ~= asked_for:id()) then return end
  local rest = shown:rest()
  local fresh = suggestion.new(shown.client, place, items)
  if not rest or not fresh:rest() then return end
  if fresh:rest() ~= rest then
    -- What is shown is one of them, also where the server would say something else by now.
    local range = vim.deepcopy(items[1].range)
    local first = vim.tbl_extend('force', shown:item(), { insertText = rest, range = range })
    fresh = suggestion.new(shown.client, place, { first, unpack(items) })
  end
  if #fresh.items < 2 then
    message.show('the model has no other suggestion here')
    return
  end
  fresh.chosen = true
  turn(fresh, step)
end

--- Show the next suggestion for this place; the server is asked for them with the first step.
---@param step integer 1 or -1
---@return boolean is_shown false where there is no suggestion to go on from
function M.step(step)
  local shown = complete.visible()
  if not shown then return false end
  if shown.chosen then
    turn(shown, step)
    return true
  end
  if not client.is_current(shown.client) then
    if #shown.items > 1 then
      shown.chosen = true
      turn(shown, step)
    else
      message.show('the server is too old for other suggestions. ' .. client.UPDATE)
    end
    return true
  end
  cancel()
  local buf = shown.place.buf
  local place = suggestion.place(buf)
  local position = vim.lsp.util.make_position_params(0, shown.client.offset_encoding)
  local params = vim.tbl_extend('force', position, { n = config.get().n_alternatives })
  local was_sent, id = shown.client:request('midfill/alternatives', params, function(err, result)
    asked = nil
    if not err and type(result) == 'table' then take(shown, place, result.items or {}, step) end
  end, buf)
  if was_sent then asked = { client = shown.client, id = id } end
  return true
end

--- The text around changed: what is on its way is for another place.
function M.cancel()
  cancel()
end

return M
