"""``llama_cpp.server``: llama-cpp-python's server with OpenAI's API."""

from __future__ import annotations

import contextlib
import importlib
import sys

from benchmarks.extras import needed
from benchmarks.latency.session import Event, Moment
from benchmarks.latency.sides import http, prompts
from benchmarks.latency.sides.child import Server
from benchmarks.latency.sides.setup import WARM_UP, Setup
from benchmarks.latency.sides.types import Answer, Stopwatch

_COMPLETIONS = "/v1/completions"
# What clients of this API stop at for Qwen2.5-Coder.
_STOP = ["<|endoftext|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>", "<|fim_pad|>"]


class LlamaCppServer:
    """Midfill's prompt sent to ``/v1/completions``, as clients of OpenAI's API send one."""

    name = "llama_cpp.server"

    def __init__(self, setup: Setup) -> None:
        with needed("llama_cpp.server"):
            importlib.import_module("llama_cpp.server.app")
        self._setup = setup
        self._server = Server(self.name, lambda port: command(setup, port), health="/v1/models")

    async def start(self) -> None:
        await self._server.start()
        request = {"prompt": WARM_UP, "max_tokens": 1, "temperature": 0.0}
        await http.post(self._server.port, _COMPLETIONS, request)

    async def apply(self, event: Event, moment: Moment) -> None:
        """Nothing to keep."""

    async def ask(self, moment: Moment) -> Answer:
        watch = Stopwatch()
        request = {
            "prompt": prompts.marked(moment, self._setup.budget),
            "max_tokens": self._setup.max_tokens,
            "temperature": 0.0,
            "stop": _STOP,
            "stream": True,
        }
        async with contextlib.aclosing(
            http.stream(self._server.port, _COMPLETIONS, request)
        ) as events:
            async for event in events:
                for choice in event.get("choices", ()):
                    watch.take(str(choice.get("text", "")))
        return watch.answer()

    async def settle(self) -> None:
        await self._server.settle()

    async def aclose(self) -> None:
        await self._server.aclose()


def command(setup: Setup, port: int) -> list[str]:
    """The command line of ``llama_cpp.server``."""
    n_threads = str(setup.n_threads)
    return [
        *(sys.executable, "-m", "llama_cpp.server", "--model", str(setup.model_path)),
        *("--host", "127.0.0.1", "--port", str(port), "--n_ctx", str(setup.n_ctx)),
        *("--n_threads", n_threads, "--n_threads_batch", n_threads, "--flash_attn", "true"),
        *("--verbose", "false"),
    ]
