"""Is an accept known before a suggestion is shown? Scores, a logistic and boosted trees.

On the decisions of developers that are public, leave one developer out, and on replays, file by
file: how each score or model ranks (AUC, AURC, acceptance at a coverage), and whether its
probabilities mean what they say (expected calibration error, Brier score, reliability diagram).
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import track

from benchmarks import options
from benchmarks.calibration import score
from benchmarks.calibration.data import Decisions, human, replayed
from benchmarks.calibration.findings import Judged, findings
from benchmarks.calibration.measures import Thresholded, quality, thresholded
from benchmarks.calibration.models import SCORE, Pool, predictors
from benchmarks.machine import ROOT
from benchmarks.records import RunFile
from benchmarks.resampling import Floats
from lsp_server.errors import StoreError, UsageError
from lsp_server.score.model import DATA_FILE, encode

_MODEL = ROOT / "lsp_server" / "score" / DATA_FILE
_DECISIONS = ROOT.parent / "shared" / "data" / "copilot-decisions" / "decisions.csv"


class Fitted(msgspec.Struct, frozen=True, kw_only=True):
    """The probabilities of one score or model; one line of the results file.

    Args:
        decisions: key of the decisions.
        name: of the score or model.
        probabilities: of an accept, one an opportunity; None where nothing was shown.
    """

    decisions: str
    name: str
    probabilities: tuple[float | None, ...]

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"{self.decisions}|{self.name}"


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "calibration",
        help="how well an accept is known before a suggestion is shown",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--runs",
        nargs="+",
        type=Path,
        default=[],
        metavar="FILE.jsonl",
        help="Results files of the acceptance benchmark. Each is judged by itself; midfill's own "
        "score is fitted to all of them, always without the file that it is judged on.",
    )
    parser.add_argument(
        "--decisions",
        type=Path,
        metavar="FILE.csv",
        help="Decisions of developers (default: ../shared/data/copilot-decisions/decisions.csv "
        "beside the checkout; with --runs it may be missing there).",
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help="Use only the first N opportunities of each file, to try it out.",
    )
    parser.add_argument(
        "--fit",
        nargs="?",
        const=_MODEL,
        type=Path,
        metavar="FILE.json",
        help="Fit midfill's own score to all --runs together, and write it to a file (default: "
        "the one that midfill ships, lsp_server/score/model.json). Judge it first: without "
        "--fit the same fit is judged on files that it did not see.",
    )
    options.add_common(parser, model=False)
    parser.set_defaults(func=run)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return int(text)


def run(args: argparse.Namespace) -> int:
    """Fit, judge and print."""
    if args.fit is not None:
        return _fit(args)
    sets = _sets(args)
    recipe = {"decisions": [decisions.key for decisions, _ in sets]}
    info = options.run_info(args, "calibration", recipe)
    file: RunFile[Fitted] = RunFile(
        options.results_path(args, info), info, Fitted, restart=args.restart
    )
    pool = Pool([decisions for decisions, is_human in sets if not is_human], args.seed)
    judged = [_judge(decisions, file, args.seed, pool, is_human) for decisions, is_human in sets]
    return options.finish(args, findings(judged, info))


def _fit(args: argparse.Namespace) -> int:
    """Write the model that midfill ships."""
    if not args.runs:
        raise UsageError(
            "There is nothing to fit to.",
            code="no_run",
            hint="Name results files of the acceptance benchmark: --runs FILE.jsonl",
        )
    rows = score.rows_of(args.runs)
    model = score.fit_model(rows, args.seed)
    try:
        args.fit.write_bytes(encode(model))
    except OSError as error:
        raise StoreError(
            f"The model cannot be written to {args.fit}: {error.strerror}.",
            code="results_unusable",
        ) from error
    print(
        f"Fitted to {model.provenance.n:,} suggestions, {model.provenance.n_accepted:,} accepted; "
        f"written to {args.fit}."
    )
    return 0


def _sets(args: argparse.Namespace) -> list[tuple[Decisions, bool]]:
    """What is judged, and whether humans decided it."""
    sets = []
    if args.decisions or not args.runs or _DECISIONS.exists():
        sets.append((human(args.decisions or _DECISIONS, limit=args.limit), True))
    sets += [(replayed(path, limit=args.limit), False) for path in args.runs]
    return sets


def _judge(
    decisions: Decisions, file: RunFile[Fitted], seed: int, pool: Pool, is_human: bool
) -> Judged:
    work = predictors(decisions, seed, pool)
    less = {} if is_human else pool.variants(decisions)
    qualities = []
    targets: tuple[Thresholded, ...] = ()
    console = Console(stderr=True)
    fits = {**work, **less}.items()
    for name, fit in track(fits, f"fits, {decisions.name}", console=console, total=len(fits)):
        fitted = file.records.get(f"{decisions.key}|{name}")
        if fitted is None:
            fitted = _fitted(decisions, name, fit)
            file.append(fitted)
        probabilities = np.array(fitted.probabilities, dtype=np.float64)
        scores = decisions.scores.get(name)
        qualities.append(quality(name, decisions, probabilities, scores=scores, seed=seed))
        if name == SCORE:
            targets = thresholded(decisions, probabilities, seed=seed)
    return Judged(
        decisions=decisions,
        qualities=tuple(qualities[: len(work)]),
        is_human=is_human,
        variants=tuple(qualities[len(work) :]),
        thresholded=targets,
    )


def _fitted(decisions: Decisions, name: str, fit: Callable[[], Floats]) -> Fitted:
    with warnings.catch_warnings():
        # Of threads and of features without variance; neither changes a result.
        warnings.simplefilter("ignore")
        found = fit()
    return Fitted(
        decisions=decisions.key,
        name=name,
        probabilities=tuple(None if np.isnan(p) else float(p) for p in found),
    )
