"""Commands: what the user does with suggestions, files and the engine."""

from __future__ import annotations

from typing import Any

import pytest
from pygls.exceptions import JsonRpcInvalidParams

from tests.handler_client import Client


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
