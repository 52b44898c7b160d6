"""`midfill score`: what P(accept) rests on, and what was learned from the user's own accepts."""

from __future__ import annotations

import argparse
import datetime
import json
from typing import TYPE_CHECKING, Any

from lsp_server.errors import StoreError

if TYPE_CHECKING:
    from lsp_server.score.model import ScoreModel
    from lsp_server.score.own import Own

_N_SHOWN = 8


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the subcommand."""
    parser = subparsers.add_parser(
        "score",
        help="how likely suggestions are to be accepted, and what that is learned from",
        description="Shows the model that estimates P(accept), learns from your own accepts, or "
        "forgets what was learned. Servers do the learning by themselves "
        "(completion.learn); `learn` does it at once.",
    )
    parser.add_argument(
        "action", nargs="?", default="show", choices=("show", "learn", "reset"),
        help="show (the default), learn from the acceptance log now, or forget what was learned",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Show, learn or forget.

    Raises:
        StoreError: the model is damaged, the log cannot be read, or the result not written.
    """
    from lsp_server.score import own as learned
    from lsp_server.score.model import shipped

    model = shipped()
    if args.action == "reset":
        return _reset(as_json=args.json)
    if args.action == "learn":
        from lsp_server.acceptance.learning import learn

        own = learn(always=True)
    else:
        own = learned.load(model)
    figures = _figures(model, own)
    if args.json:
        print(json.dumps(figures, indent=2))
    else:
        _print(figures)
    return 0


def _reset(*, as_json: bool) -> int:
    from lsp_server.score import own as learned

    try:
        was_there = learned.reset()
    except OSError as error:
        raise StoreError(
            f"What was learned cannot be deleted: {error.strerror or error}.",
            code="score_unwritable",
            hint="Check the permissions of the state folder.",
        ) from error
    if as_json:
        print(json.dumps({"reset": was_there}))
    else:
        print("Forgotten; new editor windows begin with the shipped model."
              if was_there else "Nothing was learned yet.")  # fmt: skip
    return 0


def _figures(model: ScoreModel, own: Own | None) -> dict[str, Any]:
    from lsp_server.acceptance.learning import decisions
    from lsp_server.acceptance.store import read_events
    from lsp_server.score.own import N_LEAST, N_WHOLE

    n_decisions = len(decisions(read_events()))
    source = model.provenance
    return {
        "model": {
            "corpus": source.corpus, "n": source.n, "n_accepted": source.n_accepted,
            "date": source.date, "model": source.model, "model_sha256": source.model_sha256,
            "commit": source.commit, "features": model.features,
        },
        "decisions": n_decisions,
        "needed": N_LEAST,
        "needed_for_all_weights": N_WHOLE,
        "own": None if own is None else {
            "n": own.n, "ts": own.ts, "slope": own.slope, "shift": own.shift,
            "n_weights": len(own.weights), "strongest": _strongest(model, own),
        },
    }  # fmt: skip


def _strongest(model: ScoreModel, own: Own) -> dict[str, float]:
    """The features whose weights moved most."""
    moved = sorted(
        zip(model.names, own.weights, strict=False), key=lambda pair: -abs(pair[1])
    )  # fmt: skip
    return {name: round(weight, 3) for name, weight in moved[:_N_SHOWN]}


def _print(figures: dict[str, Any]) -> None:
    from lsp_server.commands.output import console, print_rows

    model, own = figures["model"], figures["own"]
    rows = [
        ("shipped model", f"{model['n']:,} suggestions of {model['model']}, {model['date']}"),
        ("fitted to", model["corpus"]),
        ("your decisions", f"{figures['decisions']:,}, learned from {figures['needed']:,} on"),
    ]
    if own is None:
        rows.append(("learned", "nothing yet; the shipped model is used as it is"))
    else:
        when = datetime.datetime.fromtimestamp(own["ts"]).strftime("%Y-%m-%d %H:%M")
        how = f"log-odds × {own['slope']:.2f} {own['shift']:+.2f}"
        if own["n_weights"]:
            moved = ", ".join(f"{name} {weight:+.2f}" for name, weight in own["strongest"].items())
            how += f", and {own['n_weights']} weights, most of all {moved}"
        rows.append(("learned", f"from {own['n']:,} decisions, {when}: {how}"))
        rows.append(("to forget it", "midfill score reset"))
    print_rows(rows, to=console(), first_style="bold")
