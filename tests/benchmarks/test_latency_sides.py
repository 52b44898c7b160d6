"""The sides of the latency benchmark: timing, requests of clients, servers as children."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import psutil
import pytest

from benchmarks.latency.session import Edit, Moment, Open
from benchmarks.latency.sides import child, http, llama_server, llama_vim, openai_server, prompts
from benchmarks.latency.sides.midfill import Midfill
from benchmarks.latency.sides.setup import Setup
from benchmarks.latency.sides.types import Stopwatch
from context.types import Budget
from lsp_server.errors import EngineError
from tests.processes import still_running
from tests.scripted_engine import write_script

BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192)
HERE = Moment(path="a.py", text="import os\n\nos.getc\nprint()\n", line=2, column=7)


def setup_with(model: str = "", path: Path = Path("model.gguf")) -> Setup:
    """A setup for a model that need not be there."""
    return Setup(
        model=model,
        model_path=path,
        n_threads=2,
        n_ctx=4096,
        budget=BUDGET,
        max_tokens=48,
        seed=3,
    )


class Clock:
    """A clock that is set by hand, in seconds."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def timed(*pieces: tuple[float, str]) -> Stopwatch:
    """A stopwatch that took pieces at times in ms."""
    clock = Clock()
    watch = Stopwatch(clock)
    for at_ms, piece in pieces:
        clock.now_s = at_ms / 1000
        watch.take(piece)
    return watch


def test_a_stopwatch_tells_token_text_line_and_end_apart() -> None:
    """White space is a token but nothing to show; a line is whole at its line break."""
    answer = timed((5, "  "), (9, "a"), (12, " = 1\n"), (20, "b"), (30, "")).answer()
    times = (answer.ttft_ms, answer.display_ms, answer.line_ms, answer.total_ms)
    assert times == pytest.approx((5, 9, 12, 30))
    assert answer.text == "  a = 1\nb"


def test_a_line_break_before_the_first_text_ends_no_line() -> None:
    """It only says where the text begins; a text of one line is whole at its end."""
    answer = timed((5, "\n"), (9, "    a"), (12, "bc"), (20, "")).answer()
    assert answer.line_ms == pytest.approx(20)


def test_an_empty_answer_has_no_times_but_its_end() -> None:
    """Nothing came, so there is no first of anything."""
    answer = timed((7, "")).answer()
    assert (answer.ttft_ms, answer.display_ms, answer.line_ms) == (0, 0, 0)
    assert answer.total_ms == pytest.approx(7)


def test_llama_vims_request_has_its_lines_and_settings() -> None:
    """Lines above as prefix, the cursor's line as prompt, the rest and 64 lines as suffix."""
    text = "\n".join(f"line{number}" for number in range(400))
    moment = Moment(path="a.py", text=text, line=300, column=4)
    body = llama_vim.request(moment, llama_vim.Ring(), seed=3, max_predict_ms=None)
    assert body["input_prefix"].split("\n")[:1] == ["line44"]
    assert body["input_prefix"].endswith("line299\n")
    assert body["prompt"] == "line"
    assert body["input_suffix"].startswith("300\nline301\n")
    assert body["input_suffix"].endswith("\nline364\n")
    assert body["samplers"] == ["top_k", "top_p", "infill"]
    assert (body["n_predict"], body["cache_prompt"]) == (128, True)
    assert "t_max_predict_ms" not in body


def test_llama_vims_time_limit_is_in_the_request_when_asked_for() -> None:
    """And with it the limit of the prompt, which the server ignores."""
    body = llama_vim.request(HERE, llama_vim.Ring(), seed=3, max_predict_ms=250)
    assert (body["t_max_predict_ms"], body["t_max_prompt_ms"]) == (250, 500)


def test_a_blank_line_is_sent_as_llama_vim_sends_it() -> None:
    """From its start, without its indent."""
    moment = Moment(path="a.py", text="def f():\n    \n", line=1, column=4)
    body = llama_vim.request(moment, llama_vim.Ring(), seed=3, max_predict_ms=None)
    assert (body["prompt"], body["n_indent"]) == ("", 0)


def test_the_ring_takes_chunks_of_files_that_are_entered_and_left() -> None:
    """They wait in a queue until the cursor leaves a place, and go with every request then."""
    ring = llama_vim.Ring(seed=1)
    first = Moment(path="a.py", text="a\nb\nc\nd\n", line=0, column=0)
    second = Moment(path="b.py", text="\n".join("stuvw" * 20), line=50, column=0)
    ring.see(Open(gap_ms=0, path="a.py"), first)
    ring.see(Open(gap_ms=0, path="b.py"), second)
    assert [chunk.path for chunk in ring.queued] == ["a.py", "b.py"]
    assert ring.extra == []
    while ring.promote():
        pass
    assert [extra["filename"] for extra in ring.extra] == ["a.py", "b.py"]
    assert ring.extra[0]["text"] == "a\nb\nc\nd\n\n"
    assert len(ring.chunks[1].lines) == 33


def test_the_ring_drops_chunks_like_the_text_at_the_cursor() -> None:
    """They would only make the model repeat it."""
    ring = llama_vim.Ring()
    moment = Moment(path="a.py", text="a\nb\nc\nd\n", line=0, column=0)
    ring.pick("a.py", ["a", "b", "c", "d", ""])
    ring.pick("b.py", ["x", "y", "z"])
    while ring.promote():
        pass
    ring.before_request(moment)
    assert [chunk.path for chunk in ring.chunks] == ["b.py"]


def test_the_ring_keeps_sixteen_chunks() -> None:
    """The oldest go first."""
    ring = llama_vim.Ring()
    for number in range(20):
        ring.pick(f"{number}.py", [f"{number}a", f"{number}b", f"{number}c"])
        ring.promote()
    assert [chunk.path for chunk in ring.chunks] == [f"{number}.py" for number in range(4, 20)]


def test_typing_leaves_the_ring_alone() -> None:
    """Only what happens outside of insert mode moves chunks."""
    edit = Edit(gap_ms=0, line=0, column=0, end_line=0, end_column=0, text="x")
    assert llama_vim.is_typing(edit)
    assert not llama_vim.is_typing(Open(gap_ms=0, path="a.py"))


def test_peers_get_midfills_prompt() -> None:
    """As two sides for /infill, and as one text with markers."""
    assert prompts.sides(HERE, BUDGET) == ("import os\n\nos.getc", "\nprint()\n")
    assert prompts.marked(HERE, BUDGET) == (
        "<|fim_prefix|>import os\n\nos.getc<|fim_suffix|>\nprint()\n<|fim_middle|>"
    )


def test_servers_listen_on_this_machine_only() -> None:
    """On 127.0.0.1 and the port that is given."""
    setup = setup_with()
    for command in (
        llama_server.command(Path("llama-server"), setup, 4711),
        openai_server.command(setup, 4711),
    ):
        assert command[command.index("--host") + 1] == "127.0.0.1"
        assert command[command.index("--port") + 1] == "4711"


# -- HTTP --------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def answering(*parts: bytes) -> AsyncIterator[int]:
    """A server that answers every request with these bytes; gives its port."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


def chunked(*parts: bytes) -> list[bytes]:
    """An answer in chunks, after its head."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    return [head, *(b"%x\r\n%b\r\n" % (len(part), part) for part in parts), b"0\r\n\r\n"]


async def test_events_are_read_wherever_the_chunks_are_cut() -> None:
    """In the middle of an event too; comments and the end mark are no events."""
    parts = chunked(b'data: {"content":"a"}\n\n: ping\n', b'data: {"con', b'tent":"b"}\n\n',
                    b"data: [DONE]\n\n")  # fmt: skip
    async with answering(*parts) as port:
        events = [event async for event in http.stream(port, "/infill", {})]
    assert events == [{"content": "a"}, {"content": "b"}]


async def test_a_refused_request_is_an_error_with_the_peers_words() -> None:
    """Whether by status or by an event in the stream."""
    refusals = ([b"HTTP/1.1 400 Bad Request\r\n\r\nno such slot"],
                chunked(b'data: {"error": "no such slot"}\n\n'))  # fmt: skip
    for parts in refusals:
        async with answering(*parts) as port:
            with pytest.raises(EngineError, match="no such slot") as refused:
                async for _ in http.stream(port, "/infill", {}):
                    pass
        assert refused.value.code == "peer_refused"


async def test_a_broken_connection_is_an_error() -> None:
    """The peer hung up in the middle of a chunk."""
    async with answering(*chunked(b"data: {}\n\n")[:1], b"ff\r\nhalf") as port:
        with pytest.raises(EngineError) as broken:
            async for _ in http.stream(port, "/infill", {}):
                pass
    assert broken.value.code == "peer_failed"


async def test_nobody_is_ready_on_a_port_without_a_server() -> None:
    """And a server that answers 503 is not ready yet."""
    async with answering(b"HTTP/1.1 503 Service Unavailable\r\n\r\nloading") as port:
        assert not await http.is_ready(port, "/health")
    assert not await http.is_ready(port, "/health")
    async with answering(b'HTTP/1.1 200 OK\r\n\r\n{"status":"ok"}') as port:
        assert await http.is_ready(port, "/health")


# -- children ----------------------------------------------------------------------------


def python_server(port: int) -> Sequence[str]:
    """A real server that answers 200."""
    return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]


async def test_a_server_is_ready_after_start_and_gone_after_close(tmp_path: Path) -> None:
    """With the process that watches over it."""
    server = child.Server("python", python_server, health="/")
    await server.start()
    try:
        keepers = psutil.Process().children()
        servers = [process for keeper in keepers for process in keeper.children()]
        assert await http.is_ready(server.port, "/")
        assert servers
        await server.settle()
    finally:
        await server.aclose()
    alive = still_running(servers, 10)
    assert alive == []
    assert not await http.is_ready(server.port, "/")


async def test_a_server_dies_with_the_one_who_started_it(tmp_path: Path) -> None:
    """Even when that one is killed and can end nothing itself."""
    forever = "import signal\nprint('up', flush=True)\nwhile True: signal.pause()"
    parent = (
        "import subprocess, sys\n"
        f"p = subprocess.Popen([*{child.KEEPER!r}, sys.executable, '-c', {forever!r}], "
        "stdin=subprocess.PIPE, start_new_session=True)\n"
        "print(p.pid, flush=True)\np.wait()"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", parent, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = {await process.stdout.readline(), await process.stdout.readline()}
    (pid,) = (int(line) for line in lines if line.strip().isdigit())
    family = [psutil.Process(pid), *psutil.Process(pid).children()]
    assert len(family) == 2
    process.kill()
    await process.wait()
    alive = still_running(family, 20)
    assert alive == []


async def test_a_server_that_ends_at_once_is_an_error_with_its_last_words() -> None:
    """And with the name of its log."""
    server = child.Server(
        "mute",
        lambda _port: [sys.executable, "-c", "raise SystemExit('no such model')"],
        health="/",
    )
    with pytest.raises(EngineError, match="no such model") as failed:
        await server.start()
    assert "mute.log" in failed.value.hint
    await server.aclose()


# -- midfill -----------------------------------------------------------------------------


async def test_midfill_is_asked_over_lsp_and_follows_the_edits(tmp_path: Path) -> None:
    """The suggestion, its times and the engine's token counts; nothing is left behind."""
    script = write_script(tmp_path / "script.json", default="wd()\n")
    side = Midfill(setup_with(model=f"scripted:{script}"))
    try:
        await side.start()
        moment = Moment(path="a.py", text="import os\nos.get\n", line=1, column=6)
        await side.apply(Open(gap_ms=0, path="a.py"), moment)
        edit = Edit(gap_ms=0, line=1, column=6, end_line=1, end_column=6, text="c")
        typed = Moment(path="a.py", text="import os\nos.getc\n", line=1, column=7)
        await side.apply(edit, typed)
        answer = await side.ask(typed)
        await side.settle()
    finally:
        await side.aclose()
    assert answer.text.strip() == "wd()"
    assert 0 < answer.display_ms <= answer.line_ms <= answer.total_ms
    assert answer.n_prompt
    assert answer.n_evaluated is not None


async def test_a_question_to_midfill_can_be_taken_back(tmp_path: Path) -> None:
    """The server is told, and answers the next one."""
    hanging = {"after": "slow = ", "text": "x", "hang": True}
    script = write_script(tmp_path / "script.json", hanging, default="y")
    side = Midfill(setup_with(model=f"scripted:{script}"))
    try:
        await side.start()
        slow = Moment(path="a.py", text="slow = ", line=0, column=7)
        await side.apply(Open(gap_ms=0, path="a.py"), slow)
        asked = asyncio.ensure_future(side.ask(slow))
        async with asyncio.timeout(60):
            while not side.at_hand:
                await asyncio.sleep(0.01)
        asked.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asked
        edit = Edit(gap_ms=0, line=0, column=0, end_line=0, end_column=7, text="fast = ")
        fast = Moment(path="a.py", text="fast = ", line=0, column=7)
        await side.apply(edit, fast)
        assert (await side.ask(fast)).text == "y"
    finally:
        await side.aclose()
