"""``midfill doctor``: check the installation and fill a known hole end to end."""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import TYPE_CHECKING, Any

from lsp_server.commands.options import add_settings_options, command_line_layer
from lsp_server.commands.output import console

if TYPE_CHECKING:
    from lsp_server.doctor import Check
    from lsp_server.settings import Resolved

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "failed": ("✗", "red")}


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "doctor",
        help="check the installation and fill a known hole end to end",
        description="Check install, model hash, FIM tokens, GPU, flash attention and speed, and "
        "fill a known hole end to end. Each failed check says what to do, and makes the exit "
        "code 1.",
    )
    add_settings_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Run all checks; exit code 1 if one failed."""
    from lsp_server import settings

    resolved = settings.load(command_line=command_line_layer(args))
    checks = asyncio.run(_collect(resolved, show=not args.json))
    outcomes = {check.outcome for check in checks}
    failed = "failed" in outcomes
    if args.json:
        import msgspec

        report = {
            "ok": not failed,
            "checks": [msgspec.to_builtins(check) for check in checks],
            "settings": resolved.origins,
        }
        print(json.dumps(report, indent=2))
    elif failed:
        print("\nSomething is missing: see the lines marked ✗.")
    elif "warning" in outcomes:
        print("\nmidfill works, though not at its best: see the lines marked !.")
    else:
        print("\nAll is well.")
    return 1 if failed else 0


async def _collect(resolved: Resolved, *, show: bool) -> list[Check]:
    from lsp_server.doctor import examine

    checks: list[Check] = []
    async for check in examine(resolved):
        checks.append(check)
        if show:
            _print_check(check)
    return checks


def _print_check(check: Check) -> None:
    from rich.text import Text

    out = console()
    mark, colour = _MARKS[check.outcome]
    out.print(Text.assemble((mark, colour), " ", (check.name, "bold"), "  ", check.detail))
    if check.hint:
        out.print(f"    → {check.hint}", style="yellow")
