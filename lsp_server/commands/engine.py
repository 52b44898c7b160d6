"""``midfill engine status|pause|resume|stop|clear-cache``: the engine processes of this user."""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
from typing import Any

import msgspec

from lsp_server import paths
from lsp_server.commands.output import console, print_rows
from lsp_server.engine import pause, spawn
from lsp_server.engine.account import describe_estimate, describe_place
from lsp_server.engine.llama import kv_store
from lsp_server.engine.protocol import EngineStatus
from lsp_server.errors import StoreError


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "engine",
        help="show, pause or stop the engine processes",
        description="The engine holds the model and is shared by all your editors. It starts on "
        "demand, frees the model's memory when nobody has asked for a while, and leaves when it "
        "has had no client for a while.",
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name, summary, function in (
        ("status", "show pid, model, clients, slots, memory and uptime", run_status),
        ("pause", "make no suggestions and free all memory until resume", run_pause),
        ("resume", "go on after pause", run_resume),
        ("stop", "make all engines leave now", run_stop),
        (
            "clear-cache",
            "stop all engines, delete the prompts they saved and the suggestions kept on disk",
            run_clear_cache,
        ),
    ):
        action = actions.add_parser(name, help=summary, description=summary.capitalize() + ".")
        action.add_argument("--json", action="store_true", help="print JSON")
        action.set_defaults(func=function)


def run_status(args: argparse.Namespace) -> int:
    """Show every engine that answers."""
    engines = asyncio.run(_statuses())
    if args.json:
        print(json.dumps([msgspec.to_builtins(engine) for engine in engines], indent=2))
        return 0
    if not engines and pause.is_paused():
        print(f"No engine is running. {pause.refusal()}")
    elif not engines:
        print("No engine is running. It starts with the first completion.")
    for number, engine in enumerate(engines):
        if number > 0:
            print()
        _print_status(engine)
    return 0


def run_pause(args: argparse.Namespace) -> int:
    """Set the flag that every engine and server honours, and tell those that run."""
    was_paused = pause.set_paused(True)
    n_engines = asyncio.run(spawn.tell_all_paused(True))
    if args.json:
        print(json.dumps({"paused": True, "was_paused": was_paused, "engines": n_engines}))
        return 0
    print("Completion was paused already." if was_paused else "Completion is paused.", end=" ")
    print(_engines(n_engines, "has freed its memory", "have freed their memory"))
    print(pause.HINT)
    return 0


def run_resume(args: argparse.Namespace) -> int:
    """Remove the flag, and tell the engines that run."""
    was_paused = pause.set_paused(False)
    n_engines = asyncio.run(spawn.tell_all_paused(False))
    if args.json:
        print(json.dumps({"paused": False, "was_paused": was_paused, "engines": n_engines}))
        return 0
    print("Completion goes on." if was_paused else "Completion was not paused.", end=" ")
    print(_engines(n_engines, "serves again", "serve again"))
    return 0


def _engines(n_engines: int, one: str, many: str) -> str:
    if n_engines == 0:
        return "No engine is running."
    return f"{n_engines} {f'engine {one}' if n_engines == 1 else f'engines {many}'}."


def run_stop(args: argparse.Namespace) -> int:
    """Stop every engine that answers."""
    n_stopped = asyncio.run(spawn.stop_all())
    if args.json:
        print(json.dumps({"stopped": n_stopped}))
    elif n_stopped == 0:
        print("No engine was running.")
    else:
        print(f"Stopped {n_stopped} engine{'s' if n_stopped != 1 else ''}.")
    return 0


def run_clear_cache(args: argparse.Namespace) -> int:
    """Delete the saved KV caches of all models, and the suggestions that were kept.

    Running engines hold the same prompts in memory, so they leave without saving them.
    """
    asyncio.run(spawn.stop_all(keep_prompts=False))
    folder = paths.kv_dir()
    try:
        n_prompts, n_bytes = kv_store.clear(folder)
    except OSError as error:
        raise StoreError(
            f"Saved prompts in {folder} cannot be deleted: {error.strerror or error}.",
            code="folder_unwritable",
            hint="Check its permissions.",
        ) from error
    n_suggestions = _clear_suggestions()
    if args.json:
        figures = {"deleted": n_prompts, "freed_bytes": n_bytes, "suggestions": n_suggestions}
        print(json.dumps(figures))
        return 0
    if n_prompts == 0:
        print("No prompts were saved.")
    else:
        print(f"Deleted {_prompts(n_prompts)}, {n_bytes / 2**20:,.0f} MiB.")
    if n_suggestions:
        print(f"Deleted {n_suggestions:,} suggestion{'s' if n_suggestions != 1 else ''}.")
    return 0


def _clear_suggestions() -> int:
    from lsp_server.completion import suggestion_cache

    try:
        return suggestion_cache.clear()
    except (OSError, sqlite3.Error) as error:
        raise StoreError(
            f"Suggestions in {paths.suggestions_dir()} cannot be deleted: {error}.",
            code="folder_unwritable",
            hint="Check its permissions.",
        ) from error


async def _statuses() -> list[EngineStatus]:
    found = await asyncio.gather(*(spawn.query(socket) for socket in spawn.sockets()))
    return [status for status in found if status is not None]


def _print_status(engine: EngineStatus) -> None:
    slots = ", ".join(f"{slot.n_tokens}" for slot in engine.slots) or "none"
    rows = [
        ("pid", f"{engine.pid} (midfill {engine.version})"),
        ("state", f"{engine.state} {_about(engine)}".strip()),
        ("model", f"{engine.model} ({engine.model_path})"),
        (
            "runs on",
            f"{describe_place(engine.placement)}, {engine.n_threads} threads, {engine.backend}",
        ),
        ("flash attention", "on" if engine.flash_attention else "off"),
        *((("speculation", _speculation(engine)),) if engine.speculation else ()),
        ("clients", f"{engine.n_clients}, {engine.n_waiting} requests waiting"),
        ("served", f"{engine.n_served} requests"),
        ("slots", f"tokens held: {slots} of {engine.n_ctx}"),
        (
            "on disk",
            f"{_prompts(engine.n_stored_prompts)}, {engine.stored_bytes / 2**20:,.0f} MiB",
        ),
        *((("workspaces", _texts(engine)),) if engine.corpus_chars else ()),
        ("memory", f"{engine.rss_bytes / 2**20:,.0f} MiB"),
        (
            "uptime",
            f"{engine.uptime_s:,.0f} s; leaves {engine.idle_exit_s:g} s after its last client",
        ),
        (
            "unloads",
            f"{engine.unload_idle_s:g} s after its last request"
            if engine.unload_idle_s
            else "never",
        ),
    ]
    if engine.placement is not None:
        rows.append(("KV cache", f"{engine.n_ctx:,} tokens, {engine.placement.kv_type}"))
        rows.append(("estimate", describe_estimate(engine.placement)))
    if engine.adapters:
        rows.append(("adapters", ", ".join(engine.adapters)))
    if engine.message and engine.state == "ready":
        rows.append(("notice", engine.message))
    print_rows(rows, to=console(), first_style="bold")


def _texts(engine: EngineStatus) -> str:
    unread = f", {engine.n_unread_texts:,} files still to be read" if engine.n_unread_texts else ""
    return f"{engine.corpus_chars:,} characters of text{unread}"


def _speculation(engine: EngineStatus) -> str:
    if not engine.n_guessed:
        return engine.speculation
    right = f"{engine.n_guessed_right:,} of {engine.n_guessed:,} guessed tokens were right"
    return f"{engine.speculation}; {right}"


def _about(engine: EngineStatus) -> str:
    match engine.state:
        case "unloaded":
            return "(the model is loaded again by the next request)"
        case "paused":
            return f"({pause.HINT})"
        case "ready":
            return ""
        case _:
            return engine.message


def _prompts(n_prompts: int) -> str:
    return f"{n_prompts} prompt{'s' if n_prompts != 1 else ''}"
