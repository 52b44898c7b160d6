"""How long until the first token and the first line: midfill against plain llama-cpp-python.

For each hole in Python's standard library both get the same prompts: a cold one (nothing of it
in the KV cache) and then warm ones, each with one more typed character. The sides take turns,
hole by hole. midfill is asked over its socket, as the language server asks it; the peer is
``Llama.create_completion(stream=True)`` in this process, with the same threads and context.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from benchmarks import figures, machine
from benchmarks.holes import Hole, stdlib_holes
from context import fim
from context.gather import gather
from context.syntax import SyntaxTree
from context.types import Budget, CursorScope, FileContext, Prompt, SourceFile
from lsp_server.engine.client import EngineClient
from lsp_server.engine.launch import engine_options
from lsp_server.models.verify import sha256_of
from lsp_server.settings import EngineSettings, ModelSettings, Settings
from lsp_server.types import SamplingParams

Side = Literal["midfill", "llama-cpp-python"]
_ROLES = {
    "fim_prefix": "<|fim_prefix|>",
    "fim_suffix": "<|fim_suffix|>",
    "fim_middle": "<|fim_middle|>",
}

_WAKE_UP = fim.build_prompt(
    FileContext(
        prefix=(),
        suffix=(),
        scope=CursorScope(
            kind="code", line_before="", line_after="", next_line="", indent="", multi_line=False
        ),
    )
)


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One request.

    Args:
        side: who answered.
        hole: which hole.
        warm: False for the first prompt of a hole.
        ttft_ms: until the first token's text.
        line_ms: until the first line was whole.
        text: the first line.
    """

    side: Side
    hole: str
    warm: bool
    ttft_ms: float
    line_ms: float
    text: str


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("latency", help=__doc__.split("\n")[0], description=__doc__)
    parser.add_argument("--limit", type=int, default=20, metavar="N", help="holes (default 20)")
    parser.add_argument("--keys", type=int, default=4, help="warm keystrokes per hole (default 4)")
    parser.add_argument("--seed", type=int, default=1, help="which holes (default 1)")
    parser.add_argument("--model", default="auto", help="model id (default: the best fetched)")
    parser.add_argument("--max-tokens", type=int, default=48)
    parser.add_argument("--n-prefix-tokens", type=int, default=768)
    parser.add_argument("--n-suffix-tokens", type=int, default=192)
    parser.add_argument("--output", type=Path, help="append every measurement as a JSON line")
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print the report as JSON")
    form.add_argument("--markdown", action="store_true", help="print the table as Markdown")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Measure and print."""
    settings = Settings(
        model=ModelSettings(id=args.model), engine=EngineSettings(n_ctx=4096, idle_exit_s=10)
    )
    options = engine_options(settings)
    measured = asyncio.run(_measure(args, EngineClient(options, name="benchmark")))
    report = {
        "benchmark": "latency",
        "commit": machine.commit(),
        "machine": msgspec.to_builtins(machine.machine()),
        "model": options.model_id,
        "model_sha256": sha256_of(Path(options.model_path)),
        "seed": args.seed,
        "rows": _rows(measured),
        "same_first_line": _same_text(measured),
    }
    if args.output:
        with args.output.open("a") as file:
            file.writelines(f"{msgspec.json.encode(m).decode()}\n" for m in measured)
    if args.json:
        print(json.dumps(msgspec.to_builtins(report), indent=2))
    elif args.markdown:
        print(_markdown(report))
    else:
        _print(report)
    return 0


async def _measure(args: argparse.Namespace, client: EngineClient) -> list[Measurement]:
    from rich.console import Console
    from rich.progress import track

    measured: list[Measurement] = []
    peer = _open_peer(client.options.model_path)
    budget = Budget(n_prefix_tokens=args.n_prefix_tokens, n_suffix_tokens=args.n_suffix_tokens)
    sampling = SamplingParams(max_tokens=args.max_tokens)
    holes = stdlib_holes(args.limit, args.seed)
    console = Console(stderr=True)
    try:
        async for _ in _midfill(client, _WAKE_UP, sampling):
            pass  # the engine is up and the model loaded before anything is measured
        for number, hole in enumerate(track(holes, "holes", console=console)):
            # Who goes first alternates, so that neither always meets the warmer machine.
            order: list[Side] = ["midfill", "llama-cpp-python"]
            for side in order if number % 2 == 0 else reversed(order):
                for n_typed in range(args.keys + 1):
                    prompt = _prompt(hole, n_typed, budget)
                    stream = (
                        _midfill(client, prompt, sampling)
                        if side == "midfill"
                        else _plain(peer, prompt, sampling)
                    )
                    measured.append(await _time(stream, side, hole.name, warm=n_typed > 0))
    finally:
        await client.aclose()
    return measured


def _prompt(hole: Hole, n_typed: int, budget: Budget) -> Prompt:
    before = hole.before + hole.line[:n_typed]
    file = SourceFile(path=hole.name, language="python", data=(before + hole.after).encode("utf-8"))
    tree = SyntaxTree.parse(file)
    return fim.build_prompt(gather(file, tree, len(before.encode("utf-8")), budget))


def _open_peer(model_path: str) -> Any:
    import llama_cpp

    from lsp_server.engine.llama import usable_cores

    with _quiet():
        return llama_cpp.Llama(
            model_path,
            n_ctx=4096,
            n_threads=usable_cores(),
            n_threads_batch=usable_cores(),
            flash_attn=True,
            verbose=False,
        )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    with contextlib.redirect_stderr(sys.stdout):
        yield


async def _midfill(
    client: EngineClient, prompt: Prompt, sampling: SamplingParams
) -> AsyncGenerator[str]:
    async with contextlib.aclosing(client.generate(prompt.segments, sampling)) as stream:
        async for chunk in stream:
            yield chunk.text


async def _plain(peer: Any, prompt: Prompt, sampling: SamplingParams) -> AsyncGenerator[str]:
    text = "".join(_ROLES.get(segment.role, segment.text) for segment in prompt.segments)
    stream = peer.create_completion(
        text, max_tokens=sampling.max_tokens, temperature=0.0, stream=True
    )
    for chunk in stream:
        yield chunk["choices"][0]["text"]


async def _time(stream: AsyncGenerator[str], side: Side, hole: str, *, warm: bool) -> Measurement:
    started_s = time.perf_counter()
    ttft_ms = 0.0
    text = ""
    async with contextlib.aclosing(stream) as pieces:
        async for piece in pieces:
            if piece and not ttft_ms:
                ttft_ms = 1000 * (time.perf_counter() - started_s)
            text += piece
            if "\n" in text.lstrip("\n"):
                break
    line_ms = 1000 * (time.perf_counter() - started_s)
    first = text.lstrip("\n").split("\n", 1)[0]
    return Measurement(
        side=side, hole=hole, warm=warm, ttft_ms=ttft_ms or line_ms, line_ms=line_ms, text=first
    )


def _rows(measured: list[Measurement]) -> list[dict[str, Any]]:
    rows = []
    for warm in (False, True):
        for name, title in (("ttft_ms", "first token"), ("line_ms", "first line")):
            for share in (0.5, 0.95):
                values: dict[str, figures.Figure] = {}
                for side in ("midfill", "llama-cpp-python"):
                    sample = [
                        getattr(m, name) for m in measured if m.side == side and m.warm == warm
                    ]
                    if sample:
                        values[side] = figures.bootstrap(
                            sample,
                            lambda v, share=share: figures.percentile(v, share),  # type: ignore[misc]
                        )
                if len(values) == 2:
                    rows.append(
                        {
                            "prompt": "warm" if warm else "cold",
                            "until": title,
                            "percentile": f"p{100 * share:.0f}",
                            "midfill_ms": values["midfill"],
                            "llama_cpp_python_ms": values["llama-cpp-python"],
                            "ratio": values["midfill"].value / values["llama-cpp-python"].value,
                        }
                    )
    return rows


def _same_text(measured: list[Measurement]) -> float:
    """Share of requests for which both sides gave the same first line."""
    by_side: dict[str, list[str]] = {"midfill": [], "llama-cpp-python": []}
    for side, texts in by_side.items():
        ordered = sorted((m for m in measured if m.side == side), key=lambda m: m.hole)
        texts.extend(m.text.strip() for m in ordered)
    pairs = list(zip(*by_side.values(), strict=True))
    return sum(a == b for a, b in pairs) / len(pairs) if pairs else 0.0


def _headline(report: dict[str, Any]) -> str:
    where = report["machine"]
    return (
        f"latency · {report['model']} (sha256 {report['model_sha256'][:16]}…) · "
        f"commit {report['commit']} · {where['cpu']}, {where['cores']} cores, "
        f"load {where['load_1min']} · seed {report['seed']}"
    )


def _markdown(report: dict[str, Any]) -> str:
    lines = [
        "| prompt | until | | midfill | llama-cpp-python | ratio | N |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {row['prompt']} | {row['until']} | {row['percentile']} | {row['midfill_ms']} | "
        f"{row['llama_cpp_python_ms']} | {row['ratio']:.2f} | {row['midfill_ms'].n} |"
        for row in report["rows"]
    ]
    same = f"Same first line on both sides: {100 * report['same_first_line']:.0f} %."
    return "\n".join([*lines, "", f"{_headline(report)}. {same}"])


def _print(report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, soft_wrap=True)
    console.print(_headline(report))
    table = Table("prompt", "until", "", "midfill ms", "llama-cpp-python ms", "ratio", "N")
    for row in report["rows"]:
        table.add_row(
            row["prompt"],
            row["until"],
            row["percentile"],
            str(row["midfill_ms"]),
            str(row["llama_cpp_python_ms"]),
            f"{row['ratio']:.2f}",
            str(row["midfill_ms"].n),
        )
    console.print(table)
    console.print("95 % bootstrap intervals in brackets; a ratio below 1 is in midfill's favour.")
    console.print(f"Same first line on both sides: {100 * report['same_first_line']:.0f} %.")
