"""How many suggestions agree with what developers wrote: a replay through the real server.

Code that is newer than the model is typed again, key by key, in the project it belongs to. At
each pause the language server is asked over LSP, as an editor asks it; a suggestion whose first
line is what the developer wrote is accepted, and typing goes on behind it.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import hashlib
import os
import shlex
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, get_args

import msgspec
from rich.console import Console

from benchmarks import options
from benchmarks.corpus import fresh, order, repository
from benchmarks.records import RunFile, read_run
from benchmarks.replay import pauses, postprocessing
from benchmarks.replay.decisions import compare_decisions
from benchmarks.replay.findings import findings
from benchmarks.replay.progress import ReplayProgress
from benchmarks.replay.run import replay
from benchmarks.replay.server import LspServer
from benchmarks.replay.types import Project, SuffixMode, Target, Walk
from benchmarks.replay.walk import WalkOptions
from benchmarks.replay.workspace import Opener
from lsp_server import settings
from lsp_server.commands.options import command_line_layer
from lsp_server.errors import UsageError

_LIMIT = 300
_COMMITS = 50
_N_DIFFERENCES = 10
_MODES: tuple[SuffixMode, ...] = get_args(SuffixMode)


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "acceptance",
        help="replay how developers typed, and count what they would have accepted",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_source(parser)
    _add_replay(parser)
    options.add_common(parser)
    parser.add_argument(
        "--set",
        metavar="SECTION.NAME=VALUE",
        action="append",
        default=[],
        dest="assignments",
        help="Override a setting of the server, e.g. --set completion.max_lines=4 "
        "(midfill config lists them).",
    )
    parser.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("A.jsonl", "B.jsonl"),
        help="Measure nothing; compare the decisions of two results files. The exit status is 1 "
        "when any differ.",
    )
    parser.add_argument(
        "--postprocessing",
        type=Path,
        metavar="RUN.jsonl",
        help="Measure no model; put the model's texts of a results file, and the developer's own, "
        "through each rule of the post-processing.",
    )
    parser.set_defaults(func=run)


def _add_source(parser: argparse.ArgumentParser) -> None:
    source = parser.add_argument_group("what is typed again")
    fresh.add_corpus_option(parser)
    source.add_argument(
        "--repo",
        type=Path,
        metavar="PATH",
        help="Replay the commits of this git repository instead of the fresh-lines corpus.",
    )
    source.add_argument(
        "--since",
        metavar="REV_OR_DATE",
        help="With --repo: only commits after this revision or date.",
    )
    source.add_argument(
        "--commits",
        type=_positive,
        default=_COMMITS,
        metavar="N",
        help=f"With --repo: only the newest N commits that add Python lines (default {_COMMITS}).",
    )
    amount = source.add_mutually_exclusive_group()
    amount.add_argument(
        "--limit",
        type=_positive,
        default=_LIMIT,
        metavar="N",
        help="End after the walk that reaches N opportunities, in each suffix mode "
        f"(default {_LIMIT}, some minutes on two cores). A larger N goes on with the same run.",
    )
    amount.add_argument("--all", action="store_true", help="Replay everything; takes hours.")


def _add_replay(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("how it is typed")
    group.add_argument(
        "--suffix",
        type=_modes,
        default=("full",),
        metavar="MODES",
        help="What stands below the cursor, several separated by commas: full (all that follows), "
        "function (without the rest of the function or class), empty (default full).",
    )
    group.add_argument(
        "--identifier-step",
        type=_natural,
        default=pauses.IDENTIFIER_STEP,
        metavar="K",
        help="Pause at every K-th character inside an identifier; 0 for none "
        f"(default {pauses.IDENTIFIER_STEP}).",
    )
    group.add_argument(
        "--min-chars",
        type=_positive,
        default=pauses.MIN_CHARS,
        metavar="N",
        help="Do not ask where the rest of the line is shorter than N characters "
        f"(default {pauses.MIN_CHARS}).",
    )
    group.add_argument(
        "--pauses-per-line",
        type=_positive,
        metavar="N",
        help="Ask at N pauses of each line at most, chosen by the seed (default: at all). The "
        "same number of opportunities then comes from more files.",
    )
    group.add_argument(
        "--no-accept",
        action="store_true",
        help="Judge suggestions but never take one, so that the opportunities are the same "
        "whatever is suggested.",
    )


def run(args: argparse.Namespace) -> int:
    """Replay, count and print."""
    if args.compare:
        return _compare(*args.compare)
    if args.postprocessing:
        return _postprocessing(args)
    layer = _server_settings(args)
    model = str(layer.get("model", {}).get("id", "auto"))
    walk_options = WalkOptions(
        identifier_step=args.identifier_step,
        min_chars=args.min_chars,
        accepts=not args.no_accept,
        pauses_per_line=args.pauses_per_line,
        seed=args.seed,
    )
    source = _source(args)
    recipe = {**source.recipe, **_recipe(args, walk_options)}
    info = options.run_info(args, "acceptance", recipe, model=model)
    layer.setdefault("model", {})["id"] = info.model if model == "auto" else model
    path = options.results_path(args, info)
    file: RunFile[Walk] = RunFile(path, info, Walk, restart=args.restart)
    walks = _replay(args, source, file, layer, walk_options)
    if not any(walk.opportunities for walk in walks):
        raise UsageError(
            "There is nothing to ask about: no line that was added is long enough.",
            code="no_opportunities",
            hint="Try a lower --min-chars, an earlier --since, or another repository.",
        )
    return options.finish(args, findings(walks, info))


def _replay(
    args: argparse.Namespace,
    source: _Source,
    file: RunFile[Walk],
    layer: dict[str, dict[str, Any]],
    walk_options: WalkOptions,
) -> list[Walk]:
    limit = None if args.all else args.limit
    with _ended_like_interrupted(), ReplayProgress(args.suffix, limit, source.plan) as progress:
        work = replay(
            source.plan,
            LspServer(layer),
            file,
            modes=args.suffix,
            options=walk_options,
            limit=limit,
            opener=source.opener,
            on_walk=progress.add,
        )
        try:
            return asyncio.run(work)
        except KeyboardInterrupt:
            command = shlex.join(["python", "-m", "benchmarks", *_without_restart(sys.argv[1:])])
            print(
                f"benchmarks: interrupted; {len(file.records)} walks are in {file.path}. "
                f"To go on: {command}",
                file=sys.stderr,
            )
            raise


@contextlib.contextmanager
def _ended_like_interrupted() -> Iterator[None]:
    """SIGTERM, as ``timeout`` and job systems send it, ends a run like Ctrl-C, with all cleanup."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Source(msgspec.Struct, frozen=True, kw_only=True):
    """What is typed again.

    Args:
        plan: the targets in order.
        recipe: what of the source belongs to the recipe of the run.
        opener: makes private copies of projects that have no files yet.
    """

    plan: list[tuple[Project, Target]]
    recipe: dict[str, Any]
    opener: Opener | None = None


def _source(args: argparse.Namespace) -> _Source:
    with Console(stderr=True).status("reading the corpus") as status:
        if args.repo is not None:
            return _repository(args)
        if args.since:
            raise UsageError(
                "--since says which commits count, so it needs a repository.",
                code="bad_arguments",
                hint="Name one with --repo.",
            )
        projects = fresh.fresh_lines(fresh.corpus_folder(args), progress=status.update)
        recipe = {"corpus": f"fresh-lines {fresh.fingerprint(projects)}"}
        return _Source(plan=order.sample(projects, seed=args.seed), recipe=recipe)


def _repository(args: argparse.Namespace) -> _Source:
    found = repository.commits(args.repo, since=args.since, limit=args.commits)
    name = args.repo.resolve().name
    by_name = {f"{name} {commit.sha[:10]}": commit for commit in found}

    @contextlib.contextmanager
    def opener(project: Project) -> Iterator[Project]:
        with repository.checkout(args.repo, by_name[project.name]) as made:
            yield msgspec.structs.replace(project, root=made.root)

    # There are no files at these roots before the opener has made some elsewhere.
    projects = [
        Project(name=key, root=Path(commit.sha), targets=commit.targets, cluster=name)
        for key, commit in by_name.items()
    ]
    commits = hashlib.sha256("".join(commit.sha for commit in found).encode()).hexdigest()
    recipe = {"corpus": f"{len(found)} commits of {name}, {commits[:12]}"}
    return _Source(plan=order.sample(projects, seed=args.seed), recipe=recipe, opener=opener)


def _recipe(args: argparse.Namespace, walk_options: WalkOptions) -> dict[str, Any]:
    """What changes the results, except how many of them there are."""
    return {
        "suffix": list(args.suffix),
        "identifier_step": walk_options.identifier_step,
        "min_chars": walk_options.min_chars,
        "pauses_per_line": walk_options.pauses_per_line,
        "accepts": walk_options.accepts,
        "set": sorted(args.assignments),
    }


def _server_settings(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """``--model`` and ``--set`` as a server takes them.

    Raises:
        UsageError: a setting is not known or has no such value.
    """
    model = None if args.model == "auto" else args.model
    layer = command_line_layer(argparse.Namespace(assignments=args.assignments, model=model))
    # No user's file: a benchmark's settings are the defaults and what is said here.
    problems = settings.load(command_line=layer, file=Path(os.devnull)).problems
    if problems:
        raise UsageError(" ".join(problems), code="bad_setting", hint="See: midfill config")
    return layer


def _compare(first: Path, second: Path) -> int:
    """Print how many decisions two results files share."""
    (_, ours), (_, theirs) = read_run(first, Walk), read_run(second, Walk)
    comparison = compare_decisions(ours, theirs)
    if comparison.n == 0:
        raise UsageError(
            "The two files have no walk in common.",
            code="nothing_in_common",
            hint="Compare two runs of the same options and seed.",
        )
    print(f"{comparison.n_identical} of {comparison.n} decisions are identical.")
    if comparison.n_walks_alone:
        print(f"{comparison.n_walks_alone} walks are in one of the files only.")
    for difference in comparison.differences[:_N_DIFFERENCES]:
        print(difference)
    n_more = len(comparison.differences) - _N_DIFFERENCES
    if n_more > 0:
        print(f"and {n_more} more")
    return 1 if comparison.differences else 0


def _postprocessing(args: argparse.Namespace) -> int:
    """Put the texts of a results file through each rule."""
    info, walks = read_run(args.postprocessing, Walk)
    source = _source(args)
    projects = {project.name: project for project, _ in source.plan}
    with Console(stderr=True).status("reading the files") as status:
        found = list(postprocessing.places(walks, projects, source.opener))
        if not any(each for _, each in found):
            raise UsageError(
                f"No text in {args.postprocessing} was written for a file of this corpus.",
                code="nothing_in_common",
                hint="Name the corpus or the repository that was replayed (--corpus, --repo).",
            )
        summary = postprocessing.findings(found, info, on_variant=status.update)
    return options.finish(args, summary)


def _without_restart(arguments: Sequence[str]) -> list[str]:
    return [argument for argument in arguments if argument != "--restart"]


def _modes(text: str) -> tuple[SuffixMode, ...]:
    chosen = tuple(dict.fromkeys(word.strip() for word in text.split(",")))
    if unknown := [word for word in chosen if word not in _MODES]:
        raise argparse.ArgumentTypeError(
            f"unknown suffix mode '{unknown[0]}' (choose from {', '.join(_MODES)})"
        )
    return tuple(mode for mode in _MODES if mode in chosen)


def _natural(text: str) -> int:
    return _whole_number(text, 0)


def _positive(text: str) -> int:
    return _whole_number(text, 1)


def _whole_number(text: str, least: int) -> int:
    try:
        number = int(text)
    except ValueError:
        number = least - 1
    if number < least:
        raise argparse.ArgumentTypeError(f"'{text}' is no whole number from {least} on")
    return number
