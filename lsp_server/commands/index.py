"""``midfill index``: read a project for the first time, or see what the index of it holds."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_server.commands.options import add_settings_options, command_line_layer
from lsp_server.errors import StoreError, UsageError

if TYPE_CHECKING:
    from lsp_server.settings import Resolved
    from lsp_server.workspace.workspace import Workspace


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "index",
        help="index a project now, or delete all indexes",
        description="Read the source files of a project, so that suggestions know what its other "
        "files define. Editors do this by themselves for the folder that is open; what has not "
        "changed is not read again.",
        epilog="Example: midfill index ~/code/shop",
    )
    parser.add_argument("folder", metavar="FOLDER", nargs="?", default=".", type=Path,
                        help="the project (default: the current folder)")  # fmt: skip
    parser.add_argument("--clear", action="store_true",
                        help="delete the indexes of all projects instead")  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    add_settings_options(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Index, or delete."""
    return _clear(args) if args.clear else _index(args)


def _clear(args: argparse.Namespace) -> int:
    from lsp_server.workspace import store

    try:
        n_indexes, n_bytes = store.clear()
    except OSError as error:
        raise StoreError(
            f"Indexes cannot be deleted: {error.strerror or error}.",
            code="folder_unwritable",
            hint="Check the permissions of the folder index in the cache folder.",
        ) from error
    if args.json:
        print(json.dumps({"deleted": n_indexes, "freed_bytes": n_bytes}))
    else:
        plural = "" if n_indexes == 1 else "es"
        print(f"Deleted {n_indexes} index{plural}, {n_bytes / 2**20:,.1f} MiB.")
    return 0


def _index(args: argparse.Namespace) -> int:
    import asyncio

    from lsp_server import settings

    resolved = settings.load(command_line=command_line_layer(args))
    root = args.folder.expanduser().absolute()
    if not root.is_dir():
        raise UsageError(f"{root} is no folder.", code="folder_missing", hint="Check the name.")
    return asyncio.run(_run(args, resolved, root))


async def _run(args: argparse.Namespace, resolved: Resolved, root: Path) -> int:
    from lsp_server.workspace.workspace import Workspace

    told = not args.json and sys.stderr.isatty()

    def tell(share: float, text: str) -> None:
        if told:
            # Back to the start of the line, and clear it.
            sys.stderr.write(f"\r\x1b[K{text}" if share < 1 else "\r\x1b[K")
            sys.stderr.flush()

    started_s = time.monotonic()
    workspace = Workspace(root, resolved.settings.context, on_progress=tell)
    workspace.start()
    try:
        await workspace.ready.wait()
    finally:
        await workspace.aclose()
    _print(args, workspace, time.monotonic() - started_s)
    return 0


def _print(args: argparse.Namespace, workspace: Workspace, spent_s: float) -> None:
    files = workspace.index.files.values()
    n_bytes = sum(file.n_bytes for file in files)
    record = {
        "folder": str(workspace.root),
        "files": len(files),
        "symbols": sum(len(file.symbols) for file in files),
        "bytes": n_bytes,
        "left_out": workspace.left_out,
        "seconds": round(spent_s, 3),
    }
    if args.json:
        print(json.dumps(record, indent=2))
        return
    print(
        f"{record['files']:,} files, {record['symbols']:,} definitions, "
        f"{n_bytes / 2**20:,.1f} MiB of source, in {spent_s:.1f} s."
    )
    if workspace.left_out:
        print(f"Not all files are in it: {workspace.left_out} (context.max_files).")
