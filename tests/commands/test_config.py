"""``midfill config``: every setting with its origin, and what was not taken."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lsp_server import cli, settings


@pytest.fixture
def file() -> Path:
    """The user's settings file; its folder is there."""
    path = settings.user_file()
    path.parent.mkdir(parents=True)
    return path


def test_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    """Without a file every setting is listed with its default, and the file's place is named."""
    assert cli.main(["config"]) == 0
    out = capsys.readouterr().out
    lines = out.splitlines()
    assert lines[0].split() == ["setting", "value", "origin"]
    assert ["completion.max_lines", "12", "default"] in [line.split() for line in lines]
    assert out.count("  default\n") == len(settings.load().origins)
    assert f"Your settings file: {settings.user_file()} (not there yet)" in lines


def test_origins(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each value carries the layer it comes from; the command line wins over the file."""
    file.write_text('[completion]\nmax_lines = 6\ndebounce_ms = 5\n[model]\nid = "mine"\n')
    assignment = "completion.max_lines=4"
    assert cli.main(["config", "--json", "--set", assignment, "--model", "/x y/[z].gguf"]) == 0
    report = json.loads(capsys.readouterr().out)
    rows = {row["name"]: (row["value"], row["origin"]) for row in report["settings"]}
    assert rows["completion.max_lines"] == (4, "command line")
    assert rows["completion.debounce_ms"] == (5.0, "user file")
    assert rows["model.id"] == ("/x y/[z].gguf", "command line")
    assert rows["acceptance_log.enabled"] == (True, "default")
    assert (report["file"], report["problems"]) == (str(file), [])


def test_values_are_shown_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Long values and values that look like markup are neither cut nor swallowed."""
    path = "/models/[bold]/" + "long" * 50 + "/ä.gguf"
    assert cli.main(["config", "--model", path]) == 0
    assert json.dumps(path, ensure_ascii=False) in capsys.readouterr().out


def test_problems(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What was not taken is named, with exit code 1, in both forms."""
    file.write_text("[completion]\nmax_lines = 'six'\n[colour]\nred = 1\n")
    assert cli.main(["config", "--json"]) == 1
    problems = json.loads(capsys.readouterr().out)["problems"]
    assert problems == [
        "user file: 'completion.max_lines' is not used: Expected `int`, got `str`.",
        "user file: unknown section 'colour' is ignored.",
    ]
    assert cli.main(["config"]) == 1
    assert capsys.readouterr().out.splitlines()[-2:] == problems


def test_help_names_the_file(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """--help says where settings go, also where the path has a percent sign."""
    monkeypatch.setenv("MIDFILL_CONFIG_DIR", str(tmp_path / "100%s"))
    with pytest.raises(SystemExit) as caught:
        cli.main(["config", "--help"])
    assert caught.value.code == 0
    assert os.sep.join(["100%s", "config.toml"]) in capsys.readouterr().out
