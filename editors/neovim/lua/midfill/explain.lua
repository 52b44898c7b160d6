--- What the last answer was made from: a buffer with the snippets, where each file can be pinned.

local client = require('midfill.client')
local message = require('midfill.message')
local scratch = require('midfill.scratch')

local M = {}

local MAX_TEXT_LINES = 12
local HELP = 'p pin · b ban · u take the mark off · <CR> open the file · r again · q close'

---@param path string a path, or a URI
---@param root? string
---@return string uri
local function uri_of(path, root)
  if path:match('^%a[%w+.-]*:') then return path end
  if not vim.startswith(path, '/') and root then path = vim.fs.joinpath(root, path) end
  return vim.uri_from_fname(path)
end

---@param uri string
---@param root? string
---@return string
local function short(uri, root)
  local path = vim.startswith(uri, 'file:') and vim.uri_to_fname(uri) or uri
  if root and vim.startswith(path, root .. '/') then return path:sub(#root + 2) end
  return path
end

---@class midfill.Page
---@field lines string[]
---@field uris table<integer, string> of the file that a line is about

---@param page midfill.Page
---@param line string
---@param uri? string
local function add(page, line, uri)
  table.insert(page.lines, line)
  page.uris[#page.lines] = uri
end

---@param page midfill.Page
---@param snippet table
---@param marks table<string, string>
---@param root? string
local function add_snippet(page, snippet, marks, root)
  local uri = uri_of(snippet.path, root)
  local mark = marks[uri] and (' [%s]'):format(marks[uri]) or ''
  local why = snippet.reason and (' · dropped: ' .. snippet.reason) or ''
  local head = ('%s · %s · score %.2f%s%s'):format(
    short(uri, root),
    snippet.origin,
    snippet.score or 0,
    why,
    mark
  )
  add(page, '## ' .. head, uri)
  local lines = vim.split(snippet.text or '', '\n', { plain = true, trimempty = true })
  for i = 1, math.min(#lines, MAX_TEXT_LINES) do
    add(page, '    ' .. lines[i], uri)
  end
  if #lines > MAX_TEXT_LINES then
    add(page, ('    … %d more lines'):format(#lines - MAX_TEXT_LINES), uri)
  end
end

---@param answer table of midfill/explain
---@param marks table<string, string> what was done to a URI
---@param root? string
---@return midfill.Page
local function page_of(answer, marks, root)
  ---@type midfill.Page
  local page = { lines = {}, uris = {} }
  add(page, '# The last answer')
  add(page, HELP)
  add(page, '')
  if answer.reason and answer.reason ~= vim.NIL then
    add(page, ('No suggestion (%s): %s'):format(answer.reason, answer.message or ''))
  else
    add(page, ('Suggestion by %s, score %.2f:'):format(answer.model or '?', answer.score or 0))
    for _, line in ipairs(vim.split(answer.text or '', '\n', { plain = true })) do
      add(page, '    ' .. line)
    end
  end
  local times = answer.timings
  if type(times) == 'table' then
    add(
      page,
      ('%d ms: context %d, prompt %d (%d of %d tokens reused), text %d'):format(
        times.totalMs or 0,
        times.contextMs or 0,
        times.prefillMs or 0,
        times.nReused or 0,
        times.nPrompt or 0,
        times.decodeMs or 0
      )
    )
  end
  for _, part in ipairs({ { 'In the prompt', answer.snippets }, { 'Left out', answer.dropped } }) do
    if type(part[2]) == 'table' and #part[2] > 0 then
      add(page, '')
      add(page, '# ' .. part[1])
      for _, snippet in ipairs(part[2]) do
        add_snippet(page, snippet, marks, root)
      end
    end
  end
  return page
end

---@param buf integer
---@param page midfill.Page
---@param marks table<string, string>
---@param again fun()
local function map_keys(buf, page, marks, again)
  local function on(lhs, desc, run)
    vim.keymap.set('n', lhs, function()
      local uri = page.uris[vim.api.nvim_win_get_cursor(0)[1]]
      if uri or lhs == 'r' then
        run(uri)
      else
        message.show('there is no file on this line')
      end
    end, { buffer = buf, desc = desc, nowait = true })
  end
  local function mark(command)
    return function(uri)
      client.execute('midfill.' .. command, { uri }, again)
    end
  end
  on('p', 'Want this file in every prompt', mark('pin'))
  on('b', 'Want this file in no prompt', mark('ban'))
  on('u', 'Take the mark off this file', function(uri)
    client.execute(marks[uri] == 'banned' and 'midfill.unban' or 'midfill.unpin', { uri }, again)
  end)
  on('<CR>', 'Open the file', function(uri)
    vim.cmd.wincmd('p')
    vim.cmd.edit(vim.fn.fnameescape(vim.uri_to_fname(uri)))
  end)
  on('r', 'Ask again', again)
end

---@param given any
---@return table<string, string>
local function marks_of(given)
  local marks = {}
  for _, kind in ipairs({ 'pinned', 'banned' }) do
    for _, uri in ipairs(type(given) == 'table' and given[kind] or {}) do
      marks[uri] = kind
    end
  end
  return marks
end

--- Show what the last answer in a document was made from.
---@param uri? string by default that of the current buffer
function M.show(uri)
  uri = uri or vim.uri_from_bufnr(0)
  local found = client.any()
  client.ask('midfill/explain', { textDocument = { uri = uri } }, function(answer)
    if not answer or answer == vim.NIL then
      message.show('nothing was asked in this buffer yet')
      return
    end
    client.ask('midfill/marks', {}, function(given)
      local marks = marks_of(given)
      local page = page_of(answer, marks, found and found.root_dir)
      local row = vim.bo.filetype == 'midfill' and vim.api.nvim_win_get_cursor(0)[1] or 1
      local buf = scratch.open('explain', page.lines, 'midfill')
      vim.api.nvim_win_set_cursor(0, { math.min(row, #page.lines), 0 })
      map_keys(buf, page, marks, function()
        M.show(uri)
      end)
    end, found)
  end, found)
end

return M
