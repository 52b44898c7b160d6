"""The flow of typing: what counts as flicker, and the whole benchmark with a scripted engine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from benchmarks.flow.play import Key, change_of, script
from benchmarks.latency import session
from benchmarks.machine import ROOT

TYPED = "total = sum(prices)\n"
HEADER = {"name": "n", "note": "typed by no one", "files": {"a.py": "prices = [1, 2]\n"}}


@pytest.mark.parametrize(
    ("texts", "change"),
    [
        (["tal"], "same"),
        (["tal", "tal + 1"], "grown"),
        (["ta", "tal"], "shorter"),
        (["tally"], "grown"),
        (["tel"], "other"),
        (["tal", "other", "tal"], "other"),
        ([""], "gone"),
        ([], "gone"),
    ],
)
def test_what_became_of_a_suggestion(texts: Sequence[str], change: str) -> None:
    """The worst of all that was shown counts; growing is no flicker."""
    assert change_of("tal", texts) == change
    key = Key(
        step=0, kind="warm", typed="o", origin="cache", asked_engine=False, matched=True,
        change=change_of("tal", texts),
    )  # fmt: skip
    assert key.flickered == (change in ("shorter", "other", "gone"))


@pytest.fixture
def typed(tmp_path: Path) -> Path:
    """A session of one line, key by key."""
    events: list[object] = [
        session.Open(gap_ms=0, path="a.py"),
        session.Move(gap_ms=0, line=1, column=0),
    ]
    for column, text in enumerate(TYPED[:-1]):
        events.append(
            session.Edit(gap_ms=5, line=1, column=column, end_line=1, end_column=column, text=text)
        )
    path = tmp_path / "session.jsonl"
    path.write_bytes(b"\n".join(msgspec.json.encode(part) for part in [HEADER, *events]))
    return path


def test_the_script_knows_what_comes_next(typed: Path) -> None:
    """Two of three times all of it, else it errs; equal seeds give equal scripts."""
    steps = session.steps(session.load(typed), 0, every_key=True)
    made = script(steps, 1)
    assert made == script(steps, 1) != script(steps, 2)
    texts = [reply["text"] for reply in made["replies"]]
    assert len(texts) == len(steps) == len(TYPED) - 1
    right = [text == TYPED[number + 1 : -1] for number, text in enumerate(texts)]
    assert 0 < sum(right) < len(right)


def flow(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "flow", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_session_is_typed_without_flicker(tmp_path: Path, typed: Path) -> None:
    """Most keys are answered from the cache; N and the session's hash are in the summary."""
    output = tmp_path / "run.jsonl"
    ended = flow("--session", str(typed), "--scripted", "--output", str(output), "--json")
    assert ended.returncode == 0, ended.stderr
    summary = json.loads(ended.stdout)
    assert summary["n"] == len(TYPED) - 1
    assert summary["run"]["options"]["session"] == session.load(typed).sha256[:12]
    assert "0 suggestions changed that were right so far" in summary["headline"]
    assert [verdict["outcome"] for verdict in summary["verdicts"]] == ["level"]
    keys = [json.loads(line) for line in output.read_text().splitlines()[1:]]
    origins = {key["origin"] for key in keys}
    assert origins >= {"cache", "engine"}
    assert sum(key["asked_engine"] for key in keys) < len(keys) / 2
    assert all(key["origin"] == "cache" for key in keys if key["matched"])


def test_an_empty_session_is_refused(tmp_path: Path) -> None:
    """With the reason."""
    path = tmp_path / "session.jsonl"
    path.write_bytes(msgspec.json.encode(HEADER))
    ended = flow("--session", str(path), "--scripted")
    assert ended.returncode != 0
    assert "Nothing is typed" in ended.stderr
