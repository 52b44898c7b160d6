"""A completion service that does what the cursor's line says; ``python -m`` serves it on stdio.

The text of the line left of the cursor is the script:

``say WORDS``      answer with WORDS
``grow A B C``     partial results "A", "AB", then the answer "ABC"
``skip REASON``    no suggestion for that reason
``wait``           never answer; end on cancellation
``stubborn``       ignore cancellation, then answer
``thread``         hang in a worker thread that cannot be cancelled
``version``        answer with the snapshot's version and text size
``print``          write to stdout from Python, from C and from a child process
``fail``           raise an error that holds source text
``refuse``         raise an error of midfill's own tree
``status KIND``    report a status twice
``task``           let a background task fail
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from lsp_server.completion.accounts import Standing
from lsp_server.completion.draft import Account
from lsp_server.engine.choice import Guess
from lsp_server.errors import EngineUnavailableError
from lsp_server.types import (
    Completion,
    CompletionRequest,
    Edit,
    FileMark,
    MarkedFiles,
    OnPartial,
    OnStatus,
    Skip,
    Snapshot,
    Status,
)
from lsp_server.workspace.workspaces import OnProgress

SECRET = "SECRET_SOURCE_TEXT"


class ScriptedService:
    """The double. ``events`` lists what the handlers told it.

    Args:
        fail_in: names of methods that raise; ``*`` is all of them.
    """

    def __init__(self, fail_in: frozenset[str] = frozenset()) -> None:
        self.on_status: OnStatus = lambda _status: None
        self.on_index_progress: OnProgress = lambda _name, _share, _text: None
        self.events: list[tuple[str, object]] = []
        self.accounts: dict[str, Account] = {}
        self.now = Standing()
        self.larger: Guess | None = None
        self.is_recorded = False
        self.n_running = 0
        self._fail_in = fail_in
        self._tasks: set[asyncio.Task[None]] = set()

    async def complete(
        self, request: CompletionRequest, on_partial: OnPartial | None = None
    ) -> Completion | Skip:
        """Do what the line says."""
        self._note("complete", request.id)
        self.n_running += 1
        try:
            return await self._play(request, on_partial)
        finally:
            self.n_running -= 1

    async def alternatives(self, request: CompletionRequest, n: int) -> list[Completion] | Skip:
        """What the line says, in numbered copies."""
        answer = await self.complete(request)
        if isinstance(answer, Skip):
            return answer
        replace = msgspec.structs.replace
        return [
            answer,
            *(
                replace(answer, id=f"{answer.id}-{k}", text=f"{answer.text} {k}")
                for k in range(1, n)
            ),
        ]

    def account(self, uri: str) -> Account | None:
        """What became of the last request."""
        return self.accounts.get(uri)

    async def _play(
        self, request: CompletionRequest, on_partial: OnPartial | None
    ) -> Completion | Skip:
        line = request.snapshot.lines[request.line][: request.column]
        verb, _, rest = line.strip().partition(" ")
        if verb == "grow":
            text = ""
            for piece in rest.split():
                if text and on_partial:
                    on_partial(_completion(request, text, complete=False))
                    await asyncio.sleep(0)
                text += piece
            return _completion(request, text)
        if verb == "version":
            snapshot = request.snapshot
            return _completion(request, f"{snapshot.version}:{len(snapshot.text)}")
        if verb == "skip":
            return Skip(reason=rest, message=f"It is {rest}.")
        if verb in _ACTIONS:
            await _ACTIONS[verb](self, rest)
        return _completion(request, rest or verb)

    async def wait(self, _rest: str) -> None:
        """Never end by itself."""
        await asyncio.Event().wait()

    async def stubborn(self, _rest: str) -> None:
        """End after a cancellation, but not by it."""
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async def thread(self, _rest: str) -> None:
        """Hang where asyncio cannot reach."""
        await asyncio.to_thread(threading.Event().wait)

    async def print(self, _rest: str) -> None:
        """Write to stdout in every way."""
        print("Content-Length: 5\r\n\r\nprint", flush=True)
        os.write(1, b"Content-Length: 5\r\n\r\nwrite")
        child = [sys.executable, "-c", "print('child'); input()"]
        await asyncio.to_thread(subprocess.run, child, check=False, stderr=subprocess.DEVNULL)

    async def fail(self, _rest: str) -> None:
        """Raise with source text in the message."""
        raise ValueError(SECRET)

    async def refuse(self, _rest: str) -> None:
        """Raise an error of the tree."""
        raise EngineUnavailableError(
            "The engine is not there.", code="engine_gone", hint="Run: midfill doctor"
        )

    async def status(self, rest: str) -> None:
        """Report twice."""
        for _ in range(2):
            self.on_status(Status(kind=rest, message=f"It is {rest}"))  # type: ignore[arg-type]

    async def task(self, _rest: str) -> None:
        """Fail where nobody waits."""

        async def background() -> None:
            raise ValueError(SECRET)

        self._tasks = {asyncio.create_task(background())}
        await asyncio.wait(self._tasks)
        self._tasks.clear()

    def standing(self) -> Standing:
        """What the test says."""
        self._note("standing", None)
        return self.now

    def larger_model(self) -> Guess | None:
        """What the test says."""
        return self.larger

    async def pause(self, paused: bool) -> None:
        """Take note after a while."""
        await asyncio.sleep(0)
        self._note("pause", paused)

    async def recorded(self) -> bool:
        """Whether the test says so."""
        self._note("recorded", None)
        return self.is_recorded

    async def accepted(self, completion_id: str) -> None:
        """Take note after a while."""
        await asyncio.sleep(0)
        self._note("accepted", completion_id)

    def shown(self, completion_id: str) -> None:
        """Take note."""
        self._note("shown", completion_id)

    def partially_accepted(self, completion_id: str, n_utf16: int) -> None:
        """Take note."""
        self._note("partially_accepted", (completion_id, n_utf16))

    def dismissed(self, completion_id: str) -> None:
        """Take note."""
        self._note("dismissed", completion_id)

    def open_folders(self, roots: Iterable[Path]) -> None:
        """Take note."""
        self._note("open_folders", [*roots])

    async def close_folders(self, roots: Iterable[Path]) -> None:
        """Take note."""
        self._note("close_folders", [*roots])

    def file_changed(self, uri: str) -> None:
        """Take note."""
        self._note("file_changed", uri)

    def mark_file(self, uri: str, mark: FileMark) -> bool:
        """All files but those of another disk are in a folder."""
        self._note("mark_file", (uri, mark))
        return not uri.startswith("file:///elsewhere/")

    def marked_files(self) -> MarkedFiles:
        """One of each."""
        self._note("marked_files", None)
        return MarkedFiles(pinned=("file:///p/a.py",), banned=("file:///p/b.py",))

    def document_opened(self, snapshot: Snapshot) -> None:
        """Take note."""
        self._note("document_opened", snapshot.uri)

    def document_edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """Note what was done."""
        self._note("document_edited", (snapshot.text, edits))

    def cursor_at(
        self, snapshot: Snapshot, line: int, column: int, *, typing: bool = False
    ) -> None:
        """Take note."""
        self._note("cursor_at", (snapshot.text, line, column, typing))

    def document_closed(self, uri: str) -> None:
        """Take note."""
        self._note("document_closed", uri)

    def focused(self, uri: str) -> None:
        """Take note."""
        self._note("focused", uri)

    async def reconfigure(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Take note; there is a problem with each option that is None."""
        self._note("reconfigure", options)
        return tuple(f"{name} is not used." for name, value in options.items() if value is None)

    async def start(self) -> None:
        """Report that all is well."""
        self._note("start", None)
        self.on_status(Status(kind="Normal"))

    async def aclose(self) -> None:
        """Take note."""
        self._note("aclose", None)

    def _note(self, name: str, what: object) -> None:
        if name in self._fail_in or "*" in self._fail_in:
            raise ValueError(SECRET)
        self.events.append((name, what))


_ACTIONS = {
    "wait": ScriptedService.wait,
    "stubborn": ScriptedService.stubborn,
    "thread": ScriptedService.thread,
    "print": ScriptedService.print,
    "fail": ScriptedService.fail,
    "refuse": ScriptedService.refuse,
    "status": ScriptedService.status,
    "task": ScriptedService.task,
}


def _completion(request: CompletionRequest, text: str, *, complete: bool = True) -> Completion:
    line = request.snapshot.lines[request.line]
    return Completion(
        id=request.id,
        text=text,
        line=request.line,
        column=request.column,
        replace_after=1 if line[request.column : request.column + 1] == ")" else 0,
        complete=complete,
    )


def main() -> int:
    """Serve the double; arguments are the names of the methods that fail."""
    from lsp_server import server

    return server.serve(lambda _options, _name: ScriptedService(frozenset(sys.argv[1:])))


if __name__ == "__main__":
    sys.exit(main())
