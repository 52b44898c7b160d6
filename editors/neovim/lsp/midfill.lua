-- midfill for Neovim 0.12 and later: ghost text by Neovim's own inline completion client.
--
-- Needs the `midfill` command on PATH. Put this into init.lua, with the path of this folder's
-- parent (editors/neovim), or copy this file to ~/.config/nvim/lsp/ and leave out the first line:
--
--   vim.opt.runtimepath:append('/path/to/midfill/editors/neovim')
--   vim.lsp.enable('midfill')
--   vim.lsp.inline_completion.enable(true)
--
-- Accept a suggestion with <Tab>, which stays a tab where there is none:
--
--   vim.keymap.set('i', '<Tab>', function()
--     if not vim.lsp.inline_completion.get() then return '<Tab>' end
--   end, { expr = true, desc = 'Accept the suggestion' })
--
-- To change something, for instance the command, call vim.lsp.config before vim.lsp.enable:
--
--   vim.lsp.config('midfill', { cmd = { '/path/to/midfill', 'serve' } })

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
  -- Tell where the cursor rests: the prompt there is evaluated while you read.
  on_attach = function(client, buffer)
    vim.api.nvim_create_autocmd({ 'BufEnter', 'CursorMoved', 'InsertEnter' }, {
      buffer = buffer,
      desc = 'Tell midfill where the cursor is',
      callback = function()
        if client:is_stopped() then return true end
        client:notify(
          'midfill/didMoveCursor',
          vim.lsp.util.make_position_params(0, client.offset_encoding)
        )
      end,
    })
  end,
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
}
