"""The manifest of the VS Code extension says what the server and the sources say."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import msgspec

from lsp_server import __version__
from lsp_server.settings import Settings

_FOLDER = Path(__file__).resolve().parent.parent / "editors" / "vscode"
_MANIFEST: dict[str, Any] = json.loads((_FOLDER / "package.json").read_text("utf-8"))
_SETTINGS: dict[str, dict[str, Any]] = _MANIFEST["contributes"]["configuration"]["properties"]
_OWN_SETTINGS = {"midfill.server.path", "midfill.enable"}
_SOURCES = "\n".join(path.read_text("utf-8") for path in sorted((_FOLDER / "src").glob("*.ts")))


def _server_name(name: str) -> tuple[str, str]:
    """Section and name of a setting as the server writes them."""
    section, key = name.removeprefix("midfill.").split(".")
    snake = [
        re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), part) for part in (section, key)
    ]
    return snake[0], snake[1]


def test_settings_are_the_servers() -> None:
    """Each setting of the server that the extension offers exists, with the same default."""
    defaults = msgspec.to_builtins(Settings())
    offered = {name: each for name, each in _SETTINGS.items() if name not in _OWN_SETTINGS}
    assert offered
    for name, each in offered.items():
        section, key = _server_name(name)
        actual = defaults[section][key]
        assert each["default"] == (list(actual) if isinstance(actual, tuple) else actual), name


def test_a_workspace_cannot_choose_programs_or_models() -> None:
    """Paths, models and the engine are settings of the machine."""
    for name, each in _SETTINGS.items():
        if name.split(".")[1] in ("server", "model", "engine"):
            assert each["scope"] == "machine", name
    assert _MANIFEST["capabilities"]["untrustedWorkspaces"]["supported"] == "limited"


def test_keys_are_taken_only_where_a_suggestion_of_ours_stands() -> None:
    """Every key depends on ghost text of midfill being on the screen."""
    bindings = _MANIFEST["contributes"]["keybindings"]
    assert bindings
    for binding in bindings:
        conditions = binding["when"].split(" && ")
        assert {"midfill.visible", "inlineSuggestionVisible", "editorTextFocus"} <= set(conditions)


def test_commands_are_registered() -> None:
    """Every command of the manifest is one that the sources register, and the other way round."""
    offered = {each["command"] for each in _MANIFEST["contributes"]["commands"]}
    registered = set(re.findall(r'^    "(midfill\.\w+)": ', _SOURCES, re.MULTILINE))
    assert offered == registered


def test_version() -> None:
    """Server and extension are released together."""
    assert _MANIFEST["version"] == __version__


def test_the_lock_file_names_no_registry() -> None:
    """Packages come from whatever registry is configured, with the recorded hashes."""
    lock = json.loads((_FOLDER / "package-lock.json").read_text("utf-8"))
    packages = [each for name, each in lock["packages"].items() if name]
    assert packages
    assert all("resolved" not in each and "integrity" in each for each in packages)
