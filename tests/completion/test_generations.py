"""The streams of the last requests."""

from __future__ import annotations

import asyncio

import pytest

from lsp_server.completion import generations
from lsp_server.completion.generations import Generations
from lsp_server.completion.source import Source
from tests.completion.streams import URI, Engine, place, text_of


async def test_a_new_stream_ends_those_that_nobody_follows(kept: Generations) -> None:
    """At once, not after a while."""
    engine = Engine()
    first = Source(kept, URI, place("x = ‸\n"))
    await text_of(first.chunks(lambda: engine.play("ab", "cd", hold_after=1)), until="ab")
    second = Source(kept, URI, place("x = 1‸\n"))
    stream = second.chunks(lambda: Engine().play("z"))
    assert await text_of(stream) == "z"
    async with asyncio.timeout(10):
        while engine.n_left == 0:
            await asyncio.sleep(0)


async def test_only_some_are_kept(kept: Generations, monkeypatch: pytest.MonkeyPatch) -> None:
    """By number and size; closed documents and other settings leave none."""
    monkeypatch.setattr(generations, "_N_DOCUMENTS", 3)
    for number in range(5):
        for column in range(12):
            source = Source(kept, f"file:///{number}.py", place("x" * column + "‸"))
            await text_of(source.chunks(lambda: Engine().play("?")))
    assert len(kept._by_uri) == 3
    assert all(len(each) == generations._PER_DOCUMENT for each in kept._by_uri.values())
    monkeypatch.setattr(generations, "_MAX_KEPT_BYTES", 10)
    await text_of(Source(kept, URI, place("‸")).chunks(lambda: Engine().play("?")))
    assert [*kept._by_uri] == [URI]
    kept.forget(URI)
    assert not kept._by_uri
    await text_of(Source(kept, URI, place("‸")).chunks(lambda: Engine().play("?")))
    kept.clear()
    assert kept.find(URI, place("‸")) is None
