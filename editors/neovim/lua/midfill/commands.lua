--- The command :Midfill and what comes behind it.

local client = require('midfill.client')
local message = require('midfill.message')
local scratch = require('midfill.scratch')

local M = {}

---@class midfill.Subcommand
---@field desc string
---@field run fun(arguments: string[], bang: boolean)
---@field values? string[] that its argument may have

local SCOPES = { 'global', 'buffer', 'filetype' }
local DEFAULT_SNOOZE_MIN = 30
local ANSI = '\27%[[%d;]*m'

---@param is_on boolean
---@return fun(arguments: string[])
local function switched(is_on)
  return function(arguments)
    require('midfill.switch').set(is_on, arguments[1])
  end
end

---@param part midfill.Part
---@return fun(arguments: string[])
local function in_insert(part)
  return function(arguments)
    local chosen = arguments[1] or part
    if not require('midfill').accept(chosen) then
      message.show('there is no suggestion to accept')
    end
  end
end

local function doctor()
  if not client.check_program() then return end
  local buf = scratch.open('doctor', { 'midfill doctor …' })
  local argv = { client.program(), 'doctor' }
  vim.system(argv, { env = { NO_COLOR = '1', COLUMNS = '100' }, text = true }, function(done)
    local output = ((done.stdout or '') .. (done.stderr or '')):gsub(ANSI, '')
    vim.schedule(function()
      scratch.fill(buf, vim.split(vim.trim(output), '\n', { plain = true }))
    end)
  end)
end

local function open_log()
  local path = vim.lsp.log.get_filename and vim.lsp.log.get_filename() or vim.lsp.get_log_path()
  vim.cmd.split({ vim.fn.fnameescape(path), mods = { split = 'botright' } })
  vim.cmd.normal({ 'G', bang = true })
end

---@type table<string, midfill.Subcommand>
M.subcommands = {
  status = {
    desc = 'How things stand',
    run = function()
      require('midfill.status').show()
    end,
  },
  why = {
    desc = 'Why there was no suggestion',
    run = function()
      require('midfill.status').why()
    end,
  },
  explain = {
    desc = 'What the last answer was made from',
    run = function()
      require('midfill.explain').show()
    end,
  },
  stats = {
    desc = 'Your acceptance rate; with a number, of so many days',
    run = function(arguments)
      require('midfill.stats').show(tonumber(arguments[1]))
    end,
  },
  toggle = {
    desc = 'Switch suggestions off or on',
    values = SCOPES,
    run = function(arguments)
      local is_on = require('midfill.switch').toggle(arguments[1])
      message.show('suggestions are ' .. (is_on and 'on' or 'off'))
    end,
  },
  enable = { desc = 'Switch suggestions on', values = SCOPES, run = switched(true) },
  disable = { desc = 'Switch suggestions off', values = SCOPES, run = switched(false) },
  snooze = {
    desc = 'No suggestions for some minutes (30)',
    run = function(arguments)
      require('midfill.switch').snooze(tonumber(arguments[1]) or DEFAULT_SNOOZE_MIN)
    end,
  },
  pause = {
    desc = 'Stop all work, in every editor',
    run = function()
      client.execute('midfill.pause', {})
    end,
  },
  resume = {
    desc = 'End the pause',
    run = function()
      client.execute('midfill.resume', {})
    end,
  },
  restart = { desc = 'Start the server anew', run = client.restart },
  doctor = { desc = 'Check the installation', run = doctor },
  log = { desc = 'Open the log', run = open_log },
  accept = {
    desc = 'Accept the suggestion, or a part of it',
    values = { 'all', 'word', 'line' },
    run = in_insert('all'),
  },
  next = {
    desc = 'Show the next suggestion',
    run = function()
      require('midfill').next()
    end,
  },
  prev = {
    desc = 'Show the previous suggestion',
    run = function()
      require('midfill').prev()
    end,
  },
  dismiss = {
    desc = 'Turn the suggestion down',
    run = function()
      require('midfill').dismiss()
    end,
  },
  trigger = {
    desc = 'Ask for a suggestion',
    run = function()
      require('midfill').trigger()
    end,
  },
  fetch = {
    desc = 'Fetch a model; with ! stop fetching',
    values = { '0.5b-instruct-q4', '1.5b-instruct-q4', '7b-instruct-q4', '7b-base-q8' },
    run = function(arguments, bang)
      local fetch = require('midfill.fetch')
      if bang then
        fetch.stop()
      else
        fetch.run(arguments[1])
      end
    end,
  },
}

---@param beginning string
---@param values string[]
---@return string[]
local function matching(beginning, values)
  return vim.tbl_filter(function(value)
    return vim.startswith(value, beginning)
  end, values)
end

--- Completion of the command line.
---@param beginning string
---@param line string
---@return string[]
function M.complete(beginning, line)
  local words = vim.split(line, '%s+', { trimempty = true })
  local n_done = #words - (beginning ~= '' and 1 or 0)
  if n_done == 1 then
    local names = vim.tbl_keys(M.subcommands)
    table.sort(names)
    return matching(beginning, names)
  end
  local subcommand = M.subcommands[words[2]]
  return n_done == 2 and subcommand and matching(beginning, subcommand.values or {}) or {}
end

--- Run :Midfill.
---@param arguments string[] the subcommand first; none is `status`
---@param bang boolean
function M.run(arguments, bang)
  local name = arguments[1] or 'status'
  if vim.endswith(name, '!') then
    name, bang = name:sub(1, -2), true
  end
  local subcommand = M.subcommands[name]
  if not subcommand then
    message.show(('there is no :Midfill %s; try :Midfill <Tab>'):format(name), vim.log.levels.ERROR)
    return
  end
  local argument = arguments[2]
  if argument and subcommand.values and name ~= 'fetch' then
    if not vim.tbl_contains(subcommand.values, argument) then
      local wanted = table.concat(subcommand.values, ', ')
      message.show((':Midfill %s takes one of: %s'):format(name, wanted), vim.log.levels.ERROR)
      return
    end
  end
  subcommand.run({ unpack(arguments, 2) }, bang)
end

return M
