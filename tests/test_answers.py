"""Suggestions as items of the protocol."""

from __future__ import annotations

import pytest
from lsprotocol import types as lsp

from tests.handler_client import INLINE, Client, range_of
from tests.raw_client import completion_params


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
