"""The engine: one process per user that owns the model and serves every window.

Reading order: protocol (frames on the socket), options (what an engine is started with),
host (the process: sockets, clients, life), lanes (who is next, and whether there is work at all),
worker (the thread in which the model comes and goes), pause (the user's switch), job, backend
(what turns prompts into tokens), llama (the llama.cpp back end). scripted is a test double, client
the other end of the socket, in the language server, with breaker and quarantine (what to do about
an engine that dies); spawn and launch start the process; account puts its state into words.

speeds, choice: how fast each model is on this machine, and which one is fast enough. measuring
and survey: how that is found out, when the user says so and when nobody needs the machine.
"""
