"""Streams that serve more than one request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator

import pytest

from lsp_server.completion import generations
from lsp_server.completion.generations import Generation, Generations, Place, Source
from lsp_server.postprocess.shape import View
from lsp_server.types import FinishReason, TokenChunk

URI = "file:///a.py"


def place(marked: str) -> Place:
    """A cursor at the mark."""
    before, after = marked.split("‸")
    return Place((before + after).encode(), len(before.encode()))


class Engine:
    """Plays texts; holds after some chunks until it is let go on."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.go_on.set()
        self.n_begun = self.n_left = 0

    async def play(
        self, *texts: str, hold_after: int = 1000, finish: FinishReason = "stop"
    ) -> AsyncGenerator[TokenChunk]:
        """One stream."""
        self.n_begun += 1
        is_whole = False
        try:
            yield TokenChunk(request_id=1, text="")
            for number, text in enumerate(texts):
                if number == hold_after:
                    self.go_on.clear()
                await self.go_on.wait()
                yield TokenChunk(request_id=1, text=text, logprobs=(-0.5,))
            yield TokenChunk(request_id=1, text="", finish_reason=finish)
            is_whole = True
        finally:
            self.n_left += not is_whole


@pytest.fixture
async def kept() -> AsyncIterator[Generations]:
    """Streams of all documents; stopped at the end."""
    found = Generations()
    yield found
    await found.aclose()


async def text_of(stream: AsyncGenerator[TokenChunk], *, until: str = "") -> str:
    """What a stream says, up to some text."""
    text = ""
    async with contextlib.aclosing(stream):
        async for chunk in stream:
            text += chunk.text
            if until and until in text:
                break
    return text


# -- places ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "after", "typed"),
    [
        ("a = ‸\nb", "a = ‸\nb", b""),
        ("a = ‸\nb", "a = fo‸\nb", b"fo"),
        ("a = ‸\nb", "a = f(\n  1‸\nb", b"f(\n  1"),
        ("a = ‸\nb", "a = f(‸)\nb", b"f("),
        ("a = ‸\nb", "a = f('‸')\nb", b"f('"),
        ("a = ‸\nb", "a = ‸)\nb", None),
        ("a = ‸\nb", "a = f‸ x\nb", None),
        ("a = f‸\nb", "a = ‸\nb", None),
        ("a = ‸\nb", "c = f‸\nb", None),
        ("a = ‸\nb", "a = f‸\nc", None),
        ("é = ‸\nb", "é = ü‸\nb", "ü".encode()),
    ],
)
def test_what_was_typed_since(before: str, after: str, typed: bytes | None) -> None:
    """Only typing at the place itself counts; brackets that an editor closes may stand behind."""
    assert place(after).typed_since(place(before)) == typed


# -- what is shown of them ---------------------------------------------------------------


class Lines:
    """Shows so many lines."""

    def __init__(self, n_lines: int) -> None:
        self._n_lines = n_lines

    def view(self, raw: str, *, final: bool) -> View:
        """The first lines."""
        lines = raw.split("\n")
        stop = "enough" if len(lines) > self._n_lines else ""
        return View(text="\n".join(lines[: self._n_lines]), stop=stop)


async def test_what_is_left_is_shown_as_it_was(kept: Generations) -> None:
    """Where the cursor is decides of a new stream only; what it says beyond is new again."""
    first = Source(kept, URI, place("x = ‸\n"))
    assert first.shape(two := Lines(2)) is two
    await text_of(first.chunks(lambda: Engine().play("foo(\n", "  bar)\n", "baz\n", "end")))
    for typed, left, stop in (
        ("", "foo(\n  bar)", "enough"),
        ("fo", "o(\n  bar)", "enough"),
        ("foo(\n", "  bar)", "enough"),
        ("foo(\n  bar)\n", "baz", "enough"),
        ("foo(\n  bar)\nb", "az", "enough"),
        ("foo(\n  bar)\nbaz\n", "end", ""),
    ):
        source = Source(kept, URI, place(f"x = {typed}‸\n"))
        # What was new at the third line is kept from there on.
        shape = source.shape(Lines(9 if "\nb" in typed else 1))
        raw = await text_of(source.chunks(lambda: Engine().play("no")))
        assert shape.view(raw, final=True) == View(text=left, stop=stop), typed


async def test_a_stream_that_is_still_short_of_what_was_typed_shows_nothing(
    kept: Generations,
) -> None:
    """Until it says more; then as it would have been shown."""
    first = Source(kept, URI, place("x = ‸\n"))
    first.shape(Lines(2))
    engine = Engine()
    await text_of(first.chunks(lambda: engine.play("ab", "cd\nef", hold_after=1)), until="ab")
    source = Source(kept, URI, place("x = ab‸\n"))
    shape = source.shape(Lines(1))
    assert shape.view("", final=False) == View(text="")
    assert shape.view("cd\nef", final=False) == View(text="cd\nef")


async def test_another_stream_is_shown_as_the_place_wants_it(kept: Generations) -> None:
    """Also where an older one promised to serve; and where a bracket was closed by the editor."""
    first = Source(kept, URI, place("x = ‸\n"))
    first.shape(Lines(2))
    engine = Engine()
    await text_of(first.chunks(lambda: engine.play("ab", "cd", hold_after=1)), until="ab")
    second = Source(kept, URI, place("x = abx‸\n"))
    shape = second.shape(Lines(1))
    engine.go_on.set()
    raw = await text_of(second.chunks(lambda: engine.play("y\nz")))
    assert shape.view(raw, final=True).text == "y"
    third = Source(kept, URI, place("x = ab(‸)\n"))
    assert third.shape(one := Lines(1)) is one


async def test_what_is_there_is_not_shown_piece_by_piece(kept: Generations) -> None:
    """Until all is read that was there when the request came; a stream's own pieces are."""
    engine = Engine()
    first = Source(kept, URI, place("‸"))
    stream = first.chunks(lambda: engine.play("a", "b", "c", "d", hold_after=3))
    behind: list[bool] = []
    async for chunk in stream:
        behind.append(first.is_behind)
        if chunk.text == "c":
            break
    assert not any(behind)
    second = Source(kept, URI, place("a‸"))
    behind = []
    async for chunk in second.chunks(lambda: engine.play("no")):
        behind.append(second.is_behind)
        if chunk.text == "c":
            engine.go_on.set()
    assert behind[:3] == [True, True, True]
    assert not any(behind[3:])
    await stream.aclose()


# -- one stream --------------------------------------------------------------------------


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
    monkeypatch.setattr(generations, "_GRACE_S", 0.01)
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


# -- all of them -------------------------------------------------------------------------


async def test_a_request_reads_what_is_there(kept: Generations) -> None:
    """Its own stream first; the next one at the place, or behind what it says, reads it too."""
    engine = Engine()
    first = Source(kept, URI, place("x = ‸\n"))
    assert await text_of(first.chunks(lambda: engine.play("foo", "(bar)"))) == "foo(bar)"
    assert first.origin == "engine"
    again = Source(kept, URI, place("x = foo(‸)\n"))
    assert again.origin == "cache"
    assert await text_of(again.chunks(lambda: engine.play("no"))) == "bar)"
    other = Source(kept, URI, place("x = f1‸\n"))
    assert other.origin == "engine"
    assert await text_of(other.chunks(lambda: engine.play("23"))) == "23"
    elsewhere = Source(kept, "file:///b.py", place("x = ‸\n"))
    assert elsewhere.origin == "engine"


async def test_a_stream_that_says_something_else_is_replaced(kept: Generations) -> None:
    """By one of the request's own."""
    engine = Engine()
    first = Source(kept, URI, place("x = ‸\n"))
    await text_of(first.chunks(lambda: engine.play("ab", "cd", hold_after=1)), until="ab")
    second = Source(kept, URI, place("x = abx‸\n"))
    assert second.origin == "cache"
    engine.go_on.set()
    assert await text_of(second.chunks(lambda: engine.play("yz"))) == "yz"
    assert second.origin == "engine"


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
