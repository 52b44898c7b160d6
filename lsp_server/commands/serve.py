"""``midfill serve``: the language server on stdin and stdout, as editors start it."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from lsp_server.commands.options import add_settings_options, command_line_layer

if TYPE_CHECKING:
    from lsp_server.service import Service

_LEVELS = ("debug", "info", "warning", "error")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "serve",
        help="run the language server on stdin and stdout (what editors start)",
        description="Speak the Language Server Protocol on stdin and stdout. Your editor starts "
        "this command; there is no other channel, and no port is opened.",
    )
    # vscode-languageclient adds it to the command line of every server it starts.
    parser.add_argument("--stdio", action="store_true", help="the default and only channel")
    parser.add_argument(
        "--log-level",
        choices=_LEVELS,
        default="warning",
        help="what goes to stderr; never source text (default: warning)",
    )
    add_settings_options(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Serve until the client leaves.

    Returns:
        0 after shutdown and exit, else 1.

    Raises:
        UsageError: an option is wrong.
    """
    layer = command_line_layer(args)
    if sys.stdin.isatty():
        print("midfill: waiting for an editor on stdin; end with Ctrl+C", file=sys.stderr)
    from lsp_server.lifecycle.channel import take_stdio

    # Before anything else is imported: nothing may write to stdout from here on.
    stdio = take_stdio()
    logging.basicConfig(
        stream=sys.stderr,
        level=args.log_level.upper(),
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    from lsp_server import server

    def make_service(editor_options: Mapping[str, Any], client_name: str) -> Service:
        # Imported once initialize has been answered; the editor does not wait for it.
        from lsp_server import settings
        from lsp_server.completion.build import build_service

        service = build_service(
            lambda editor: settings.load(editor=editor, command_line=layer),
            editor_options,
            client_name=client_name or "midfill",
        )
        service.configure(editor_options)
        return service

    return server.serve(make_service, stdio)
