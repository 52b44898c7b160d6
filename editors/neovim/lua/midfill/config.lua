--- What the user has set, over the defaults.

local M = {}

---@class midfill.Keys
---@field accept? string|false all of the suggestion
---@field accept_word? string|false its next word
---@field accept_line? string|false up to the end of its line
---@field next? string|false another suggestion for the same place
---@field prev? string|false the one before
---@field dismiss? string|false turn it down
---@field trigger? string|false ask for one now

---@class midfill.Icons
---@field normal string
---@field busy string
---@field off string
---@field warning string
---@field error string

---@class midfill.Options
---@field enabled? boolean whether suggestions are made when Neovim starts
---@field filetypes? table<string, boolean|fun(buf: integer): boolean> false for those without
---suggestions; '*' is all others
---@field keys? boolean|midfill.Keys false maps no key; a table changes some
---@field menu? 'hide'|'show' whether ghost text stands beside an open completion menu
---@field native? boolean let Neovim's own vim.lsp.inline_completion show the suggestions (0.12)
---@field debounce_ms? integer pause after a key before the server is asked; it waits on its own too
---@field n_alternatives? integer how many suggestions to choose from, at most 5
---@field cmd? string[] how the server is started
---@field server? table the server's settings, e.g. { completion = { max_lines = 4 } }
---@field icons? midfill.Icons of the statusline
---@field notify? boolean whether trouble is told in a message

---@type midfill.Keys
local KEYS = {
  accept = '<Tab>',
  accept_word = '<M-Right>',
  accept_line = '<M-C-Right>',
  next = '<M-]>',
  prev = '<M-[>',
  dismiss = '<C-]>',
  trigger = '<M-\\>',
}

---@type midfill.Options
local DEFAULTS = {
  enabled = true,
  filetypes = {},
  keys = true,
  menu = 'hide',
  native = false,
  debounce_ms = 10,
  n_alternatives = 3,
  icons = { normal = '●', busy = '◌', off = '○', warning = '▲', error = '✗' },
  notify = true,
}

local TYPES = {
  enabled = 'boolean',
  native = 'boolean',
  debounce_ms = 'number',
  n_alternatives = 'number',
  cmd = 'table',
  server = 'table',
  icons = 'table',
  notify = 'boolean',
}

---@param value any
---@return string?
local function problem_of_keys(value)
  if type(value) == 'boolean' then return end
  if type(value) ~= 'table' then return 'keys: expected true, false or a table' end
  for name, lhs in pairs(value) do
    if KEYS[name] == nil then return ('keys.%s: there is no such key'):format(name) end
    if type(lhs) ~= 'string' and lhs ~= false then
      return ('keys.%s: expected a key or false'):format(name)
    end
  end
end

---@param value any
---@return string?
local function problem_of_filetypes(value)
  if type(value) ~= 'table' then return 'filetypes: expected a table' end
  for filetype, wanted in pairs(value) do
    if type(filetype) ~= 'string' then
      return 'filetypes: expected { lua = true, … }, not a list'
    end
    if type(wanted) ~= 'boolean' and type(wanted) ~= 'function' then
      return ('filetypes.%s: expected true, false or a function'):format(filetype)
    end
  end
end

---@param name string
---@param value any
---@return string?
local function problem_of(name, value)
  if name == 'filetypes' then return problem_of_filetypes(value) end
  if name == 'keys' then return problem_of_keys(value) end
  if name == 'menu' then
    return value ~= 'hide' and value ~= 'show' and "menu: expected 'hide' or 'show'" or nil
  end
  local wanted = TYPES[name]
  if not wanted then return ('%s: there is no such option'):format(name) end
  if type(value) ~= wanted then return ('%s: expected a %s'):format(name, wanted) end
end

---@type midfill.Options
local options = vim.deepcopy(DEFAULTS)

---@type string[]
M.problems = {}

--- Take options; those that are wrong are left at their defaults and listed in `problems`.
---@param given? midfill.Options
---@return string[] problems
function M.set(given)
  options, M.problems = vim.deepcopy(DEFAULTS), {}
  for name, value in pairs(given or {}) do
    local problem = problem_of(name, value)
    if problem then
      table.insert(M.problems, problem)
    elseif name == 'icons' then
      options.icons = vim.tbl_extend('force', DEFAULTS.icons, value)
    else
      options[name] = value
    end
  end
  table.sort(M.problems)
  options.n_alternatives = math.max(2, math.min(5, options.n_alternatives))
  return M.problems
end

---@return midfill.Options
function M.get()
  return options
end

--- The keys to map: none when `keys` is false.
---@return midfill.Keys
function M.keys()
  local keys = options.keys
  if keys == false then return {} end
  return type(keys) == 'table' and vim.tbl_extend('force', KEYS, keys) or KEYS
end

return M
