"""Several servers and one engine, as processes, with a scripted engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import midfill_command
from tests.raw_client import RawClient
from tests.scripted_engine import write_script


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A scripted model: one position never ends, all others say done."""
    script = write_script(
        tmp_path / "script.json",
        {"after": "slow = ", "pieces": ["1"], "hang": True},
        default="done",
    )
    return f"scripted:{script}"


def engines() -> list[dict[str, Any]]:
    """What ``midfill engine status`` shows."""
    command = [midfill_command(), "engine", "status", "--json"]
    printed = subprocess.run(command, capture_output=True, check=True).stdout
    found: list[dict[str, Any]] = json.loads(printed)
    return found


def started(stack: ExitStack, model: str) -> RawClient:
    """A server with a document open in it."""
    command = [midfill_command(), "serve", "--model", model]
    client = stack.enter_context(RawClient(command=command))
    client.initialize()
    client.open("slow = \nquick = \n")
    return client


def test_two_servers_share_one_engine(model: str) -> None:
    """Servers started at once use one process, with one model in memory."""
    with ExitStack() as stack:
        clients = [started(stack, model) for _ in range(2)]
        requests = [client.send_complete(line=1) for client in clients]
        for client, request in zip(clients, requests, strict=True):
            items = client.answer(request)["result"]["items"]
            assert [item["insertText"] for item in items] == ["done"]
        (engine,) = engines()
        assert engine["n_clients"] == 2


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_killed_engine_is_replaced_under_a_running_server(model: str, number: int) -> None:
    """A kill in mid-stream empties that answer; the next request of the same server completes."""
    with ExitStack() as stack:
        client = started(stack, model)
        slow = client.send_complete(line=0, partialResultToken="t")
        client.wait_for(lambda m: m.get("method") == "$/progress")
        (engine,) = engines()
        os.kill(engine["pid"], number)
        assert client.answer(slow)["result"]["items"] == []
        items = client.complete(line=1)
        assert [item["insertText"] for item in items] == ["done"]
        (again,) = engines()
        assert again["pid"] != engine["pid"]
