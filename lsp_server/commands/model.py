"""``midfill model list | fetch | measure | verify | path | remove``: models on this machine."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from lsp_server.commands import fetch_events
from lsp_server.commands.fetch_events import until_terminated
from lsp_server.commands.measure import (
    choice_of,
    run_measure,
    speed_cells,
    speed_record,
    used,
)
from lsp_server.commands.output import console, print_rows
from lsp_server.errors import MidfillError, ModelNotFoundError, UsageError
from lsp_server.models import catalog, machine, progress, store
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.progress import Progress
from lsp_server.models.register import Candidate
from lsp_server.models.store import InstalledModel

_DESCRIPTION = """\
Models are files; midfill pins each one it knows to the publisher's sha256 and fetches nothing
without being told to."""

_EXAMPLES = {
    "list": "midfill model list\nmidfill model list --json",
    "fetch": "midfill model fetch                       the default for this machine\n"
    "midfill model fetch 1.5b-instruct-q4      a model of the list\n"
    "midfill model fetch --file ~/my.gguf      a file of your own",
    "measure": "midfill model measure                     all that are fetched\n"
    "midfill model measure 1.5b-instruct-q4",
    "verify": "midfill model verify\nmidfill model verify 0.5b-instruct-q4",
    "path": "midfill model path\nmidfill model path 0.5b-instruct-q4",
    "remove": "midfill model remove 0.5b-instruct-q4\nmidfill model remove 0.5b-instruct-q4 --yes",
}


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "model", help="list, fetch, verify and remove models", description=_DESCRIPTION
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    _add_action(actions, "list", "show the models there are, and which are fetched", run_list)
    fetching = _add_action(actions, "fetch", "fetch a model, or take a file of yours", run_fetch)
    fetching.add_argument("id", nargs="?", metavar="ID", help="default: the one for this machine")
    fetching.add_argument("--file", type=Path, metavar="FILE", help="take this GGUF file")
    fetching.add_argument("--name", metavar="NAME", help="its id (default: the file's name)")
    fetching.add_argument("--copy", action="store_true", help="copy it into the model folder")
    fetching.add_argument("--yes", "-y", action="store_true", help="confirm without a question")
    timing = _add_action(
        actions, "measure", "measure how fast fetched models are on this machine", run_measure
    )
    timing.add_argument("id", nargs="?", metavar="ID", help="default: all that are fetched")
    checking = _add_action(actions, "verify", "hash fetched models again", run_verify)
    checking.add_argument("id", nargs="?", metavar="ID", help="default: all that are fetched")
    where = _add_action(actions, "path", "print where a model's file is", run_path)
    where.add_argument("id", nargs="?", metavar="ID", help="default: the one that is used")
    removing = _add_action(actions, "remove", "delete a fetched model", run_remove)
    removing.add_argument("id", metavar="ID")
    removing.add_argument("--yes", "-y", action="store_true", help="delete without a question")


def fetch(model_id: str | None = None, shown: Progress | None = None) -> InstalledModel:
    """Fetch a catalog model.

    Args:
        model_id: catalog id; None or ``auto`` is the default for this machine.
        shown: where progress is shown; None is stderr.

    Raises:
        ModelNotFoundError: no such id.
        FetchError, StoreError: see ``models.fetch``.
    """
    from lsp_server.models.fetch import fetch as fetch_entry

    entry = _entry_of(model_id)
    try:
        return fetch_entry(entry, shown or progress.for_stderr())
    except KeyboardInterrupt:
        print(
            f"\nWhat was fetched is kept: run midfill model fetch {entry.id} again to go on.",
            file=sys.stderr,
        )
        raise


# -- actions -----------------------------------------------------------------------------


def run_list(args: argparse.Namespace) -> int:
    """Show the catalog and the user's own files, and what auto takes."""
    from lsp_server import settings

    current = settings.load().settings
    choice = choice_of(current)
    verdicts = {verdict.model.id: verdict for verdict in choice.verdicts} if choice else {}
    default = catalog.default_entry(machine.gpu_memory_bytes())
    present = {model.id: model for model in store.installed()}
    rows = [_catalog_row(e, present.pop(e.id, None), e is default) for e in catalog.ENTRIES]
    rows += [_own_row(model) for model in present.values()]
    for row in rows:
        row["speed"] = speed_record(verdicts.get(row["id"]))
        row["auto"] = choice is not None and row["id"] == choice.model.id
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    _print_table(rows, {i: speed_cells(verdict) for i, verdict in verdicts.items()})
    if choice is not None:
        print(f"\n{used(current, choice)}")
    return 0


def run_fetch(args: argparse.Namespace) -> int:
    """Fetch a model, or register a file."""
    if args.json:
        known = args.id or args.name or (args.file.stem if args.file else _entry_of(None).id)
        return until_terminated(lambda: fetch_events.run(known, lambda shown: _got(args, shown)))

    def got() -> int:
        model = _got(args, progress.for_stderr())
        print(f"{model.id} is ready: {model.path}")
        return 0

    return until_terminated(got)


def _got(args: argparse.Namespace, shown: Progress) -> InstalledModel:
    if args.file is not None:
        return _take_file(args, shown)
    if args.name or args.copy:
        raise UsageError(
            "--name and --copy are for files of your own.",
            code="bad_arguments",
            hint="Add: --file FILE",
        )
    return fetch(args.id, shown)


def run_verify(args: argparse.Namespace) -> int:
    """Hash models again; exit code 1 if one is not as it should be."""
    models = (store.resolve(args.id),) if args.id else store.installed()
    if not models:
        store.resolve(None)  # says that nothing is fetched, and what to run
    results = [_verify_one(model, silent=args.json) for model in models]
    if args.json:
        print(json.dumps(results, indent=2))
    return 0 if all(result["ok"] for result in results) else 1


def run_path(args: argparse.Namespace) -> int:
    """Print a model's path."""
    from lsp_server import settings
    from lsp_server.engine.launch import model_of

    model = store.resolve(args.id) if args.id else model_of(settings.load().settings)
    if not model.path.is_file():
        raise ModelNotFoundError(
            f"There is no model file {model.path}.",
            code="model_file_missing",
            hint="Run: midfill model list",
        )
    print(json.dumps({"id": model.id, "path": str(model.path)}) if args.json else model.path)
    return 0


def run_remove(args: argparse.Namespace) -> int:
    """Delete a fetched model, or forget a file of the user."""
    import msgspec

    from lsp_server.models.remove import plan, remove

    planned = plan(args.id)
    if not args.yes and not _ask(
        f"Remove {planned.id} ({_size(planned.freed_bytes)} on the disk)?",
        refusal="Removing a model needs your confirmation, and there is no terminal to ask on.",
        hint=f"Run: midfill model remove {args.id} --yes",
    ):
        print("Nothing was removed.", file=sys.stderr)
        return 1
    removal = remove(args.id)
    if args.json:
        print(json.dumps(msgspec.to_builtins(removal), indent=2))
        return 0
    for path in removal.deleted:
        print(f"Deleted {path}.")
    if not removal.deleted and not removal.kept:
        print(f"Forgot {removal.id}; its file was gone already.")
    for path in removal.kept:
        print(f"Forgot {removal.id}; your file {path} is still there.")
    if removal.freed_bytes:
        print(f"{_size(removal.freed_bytes)} are free again.")
    return 0


# -- helpers -----------------------------------------------------------------------------


def _add_action(actions: Any, name: str, summary: str, function: Any) -> argparse.ArgumentParser:
    action: argparse.ArgumentParser = actions.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog="examples:\n" + "\n".join(f"  {line}" for line in _EXAMPLES[name].splitlines()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    action.add_argument("--json", action="store_true", help="print JSON")
    action.set_defaults(func=function)
    return action


def _entry_of(model_id: str | None) -> ModelEntry:
    if model_id is None or model_id == "auto":
        return catalog.default_entry(machine.gpu_memory_bytes())
    return catalog.find(model_id)


def _take_file(args: argparse.Namespace, shown: Progress) -> InstalledModel:
    from lsp_server.models.register import register

    expected = catalog.find(args.id) if args.id else None

    def confirm(candidate: Candidate) -> bool:
        print(_describe(candidate), file=sys.stderr)
        return bool(args.yes) or _ask(
            "Its hash is in no list of midfill's. Do you trust it?",
            refusal="This file needs your confirmation, and there is no terminal to ask on.",
            hint="If you trust it, add: --yes",
        )

    return register(
        args.file,
        shown,
        confirm,
        name=args.name,
        expected=expected,
        copy=args.copy,
    )


def _describe(candidate: Candidate) -> str:
    info, fim = candidate.info, candidate.info.fim
    tokens = {
        "prefix": fim.prefix,
        "suffix": fim.suffix,
        "middle": fim.middle,
        "repo name": fim.repo_name,
        "file separator": fim.file_sep,
    }
    named = ", ".join(f"{role} {i}" for role, i in tokens.items() if i is not None)
    rows = {
        "file": candidate.path,
        "sha256": candidate.sha256,
        "size": _size(info.size_bytes),
        "name": info.name or "(none)",
        "architecture": f"{info.architecture}, {info.n_params / 1e9:.2f} G parameters, "
        f"{info.context_length:,} tokens of context",
        "FIM tokens": named,
        "id here": candidate.id,
    }
    # A file's own name is shown without control characters: it could repaint the terminal.
    lines = (f"  {key:<13} {value}" for key, value in rows.items())
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)


def _ask(question: str, *, refusal: str, hint: str) -> bool:
    """The user's answer; ``refusal`` and ``hint`` are for a run without a terminal."""
    if not sys.stdin.isatty():
        raise UsageError(refusal, code="confirmation_needed", hint=hint)
    print(f"{question} [y/N] ", end="", file=sys.stderr)
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _verify_one(model: InstalledModel, *, silent: bool) -> dict[str, Any]:
    from lsp_server.models.verify import verify

    shown = progress.SilentProgress() if silent else progress.for_stderr()
    result = {"id": model.id, "path": str(model.path), "ok": True, "sha256": "", "error": ""}
    try:
        shown.start(f"verifying {model.id}", model.size_bytes)
        result["sha256"] = verify(model, shown.update).sha256
    except MidfillError as error:
        result |= {"ok": False, "error": error.code, "message": error.message, "hint": error.hint}
        if not silent:
            print(f"midfill: {error}", file=sys.stderr)
    finally:
        shown.close()
    if result["ok"] and not silent:
        print(f"{model.id}: sha256 {result['sha256']} is right ({model.path})")
    return result


def _catalog_row(
    entry: ModelEntry, model: InstalledModel | None, is_default: bool
) -> dict[str, Any]:
    return {
        "id": entry.id,
        "title": entry.title,
        "size_bytes": entry.size_bytes,
        "licence": entry.licence,
        "default_for": entry.default_for,
        "default_here": is_default,
        "fetched": model is not None,
        "path": str(model.path) if model else None,
        "confirmed_by": model.confirmed_by if model else None,
        "sha256": entry.sha256,
        "source": f"{entry.repo}@{entry.revision}/{entry.filename}",
        "min_gpu_bytes": entry.min_gpu_bytes,
    }


def _own_row(model: InstalledModel) -> dict[str, Any]:
    return {
        "id": model.id,
        "title": model.path.name,
        "size_bytes": model.size_bytes,
        "licence": None,
        "default_for": None,
        "default_here": False,
        "fetched": True,
        "path": str(model.path),
        "confirmed_by": model.confirmed_by,
        "sha256": model.sha256,
        "source": str(model.path),
        "min_gpu_bytes": None,
    }


def _print_table(rows: list[dict[str, Any]], speeds: dict[str, tuple[str, str, str]]) -> None:
    head = ["id", "size", "licence", "", "first line", "decode", "prefill"]
    measured = any(any(cells) for cells in speeds.values())
    table, styles = [tuple(head if measured else head[:4])], ["bold"]
    for row in rows:
        speed = speeds.get(row["id"], ("", "", "")) if measured else ()
        licence = row["licence"] or "your own file"
        table.append((row["id"], _size(row["size_bytes"]), licence, _state(row), *speed))
        styles.append("green" if row["fetched"] else "")
    print_rows(table, to=console(), styles=styles, to_the_right=(1, 4, 5, 6))
    if not any(row["fetched"] for row in rows):
        print("\nNone is fetched yet. Run: midfill model fetch")


def _state(row: dict[str, Any]) -> str:
    """What a model is here, in few words."""
    default = {"cpu": "CPU default", "gpu": "GPU default"}.get(row["default_for"] or "", "")
    if row["default_here"]:
        default = "default here"
    return ", ".join(word for word in ("fetched" if row["fetched"] else "", default) if word)


def _size(n_bytes: int) -> str:
    return f"{n_bytes / 1e9:.2f} GB" if n_bytes >= 1e9 else f"{n_bytes / 1e6:,.0f} MB"
