"""llama.cpp's own server, asked on ``/infill``."""

from __future__ import annotations

import contextlib
from pathlib import Path

from benchmarks.latency.session import Event, Moment
from benchmarks.latency.sides import http, llama_vim, prompts
from benchmarks.latency.sides.child import Server
from benchmarks.latency.sides.setup import WARM_UP, Setup
from benchmarks.latency.sides.types import Answer, Stopwatch

_INFILL = "/infill"
# llama.vim's README starts the server so.
_CACHE_REUSE = 256


class _LlamaServer:
    """A server of its own, with one slot."""

    name = ""

    def __init__(self, setup: Setup, program: Path) -> None:
        self.setup = setup
        self.server = Server(
            self.name, lambda port: command(program, setup, port), health="/health"
        )

    async def start(self) -> None:
        await self.server.start()
        await http.post(
            self.server.port,
            _INFILL,
            {"input_prefix": WARM_UP, "input_suffix": "", "n_predict": 1, "temperature": 0},
        )

    async def settle(self) -> None:
        await self.server.settle()

    async def aclose(self) -> None:
        await self.server.aclose()

    async def stream(self, watch: Stopwatch, request: http.Json) -> Answer:
        timings: http.Json = {}
        events = http.stream(self.server.port, _INFILL, request)
        async with contextlib.aclosing(events):
            async for event in events:
                watch.take(str(event.get("content", "")))
                timings = event.get("timings") or timings
        if not {"prompt_n", "cache_n"} <= timings.keys():
            return watch.answer()
        n_evaluated = int(timings["prompt_n"])
        return watch.answer(n_prompt=n_evaluated + int(timings["cache_n"]), n_evaluated=n_evaluated)


class LlamaVim(_LlamaServer):
    """As llama.vim asks: its lines, its ring, its samplers; without its time limit.

    Its requests are streamed here, which llama.vim does not do: its user sees nothing before
    ``total_ms``. New chunks are evaluated ahead, outside of what is timed, whenever the cursor
    leaves a place; llama.vim waits up to three seconds with that.
    """

    name = "llama-server, llama.vim"
    max_predict_ms: int | None = None

    def __init__(self, setup: Setup, program: Path) -> None:
        super().__init__(setup, program)
        self._ring = llama_vim.Ring(setup.seed)

    async def apply(self, event: Event, moment: Moment) -> None:
        self._ring.see(event, moment)
        if not llama_vim.is_typing(event):
            while self._ring.promote():
                await http.post(self.server.port, _INFILL, llama_vim.warm_up(self._ring))

    async def ask(self, moment: Moment) -> Answer:
        watch = Stopwatch()
        self._ring.before_request(moment)
        request = llama_vim.request(
            moment, self._ring, seed=self.setup.seed, max_predict_ms=self.max_predict_ms
        )
        answer = await self.stream(watch, request)
        self._ring.after_request(moment)
        return answer


class LlamaVimLimited(LlamaVim):
    """The same with llama.vim's time limit: a prediction may end after 250 ms, at a line break."""

    name = "llama-server, llama.vim's time limit"
    max_predict_ms = llama_vim.MAX_PREDICT_MS


class SamePrompt(_LlamaServer):
    """llama-server with midfill's prompt, length and greedy sampling: engine against engine."""

    name = "llama-server, midfill's prompt"

    async def apply(self, event: Event, moment: Moment) -> None:
        """Nothing to keep."""

    async def ask(self, moment: Moment) -> Answer:
        watch = Stopwatch()
        prefix, suffix = prompts.sides(moment, self.setup.budget)
        return await self.stream(
            watch,
            {
                "input_prefix": prefix,
                "input_suffix": suffix,
                "n_predict": self.setup.max_tokens,
                "top_k": 40,
                "top_p": 0.92,
                "temperature": 0.0,
                "samplers": ["top_k", "top_p", "infill", "temperature"],
                "stream": True,
                "cache_prompt": True,
            },
        )


def command(program: Path, setup: Setup, port: int) -> list[str]:
    """The command line of ``llama-server``: one slot, both its caches on."""
    n_threads = str(setup.n_threads)
    return [
        *(str(program), "-m", str(setup.model_path), "--host", "127.0.0.1", "--port", str(port)),
        *("-t", n_threads, "-tb", n_threads, "-c", str(setup.n_ctx), "-np", "1"),
        *("-b", "2048", "-ub", "512", "--cache-reuse", str(_CACHE_REUSE), "-fa", "auto"),
        "--no-ui",
    ]
