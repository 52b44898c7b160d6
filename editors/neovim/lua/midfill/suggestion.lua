--- One answer of the server: its items, where it stands, and how far it was typed or taken.

local text = require('midfill.text')
local api = vim.api

-- Plugins close brackets and quotes as they are opened.
local CLOSERS = '^[%)%]}"\'`>]*$'
local MAX_CLOSERS = 3

--- Where a suggestion was asked for, and the text around it.
---@class midfill.Place
---@field buf integer
---@field row integer from 0
---@field col integer bytes
---@field line string
---@field below? string the next line
---@field n_lines integer of the buffer

---@class midfill.Suggestion
---@field client vim.lsp.Client
---@field place midfill.Place
---@field items lsp.InlineCompletionItem[]
---@field index integer which one is shown
---@field n_taken integer bytes of the item's text that word and line accepts have inserted
---@field chosen boolean whether it is one of several alternatives that the user looks through
---@field private start integer byte column at which the item's text begins
---@field private tail string text of the line behind what the item replaces
---@field private right string text right of the cursor that the item replaces
local Suggestion = {}
Suggestion.__index = Suggestion

local M = {}

---@param buf integer
---@return midfill.Place
function M.place(buf)
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local lines = api.nvim_buf_get_lines(buf, row - 1, row + 1, false)
  return {
    buf = buf,
    row = row - 1,
    col = col,
    line = lines[1] or '',
    below = lines[2],
    n_lines = api.nvim_buf_line_count(buf),
  }
end

---@param client vim.lsp.Client
---@param place midfill.Place
---@param items lsp.InlineCompletionItem[]
---@return midfill.Suggestion
function M.new(client, place, items)
  local self = setmetatable({
    client = client,
    place = place,
    items = items,
    index = 1,
    n_taken = 0,
    chosen = false,
  }, Suggestion)
  self:select(1)
  return self
end

--- Show another of its items.
---@param index integer
function Suggestion:select(index)
  self.index, self.n_taken = index, 0
  local place, range = self.place, self.items[index].range
  local start, stop = place.col, place.col
  if range then
    local encoding = self.client.offset_encoding
    start = vim.str_byteindex(place.line, encoding, range.start.character, false)
    stop = vim.str_byteindex(place.line, encoding, range['end'].character, false)
  end
  self.start = math.min(start, place.col)
  self.right = place.line:sub(place.col + 1, math.max(stop, place.col))
  self.tail = place.line:sub(math.max(stop, place.col) + 1)
end

---@return lsp.InlineCompletionItem
function Suggestion:item()
  return self.items[self.index]
end

---@return string? id that the server gave it
function Suggestion:id()
  local command = self:item().command
  return command and command.arguments and command.arguments[1]
end

--- All text of the shown item.
---@return string
function Suggestion:text()
  return text.of_item(self:item())
end

---@return string? hint which of the alternatives it is
function Suggestion:hint()
  return self.chosen and (' %d/%d'):format(self.index, #self.items) or nil
end

--- What stands between the item's start and the cursor now, and what right of it is replaced.
---@return string? typed nil where the text around is another one
---@return string right
function Suggestion:typed()
  local place = self.place
  if api.nvim_get_current_buf() ~= place.buf then return nil, '' end
  local row, col = unpack(api.nvim_win_get_cursor(0))
  local n_new = row - 1 - place.row
  if n_new < 0 or api.nvim_buf_line_count(place.buf) ~= place.n_lines + n_new then
    return nil, ''
  end
  local lines = api.nvim_buf_get_lines(place.buf, place.row, row + 1, false)
  if lines[n_new + 2] ~= place.below then return nil, '' end
  local last = lines[n_new + 1]
  local right = self:_right(last:sub(col + 1))
  if not right or lines[1]:sub(1, self.start) ~= place.line:sub(1, self.start) then
    return nil, ''
  end
  lines[n_new + 2] = nil
  lines[n_new + 1] = last:sub(1, col)
  if n_new == 0 and col < self.start then return nil, '' end
  lines[1] = lines[1]:sub(self.start + 1)
  return table.concat(lines, '\n'), right
end

---@private
---@param after string text right of the cursor
---@return string? right the part of it that the item replaces
function Suggestion:_right(after)
  if not vim.endswith(after, self.tail) then return end
  local right = after:sub(1, #after - #self.tail)
  if right == self.right or vim.endswith(self.right, right) then return right end
  local closers = right:sub(1, #right - #self.right)
  if vim.endswith(right, self.right) and #closers <= MAX_CLOSERS and closers:match(CLOSERS) then
    return right
  end
end

--- What of the item is still to come at the cursor.
---@return string? rest nil where something else was typed
---@return string right text right of the cursor that it replaces
function Suggestion:rest()
  local typed, right = self:typed()
  local whole = self:text()
  if not typed or not vim.startswith(whole, typed) then return nil, '' end
  return whole:sub(#typed + 1), right
end

--- A part of the item was inserted, and some of what stood right of the cursor is gone.
---@param n_bytes integer of the item's text, from its start
---@param right string what it still replaces
function Suggestion:took(n_bytes, right)
  self.n_taken, self.right = n_bytes, right
end

--- It is the same suggestion, longer now: what was taken of it is taken.
---@param older midfill.Suggestion
function Suggestion:follow(older)
  if older.n_taken > 0 then self:took(older.n_taken, older.right) end
end

return M
