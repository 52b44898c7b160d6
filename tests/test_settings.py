"""Settings: layers, origins, and values that are not taken."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsp_server import settings
from lsp_server.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A settings file."""
    path = tmp_path / "midfill.toml"
    path.write_text("")
    return path


def test_defaults() -> None:
    """Without options every setting has its default, and says so."""
    resolved = settings.load()
    assert resolved.settings == Settings()
    assert resolved.problems == ()
    assert set(resolved.origins.values()) == {"default"}
    names = {
        f"{section.name}.{field.name}"
        for section in msgspec.structs.fields(Settings)
        for field in msgspec.structs.fields(section.type)
    }
    assert set(resolved.origins) == names


@pytest.mark.parametrize(
    ("layers", "value", "origin"),
    [
        ({}, 12, "default"),
        ({"file": 1}, 1, "user file"),
        ({"file": 1, "editor": 2}, 2, "editor"),
        ({"file": 1, "editor": 2, "command_line": 3}, 3, "command line"),
        ({"file": 1, "command_line": 3}, 3, "command line"),
        ({"editor": 2, "command_line": 0}, 2, "editor"),
        ({"file": 1, "editor": "two"}, 1, "user file"),
        ({"file": 0}, 12, "default"),
    ],
)
def test_layers(file: Path, layers: dict[str, Any], value: int, origin: str) -> None:
    """Later layers win; a bad value leaves the one below it in force, with that one's origin."""
    if "file" in layers:
        file.write_text(f"[completion]\nmax_lines = {layers.pop('file')}\n")
    options = {name: {"completion": {"max_lines": item}} for name, item in layers.items()}
    resolved = settings.load(file=file, **options)
    assert resolved.settings.completion.max_lines == value
    assert resolved.origins["completion.max_lines"] == origin


def test_other_values_of_a_layer_stay() -> None:
    """One bad value does not take its neighbours with it."""
    options = {"completion": {"max_lines": "many", "debounce_ms": 7}, "engine": {"n_slots": 2}}
    resolved = settings.load(editor=options)
    assert resolved.settings.completion.debounce_ms == 7
    assert resolved.settings.engine.n_slots == 2
    assert len(resolved.problems) == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"completion": {"max_lines": "6"}}, "Expected `int`, got `str`"),
        ({"completion": {"max_lines": True}}, "Expected `int`, got `bool`"),
        ({"completion": {"max_lines": 1.5}}, "Expected `int`, got `float`"),
        ({"completion": {"max_lines": 0}}, "Expected `int` >= 1"),
        ({"completion": {"max_lines": None}}, "got `null`"),
        ({"completion": {"enabled": "yes"}}, "Expected `bool`, got `str`"),
        ({"completion": {"temperature": 2.5}}, "<= 2"),
        ({"completion": {"debounce_ms": -1}}, ">= 0"),
        ({"completion": {"answer_ms": float("nan")}}, ">= 0"),
        ({"completion": {"answer_ms": float("inf")}}, "<= 600000"),
        ({"completion": {"multi_line": "sometimes"}}, "Invalid enum value 'sometimes'"),
        ({"completion": {"disabled_languages": "python"}}, "Expected `array`, got `str`"),
        ({"completion": {"disabled_languages": [1]}}, "Expected `str`, got `int`"),
        ({"engine": {"n_gpu_layers": -2}}, ">= -1"),
        ({"engine": {"kv_type": "q4_0"}}, "Invalid enum value 'q4_0'"),
        ({"engine": {"tensor_split": [1, -1]}}, ">= 0"),
        ({"engine": {"main_gpu": 99}}, "<= 15"),
        ({"engine": {"lora": [{"scale": 1}]}}, "missing required field `path`"),
        ({"engine": {"lora": [{"path": "/a", "scale": 11}]}}, "<= 10"),
        ({"engine": {"lora": [{"path": "/a", "scale": float("nan")}]}}, ">= -10"),
        ({"engine": {"lora": [{"path": "/a", "weight": 1}]}}, "unknown field `weight`"),
        ({"engine": {"flash_attention": True}}, "Expected `str`, got `bool`"),
        ({"model": {"id": 7}}, "Expected `str`, got `int`"),
        ({"model": "0.5b"}, "'model' is ignored: it must be a table of settings."),
        ({"model": None}, "'model' is ignored"),
        ({"models": {"id": "x"}}, "unknown section 'models' is ignored. Did you mean 'model'?"),
        ({"zzz": {}}, "unknown section 'zzz' is ignored."),
        (
            {"completion": {"maxlines": 3}},
            "setting 'completion.maxlines' is ignored. Did you mean 'completion.max_lines'?",
        ),
        ({"completion": {"zzz": 3}}, "unknown setting 'completion.zzz' is ignored."),
    ],
)
def test_bad_options(options: dict[str, Any], problem: str) -> None:
    """A bad type, range or name falls back to the default, and one sentence tells it."""
    resolved = settings.load(editor=options)
    assert resolved.settings == Settings()
    assert set(resolved.origins.values()) == {"default"}
    assert len(resolved.problems) == 1
    assert problem in resolved.problems[0]
    assert resolved.problems[0].startswith("editor: ")
    assert resolved.problems[0].endswith((".", "?"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[completion\nmax_lines = 6", "at line 1"),
        (b"max_lines = ", "at end of document"),
        (b"[completion]\nmax_lines = 6\nmax_lines = 7\n", "at line 3"),
        (b'id = "\xff"', "not valid UTF-8, byte 6"),
        (b"x = " + b"[" * 100_000, "recursion"),
    ],
)
def test_invalid_file(file: Path, content: bytes, reason: str) -> None:
    """A file that is no TOML is ignored as a whole, and the message says where it broke."""
    file.write_bytes(content)
    resolved = settings.load(file=file)
    assert resolved.settings == Settings()
    assert len(resolved.problems) == 1
    assert f"{file} cannot be read" in resolved.problems[0]
    assert reason in resolved.problems[0]


def test_unreadable_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file the user may not read is ignored, with a message."""

    def refuse(*_arguments: object, **_options: object) -> str:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "read_text", refuse)
    resolved = settings.load(file=file)
    assert resolved.settings == Settings()
    assert resolved.problems == (
        f"user file: {file} cannot be read (Permission denied); all of it is ignored.",
    )


def test_folder_in_place_of_the_file(tmp_path: Path) -> None:
    """A folder with the file's name is told, not raised."""
    assert "Is a directory" in settings.load(file=tmp_path).problems[0]


def test_bom(file: Path) -> None:
    """A file with a byte order mark is read."""
    file.write_bytes(b"\xef\xbb\xbf[completion]\nmax_lines = 6\n")
    resolved = settings.load(file=file)
    assert (resolved.settings.completion.max_lines, resolved.problems) == (6, ())


def test_users_own_file_is_read() -> None:
    """Without a path the file in the settings folder counts."""
    settings.user_file().parent.mkdir(parents=True)
    settings.user_file().write_text("[engine]\nidle_exit_s = 5\n")
    assert settings.load().settings.engine.idle_exit_s == 5.0


def test_changed_options_keep_what_was_right() -> None:
    """One that cannot be used is as it was before; the others are new, or gone."""
    old = {"completion": {"max_lines": 4, "mode": "eager"}, "engine": {"n_slots": 2}}
    new = {
        "completion": {"max_lines": "many", "temperature": 0.5, "max_lnies": 3},
        "engine": "all",
        "model": {"id": 5},
        "nothing": {"x": 1},
    }
    options, problems = settings.changed_options(new, old)
    assert options == {
        "completion": {"max_lines": 4, "temperature": 0.5},
        "engine": {"n_slots": 2},
        "model": {},
    }
    told = " ".join(problems)
    names = ("completion.max_lines", "completion.max_lnies", "'engine'", "model.id", "'nothing'")
    assert all(name in told for name in names)
    assert not told.startswith("editor")
    assert settings.changed_options({}, old) == ({}, ())
    assert settings.changed_options({"engine": {"n_slots": -1}}, {"engine": 7})[0] == {"engine": {}}
