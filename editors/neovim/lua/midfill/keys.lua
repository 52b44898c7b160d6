--- Keys in insert mode, each with what it did before where there is no suggestion.

local config = require('midfill.config')
local api = vim.api

local M = {}

--- What the keys do: the name of a function of the plugin, and what users read of it.
---@type table<string, string>
local ACTIONS = {
  accept = 'Accept the suggestion',
  accept_word = 'Accept the next word of the suggestion',
  accept_line = 'Accept the next line of the suggestion',
  next = 'Show the next suggestion',
  prev = 'Show the previous suggestion',
  dismiss = 'Turn the suggestion down',
  trigger = 'Ask for a suggestion',
}

local DESC = 'midfill: '
-- Mappings of completion menus, which pass a key on that they have no use for.
local PASSED_ON = { ['cmp.utils.keymap.set_map'] = 'nvim-cmp', ['blink.cmp'] = 'blink.cmp' }

--- What a key did in a buffer before it was ours.
---@type table<integer, table<string, table<string, any>>>
local before = {}

---@param mapping table<string, any>
---@return boolean
local function is_ours(mapping)
  return vim.startswith(mapping.desc or '', DESC)
end

---@param lhs string
---@return table<string, any>? mapping that holds in all buffers
local function everywhere(lhs)
  local raw = vim.keycode(lhs)
  for _, mapping in ipairs(api.nvim_get_keymap('i')) do
    local is_same = mapping.lhs == lhs or vim.keycode(mapping.lhs) == raw
    if is_same and not is_ours(mapping) then return mapping end
  end
end

---@param mapping table<string, any>
---@return string keys
local function right_side(mapping)
  local rhs = mapping.rhs or ''
  if rhs:find('<SID>', 1, true) then
    rhs = rhs:gsub('<SID>', function()
      return ('<SNR>%d_'):format(mapping.sid)
    end)
  end
  return rhs
end

---@param mapping table<string, any>
---@return string? keys nil where the mapping was a function that is done
local function keys_of(mapping)
  if mapping.expr ~= 1 then
    if not mapping.callback then return vim.keycode(right_side(mapping)) end
    mapping.callback()
    return
  end
  local keys
  if mapping.callback then
    keys = mapping.callback() or ''
  else
    keys = api.nvim_eval(right_side(mapping))
  end
  keys = tostring(keys)
  return mapping.replace_keycodes == 1 and vim.keycode(keys) or keys
end

--- Do what a key did before; one with Alt that has no mapping is left alone, since it would leave
--- insert mode.
---@param lhs string
function M.fall_back(lhs)
  local raw = vim.keycode(lhs)
  local mapping = (before[api.nvim_get_current_buf()] or {})[lhs] or everywhere(lhs)
  if not mapping then
    if not lhs:match('^<.*[AMT]%-.') then api.nvim_feedkeys(raw, 'int', false) end
    return
  end
  local keys = keys_of(mapping)
  if not keys or keys == '' then return end
  if mapping.noremap == 1 then
    api.nvim_feedkeys(keys, 'in', false)
  elseif vim.startswith(keys, raw) then
    -- A key that is mapped to itself and more does not go round in circles.
    api.nvim_feedkeys(keys:sub(#raw + 1), 'im', false)
    api.nvim_feedkeys(raw, 'in', false)
  else
    api.nvim_feedkeys(keys, 'im', false)
  end
end

--- Map the keys of the options in a buffer.
---@param buf integer
function M.map(buf)
  if before[buf] then return end
  before[buf] = {}
  for name, lhs in pairs(config.keys()) do
    if lhs and lhs ~= '' then
      local existing = api.nvim_buf_call(buf, function()
        return vim.fn.maparg(lhs, 'i', false, true)
      end)
      if existing.buffer == 1 and not is_ours(existing) then before[buf][lhs] = existing end
      vim.keymap.set('i', lhs, function()
        if not require('midfill')[name]() then M.fall_back(lhs) end
      end, { buffer = buf, desc = DESC .. ACTIONS[name] })
    end
  end
end

--- Give the keys of a buffer back.
---@param buf integer
function M.unmap(buf)
  local saved = before[buf]
  before[buf] = nil
  if not saved or not api.nvim_buf_is_valid(buf) then return end
  for _, mapping in ipairs(api.nvim_buf_get_keymap(buf, 'i')) do
    if is_ours(mapping) then pcall(vim.keymap.del, 'i', mapping.lhs, { buffer = buf }) end
  end
  api.nvim_buf_call(buf, function()
    for _, mapping in pairs(saved) do
      vim.fn.mapset('i', false, mapping)
    end
  end)
end

--- Keys of ours that another mapping of a buffer has taken.
---@param buf integer
---@return { key: string, by: string, is_passed_on: boolean }[]
function M.taken(buf)
  local found = {}
  for name, lhs in pairs(config.keys()) do
    local mapping = lhs
        and api.nvim_buf_call(buf, function()
          return vim.fn.maparg(lhs, 'i', false, true)
        end)
      or {}
    if lhs and not vim.tbl_isempty(mapping) and not is_ours(mapping) then
      local plugin = PASSED_ON[mapping.desc]
      table.insert(found, {
        key = ('%s (%s)'):format(lhs, name),
        by = plugin or mapping.desc or mapping.rhs or 'a function',
        is_passed_on = plugin ~= nil,
      })
    end
  end
  table.sort(found, function(a, b)
    return a.key < b.key
  end)
  return found
end

return M
