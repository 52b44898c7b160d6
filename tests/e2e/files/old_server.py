"""A language server from before midfill's own methods: plain inline completion, and nothing else.

usage: old_server.py LOG    where every method that a client sends is written to
"""

import json
import sys


def read():
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(sys.stdin.buffer.read(length)) if length else None


def reply(request, result):
    body = json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}).encode()
    sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
    sys.stdout.buffer.flush()


CAPABILITIES = {
    "positionEncoding": "utf-16",
    "textDocumentSync": {"openClose": True, "change": 2},
    "inlineCompletionProvider": True,
    "executeCommandProvider": {"commands": ["midfill.accepted"]},
}
ITEM = {
    "insertText": "return r + g",
    "command": {"title": "Accept", "command": "midfill.accepted", "arguments": ["1"]},
}

with open(sys.argv[1], "a", buffering=1) as log:
    while (message := read()) is not None:
        method = message.get("method", "")
        log.write(method + "\n")
        if method == "exit":
            break
        if method == "initialize":
            info = {"name": "midfill", "version": "0.0.1"}
            reply(message, {"capabilities": CAPABILITIES, "serverInfo": info})
        elif method == "textDocument/inlineCompletion":
            reply(message, {"items": [ITEM]})
        elif "id" in message and method:
            reply(message, None)
