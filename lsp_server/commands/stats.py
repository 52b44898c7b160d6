"""`midfill stats`: what became of the suggestions, from the acceptance log on this machine."""

from __future__ import annotations

import argparse
import datetime
import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lsp_server.errors import UsageError

if TYPE_CHECKING:
    from lsp_server.acceptance.events import Event
    from lsp_server.acceptance.report import GroupBy

_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_GROUPINGS = ("language", "model", "client", "file_kind", "session")


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "stats",
        help="how many suggestions were shown, accepted, dismissed, and how fast",
        description="Counts the acceptance log. The log lies on this machine only and holds "
        "sizes, hashes and timings, never source text (that is kept in a file of its own, and only "
        "if you set acceptance_log.keep_text).",
    )
    parser.add_argument(
        "--since",
        metavar="TIME",
        help="leave out what is older: 30m, 12h, 7d, 2w, or a date such as 2026-01-31",
    )
    parser.add_argument(
        "--by",
        default="language,model",
        metavar="LIST",
        help="group by any of language, model, client, file_kind (test, source, other), session "
        "(default: language,model)",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument(
        "--html", type=Path, metavar="FILE", help="write a page with charts that needs no network"
    )
    form.add_argument(
        "--export", type=Path, metavar="FILE",
        help="write all events to a file: .csv, .json, .jsonl with an object a line, or .parquet",
    )  # fmt: skip
    form.add_argument(
        "--export-training", type=Path, metavar="FILE",
        help="write what acceptance_log.keep_text has kept, for fine-tuning: .jsonl",
    )  # fmt: skip
    parser.add_argument("--clear", action="store_true", help="delete the whole log")
    parser.add_argument("--yes", action="store_true", help="with --clear: do not ask")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Print the figures, or clear the log.

    Args:
        args: what ``add_parser`` declared.

    Returns:
        The process' exit code.

    Raises:
        UsageError: an option's value makes no sense, or a needed confirmation is missing.
        StoreError: the log cannot be read or changed.
    """
    if args.clear:
        return _clear(assume_yes=args.yes, as_json=args.json)
    from lsp_server.acceptance import figures
    from lsp_server.acceptance.coverage import curve
    from lsp_server.acceptance.report import summarise
    from lsp_server.acceptance.store import read_events

    since_ts = None if args.since is None else since(args.since, time.time())
    if args.export_training:
        return _export_training(args.export_training, since_ts)
    by = _groupings(args.by)
    events = list(read_events(since_ts=since_ts))
    if args.export:
        _export(args.export, events)
        return 0
    if args.html:
        _write_page(args.html, figures.as_page(events, since_ts, by))
        return 0
    if args.json:
        _print_json(figures.as_json(events, since_ts, by))
        return 0
    report = summarise(events, by)
    if report.total.requested or report.total.shown:
        from lsp_server.commands.stats_table import print_table

        print_table(report, curve(events), since_ts)
    else:
        _print_nothing_yet(since_ts)
    return 0


def since(text: str, now_ts: float) -> float:
    """The moment a ``--since`` value means.

    Args:
        text: an age (``30m``, ``12h``, ``7d``, ``2w``) or an ISO 8601 date or time, local unless
            it names its zone.
        now_ts: the present, in seconds since 1970.

    Returns:
        Seconds since 1970.

    Raises:
        UsageError: it is neither.
    """
    age = re.fullmatch(r"(\d{1,6})([mhdw])", text.strip())
    if age:
        return now_ts - int(age[1]) * _SECONDS[age[2]]
    try:
        return datetime.datetime.fromisoformat(text.strip()).timestamp()
    except (ValueError, OverflowError, OSError) as error:
        raise UsageError(
            f"--since {text!r} is no time.",
            code="bad_since",
            hint="Write an age such as 30m, 12h, 7d or 2w, or a date such as 2026-01-31.",
        ) from error


def _groupings(text: str) -> tuple[GroupBy, ...]:
    names: list[GroupBy] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in _GROUPINGS:
            raise UsageError(
                f"--by {name!r} is unknown.",
                code="bad_grouping",
                hint=f"Choose from {', '.join(_GROUPINGS)}.",
            )
        if name not in names:
            names.append(name)  # type: ignore[arg-type]  # checked against _GROUPINGS
    return tuple(names)


def _clear(*, assume_yes: bool, as_json: bool) -> int:
    from lsp_server.acceptance import sample_store
    from lsp_server.acceptance.store import clear_events
    from lsp_server.score import own as learned

    if not assume_yes:
        if not sys.stdin.isatty():
            raise UsageError(
                "Deleting the acceptance log needs a confirmation.",
                code="confirmation_needed",
                hint="Run: midfill stats --clear --yes",
            )
        answer = input("Delete all recorded events for good? [y/N] ")
        if answer.strip().lower() not in ("y", "yes"):
            print("Nothing was deleted.")
            return 1
    n_deleted = clear_events()
    sample_store.clear()
    # It was learned from those events.
    learned.reset()
    if as_json:
        _print_json({"deleted": n_deleted})
    else:
        print(f"Deleted {n_deleted} events.")
    return 0


def _export(path: Path, events: Sequence[Event]) -> None:
    from lsp_server.acceptance.export import FORMS, write

    form = FORMS.get(path.suffix.lower())
    if form is None:
        raise UsageError(
            f"{path.name} does not say in which form events are to be written.",
            code="unknown_form",
            hint=f"Name a file that ends in {', '.join(FORMS)}.",
        )
    path = path.expanduser()
    try:
        write(events, path, form)
    except OSError as error:
        raise _unwritable(path, error) from error
    print(f"{len(events):,} events are written to {path}.")


def _export_training(path: Path, since_ts: float | None) -> int:
    import msgspec

    from lsp_server.acceptance import sample_store

    if path.suffix.lower() != ".jsonl":
        raise UsageError(
            f"{path.name} does not say in which form texts are to be written.",
            code="unknown_form",
            hint="Name a file that ends in .jsonl.",
        )
    samples = list(sample_store.read(since_ts=since_ts))
    if not samples:
        raise UsageError(
            "No texts are kept.",
            code="no_texts",
            hint="They are kept from the time on that acceptance_log.keep_text is set to true.",
        )
    path = path.expanduser()
    try:
        # It holds source code, as the file that it comes from.
        path.touch(mode=0o600)
        with path.open("wb") as file:
            file.writelines(msgspec.json.encode(sample) + b"\n" for sample in samples)
    except OSError as error:
        raise _unwritable(path, error) from error
    print(f"{len(samples):,} suggestions are written to {path}, with source text.")
    return 0


def _unwritable(path: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{path} cannot be written: {error.strerror or error}.",
        code="file_unwritable",
        hint="Name another file.",
    )


def _write_page(path: Path, text: str) -> None:
    path = path.expanduser()
    try:
        path.write_text(text, "utf-8")
    except OSError as error:
        raise _unwritable(path, error) from error
    print(f"Written to {path}. Open it in a browser.")


def _print_json(value: dict[str, Any]) -> None:
    import json

    print(json.dumps(value, indent=2))


def _print_nothing_yet(since_ts: float | None) -> None:
    from lsp_server.acceptance.figures import local_time

    if since_ts is not None:
        print(f"No suggestions since {local_time(since_ts)}. Leave out --since to see older ones.")
        return
    print(
        "No suggestions are recorded yet.\n"
        "Fetch a model with `midfill model fetch`, connect your editor (the README says how), "
        "and write some code."
    )
