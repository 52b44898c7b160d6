"""``midfill model measure``, and how measured speeds are shown."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from lsp_server.commands.output import console, print_rows
from lsp_server.errors import MidfillError
from lsp_server.models import store
from lsp_server.models.store import InstalledModel

if TYPE_CHECKING:
    from lsp_server.engine.choice import Choice, Verdict
    from lsp_server.settings import Settings


def run_measure(args: argparse.Namespace) -> int:
    """Measure models now; exit code 1 if one could not be."""
    from lsp_server import settings

    current = settings.load().settings
    models = (store.resolve(args.id),) if args.id else store.installed()
    if not models:
        store.resolve(None)  # says that nothing is fetched, and what to run
    if not args.json:
        _warn_of_engines()
    failed: dict[str, MidfillError] = {}
    for model in models:
        try:
            _measure_one(model, current, silent=args.json)
        except MidfillError as error:
            failed[model.id] = error
            if not args.json:
                print(f"midfill: {model.id} is not measured: {error}", file=sys.stderr)
    _report(models, current, failed, as_json=args.json)
    return 1 if failed else 0


def choice_of(settings: Settings) -> Choice | None:
    """What auto takes; None if nothing is fetched."""
    from lsp_server.engine.launch import choose_model

    return choose_model(settings) if store.installed() else None


def used(settings: Settings, choice: Choice) -> str:
    """Which model is used and why, and which larger one is worth a try, a line each."""
    from lsp_server.engine.launch import worth_fetching

    if settings.model.id == "auto":
        guess = worth_fetching(settings)
        reason = f"auto takes {choice.model.id}: {choice.reason}"
        return f"{reason}\n{guess}" if guess is not None else reason
    return f"model.id is set to {settings.model.id}; auto would take {choice.model.id}: " + (
        choice.reason
    )


def speed_record(verdict: Verdict | None) -> dict[str, Any] | None:
    """The figures for a program; None if there are none."""
    import msgspec

    if verdict is None or verdict.speed is None:
        return None
    figures: dict[str, Any] = msgspec.to_builtins(verdict.speed)
    del figures["model_id"]
    return {**figures, "budget_ms": verdict.budget_ms, "fits": verdict.fits}


def speed_cells(verdict: Verdict | None) -> tuple[str, str, str]:
    """First line, decode and prefill for people; empty if they are not known."""
    if verdict is None or verdict.speed is None:
        return "", "", ""
    speed = verdict.speed
    return (
        f"{speed.first_line_ms:,.0f} ms",
        f"{speed.decode_tokens_per_s:,.1f} tokens/s",
        f"{speed.prefill_tokens_per_s:,.0f} tokens/s",
    )


def _warn_of_engines() -> None:
    from lsp_server.engine import spawn

    async def ask() -> int:
        found = await asyncio.gather(*(spawn.query(socket) for socket in spawn.sockets()))
        return sum(status is not None for status in found)

    if asyncio.run(ask()):
        print(
            "An engine is running. It holds memory, and a suggestion meanwhile slows the "
            "measurement; to be sure, first run: midfill engine stop",
            file=sys.stderr,
        )


def _measure_one(model: InstalledModel, settings: Settings, *, silent: bool) -> None:
    from lsp_server.engine import measuring
    from lsp_server.engine.launch import options_for

    show = _silent if silent else _on_terminal if sys.stderr.isatty() else _on_lines
    on_progress = show(model.id)
    on_progress(0.0)
    measuring.measure(options_for(model, settings), on_progress)
    on_progress(1.0)


def _silent(_model_id: str) -> Callable[[float], None]:
    return lambda _share: None


def _on_terminal(model_id: str) -> Callable[[float], None]:
    """One line that is written over."""

    def show(share: float) -> None:
        end = "\n" if share >= 1 else ""
        print(f"\rmeasuring {model_id}: {share:4.0%}", end=end, file=sys.stderr, flush=True)

    return show


def _on_lines(model_id: str) -> Callable[[float], None]:
    """A line at the beginning, for logs and pipes."""

    def show(share: float) -> None:
        if share == 0:
            print(f"measuring {model_id}", file=sys.stderr, flush=True)

    return show


def _report(
    models: tuple[InstalledModel, ...],
    settings: Settings,
    failed: dict[str, MidfillError],
    *,
    as_json: bool,
) -> None:
    from lsp_server.engine.launch import verdict_of

    choice = choice_of(settings)
    assert choice is not None  # something was measured, so something is fetched
    verdicts = {model.id: verdict_of(model, settings) for model in models}
    if as_json:
        rows = [
            {
                "id": model.id,
                "speed": speed_record(verdicts[model.id]),
                "error": failed[model.id].code if model.id in failed else "",
                "message": str(failed.get(model.id, "")),
            }
            for model in models
        ]
        auto = {"id": choice.model.id, "reason": choice.reason}
        print(json.dumps({"models": rows, "auto": auto}, indent=2))
        return
    head = ("model", "first line", "decode", "prefill", "")
    cells = [(i, *speed_cells(verdict), str(verdict)) for i, verdict in verdicts.items()]
    print_rows([head, *cells], to=console(), styles=["bold"])
    print(f"\n{used(settings, choice)}")
