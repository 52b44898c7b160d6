"""What there is to replay: the fresh lines of public projects, or a repository's own commits.

The corpus of fresh lines is built if it is missing. A fresh line stands in a project's new release
and nowhere in its release of mid-2024.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import options
from benchmarks.corpus import fresh, repository
from benchmarks.corpus.order import sample
from benchmarks.replay.types import Project, Target
from benchmarks.summary import Column, Summary, Table
from lsp_server.errors import UsageError

Row = tuple[str, int, int, int, int, int]

_COUNTS = ("files", "new files", "fresh lines", "in new files", "targets")


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser("corpus", help=__doc__.split("\n")[0], description=__doc__)
    fresh.add_corpus_option(parser)
    add_repository_options(parser)
    parser.add_argument(
        "--limit", type=int, default=20, metavar="N", help="Commits of --repo (default 20)."
    )
    parser.add_argument(
        "--show", type=int, default=0, metavar="N", help="Print N random targets too."
    )
    parser.add_argument("--seed", type=int, default=1, help="Which targets --show prints.")
    parser.add_argument(
        "--save",
        metavar="NAME",
        help="Keep the summary as benchmarks/results/NAME.json, where the report looks for it.",
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="Print the summary as JSON.")
    form.add_argument("--markdown", action="store_true", help="Print the summary as Markdown.")
    parser.set_defaults(func=run)


def add_repository_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--repo``, ``--since`` and ``--until``."""
    parser.add_argument(
        "--repo",
        type=Path,
        metavar="PATH",
        help="Take the commits of this git repository instead of the public corpus; nothing in "
        "it is changed.",
    )
    parser.add_argument(
        "--since",
        metavar="WHEN",
        help="Only commits of --repo after a date (2025-06-30), an age (3 months ago) or a "
        "revision.",
    )
    parser.add_argument(
        "--until",
        metavar="WHEN",
        help="Only commits of --repo up to a date, an age or a revision (default: HEAD).",
    )


def run(args: argparse.Namespace) -> int:
    """Print what there is."""
    if args.repo is not None:
        return _run_repository(args)
    if args.since or args.until:
        raise UsageError(
            "--since and --until are for the commits of a repository.",
            code="repo_missing",
            hint="Name the repository with --repo PATH.",
        )
    projects = fresh.fresh_lines(fresh.corpus_folder(args), progress=_say)
    rows = [_row(project.name, project.targets) for project in projects]
    targets = [target for project in projects for target in project.targets]
    total = _total(rows)
    recipe = {"corpus": fresh.fingerprint(projects)}
    summary = Summary(
        title="Corpus of fresh lines",
        headline=f"{total[3]:,} fresh lines in {len(targets):,} targets of {total[1]} files, "
        f"{len(projects)} projects.",
        run=options.run_info(args, "corpus", recipe),
        n=len(targets),
        tables=(_table("Fresh lines", "project", [*rows, total]),),
    )
    status = options.finish(args, summary)
    for project, target in sample(projects, seed=args.seed)[: args.show]:
        _show(project, target)
    return status


def _run_repository(args: argparse.Namespace) -> int:
    if args.limit < 1:
        raise UsageError(
            "--limit must be at least 1.", code="limit_invalid", hint="Leave it out for 20."
        )
    chosen = repository.commits(args.repo, since=args.since, until=args.until, limit=args.limit)
    rows = [_row(f"{commit.sha[:10]} {commit.date[:10]}", commit.targets) for commit in chosen]
    n_targets = sum(len(commit.targets) for commit in chosen)
    total = _total(rows)
    recipe = {"since": args.since, "until": args.until, "limit": args.limit}
    summary = Summary(
        title="Commits to replay",
        headline=f"{total[3]:,} added lines in {n_targets:,} targets of {len(chosen)} commits.",
        run=options.run_info(args, "corpus", recipe),
        n=n_targets,
        tables=(_table("Added lines", "commit", [*rows, total]),),
    )
    status = options.finish(args, summary)
    left = args.show
    for commit in chosen:
        if left <= 0:
            break
        with repository.checkout(args.repo, commit) as project:
            shown = sample([project], seed=args.seed)[:left]
            for _, target in shown:
                _show(project, target)
            left -= len(shown)
    return status


def _row(name: str, targets: Sequence[Target]) -> Row:
    return (
        name,
        len({target.path for target in targets}),
        len({target.path for target in targets if target.new_file}),
        sum(len(target.lines) for target in targets),
        sum(len(target.lines) for target in targets if target.new_file),
        len(targets),
    )


def _total(rows: Sequence[Row]) -> Row:
    files, new_files, lines, new_lines, targets = (sum(column) for column in _numbers(rows))
    return ("all", files, new_files, lines, new_lines, targets)


def _numbers(rows: Sequence[Row]) -> list[tuple[int, ...]]:
    return list(zip(*(row[1:] for row in rows), strict=True))


def _table(title: str, first: str, rows: Sequence[Row]) -> Table:
    return Table(
        title=title,
        columns=(Column(first), *(Column(name, "count") for name in _COUNTS)),
        rows=tuple(rows),
        note="Lines of at least 8 characters outside multi-line strings; generated and vendored "
        "files are left out.",
    )


def _show(project: Project, target: Target) -> None:
    """Print a target on stderr, so that --json stays JSON; ``+`` marks its lines."""
    text = (project.root / target.path).read_bytes().decode("utf-8").replace("\r\n", "\n")
    lines = text.split("\n")
    _say(f"\n{project.name}  {target.key}{'  (new file)' if target.new_file else ''}")
    for at in range(max(0, target.first_line - 2), min(len(lines), target.last_line + 1)):
        _say(f"{'+' if at in target.lines else ' '} {lines[at]}")


def _say(text: str) -> None:
    print(text, file=sys.stderr)
