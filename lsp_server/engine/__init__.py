"""The engine: one process per user that owns the model and serves every window.

Reading order: protocol (frames on the socket), options (what an engine is started with),
host (the process: sockets, clients, life), lanes (who is next), backend (what turns prompts into
tokens). Of the llama.cpp back end: llama_backend (several jobs, each step one batch), task (a job
at work), slots and reuse (how a prompt is made out of the KV cache of an earlier one), refresh
(what was moved, evaluated again in a pause), healing (half-typed words), llama (the only importer
of llama_cpp). scripted is a test double, client the other end of the socket, in the language
server.
"""
