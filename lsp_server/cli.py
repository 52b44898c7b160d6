"""The ``midfill`` command: one subcommand a module in ``commands``, imported when it is used."""

from __future__ import annotations

import argparse
import errno
import importlib
import io
import json
import os
import sys
from typing import TextIO

from lsp_server import __version__
from lsp_server.errors import MidfillError
from lsp_server.identity import check_context

_OUTPUT_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

# Name of each subcommand, and what it is for. Its module has ``add_parser``.
_COMMANDS = {
    "serve": "run the language server on stdin and stdout (what editors start)",
    "complete": "complete a file at LINE:COL and stream the text to the terminal",
    "model": "list, fetch, verify and remove models",
    "index": "index a project now, or delete all indexes",
    "engine": "show, pause or stop the engine processes, delete what they saved",
    "doctor": "check the installation and fill a known hole end to end",
    "stats": "show how many suggestions were shown and accepted",
    "score": "show what P(accept) is learned from, learn now, or forget",
    "why": "show how the last requests ended, and why there was no suggestion",
    "config": "show the settings in force, each with its origin",
}


def main(arguments: list[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: without the program's name; ``sys.argv`` when None.

    Returns:
        The exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        try:
            return _run(arguments)
        finally:
            # Here, and not when Python ends, so that trouble with the output can be handled.
            _flush_stdout()
    except BrokenPipeError:
        # The reader of a pipe left (``| head``). Keep Python from complaining about it at exit.
        _drop_stdout()
        return 1
    except MidfillError as error:
        _drop_stdout()
        _print_error(error, as_json=False)
        return error.exit_code
    except OSError as error:
        # Files have names; without one it was a stream that is not buffered.
        if error.filename is not None or error.errno not in _OUTPUT_ERRORS:
            raise
        _drop_stdout()
        _print_error(_output_error(error), as_json=False)
        return 1
    except KeyboardInterrupt:
        print("midfill: interrupted", file=sys.stderr)
        return 130


def _run(arguments: list[str]) -> int:
    as_json = False
    try:
        # Before anything else of ours is imported: all of it rests on this package.
        check_context()
        if isinstance(sys.stdout, io.TextIOWrapper):
            # A character that the user's locale lacks must not end the command.
            sys.stdout.reconfigure(errors="backslashreplace")
        if not arguments and not _is_terminal(sys.stdin):
            arguments = ["serve"]
        parser = _parser(arguments)
        args = parser.parse_args(arguments)
        if args.command is None:
            parser.print_help()
            return 2
        as_json = getattr(args, "json", False)
        return int(args.func(args))
    except MidfillError as error:
        _print_error(error, as_json=as_json)
        return error.exit_code


def _parser(arguments: list[str]) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="midfill",
        description="Local, private code completion from a model on your own machine.",
        epilog="First steps: midfill model fetch; midfill doctor; then set up your editor.",
    )
    parser.add_argument("--version", action="version", version=f"midfill {__version__}")
    subparsers = parser.add_subparsers(dest="command", metavar="COMMAND")
    wanted = next((word for word in arguments if word in _COMMANDS), None)
    for name, summary in _COMMANDS.items():
        if name == wanted:
            module = importlib.import_module(f"lsp_server.commands.{name}")
            module.add_parser(subparsers)
        else:
            subparsers.add_parser(name, help=summary, add_help=False)
    return parser


def _print_error(error: MidfillError, *, as_json: bool) -> None:
    if as_json:
        record = {"error": error.code, "message": error.message, "hint": error.hint}
        print(json.dumps(record))
    print(f"midfill: {error}", file=sys.stderr)


def _is_terminal(stream: TextIO | None) -> bool:
    # A stream that the parent process closed is None.
    return stream is not None and stream.isatty()


def _flush_stdout() -> None:
    stream: TextIO | None = sys.stdout
    if stream is None or stream.closed:
        return
    try:
        stream.flush()
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _output_error(error) from error


def _output_error(error: OSError) -> MidfillError:
    return MidfillError(
        f"The output cannot be written: {error.strerror}.",
        code="output_unwritable",
        hint="Check the free space.",
    )


def _drop_stdout() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


if __name__ == "__main__":
    sys.exit(main())
