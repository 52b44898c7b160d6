--- Inserts a suggestion, or a part of it: one step for undo, and repeated by a dot.

local complete = require('midfill.complete')
local menu = require('midfill.menu')
local report = require('midfill.report')
local text = require('midfill.text')
local api = vim.api

local M = {}

---@alias midfill.Part 'all'|'word'|'line'

---@type table<midfill.Part, fun(rest: string): integer>
local SIZES = {
  all = function(rest)
    return #rest
  end,
  word = text.word,
  line = text.line,
}

--- What of the text right of the cursor is still wanted there once a part was inserted.
---@param rest string what is to come behind the part
---@param right string
---@return string
local function still_right(rest, right)
  local first = text.lines(rest)[1]
  while right ~= '' and not text.places(right, first) do
    right = right:sub(2)
  end
  return right
end

--- Insert a part of the suggestion that is shown.
---@param part midfill.Part
function M.insert(part)
  local shown = complete.visible()
  if not shown then return end
  local rest, right = shown:rest()
  if not rest or rest == '' then return end
  local n_bytes = SIZES[part](rest)
  local is_whole = n_bytes == #rest
  local n_taken = #shown:text() - #rest + n_bytes
  local kept = is_whole and '' or still_right(rest:sub(n_bytes + 1), right)
  if #kept < #right then
    local row, col = unpack(api.nvim_win_get_cursor(0))
    api.nvim_buf_set_text(0, row - 1, col, row - 1, col + #right - #kept, {})
  end
  if is_whole then
    complete.finish()
  else
    shown:took(n_taken, kept)
  end
  -- As pasted text it is neither indented nor wrapped, and a dot repeats it.
  api.nvim_paste(rest:sub(1, n_bytes), false, -1)
  if is_whole then
    report.accepted(shown)
  else
    report.partly_accepted(shown, n_taken)
    complete.show(shown)
  end
end

local KEYS = '<C-g>u<Cmd>lua require("midfill.accept").insert("%s")<CR><C-g>u'

--- Accept a part of the suggestion that is shown, as soon as the keys at hand are done.
---@param part midfill.Part
---@return boolean is_accepted false where there is nothing to accept
function M.accept(part)
  if not complete.visible() or menu.takes_keys() then return false end
  local keys = vim.keycode(KEYS:format(part))
  api.nvim_feedkeys(keys, 'in', false)
  return true
end

return M
