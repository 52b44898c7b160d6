"""``midfill engine status|pause|resume|stop|clear-cache``, over engines that replay a script."""

from __future__ import annotations

import asyncio
import json
import os
import socket
from pathlib import Path

import msgspec
import psutil
import pytest

from lsp_server import __version__, cli, paths
from lsp_server.commands import engine
from lsp_server.engine.client import EngineClient
from lsp_server.engine.llama import kv_store
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import EngineStatus
from tests.commands.runner import run, write_script


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file with a hole at line 1, column 5."""
    path = tmp_path / "a.py"
    path.write_text("x = ")
    return path


@pytest.fixture
def model(tmp_path: Path) -> str:
    """A model that always answers."""
    return write_script(tmp_path, default="1")


@pytest.fixture
def dead_socket(private_folders: Path) -> Path:
    """The socket of an engine that was killed."""
    path = private_folders / f"engine-{'0' * 16}.sock"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
    return path


def test_none_runs(capsys: pytest.CaptureFixture[str]) -> None:
    """Without an engine both commands say so and succeed."""
    assert cli.main(["engine", "status"]) == 0
    assert capsys.readouterr().out.startswith("No engine is running.")
    assert cli.main(["engine", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert cli.main(["engine", "stop"]) == 0
    assert capsys.readouterr().out == "No engine was running.\n"
    assert cli.main(["engine", "stop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"stopped": 0}


def test_dead_socket_is_ignored(dead_socket: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A socket nobody listens on is no engine."""
    assert cli.main(["engine", "status", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []
    assert cli.main(["engine", "stop", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"stopped": 0}


async def test_one_runs(model: str, dead_socket: Path) -> None:
    """Status tells pid, model, clients, slots, memory and uptime of a running engine."""
    path = model.removeprefix("scripted:")
    options = EngineOptions(backend="scripted", model_id="scripted", model_path=path)
    client = EngineClient(options, name="test")
    try:
        await client.connect()
        answer = await asyncio.to_thread(run, "engine", "status", "--json")
        (status,) = json.loads(answer.stdout)
        table = (await asyncio.to_thread(run, "engine", "status")).stdout.decode()
    finally:
        await client.aclose()
    assert psutil.Process(status["pid"]).environ()["MIDFILL_RUNTIME_DIR"] == str(dead_socket.parent)
    assert (status["model"], status["model_path"]) == ("scripted", path)
    assert (status["n_clients"], status["state"]) == (1, "ready")
    assert (status["version"], status["idle_exit_s"]) == (__version__, 300)
    assert [slot["seq_id"] for slot in status["slots"]] == [0]
    assert status["rss_bytes"] > 2**20
    assert status["uptime_s"] > 0
    rows = dict(line.split("  ", 1) for line in table.splitlines())
    assert rows["pid"].strip() == f"{status['pid']} (midfill {__version__})"
    assert rows["model"].strip() == f"scripted ({path})"
    assert rows["clients"].strip() == "1, 0 requests waiting"
    assert rows["slots"].strip() == "tokens held: 0 of 8192"
    assert rows["on disk"].strip() == "0 prompts, 0 MiB"
    assert rows["memory"].strip().endswith(" MiB")
    assert rows["uptime"].strip().endswith(" s; leaves 300 s after its last client")
    assert rows["unloads"].strip() == "900 s after its last request"


def test_stop(source: Path, model: str) -> None:
    """Stop makes the engine's process leave; the next completion starts a new one."""
    assert run("complete", f"{source}:1:5", "--model", model).stdout == b"1\n"
    (first,) = json.loads(run("engine", "status", "--json").stdout)
    process = psutil.Process(first["pid"])
    assert (first["n_served"], first["n_clients"]) == (1, 0)
    assert run("engine", "stop").stdout == b"Stopped 1 engine.\n"
    process.wait(30)
    assert json.loads(run("engine", "status", "--json").stdout) == []
    assert run("complete", f"{source}:1:5", "--model", model).stdout == b"1\n"
    (second,) = json.loads(run("engine", "status", "--json").stdout)
    assert second["pid"] != first["pid"]


def test_clear_cache(source: Path, model: str) -> None:
    """The engines leave, and all saved prompts are deleted; other files of the cache stay."""
    assert run("complete", f"{source}:1:5", "--model", model).returncode == 0
    (engine,) = json.loads(run("engine", "status", "--json").stdout)
    process = psutil.Process(engine["pid"])
    folder = paths.private_dir(paths.kv_dir())
    for name in ("a.kv", "b.kv", "c.tmp"):
        (folder / name).write_bytes(bytes(2**20))
    (paths.cache_dir() / "d.kv").write_bytes(b"")
    assert run("engine", "clear-cache").stdout == b"Deleted 2 prompts, 3 MiB.\n"
    assert list(folder.iterdir()) == []
    assert (paths.cache_dir() / "d.kv").exists()
    process.wait(30)
    assert run("engine", "clear-cache").stdout == b"No prompts were saved.\n"
    (folder / "a.kv").write_bytes(b"xy")
    answer = json.loads(run("engine", "clear-cache", "--json").stdout)
    assert answer == {"deleted": 1, "freed_bytes": 2, "suggestions": 0}


def test_clear_cache_that_fails(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The message names the folder."""

    def refuse(_folder: Path) -> tuple[int, int]:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(kv_store, "clear", refuse)
    assert cli.main(["engine", "clear-cache"]) == 1
    error = capsys.readouterr().err
    assert str(paths.kv_dir()) in error
    assert "Permission denied" in error


def test_two_run(source: Path, model: str, tmp_path: Path) -> None:
    """Engines of different models are all listed and all stopped."""
    (tmp_path / "other").mkdir()
    other = write_script(tmp_path / "other", default="2")
    for name in (model, other):
        assert run("complete", f"{source}:1:5", "--model", name).returncode == 0
    engines = json.loads(run("engine", "status", "--json").stdout)
    assert {engine["model_path"] for engine in engines} == {
        name.removeprefix("scripted:") for name in (model, other)
    }
    table = run("engine", "status").stdout.decode()
    assert [block.split()[0] for block in table.split(f"{os.linesep}{os.linesep}")] == ["pid"] * 2
    assert json.loads(run("engine", "stop", "--json").stdout) == {"stopped": 2}


def test_speculation_is_shown() -> None:
    """Why tokens are guessed or not, and how many were right once some were."""
    status = EngineStatus(
        pid=1,
        version="",
        state="ready",
        model="m",
        model_path="",
        backend="llama.cpp",
        flash_attention=True,
        n_gpu_layers=0,
        n_ctx=0,
        n_threads=1,
        slots=(),
        n_clients=0,
        n_waiting=0,
        n_served=0,
        rss_bytes=0,
        uptime_s=0.0,
        idle_exit_s=0.0,
        speculation="on: it gains",
    )
    assert engine._speculation(status) == "on: it gains"
    used = msgspec.structs.replace(status, n_guessed=2000, n_guessed_right=1500)
    assert engine._speculation(used) == ("on: it gains; 1,500 of 2,000 guessed tokens were right")


def test_pause_without_an_engine(
    source: Path, model: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The pause is kept for engines to come: a completion starts none, and says how to go on."""
    assert cli.main(["engine", "pause"]) == 0
    assert capsys.readouterr().out == (
        "Completion is paused. No engine is running.\nTo go on, run: midfill engine resume\n"
    )
    flag = tmp_path / "state" / "paused"
    assert (flag.stat().st_mode & 0o777, flag.parent.stat().st_mode & 0o777) == (0o600, 0o700)
    refused = run("complete", f"{source}:1:5", "--model", model)
    assert refused.returncode == 1
    assert b"midfill engine resume (paused)" in refused.stderr
    assert cli.main(["engine", "status"]) == 0
    assert "midfill engine resume" in capsys.readouterr().out
    assert json.loads(run("engine", "status", "--json").stdout) == []
    assert cli.main(["engine", "pause", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "paused": True,
        "was_paused": True,
        "engines": 0,
    }
    assert cli.main(["engine", "resume"]) == 0
    assert capsys.readouterr().out == "Completion goes on. No engine is running.\n"
    assert not flag.exists()
    assert run("complete", f"{source}:1:5", "--model", model).stdout == b"1\n"


def test_pause_and_resume_a_running_engine(source: Path, model: str) -> None:
    """From another process: the engine stays, without its model, until resume."""
    assert run("complete", f"{source}:1:5", "--model", model).stdout == b"1\n"
    paused = run("engine", "pause").stdout.decode().splitlines()
    assert paused[0] == "Completion is paused. 1 engine has freed its memory."
    (status,) = json.loads(run("engine", "status", "--json").stdout)
    assert (status["state"], status["slots"]) == ("paused", [])
    rows = dict(
        line.split("  ", 1) for line in run("engine", "status").stdout.decode().splitlines()
    )
    assert rows["state"].strip() == "paused (To go on, run: midfill engine resume)"
    answer = json.loads(run("complete", f"{source}:1:5", "--model", model, "--json").stdout)
    assert answer["reason"] == "paused"
    resumed = run("engine", "resume", "--json")
    assert json.loads(resumed.stdout) == {"paused": False, "was_paused": True, "engines": 1}
    assert run("complete", f"{source}:1:5", "--model", model).stdout == b"1\n"
    (again,) = json.loads(run("engine", "status", "--json").stdout)
    assert (again["pid"], again["state"]) == (status["pid"], "ready")
    assert run("engine", "resume").stdout == b"Completion was not paused. 1 engine serves again.\n"


def test_pause_that_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where the state folder cannot be made the command fails and says which variable helps."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIDFILL_STATE_DIR", str(tmp_path / "file" / "state"))
    assert cli.main(["engine", "pause"]) == 1
    assert "MIDFILL_STATE_DIR" in capsys.readouterr().err
    assert cli.main(["engine", "resume"]) == 0
