--- How things stand, in a sign for the statusline and in sentences.

local client = require('midfill.client')
local config = require('midfill.config')
local menu = require('midfill.menu')
local message = require('midfill.message')
local switch = require('midfill.switch')

local M = {}

---@type table<string, string>
local SENTENCES = {
  ['off'] = 'Suggestions are switched off. On: :Midfill enable',
  ['off here'] = 'Suggestions are switched off in this buffer. On: :Midfill enable buffer',
  ['off for this filetype'] = 'Suggestions are switched off for this filetype. '
    .. 'On: :Midfill enable filetype',
}

--- Why no server serves the buffer; nil where one does.
---@return string?
function M.no_server_reason()
  if client.of(0) then return end
  if client.is_starting() then return 'The server is starting.' end
  local filetype = vim.bo.filetype
  if filetype == '' then return 'The buffer has no filetype, so no server serves it.' end
  if vim.fn.executable(client.program()) == 0 then
    return ('The command "%s" was not found: see :checkhealth midfill'):format(client.program())
  end
  local failure = client.failure()
  if failure then return (failure:gsub('^%l', string.upper)) end
  return ('No server serves this buffer (filetype %s): see :checkhealth midfill'):format(filetype)
end

--- Why nothing is shown, as far as the editor knows.
---@return string?
function M.local_reason()
  local off = switch.off(0)
  if off == 'snoozed' then
    local minutes = math.ceil(switch.snooze_left_s() / 60)
    return ('Suggestions snooze for %d more min. On: :Midfill enable'):format(minutes)
  end
  if off then return SENTENCES[off] end
  local no_server = M.no_server_reason()
  if no_server then return no_server end
  if menu.hides() then
    return 'A completion menu is open, which hides suggestions (option menu).'
  end
end

--- The sign for the statusline; "" where there is no server.
---@return string
function M.sign()
  local state = client.status(0)
  if not client.of(0) then return '' end
  local icons = config.get().icons
  local fetching = require('midfill.fetch').share()
  if fetching then return ('midfill %s %d%%%%'):format(icons.busy, 100 * fetching) end
  local off = switch.off(0)
  if off == 'snoozed' then
    return ('midfill %s %dm'):format(icons.off, math.ceil(switch.snooze_left_s() / 60))
  end
  if off then return 'midfill ' .. icons.off end
  local kind = state and state.kind or 'Normal'
  if kind == 'Error' then return 'midfill ' .. icons.error end
  if kind == 'Warning' then return 'midfill ' .. icons.warning end
  if kind == 'Inactive' then return 'midfill ' .. icons.off end
  local is_busy = state and state.busy or require('midfill.complete').is_waiting()
  return 'midfill ' .. (is_busy and icons.busy or icons.normal)
end

---@param answer table of midfill/status
---@return string[]
local function lines_of(answer)
  local function known(value)
    if value ~= vim.NIL then return value end
  end
  local model = known(answer.model)
  local lines = {
    ('midfill %s: %s'):format(
      answer.version,
      answer.message ~= '' and message.here(answer.message) or answer.kind
    ),
    'Model: ' .. (model and model.id or 'none; fetch one: :Midfill fetch'),
  }
  local larger = known(answer.larger)
  if larger then
    table.insert(
      lines,
      ('Worth a try: %s (%.1f GB), a line in about %.1f s here: :Midfill fetch %s'):format(
        larger.id,
        larger.sizeBytes / 1e9,
        larger.firstLineMs / 1000,
        larger.id
      )
    )
  end
  -- A pause that another editor began is not in this server's message yet.
  if answer.paused and answer.kind ~= 'Inactive' then
    table.insert(lines, 'Paused in every editor. On: :Midfill resume')
  end
  local latency = known(answer.lastLatencyMs)
  if latency then table.insert(lines, ('Last suggestion: after %d ms'):format(latency)) end
  local today = known(answer.today)
  if today then
    local rate = known(today.rate)
    table.insert(
      lines,
      ('Today: %d shown, %d accepted%s'):format(
        today.shown,
        today.accepted,
        rate and (' (%d %%)'):format(100 * rate + 0.5) or ''
      )
    )
  end
  local reason = known(answer.reason)
  if reason then
    table.insert(lines, ('Last empty answer: %s. Why: :Midfill why'):format(reason))
  end
  return lines
end

---@param lines string[]
local function print_lines(lines)
  vim.api.nvim_echo({ { table.concat(lines, '\n') } }, true, {})
end

--- Print how things stand.
function M.show()
  local reason = M.local_reason()
  local found = client.any()
  if not found then
    print_lines({ reason or 'No server runs: see :checkhealth midfill' })
    return
  end
  if not client.is_current(found) then
    print_lines({ 'The server is too old to say more. ' .. client.UPDATE })
    return
  end
  client.ask('midfill/status', {}, function(answer)
    local lines = lines_of(answer)
    if reason then table.insert(lines, reason) end
    print_lines(lines)
  end, found)
end

--- Print why the last request brought nothing.
function M.why()
  local reason = M.local_reason()
  if reason then
    print_lines({ reason })
    return
  end
  local state = client.status(0)
  local params = { textDocument = { uri = vim.uri_from_bufnr(0) } }
  client.ask('midfill/why', params, function(answer)
    local text = message.here(vim.trim(('%s %s'):format(answer.text, answer.hint or '')))
    -- A pause matters more than what the last request met before it.
    local is_paused = state and state.kind == 'Inactive' and state.message ~= ''
    print_lines({ is_paused and message.here(state.message) or text })
  end)
end

return M
