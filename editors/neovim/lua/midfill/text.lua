--- Pieces of text: words, lines, units, columns. Nothing here knows of buffers.

local M = {}

--- The text that an item inserts, with "\n" as its only line ending.
---@param item lsp.InlineCompletionItem
---@return string
function M.of_item(item)
  local text = item.insertText
  if type(text) == 'table' then text = text.value end
  return (text:gsub('\r\n?', '\n'))
end

--- UTF-16 units of the beginning of an item's text, as the item has it.
---@param item lsp.InlineCompletionItem
---@param n_bytes integer of the text that `of_item` gives
---@return integer
function M.units(item, n_bytes)
  local beginning = M.of_item(item):sub(1, n_bytes)
  local units = vim.str_utfindex(beginning, 'utf-16')
  local raw = type(item.insertText) == 'table' and item.insertText.value or item.insertText
  if raw:find('\r\n', 1, true) then
    local _, n_lines = beginning:gsub('\n', '')
    units = units + n_lines
  end
  return units
end

---@param text string
---@return string[]
function M.lines(text)
  return vim.split(text, '\n', { plain = true })
end

-- All bytes of characters beyond ASCII belong to words.
local WORD, SIGN = '^%s*[%w_\128-\255]+', '^%s*[^%w_%s\128-\255]+'

--- How much of a text is its first word: blanks, then a word or a run of signs.
---@param text string
---@return integer n_bytes
function M.word(text)
  local _, last = text:find(WORD)
  if not last then
    _, last = text:find(SIGN)
  end
  return last or #text
end

--- How much of a text is its first line; where it begins with a line break, the line behind it.
---@param text string
---@return integer n_bytes
function M.line(text)
  local first = text:match('^%s*\n') or ''
  local stop = text:find('\n', #first + 1, true)
  return stop and stop - 1 or #text
end

--- How much two texts begin with in common.
---@param a string
---@param b string
---@return integer n_bytes
function M.n_common(a, b)
  local n = 0
  while n < #a and n < #b and a:byte(n + 1) == b:byte(n + 1) do
    n = n + 1
  end
  return n
end

--- Tabs as the spaces they take, since virtual text does not show them so.
---@param text string one line
---@param column integer screen column at which it begins, from 0
---@param tabstop integer
---@return string
function M.expand_tabs(text, column, tabstop)
  if not text:find('\t', 1, true) then return text end
  local parts = {}
  for before, tab in text:gmatch('([^\t]*)(\t?)') do
    parts[#parts + 1] = before
    column = column + vim.api.nvim_strwidth(before)
    if tab ~= '' then
      local width = tabstop - column % tabstop
      parts[#parts + 1] = (' '):rep(width)
      column = column + width
    end
  end
  return table.concat(parts)
end

--- Where the characters of one text stand in another, in order, the last possible places first.
---@param right string what stands there already
---@param text string what is to stand there
---@return integer[]? offsets bytes before each byte of `right` in `text`; nil if not all are found
function M.places(right, text)
  if right:find('[\128-\255]') then return end
  local offsets, at = {}, #text
  for i = #right, 1, -1 do
    local byte = right:byte(i)
    while at > 0 and text:byte(at) ~= byte do
      at = at - 1
    end
    if at == 0 then return end
    offsets[i] = at - 1
    at = at - 1
  end
  return offsets
end

return M
