"""``midfill complete FILE:LINE:COL``: complete a real file and stream the text to the terminal."""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_server.commands.options import add_settings_options, command_line_layer
from lsp_server.errors import EngineUnavailableError, ModelNotFoundError, UsageError

if TYPE_CHECKING:
    from lsp_server.completion import Explanation
    from lsp_server.types import Completion, CompletionRequest, Skip

_POSITION = re.compile(r"(?P<file>.+?):(?P<line>\d+):(?P<column>\d+)\Z", re.DOTALL)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "complete",
        help="complete a file at LINE:COL and stream the text to the terminal",
        description="Complete FILE at LINE and COL (both count from 1; COL counts characters) and "
        "stream the text to the terminal. The file itself is not changed.",
        epilog="Example: midfill complete app.py:12:5 --explain",
    )
    parser.add_argument("position", metavar="FILE:LINE:COL")
    parser.add_argument("--json", action="store_true", help="print one JSON object at the end")
    parser.add_argument(
        "--explain",
        action="store_true",
        help="show every snippet in the prompt, token counts, what was reused, and timings",
    )
    parser.add_argument(
        "--fetch", action="store_true", help="fetch the default model first if there is none"
    )
    add_settings_options(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Complete; exit code 1 with the reason when there is no suggestion."""
    path, line, column = parse_position(args.position)
    snapshot_text = read_source(path)
    layer = command_line_layer(args)
    if args.fetch:
        _fetch_if_missing(args)
    from lsp_server import settings

    layer.setdefault("completion", {}).setdefault("debounce_ms", 0)
    resolved = settings.load(command_line=layer)
    for problem in resolved.problems:
        print(f"midfill: {problem}", file=sys.stderr)
    request = _request(path, snapshot_text, line, column)
    return asyncio.run(_complete(args, resolved, request))


def parse_position(text: str) -> tuple[Path, int, int]:
    """File, line and column of FILE:LINE:COL, the numbers as written (from 1).

    Raises:
        UsageError: it has another form.
    """
    found = _POSITION.match(text)
    if not found:
        raise UsageError(
            f"'{text}' is not FILE:LINE:COL.",
            code="bad_position",
            hint="Example: midfill complete app.py:12:5",
        )
    return Path(found["file"]), int(found["line"]), int(found["column"])


def read_source(path: Path) -> str:
    """The text of a source file, with its line ends kept.

    Raises:
        UsageError: it cannot be read, is binary, or is not UTF-8.
    """
    from lsp_server.settings import CompletionSettings

    limit = CompletionSettings().max_document_bytes
    try:
        if path.is_dir():
            raise UsageError(f"{path} is a folder.", code="file_unreadable", hint="Name a file.")
        size = path.stat().st_size
        data = path.read_bytes() if size <= limit else b""
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            code="file_unreadable",
            hint="Check the name and the permissions.",
        ) from error
    if size > limit:
        raise UsageError(
            f"{path} has {size / 2**20:.1f} MiB; files up to {limit / 2**20:g} MiB are completed.",
            code="document_too_large",
            hint="Choose a smaller file.",
        )
    if b"\0" in data:
        raise UsageError(
            f"{path} is a binary file.", code="file_binary", hint="Choose a source file."
        )
    try:
        return data.decode("utf-8-sig" if data.startswith(b"\xef\xbb\xbf") else "utf-8")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path} is not valid UTF-8 (byte {error.start}).",
            code="file_not_utf8",
            hint=f"Convert it, e.g.: iconv -f latin1 -t utf-8 {path}",
        ) from error


def _request(path: Path, text: str, line: int, column: int) -> CompletionRequest:
    from context.source import language_of
    from lsp_server.completion import new_request_id
    from lsp_server.documents import TextDocument
    from lsp_server.types import CompletionRequest

    document = TextDocument(path.absolute().as_uri(), language_of(str(path)), 0, text)
    snapshot = document.snapshot()
    n_lines = len(snapshot.lines)
    if not 1 <= line <= n_lines:
        raise UsageError(
            f"{path} has {n_lines} lines; there is no line {line}.",
            code="position_out_of_range",
            hint="Lines count from 1.",
        )
    n_columns = len(snapshot.lines[line - 1].rstrip("\r\n")) + 1
    if not 1 <= column <= n_columns:
        raise UsageError(
            f"Line {line} of {path} has {n_columns - 1} characters; column {column} is outside "
            f"1 to {n_columns}.",
            code="position_out_of_range",
            hint="Columns count from 1; the last one is behind the last character.",
        )
    return CompletionRequest(
        id=new_request_id(),
        snapshot=snapshot,
        line=line - 1,
        column=column - 1,
        trigger="invoked",
        client="midfill complete",
        received_s=time.monotonic(),
    )


def _fetch_if_missing(args: argparse.Namespace) -> None:
    from lsp_server.commands import model
    from lsp_server.models import store

    try:
        store.resolve(args.model)
    except ModelNotFoundError:
        model.fetch(args.model)


async def _complete(args: argparse.Namespace, resolved: Any, request: CompletionRequest) -> int:
    from lsp_server.completion import CompletionService
    from lsp_server.types import Skip

    service = CompletionService(resolved, client_name="midfill complete")
    explanations: list[Explanation] = []
    printer = _Printer(silent=args.json)
    service.on_status = printer.status
    try:
        result = await service.complete(request, printer.partial, explanations.append)
    finally:
        await service.aclose()
    explanation = explanations[0] if explanations else None
    if args.json:
        print(json.dumps(_record(result, explanation if args.explain else None), indent=2))
    elif not isinstance(result, Skip):
        printer.final(result)
        if args.explain and explanation:
            _print_explanation(explanation, result)
    if isinstance(result, Skip):
        if not args.json:
            raise EngineUnavailableError(result.message, code=result.reason)
        return 1
    return 0


class _Printer:
    """Writes growing text to a terminal, and only the whole text elsewhere."""

    def __init__(self, *, silent: bool) -> None:
        self._silent = silent
        self._live = sys.stdout.isatty()
        self._shown = ""

    def status(self, status: Any) -> None:
        """Tell on a terminal what takes long."""
        if status.busy and not self._silent and sys.stderr.isatty():
            print(f"midfill: {status.message}…", file=sys.stderr)

    def partial(self, completion: Completion) -> None:
        """Write what is new; text that was taken back is corrected at the end."""
        if self._silent or not self._live or not completion.text.startswith(self._shown):
            return
        sys.stdout.write(completion.text[len(self._shown) :])
        sys.stdout.flush()
        self._shown = completion.text

    def final(self, completion: Completion) -> None:
        """Write the rest."""
        if completion.text.startswith(self._shown):
            print(completion.text[len(self._shown) :])
        else:
            print(f"\n{completion.text}")


def _record(result: Completion | Skip, explanation: Explanation | None) -> dict[str, Any]:
    import msgspec

    from lsp_server.types import Skip

    if isinstance(result, Skip):
        record: dict[str, Any] = {"text": "", "reason": result.reason, "message": result.message}
    else:
        record = msgspec.to_builtins(result)
        # The command line counts from 1.
        record["line"] += 1
        record["column"] += 1
    if explanation is not None:
        record["explain"] = msgspec.to_builtins(explanation)
    return record


def _print_explanation(explanation: Explanation, result: Completion) -> None:
    from rich.console import Console
    from rich.rule import Rule
    from rich.table import Table
    from rich.text import Text

    console = Console(stderr=True, highlight=False)
    context = explanation.context
    for side, snippets in (("prefix", context.prefix), ("suffix", context.suffix)):
        for snippet in snippets:
            place = f"bytes {snippet.start_byte}–{snippet.end_byte}"
            title = f"{side}: {snippet.origin} ({place}, score {snippet.score:.2f})"
            console.print(Rule(title, style="cyan", align="left"))
            console.print(Text(snippet.text.rstrip("\n")))
    console.print(Rule("figures", style="cyan", align="left"))
    timings = result.timings
    roles = [segment.role for segment in explanation.prompt.segments]
    counts = ", ".join(
        f"{role} {count}" for role, count in zip(roles, explanation.segment_tokens, strict=False)
    )
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column()
    scope = context.scope
    for name, value in (
        ("model", result.model),
        (
            "cursor",
            f"in {scope.kind}, {scope.enclosing or 'module level'}, "
            f"{'several lines' if scope.multi_line else 'one line'}",
        ),
        ("prompt", f"{timings.n_prompt} tokens ({counts})"),
        ("reused", f"{timings.n_reused} tokens from the KV cache"),
        ("generated", f"{timings.n_generated} tokens, mean log-probability {result.score:.3f}"),
        ("ended by", explanation.stop),
        ("queue", f"{timings.queue_ms:.1f} ms"),
        ("context", f"{timings.context_ms:.1f} ms"),
        ("tokenize", f"{timings.tokenize_ms:.1f} ms"),
        ("prefill", f"{timings.prefill_ms:.1f} ms"),
        ("first token", f"{timings.ttft_ms:.1f} ms"),
        ("total", f"{timings.total_ms:.1f} ms"),
    ):
        table.add_row(name, value)
    console.print(table)
