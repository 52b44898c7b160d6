-- Defines :Midfill and the <Plug> mappings; nothing else is loaded before it is needed.

if vim.g.loaded_midfill then return end
vim.g.loaded_midfill = true

vim.api.nvim_create_user_command('Midfill', function(command)
  require('midfill.commands').run(command.fargs, command.bang)
end, {
  nargs = '*',
  bang = true,
  desc = 'midfill: suggestions from a model on this machine',
  complete = function(beginning, line)
    return require('midfill.commands').complete(beginning, line)
  end,
})

for name, action in pairs({
  accept = 'accept',
  ['accept-word'] = 'accept_word',
  ['accept-line'] = 'accept_line',
  next = 'next',
  prev = 'prev',
  dismiss = 'dismiss',
  trigger = 'trigger',
}) do
  vim.keymap.set('i', ('<Plug>(midfill-%s)'):format(name), function()
    require('midfill')[action]()
  end, { desc = 'midfill: ' .. name })
end
