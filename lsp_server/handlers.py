"""One function for each LSP method: from the wire, one call, to the wire.

A handler is a plain function. What it does before it returns happens before the next message
is read; so the snapshot for a completion is the text the client saw when it asked. What takes
time is in the coroutine that the handler returns.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from lsprotocol import types as lsp

from lsp_server import __version__, about
from lsp_server.actions import COMMANDS, execute_command
from lsp_server.answers import inline_item, menu_item
from lsp_server.documents import Change, Span
from lsp_server.errors import DocumentError, UsageError
from lsp_server.lifecycle import messages as wire
from lsp_server.paths import path_of
from lsp_server.positions import end_of, locate, negotiate
from lsp_server.session import Session, log
from lsp_server.types import (
    Completion,
    CompletionRequest,
    Skip,
    Snapshot,
    Trigger,
)

_TRIGGER_CHARACTERS = (".", "(", "[", "=", ":", ",")
_INVOKED = 1
# Of what clients may rely on beside LSP, see editors/protocol.md.
PROTOCOL = 1
Handler = Callable[[Session, Any], Any]


# -- life of the session -----------------------------------------------------------------


def initialize(session: Session, params: wire.InitializeParams) -> lsp.InitializeResult:
    """``initialize``: negotiate the position encoding and say what the server can do."""
    capabilities = params.capabilities or {}
    general = _mapping(capabilities.get("general"))
    offered = general.get("positionEncodings")
    encoding = negotiate(offered if isinstance(offered, list) else None)
    session.documents.encoding = encoding
    session.client_name = params.client_info.name if params.client_info else ""
    session.editor_options = _mapping(params.initialization_options)
    text_document = _mapping(capabilities.get("textDocument"))
    session.has_inline_completion = text_document.get("inlineCompletion") is not None
    window, workspace = (_mapping(capabilities.get(name)) for name in ("window", "workspace"))
    session.has_progress = window.get("workDoneProgress") is True
    watching = _mapping(workspace.get("didChangeWatchedFiles"))
    session.watches_files = watching.get("dynamicRegistration") is True
    uris = [folder.uri for folder in params.workspace_folders or []]
    session.folders = _paths(uris or [uri for uri in (params.root_uri,) if uri])
    fallback = None
    if not session.has_inline_completion:
        fallback = lsp.CompletionOptions(trigger_characters=list(_TRIGGER_CHARACTERS))
    return lsp.InitializeResult(
        capabilities=lsp.ServerCapabilities(
            position_encoding=lsp.PositionEncodingKind(encoding),
            text_document_sync=lsp.TextDocumentSyncOptions(
                open_close=True,
                change=lsp.TextDocumentSyncKind.Incremental,
                save=lsp.SaveOptions(include_text=False),
            ),
            inline_completion_provider=lsp.InlineCompletionOptions(),
            completion_provider=fallback,
            execute_command_provider=lsp.ExecuteCommandOptions(commands=list(COMMANDS)),
            workspace=lsp.WorkspaceOptions(
                workspace_folders=lsp.WorkspaceFoldersServerCapabilities(
                    supported=True, change_notifications=True
                )
            ),
            experimental={"midfill": {"protocol": PROTOCOL}},
        ),
        server_info=lsp.ServerInfo(name="midfill", version=__version__),
    )


def initialized(session: Session, _params: None) -> None:
    """``initialized``: the client listens now."""
    session.ready()


def shutdown(session: Session, _params: None) -> Awaitable[None]:
    """``shutdown``: answered when everything is stored."""
    return session.aclose()


# -- documents ---------------------------------------------------------------------------


def did_open(session: Session, params: wire.DidOpenParams) -> None:
    """``textDocument/didOpen``."""
    item = params.text_document
    session.documents.open(item.uri, item.language_id, item.version, item.text)
    session.service.document_opened(session.documents.get(item.uri).snapshot())


def did_change(session: Session, params: wire.DidChangeParams) -> None:
    """``textDocument/didChange``."""
    uri, version = params.text_document.uri, params.text_document.version
    changes = [
        Change(text=change.text, span=_span(change.range)) for change in params.content_changes
    ]
    has_grown, edits = session.documents.change(uri, version, changes)
    if not has_grown:
        log.warning("the version of a document did not grow (%s)", version)
    snapshot = session.documents.get(uri).snapshot()
    session.service.document_edited(snapshot, edits)
    if changes and changes[-1].span is not None:
        session.service.cursor_at(snapshot, *end_of(edits[-1].start, edits[-1].text), typing=True)


def did_move_cursor(session: Session, params: wire.DidMoveCursorParams) -> None:
    """``midfill/didMoveCursor``: the cursor rests somewhere, in a known document."""
    if params.text_document.uri in session.documents:
        position = params.position
        _cursor_at(
            session, params.text_document.uri, position.line, position.character, typing=False
        )


def _cursor_at(session: Session, uri: str, line: int, character: int, *, typing: bool) -> None:
    snapshot = session.documents.get(uri).snapshot()
    where = locate(snapshot.lines, line, character, session.documents.encoding)
    session.service.cursor_at(snapshot, *where, typing=typing)


def did_close(session: Session, params: wire.DocumentParams) -> None:
    """``textDocument/didClose``."""
    uri = params.text_document.uri
    session.documents.close(uri)
    session.forget_document(uri)
    session.service.document_closed(uri)


def did_save(session: Session, params: wire.DocumentParams) -> None:
    """``textDocument/didSave``."""
    session.service.file_changed(params.text_document.uri)


def did_focus(session: Session, params: wire.DidFocusParams) -> None:
    """``textDocument/didFocus``."""
    if params.text_document is not None:
        session.service.focused(params.text_document.uri)


# -- the workspace -----------------------------------------------------------------------


def did_change_folders(session: Session, params: wire.DidChangeFoldersParams) -> None:
    """``workspace/didChangeWorkspaceFolders``."""
    session.service.open_folders(_paths([folder.uri for folder in params.event.added]))
    removed = _paths([folder.uri for folder in params.event.removed])
    session.spawn(session.service.close_folders(removed))


def did_change_configuration(session: Session, params: wire.DidChangeConfigurationParams) -> None:
    """``workspace/didChangeConfiguration``; settings of other servers are none of ours."""
    options = _mapping(params.settings).get("midfill")
    if options is not None:
        session.spawn(session.configure(options))


def did_change_watched_files(session: Session, params: wire.DidChangeWatchedFilesParams) -> None:
    """``workspace/didChangeWatchedFiles``: files that others made, changed or removed."""
    for change in params.changes:
        if change.uri not in session.documents:
            session.service.file_changed(change.uri)


# -- completions -------------------------------------------------------------------------


def inline_completion(
    session: Session, params: wire.InlineCompletionParams
) -> Awaitable[lsp.InlineCompletionList]:
    """``textDocument/inlineCompletion``, with growing partial results if the client can."""
    snapshot = _snapshot(session, params.text_document)
    context = params.context
    selected = context.selected_completion_info
    trigger: Trigger = "invoked" if context.trigger_kind == _INVOKED else "automatic"
    selected_text = selected.text if selected else ""
    request = _request(session, snapshot, params.position, trigger, selected_text)
    return _inline_completion(session, request, params.partial_result_token)


async def _inline_completion(
    session: Session, request: CompletionRequest | None, token: wire.Token | None
) -> lsp.InlineCompletionList:
    if request is None:
        return lsp.InlineCompletionList(items=[])
    encoding = session.documents.encoding
    snapshot = request.snapshot
    task = asyncio.current_task()

    def send_partial(completion: Completion) -> None:
        if task is not None and (task.cancelling() or task.done()):
            # The request has been answered.
            return
        item = inline_item(completion, snapshot, encoding)
        session.notify("$/progress", {"token": token, "value": {"items": [item]}})

    completion = await _complete(session, request, None if token is None else send_partial)
    items = [inline_item(completion, snapshot, encoding)] if completion else []
    return lsp.InlineCompletionList(items=items)


def alternatives(
    session: Session, params: wire.AlternativesParams
) -> Awaitable[lsp.InlineCompletionList]:
    """``midfill/alternatives``: what stands at the cursor, and other suggestions for it."""
    snapshot = _snapshot(session, params.text_document)
    request = _request(session, snapshot, params.position, "invoked", "")
    return _alternatives(session, request, params.n)


async def _alternatives(
    session: Session, request: CompletionRequest | None, n: int
) -> lsp.InlineCompletionList:
    if request is None:
        return lsp.InlineCompletionList(items=[])
    found = await session.service.alternatives(request, n)
    if isinstance(found, Skip):
        session.explain_skip(request.snapshot.uri, found)
        found = []
    encoding = session.documents.encoding
    items = [inline_item(completion, request.snapshot, encoding) for completion in found]
    return lsp.InlineCompletionList(items=items)


def completion(session: Session, params: wire.CompletionParams) -> Awaitable[lsp.CompletionList]:
    """``textDocument/completion``, for clients without inline completions."""
    snapshot = None
    if not session.has_inline_completion:
        snapshot = _snapshot(session, params.text_document)
    request = _request(session, snapshot, params.position, "automatic", "")
    return _completion(session, request)


async def _completion(session: Session, request: CompletionRequest | None) -> lsp.CompletionList:
    items = []
    if request is not None:
        completion = await _complete(session, request, None)
        if completion is not None:
            encoding = session.documents.encoding
            items.append(menu_item(completion, request.snapshot, encoding))
    return lsp.CompletionList(is_incomplete=True, items=items)


async def _complete(
    session: Session,
    request: CompletionRequest,
    on_partial: Callable[[Completion], None] | None,
) -> Completion | None:
    answer = await session.service.complete(request, on_partial)
    if isinstance(answer, Skip):
        log.debug("request %s: no suggestion (%s)", request.id, answer.reason)
        session.explain_skip(request.snapshot.uri, answer)
        return None
    return answer


# -- what became of them -----------------------------------------------------------------


def did_show_completion(session: Session, params: wire.ItemParams) -> None:
    """``textDocument/didShowCompletion``."""
    session.service.shown(_completion_id(params.item))


def did_partially_accept_completion(session: Session, params: wire.PartiallyAcceptedParams) -> None:
    """``textDocument/didPartiallyAcceptCompletion``; the length counts UTF-16 units."""
    n_utf16 = max(0, params.accepted_length)
    session.service.partially_accepted(_completion_id(params.item), n_utf16)


def did_dismiss_completion(session: Session, params: wire.ItemParams) -> None:
    """``midfill/didDismissCompletion``."""
    session.service.dismissed(_completion_id(params.item))


HANDLERS: dict[str, Handler] = {
    "initialize": initialize,
    "initialized": initialized,
    "shutdown": shutdown,
    "textDocument/didOpen": did_open,
    "textDocument/didChange": did_change,
    "textDocument/didClose": did_close,
    "textDocument/didSave": did_save,
    "textDocument/didFocus": did_focus,
    "workspace/didChangeWorkspaceFolders": did_change_folders,
    "workspace/didChangeConfiguration": did_change_configuration,
    "workspace/didChangeWatchedFiles": did_change_watched_files,
    "midfill/didMoveCursor": did_move_cursor,
    "textDocument/inlineCompletion": inline_completion,
    "textDocument/completion": completion,
    "workspace/executeCommand": execute_command,
    "textDocument/didShowCompletion": did_show_completion,
    "textDocument/didPartiallyAcceptCompletion": did_partially_accept_completion,
    "midfill/didDismissCompletion": did_dismiss_completion,
    "midfill/alternatives": alternatives,
    "midfill/explain": about.explain,
    "midfill/marks": about.marks,
    "midfill/stats": about.stats,
    "midfill/status": about.status,
    "midfill/why": about.why,
}


# -- from the wire -----------------------------------------------------------------------


def _snapshot(session: Session, document: wire.TextDocumentIdentifier) -> Snapshot | None:
    try:
        snapshot = session.documents.get(document.uri).snapshot()
    except DocumentError as error:
        log.warning("no suggestion: %s (%s)", error, error.code)
        return None
    if document.version is not None and document.version != snapshot.version:
        # The position is one in another text.
        log.info("no suggestion: asked for version %s of a document", document.version)
        return None
    return snapshot


def _request(
    session: Session,
    snapshot: Snapshot | None,
    position: wire.Position,
    trigger: Trigger,
    selected_text: str,
) -> CompletionRequest | None:
    if snapshot is None:
        return None
    encoding = session.documents.encoding
    line, column = locate(snapshot.lines, position.line, position.character, encoding)
    return CompletionRequest(
        id=uuid.uuid4().hex,
        snapshot=snapshot,
        line=line,
        column=column,
        trigger=trigger,
        selected_text=selected_text,
        client=session.client_name,
        received_s=time.monotonic(),
    )


def _span(value: wire.Range | None) -> Span | None:
    if value is None:
        return None
    return Span(
        start_line=value.start.line,
        start_character=value.start.character,
        end_line=value.end.line,
        end_character=value.end.character,
    )


def _completion_id(item: wire.Item) -> str:
    arguments = (item.command.arguments if item.command else None) or [None]
    if not isinstance(arguments[0], str):
        raise UsageError(
            "The item does not say which suggestion it is.",
            code="item_without_id",
            hint="Send the item as it came from the server, with its command.",
        )
    return arguments[0]


def _paths(uris: list[str]) -> tuple[Path, ...]:
    """The folders among some URIs that are on this machine."""
    found = (path_of(uri) for uri in uris)
    return tuple(path for path in found if path is not None)


def _mapping(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
