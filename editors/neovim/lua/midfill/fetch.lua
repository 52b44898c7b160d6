--- Fetches a model with the server's program, and shows how far it is.

local client = require('midfill.client')
local message = require('midfill.message')

local M = {}

local LIST_TIMEOUT_MS = 20000

---@type { job: vim.SystemObj, share: number, told: integer }?
local running

---@return number? share from 0 to 1; nil where nothing is fetched
function M.share()
  return running and running.share
end

---@param event table
local function tell(event)
  if event.event == 'progress' and running then
    running.share = event.n_total > 0 and event.n_bytes / event.n_total or 0
    local percent = math.floor(100 * running.share)
    if percent == running.told then return end
    running.told = percent
    local text = ('midfill: fetching %s, %d %% of %d MB'):format(
      event.model,
      percent,
      event.n_total / 1e6
    )
    vim.api.nvim_echo({ { text } }, false, {})
    vim.cmd.redrawstatus({ bang = true })
  elseif event.event == 'done' then
    message.show(('the model %s is there'):format(event.model))
  elseif event.event == 'error' then
    local text = vim.trim(('%s %s'):format(event.message, event.hint or ''))
    message.show(text, vim.log.levels.ERROR)
  end
end

--- Splits what comes into lines, each a JSON object.
---@return fun(data?: string)
local function reader()
  local rest = ''
  return function(data)
    rest = rest .. (data or '')
    while true do
      local line, after = rest:match('^(.-)\r?\n(.*)$')
      if not line then return end
      rest = after
      local ok, event = pcall(vim.json.decode, line)
      if ok and type(event) == 'table' then tell(event) end
    end
  end
end

---@param model? string
local function start(model)
  local argv = { client.program(), 'model', 'fetch' }
  if model then table.insert(argv, model) end
  table.insert(argv, '--json')
  local read = reader()
  local ok, job = pcall(vim.system, argv, {
    stdout = vim.schedule_wrap(function(_, data)
      read(data)
    end),
  }, function(done)
    vim.schedule(function()
      local was_stopped = running == nil
      running = nil
      vim.cmd.redrawstatus({ bang = true })
      if done.code ~= 0 and not was_stopped and (done.stderr or '') ~= '' then
        message.show('fetching failed. ' .. vim.trim(done.stderr), vim.log.levels.ERROR)
      end
    end)
  end)
  if ok then
    running = { job = job, share = 0, told = -1 }
  else
    message.show('fetching failed: ' .. tostring(job), vim.log.levels.ERROR)
  end
end

--- Stop fetching; what is there already is kept, and the next time goes on from it.
function M.stop()
  if not running then return end
  local job = running.job
  running = nil
  job:kill('sigterm')
  message.show('fetching stopped; :Midfill fetch goes on from here')
end

---@class midfill.Model
---@field id string
---@field size_bytes integer
---@field licence string
---@field default_here boolean
---@field fetched boolean

--- The models there are, as the server's program lists them.
---@param on_list fun(models: midfill.Model[]?) nil where it cannot say
local function list(on_list)
  local argv = { client.program(), 'model', 'list', '--json' }
  local done = vim.schedule_wrap(function(result)
    local ok, models = pcall(vim.json.decode, result.stdout or '')
    on_list(result.code == 0 and ok and type(models) == 'table' and models or nil)
  end)
  if not pcall(vim.system, argv, { text = true, timeout = LIST_TIMEOUT_MS }, done) then
    on_list(nil)
  end
end

---@param model midfill.Model
---@return string
local function described(model)
  local size = model.size_bytes / 1e6
  local notes = {
    size < 1000 and ('%.0f MB'):format(size) or ('%.1f GB'):format(size / 1000),
  }
  if model.licence ~= 'Apache-2.0' then table.insert(notes, model.licence) end
  if model.default_here then table.insert(notes, 'the default on this machine') end
  if model.fetched then table.insert(notes, 'is there') end
  return ('%s (%s)'):format(model.id, table.concat(notes, ', '))
end

---@param model? string
---@param text string
local function confirm(model, text)
  vim.ui.select({ 'Fetch', 'Cancel' }, { prompt = ('Fetch %s?'):format(text) }, function(choice)
    if choice == 'Fetch' then start(model) end
  end)
end

---@param models midfill.Model[]
local function choose(models)
  local options = { prompt = 'Fetch which model?', format_item = described }
  vim.ui.select(models, options, function(choice)
    if choice then start(choice.id) end
  end)
end

--- Ask, then fetch a model.
---@param model? string an id; without one all are offered
function M.run(model)
  if running then
    message.show('a model is being fetched already; stop it with :Midfill fetch!')
    return
  end
  if not client.check_program(true) then return end
  list(function(models)
    if not models then return confirm(model, model or 'the default model') end
    if not model then return choose(models) end
    for _, each in ipairs(models) do
      if each.id == model then return confirm(model, described(each)) end
    end
    local ids = vim.tbl_map(function(each)
      return each.id
    end, models)
    local text = ('there is no model %s; there are %s'):format(model, table.concat(ids, ', '))
    message.show(text, vim.log.levels.ERROR)
  end)
end

return M
