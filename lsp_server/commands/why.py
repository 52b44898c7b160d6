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
        "the last empty answer means. Requests that newer ones overtook are left out, and so is "
        "`midfill complete`, which says itself why there is nothing.",
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

    events = list(read_events(since_ts=time.time() - _SINCE_S))
    every = outcomes(events, overtaken=True)
    found = every if args.all else outcomes(events)
    found = found[-max(1, args.last) :]
    if args.json:
        print(json.dumps([outcome.as_json() for outcome in found], indent=2))
    elif found:
        _print(found)
    else:
        print(_nothing(len(every)))
    return 0


def _nothing(n_overtaken: int) -> str:
    """Why there is nothing to tell of."""
    from lsp_server import settings
    from lsp_server.engine import pause

    if n_overtaken:
        return (
            f"All {n_overtaken:,} requests of the last seven days were overtaken by newer ones.\n"
            "To see them, run: midfill why --all"
        )
    resolved = settings.load()
    if not resolved.settings.acceptance_log.enabled:
        origin = resolved.origins["acceptance_log.enabled"]
        return (
            f"No requests are recorded: the acceptance log is off ({origin}).\n"
            "Set acceptance_log.enabled to true, or ask your editor for the last reason."
        )
    lines = [
        "No editor has asked for a suggestion in the last seven days.",
        "This tells of editors' requests; `midfill complete` prints its reason itself and is not "
        "recorded.",
    ]
    if pause.is_paused():
        lines.append(str(pause.refusal()))
    lines.append("Does your editor start `midfill serve`? To check the rest, run: midfill doctor")
    return "\n".join(lines)


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
