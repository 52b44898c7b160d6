"""The engine: one process per user that owns the model and serves every window.

Reading order: protocol (frames on the socket), options (what an engine is started with),
host (the process: sockets, lanes, life), backend (what turns a prompt into tokens),
llama_backend on llama (the only importer of llama_cpp) with slots (KV reuse), scripted (a test
double), client (the other end of the socket, in the language server).
"""
