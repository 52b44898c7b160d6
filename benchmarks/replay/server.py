"""The real language server, driven over LSP on stdio as an editor drives it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.lsp.client import Json
from benchmarks.lsp.server import PrivateServer
from benchmarks.replay.types import Project, Suggestion
from lsp_server.answers import ACCEPTED_COMMAND
from lsp_server.documents import Change, Span, TextDocument
from lsp_server.errors import EngineError
from lsp_server.positions import units_of
from lsp_server.score.evidence import Evidence

TIMEOUT_S = 120.0
# Empty answers to every request: nothing would be measured.
_SWITCHED_OFF = ("disabled", "language_disabled", "superseded")
_AUTOMATIC = 2
_ENGINE_IDLE_S = 30
# A prompt of a few tokens, answered within a line.
_REST = ("midfill-rest.py", "import ")


class LspServer:
    """Asks the language server; a ``Suggester``.

    The server has folders of its own for logs, settings and sockets, and so an engine of its own:
    neither the user's acceptance log nor the user's settings are touched or read, and no editor's
    requests get in between. There is one slot in the engine's KV cache, and a tiny prompt goes
    through it whenever a document is opened: how much of a prompt is found in the cache, on which
    the last bits of its logits depend, then follows from the document's own requests, and a run
    that was interrupted goes on as if it had not been.

    Args:
        settings: options as an editor sends them, nested: ``{"completion": {"max_lines": 4}}``.
        timeout_s: how long an answer may take.
    """

    def __init__(
        self,
        settings: Mapping[str, Mapping[str, Any]] | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        layers: dict[str, dict[str, Any]] = {
            "engine": {"n_slots": 1, "kv_store_mib": 0, "idle_exit_s": _ENGINE_IDLE_S},
            # What is in the cache must depend on the requests alone, not on the time between. And
            # the keys of a replay come in nobody's rhythm.
            "completion": {"warm_up": False, "mode": "eager"},
        }
        for section, values in (settings or {}).items():
            layers[section] = {**layers.get(section, {}), **values}
        self._settings = layers
        self._server = PrivateServer(self._notified, timeout_s=timeout_s)
        self._root: Path | None = None
        self._uri = ""
        self._version = 0
        self._document = _document("", "")
        self._n_asked = 0
        self._first_partial_s: dict[str, float] = {}
        self._item: Json = {}
        self._told: set[str] = set()

    @property
    def state_dir(self) -> Path:
        """Where the server keeps its acceptance log; gone once the server is closed."""
        return self._server.state_dir

    async def start(self, project: Project) -> None:
        """Start a server in the project's folder; the one of another project ends first."""
        if self._server.running and self._root == project.root:
            return
        await self._server.leave()
        self._root = project.root
        await self._server.start(project.root, self._settings)

    async def open(self, path: str, text: str) -> None:
        """See Suggester."""
        await self._empty_cache()
        await self._open(path, text)
        # What the engine knows must not depend on how fast it reads.
        await self._server.settled()

    async def _open(self, path: str, text: str) -> None:
        assert self._root is not None
        self._uri = (self._root.absolute() / path).as_uri()
        self._version = 1
        self._document = _document(self._uri, text)
        item = {"uri": self._uri, "languageId": "python", "version": 1, "text": text}
        await self._server.client.notify("textDocument/didOpen", {"textDocument": item})
        await self._server.client.notify("textDocument/didFocus", self._named)

    async def _empty_cache(self) -> None:
        path, text = _REST
        await self._open(path, text)
        await self.suggest(0, len(text))
        await self.close()

    async def replace(
        self, line: int, column: int, end_line: int, end_column: int, text: str
    ) -> None:
        """See Suggester."""
        change = {
            "range": {
                "start": self._position(line, column),
                "end": self._position(end_line, end_column),
            },
            "text": text,
        }
        span = Span(
            start_line=line, start_character=column, end_line=end_line, end_character=end_column
        )
        self._version += 1
        self._document.change(self._version, [Change(text=text, span=span)])
        await self._server.client.notify(
            "textDocument/didChange",
            {
                "textDocument": {"uri": self._uri, "version": self._version},
                "contentChanges": [change],
            },
        )

    async def suggest(self, line: int, column: int) -> Suggestion:
        """See Suggester.

        Raises:
            EngineError: the server or its engine failed; the message says what to do.
        """
        self._n_asked += 1
        token = f"suggestion-{self._n_asked}"
        started_s = time.perf_counter()
        result = await self._server.client.request(
            "textDocument/inlineCompletion",
            {
                "textDocument": {"uri": self._uri},
                "position": self._position(line, column),
                "context": {"triggerKind": _AUTOMATIC},
                "partialResultToken": token,
            },
        )
        total_s = time.perf_counter() - started_s
        items = result["items"] if result else []
        first_s = self._first_partial_s.pop(token, None)
        wanted = {**self._named, "evidence": True}
        explained: Json = await self._server.client.request("midfill/explain", wanted) or {}
        if not items:
            self._check(explained)
        shown_ms = 1000 * ((total_s if first_s is None else first_s - started_s) if items else 0)
        self._item = items[0] if items else {}
        return _suggestion(self._item, explained, shown_ms, 1000 * total_s)

    async def accept(self, suggestion: Suggestion, n_characters: int) -> None:
        """See Suggester."""
        await self._show(suggestion)
        if n_characters >= len(suggestion.text):
            params: Json = {"command": ACCEPTED_COMMAND, "arguments": [suggestion.id]}
            await self._server.client.request("workspace/executeCommand", params)
        else:
            n_utf16 = units_of(suggestion.text, n_characters, "utf-16")
            params = {"item": self._item, "acceptedLength": n_utf16}
            await self._server.client.notify("textDocument/didPartiallyAcceptCompletion", params)

    async def dismiss(self, suggestion: Suggestion) -> None:
        """See Suggester."""
        await self._show(suggestion)
        await self._server.client.notify("midfill/didDismissCompletion", {"item": self._item})

    async def _show(self, suggestion: Suggestion) -> None:
        if self._item.get("command", {}).get("arguments") != [suggestion.id]:
            raise ValueError("only the last suggestion can be accepted or dismissed")
        await self._server.client.notify("textDocument/didShowCompletion", {"item": self._item})

    async def close(self) -> None:
        """See Suggester."""
        await self._server.client.notify("textDocument/didClose", self._named)

    async def aclose(self) -> None:
        """See Suggester. The server and its engine are gone when this returns."""
        await self._server.aclose()

    @property
    def _named(self) -> Json:
        """The open document, as params name it."""
        return {"textDocument": {"uri": self._uri}}

    def _position(self, line: int, column: int) -> dict[str, int]:
        text = self._document.lines[line]
        return {"line": line, "character": units_of(text, column, "utf-16")}

    def _notified(self, method: str, params: Json) -> None:
        if method == "$/progress":
            self._first_partial_s.setdefault(str(params.get("token")), time.perf_counter())
        elif method == "didChangeStatus" and params.get("kind") in ("Warning", "Error"):
            self._told.add(str(params.get("message")))

    def _check(self, explained: Json) -> None:
        """Raise where an empty answer is no answer but trouble.

        The server tells of trouble in its status line, in the very words that the answer has.
        """
        reason, message = str(explained.get("reason", "")), str(explained.get("message", ""))
        if not reason:
            raise EngineError(
                "The language server has not answered and does not say why.", code="server_mute"
            )
        if reason in _SWITCHED_OFF or message in self._told:
            raise EngineError(message, code=reason)


def _document(uri: str, text: str) -> TextDocument:
    """The text as the server has it; columns in code points."""
    return TextDocument(uri, "python", 1, text, encoding="utf-32")


def _suggestion(item: Json, explained: Json, display_ms: float, total_ms: float) -> Suggestion:
    timings = explained.get("timings") or {}
    told = explained.get("evidence")
    start = (item.get("range") or {}).get("start", {})
    end = (item.get("range") or {}).get("end", {})
    return Suggestion(
        text=str(item.get("insertText", "")),
        reason=explained.get("reason") or "",
        raw=str(explained.get("raw", "")),
        replace_after=int(end.get("character", 0)) - int(start.get("character", 0)),
        logprobs=tuple(explained.get("logprobs", ())),
        ttft_ms=float(timings.get("ttftMs", 0)),
        display_ms=display_ms,
        total_ms=total_ms,
        n_prompt=int(timings.get("nPrompt", 0)),
        n_reused=int(timings.get("nReused", 0)),
        id=str(explained.get("id", "")),
        evidence=msgspec.convert(told, Evidence) if told else None,
    )
