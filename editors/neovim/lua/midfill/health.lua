--- :checkhealth midfill

local M = {}

local DOCTOR_TIMEOUT_MS = 60000
-- The exit code of what was ended by then.
local TIMED_OUT = 124
-- Others that draw suggestions as ghost text, or take <Tab> for them.
local RIVALS = { 'copilot', 'codeium', 'supermaven-nvim', 'minuet', 'tabnine', 'augment' }

local function check_neovim()
  local health = vim.health
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.11') == 1 then
    health.ok('Neovim ' .. version)
  else
    health.error('Neovim ' .. version .. ' is too old', 'Install Neovim 0.11 or later')
  end
  local config = require('midfill.config')
  for _, problem in ipairs(config.problems) do
    health.warn('An option was not taken: ' .. problem, 'See :help midfill-options')
  end
  if config.get().native and not require('midfill.native').is_there() then
    health.warn('native = true needs Neovim 0.12; midfill shows the suggestions itself')
  end
end

---@return string? program
local function check_program()
  local health = vim.health
  local program = require('midfill.client').program()
  if vim.fn.executable(program) == 0 then
    health.error(('The command "%s" was not found'):format(program), {
      'Install it: uv tool install "midfill[local]"',
      'Or name it: require("midfill").setup({ cmd = { "/path/to/midfill", "serve" } })',
    })
    return
  end
  local ok, done = pcall(function()
    return vim.system({ program, '--version' }, { text = true }):wait(10000)
  end)
  local version = ok and done.code == 0 and vim.trim(done.stdout) or 'does not say its version'
  health.ok(('%s: %s'):format(vim.fn.exepath(program), version))
  return program
end

---@param found vim.lsp.Client
local function check_answers(found)
  local health = vim.health
  local answer = found:request_sync('midfill/status', vim.empty_dict(), 5000, 0)
  local status = answer and answer.result
  if not status then
    health.warn('The server does not answer', 'Try :Midfill restart, see :Midfill log')
    return
  end
  local text = status.message ~= '' and status.message or status.kind
  if status.kind == 'Error' then
    health.error(text)
  elseif status.kind == 'Warning' then
    health.warn(text)
  else
    health.ok(text)
  end
  if type(status.model) == 'table' then
    health.ok('Model: ' .. status.model.id)
  else
    health.error('Model: none', 'Fetch one: :Midfill fetch')
  end
  if status.paused then health.warn('Paused in every editor', 'Go on: :Midfill resume') end
end

---@param buf integer from which the check was called
local function check_server(buf)
  local health, client = vim.health, require('midfill.client')
  local found = client.of(buf) or client.all()[1]
  local failure = client.failure()
  if not found and failure then
    health.error((failure:gsub('^%l', string.upper)))
    return
  end
  if not found then
    health.warn('No server runs', {
      'Open a file of a filetype that it serves, see :help midfill-filetypes',
      'Is require("midfill").setup() called?',
    })
    return
  end
  local protocol = client.protocol(found)
  if not client.is_current(found) then
    health.error('The server is too old: ' .. (protocol or 'no protocol of ours'), client.UPDATE)
    return
  end
  health.ok(
    ('The server %s speaks protocol %d, positions count in %s'):format(
      vim.tbl_get(found, 'server_info', 'version') or '',
      protocol,
      found.offset_encoding
    )
  )
  check_answers(found)
end

---@param program string
local function check_doctor(program)
  local health = vim.health
  local ok, done = pcall(function()
    return vim.system({ program, 'doctor', '--json' }, { text = true }):wait(DOCTOR_TIMEOUT_MS)
  end)
  local parsed, report = pcall(vim.json.decode, ok and done.stdout or '')
  if not parsed or type(report) ~= 'table' or type(report.checks) ~= 'table' then
    local is_late = ok and done.code == TIMED_OUT
    local said = vim.split(vim.trim(ok and done.stderr or ''), '\n')
    health.warn(
      is_late and 'midfill doctor did not end within a minute'
        or ('midfill doctor gave no report. %s'):format(said[#said]),
      'Run :Midfill doctor'
    )
    return
  end
  for _, check in ipairs(report.checks) do
    local text = ('%s: %s'):format(check.name, check.detail)
    local hint = check.hint ~= '' and check.hint or nil
    if check.outcome == 'ok' then
      health.ok(text)
    elseif check.outcome == 'warning' then
      health.warn(text, hint)
    else
      health.error(text, hint)
    end
  end
end

---@param buf integer
---@return integer n_found
local function check_keys(buf)
  local health = vim.health
  local n_found = 0
  if not require('midfill.client').of(buf) then return 0 end
  for _, taken in ipairs(require('midfill.keys').taken(buf)) do
    if taken.is_passed_on then
      health.info(('%s is asked first by %s, which passes it on'):format(taken.key, taken.by))
    else
      n_found = n_found + 1
      health.warn(
        ('Another mapping has a key: %s: %s'):format(taken.key, taken.by),
        'Give midfill another key (option keys), or map that one before midfill starts'
      )
    end
  end
  return n_found
end

---@param buf integer
local function check_neighbours(buf)
  local health = vim.health
  local n_found = check_keys(buf)
  for _, name in ipairs(RIVALS) do
    if package.loaded[name] or vim.g['loaded_' .. name] then
      n_found = n_found + 1
      health.warn(name .. ' is loaded, and shows suggestions too', 'Leave one of the two out')
    end
  end
  local menu = require('midfill.config').get().menu
  for _, name in ipairs({ 'cmp', 'blink.cmp' }) do
    if package.loaded[name] then
      health.info(
        ('%s is loaded; while its menu is open, suggestions are %s (option menu)'):format(
          name,
          menu == 'hide' and 'hidden' or 'shown'
        )
      )
    end
  end
  if n_found == 0 then health.ok('No other plugin is in the way') end
end

function M.check()
  -- The report has a buffer of its own; what matters is the one it was called from.
  local buf = vim.fn.bufnr('#')
  if buf < 1 or not vim.api.nvim_buf_is_valid(buf) then buf = 0 end
  vim.health.start('midfill: the editor')
  check_neovim()
  check_neighbours(buf)
  vim.health.start('midfill: the server')
  local program = check_program()
  if not program then return end
  check_server(buf)
  vim.health.start('midfill: midfill doctor')
  check_doctor(program)
end

return M
