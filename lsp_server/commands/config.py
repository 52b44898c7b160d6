"""``midfill config``: the settings in force and where each comes from."""

from __future__ import annotations

import argparse
import json
from typing import Any

import msgspec

from lsp_server import settings
from lsp_server.commands.options import add_settings_options, command_line_layer
from lsp_server.commands.output import console, print_rows


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "config",
        help="show the settings in force, each with its origin",
        description="Show every setting, its value and where it comes from: defaults < your file "
        "< the editor\n< the command line. The exit code is 1 if a value was not taken.",
        epilog=f"Your own settings go into this file (TOML):\n  {settings.user_file()}\n\n"
        "for example:\n\n  [completion]\n  max_lines = 6\n",
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
    out = console()
    cells = [("setting", "value", "origin")]
    styles = ["bold"]
    for row in rows:
        value = json.dumps(row["value"], ensure_ascii=False)
        cells.append((row["name"], value, row["origin"]))
        styles.append("" if row["origin"] == "default" else "green")
    print_rows(cells, to=out, styles=styles)
    file = settings.user_file()
    there = "" if file.exists() else " (not there yet)"
    out.print(f"\nYour settings file: {file}{there}")
    for problem in problems:
        out.print(problem, style="yellow")
