"""One greedy generation for each prompt, on an engine of the run's own."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from pathlib import Path

import psutil

from benchmarks.infilling.types import Generation
from context.gather import gather
from context.syntax import SyntaxTree
from context.types import Budget, FileContext, Prompt, SourceFile
from lsp_server import paths
from lsp_server.completion import asking
from lsp_server.completion.draft import Draft
from lsp_server.engine import spawn
from lsp_server.engine.client import EngineClient
from lsp_server.engine.launch import engine_options
from lsp_server.engine.protocol import NOWHERE, Home
from lsp_server.settings import CompletionSettings, EngineSettings, ModelSettings, Settings
from lsp_server.types import CompletionRequest, SamplingParams, Snapshot, TokenChunk

# What the language server asks for on a CPU where there are no other files, so that figures do not
# depend on the machine.
BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192)
SHOWN_MAX_TOKENS = 96
_LEAVE_TIMEOUT_S = 20
# Each problem's files replace those of the one before.
_CORPUS = "problem"


@contextlib.asynccontextmanager
async def private_engine(model: str, *, n_ctx: int = 8192) -> AsyncIterator[EngineClient]:
    """A client of an engine that nobody else uses; the engine leaves at the end.

    Args:
        model: ``auto``, an id or a path.
        n_ctx: cells of its KV cache, all in one slot.

    Raises:
        ModelError: the model is not there.
    """
    settings = Settings(
        model=ModelSettings(id=model),
        engine=EngineSettings(n_ctx=n_ctx, n_slots=1, kv_store_mib=0, idle_exit_s=30),
    )
    with _private_runtime_dir():
        client = EngineClient(engine_options(settings), name="benchmark")
        try:
            yield client
        finally:
            await client.aclose()
            await _end_engine(client.options.socket_path)


async def _end_engine(socket: Path) -> None:
    """Make the engine leave and wait until its process is gone."""
    status = await spawn.query(socket)
    if status is None:
        return
    try:
        process = psutil.Process(status.pid)
    except psutil.NoSuchProcess:
        return
    await spawn.stop(socket)
    _, stubborn = await asyncio.to_thread(psutil.wait_procs, [process], _LEAVE_TIMEOUT_S)
    for left in stubborn:
        left.kill()


@contextlib.contextmanager
def _private_runtime_dir() -> Iterator[None]:
    before = os.environ.get("MIDFILL_RUNTIME_DIR")
    made = tempfile.mkdtemp(prefix="mf-")
    os.environ["MIDFILL_RUNTIME_DIR"] = made
    try:
        yield
    finally:
        used = paths.runtime_dir()  # another one where the temporary folder's name is too long
        if before is None:
            del os.environ["MIDFILL_RUNTIME_DIR"]
        else:
            os.environ["MIDFILL_RUNTIME_DIR"] = before
        for folder in {made, str(used)}:
            shutil.rmtree(folder, ignore_errors=True)


def context_at(before: str, after: str, budget: Budget = BUDGET) -> FileContext:
    """What midfill takes from a Python file for a cursor between two texts."""
    cursor = len(before.encode("utf-8", "replace"))
    data = (before + after).encode("utf-8", "replace")
    file = SourceFile(path="main.py", language="python", data=data)
    return gather(file, SyntaxTree.parse(file), cursor, budget)


async def generate(
    client: EngineClient,
    prompt: Prompt,
    shown: FileContext,
    *,
    max_tokens: int,
    texts: Mapping[str, str] | None = None,
) -> Generation:
    """What the model writes, to its own end or to a limit, and what midfill would show of it.

    Args:
        client: of the engine.
        prompt: what the model is given.
        shown: the place as the language server would see it.
        max_tokens: longest generation.
        texts: other files by path, for the n-gram model; None does without it.
    """
    home = NOWHERE
    if texts is not None:
        await client.connect()
        home = Home(corpus=_CORPUS, path="main.py")
        client.tell(home.corpus, "", "")
        for path, text in texts.items():
            client.tell(home.corpus, path, text)
    sampling = SamplingParams(max_tokens=max_tokens)
    chunks = [
        chunk
        async for chunk in client.generate(
            prompt.segments,
            sampling,
            stop=prompt.stop,
            heal_bytes=prompt.heal_bytes,
            home=home,
            whole_corpus=True,
        )
    ]
    text, stop = post_process(chunks, shown)
    last = chunks[-1]
    timings = last.timings
    return Generation(
        raw="".join(chunk.text for chunk in chunks),
        text=text,
        stop=stop,
        finish=last.finish_reason or "",
        ttft_ms=round(timings.ttft_ms, 1) if timings else 0.0,
        total_ms=round(timings.total_ms, 1) if timings else 0.0,
        n_prompt=timings.n_prompt if timings else 0,
        n_reused=timings.n_reused if timings else 0,
        n_generated=sum(len(chunk.logprobs) for chunk in chunks),
    )


def post_process(chunks: Sequence[TokenChunk], shown: FileContext) -> tuple[str, str]:
    """What the language server would show of a stream, and why it would have left it.

    The chunks pass through the server's own draft one by one, so it stops where the server
    stops; the server's limit on tokens ends it as well.

    Args:
        chunks: the stream.
        shown: the place as the language server would see it.
    """
    if shown.scope.kind == "comment" and shown.scope.line_after.strip():
        return "", "inside_comment"  # the server does not ask the engine there
    draft = Draft(_REQUEST, asking.shaper(CompletionSettings(), shown), 0.0, "")
    n_tokens = 0
    for chunk in chunks:
        draft.take(chunk)
        n_tokens += len(chunk.logprobs)
        if draft.stop or n_tokens >= SHOWN_MAX_TOKENS:
            break
    draft.close()
    stop = draft.stop
    if not stop and n_tokens >= SHOWN_MAX_TOKENS:
        stop = "max_tokens"
    return draft.text, stop


_REQUEST = CompletionRequest(
    id="", snapshot=Snapshot(uri="", version=0, language="python", lines=("",)), line=0, column=0
)
