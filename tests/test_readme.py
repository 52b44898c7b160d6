"""What README.md says about commands, files and settings is so."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from lsp_server import cli
from lsp_server.commands import complete
from lsp_server.settings import Settings

_ROOT = Path(__file__).resolve().parent.parent
_README = (_ROOT / "README.md").read_text("utf-8")
_SETTING_ROW = re.compile(
    r"^\| `(?P<name>[a-z_]+\.[a-z_]+)` \| (?P<default>[^|]+) \|", re.MULTILINE
)
_LINK = re.compile(r"\]\((?P<target>[^)#]+)(?:#[^)]*)?\)")
_POSITION = re.compile(r"midfill complete (?:--\w+ )*(?P<position>\S+:\d+:\d+)")
_CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
_COMMAND = re.compile(r"(?:^|[\s`/])midfill (?P<command>[a-z]+)\b", re.MULTILINE)


def _documented() -> dict[str, Any]:
    rows = _SETTING_ROW.findall(_README)
    assert len(rows) == len({name for name, _ in rows})
    return {name: _value(default.strip()) for name, default in rows}


def _value(text: str) -> Any:
    text = text.strip("`")
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def test_settings_table() -> None:
    """The table lists exactly the settings there are, each with its default."""
    defaults = msgspec.to_builtins(Settings())
    actual = {
        f"{section}.{name}": list(value) if isinstance(value, tuple) else value
        for section, values in defaults.items()
        for name, value in values.items()
    }
    assert _documented() == actual


def test_first_command_names_a_place() -> None:
    """The file, line and column of the first command are there, and the hole is worth filling."""
    found = _POSITION.search(_README)
    assert found is not None
    path, line, column = complete.parse_position(found["position"])
    text = complete.read_source(_ROOT / path, 1_000_000)
    request = complete._request(_ROOT / path, text, line, column)
    assert request.snapshot.lines[line - 1][: column - 1].strip() == ""
    assert request.snapshot.language == "python"


def test_links() -> None:
    """Every relative link of the page leads to a file."""
    targets = [target for target in _LINK.findall(_README) if "://" not in target]
    assert targets
    missing = [target for target in targets if not (_ROOT / target).exists()]
    assert missing == []


def test_commands() -> None:
    """Every command the page names exists."""
    named = {name for code in _CODE.findall(_README) for name in _COMMAND.findall(code)}
    assert {"complete", "doctor", "model", "serve"} <= named
    assert named <= set(cli._COMMANDS)
