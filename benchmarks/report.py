"""All kept summaries as one page of HTML, as Markdown, and in the README.

A benchmark that is run with --save NAME keeps its summary in benchmarks/results/NAME.json. The
page holds tables, plots and every comparison with peers and published figures, and opens without
a network.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from benchmarks import options
from benchmarks.render import html, markdown, markers
from benchmarks.summary import Summary, decode
from lsp_server.errors import StoreError, UsageError

_ORDER = ("acceptance", "peers", "calibration", "flow", "infilling", "latency", "engine")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("report", help=__doc__.split("\n")[0], description=__doc__)
    parser.add_argument(
        "summaries",
        nargs="*",
        type=Path,
        metavar="SUMMARY.json",
        help="summaries to show (default: all in benchmarks/results)",
    )
    parser.add_argument(
        "--output",
        type=Path,
        metavar="FILE.html",
        help="where the page is written (default: benchmarks/results/report.html)",
    )
    parser.add_argument(
        "--markdown",
        action="store_true",
        help="print everything as Markdown; a page is then written only with --output",
    )
    parser.add_argument(
        "--update",
        action="append",
        default=[],
        type=Path,
        metavar="FILE.md",
        help="make anew what stands in this file between <!-- report:NAME --> and <!-- /report --> "
        "(may be given several times)",
    )
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Write the page and whatever else was asked for."""
    summaries = gather(args.summaries)
    # Everything is made before anything is written, so that an error leaves all files as they are.
    page = html.render(summaries) if args.output or not args.markdown else None
    updated = [(path, _updated(path, summaries)) for path in args.update]
    if page is not None:
        path = args.output or options.RESULTS_DIR / "report.html"
        _write(path, page)
        print(f"{path}: {len(summaries)} summaries", file=sys.stderr)
    for path, text in updated:
        _write(path, text)
        print(f"{path}: up to date", file=sys.stderr)
    if args.markdown:
        sys.stdout.write(markdown.document(summaries) + "\n")
    return 0


def gather(files: Sequence[Path] = ()) -> dict[str, Summary]:
    """Summaries by name (of the file without its ending), in the order of a report.

    Args:
        files: which; none stands for all in benchmarks/results.

    Raises:
        UsageError: there is none (``no_summaries``), a file is missing (``no_summary``) or
            something else (``not_a_summary``), or two have one name (``same_name``).
    """
    paths = list(files) or sorted(options.RESULTS_DIR.glob("*.json"))
    if not paths:
        raise UsageError(
            f"There are no summaries in {options.RESULTS_DIR}.",
            code="no_summaries",
            hint="Make one first: python -m benchmarks acceptance --save acceptance.",
        )
    summaries: dict[str, Summary] = {}
    for path in paths:
        if path.stem in summaries:
            raise UsageError(f"Two summaries are called {path.stem}.", code="same_name")
        summaries[path.stem] = _read(path)
    told_apart = _with_models(summaries)
    return dict(sorted(told_apart.items(), key=lambda item: (_rank(item[1]), item[0])))


def _with_models(summaries: dict[str, Summary]) -> dict[str, Summary]:
    """Titles that several summaries have name the model too, and else the file."""
    titles = Counter(summary.title for summary in summaries.values())
    return {
        name: msgspec.structs.replace(
            summary, title=f"{summary.title}, {_apart(name, summary, summaries)}"
        )
        if titles[summary.title] > 1
        else summary
        for name, summary in summaries.items()
    }


def _apart(name: str, summary: Summary, summaries: dict[str, Summary]) -> str:
    alike = [
        other
        for other in summaries.values()
        if (other.title, other.run.model) == (summary.title, summary.run.model)
    ]
    return summary.run.model if summary.run.model and len(alike) == 1 else name


def _rank(summary: Summary) -> int:
    name = summary.run.benchmark
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def _read(path: Path) -> Summary:
    try:
        return decode(path.read_bytes())
    except OSError as error:
        raise UsageError(
            f"The summary {path} cannot be read: {error.strerror}.",
            code="no_summary",
            hint="A benchmark writes one when it is run with --save NAME.",
        ) from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UsageError(
            f"{path} is no summary of a benchmark: {error}.", code="not_a_summary"
        ) from error


def _updated(path: Path, summaries: dict[str, Summary]) -> str:
    try:
        text = path.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} cannot be read: {error}.", code="unreadable") from error
    return markers.update(text, summaries)


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
    except OSError as error:
        raise StoreError(
            f"{path} cannot be written: {error.strerror}.",
            code="results_unusable",
            hint="Give another file with --output.",
        ) from error
