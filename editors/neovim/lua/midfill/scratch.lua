--- Buffers that show something and are gone when they are closed.

local api = vim.api

local M = {}

--- Open a window with some lines, or fill the one that is open.
---@param name string
---@param lines string[]
---@param filetype? string
---@return integer buf
function M.open(name, lines, filetype)
  local title = 'midfill://' .. name
  local buf = vim.fn.bufnr('^' .. vim.fn.escape(title, '/') .. '$')
  if buf < 0 then
    buf = api.nvim_create_buf(false, true)
    api.nvim_buf_set_name(buf, title)
    vim.bo[buf].bufhidden = 'wipe'
    vim.bo[buf].swapfile = false
    vim.keymap.set('n', 'q', '<Cmd>close<CR>', { buffer = buf, desc = 'Close' })
  end
  M.fill(buf, lines)
  if filetype then vim.bo[buf].filetype = filetype end
  if vim.fn.bufwinid(buf) < 0 then
    vim.cmd.split({ mods = { split = 'botright' } })
    api.nvim_win_set_buf(0, buf)
    vim.wo[0][0].wrap = false
  else
    api.nvim_set_current_win(vim.fn.bufwinid(buf))
  end
  return buf
end

---@param buf integer
---@param lines string[]
function M.fill(buf, lines)
  if not api.nvim_buf_is_valid(buf) then return end
  vim.bo[buf].modifiable = true
  api.nvim_buf_set_lines(buf, 0, -1, false, lines)
  vim.bo[buf].modifiable = false
end

return M
