"""``python -m benchmarks latency``, against the real server with a scripted engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.latency import session
from benchmarks.machine import ROOT
from tests.scripted_engine import write_script

HEADER = {"name": "n", "note": "typed by no one", "files": {"a.py": "x\n"}}


def latency(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "latency", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    """A session with two requests."""
    events: list[object] = [session.Open(gap_ms=0, path="a.py")]
    for column, text in enumerate("ab"):
        events.append(
            session.Edit(gap_ms=5, line=0, column=column, end_line=0, end_column=column, text=text)
        )
    path = tmp_path / "session.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(part) for part in [HEADER, *events]))
    return path


@pytest.fixture
def scripted(tmp_path: Path) -> str:
    """A model that writes ``c = 1`` everywhere."""
    return f"scripted:{write_script(tmp_path / 'script.json', default='c = 1')}"


def test_a_session_is_measured_and_an_ended_run_is_not_measured_again(
    tmp_path: Path, typed: Path, scripted: str
) -> None:
    """One line a request; the second run reads them, and more repetitions add to them."""
    output = tmp_path / "run.jsonl"
    arguments = ["--session", str(typed), "--model", scripted, "--peers", "none", "--every-key",
                 "--output", str(output), "--json"]  # fmt: skip
    first = latency(*arguments)
    assert first.returncode == 0, first.stderr
    summary = json.loads(first.stdout)
    assert summary["n"] == 2
    assert "typed by no one" in summary["notes"]
    lines = output.read_bytes()
    assert len(lines.splitlines()) == 3

    again = latency(*arguments)
    assert again.returncode == 0, again.stderr
    assert output.read_bytes() == lines

    more = latency(*arguments, "--repeat", "2")
    assert json.loads(more.stdout)["n"] == 4
    assert output.read_bytes().startswith(lines)


def test_with_gaps_the_session_is_typed_in_time(typed: Path, scripted: str) -> None:
    """The first request is overtaken by the next key 5 ms later: the debounce alone is longer."""
    done = latency("--session", str(typed), "--model", scripted, "--peers", "none", "--every-key",
                   "--gaps", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    tables = {table["title"]: table for table in json.loads(done.stdout)["tables"]}
    names = [column["name"] for column in tables["Answers"]["columns"]]
    row = dict(zip(names, tables["Answers"]["rows"][0], strict=True))
    assert (row["answered"], row["overtaken"]) == (1, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--session", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
        (("--peers", "copilot"), "'copilot' is none of"),
        (("--limit", "0"), "must be at least 1"),
    ],
)
def test_bad_arguments_are_refused(arguments: tuple[str, ...], words: str) -> None:
    """With a sentence and exit status 2, before anything is started."""
    done = latency("--peers", "none", *arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_session_in_which_nothing_is_typed_is_refused(tmp_path: Path) -> None:
    """There would be nothing to ask."""
    path = tmp_path / "session.jsonl"
    path.write_bytes(msgspec.json.encode(HEADER))
    done = latency("--peers", "none", "--session", str(path))
    assert done.returncode == 2
    assert "Nothing is typed" in done.stderr


def test_a_peer_that_cannot_be_built_is_left_out_with_the_reason(
    tmp_path: Path, typed: Path, scripted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest is measured."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    done = latency("--session", str(typed), "--model", scripted, "--every-key",
                   "--peers", "same-prompt", "--json")  # fmt: skip
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["n"] == 2
    assert any("cmake is not in the PATH" in note for note in summary["notes"])
