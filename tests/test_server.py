"""The assembled server: who may be called when, and what is answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lsp_server.handlers import HANDLERS
from lsp_server.lifecycle.frames import Fault
from lsp_server.lifecycle.messages import PARAMS, REQUESTS
from lsp_server.lifecycle.protocol import ServerProtocol
from lsp_server.lifecycle.writer import Writer
from lsp_server.server import build
from tests.raw_client import URI, completion_params
from tests.scripted_service import ScriptedService

PARSE_ERROR, INVALID_REQUEST, METHOD_NOT_FOUND = -32700, -32600, -32601
INVALID_PARAMS, NOT_INITIALIZED = -32602, -32002


class Collector(Writer):
    """Keeps what is sent."""

    def __init__(self) -> None:
        super().__init__(-1)
        self.sent: list[dict[str, Any]] = []
        self.dropped_first: list[str] = []

    def send(self, body: bytes, *, droppable: bool = False, key: str = "") -> None:
        """Take note."""
        message = json.loads(body)
        self.sent.append(message)
        if droppable:
            self.dropped_first.append(message["method"])


class Wire:
    """A protocol with its output."""

    def __init__(self, *, initialized: bool = True) -> None:
        self.service = ScriptedService()
        self.protocol: ServerProtocol
        self.protocol, self.session = build(lambda _options, _name: self.service)
        self.out = Collector()
        self.protocol.out = self.out
        if initialized:
            assert "result" in self.ask("initialize", {"capabilities": {}}, msg_id="init")
            self.out.sent.clear()

    def tell(self, method: str, params: object = None) -> None:
        """A notification."""
        self.protocol.receive({"jsonrpc": "2.0", "method": method, "params": params})

    def ask(self, method: str, params: object = None, msg_id: int | str = 1) -> Any:
        """A request; its reply if it came at once."""
        self.protocol.receive({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})
        return self.out.sent[-1] if self.out.sent else None

    def give(self, value: object) -> Any:
        """Any value; the last reply."""
        self.protocol.receive(value)
        return self.out.sent[-1] if self.out.sent else None


def test_every_handler_has_parameters_and_the_other_way_round() -> None:
    """The two tables name the same methods."""
    assert set(HANDLERS) == set(PARAMS) - {"exit", "$/cancelRequest"}


@pytest.mark.parametrize(
    "value",
    [
        None,
        5,
        "text",
        [],
        [{"jsonrpc": "2.0", "id": 1, "method": "shutdown"}],
        {},
        {"jsonrpc": "2.0"},
        {"jsonrpc": "2.0", "id": None, "method": "shutdown"},
        {"jsonrpc": "2.0", "id": 1.5, "method": "shutdown"},
        {"jsonrpc": "2.0", "id": True, "method": "shutdown"},
        {"jsonrpc": "2.0", "id": {}, "method": "shutdown"},
        {"jsonrpc": "2.0", "id": "x" * 2000, "method": "shutdown"},
        {"jsonrpc": "2.0", "method": 5},
    ],
)
def test_what_is_no_request_is_answered_without_an_id(value: object) -> None:
    """Batches, bare values and bad ids are invalid requests; nothing is run."""
    wire = Wire()
    reply = wire.give(value)
    assert (reply["id"], reply["error"]["code"]) == (None, INVALID_REQUEST)
    assert wire.protocol.state == "ready"


@pytest.mark.parametrize("version", [None, "1.0", 2.0])
def test_another_json_rpc_version_is_refused_with_the_id(version: object) -> None:
    """The client learns which request it was."""
    reply = Wire().give({"jsonrpc": version, "id": 9, "method": "shutdown"})
    assert (reply["id"], reply["error"]["code"]) == (9, INVALID_REQUEST)


@pytest.mark.parametrize(
    ("code", "expected"), [("bad_json", PARSE_ERROR), ("too_large", INVALID_REQUEST)]
)
def test_a_dropped_frame_is_reported_without_an_id(code: Any, expected: int) -> None:
    """The reason is the fault's sentence."""
    wire = Wire()
    wire.protocol.refuse_frame(Fault(code=code, message="It is so."))
    (reply,) = wire.out.sent
    assert reply == {
        "jsonrpc": "2.0",
        "id": None,
        "error": {"code": expected, "message": "It is so."},
    }


def test_nothing_is_run_before_initialize() -> None:
    """Requests are refused, notifications are dropped, initialize still works."""
    wire = Wire(initialized=False)
    params = {"command": "midfill.accepted", "arguments": ["id"]}
    for method in ("workspace/executeCommand", "shutdown", "nothing"):
        assert wire.ask(method, params)["error"]["code"] == NOT_INITIALIZED
    item = {"uri": URI, "languageId": "python", "version": 1, "text": ""}
    wire.tell("textDocument/didOpen", {"textDocument": item})
    assert wire.service.events == []
    assert wire.ask("initialize")["result"]["serverInfo"]["name"] == "midfill"


def test_a_failed_initialize_can_be_repeated() -> None:
    """Bad parameters leave the server as it was."""
    wire = Wire(initialized=False)
    assert wire.ask("initialize", {"processId": "x"})["error"]["code"] == INVALID_PARAMS
    assert wire.ask("textDocument/completion")["error"]["code"] == NOT_INITIALIZED
    assert "result" in wire.ask("initialize", {"processId": None})
    assert wire.ask("initialize")["error"]["code"] == INVALID_REQUEST


async def test_nothing_is_run_after_shutdown() -> None:
    """Requests are refused, also a second shutdown; exit is heard."""
    wire = Wire()
    left: list[bool] = []
    wire.protocol.on_exit = lambda: left.append(True)
    wire.ask("shutdown")
    await wire.session.aclose()
    for method in ("shutdown", "initialize", "textDocument/inlineCompletion"):
        assert wire.ask(method, msg_id=5)["error"]["code"] == INVALID_REQUEST
    wire.tell("textDocument/didClose", {"textDocument": {"uri": URI}})
    assert left == []
    wire.tell("exit")
    assert left == [True]


@pytest.mark.parametrize(
    "method", ["nothing", "$/optional", "textDocument/hover", "exit", "textDocument/didClose"]
)
def test_an_unknown_request_is_answered(method: str) -> None:
    """Also optional ones, and notifications that are sent as requests."""
    assert Wire().ask(method)["error"]["code"] == METHOD_NOT_FOUND


def test_unknown_notifications_are_ignored() -> None:
    """No reply, no message, whatever the parameters are."""
    wire = Wire()
    values: tuple[object, ...] = (None, 5, [], {"value": "off"})
    for params in values:
        wire.tell("$/setTrace", params)
        wire.tell("workspace/didChangeConfiguration", params)
    wire.give({"jsonrpc": "2.0", "id": 77, "result": None})
    wire.give({"jsonrpc": "2.0", "id": None, "error": {"code": 1, "message": ""}})
    assert [m for m in wire.out.sent if "error" not in m] == []


@pytest.mark.parametrize(
    "params",
    [
        None,
        [],
        "text",
        {"textDocument": {"uri": URI}},
        completion_params(position={"line": "0", "character": 0}),
        completion_params(textDocument={"uri": 7}),
    ],
)
def test_bad_parameters_are_refused_with_the_place(params: object) -> None:
    """The message names the field and quotes no value."""
    error = Wire().ask("textDocument/inlineCompletion", params)["error"]
    assert error["code"] == INVALID_PARAMS
    assert error["message"].startswith(("Expected `", "Object missing required field `"))


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("midfill/status", []),
        ("midfill/why", {"textDocument": 5}),
        ("midfill/why", {"textDocument": {}}),
        ("midfill/stats", {"format": "pdf"}),
        ("midfill/stats", {"sinceDays": "all"}),
        ("midfill/marks", "all"),
        ("midfill/alternatives", {}),
        ("midfill/alternatives", completion_params(n=9)),
        ("midfill/alternatives", completion_params(position=None)),
        ("midfill/explain", {}),
        ("workspace/executeCommand", {"command": "midfill.pause", "arguments": [1]}),
        ("workspace/executeCommand", {"command": "midfill.resume", "arguments": {}}),
    ],
)
def test_bad_parameters_of_our_own_methods_are_refused(method: str, params: object) -> None:
    """Before anything is done; however many come, the server answers the next request."""
    wire = Wire()
    for number in range(200):
        error = wire.ask(method, params, msg_id=number)["error"]
        assert error["code"] == INVALID_PARAMS
        assert "Traceback" not in str(error)
    assert wire.service.events == []
    assert "result" in wire.ask("midfill/marks", {})


def test_requests_sent_as_notifications_are_not_run() -> None:
    """Without an id nobody could be answered, and shutdown must not happen by accident."""
    wire = Wire()
    for method in REQUESTS:
        wire.tell(method, completion_params())
    assert wire.out.sent == []
    assert wire.protocol.state == "ready"
    assert wire.service.events == []


def test_bad_notifications_are_dropped() -> None:
    """Nothing can be answered, and nothing breaks."""
    wire = Wire()
    for method in PARAMS:
        if method not in ("exit", "initialized"):
            wire.tell(method, {"textDocument": 5, "item": 5, "id": []})
    assert wire.out.sent == []
    assert wire.service.events == []


async def test_an_id_in_use_is_refused() -> None:
    """Two running requests cannot share an id; afterwards it may be used again."""
    wire = Wire()
    item = {"uri": URI, "languageId": "python", "version": 1, "text": "wait"}
    wire.tell("textDocument/didOpen", {"textDocument": item})
    assert wire.ask("textDocument/inlineCompletion", completion_params()) is None
    reply = wire.ask("textDocument/inlineCompletion", completion_params())
    assert reply["error"]["code"] == INVALID_REQUEST
    wire.protocol.cancel(1)
    assert wire.ask("nothing")["error"]["code"] == METHOD_NOT_FOUND


def test_logs_and_progress_are_the_first_to_be_dropped() -> None:
    """Replies, status and messages to the user are kept for a slow client."""
    wire = Wire()
    for method in ("$/progress", "window/logMessage", "window/showMessage", "didChangeStatus"):
        wire.protocol.notify(method, {"token": 1})
    assert wire.out.dropped_first == ["$/progress", "window/logMessage"]


def test_text_that_is_no_unicode_is_still_sent() -> None:
    """Half a surrogate pair in a notification does not break the channel."""
    wire = Wire()
    wire.protocol.notify("window/logMessage", {"message": "a\ud800b é"})
    assert wire.out.sent[-1]["params"]["message"] == "a?b é"
