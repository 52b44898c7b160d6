"""A language server that starts as it should, and then dies each time; counts its starts."""

import json
import pathlib
import sys


def read():
    length = 0
    while line := sys.stdin.buffer.readline().strip():
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return json.loads(sys.stdin.buffer.read(length))


with pathlib.Path(__file__).with_suffix(".starts").open("a") as starts:
    starts.write("start\n")
answer = {"jsonrpc": "2.0", "id": read()["id"], "result": {"capabilities": {}}}
body = json.dumps(answer).encode()
sys.stdout.buffer.write(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))
sys.stdout.buffer.flush()
read()
sys.exit("it fell over")
