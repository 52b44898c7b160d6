"""``python -m benchmarks corpus``."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.corpus import command, fresh
from benchmarks.corpus.fresh import Package
from benchmarks.machine import ROOT
from benchmarks.summary import Summary
from tests.benchmarks.corpora import NEW, OLD, write_wheel


def corpus(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the subcommand."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "corpus", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def repo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with one commit of one line."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    folder = tmp_path / "library"
    folder.mkdir()
    (folder / "lend.py").write_text("lent_out = set()\n")
    author = ("-c", "user.name=Tester", "-c", "user.email=tester@example.invalid")
    for arguments in (("init", "-q"), ("add", "."), (*author, "commit", "-q", "-m", "lend")):
        subprocess.run(["git", "-C", str(folder), *arguments], check=True)
    return folder


def test_commits_of_a_repository(repo: Path) -> None:
    """The summary counts a repository's added lines; targets are shown beside it."""
    done = corpus("--repo", str(repo), "--json", "--show", "5")
    assert done.returncode == 0, done.stderr
    summary = msgspec.json.decode(done.stdout, type=Summary)
    assert summary.n == 1
    (table,) = summary.tables
    assert table.rows[0][1:] == (1, 1, 1, 1, 1)
    assert table.rows[-1] == ("all", 1, 1, 1, 1, 1)
    assert "lend.py:1-1  (new file)\n+ lent_out = set()\n" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--since", "2025-01-01"), "--repo PATH"),
        (("--repo", "REPO", "--limit", "0"), "at least 1"),
        (("--repo", "REPO/nowhere"), "no folder"),
        (("--repo", "REPO", "--since", "no such revision"), "neither a date nor a revision"),
    ],
)
def test_mistakes(repo: Path, arguments: tuple[str, ...], says: str) -> None:
    """What cannot be done as written ends with one line and status 2."""
    done = corpus(*(argument.replace("REPO", str(repo)) for argument in arguments))
    assert done.returncode == 2
    assert says in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert not done.stdout


def test_fresh_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The table of the public corpus has a row a project and a sum."""
    write_wheel(tmp_path / "index", "1.0", OLD)
    write_wheel(tmp_path / "index", "2.0", NEW)
    packages = (Package(name="shelf", old="1.0", new="2.0"),)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setattr(fresh, "PACKAGES", packages)
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers())
    args = parser.parse_args(["corpus", "--markdown", "--corpus", str(tmp_path / "corpus")])
    assert args.func(args) == 0
    printed = capsys.readouterr()
    assert "| shelf 2.0 | 2 | 1 | 3 | 2 | 2 |" in printed.out
    assert "| all | 2 | 1 | 3 | 2 | 2 |" in printed.out
    assert printed.err.splitlines() == ["fetching shelf==1.0", "fetching shelf==2.0"]
