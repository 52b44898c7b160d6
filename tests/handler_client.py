"""Calls handlers as the protocol does, with a scripted completion service."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from lsprotocol import types as lsp

from lsp_server.handlers import HANDLERS
from lsp_server.lifecycle.messages import PARAMS
from lsp_server.session import Session
from tests.raw_client import URI, completion_params
from tests.scripted_service import ScriptedService

INLINE: dict[str, Any] = {"textDocument": {"inlineCompletion": {}}}
ITEM = {"insertText": {"value": "a"}, "command": {"title": "", "arguments": ["id-1"]}}


class Client:
    """Calls the handlers as the protocol does, and collects what they send."""

    def __init__(self, **initialize: Any) -> None:
        self.sent: list[tuple[str, Any]] = []
        self.service = ScriptedService()
        self.made_with: list[tuple[object, str]] = []
        self.asked: list[tuple[str, Any]] = []
        self.session = Session(
            self.make_service,
            lambda *message: self.sent.append(message),
            lambda *message: self.asked.append(message),
        )
        params = {"capabilities": INLINE, "clientInfo": {"name": "vim"}, **initialize}
        self.capabilities: lsp.ServerCapabilities = self.call("initialize", params).capabilities

    def make_service(self, options: Mapping[str, Any], name: str) -> ScriptedService:
        """The double; takes note of what it was made with."""
        self.made_with.append((options, name))
        return self.service

    def call(self, method: str, params: object = None) -> Any:
        """What a handler returns."""
        shape = PARAMS[method]
        return HANDLERS[method](self.session, shape and msgspec.convert(params or {}, shape))

    def open(self, text: str, version: int = 1) -> None:
        """Open the document."""
        item = {"uri": URI, "languageId": "python", "version": version, "text": text}
        self.call("textDocument/didOpen", {"textDocument": item})

    async def complete(
        self, line: int = 0, character: int = 999, **params: Any
    ) -> list[lsp.InlineCompletionItem]:
        """Items of an inline completion."""
        answer = self.call(
            "textDocument/inlineCompletion", completion_params(line, character, **params)
        )
        items: list[lsp.InlineCompletionItem] = (await answer).items
        return items

    def sent_of(self, method: str) -> list[Any]:
        """Parameters of all notifications of a method."""
        return [params for name, params in self.sent if name == method]


def range_of(item: lsp.InlineCompletionItem) -> tuple[int, int, int, int]:
    """The range of an item as four numbers."""
    found = item.range
    assert found is not None
    return (found.start.line, found.start.character, found.end.line, found.end.character)
