--- The language server: its clients, whether it can do what the plugin needs, what it says.

local config = require('midfill.config')
local message = require('midfill.message')

local M = {}

M.NAME = 'midfill'
-- The protocol that editors/protocol.md describes.
M.PROTOCOL = 1
M.UPDATE = 'Update it: uv tool upgrade midfill (or: pipx upgrade midfill)'

local MAX_RESTARTS = 3
local RESTART_WINDOW_S = 180

---@class midfill.ServerStatus
---@field kind 'Normal'|'Inactive'|'Warning'|'Error'
---@field message string
---@field busy boolean

--- What each client said last, by its id.
---@type table<integer, midfill.ServerStatus>
local statuses = {}
--- Clients whose server has answered `initialize`.
---@type table<integer, true>
local initialized = {}
---@type integer[]
local ended_s = {}
local is_stopping = false
local n_starting = 0
---@type string?
local failure

--- The client of a buffer.
---@param buf? integer 0 or nil is the current one
---@return vim.lsp.Client?
function M.of(buf)
  return vim.lsp.get_clients({ name = M.NAME, bufnr = buf or 0 })[1]
end

---@return vim.lsp.Client[]
function M.all()
  return vim.lsp.get_clients({ name = M.NAME })
end

--- The client of the current buffer, else any.
---@return vim.lsp.Client?
function M.any()
  return M.of(0) or M.all()[1]
end

---@param client vim.lsp.Client
---@return integer? version
function M.protocol(client)
  local experimental = vim.tbl_get(client, 'server_capabilities', 'experimental', 'midfill')
  return type(experimental) == 'table' and experimental.protocol or nil
end

--- Whether the server understands more than LSP itself has.
---@param client vim.lsp.Client
---@return boolean
function M.is_current(client)
  return (M.protocol(client) or 0) >= M.PROTOCOL
end

---@param buf? integer
---@return midfill.ServerStatus?
function M.status(buf)
  local client = M.of(buf)
  return client and statuses[client.id]
end

--- The command that starts the server.
---@return string[]
function M.command()
  local found = vim.lsp.config[M.NAME]
  local cmd = found and found.cmd or config.get().cmd
  return type(cmd) == 'table' and cmd or { 'midfill', 'serve' }
end

--- The program with which the server's other commands are run.
---@return string
function M.program()
  return M.command()[1]
end

--- Say what to do when the program is not there.
---@param is_asked? boolean whether the user wants something of it; else it is told once
---@return boolean is_there
function M.check_program(is_asked)
  local program = M.program()
  if vim.fn.executable(program) == 1 then return true end
  local text = ('the command "%s" was not found. '):format(program)
    .. 'Install it (uv tool install "midfill[local]"), or set cmd in require("midfill").setup; '
    .. 'then :Midfill restart'
  if is_asked then
    message.show(text, vim.log.levels.ERROR)
  else
    message.once('missing', text, vim.log.levels.ERROR)
  end
  return false
end

--- Why the server does not run; nil where it does, or was never started.
---@return string?
function M.failure()
  return failure
end

--- Ask the server something that LSP does not have.
---@param method string
---@param params table
---@param on_answer fun(result: any)
---@param client? vim.lsp.Client
---@return boolean was_sent
function M.ask(method, params, on_answer, client)
  client = client or M.any()
  if not client then
    if M.check_program(true) then
      local text = failure or 'the server does not run here; see :checkhealth midfill'
      message.show(text, vim.log.levels.WARN)
    end
    return false
  end
  if not M.is_current(client) then
    message.show('the server is too old for this. ' .. M.UPDATE, vim.log.levels.WARN)
    return false
  end
  if vim.tbl_isempty(params) then params = vim.empty_dict() end
  return (
    client:request(method, params, function(err, result)
      if err then
        message.show(err.message or tostring(err), vim.log.levels.ERROR)
      else
        on_answer(result)
      end
    end, vim.api.nvim_get_current_buf())
  )
end

--- Run one of the server's commands.
---@param command string
---@param arguments any[]
---@param on_done? fun(result: any)
function M.execute(command, arguments, on_done)
  local params = { command = command, arguments = arguments }
  M.ask('workspace/executeCommand', params, on_done or function() end)
end

--- Whether a server was started and has not answered yet.
---@return boolean
function M.is_starting()
  return n_starting > 0
end

-- -- what happens to it ---------------------------------------------------------------------

local is_announced = false

--- Tell that the status is another one; several changes in a row are told once.
function M.announce()
  if is_announced then return end
  is_announced = true
  vim.schedule(function()
    is_announced = false
    vim.api.nvim_exec_autocmds('User', { pattern = 'MidfillStatus', modeline = false })
    vim.cmd.redrawstatus({ bang = true })
  end)
end

--- A server is started.
function M.before_init()
  n_starting = n_starting + 1
end

---@param client vim.lsp.Client
function M.on_init(client)
  is_stopping = false
  n_starting = math.max(0, n_starting - 1)
  initialized[client.id] = true
  M.announce()
  message.forget('missing')
  failure = nil
  if M.is_current(client) then
    message.forget('old')
    return
  end
  local version = vim.tbl_get(client, 'server_info', 'version')
  message.once(
    'old',
    ('the server%s is too old for this plugin; only plain suggestions work. %s'):format(
      version and (' ' .. version) or '',
      M.UPDATE
    )
  )
end

--- Say once what to do; the server is not tried again for every file that is opened.
---@param what string
---@param code integer
local function give_up(what, code)
  is_stopping = true
  vim.schedule(function()
    vim.lsp.enable(M.NAME, false)
  end)
  local text = 'the server %s (exit code %d). Run :Midfill doctor, see :Midfill log, '
  failure = (text .. 'then :Midfill restart'):format(what, code)
  message.once('broken', failure, vim.log.levels.ERROR)
end

---@param code integer
---@param signal integer
---@param client_id integer
function M.on_exit(code, signal, client_id)
  statuses[client_id] = nil
  M.announce()
  local was_well = initialized[client_id]
  if not was_well then n_starting = math.max(0, n_starting - 1) end
  initialized[client_id] = nil
  if is_stopping or (code == 0 and signal == 0) or vim.v.exiting ~= vim.NIL then return end
  local now = os.time()
  ended_s = vim.tbl_filter(function(at)
    return now - at < RESTART_WINDOW_S
  end, ended_s)
  table.insert(ended_s, now)
  if was_well and #ended_s <= MAX_RESTARTS then
    vim.defer_fn(function()
      if not is_stopping then vim.lsp.enable(M.NAME) end
    end, 1000 * (#ended_s - 1) + 100)
  else
    give_up(was_well and ('ended %d times'):format(#ended_s) or 'did not start', code)
  end
end

--- Stop the server, and start it again.
function M.restart()
  if not M.check_program(true) then return end
  is_stopping, ended_s, failure = true, {}, nil
  message.forget('broken')
  local clients = M.all()
  vim.lsp.enable(M.NAME, false)
  local function start()
    is_stopping = false
    vim.lsp.enable(M.NAME)
  end
  local function when_gone(n_left)
    local gone = vim.iter(clients):all(function(client)
      return client:is_stopped() and vim.lsp.get_client_by_id(client.id) == nil
    end)
    if gone or n_left == 0 then return start() end
    vim.defer_fn(function()
      when_gone(n_left - 1)
    end, 50)
  end
  when_gone(100)
end

---@type table<string, lsp.Handler>
M.handlers = {
  ['didChangeStatus'] = function(_, params, ctx)
    if type(params) ~= 'table' then return end
    statuses[ctx.client_id] = {
      kind = params.kind or 'Normal',
      message = params.message or '',
      busy = params.busy == true,
    }
    M.announce()
  end,
  ['window/showMessage'] = function(_, params)
    local text = message.here((params.message:gsub('^midfill: ', '')))
    local levels = vim.log.levels
    local level = ({ levels.ERROR, levels.WARN, levels.INFO, levels.DEBUG })[params.type]
    message.once('server: ' .. text, text, level or levels.INFO)
    return vim.NIL
  end,
}

return M
