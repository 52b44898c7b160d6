"""Each LSP method from its parameters to its result, with a scripted completion service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lsprotocol import types as lsp

from lsp_server.errors import DocumentError, UsageError
from lsp_server.types import Edit, Position
from tests.handler_client import INLINE, ITEM, Client, range_of
from tests.raw_client import URI, completion_params


def test_capabilities_are_what_the_handlers_do() -> None:
    """Incremental sync, inline completions, one command, no menu completion beside them."""
    found = Client().capabilities
    sync = found.text_document_sync
    assert isinstance(sync, lsp.TextDocumentSyncOptions)
    assert (sync.open_close, sync.change) == (True, lsp.TextDocumentSyncKind.Incremental)
    assert found.inline_completion_provider == lsp.InlineCompletionOptions()
    assert found.completion_provider is None
    assert found.execute_command_provider == lsp.ExecuteCommandOptions(
        [
            *("midfill.accepted", "midfill.pin", "midfill.unpin", "midfill.ban", "midfill.unban"),
            *("midfill.pause", "midfill.resume"),
        ]
    )
    assert found.experimental == {"midfill": {"protocol": 1}}


@pytest.mark.parametrize(
    ("general", "expected"),
    [
        ({"positionEncodings": ["utf-8", "utf-16"]}, "utf-8"),
        ({"positionEncodings": ["utf-32"]}, "utf-32"),
        ({"positionEncodings": None}, "utf-16"),
        ({"positionEncodings": 5}, "utf-16"),
        (None, "utf-16"),
        ([], "utf-16"),
    ],
)
def test_the_position_encoding_is_negotiated(general: object, expected: str) -> None:
    """The client's order counts; odd capabilities are no reason to fail."""
    client = Client(capabilities={"general": general, **INLINE})
    assert client.capabilities.position_encoding == expected
    assert client.session.documents.encoding == expected


@pytest.mark.parametrize("capabilities", [None, {}, {"textDocument": {}}, {"textDocument": None}])
def test_clients_without_inline_completion_get_the_menu(capabilities: object) -> None:
    """The fallback is offered to those who need it only."""
    assert Client(capabilities=capabilities).capabilities.completion_provider is not None


# -- documents ---------------------------------------------------------------------------


async def test_edits_reach_the_document_and_the_service_hears_of_them() -> None:
    """Open, change with and without range, save, focus, close."""
    client = Client()
    client.open("a\nb")
    start = {"line": 0, "character": 1}
    changes = [{"range": {"start": start, "end": start}, "text": "é"}, {"text": "say whole"}]
    document = {"textDocument": {"uri": URI, "version": 2}}
    client.call("textDocument/didChange", {**document, "contentChanges": changes[:1]})
    assert client.session.documents.get(URI).text == "aé\nb"
    client.call("textDocument/didChange", {**document, "contentChanges": changes})
    assert client.session.documents.get(URI).text == "say whole"
    client.call("textDocument/didSave", document)
    client.call("textDocument/didFocus", document)
    client.call("textDocument/didFocus", {})
    client.call("textDocument/didClose", document)
    names = [name for name, _ in client.service.events]
    assert names == [
        "document_opened",
        *("document_edited", "cursor_at"),
        "document_edited",  # the whole text is another one
        *("file_changed", "focused", "document_closed"),
    ]
    assert URI not in client.session.documents


def test_an_edit_says_what_was_done() -> None:
    """In code points; a new text as a whole takes the place of all of it."""
    client = Client()
    client.open("a\n🎉b\nc\n")
    span = {"start": {"line": 1, "character": 2}, "end": {"line": 1, "character": 3}}
    params = {"textDocument": {"uri": URI, "version": 2},
              "contentChanges": [{"range": span, "text": "x\ny"}]}  # fmt: skip
    client.call("textDocument/didChange", params)
    edit = Edit(Position(1, 1), Position(1, 2), "x\ny", "b")
    assert ("document_edited", ("a\n🎉x\ny\nc\n", (edit,))) in client.service.events
    whole = {"textDocument": {"uri": URI, "version": 3}, "contentChanges": [{"text": "new"}]}
    client.call("textDocument/didChange", whole)
    edit = Edit(Position(0, 0), Position(4, 0), "new", "a\n🎉x\ny\nc\n")
    assert client.service.events[-1] == ("document_edited", ("new", (edit,)))


@pytest.mark.parametrize(
    ("start", "end", "text", "expected"),
    [
        ((1, 1), (1, 1), "é", (1, 2)),
        ((0, 0), (1, 1), "", (0, 0)),
        ((0, 4), (0, 4), "x\r\n🎉y", (1, 2)),
        ((1, 0), (1, 1), "a\nb\n", (3, 0)),
        ((9, 9), (9, 9), "end", (1, 6)),
    ],
)
def test_the_cursor_is_where_an_edit_ends(
    start: tuple[int, int], end: tuple[int, int], text: str, expected: tuple[int, int]
) -> None:
    """Line and code-point column behind the last inserted character."""
    client = Client()
    client.open("one 🎉\ntwo")
    span = {
        "start": {"line": start[0], "character": start[1]},
        "end": {"line": end[0], "character": end[1]},
    }
    change = {"range": span, "text": text}
    params = {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [change]}
    client.call("textDocument/didChange", params)
    name, what = client.service.events[-1]
    assert name == "cursor_at"
    assert what == (client.session.documents.get(URI).text, *expected, True)


def test_the_client_may_say_where_the_cursor_rests() -> None:
    """A position in UTF-16 units; a document that is not open is left alone."""
    client = Client()
    client.open("🎉x = 1")
    params = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 3}}
    client.call("midfill/didMoveCursor", params)
    client.call("midfill/didMoveCursor", {**params, "textDocument": {"uri": "file:///no"}})
    assert client.service.events[1:] == [("cursor_at", ("🎉x = 1", 0, 2, False))]


@pytest.mark.parametrize("method", ["textDocument/didChange", "textDocument/didClose"])
def test_an_unknown_document_is_an_error_of_the_tree(method: str) -> None:
    """The protocol logs it with its code."""
    params = {"textDocument": {"uri": URI}, "contentChanges": [{"text": ""}]}
    with pytest.raises(DocumentError, match="not open"):
        Client().call(method, params)


@pytest.mark.parametrize("number", [2**31, 2**32 - 1, 2**63, -1])
def test_positions_of_any_size_are_taken(number: int) -> None:
    """Clients say 'end of the line' with all kinds of numbers; no edit may get lost."""
    client = Client()
    client.open("abc")
    place = {"line": 0, "character": number}
    change = {"range": {"start": place, "end": place}, "text": "!"}
    client.call(
        "textDocument/didChange",
        {"textDocument": {"uri": URI, "version": 2}, "contentChanges": [change]},
    )
    assert client.session.documents.get(URI).text == ("!abc" if number < 0 else "abc!")


# -- inline completions ------------------------------------------------------------------


async def test_partial_results_grow_and_the_answer_is_the_whole() -> None:
    """Each partial result replaces the one before; all have the same id and range."""
    client = Client()
    client.open("grow a b c d")
    (item,) = await client.complete(partialResultToken="token")
    parts = client.sent_of("$/progress")
    assert [part["token"] for part in parts] == ["token"] * 3
    items = [part["value"]["items"] for part in parts]
    assert [[i.insert_text for i in growing] for growing in items] == [["a"], ["ab"], ["abc"]]
    assert item.insert_text == "abcd"
    assert all(growing[0].range == item.range for growing in items)
    assert all(growing[0].command == item.command for growing in items)


async def test_plain_clients_get_no_partial_results() -> None:
    """Without a token there is the answer alone."""
    client = Client()
    client.open("grow a b c d")
    (item,) = await client.complete()
    assert (item.insert_text, client.sent) == ("abcd", [])


@pytest.mark.parametrize("token", [0, "", 7])
async def test_any_token_is_a_token(token: int | str) -> None:
    """Zero and the empty string are tokens too."""
    client = Client()
    client.open("grow a b c")
    await client.complete(partialResultToken=token)
    assert [part["token"] for part in client.sent_of("$/progress")] == [token] * 2


async def test_the_snapshot_is_taken_when_the_handler_is_called() -> None:
    """An edit between the call and the first await is not seen."""
    client = Client()
    client.open("version", version=4)
    answer = client.call("textDocument/inlineCompletion", completion_params())
    client.open("say later", version=5)
    assert (await answer).items[0].insert_text == "4:7"


async def test_a_request_for_another_version_or_document_is_empty() -> None:
    """A position only makes sense in the text it was meant for."""
    client = Client()
    assert await client.complete() == []
    client.open("say x", version=3)
    for version, n_items in ((3, 1), (2, 0), (4, 0), (None, 1)):
        document = {"uri": URI, "version": version}
        assert len(await client.complete(textDocument=document)) == n_items


async def test_the_request_says_how_it_came_about() -> None:
    """Trigger, selected menu item, client and cursor reach the service."""
    client = Client()
    client.open("é = say x")
    seen = []
    complete = client.service.complete

    async def spy(request: Any, on_partial: Any = None) -> Any:
        seen.append(request)
        return await complete(request, on_partial)

    client.service.complete = spy  # type: ignore[method-assign]
    selected = {"text": "print", "range": {}}
    context = {"triggerKind": 1, "selectedCompletionInfo": selected}
    await client.complete(0, 3, context=context)
    await client.complete(7, 7)
    first, second = seen
    assert (first.trigger, first.selected_text, first.client) == ("invoked", "print", "vim")
    assert (first.line, first.column) == (0, 3)
    assert (second.trigger, second.selected_text) == ("automatic", "")
    assert (second.line, second.column) == (0, 9)


# -- alternatives ------------------------------------------------------------------------


async def test_alternatives_are_items_of_their_own() -> None:
    """Each with its id, the range of the cursor, and three where the client does not say."""
    client = Client()
    client.open("say x)")
    params = {"textDocument": {"uri": URI}, "position": {"line": 0, "character": 5}}
    items = (await client.call("midfill/alternatives", params)).items
    assert [item.insert_text for item in items] == ["x", "x 1", "x 2"]
    assert {range_of(item) for item in items} == {(0, 5, 0, 6)}
    commands = [item.command for item in items]
    assert all(command is not None for command in commands)
    assert len({command.arguments[0] for command in commands if command}) == 3
    more = await client.call("midfill/alternatives", {**params, "n": 5})
    assert len(more.items) == 5


async def test_alternatives_of_nothing_are_empty() -> None:
    """A reason goes to the log; a document or version that is not known gives nothing."""
    client = Client()
    params = completion_params()
    assert (await client.call("midfill/alternatives", params)).items == []
    client.open("skip paused", version=2)
    assert (await client.call("midfill/alternatives", params)).items == []
    (logged,) = client.sent_of("window/logMessage")
    assert "paused" in logged["message"]
    client.open("say x", version=3)
    document = {"uri": URI, "version": 2}
    answer = client.call("midfill/alternatives", completion_params(textDocument=document))
    assert (await answer).items == []


@pytest.mark.parametrize("n", [0, 6, "3", -1, 2.5])
def test_so_many_alternatives_are_refused(n: object) -> None:
    """One to five."""
    with pytest.raises(msgspec.ValidationError):
        Client().call("midfill/alternatives", completion_params(n=n))


# -- menu completions --------------------------------------------------------------------


async def test_clients_with_inline_completion_get_nothing_in_the_menu() -> None:
    """The same suggestion would stand there twice."""
    client = Client()
    client.open("say one")
    answer = await client.call("textDocument/completion", completion_params())
    assert answer.items == []
    assert client.service.events == [("document_opened", URI)]


# -- what became of them -----------------------------------------------------------------


def test_what_the_editor_tells_reaches_the_service() -> None:
    """Shown, partly accepted in UTF-16 units, dismissed."""
    client = Client()
    client.call("textDocument/didShowCompletion", {"item": ITEM})
    client.call("textDocument/didPartiallyAcceptCompletion", {"item": ITEM, "acceptedLength": 3})
    client.call("midfill/didDismissCompletion", {"item": ITEM})
    assert client.service.events == [
        ("shown", "id-1"),
        ("partially_accepted", ("id-1", 3)),
        ("dismissed", "id-1"),
    ]


@pytest.mark.parametrize("item", [{}, {"command": None}, {"command": {"arguments": [7]}}])
def test_an_item_without_id_is_refused(item: dict[str, Any]) -> None:
    """The error says what to send."""
    with pytest.raises(UsageError, match="with its command"):
        Client().call("textDocument/didShowCompletion", {"item": item})


# -- the workspace -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"workspaceFolders": [{"uri": "file:///a%20b", "name": "a"}], "rootUri": "file:///c"},
         ["/a b"]),
        ({"workspaceFolders": None, "rootUri": "file:///c"}, ["/c"]),
        ({"workspaceFolders": [], "rootUri": None}, []),
        ({"rootUri": "vscode-remote://host/c"}, []),
        ({}, []),
    ],
)  # fmt: skip
async def test_folders_are_taken_up_once_the_client_listens(
    params: dict[str, Any], expected: list[str]
) -> None:
    """Those of the editor, else its root; only what lies on this machine."""
    client = Client(**params)
    client.call("initialized")
    await asyncio.gather(*client.session._background)
    assert ("open_folders", [Path(each) for each in expected]) in client.service.events


async def test_folders_come_and_go() -> None:
    """And with them their indexes."""
    client = Client()
    event = {"added": [{"uri": "file:///new", "name": "n"}],
             "removed": [{"uri": "file:///old", "name": "o"}]}  # fmt: skip
    client.call("workspace/didChangeWorkspaceFolders", {"event": event})
    await asyncio.gather(*client.session._background)
    assert ("open_folders", [Path("/new")]) in client.service.events
    assert ("close_folders", [Path("/old")]) in client.service.events


def test_files_of_others_are_noticed() -> None:
    """Saved ones and those that others changed; of an open document the editor's text counts."""
    client = Client()
    client.open("x")
    changes = [{"uri": URI, "type": 2}, {"uri": "file:///b.py", "type": 3}]
    client.call("workspace/didChangeWatchedFiles", {"changes": changes})
    client.call("textDocument/didSave", {"textDocument": {"uri": URI}})
    found = [what for name, what in client.service.events if name == "file_changed"]
    assert found == ["file:///b.py", URI]
