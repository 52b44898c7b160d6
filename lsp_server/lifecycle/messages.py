"""What clients send, as Structs that hold the fields midfill reads.

lsprotocol's classes are not used for incoming messages: they drop ``partialResultToken`` and
``textDocument.version`` of an inline completion, know nothing of the notifications below,
and refuse a whole message, an edit for example, for one number or enum value they do not
know. Fields that are not listed here are ignored.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec

MessageId = int | str
Token = int | str


class _Params(msgspec.Struct, frozen=True, rename="camel"):
    """Base: snake_case here, camelCase on the wire."""


class Position(_Params, frozen=True):
    """A place in a text; ``character`` counts units of the negotiated encoding."""

    line: int
    character: int


class Range(_Params, frozen=True):
    """A piece of a text."""

    start: Position
    end: Position


class TextDocumentIdentifier(_Params, frozen=True):
    """A document, and the version the client has of it if it says so."""

    uri: str
    version: int | None = None


class TextDocumentItem(_Params, frozen=True):
    """A document with its text."""

    uri: str
    language_id: str
    version: int
    text: str


class ClientInfo(_Params, frozen=True):
    """The editor."""

    name: str = ""
    version: str | None = None


class WorkspaceFolder(_Params, frozen=True):
    """A folder that is open in the editor."""

    uri: str
    name: str = ""


class InitializeParams(_Params, frozen=True):
    """``initialize``. What is open to clients is checked where it is used."""

    process_id: int | None = None
    client_info: ClientInfo | None = None
    capabilities: dict[str, Any] | None = None
    initialization_options: Any = None
    root_uri: str | None = None
    workspace_folders: list[WorkspaceFolder] | None = None


class FoldersEvent(_Params, frozen=True):
    """Which folders came and went."""

    added: list[WorkspaceFolder] = []
    removed: list[WorkspaceFolder] = []


class DidChangeFoldersParams(_Params, frozen=True):
    """``workspace/didChangeWorkspaceFolders``."""

    event: FoldersEvent


class FileEvent(_Params, frozen=True):
    """A file was made, changed or removed by others; which of these, the disk tells."""

    uri: str


class DidChangeWatchedFilesParams(_Params, frozen=True):
    """``workspace/didChangeWatchedFiles``."""

    changes: list[FileEvent]


class DidChangeConfigurationParams(_Params, frozen=True):
    """``workspace/didChangeConfiguration``; what the settings may be is checked where they go."""

    settings: Any = None


class DidOpenParams(_Params, frozen=True):
    """``textDocument/didOpen``."""

    text_document: TextDocumentItem


class ContentChange(_Params, frozen=True):
    """A step of an edit; without a range the text is the whole document."""

    text: str
    range: Range | None = None


class DidChangeParams(_Params, frozen=True):
    """``textDocument/didChange``."""

    text_document: TextDocumentIdentifier
    content_changes: list[ContentChange]


class DocumentParams(_Params, frozen=True):
    """``textDocument/didClose``, ``didSave``."""

    text_document: TextDocumentIdentifier


class ExplainParams(_Params, frozen=True):
    """``midfill/explain``; with ``evidence`` all that the score is made of is told."""

    text_document: TextDocumentIdentifier
    evidence: bool = False


class DidFocusParams(_Params, frozen=True):
    """``textDocument/didFocus``; without a document no editor window has the focus."""

    text_document: TextDocumentIdentifier | None = None


class DidMoveCursorParams(_Params, frozen=True):
    """``midfill/didMoveCursor``: the cursor rests at a position."""

    text_document: TextDocumentIdentifier
    position: Position


class SelectedCompletionInfo(_Params, frozen=True):
    """The item selected in the editor's completion menu."""

    text: str = ""


class InlineCompletionContext(_Params, frozen=True):
    """How the request came about; trigger kind 1 is invoked, 2 automatic."""

    trigger_kind: int = 2
    selected_completion_info: SelectedCompletionInfo | None = None


class InlineCompletionParams(_Params, frozen=True):
    """``textDocument/inlineCompletion`` with what lsprotocol leaves out."""

    text_document: TextDocumentIdentifier
    position: Position
    context: InlineCompletionContext = InlineCompletionContext()
    partial_result_token: Token | None = None


class AlternativesParams(_Params, frozen=True):
    """``midfill/alternatives``; ``n`` counts the suggestion that stands there."""

    text_document: TextDocumentIdentifier
    position: Position
    n: Annotated[int, msgspec.Meta(ge=1, le=5)] = 3


class CompletionContext(_Params, frozen=True):
    """How the request came about; only kind 1 can be the user's wish."""

    trigger_kind: int = 1


class CompletionParams(_Params, frozen=True):
    """``textDocument/completion``."""

    text_document: TextDocumentIdentifier
    position: Position
    context: CompletionContext | None = None


class ExecuteCommandParams(_Params, frozen=True):
    """``workspace/executeCommand``."""

    command: str
    arguments: list[Any] | None = None


class ItemCommand(_Params, frozen=True):
    """The command of an item; its only argument is the completion's id."""

    arguments: list[Any] | None = None


class Item(_Params, frozen=True):
    """An item that came back from the client; its text is known here by the id."""

    command: ItemCommand | None = None


class ItemParams(_Params, frozen=True):
    """``textDocument/didShowCompletion``, ``midfill/didDismissCompletion``."""

    item: Item


class PartiallyAcceptedParams(_Params, frozen=True):
    """``textDocument/didPartiallyAcceptCompletion``.

    ``accepted_length`` counts UTF-16 units from the start of the item's text.
    """

    item: Item
    accepted_length: int


class NoParams(_Params, frozen=True):
    """``midfill/status``, ``midfill/marks``: nothing is asked for but the answer."""


class WhyParams(_Params, frozen=True):
    """``midfill/why``; without a document it is the last request in any."""

    text_document: TextDocumentIdentifier | None = None


class StatsParams(_Params, frozen=True):
    """``midfill/stats``; without days all that is recorded counts."""

    format: Literal["summary", "html"] = "summary"
    since_days: Annotated[int, msgspec.Meta(ge=0, le=36_500)] | None = None


class CancelParams(_Params, frozen=True):
    """``$/cancelRequest``."""

    id: MessageId


REQUESTS = frozenset(
    {
        "initialize",
        "shutdown",
        "textDocument/inlineCompletion",
        "textDocument/completion",
        "workspace/executeCommand",
        "midfill/alternatives",
        "midfill/explain",
        "midfill/marks",
        "midfill/stats",
        "midfill/status",
        "midfill/why",
    }
)

# Every method that is answered or acted on; None: its params are not read.
PARAMS: dict[str, type[_Params] | None] = {
    "initialize": InitializeParams,
    "initialized": None,
    "shutdown": None,
    "exit": None,
    "$/cancelRequest": CancelParams,
    "textDocument/didOpen": DidOpenParams,
    "textDocument/didChange": DidChangeParams,
    "textDocument/didClose": DocumentParams,
    "textDocument/didSave": DocumentParams,
    "textDocument/didFocus": DidFocusParams,
    "workspace/didChangeWorkspaceFolders": DidChangeFoldersParams,
    "workspace/didChangeConfiguration": DidChangeConfigurationParams,
    "workspace/didChangeWatchedFiles": DidChangeWatchedFilesParams,
    "midfill/didMoveCursor": DidMoveCursorParams,
    "textDocument/inlineCompletion": InlineCompletionParams,
    "textDocument/completion": CompletionParams,
    "textDocument/didShowCompletion": ItemParams,
    "textDocument/didPartiallyAcceptCompletion": PartiallyAcceptedParams,
    "midfill/didDismissCompletion": ItemParams,
    "midfill/alternatives": AlternativesParams,
    "midfill/explain": ExplainParams,
    "midfill/marks": NoParams,
    "midfill/stats": StatsParams,
    "midfill/status": NoParams,
    "midfill/why": WhyParams,
    "workspace/executeCommand": ExecuteCommandParams,
}
