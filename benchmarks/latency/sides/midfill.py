"""midfill's language server over LSP on stdio, with an engine of its own."""

from __future__ import annotations

import contextlib
from typing import Any

import psutil

from benchmarks.latency.session import Edit, Event, Moment, Open
from benchmarks.latency.sides.child import quiet
from benchmarks.latency.sides.setup import WARM_UP, Setup
from benchmarks.latency.sides.types import Answer, Stopwatch
from benchmarks.lsp.client import Json
from benchmarks.lsp.server import PrivateServer
from lsp_server.errors import EngineError
from lsp_server.positions import units_of

_TIMEOUT_S = 180.0
_AUTOMATIC = 2
_WARM_UP_FILE = "warm_up.py"
# Reasons for an empty answer that come from the suggestion itself; others are trouble.
_EXPECTED = ("model_stopped", "filtered_", "inside_comment")


class Midfill:
    """The language server, as an editor with partial results drives it.

    Its debounce is part of what is timed, as it is of what a user waits for. Logs, settings and
    sockets are in a private folder: neither the user's log nor the user's engine is touched.
    """

    name = "midfill"

    def __init__(self, setup: Setup) -> None:
        self._setup = setup
        self._server = PrivateServer(self._notified, timeout_s=_TIMEOUT_S)
        self._root = self._server.home / "project"
        self._versions: dict[str, int] = {}
        self._lines: list[str] = []
        self._watches: dict[str, Stopwatch] = {}
        self._n_asked = 0
        self._processes: list[psutil.Process] = []

    async def start(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        setup = self._setup
        completion = {
            "n_prefix_tokens": setup.budget.n_prefix_tokens,
            "n_suffix_tokens": setup.budget.n_suffix_tokens,
            "max_tokens": setup.max_tokens,
        }
        settings = {
            "model": {"id": setup.model},
            # A prompt of an earlier run would make a cold request a warm one.
            "engine": {"n_threads": setup.n_threads, "kv_store_mib": 0, "idle_exit_s": 30},
            "completion": completion,
        }
        await self._server.start(self._root, settings)
        moment = Moment(path=_WARM_UP_FILE, text=WARM_UP, line=0, column=len(WARM_UP))
        await self.apply(Open(gap_ms=0, path=_WARM_UP_FILE), moment)
        await self.ask(moment)
        await self._server.client.notify("textDocument/didClose", self._document(_WARM_UP_FILE))
        self._processes = _processes(self._server)

    async def apply(self, event: Event, moment: Moment) -> None:
        lines_before, self._lines = self._lines, moment.text.split("\n")
        document = self._document(moment.path)
        if isinstance(event, Open):
            if moment.path not in self._versions:
                self._versions[moment.path] = 1
                item = {"languageId": "python", "version": 1, "text": moment.text}
                item |= document["textDocument"]
                await self._server.client.notify("textDocument/didOpen", {"textDocument": item})
            await self._server.client.notify("textDocument/didFocus", document)
        elif isinstance(event, Edit):
            self._versions[moment.path] += 1
            document["textDocument"]["version"] = self._versions[moment.path]
            span = {
                "start": _position(lines_before, event.line, event.column),
                "end": _position(lines_before, event.end_line, event.end_column),
            }
            changes = [{"range": span, "text": event.text}]
            await self._server.client.notify(
                "textDocument/didChange", {**document, "contentChanges": changes}
            )

    async def ask(self, moment: Moment) -> Answer:
        self._n_asked += 1
        token = f"suggestion-{self._n_asked}"
        document = self._document(moment.path)
        watch = self._watches[token] = Stopwatch()
        try:
            result = await self._server.client.request(
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
        explained: Json = await self._server.client.request("midfill/explain", document) or {}
        return _completed(answer, explained)

    async def settle(self) -> None:
        await quiet(self._processes)

    async def aclose(self) -> None:
        await self._server.aclose()

    @property
    def at_hand(self) -> str:
        """What has come of the suggestion that is asked for."""
        return next((watch.text for watch in self._watches.values()), "")

    def _document(self, path: str) -> dict[str, dict[str, Any]]:
        return {"textDocument": {"uri": (self._root / path).as_uri()}}

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


def _processes(server: PrivateServer) -> list[psutil.Process]:
    """The server and the engine that use a private folder."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("MIDFILL_RUNTIME_DIR") == str(server.runtime_dir):
                found.append(process)
    return found
