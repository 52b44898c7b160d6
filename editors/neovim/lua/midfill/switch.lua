--- Whether suggestions are wanted: everywhere, in a buffer, for a filetype, or not for a while.

local config = require('midfill.config')

local M = {}

---@type boolean?
local everywhere
---@type table<string, boolean>
local by_filetype = {}
---@type uv.uv_timer_t?
local snoozing
local snoozed_until_s = 0

local on_change = function() end

--- What is called when the switches were turned.
---@param call fun()
function M.on_change(call)
  on_change = call
end

---@return boolean
local function is_enabled_everywhere()
  if everywhere == nil then return config.get().enabled end
  return everywhere
end

---@param buf integer
---@return boolean
local function is_enabled_for(buf)
  local filetype = vim.bo[buf].filetype
  if by_filetype[filetype] ~= nil then return by_filetype[filetype] end
  local set = config.get().filetypes
  local wanted = set[filetype]
  if wanted == nil then wanted = set['*'] end
  if type(wanted) == 'function' then
    local ok, answer = pcall(wanted, buf)
    return not ok or answer ~= false
  end
  return wanted ~= false
end

--- Why there are no suggestions in a buffer; nil where there are.
---@param buf? integer
---@return 'snoozed'|'off'|'off here'|'off for this filetype'|nil
function M.off(buf)
  buf = buf and buf ~= 0 and buf or vim.api.nvim_get_current_buf()
  if M.snooze_left_s() > 0 then return 'snoozed' end
  local here = vim.b[buf].midfill_enabled
  if here == false then return 'off here' end
  if here == nil and not is_enabled_for(buf) then return 'off for this filetype' end
  if not is_enabled_everywhere() then return 'off' end
end

---@alias midfill.Scope 'global'|'buffer'|'filetype'

--- Turn suggestions on or off; on ends a snooze as well.
---@param is_on boolean
---@param scope? midfill.Scope
function M.set(is_on, scope)
  if scope == 'buffer' then
    vim.b.midfill_enabled = is_on
  elseif scope == 'filetype' then
    by_filetype[vim.bo.filetype] = is_on
  else
    everywhere = is_on
  end
  if is_on then M.wake() end
  on_change()
end

---@param scope? midfill.Scope
---@return boolean is_on
function M.toggle(scope)
  local is_on
  if scope == 'buffer' then
    is_on = vim.b.midfill_enabled ~= false
  elseif scope == 'filetype' then
    is_on = is_enabled_for(vim.api.nvim_get_current_buf())
  else
    is_on = is_enabled_everywhere() and M.snooze_left_s() == 0
  end
  M.set(not is_on, scope)
  return not is_on
end

--- No suggestions for some minutes.
---@param minutes number
function M.snooze(minutes)
  M.wake()
  snoozed_until_s = os.time() + math.ceil(60 * minutes)
  snoozing = assert(vim.uv.new_timer())
  snoozing:start(math.ceil(60000 * minutes), 0, vim.schedule_wrap(M.wake))
  on_change()
end

--- End a snooze.
function M.wake()
  if not snoozing then return end
  snoozing:stop()
  snoozing:close()
  snoozing, snoozed_until_s = nil, 0
  on_change()
end

---@return integer
function M.snooze_left_s()
  return snoozing and math.max(1, snoozed_until_s - os.time()) or 0
end

return M
