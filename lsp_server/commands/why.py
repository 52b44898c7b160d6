"""`midfill why`: how the last requests ended, and why there was no suggestion."""

from __future__ import annotations

import argparse
import datetime
import json
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lsp_server.acceptance.recent import Outcome

_DEFAULT_LAST = 10
_SINCE_S = 7 * 86400


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "why",
        help="why there was no suggestion",
        description="Shows how the last requests of your editors ended, the newest last, and what "
        "the last empty answer means. Requests that newer ones overtook are left out.",
    )
    parser.add_argument("--last", type=int, default=_DEFAULT_LAST, metavar="N",
                        help=f"how many requests (default {_DEFAULT_LAST})")  # fmt: skip
    parser.add_argument("--all", action="store_true", help="show overtaken requests too")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the outcomes.

    Raises:
        StoreError: the log cannot be read.
    """
    from lsp_server.acceptance.recent import outcomes
    from lsp_server.acceptance.store import read_events

    found = outcomes(read_events(since_ts=time.time() - _SINCE_S), overtaken=args.all)
    found = found[-max(1, args.last) :]
    if args.json:
        print(json.dumps([outcome.as_json() for outcome in found], indent=2))
    elif found:
        _print(found)
    else:
        print("No requests are recorded in the last seven days.\nIs the acceptance log on? "
              "Run: midfill config")  # fmt: skip
    return 0


def _print(found: list[Outcome]) -> None:
    from lsp_server.commands.output import console, print_rows

    out = console()
    rows = [("when", "editor", "language", "what became of it")]
    rows += [(_local(o.ts), o.client or "–", o.language or "–", o.sentence) for o in found]
    print_rows(rows, to=out, styles=["bold", *[""] * len(found)])
    empty = [outcome for outcome in found if outcome.reason]
    if empty:
        reason = empty[-1].meaning
        out.print(f"\nLast empty answer: {reason.text} {reason.hint}".rstrip())


def _local(ts: float) -> str:
    return datetime.datetime.fromtimestamp(ts).strftime("%d %b %H:%M:%S")
