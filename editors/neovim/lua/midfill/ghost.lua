--- Ghost text: what the suggestion adds, drawn around the text that is there.

local text = require('midfill.text')
local api = vim.api

local M = {}

M.namespace = api.nvim_create_namespace('midfill')

local FIRST = 1

---@type { buf: integer, drawn: string }?
local shown

local function define_highlights()
  local hint = vim.fn.hlexists('ComplHint') == 1 and 'ComplHint' or 'Comment'
  api.nvim_set_hl(0, 'MidfillSuggestion', { default = true, link = hint })
  api.nvim_set_hl(0, 'MidfillHint', { default = true, link = 'NonText' })
end

function M.setup()
  define_highlights()
  api.nvim_create_autocmd('ColorScheme', {
    group = api.nvim_create_augroup('midfill.ghost', {}),
    callback = define_highlights,
    desc = 'Colours of the ghost text',
  })
end

function M.hide()
  if shown and api.nvim_buf_is_valid(shown.buf) then
    api.nvim_buf_clear_namespace(shown.buf, M.namespace, 0, -1)
  end
  shown = nil
end

---@return boolean
function M.is_shown()
  return shown ~= nil
end

--- The pieces of the first line, each with the column it is drawn at.
---@param first string
---@param right string text right of the cursor that is replaced
---@param col integer of the cursor
---@return { col: integer, text: string }[]
local function pieces(first, right, col)
  local places = text.places(right, first)
  if not places then return { { col = col, text = first } } end
  local found, from = {}, 0
  for i = 1, #right + 1 do
    local to = places[i] or #first
    if to > from or #found == 0 and i > #right then
      found[#found + 1] = { col = col + i - 1, text = first:sub(from + 1, to) }
    end
    from = to + 1
  end
  return found
end

---@param buf integer
---@param row integer
---@param col integer
---@param right string
local function blank_out(buf, row, col, right)
  local width = api.nvim_strwidth(right)
  api.nvim_buf_set_extmark(buf, M.namespace, row, col, {
    virt_text = { { (' '):rep(width) } },
    virt_text_pos = 'overlay',
  })
end

---@param lines string[]
---@param tabstop integer
---@return [string, string][][]?
local function below(lines, tabstop)
  local found = {}
  for i = 2, #lines do
    found[i - 1] = { { text.expand_tabs(lines[i], 0, tabstop), 'MidfillSuggestion' } }
  end
  return #found > 0 and found or nil
end

--- Draw the ghost text at the cursor; nothing is touched if it is drawn there already.
---@param rest string what is to come
---@param right string text right of the cursor that it replaces
---@param hint? string behind the first line, e.g. which alternative it is
---@param coming? string character that is inserted at the cursor next, before anything is drawn
function M.show(rest, right, hint, coming)
  local buf = api.nvim_get_current_buf()
  local row, col = unpack(api.nvim_win_get_cursor(0))
  row = row - 1
  coming = coming or ''
  local drawn = table.concat({ row, col + #coming, rest, right, hint or '' }, '\0')
  if shown and shown.buf == buf and shown.drawn == drawn then return end
  if shown and shown.buf ~= buf then M.hide() end
  local lines = text.lines(rest)
  local tabstop = vim.bo[buf].tabstop
  local parts = pieces(lines[1], right, col)
  local is_over = #right > 0 and not text.places(right, lines[1])
  M.hide()
  for number, part in ipairs(parts) do
    local column = vim.fn.virtcol({ row + 1, part.col }) + api.nvim_strwidth(coming)
    local chunks = { { text.expand_tabs(part.text, column, tabstop), 'MidfillSuggestion' } }
    if hint and number == #parts then chunks[2] = { hint, 'MidfillHint' } end
    api.nvim_buf_set_extmark(buf, M.namespace, row, part.col, {
      id = FIRST + number - 1,
      virt_text = chunks,
      virt_text_pos = 'inline',
      virt_lines = number == 1 and below(lines, tabstop) or nil,
      hl_mode = 'combine',
    })
  end
  if is_over then blank_out(buf, row, col, right) end
  shown = { buf = buf, drawn = drawn }
end

return M
