"""What a server tells its one client, and when it makes the service."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from lsp_server.errors import StoreError
from lsp_server.types import Status
from tests.handler_client import ITEM, Client
from tests.raw_client import URI
from tests.scripted_service import ScriptedService


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


# -- what it tells -----------------------------------------------------------------------


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
