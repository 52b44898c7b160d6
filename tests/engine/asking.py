"""Requests to an engine process, and who it is."""

from __future__ import annotations

from context.types import Segment
from lsp_server.engine import spawn
from lsp_server.engine.client import EngineClient
from lsp_server.engine.options import EngineOptions
from lsp_server.types import SamplingParams, TokenChunk

SAMPLING = SamplingParams(max_tokens=64)


def fim(prefix: str, suffix: str = "") -> tuple[Segment, ...]:
    """A FIM prompt in PSM order."""
    return (
        Segment(role="fim_prefix"),
        Segment(role="text", text=prefix),
        Segment(role="fim_suffix"),
        Segment(role="text", text=suffix),
        Segment(role="fim_middle"),
    )


async def collect(client: EngineClient, prefix: str) -> list[TokenChunk]:
    """All chunks of a completion."""
    return [chunk async for chunk in client.generate(fim(prefix), SAMPLING)]


async def text_of(client: EngineClient, prefix: str) -> str:
    """The text of a completion."""
    return "".join(chunk.text for chunk in await collect(client, prefix))


async def engine_pid(options: EngineOptions) -> int:
    """Pid of the running engine."""
    status = await spawn.query(options.socket_path)
    assert status is not None
    return status.pid
