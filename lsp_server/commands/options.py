"""Command-line options that several subcommands share."""

from __future__ import annotations

import argparse
from typing import Any

from lsp_server.errors import UsageError


def add_settings_options(parser: argparse.ArgumentParser) -> None:
    """Add ``--model`` and ``--set``."""
    parser.add_argument(
        "--model", metavar="ID", help="model id or path of a GGUF file (default: the best fetched)"
    )
    parser.add_argument(
        "--set",
        metavar="SECTION.NAME=VALUE",
        action="append",
        default=[],
        dest="assignments",
        help="override a setting, e.g. --set completion.max_lines=4 (see: midfill config)",
    )


def command_line_layer(args: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The options as a settings layer.

    Raises:
        UsageError: an assignment is not of the form SECTION.NAME=VALUE.
    """
    layer: dict[str, dict[str, Any]] = {}
    for assignment in args.assignments:
        name, equals, value = assignment.partition("=")
        section, dot, field = name.strip().partition(".")
        if not (equals and dot and section and field):
            raise UsageError(
                f"'{assignment}' is not SECTION.NAME=VALUE.",
                code="bad_setting",
                hint="Example: --set completion.max_lines=4",
            )
        layer.setdefault(section, {})[field] = _value(value.strip())
    if args.model:
        layer.setdefault("model", {})["id"] = args.model
    return layer


def _value(text: str) -> Any:
    """A TOML value, or the text itself where it is none (a bare word)."""
    import tomllib

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
