"""What a request reads, and how that is shown."""

from __future__ import annotations

from lsp_server.completion.generations import Generations
from lsp_server.completion.source import Source
from lsp_server.postprocess.shape import View
from tests.completion.streams import URI, Engine, place, text_of


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


# -- what is shown of it -----------------------------------------------------------------


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
