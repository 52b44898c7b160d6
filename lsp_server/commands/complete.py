"""``midfill complete FILE:LINE:COL``: complete a real file and stream the text to the terminal."""

from __future__ import annotations

import argparse
import json
import re
import stat
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_server.commands.options import add_settings_options, command_line_layer
from lsp_server.errors import ModelNotFoundError, UsageError

if TYPE_CHECKING:
    from context.rank import Dropped
    from lsp_server.completion.draft import Explanation
    from lsp_server.settings import Resolved, Settings
    from lsp_server.types import Completion, CompletionRequest, Skip, Status

_POSITION = re.compile(r"(?P<file>.+?):(?P<line>[0-9]{1,18}):(?P<column>[0-9]{1,18})\Z", re.DOTALL)
_MAX_DROPPED_CHARS = 60


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
        "--fetch", action="store_true", help="fetch the model first if it is not there"
    )
    add_settings_options(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Complete; exit code 1 with the reason when there is no suggestion."""
    path, line, column = parse_position(args.position)
    layer = command_line_layer(args)
    from lsp_server import settings

    resolved = settings.load(command_line=layer)
    for problem in resolved.problems:
        print(f"midfill: {problem}", file=sys.stderr)
    text = read_source(path, resolved.settings.completion.max_document_bytes)
    request = _request(path, text, line, column)
    if args.fetch:
        _fetch_if_missing(resolved.settings)
    import asyncio

    return asyncio.run(_complete(args, resolved, request, path))


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


def read_source(path: Path, max_bytes: int) -> str:
    """The text of a source file, with its line ends kept and without a byte order mark.

    Args:
        path: the file.
        max_bytes: larger files are refused.

    Raises:
        UsageError: it cannot be read, is too large or binary, or is not UTF-8.
    """
    try:
        info = path.stat()
        if not stat.S_ISREG(info.st_mode):
            kind = "a folder" if stat.S_ISDIR(info.st_mode) else "not a regular file"
            raise UsageError(f"{path} is {kind}.", code="file_unreadable", hint="Name a file.")
        data = path.read_bytes() if info.st_size <= max_bytes else b""
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}.",
            code="file_unreadable",
            hint="Check the name and the permissions.",
        ) from error
    if info.st_size > max_bytes:
        raise UsageError(
            f"{path} has {info.st_size:,} bytes; files up to {max_bytes:,} bytes are completed.",
            code="document_too_large",
            hint="Choose a smaller file, or raise it: --set completion.max_document_bytes=N",
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
    from lsp_server.completion.service import new_request_id
    from lsp_server.documents import TextDocument
    from lsp_server.types import CompletionRequest

    document = TextDocument(path.absolute().as_uri(), language_of(str(path)), 0, text)
    snapshot = document.snapshot()
    n_lines = len(snapshot.lines)
    if not 1 <= line <= n_lines:
        raise UsageError(
            f"{path} has {n_lines} line{'s' if n_lines != 1 else ''}; there is no line {line}.",
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


def _fetch_if_missing(settings: Settings) -> None:
    from lsp_server.commands import model
    from lsp_server.engine.launch import engine_options

    try:
        engine_options(settings)
    except ModelNotFoundError as error:
        if error.code != "model_not_fetched":
            raise
        model.fetch(settings.model.id)


def _project_of(path: Path) -> tuple[Path, ...]:
    """The project that a file belongs to: the nearest folder with a sign of one; none if none."""
    signs = (".git", ".hg", "pyproject.toml", "setup.py", "package.json", "Cargo.toml", "go.mod")
    folders = path.absolute().parents
    return tuple(f for f in folders if any((f / sign).exists() for sign in signs))[:1]


async def _complete(
    args: argparse.Namespace, resolved: Resolved, request: CompletionRequest, path: Path
) -> int:
    from lsp_server.completion.service import CompletionService
    from lsp_server.types import Skip

    service = CompletionService(resolved, client_name="midfill complete", one_shot=True)
    explanations: list[Explanation] = []
    line_before = request.snapshot.lines[request.line][: request.column]
    printer = _Printer(silent=args.json, line_before=line_before)
    service.on_status = printer.status
    service.on_index_progress = printer.indexing
    try:
        service.open_folders(_project_of(path))
        result = await service.complete(request, printer.partial, explanations.append)
    finally:
        printer.end()
        await service.aclose()
    explanation = explanations[0] if explanations and args.explain else None
    if args.json:
        print(json.dumps(_record(result, explanation), indent=2))
    elif not isinstance(result, Skip):
        printer.final(result)
    if explanation and not args.json:
        # First what it explains, where both go to one place.
        sys.stdout.flush()
        _print_explanation(explanation, result)
    if isinstance(result, Skip):
        printer.leave_line()
        print(f"midfill: no suggestion: {result.message} ({result.reason})", file=sys.stderr)
        return 1
    return 0


class _Printer:
    """Writes growing text to a terminal, and only the whole text elsewhere.

    Args:
        silent: nothing is to be written, since JSON follows.
        line_before: the cursor's line left of the cursor; on a terminal its indent is written
            too, so that the lines stand below each other as they will in the file.
    """

    def __init__(self, *, silent: bool, line_before: str = "") -> None:
        self._indent = line_before if line_before.isspace() else ""
        self._live = not silent and sys.stdout.isatty()
        self._tells = not silent and sys.stderr.isatty()
        self._shown = ""
        self._told = False

    def status(self, status: Status) -> None:
        """Tell on a terminal what takes long, each message in the place of the last one."""
        self._forget_status()
        if status.busy and self._tells and not self._shown:
            sys.stderr.write(f"midfill: {status.message}…")
            sys.stderr.flush()
            self._told = True

    def indexing(self, name: str, share: float, text: str) -> None:
        """Tell on a terminal that the project is read."""
        from lsp_server.types import Status

        message = f"Indexing {name}: {text}" if share < 1 else "Indexed"
        self.status(Status(kind="Normal", message=message, busy=share < 1))

    def partial(self, completion: Completion) -> None:
        """Write what is new; text that was taken back is corrected at the end."""
        if not self._live or not completion.text.startswith(self._shown):
            return
        self._forget_status()
        if not self._shown:
            sys.stdout.write(self._indent)
        sys.stdout.write(completion.text[len(self._shown) :])
        sys.stdout.flush()
        self._shown = completion.text

    def end(self) -> None:
        """No more partial text or status comes."""
        self._forget_status()

    def final(self, completion: Completion) -> None:
        """Write the rest."""
        if completion.text.startswith(self._shown):
            print(completion.text[len(self._shown) :])
        else:
            print(f"\n{completion.text}")

    def leave_line(self) -> None:
        """Begin a new line if text was shown: what follows is no part of it."""
        if self._shown:
            print(flush=True)

    def _forget_status(self) -> None:
        if self._told:
            # Back to the start of the line, and clear it.
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
            self._told = False


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


def _print_explanation(explanation: Explanation, result: Completion | Skip) -> None:
    from lsp_server.commands.output import console, print_rows

    err = console(stderr=True)
    context = explanation.context
    related = explanation.related
    sides = (
        ("other file", related.snippets),
        ("prefix", context.prefix),
        ("suffix", context.suffix),
    )
    for side, snippets in sides:
        for snippet in snippets:
            place = f"bytes {snippet.start_byte}–{snippet.end_byte}"
            if side == "other file":
                place = f"{snippet.path}, {place}"
            title = f"── {side}: {snippet.origin} ({place}, score {snippet.score:.2f}) ──"
            err.print(title, style="cyan")
            err.print(snippet.text.rstrip("\n"))
    if related.dropped:
        err.print("── not in the prompt ──", style="cyan")
        print_rows([_dropped_row(each) for each in related.dropped], to=err)
    err.print("── figures ──", style="cyan")
    print_rows(_figures(explanation, result), to=err, first_style="bold")


def _dropped_row(dropped: Dropped) -> tuple[str, ...]:
    snippet = dropped.snippet
    first = next(iter(snippet.text.strip().split("\n")), "")
    score = f"{snippet.score:.2f}"
    return (dropped.reason, snippet.origin, score, snippet.path, first[:_MAX_DROPPED_CHARS])


def _score(explanation: Explanation) -> list[tuple[str, str]]:
    if explanation.p is None:
        return []
    least = f"; shown from {explanation.least_p:.2f}" if explanation.least_p else ""
    return [("P(accept)", f"{explanation.p:.2f}{least}")]


def _support(explanation: Explanation) -> list[tuple[str, str]]:
    if not explanation.supports:
        return []
    n_known = sum(support > 0 for support in explanation.supports)
    return [("as elsewhere", f"{n_known} of {len(explanation.supports)} tokens (n-grams)")]


def _figures(explanation: Explanation, result: Completion | Skip) -> list[tuple[str, str]]:
    from lsp_server.types import Skip

    scope = explanation.context.scope
    roles = [segment.role for segment in explanation.prompt.segments]
    counts = ", ".join(
        f"{role} {count}" for role, count in zip(roles, explanation.segment_tokens, strict=False)
    )
    where = scope.enclosing or "module level"
    extent = "several lines" if scope.multi_line else "one line"
    figures = [
        ("cursor", f"in {scope.kind}, {where}, {extent}"),
        ("prompt", f"{sum(explanation.segment_tokens)} tokens ({counts})"),
        ("ended by", explanation.stop),
        *_support(explanation),
        *_score(explanation),
    ]
    if isinstance(result, Skip):
        raw = json.dumps(explanation.raw, ensure_ascii=False)
        return [*figures, ("the model wrote", raw)]
    timings = result.timings
    return [
        ("model", result.model),
        *figures,
        ("generated", f"{timings.n_generated} tokens, mean log-probability {result.score:.3f}"),
        ("reused", f"{timings.n_reused} tokens from the KV cache"),
        ("queue", f"{timings.queue_ms:.1f} ms"),
        ("context", f"{timings.context_ms:.1f} ms"),
        ("tokenize", f"{timings.tokenize_ms:.1f} ms"),
        ("prefill", f"{timings.prefill_ms:.1f} ms"),
        ("first token", f"{timings.ttft_ms:.1f} ms"),
        ("total", f"{timings.total_ms:.1f} ms"),
    ]
