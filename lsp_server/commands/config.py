"""``midfill config``: the settings in force and where each comes from."""

from __future__ import annotations

import argparse
import json
from typing import Any

import msgspec

from lsp_server import settings
from lsp_server.commands.options import add_settings_options, command_line_layer


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "config",
        help="show the settings in force, each with its origin",
        description=f"Show every setting, its value and where it comes from. "
        f"Your own settings go into {settings.user_file()} (TOML), for example:\n\n"
        "    [completion]\n    max_lines = 6\n",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_settings_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the settings; exit code 1 when some of what the user wrote was not taken."""
    resolved = settings.load(command_line=command_line_layer(args))
    values = msgspec.to_builtins(resolved.settings)
    rows = [
        {"name": name, "value": values[section][field], "origin": origin}
        for name, origin in resolved.origins.items()
        for section, field in [name.split(".")]
    ]
    if args.json:
        report = {
            "file": str(settings.user_file()),
            "settings": rows,
            "problems": list(resolved.problems),
        }
        print(json.dumps(report, indent=2))
    else:
        _print_table(rows, resolved.problems)
    return 1 if resolved.problems else 0


def _print_table(rows: list[dict[str, Any]], problems: tuple[str, ...]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("setting", "value", "origin", box=None, header_style="bold")
    for row in rows:
        style = "" if row["origin"] == "default" else "green"
        table.add_row(row["name"], json.dumps(row["value"]), row["origin"], style=style)
    console = Console()
    console.print(table)
    console.print(f"\nYour settings file: {settings.user_file()}", highlight=False)
    for problem in problems:
        console.print(f"[yellow]{problem}[/yellow]", highlight=False)
