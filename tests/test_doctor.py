"""``midfill doctor``: what each check finds, and what it tells the user to do."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsp_server import cli, doctor, paths, settings
from lsp_server.doctor import Check
from lsp_server.engine import launch, pause, spawn, speeds
from lsp_server.errors import StoreError
from lsp_server.models import catalog, machine, store
from lsp_server.models.store import ModelRecord
from tests.commands.runner import run, write_script
from tests.engine.makers import speed
from tests.models.gguf_files import PLAIN_TOKENS, gguf, lora

_HOLE = {"after": 'last word of a text."""\n    return ', "text": "text.split()[-1]"}
_LLAMA = Check(name="llama.cpp", outcome="ok", detail="llama-cpp-python 0.0, without GPU support")


@dataclasses.dataclass
class Report:
    """What one run of the command gave."""

    code: int
    checks: dict[str, dict[str, Any]]

    def outcome(self, name: str) -> str:
        """The outcome of a check."""
        return str(self.checks[name]["outcome"])


@pytest.fixture
def examine(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Report]:
    """Runs ``midfill doctor --json`` in this process, with a llama.cpp that is in order."""
    monkeypatch.setattr(doctor, "_llama", lambda: _LLAMA)

    def call(*arguments: str) -> Report:
        capsys.readouterr()
        code = cli.main(["doctor", "--json", *arguments])
        report = json.loads(capsys.readouterr().out)
        assert report["ok"] == (code == 0)
        return Report(code, {check["name"]: check for check in report["checks"]})

    return call


# -- the whole run -----------------------------------------------------------------------


def test_all_is_well(tmp_path: Path, examine: Callable[..., Report]) -> None:
    """With an engine that fills the hole every check is listed and none fails."""
    model = write_script(tmp_path, _HOLE, default="40,\n    41,\n")
    report = examine("--model", model)
    assert report.code == 0
    assert list(report.checks) == [
        "midfill",
        "packages",
        "settings",
        "cache folder",
        "state folder",
        "runtime folder",
        "llama.cpp",
        "engine",
        "flash attention",
        "speed",
        "known hole",
    ]
    assert "failed" not in {report.outcome(name) for name in report.checks}
    hole = report.checks["known hole"]
    assert (hole["outcome"], hole["data"]["text"]) == ("ok", "text.split()[-1]")
    assert report.checks["engine"]["data"]["pid"] > 0
    assert report.checks["speed"]["data"]["decode_tokens_per_s"] > 0
    assert report.checks["settings"]["detail"] == "model.id (command line)"


def test_output_for_people(tmp_path: Path) -> None:
    """Each check is one line with a mark, whatever its length or brackets; a hint follows it."""
    folder = tmp_path / ("[bold]" + "x" * 100)
    folder.mkdir()
    model = write_script(folder, {**_HOLE, "text": "text[0]"})
    answer = run("doctor", "--model", model, env={"MIDFILL_STATE_DIR": str(folder)})
    lines = answer.stdout.decode().splitlines()
    assert answer.stderr == b""
    assert any(line.startswith(f"✓ state folder  {folder} (") for line in lines)
    (hole,) = [number for number, line in enumerate(lines) if "known hole" in line]
    assert lines[hole].startswith("! known hole  filled with 'text[0]' in ")
    assert lines[hole].endswith("; expected 'text.split()[-1]'")
    assert lines[hole + 1].startswith("    → Suggestions may be poor")
    marks = {"✓", "!", "✗", " "}
    assert {line[0] for line in lines[: hole + 2]} <= marks
    assert "lines marked" in lines[-1]


def test_hole_that_stays_empty(tmp_path: Path, examine: Callable[..., Report]) -> None:
    """An engine that gives no text makes the last check fail."""
    report = examine("--model", write_script(tmp_path, default=""))
    assert report.code == 1
    assert report.outcome("known hole") == "failed"
    assert "model_stopped" in report.checks["known hole"]["detail"]
    assert report.outcome("speed") == "ok"
    assert "decode not measured" in report.checks["speed"]["detail"]


def test_engine_that_cannot_start(tmp_path: Path, examine: Callable[..., Report]) -> None:
    """A back end that does not load is named, with its reason."""
    report = examine("--model", f"scripted:{tmp_path / 'missing.json'}")
    assert report.code == 1
    assert report.outcome("engine") == "failed"
    assert "missing.json cannot be read" in report.checks["engine"]["detail"]


def test_paused(tmp_path: Path, examine: Callable[..., Report]) -> None:
    """While midfill is paused no engine is started; the check says how to go on."""
    pause.set_paused(True)
    report = examine("--model", write_script(tmp_path, _HOLE))
    assert report.code == 0
    assert list(report.checks)[-1] == "engine"
    assert report.checks["engine"]["outcome"] == "warning"
    assert report.checks["engine"]["hint"] == "To go on, run: midfill engine resume"
    assert spawn.sockets() == []


# -- models ------------------------------------------------------------------------------


def test_no_model(examine: Callable[..., Report]) -> None:
    """Without a model the check says which command fetches one, and nothing is asked of it."""
    report = examine()
    assert report.code == 1
    assert list(report.checks)[-1] == "model"
    assert report.checks["model"]["hint"] == "Run: midfill model fetch"


def _place(data: bytes, *, tell: bytes | None = None) -> Path:
    """Put a model file where the default model lies; ``tell`` is what the catalog expects."""
    path = store.entry_path(catalog.ENTRIES[0])
    paths.private_dir(path.parent)
    path.write_bytes(data)
    info = path.stat()
    expected = data if tell is None else tell
    store.save_record(
        ModelRecord(
            id=catalog.ENTRIES[0].id,
            path=str(path),
            sha256=hashlib.sha256(expected).hexdigest(),
            size_bytes=info.st_size,
            mtime_ns=info.st_mtime_ns,
            confirmed_by="catalog",
        )
    )
    return path


@pytest.fixture
def pinned(monkeypatch: pytest.MonkeyPatch) -> bytes:
    """A whole tiny model, the only one the catalog pins."""
    data = gguf(shape=(64, 200))
    entry = msgspec.structs.replace(
        catalog.ENTRIES[0], size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    monkeypatch.setattr(catalog, "ENTRIES", (entry,))
    return data


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda data: data[:-100], "cut off"),
        (lambda data: data[:40], "cut off"),
        (lambda data: data[:-1] + b"\0", "is damaged or was replaced: its sha256 is "),
        (lambda data: b"<html>" + data[6:], "GGUF"),
        (lambda data: b"", "is empty"),
    ],
    ids=["cut off", "cut off in the header", "wrong hash", "not GGUF", "empty"],
)
def test_damaged_model(
    examine: Callable[..., Report],
    pinned: bytes,
    spoil: Callable[[bytes], bytes],
    words: str,
) -> None:
    """A damaged file fails the check, the hint names the repair, and it is not loaded."""
    path = _place(spoil(pinned), tell=pinned)
    report = examine()
    check = report.checks["model"]
    assert report.code == 1
    assert check["outcome"] == "failed"
    assert path.name in check["detail"]
    assert words in check["detail"]
    assert "midfill model fetch" in check["hint"]
    assert "engine" not in report.checks


def test_the_file_that_is_meant_is_checked(
    examine: Callable[..., Report], pinned: bytes, tmp_path: Path
) -> None:
    """With --model PATH that file is looked at, not a sound copy in the model folder."""
    _place(pinned)
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(pinned[:-1] + b"\0")
    report = examine("--model", str(copy))
    assert report.code == 1
    assert "copy.gguf" in report.checks["model"]["detail"]
    assert report.outcome("model") == "failed"


def test_model_without_fim_tokens(
    examine: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that cannot fill in the middle is refused with the tokens it lacks."""
    data = gguf(PLAIN_TOKENS)
    entry = msgspec.structs.replace(
        catalog.ENTRIES[0], size_bytes=len(data), sha256=hashlib.sha256(data).hexdigest()
    )
    monkeypatch.setattr(catalog, "ENTRIES", (entry,))
    _place(data)
    report = examine()
    assert report.code == 1
    assert "no FIM token" in report.checks["model"]["detail"]


def test_sound_model_and_no_llama(
    examine: Callable[..., Report], pinned: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without llama.cpp the model is still checked, and the engine is left out."""
    broken = Check(name="llama.cpp", outcome="failed", detail="none", hint="Run: pip install")
    monkeypatch.setattr(doctor, "_llama", lambda: broken)
    _place(pinned)
    report = examine()
    assert report.code == 1
    assert report.outcome("model") == "ok"
    assert "as pinned" in report.checks["model"]["detail"]
    assert (
        report.checks["FIM tokens"]["data"] | {"prefix": 2, "suffix": 4, "middle": 3}
        == (report.checks["FIM tokens"]["data"])
    )
    assert "engine" not in report.checks


def _measured(name: str, first_line_ms: float, options: settings.Settings) -> None:
    model = store.resolve(name)
    engine = launch.options_for(model, options)
    speeds.save(store.expected_sha256(model), engine, speed(first_line_ms))


def test_model_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check names the model auto takes, why, and how the others stand."""
    monkeypatch.setattr(machine, "gpu_memory_bytes", lambda: None)
    sizes = {"0.5b-instruct-q4": 1, "1.5b-instruct-q4": 2}
    entries = tuple(
        msgspec.structs.replace(entry, size_bytes=sizes[entry.id])
        for entry in catalog.ENTRIES
        if entry.id in sizes
    )
    monkeypatch.setattr(catalog, "ENTRIES", entries)
    paths.private_dir(paths.models_dir())
    for name, size in sizes.items():
        store.entry_path(catalog.find(name)).write_bytes(bytes(size))
    resolved = settings.load()
    check = doctor._choice(resolved)
    assert check.outcome == "warning"
    assert check.detail == (
        "auto takes 0.5b-instruct-q4, the default for this machine; not measured yet; "
        "1.5b-instruct-q4: not measured yet"
    )
    assert check.hint.endswith("midfill model measure")
    _measured("1.5b-instruct-q4", 610, resolved.settings)
    _measured("0.5b-instruct-q4", 240, resolved.settings)
    check = doctor._choice(resolved)
    assert (check.outcome, check.hint) == ("ok", "")
    assert "auto takes 1.5b-instruct-q4" in check.detail
    assert "610 ms ≤ 700 ms budget; 0.5b-instruct-q4: 240 ms ≤ 700 ms budget" in check.detail
    assert check.data["1.5b-instruct-q4"]["first_line_ms"] == 610


def test_model_choice_by_the_user(pinned: bytes) -> None:
    """A model that the user names is no choice of auto's; its speed is told all the same."""
    _place(pinned)
    name = catalog.ENTRIES[0].id
    resolved = settings.load(command_line={"model": {"id": name}})
    _measured(name, 900, resolved.settings)
    check = doctor._choice(resolved)
    assert check.outcome == "ok"
    assert check.detail == (f"{name}, set by model.id (command line); 900 ms > 700 ms budget")


# -- llama.cpp ---------------------------------------------------------------------------


def _fake_python(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return str(path)


def test_llama_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without llama_cpp fails the check, and the hint is the command to run."""
    without = f'exec "{sys.executable}" -I -S "$@"'
    monkeypatch.setattr(sys, "executable", _fake_python(tmp_path / "python", without))
    check = doctor._llama()
    assert check.outcome == "failed"
    assert "No module named 'llama_cpp'" in check.detail
    assert "pip install 'midfill[local]'" in check.hint


def test_llama_ends_its_process(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A build that crashes (an instruction the processor lacks) is reported, not fatal."""
    crash = "kill -ILL $$"
    monkeypatch.setattr(sys, "executable", _fake_python(tmp_path / "python", crash))
    check = doctor._llama()
    assert check.outcome == "failed"
    assert "cannot be imported" in check.detail


@pytest.mark.parametrize(
    ("gpu_build", "memory_bytes", "outcome"),
    [(True, 2**33, "ok"), (False, None, "ok"), (False, 2**33, "warning")],
)
def test_llama_and_the_gpu(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    gpu_build: bool,
    memory_bytes: int | None,
    outcome: str,
) -> None:
    """A GPU that the build cannot use is a warning with the command that builds for it."""
    answer = f"echo noise; echo '{json.dumps(['0.3.0', gpu_build])}'"
    monkeypatch.setattr(sys, "executable", _fake_python(tmp_path / "python", answer))
    monkeypatch.setattr(machine, "nvidia_memory_bytes", lambda: memory_bytes)
    check = doctor._llama()
    assert check.outcome == outcome
    assert check.data == {"version": "0.3.0", "gpu": gpu_build}
    assert ("GGML_CUDA=on" in check.hint) == (outcome == "warning")


def test_no_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a compiler the hint says how to install one on this system."""
    monkeypatch.delenv("CXX", raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    hint = doctor._build_hint(which=lambda _name: None)
    assert "No C++ compiler" in hint
    assert "apt install build-essential" in hint
    assert "pip install 'midfill[local]'" in hint
    monkeypatch.setattr(sys, "platform", "darwin")
    assert "xcode-select --install" in doctor._build_hint(which=lambda _name: None)


@pytest.mark.parametrize("name", ["c++", "g++", "clang++"])
def test_a_compiler(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """With a compiler one command is left to run."""
    monkeypatch.delenv("CXX", raising=False)
    hint = doctor._build_hint(which=lambda asked: f"/bin/{asked}" if asked == name else None)
    assert hint.startswith("Run: pip install 'midfill[local]'")


# -- folders and settings ----------------------------------------------------------------


def test_folder_that_cannot_be_made(
    examine: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A folder whose place is taken by a file fails its check; the others are still made."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIDFILL_STATE_DIR", str(tmp_path / "file"))
    report = examine()
    assert report.outcome("state folder") == "failed"
    assert "MIDFILL_STATE_DIR" in report.checks["state folder"]["hint"]
    assert (report.outcome("cache folder"), report.outcome("runtime folder")) == ("ok", "ok")


def test_read_only_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder on a read-only disk fails its check with the system's reason."""

    def refuse(_path: Path, _data: bytes) -> int:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    checks = {check.name: check for check in doctor._folders()}
    assert {check.outcome for check in checks.values()} == {"failed"}
    assert checks["cache folder"].detail == (
        f"{paths.cache_dir()} cannot be written: Read-only file system."
    )
    assert checks["cache folder"].hint == "Check its permissions and the free space."


def test_folder_of_another_user(monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that is not private fails its check with the hint of the refusal."""

    def refuse(path: Path) -> Path:
        raise StoreError(f"{path} is theirs.", code="folder_not_private", hint="Remove it.")

    monkeypatch.setattr(paths, "private_dir", refuse)
    checks = list(doctor._folders())
    assert [(check.outcome, check.hint) for check in checks] == [("failed", "Remove it.")] * 3


def test_settings_that_were_not_taken(examine: Callable[..., Report]) -> None:
    """Bad settings are a warning that names the file and the command that shows them."""
    settings.user_file().parent.mkdir(parents=True)
    settings.user_file().write_text("[completion]\nmax_lines = 0\n")
    check = examine().checks["settings"]
    assert check["outcome"] == "warning"
    assert "'completion.max_lines' is not used" in check["detail"]
    assert str(settings.user_file()) in check["hint"]
    assert "midfill config" in check["hint"]


def test_package_that_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that is not installed is named, with the command that repairs it."""
    monkeypatch.setattr(doctor, "_PACKAGES", ("msgspec", "no-such-package-of-midfill"))
    check = doctor._packages()
    assert check.outcome == "failed"
    assert "no-such-package-of-midfill" in check.detail
    assert "pip install --force-reinstall" in check.hint


def test_adapters_are_looked_at(tmp_path: Path) -> None:
    """Each adapter of the settings has its own line; a wrong one says what is wrong with it."""
    model, good, wrong = (tmp_path / f"{name}.gguf" for name in ("model", "good", "wrong"))
    model.write_bytes(gguf())
    good.write_bytes(lora())
    wrong.write_bytes(lora({"general.architecture": "llama"}))
    options = [{"path": str(good), "scale": 0.5}, {"path": str(wrong)}]
    resolved = settings.load(editor={"engine": {"lora": options}})
    installed = store.InstalledModel(id="tiny", path=model, size_bytes=1)
    checks = list(doctor._adapters(resolved, installed))
    assert [(check.name, check.outcome) for check in checks] == [
        ("adapter good.gguf", "ok"),
        ("adapter wrong.gguf", "failed"),
    ]
    assert checks[0].detail == f"{good}, scale 0.5"
    assert "is for llama models" in checks[1].detail
    assert list(doctor._adapters(settings.load(), installed)) == []


@pytest.mark.model
def test_default_model_fills_the_known_hole(
    default_model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The default model passes every check that is not about the machine's speed."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(default_model_cache))
    answer = run("doctor", "--json", "--model", catalog.default_entry(None).id)
    report = json.loads(answer.stdout)
    outcomes = {check["name"]: check["outcome"] for check in report["checks"]}
    assert answer.returncode == 0
    assert report["ok"] is True
    assert outcomes["model"] == outcomes["FIM tokens"] == outcomes["known hole"] == "ok"
