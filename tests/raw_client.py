"""A language client that works on raw frames, so that it can also misbehave."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
# How long a test waits for something that must happen; a failed wait fails the test.
PATIENCE_S = 60.0
URI = "file:///home/someone/project/a.py"

Json = dict[str, Any]


class RawClient:
    """Starts a server and talks to it.

    Args:
        arguments: for the scripted server.
        read: whether to read what the server writes.
        command: instead of the scripted server.
    """

    def __init__(
        self,
        arguments: Sequence[str] = (),
        *,
        read: bool = True,
        command: Sequence[str] | None = None,
    ) -> None:
        self._errors: list[bytes] = []
        self.process = subprocess.Popen(
            command or [sys.executable, "-m", "tests.scripted_service", *arguments],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            bufsize=0,
        )
        self._messages: queue.Queue[Json | None] = queue.Queue()
        self.seen: list[Json] = []
        self._next_id = 0
        self._threads = [threading.Thread(target=self._read_errors, daemon=True)]
        self._reader = threading.Thread(target=self._read, daemon=True)
        if read:
            self._threads.append(self._reader)
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> RawClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()
        self.process.wait()
        for thread in self._threads:
            thread.join(PATIENCE_S)
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    # -- sending -------------------------------------------------------------------------

    def send_bytes(self, data: bytes) -> None:
        """Write bytes as they are."""
        assert self.process.stdin is not None
        view = memoryview(data)
        while view:
            view = view[os.write(self.process.stdin.fileno(), view) :]

    def send_value(self, value: object) -> None:
        """Write a JSON value in a frame."""
        body = json.dumps(value).encode()
        self.send_bytes(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))

    def notify(self, method: str, params: object = None) -> None:
        """Send a notification."""
        self.send_value({"jsonrpc": "2.0", "method": method, "params": params})

    def send(self, method: str, params: object = None) -> int:
        """Send a request without waiting for its answer; returns the id."""
        self._next_id += 1
        message = {"jsonrpc": "2.0", "id": self._next_id, "method": method, "params": params}
        self.send_value(message)
        return self._next_id

    def request(self, method: str, params: object = None) -> Any:
        """Send a request and return its result."""
        answer = self.answer(self.send(method, params))
        assert "error" not in answer, answer
        return answer["result"]

    def close_stdin(self) -> None:
        """Close the server's stdin."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    # -- receiving -----------------------------------------------------------------------

    def wait_for(self, wanted: Callable[[Json], bool]) -> Json:
        """The next message from the server that is wanted; others are kept in ``seen``."""
        while True:
            message = self._messages.get(timeout=PATIENCE_S)
            assert message is not None, f"the server ended: {self.errors}"
            self.seen.append(message)
            if wanted(message):
                return message

    def answer(self, msg_id: int | str | None) -> Json:
        """The answer to a request."""
        return self.wait_for(lambda m: "method" not in m and m["id"] == msg_id)

    def rest(self) -> list[Json]:
        """All messages until the server closes its end."""
        while (message := self._messages.get(timeout=PATIENCE_S)) is not None:
            self.seen.append(message)
        return self.seen

    def exit_code(self) -> int:
        """Wait for the server to end."""
        return self.process.wait(PATIENCE_S)

    @property
    def errors(self) -> str:
        """What the server has written to stderr so far; all of it once it has ended."""
        if self.process.poll() is not None:
            self._threads[0].join(PATIENCE_S)
        return b"".join(self._errors).decode()

    def start_reading(self) -> None:
        """Begin to read after all."""
        self._threads.append(self._reader)
        self._reader.start()

    # -- a session -----------------------------------------------------------------------

    def initialize(self, **params: Any) -> Json:
        """Handshake; returns the server's capabilities."""
        defaults = {
            "processId": os.getpid(),
            "clientInfo": {"name": "raw"},
            "capabilities": {"textDocument": {"inlineCompletion": {}}},
        }
        result: Json = self.request("initialize", {**defaults, **params})
        self.notify("initialized", {})
        capabilities: Json = result["capabilities"]
        return capabilities

    def open(self, text: str, uri: str = URI, version: int = 1) -> None:
        """Open a document."""
        item = {"uri": uri, "languageId": "python", "version": version, "text": text}
        self.notify("textDocument/didOpen", {"textDocument": item})

    def send_complete(self, line: int = 0, character: int = 999, **params: Any) -> int:
        """Ask for an inline completion; returns the id."""
        return self.send(
            "textDocument/inlineCompletion", completion_params(line, character, **params)
        )

    def complete(self, line: int = 0, character: int = 999, **params: Any) -> list[Json]:
        """The items of an inline completion."""
        answer = self.answer(self.send_complete(line, character, **params))
        items: list[Json] = answer["result"]["items"]
        return items

    # -- threads -------------------------------------------------------------------------

    def _read(self) -> None:
        stream = self.process.stdout
        assert stream is not None
        with os.fdopen(os.dup(stream.fileno()), "rb") as buffered:
            while header := buffered.readline():
                assert header.startswith(b"Content-Length: "), header
                assert buffered.readline() == b"\r\n"
                self._messages.put(json.loads(buffered.read(int(header[16:]))))
        self._messages.put(None)

    def _read_errors(self) -> None:
        assert self.process.stderr is not None
        while chunk := os.read(self.process.stderr.fileno(), 65536):
            self._errors.append(chunk)


def completion_params(line: int = 0, character: int = 999, **params: Any) -> Json:
    """Parameters of an inline completion."""
    return {
        "textDocument": {"uri": URI},
        "position": {"line": line, "character": character},
        "context": {"triggerKind": 2},
        **params,
    }
