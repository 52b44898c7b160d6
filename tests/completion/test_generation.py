"""One stream that serves more than one request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

import pytest

from lsp_server.completion import generation as room
from lsp_server.completion.generation import Generation
from lsp_server.types import TokenChunk
from tests.completion.streams import Engine, place, text_of


@pytest.mark.parametrize(
    ("typed", "rest"),
    [("", "foo(bär)\nx"), ("fo", "o(bär)\nx"), ("foo(b", "är)\nx"), ("foo(bär)\n", "x")],
)
async def test_a_stream_is_followed_from_behind_what_was_typed(typed: str, rest: str) -> None:
    """Wherever its chunks end, also inside of one."""
    engine = Engine()
    generation = Generation(place("‸"), engine.play("foo", "(b", "är)", "\nx"))
    assert await text_of(generation.follow()) == "foo(bär)\nx"
    assert generation.fits(typed.encode())
    chunks = [chunk async for chunk in generation.follow(typed.encode())]
    assert "".join(chunk.text for chunk in chunks) == rest
    assert all(chunk.text or not chunk.logprobs for chunk in chunks)
    assert chunks[-1].finish_reason == "stop"
    assert engine.n_begun == 1


async def test_two_requests_follow_one_stream_at_once() -> None:
    """The second catches up and goes on with the first; it ends when the stream does."""
    engine = Engine()
    generation = Generation(place("‸"), engine.play("ab", "cd", "ef", hold_after=1))
    first = asyncio.create_task(text_of(generation.follow()))
    second = generation.follow(b"a")
    got = ""
    async for chunk in second:
        got += chunk.text
        if got == "b":
            engine.go_on.set()
    assert got == "bcdef"
    assert await first == "abcdef"


async def test_whoever_leaves_lets_it_go_on_for_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next request may follow it; if none does it ends."""
    engine = Engine()
    monkeypatch.setattr(room, "_GRACE_S", 0.01)
    generation = Generation(place("‸"), engine.play("ab", "cd", hold_after=1))
    await text_of(generation.follow(), until="ab")
    async with asyncio.timeout(10):
        while generation.running:
            await asyncio.sleep(0.001)
    assert engine.n_left == 1


async def test_what_was_typed_must_be_what_it_says() -> None:
    """While it runs it may still come to say it."""
    engine = Engine()
    generation = Generation(place("‸"), engine.play("ab", "cd", hold_after=1))
    await text_of(generation.follow(), until="ab")
    assert generation.fits(b"a")
    assert generation.fits(b"abcd")
    assert not generation.fits(b"x")
    follower = asyncio.create_task(text_of(generation.follow(b"abx")))
    engine.go_on.set()
    assert await follower == ""
    assert not generation.says(b"abx")
    await generation.aclose()


@pytest.mark.parametrize(
    ("typed", "fits"),
    [("", True), ("fo", True), ("foo()", True), ("foo()\n    bar(1)", False)],
)
async def test_a_stream_that_was_left_serves_as_far_as_it_is_whole(typed: str, fits: bool) -> None:
    """What was shown is; behind that only whole lines are."""
    engine = Engine()
    texts = ("foo()", "\n    bar(1)\n", "    b", "az")
    generation = Generation(place("‸"), engine.play(*texts, hold_after=3))
    stream = generation.follow()
    async for chunk in stream:
        if chunk.text == "    b":
            generation.cut(len("foo()"))
            break
    await stream.aclose()
    await asyncio.sleep(0)
    assert not generation.running
    assert engine.n_left == 1
    assert generation.fits(typed.encode()) is fits
    if typed == "foo()":
        assert await text_of(generation.follow(b"foo()")) == "\n    bar(1)\n"


async def test_a_stream_that_failed_serves_nobody() -> None:
    """Whoever follows it is told; others start their own."""

    async def fail() -> AsyncGenerator[TokenChunk]:
        yield TokenChunk(request_id=1, text="ab")
        raise OSError("gone")

    generation = Generation(place("‸"), fail())
    with pytest.raises(OSError, match="gone"):
        await text_of(generation.follow())
    assert not generation.fits(b"")
