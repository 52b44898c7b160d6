"""A whole server process, from the first byte to the exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.raw_client import PATIENCE_S, ROOT, URI, RawClient, completion_params
from tests.scripted_service import SECRET

METHOD_NOT_FOUND = -32601
REQUEST_CANCELLED = -32800


# -- exit codes --------------------------------------------------------------------------


def test_exit_after_shutdown_is_code_0() -> None:
    """The orderly end."""
    with RawClient() as client:
        client.initialize()
        assert client.request("shutdown") is None
        client.notify("exit")
        assert client.exit_code() == 0
        assert client.errors == ""


@pytest.mark.parametrize("handshake", [True, False])
def test_exit_without_shutdown_is_code_1(handshake: bool) -> None:
    """The client left without a word, before or after initialize."""
    with RawClient() as client:
        if handshake:
            client.initialize()
        client.notify("exit")
        assert client.exit_code() == 1


@pytest.mark.parametrize("script", ["", "wait", "stubborn", "thread"])
def test_end_of_stdin_ends_the_server_with_code_1(script: str) -> None:
    """Also while a request runs, refuses to be cancelled, or hangs in a thread."""
    with RawClient() as client:
        client.initialize()
        if script:
            client.open(f"{script}\nsay here")
            client.send_complete(0)
            assert client.complete(1)[0]["insertText"] == "here"
        client.close_stdin()
        assert client.exit_code() == 1


def test_end_of_stdin_after_shutdown_is_code_0() -> None:
    """Some clients close the pipe in place of exit."""
    with RawClient() as client:
        client.initialize()
        client.request("shutdown")
        client.close_stdin()
        assert client.exit_code() == 0


@pytest.mark.parametrize("after_shutdown", [False, True])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_signals_end_the_server_in_order(number: signal.Signals, after_shutdown: bool) -> None:
    """SIGTERM and SIGINT leave like the end of stdin does, without a traceback."""
    with RawClient() as client:
        client.initialize()
        if after_shutdown:
            client.request("shutdown")
        client.process.send_signal(number)
        assert client.exit_code() == (0 if after_shutdown else 1)
        assert client.errors == ""


def test_a_dead_editor_ends_the_server() -> None:
    """The pipes are still open, but the process named in initialize is gone."""
    editor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    with RawClient() as client:
        client.initialize(processId=editor.pid)
        client.open("wait\nsay alive")
        client.send_complete(0)
        assert client.complete(1)[0]["insertText"] == "alive"
        editor.kill()
        editor.communicate()
        assert client.exit_code() == 1


def test_a_client_that_closes_stdout_ends_the_server() -> None:
    """There is nobody left to answer."""
    with RawClient(read=False) as client:
        client.send("initialize", {"processId": None, "capabilities": {}})
        assert client.process.stdout is not None
        os.read(client.process.stdout.fileno(), 10)
        client.process.stdout.close()
        client.send("nothing")
        assert client.exit_code() == 1


# -- the channel -------------------------------------------------------------------------


def test_nothing_but_the_protocol_reaches_stdout() -> None:
    """Prints of Python, of C and of child processes go to stderr."""
    with RawClient() as client:
        client.initialize()
        client.open("print\nsay after")
        assert client.complete(0)[0]["insertText"] == "print"
        assert client.complete(1)[0]["insertText"] == "after"
        client.request("shutdown")
        client.notify("exit")
        assert client.exit_code() == 0
        for text in ("print", "write", "child"):
            assert text in client.errors
        assert all("jsonrpc" in message for message in client.rest())


def test_a_client_that_does_not_read_gets_all_replies_later() -> None:
    """The server goes on handling messages meanwhile, and loses no reply."""
    n_requests, words = 40, "word " * 10_000
    with RawClient(read=False) as client:
        first = client.send("initialize", {"processId": None, "capabilities": {}})
        client.notify("initialized")
        client.open(f"say {words}")
        ids = [client.send_complete(character=2**31 - 1) for _ in range(n_requests)]
        client.notify("textDocument/didClose", {"textDocument": {"uri": "file:///not/open"}})
        deadline_s = time.monotonic() + PATIENCE_S
        while "document_unknown" not in client.errors:
            assert time.monotonic() < deadline_s, "the loop stands still"
            threading.Event().wait(0.01)
        client.start_reading()
        client.answer(ids[-1])
        answered = [m["id"] for m in client.seen if "id" in m]
        assert sorted(answered) == [first, *ids]


def test_replies_beyond_the_bound_slow_the_client_down() -> None:
    """More replies than the queue holds are answered all the same, once they are read."""
    n_requests, words = 400, "word " * 10_000
    with RawClient(read=False) as client:
        client.send("initialize", {"processId": None, "capabilities": {}})
        client.notify("initialized")
        client.open(f"say {words}")
        ids: list[int] = []

        def send_all() -> None:
            ids.extend(client.send_complete(character=2**31 - 1) for _ in range(n_requests))

        sender = threading.Thread(target=send_all)
        sender.start()
        client.start_reading()
        sender.join(PATIENCE_S)
        client.answer(ids[-1])
        assert sum(m.get("id") in ids for m in client.seen) == n_requests


def test_a_header_in_lower_case_is_answered() -> None:
    """Header names know no case."""
    body = json.dumps({"jsonrpc": "2.0", "id": "x", "method": "nothing"}).encode()
    with RawClient() as client:
        client.send_bytes(b"content-length: %d\r\n\r\n%b" % (len(body), body))
        assert client.answer("x")["error"]["code"] == -32002


# -- requests ----------------------------------------------------------------------------


def test_a_cancelled_request_has_exactly_one_reply() -> None:
    """Whether its work stops at once, later, or had ended before."""
    with RawClient() as client:
        client.initialize()
        client.open("wait\nstubborn\nsay done")
        ids = [client.send_complete(line) for line in (0, 1, 2)]
        for msg_id in (*ids, *ids, 12345):
            client.notify("$/cancelRequest", {"id": msg_id})
        for msg_id in ids[:2]:
            answer = next((m for m in client.seen if m.get("id") == msg_id), None) or client.answer(
                msg_id
            )
            assert answer["error"]["code"] == REQUEST_CANCELLED
        client.request("shutdown")
        client.notify("exit")
        client.exit_code()
        answered = [m["id"] for m in client.rest() if "id" in m]
        assert [answered.count(msg_id) for msg_id in ids] == [1, 1, 1]


def test_shutdown_answers_what_runs_as_cancelled() -> None:
    """No request is left without an answer."""
    with RawClient() as client:
        client.initialize()
        client.open("wait")
        ids = [client.send_complete() for _ in range(5)]
        client.request("shutdown")
        answers = {m["id"]: m for m in client.seen if m.get("id") in ids}
        assert [answers[msg_id]["error"]["code"] for msg_id in ids] == [REQUEST_CANCELLED] * 5


def test_a_burst_of_requests_is_answered_one_by_one() -> None:
    """1,000 requests at once get 1,000 answers."""
    with RawClient() as client:
        client.initialize()
        client.open("say hello")
        ids = [client.send_complete() for _ in range(1000)]
        client.answer(ids[-1])
        answered = [m["id"] for m in client.seen if m.get("id") in ids]
        assert sorted(answered) == ids


def test_a_request_sees_the_text_of_its_moment() -> None:
    """Of changes and requests sent in one go, each request sees exactly the changes before it."""
    n_rounds = 1500
    with RawClient() as client:
        client.initialize()
        client.open("version\n")
        expected = {}
        for version in range(2, n_rounds):
            start = {"line": 1, "character": 0}
            change = {"range": {"start": start, "end": start}, "text": "x"}
            document = {"uri": URI, "version": version}
            client.notify(
                "textDocument/didChange", {"textDocument": document, "contentChanges": [change]}
            )
            expected[client.send_complete()] = f"{version}:{len('version') + version}"
        client.answer(max(expected))
        seen = {
            m["id"]: m["result"]["items"][0]["insertText"]
            for m in client.seen
            if m.get("id") in expected
        }
        assert seen == expected


# -- errors ------------------------------------------------------------------------------

REQUESTS = {
    "textDocument/inlineCompletion": completion_params(),
    "textDocument/completion": completion_params(),
    "workspace/executeCommand": {"command": "midfill.accepted", "arguments": ["id"]},
    "midfill/alternatives": completion_params(),
    "midfill/marks": {},
    "midfill/stats": {},
    "midfill/status": {},
    "midfill/why": {},
}
ITEM = {"item": {"command": {"arguments": ["id"]}}}
DOCUMENT = {"textDocument": {"uri": URI, "version": 2}}
NOTIFICATIONS = {
    "initialized": {},
    "textDocument/didOpen": {
        "textDocument": {"uri": URI, "languageId": "python", "version": 1, "text": SECRET}
    },
    "textDocument/didChange": {**DOCUMENT, "contentChanges": [{"text": SECRET}]},
    "textDocument/didSave": DOCUMENT,
    "textDocument/didFocus": DOCUMENT,
    "workspace/didChangeConfiguration": {"settings": {"midfill": {"completion": {}}}},
    "textDocument/didShowCompletion": ITEM,
    "textDocument/didPartiallyAcceptCompletion": {**ITEM, "acceptedLength": 1},
    "midfill/didDismissCompletion": ITEM,
}


def test_an_error_in_any_handler_ends_nothing_and_tells_no_text() -> None:
    """Every method fails inside; each request is answered, the process goes on."""
    with RawClient(["*"]) as client:
        client.send("initialize", {"processId": None, "capabilities": {"textDocument": {}}})
        for method, params in NOTIFICATIONS.items():
            client.notify(method, params)
        for method, params in REQUESTS.items():
            error = client.answer(client.send(method, params))["error"]
            assert error["code"] == -32603
            assert "ValueError" in error["message"]
            assert "data" not in error
        client.notify("textDocument/didClose", DOCUMENT)
        assert client.answer(client.send("nothing"))["error"]["code"] == METHOD_NOT_FOUND
        assert client.answer(client.send("shutdown"))["error"]["code"] == -32603
        client.notify("exit")
        assert client.exit_code() == 0
        assert SECRET not in client.errors
        assert "Traceback" not in client.errors
        assert "scripted_service.py" in client.errors
        assert SECRET not in json.dumps(client.rest())


@pytest.mark.parametrize(
    ("script", "code", "text"),
    [("fail", -32603, "ValueError"), ("refuse", -32803, "Run: midfill doctor")],
)
def test_a_failed_completion_is_an_error_reply(script: str, code: int, text: str) -> None:
    """Unexpected errors say their type only, midfill's own say what to do."""
    with RawClient() as client:
        client.initialize()
        client.open(f"{script}\nsay on\ntask")
        error = client.answer(client.send_complete(0))["error"]
        assert error["code"] == code
        assert text in error["message"]
        data = {"code": "engine_gone", "hint": "Run: midfill doctor"}
        assert error.get("data") == (data if script == "refuse" else None)
        assert client.complete(1)[0]["insertText"] == "on"
        assert client.complete(2)[0]["insertText"] == "task"
        client.close_stdin()
        client.exit_code()
        assert "Traceback" not in client.errors
        assert SECRET not in client.errors


# -- start -------------------------------------------------------------------------------


def test_another_package_named_context_is_refused(tmp_path: Path) -> None:
    """The unrelated package of that name in front of ours ends the start with what to do."""
    package = tmp_path / "context"
    package.mkdir()
    (package / "__init__.py").write_text("VERSION = 3\n")
    start = f"import sys; sys.path[:0] = [{str(tmp_path)!r}, {str(ROOT)!r}]; "
    start += "from lsp_server.cli import main; sys.exit(main(['serve']))"
    done = subprocess.run(
        [sys.executable, "-P", "-c", start],
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert str(package) in done.stderr
    assert "pipx install midfill" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_serve_command_answers_initialize_and_ends_in_order() -> None:
    """The real command with the real service: no model is there, and the client is told once."""
    command = [sys.executable, "-m", "lsp_server.cli", "serve", "--stdio"]
    with RawClient(command=command) as client:
        capabilities = client.initialize()
        assert capabilities["inlineCompletionProvider"] == {}
        status = client.wait_for(lambda m: m.get("method") == "didChangeStatus")
        assert status["params"]["kind"] in ("Normal", "Warning", "Error")
        client.request("shutdown")
        client.notify("exit")
        assert client.exit_code() == 0
