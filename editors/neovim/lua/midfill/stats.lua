--- The user's own acceptance rate: a summary here, the whole report in the browser.

local client = require('midfill.client')
local message = require('midfill.message')

local M = {}

---@param value any
---@param format string
---@return string
local function shown(value, format)
  return type(value) == 'number' and format:format(value) or '–'
end

---@param figures table
---@return string
local function summary(figures)
  local rate = figures.acceptance_rate
  return ('%d shown, %d accepted (%s), %d in part, %d dismissed; first text after %s ms'):format(
    figures.shown or 0,
    figures.accepted or 0,
    shown(type(rate) == 'number' and 100 * rate, '%.0f %%'),
    figures.partially_accepted or 0,
    figures.dismissed or 0,
    shown(vim.tbl_get(figures, 'latency_ms', 'p50'), '%.0f')
  )
end

---@param html string
local function open_page(html)
  local folder = vim.fn.stdpath('cache')
  vim.fn.mkdir(folder, 'p')
  local path = vim.fs.joinpath(folder, 'midfill-stats.html')
  local file, err = io.open(path, 'w')
  if not file then
    message.show('the report cannot be written: ' .. err, vim.log.levels.ERROR)
    return
  end
  file:write(html)
  file:close()
  local _, problem = vim.ui.open(path)
  if problem then message.show('the report is in ' .. path, vim.log.levels.WARN) end
end

--- Print the summary and open the report.
---@param days? integer only so many
function M.show(days)
  local was_sent = client.ask(
    'midfill/stats',
    { format = 'summary', sinceDays = days },
    function(figures)
      vim.api.nvim_echo({ { 'midfill: ' .. summary(figures) } }, true, {})
    end
  )
  if not was_sent then return end
  client.ask('midfill/stats', { format = 'html', sinceDays = days }, function(answer)
    open_page(answer.html)
  end)
end

return M
