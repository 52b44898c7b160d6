--- The command :Midfill and what comes behind it.

local client = require('midfill.client')
local message = require('midfill.message')
local scratch = require('midfill.scratch')

local M = {}

---@class midfill.Subcommand
---@field desc string
---@field run fun(arguments: string[], bang: boolean)
---@field values? string[] that its argument may have
---@field takes_number? boolean whether its argument is a number

local SCOPES = { 'global', 'buffer', 'filetype' }
-- Of the catalog; the server's program has the last word.
local MODELS = {
  '0.5b-instruct-q4',
  '1.5b-instruct-q4',
  '1.5b-base-q8',
  '3b-base-q8',
  '7b-instruct-q4',
  '7b-base-q8',
}
local DEFAULT_SNOOZE_MIN = 30
local ANSI = '\27%[[%d;]*m'

---@type table<string, string>
local WHERE = { buffer = ' in this buffer', filetype = ' for this filetype' }

---@param is_on boolean
---@param scope? midfill.Scope
local function tell_switched(is_on, scope)
  message.show(('suggestions are %s%s'):format(is_on and 'on' or 'off', WHERE[scope] or ''))
end

---@param is_on boolean
---@return fun(arguments: string[])
local function switched(is_on)
  return function(arguments)
    require('midfill.switch').set(is_on, arguments[1])
    tell_switched(is_on, arguments[1])
  end
end

---@param arguments string[]
local function snooze(arguments)
  local minutes = tonumber(arguments[1]) or DEFAULT_SNOOZE_MIN
  require('midfill.switch').snooze(minutes)
  message.show(('no suggestions for %g minutes; :Midfill enable ends it'):format(minutes))
end

---@param command string
---@param told string
---@return fun()
local function for_all(command, told)
  return function()
    client.execute(command, {}, function()
      message.show(told)
    end)
  end
end

--- Do something with the suggestion that is shown, or say that there is none.
---@param name 'accept'|'next'|'prev'|'dismiss'
---@return fun(arguments: string[])
local function in_insert(name)
  return function(arguments)
    if not require('midfill')[name](arguments[1]) then
      message.show('there is no suggestion; they are shown in insert mode')
    end
  end
end

local function trigger()
  local reason = require('midfill.status').no_server_reason()
  if not require('midfill').trigger() then
    message.show(reason or 'suggestions are made in insert mode: give this a key there')
  end
end

local function doctor()
  if not client.check_program(true) then return end
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
    takes_number = true,
    run = function(arguments)
      require('midfill.stats').show(tonumber(arguments[1]))
    end,
  },
  toggle = {
    desc = 'Switch suggestions off or on',
    values = SCOPES,
    run = function(arguments)
      tell_switched(require('midfill.switch').toggle(arguments[1]), arguments[1])
    end,
  },
  enable = { desc = 'Switch suggestions on', values = SCOPES, run = switched(true) },
  disable = { desc = 'Switch suggestions off', values = SCOPES, run = switched(false) },
  snooze = { desc = 'No suggestions for some minutes (30)', takes_number = true, run = snooze },
  pause = {
    desc = 'Stop all work, in every editor',
    run = for_all('midfill.pause', 'paused in every editor; :Midfill resume ends it'),
  },
  resume = { desc = 'End the pause', run = for_all('midfill.resume', 'it goes on') },
  restart = { desc = 'Start the server anew', run = client.restart },
  doctor = { desc = 'Check the installation', run = doctor },
  log = { desc = 'Open the log', run = open_log },
  accept = {
    desc = 'Accept the suggestion, or a part of it',
    values = { 'all', 'word', 'line' },
    run = in_insert('accept'),
  },
  next = { desc = 'Show the next suggestion', run = in_insert('next') },
  prev = { desc = 'Show the previous suggestion', run = in_insert('prev') },
  dismiss = { desc = 'Turn the suggestion down', run = in_insert('dismiss') },
  trigger = { desc = 'Ask for a suggestion', run = trigger },
  fetch = {
    desc = 'Fetch a model; with ! stop fetching',
    values = MODELS,
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
  if argument and subcommand.takes_number and not ((tonumber(argument) or 0) > 0) then
    message.show((':Midfill %s takes a number above 0'):format(name), vim.log.levels.ERROR)
    return
  end
  subcommand.run({ unpack(arguments, 2) }, bang)
end

return M
