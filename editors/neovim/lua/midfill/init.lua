--- midfill: ghost text from a model on your own machine. What users call; the rest is in the rooms.

local M = {}

local is_started = false

--- Listen for the server; done once, before it is started.
function M.start()
  if is_started then return end
  is_started = true
  require('midfill.ghost').setup()
  local buffer = require('midfill.buffer')
  buffer.setup()
  local group = vim.api.nvim_create_augroup('midfill', {})
  local function is_ours(id)
    local client = vim.lsp.get_client_by_id(id)
    return client and client.name == require('midfill.client').NAME and client
  end
  vim.api.nvim_create_autocmd('LspAttach', {
    group = group,
    desc = 'Suggestions in the buffers that midfill serves',
    callback = function(event)
      local client = is_ours(event.data.client_id)
      if client then buffer.attach(client, event.buf) end
    end,
  })
  vim.api.nvim_create_autocmd('LspDetach', {
    group = group,
    desc = 'No suggestions any more',
    callback = function(event)
      if is_ours(event.data.client_id) then buffer.detach(event.buf) end
    end,
  })
end

local function watch_for_program()
  local client = require('midfill.client')
  local function is_served(buf)
    local filetypes = (vim.lsp.config[client.NAME] or {}).filetypes or {}
    return vim.bo[buf].buftype == '' and vim.tbl_contains(filetypes, vim.bo[buf].filetype)
  end
  if is_served(0) then client.check_program() end
  vim.api.nvim_create_autocmd('FileType', {
    group = vim.api.nvim_create_augroup('midfill.program', {}),
    desc = 'Say what to do when the midfill command is not there',
    callback = function(event)
      if is_served(event.buf) then client.check_program() end
    end,
  })
end

--- Set options and start; see |midfill-options|.
---@param given? midfill.Options
function M.setup(given)
  if vim.fn.has('nvim-0.11') == 0 then
    vim.notify('midfill: Neovim 0.11 or later is needed', vim.log.levels.ERROR)
    return
  end
  -- Where the folder came onto the runtime path after Neovim has read its plugins.
  vim.cmd.runtime('plugin/midfill.lua')
  local config = require('midfill.config')
  local problems = config.set(given)
  if #problems > 0 then
    local text = 'options that were not taken: ' .. table.concat(problems, '; ')
    require('midfill.message').show(text, vim.log.levels.WARN)
  end
  local options = config.get()
  vim.lsp.config('midfill', { cmd = options.cmd, init_options = options.server })
  M.start()
  watch_for_program()
  vim.lsp.enable('midfill')
end

--- Change settings of the running server, for this session; those of setup hold beside them.
---@param server table e.g. { completion = { mode = 'quiet' } }
function M.configure(server)
  local client = require('midfill.client')
  local options = require('midfill.config').get()
  server = vim.tbl_deep_extend('force', options.server or {}, server)
  options.server = server
  vim.lsp.config(client.NAME, { init_options = server })
  for _, each in ipairs(client.all()) do
    each:notify('workspace/didChangeConfiguration', { settings = { midfill = server } })
  end
end

--- Whether a suggestion can be accepted now.
---@return boolean
function M.is_visible()
  return require('midfill.complete').visible() ~= nil
end

--- Accept the suggestion, or a part of it.
---@param part? midfill.Part by default all
---@return boolean is_accepted false where there is nothing to accept
function M.accept(part)
  local native = require('midfill.native')
  if native.is_on() then return (part or 'all') == 'all' and native.accept() end
  return require('midfill.accept').accept(part or 'all')
end

---@return boolean is_accepted
function M.accept_word()
  return M.accept('word')
end

---@return boolean is_accepted
function M.accept_line()
  return M.accept('line')
end

---@param step integer
---@return boolean
local function turn(step)
  local native = require('midfill.native')
  if native.is_on() then return native.step(step) end
  return require('midfill.alternatives').step(step)
end

--- Show another suggestion for the same place.
---@return boolean is_shown
function M.next()
  return turn(1)
end

--- Show the suggestion before.
---@return boolean is_shown
function M.prev()
  return turn(-1)
end

--- Turn the suggestion down.
---@return boolean was_shown
function M.dismiss()
  return require('midfill.complete').dismiss()
end

--- Ask for a suggestion now, even where they are switched off; says why when none comes.
---@return boolean was_asked
function M.trigger()
  if require('midfill.native').is_on() then return false end
  local client = require('midfill.client')
  return require('midfill.complete').trigger(function()
    local found = client.of(0)
    if found and client.is_current(found) then require('midfill.status').why() end
  end)
end

--- Switch suggestions off or on.
---@param scope? midfill.Scope by default everywhere
---@return boolean is_on
function M.toggle(scope)
  return require('midfill.switch').toggle(scope)
end

---@param scope? midfill.Scope
function M.enable(scope)
  require('midfill.switch').set(true, scope)
end

---@param scope? midfill.Scope
function M.disable(scope)
  require('midfill.switch').set(false, scope)
end

--- No suggestions for some minutes.
---@param minutes? number by default 30
function M.snooze(minutes)
  require('midfill.switch').snooze(minutes or 30)
end

--- A component for the statusline; "" where midfill does not serve the buffer.
---@return string
function M.statusline()
  return require('midfill.status').sign()
end

return M
