"""The language server with the default model, asked by standard clients."""

from __future__ import annotations

import ast
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from lsprotocol import types as lsp
from pytest_lsp import LanguageClient, client_capabilities, make_test_lsp_client

from tests.conftest import midfill_command
from tests.e2e.holes import INVENTORY, easy_holes
from tests.raw_client import RawClient

pytestmark = pytest.mark.model

N_NEEDED = 8


@pytest.fixture
async def client(
    default_model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[LanguageClient]:
    """A standard client whose server uses the default model."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(default_model_cache))
    client = make_test_lsp_client()
    await client.start_io(midfill_command(), "serve")
    parameters = lsp.InitializeParams(capabilities=client_capabilities("neovim"))
    parameters.capabilities.text_document = lsp.TextDocumentClientCapabilities(
        inline_completion=lsp.InlineCompletionClientCapabilities()
    )
    await client.initialize_session(parameters)
    yield client
    await client.shutdown_session()
    await client.stop()  # type: ignore[no-untyped-call]


async def suggestion(client: LanguageClient, uri: str, line: int, column: int) -> str:
    """The text of the first inline completion at a position; "" if there is none."""
    answer = await client.text_document_inline_completion_async(
        lsp.InlineCompletionParams(
            text_document=lsp.TextDocumentIdentifier(uri),
            position=lsp.Position(line, column),
            context=lsp.InlineCompletionContext(lsp.InlineCompletionTriggerKind.Invoked),
        )
    )
    items = answer.items if isinstance(answer, lsp.InlineCompletionList) else answer or []
    text = items[0].insert_text if items else ""
    return text if isinstance(text, str) else text.value


async def test_easy_holes_are_filled(client: LanguageClient) -> None:
    """At least eight of ten easy holes in a real file are filled as they were."""
    wrong: list[tuple[str, str]] = []
    holes = easy_holes()
    for number, hole in enumerate(holes):
        uri = f"file:///shop/inventory{number}.py"
        client.text_document_did_open(
            lsp.DidOpenTextDocumentParams(
                lsp.TextDocumentItem(uri, lsp.LanguageKind.Python, 1, hole.text)
            )
        )
        text = await suggestion(client, uri, hole.line, hole.column)
        if not hole.is_filled_by(text):
            wrong.append((hole.expected[0], text))
    assert len(holes) == 10
    assert len(holes) - len(wrong) >= N_NEEDED, wrong


def test_streaming_client_sees_the_suggestion_grow(
    default_model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hole of several lines comes in at least three growing pieces, then whole."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(default_model_cache))
    first = "        counts: dict[str, int] = defaultdict(int)\n"
    head, cut, tail = INVENTORY.read_text().partition(first)
    head += cut
    tail = tail[tail.index("    def value") :]
    line = head.count("\n")
    # What an earlier run left on disk would come in one piece.
    command = [midfill_command(), "serve", "--set", "completion.cache_mib=0"]
    with RawClient(command=command) as client:
        client.initialize()
        client.open(head + "        \n\n" + tail)
        request = client.send_complete(line, 8, partialResultToken="grow")
        answer = client.answer(request)
        pieces = [
            message["params"]["value"]["items"][0]["insertText"]
            for message in client.seen
            if message.get("method") == "$/progress" and message["params"]["token"] == "grow"
        ]
        items = answer["result"]["items"]
        client.request("shutdown")
        client.notify("exit")
        assert client.exit_code() == 0
    assert len(pieces) >= 3
    assert len(set(pieces)) == len(pieces)
    assert all(len(a) < len(b) for a, b in pairwise(pieces))
    whole = items[0]["insertText"]
    assert whole.startswith(pieces[0])
    assert "\n" in whole
    # What was inserted fits: the file is Python again.
    ast.parse(head + "        " + whole + "\n\n" + tail)
    assert items[0]["range"]["start"] == {"line": line, "character": 8}
