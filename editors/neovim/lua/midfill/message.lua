--- Messages to the user: each trouble is told once, not once for every key.

local config = require('midfill.config')

local M = {}

local MAX_KEPT = 64

---@type table<string, true>
local told = {}
local n_told = 0

---@param text string
---@param level? integer of vim.log.levels
function M.show(text, level)
  vim.schedule(function()
    vim.notify('midfill: ' .. text, level or vim.log.levels.INFO, { title = 'midfill' })
  end)
end

-- What the server's sentences name, and what does it here.
local HERE = {
  ['midfill model fetch'] = ':Midfill fetch',
  ['midfill engine resume'] = ':Midfill resume',
  ['midfill doctor'] = ':Midfill doctor',
}

--- A sentence of the server, with what the editor has for a command that it names.
---@param text string
---@return string
function M.here(text)
  for command, ours in pairs(HERE) do
    if text:find(command, 1, true) and not text:find(ours, 1, true) then
      return ('%s (here: %s)'):format(text, ours)
    end
  end
  return text
end

--- Tell something unless it was told before.
---@param key string what it is about
---@param text string
---@param level? integer of vim.log.levels
function M.once(key, text, level)
  if told[key] or not config.get().notify or n_told >= MAX_KEPT then return end
  told[key] = true
  n_told = n_told + 1
  M.show(text, level or vim.log.levels.WARN)
end

--- It is well again: the next time is news.
---@param key string
function M.forget(key)
  if told[key] then
    told[key] = nil
    n_told = n_told - 1
  end
end

return M
