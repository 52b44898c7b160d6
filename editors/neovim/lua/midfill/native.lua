--- The same suggestions through Neovim's own client, vim.lsp.inline_completion (0.12).

local config = require('midfill.config')

local M = {}

---@return boolean
function M.is_there()
  return vim.lsp.inline_completion ~= nil
end

--- Whether Neovim shows the suggestions, and not the plugin.
---@return boolean
function M.is_on()
  return config.get().native == true and M.is_there()
end

--- Let exactly one of the two show the suggestions of a client.
---@param client vim.lsp.Client
---@param is_wanted boolean
function M.set(client, is_wanted)
  if not M.is_there() then return end
  vim.lsp.inline_completion.enable(is_wanted and M.is_on(), { client_id = client.id })
end

---@return boolean
function M.accept()
  if require('midfill.menu').takes_keys() then return false end
  return vim.lsp.inline_completion.get()
end

---@param step integer
---@return boolean
function M.step(step)
  vim.lsp.inline_completion.select({ count = step })
  return true
end

return M
