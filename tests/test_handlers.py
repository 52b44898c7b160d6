"""Each LSP method from its parameters to its result, with a scripted completion service."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest
from lsprotocol import types as lsp
from pygls.exceptions import JsonRpcInvalidParams

from context.types import CursorScope, FileContext, Prompt, Snippet
from lsp_server.completion.draft import Account, Explanation
from lsp_server.errors import DocumentError, StoreError, UsageError
from lsp_server.handlers import HANDLERS
from lsp_server.lifecycle.messages import PARAMS
from lsp_server.session import Session
from lsp_server.types import Completion, Edit, Position, Skip, Status, Timings
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


# -- initialize --------------------------------------------------------------------------


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


async def test_the_service_starts_once_the_client_listens() -> None:
    """A status from before initialized is told afterwards, a second initialized changes nothing."""
    client = Client()
    client.session.report_status(Status(kind="Warning", message="no model"))
    assert client.sent == []
    for _ in range(2):
        client.call("initialized")
    await asyncio.gather(*client.session._background)
    assert client.service.events.count(("start", None)) == 1
    kinds = [params["kind"] for params in client.sent_of("didChangeStatus")]
    assert kinds == ["Warning", "Normal"]


@pytest.mark.parametrize(
    ("options", "expected"),
    [({"completion": {"max_lines": 4}}, {"completion": {"max_lines": 4}}), (None, {}), ([1], {})],
)
async def test_the_service_is_made_once_with_the_editors_options(
    options: object, expected: object
) -> None:
    """Not before initialize is answered; options that are no object count as none."""
    client = Client(initializationOptions=options)
    assert client.made_with == []
    client.open("say x")
    await client.complete()
    assert client.made_with == [(expected, "vim")]


@pytest.mark.parametrize(
    ("error", "reason", "text"),
    [
        (StoreError("Disk full.", code="disk_full", hint="Make room."), "disk_full", "Make room."),
        (ValueError("SECRET"), "internal_error", "midfill doctor"),
    ],
)
async def test_without_a_service_answers_are_empty_with_the_reason(
    error: Exception, reason: str, text: str
) -> None:
    """The server stays up, says once what is wrong, and every method still works."""

    def fail(_options: object, _name: str) -> ScriptedService:
        raise error

    client = Client()
    client.session._make_service = fail
    client.call("initialized")
    client.open("say x")
    assert await client.complete() == []
    params = {"command": "midfill.accepted", "arguments": ["id-1"]}
    assert await client.call("workspace/executeCommand", params) is None
    client.call("textDocument/didPartiallyAcceptCompletion", {"item": ITEM, "acceptedLength": 3})
    client.call("textDocument/didClose", {"textDocument": {"uri": URI}})
    await client.call("shutdown")
    (shown,) = client.sent_of("window/showMessage")
    (logged,) = client.sent_of("window/logMessage")
    assert shown["type"] == 1
    assert text in shown["message"]
    assert reason in logged["message"]
    assert "SECRET" not in str(client.sent)


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


@pytest.mark.parametrize(
    ("encoding", "character", "expected"),
    [("utf-8", 10, (1, 10, 1, 11)), ("utf-16", 8, (1, 8, 1, 9)), ("utf-32", 7, (1, 7, 1, 8))],
)
async def test_ranges_count_in_the_negotiated_unit(
    encoding: str, character: int, expected: tuple[int, int, int, int]
) -> None:
    """From the cursor to the end of what the text replaces."""
    client = Client(capabilities={"general": {"positionEncodings": [encoding]}, **INLINE})
    client.open("\nsay 😀 x)")
    (item,) = await client.complete(1, character)
    assert range_of(item) == expected
    assert item.insert_text == "😀 x"


async def test_an_item_carries_the_command_that_reports_it() -> None:
    """The command's argument is the completion's id."""
    client = Client()
    client.open("say x")
    (item,) = await client.complete()
    (completion_id,) = [what for name, what in client.service.events if name == "complete"]
    assert item.command is not None
    assert (item.command.command, item.command.arguments) == ("midfill.accepted", [completion_id])


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


async def test_a_skip_is_empty_and_its_reason_is_logged_once_for_a_document() -> None:
    """No line per keystroke, but again after the file was opened again."""
    client = Client()
    for _ in range(2):
        client.open("skip too_large\nskip secret_file")
        for line in (0, 0, 1):
            assert await client.complete(line) == []
        client.call("textDocument/didClose", {"textDocument": {"uri": URI}})
    messages = [params["message"] for params in client.sent_of("window/logMessage")]
    assert ["too_large" in message for message in messages] == [True, False, True, False]


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


async def test_the_menu_offers_the_same_suggestion() -> None:
    """One item whose edit is the suggestion, which the client must not filter away."""
    client = Client(capabilities={})
    client.open("say one")
    answer = await client.call("textDocument/completion", completion_params())
    assert answer.is_incomplete is True
    (item,) = answer.items
    assert (item.label, item.detail, item.filter_text) == ("one", "midfill", "oneone")
    assert item.text_edit.new_text == "one"
    assert item.text_edit.range.start == lsp.Position(0, 7)
    assert item.command.command == "midfill.accepted"
    assert "```python\noneone\n```" in item.documentation.value


async def test_clients_with_inline_completion_get_nothing_in_the_menu() -> None:
    """The same suggestion would stand there twice."""
    client = Client()
    client.open("say one")
    answer = await client.call("textDocument/completion", completion_params())
    assert answer.items == []
    assert client.service.events == [("document_opened", URI)]


# -- what became of them -----------------------------------------------------------------


async def test_accepted_is_answered_when_it_is_stored() -> None:
    """The reply comes after the service has the event."""
    client = Client()
    params = {"command": "midfill.accepted", "arguments": ["id-1"]}
    assert await client.call("workspace/executeCommand", params) is None
    assert client.service.events == [("accepted", "id-1")]


async def test_a_cancelled_accept_is_stored_all_the_same() -> None:
    """Cancelling the request does not lose the event."""
    client = Client()
    params = {"command": "midfill.accepted", "arguments": ["id-1"]}
    answer = client.call("workspace/executeCommand", params)
    (work,) = client.session._background
    answer.cancel()
    await work
    assert client.service.events == [("accepted", "id-1")]


@pytest.mark.parametrize(
    "params",
    [
        {"command": "rm", "arguments": ["id"]},
        {"command": "midfill.accepted"},
        {"command": "midfill.accepted", "arguments": []},
        {"command": "midfill.accepted", "arguments": [5]},
        {"command": "midfill.accepted", "arguments": ["id", "more"]},
    ],
)
def test_other_commands_and_arguments_are_refused(params: dict[str, Any]) -> None:
    """The reply says what is wrong."""
    with pytest.raises(JsonRpcInvalidParams, match=r"midfill\.accepted"):
        Client().call("workspace/executeCommand", params)


@pytest.mark.parametrize("mark", ["pin", "unpin", "ban", "unban"])
def test_files_are_marked_by_commands(mark: str) -> None:
    """Those of an open folder; of others the client is told that nothing was done."""
    client = Client()
    params: dict[str, Any] = {"command": f"midfill.{mark}", "arguments": ["file:///p/a.py"]}
    assert client.call("workspace/executeCommand", params) is None
    assert client.service.events == [("mark_file", ("file:///p/a.py", mark))]
    params["arguments"] = ["file:///elsewhere/a.py"]
    with pytest.raises(JsonRpcInvalidParams, match="none of the workspace's folders"):
        client.call("workspace/executeCommand", params)
    with pytest.raises(JsonRpcInvalidParams, match="a file's URI"):
        client.call("workspace/executeCommand", params | {"arguments": []})


@pytest.mark.parametrize(
    ("command", "paused"), [("midfill.pause", True), ("midfill.resume", False)]
)
async def test_the_user_may_pause_and_go_on(command: str, paused: bool) -> None:
    """Answered once it is so, and carried out even if the request is cancelled."""
    client = Client()
    params: dict[str, Any] = {"command": command, "arguments": []}
    assert await client.call("workspace/executeCommand", params) is None
    answer = client.call("workspace/executeCommand", {"command": command})
    (work,) = client.session._background
    answer.cancel()
    await work
    assert client.service.events == [("pause", paused)] * 2
    with pytest.raises(JsonRpcInvalidParams, match="takes no arguments"):
        client.call("workspace/executeCommand", params | {"arguments": ["x"]})


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


# -- status ------------------------------------------------------------------------------


async def test_every_status_is_sent_and_each_warning_shown_once() -> None:
    """A status line follows all changes; a popup comes once for each message."""
    client = Client()
    client.call("initialized")
    no_model = Status(kind="Warning", message="No model. Run: midfill model fetch")
    broken = Status(kind="Error", message="The engine cannot start.")
    for status in (no_model, Status(kind="Normal", busy=True), no_model, broken, broken):
        client.session.report_status(status)
    kinds = [params["kind"] for params in client.sent_of("didChangeStatus")]
    assert kinds == ["Warning", "Normal", "Warning", "Error", "Error"]
    shown = [(p["type"], p["message"]) for p in client.sent_of("window/showMessage")]
    assert shown == [
        (2, "midfill: No model. Run: midfill model fetch"),
        (1, "midfill: The engine cannot start."),
    ]
    assert client.sent_of("didChangeStatus")[1]["busy"] is True


async def test_a_notice_is_shown_once() -> None:
    """What was not done as asked is told beside the status line, not at each start."""
    client = Client()
    client.call("initialized")
    ready = Status(kind="Normal", message="7b on GPU", notice="It was lowered: 5.1 GiB were free.")
    again = msgspec.structs.replace(ready, notice="It was lowered: 5.0 GiB were free.")
    for status in (ready, Status(kind="Normal", busy=True), again):
        client.session.report_status(status)
    shown = [(p["type"], p["message"]) for p in client.sent_of("window/showMessage")]
    assert shown == [(3, "midfill: It was lowered: 5.1 GiB were free.")]
    assert client.sent_of("didChangeStatus")[0]["message"] == "7b on GPU"


@pytest.mark.parametrize(("opened", "n_closed"), [(True, 1), (False, 0)])
async def test_shutdown_closes_the_service_once(opened: bool, n_closed: int) -> None:
    """A second close, when the client leaves, waits for the first; no service is made for it."""
    client = Client()
    if opened:
        client.open("say x")
    await client.call("shutdown")
    await client.session.aclose()
    assert client.service.events.count(("aclose", None)) == n_closed
    assert len(client.made_with) == n_closed


# -- explain -----------------------------------------------------------------------------


def test_explain_tells_how_the_last_request_was_answered() -> None:
    """A reason, or the text with its score, timings, log-probabilities and snippets."""
    client = Client()
    where = {"textDocument": {"uri": URI}}
    assert client.call("midfill/explain", where) is None

    skip = Skip(reason="disabled", message="It is off.")
    client.service.accounts[URI] = Account(answer=skip, request_id="id-1")
    assert client.call("midfill/explain", where) == {
        "id": "id-1",
        "reason": "disabled",
        "message": "It is off.",
        "text": "",
    }

    snippet = Snippet(path=URI, start_byte=0, end_byte=3, text="abc", origin="before_cursor")
    scope = CursorScope(
        kind="code", line_before="", line_after="", next_line="", indent="", multi_line=False
    )
    client.service.accounts[URI] = Account(
        answer=Completion(id="id-2", text="x", line=0, column=0, score=-0.5, model="m"),
        request_id="id-2",
        explanation=Explanation(
            context=FileContext(prefix=(snippet,), suffix=(), scope=scope),
            prompt=Prompt(segments=(), n_tokens=3),
            segment_tokens=(1, 2),
            raw="x y",
            stop="line",
            logprobs=(-0.5,),
            timings=Timings(ttft_ms=12.0),
        ),
    )
    told = client.call("midfill/explain", where)
    assert (told["text"], told["raw"], told["stop"]) == ("x", "x y", "line")
    assert (told["reason"], told["score"], list(told["logprobs"])) == (None, -0.5, [-0.5])
    assert told["timings"]["ttftMs"] == 12.0
    assert told["snippets"][0]["origin"] == "before_cursor"
    assert told["snippets"][0]["startByte"] == 0


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


async def test_the_client_is_asked_to_watch_files() -> None:
    """If it can; a pattern names the suffixes that hold source."""
    watching = {"workspace": {"didChangeWatchedFiles": {"dynamicRegistration": True}}}
    client = Client(capabilities=watching)
    client.call("initialized")
    (method, params) = client.asked[0]
    assert method == "client/registerCapability"
    pattern = params["registrations"][0]["registerOptions"]["watchers"][0]["globPattern"]
    assert ".py," in pattern
    other = Client()
    other.call("initialized")
    assert other.asked == []
    await asyncio.gather(*client.session._background, *other.session._background)


def test_indexing_is_shown_as_progress() -> None:
    """Begun once, reported, ended; not at all to clients that show none."""
    client = Client(capabilities={"window": {"workDoneProgress": True}})
    told = client.session.service.on_index_progress
    told("shop", 0.25, "1 of 4 files")
    told("shop", 0.5, "2 of 4 files")
    told("shop", 1.0, "")
    told("shop", 1.0, "")
    assert [method for method, _ in client.asked] == ["window/workDoneProgress/create"]
    values = [params["value"] for params in client.sent_of("$/progress")]
    assert [value["kind"] for value in values] == ["begin", "report", "end"]
    assert values[0]["title"] == "Indexing shop"
    assert (values[1]["percentage"], values[1]["message"]) == (50, "2 of 4 files")
    silent = Client()
    silent.session.service.on_index_progress("shop", 0.5, "")
    assert silent.sent_of("$/progress") == []


# -- settings ----------------------------------------------------------------------------


async def configure(client: Client, settings: object) -> None:
    """The user changes them."""
    client.call("workspace/didChangeConfiguration", {"settings": settings})
    await asyncio.gather(*client.session._background)


async def test_settings_may_change(client_of_settings: Client) -> None:
    """Those of midfill reach the service; others, and none, do not concern it."""
    client = client_of_settings
    await configure(client, {"midfill": {"completion": {"max_lines": 4}}, "python": {}})
    values: tuple[object, ...] = (None, 5, [], {}, {"python": {}}, {"midfill": None})
    for settings in values:
        await configure(client, settings)
    assert client.service.events == [("reconfigure", {"completion": {"max_lines": 4}})]
    assert client.sent_of("window/showMessage") == []


@pytest.mark.parametrize(
    ("settings", "text"),
    [({"a": None, "b": None, "c": 1}, "a is not used. b is not used."), ([1], "an object")],
)
async def test_settings_that_cannot_be_used_are_told_once(
    client_of_settings: Client, settings: object, text: str
) -> None:
    """In one message, again only after they were right in between."""
    client = client_of_settings
    for each in (settings, settings, {"c": 1}, settings):
        await configure(client, {"midfill": each})
    shown = client.sent_of("window/showMessage")
    assert [params["type"] for params in shown] == [2, 2]
    assert all(params["message"].startswith("midfill: settings: ") for params in shown)
    assert text in shown[0]["message"]


@pytest.fixture
def client_of_settings() -> Client:
    """A client without a document."""
    return Client()
