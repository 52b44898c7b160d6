-- midfill for Neovim 0.11 and later, as vim.lsp.enable('midfill') reads it.
--
-- Needs the `midfill` command on PATH. require('midfill').setup() enables it; see :help midfill.
-- To change something else than the options of setup, call vim.lsp.config before:
--
--   vim.lsp.config('midfill', { filetypes = { 'python' } })

---@type vim.lsp.Config
return {
  cmd = { 'midfill', 'serve' },
  -- The model knows these well. Python also gets context from its syntax tree.
  filetypes = {
    'python',
    'bash',
    'c',
    'cpp',
    'cs',
    'css',
    'dart',
    'elixir',
    'go',
    'haskell',
    'html',
    'java',
    'javascript',
    'javascriptreact',
    'json',
    'julia',
    'kotlin',
    'lua',
    'make',
    'markdown',
    'perl',
    'php',
    'r',
    'ruby',
    'rust',
    'scala',
    'sh',
    'sql',
    'swift',
    'toml',
    'typescript',
    'typescriptreact',
    'vue',
    'yaml',
    'zig',
  },
  -- One server serves all files below the nearest folder with one of these; a file outside of any
  -- project is served as well.
  root_markers = {
    '.git',
    'pyproject.toml',
    'setup.py',
    'package.json',
    'Cargo.toml',
    'go.mod',
    'Makefile',
  },
  -- Neovim 0.11 does not say so on its own.
  capabilities = { textDocument = { inlineCompletion = { dynamicRegistration = false } } },
  handlers = require('midfill.client').handlers,
  before_init = function()
    require('midfill').start()
    require('midfill.client').before_init()
  end,
  on_init = function(client)
    require('midfill.client').on_init(client)
  end,
  on_exit = function(...)
    require('midfill.client').on_exit(...)
  end,
}
