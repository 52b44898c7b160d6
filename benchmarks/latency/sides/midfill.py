"""midfill's language server over LSP on stdio, with an engine of its own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import psutil

from benchmarks.latency.session import Edit, Event, Moment, Open
from benchmarks.latency.sides.child import quiet
from benchmarks.latency.sides.setup import WARM_UP, Setup
from benchmarks.latency.sides.types import Answer, Stopwatch
from benchmarks.machine import ROOT
from benchmarks.replay.lsp_client import Json, LspClient
from lsp_server.errors import EngineError
from lsp_server.positions import units_of

_TIMEOUT_S = 180.0
_AUTOMATIC = 2
_WARM_UP_FILE = "warm_up.py"
# Reasons for an empty answer that come from the suggestion itself; others are trouble.
_EXPECTED = ("model_stopped", "filtered_", "inside_comment")


class _Client(LspClient):
    """Tells the server when a request is taken back."""

    async def request(self, method: str, params: object) -> Any:
        number = self._next_id + 1
        try:
            return await super().request(method, params)
        except asyncio.CancelledError:
            with contextlib.suppress(EngineError):
                await self.notify("$/cancelRequest", {"id": number})
            raise


class Midfill:
    """The language server, as an editor with partial results drives it.

    Its debounce is part of what is timed, as it is of what a user waits for. Logs, settings and
    sockets are in a private folder: neither the user's log nor the user's engine is touched.
    """

    name = "midfill"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        # A short name: the address of a Unix socket holds about 100 bytes.
        self._home = Path(tempfile.mkdtemp(prefix="mfl-"))
        self._root = self._home / "project"
        self._client: _Client | None = None
        self._versions: dict[str, int] = {}
        self._lines: list[str] = []
        self._watches: dict[str, Stopwatch] = {}
        self._n_asked = 0
        self._processes: list[psutil.Process] = []

    async def start(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        self._client = _Client(
            [sys.executable, "-m", "lsp_server.cli", "serve"],
            cwd=str(ROOT),
            environment=self._environment(),
            timeout_s=_TIMEOUT_S,
            on_notification=self._notified,
        )
        await self._client.start()
        setup = self._setup
        await self._client.request(
            "initialize",
            {
                "processId": os.getpid(),
                "clientInfo": {"name": "midfill-benchmarks"},
                "rootUri": self._root.as_uri(),
                "capabilities": {
                    "general": {"positionEncodings": ["utf-16"]},
                    "textDocument": {"inlineCompletion": {}},
                },
                "initializationOptions": {
                    "model": {"id": setup.model},
                    "engine": {"n_threads": setup.n_threads, "idle_exit_s": 30},
                    "completion": {
                        "n_prefix_tokens": setup.budget.n_prefix_tokens,
                        "n_suffix_tokens": setup.budget.n_suffix_tokens,
                        "max_tokens": setup.max_tokens,
                    },
                },
            },
        )
        await self._client.notify("initialized", {})
        moment = Moment(path=_WARM_UP_FILE, text=WARM_UP, line=0, column=len(WARM_UP))
        await self.apply(Open(gap_ms=0, path=_WARM_UP_FILE), moment)
        await self.ask(moment)
        await self._server.notify("textDocument/didClose", self._document(_WARM_UP_FILE))
        self._processes = _processes(self._home)

    async def apply(self, event: Event, moment: Moment) -> None:
        lines_before, self._lines = self._lines, moment.text.split("\n")
        document = self._document(moment.path)
        if isinstance(event, Open):
            if moment.path not in self._versions:
                self._versions[moment.path] = 1
                item = {"languageId": "python", "version": 1, "text": moment.text}
                item |= document["textDocument"]
                await self._server.notify("textDocument/didOpen", {"textDocument": item})
            await self._server.notify("textDocument/didFocus", document)
        elif isinstance(event, Edit):
            self._versions[moment.path] += 1
            document["textDocument"]["version"] = self._versions[moment.path]
            span = {
                "start": _position(lines_before, event.line, event.column),
                "end": _position(lines_before, event.end_line, event.end_column),
            }
            changes = [{"range": span, "text": event.text}]
            await self._server.notify(
                "textDocument/didChange", {**document, "contentChanges": changes}
            )

    async def ask(self, moment: Moment) -> Answer:
        self._n_asked += 1
        token = f"suggestion-{self._n_asked}"
        document = self._document(moment.path)
        watch = self._watches[token] = Stopwatch()
        try:
            result = await self._server.request(
                "textDocument/inlineCompletion",
                {
                    **document,
                    "position": _position(self._lines, moment.line, moment.column),
                    "context": {"triggerKind": _AUTOMATIC},
                    "partialResultToken": token,
                },
            )
        finally:
            del self._watches[token]
        watch.show(_text(result))
        answer = watch.answer()
        explained: Json = await self._server.request("midfill/explain", document) or {}
        return _completed(answer, explained)

    async def settle(self) -> None:
        await quiet(self._processes)

    async def aclose(self) -> None:
        try:
            if self._client is not None:
                await self._client.aclose()
                self._client = None
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "lsp_server.cli", "engine", "stop"),
                cwd=str(ROOT),
                env=self._environment(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            await process.wait()
        finally:
            shutil.rmtree(self._home, ignore_errors=True)

    @property
    def at_hand(self) -> str:
        """What has come of the suggestion that is asked for."""
        return next((watch.text for watch in self._watches.values()), "")

    @property
    def _server(self) -> _Client:
        if self._client is None:
            raise EngineError("The language server was not started.", code="server_gone")
        return self._client

    def _document(self, path: str) -> dict[str, dict[str, Any]]:
        return {"textDocument": {"uri": (self._root / path).as_uri()}}

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            # The code of this checkout, whatever is installed.
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.getenv("PYTHONPATH")))),
            "MIDFILL_STATE_DIR": str(self._home / "state"),
            "MIDFILL_CONFIG_DIR": str(self._home / "config"),
            "MIDFILL_RUNTIME_DIR": str(self._home / "run"),
        }

    def _notified(self, method: str, params: Json) -> None:
        watch = self._watches.get(str(params.get("token")))
        if method == "$/progress" and watch is not None:
            watch.show(_text(params.get("value")))


def _completed(answer: Answer, explained: Json) -> Answer:
    """The answer with what the server says of it: its own time to the first token, and tokens."""
    reason = explained.get("reason") or ""
    if not answer.text and not reason.startswith(_EXPECTED):
        raise EngineError(
            f"midfill gives no suggestions: {explained.get('message') or reason or 'no reason'}",
            code=reason or "server_mute",
        )
    timings = explained.get("timings") or {}
    if not timings:
        return answer
    n_prompt = int(timings["nPrompt"])
    return Answer(
        text=answer.text,
        ttft_ms=float(timings["ttftMs"]) or answer.display_ms,
        display_ms=answer.display_ms,
        line_ms=answer.line_ms,
        total_ms=answer.total_ms,
        n_prompt=n_prompt,
        n_evaluated=n_prompt - int(timings["nReused"]),
    )


def _text(value: Any) -> str:
    items = (value or {}).get("items") or []
    return str(items[0].get("insertText", "")) if items else ""


def _position(lines: list[str], line: int, column: int) -> dict[str, int]:
    return {"line": line, "character": units_of(lines[line], column, "utf-16")}


def _processes(home: Path) -> list[psutil.Process]:
    """The server and the engine that use a private folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("MIDFILL_RUNTIME_DIR") == str(home / "run"):
                found.append(process)
    return found
