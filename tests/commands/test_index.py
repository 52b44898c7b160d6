"""``midfill index``: a project read at once, and all indexes deleted."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lsp_server import cli


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two files, and a cache folder of its own."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "project"
    root.mkdir()
    (root / "a.py").write_text("class A:\n    def b(self): ...\n")
    (root / "c.py").write_text("x = 1\n")
    return root


def test_a_project_is_indexed(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is in the index, for people and as JSON."""
    assert cli.main(["index", str(project)]) == 0
    assert capsys.readouterr().out.startswith("2 files, 3 definitions, 0.0 MiB of source, in ")
    assert cli.main(["index", str(project), "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["files"], record["symbols"], record["left_out"]) == (2, 3, "")


def test_what_is_left_out_is_said(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With the setting that decides it."""
    assert cli.main(["index", str(project), "--set", "context.max_files=1"]) == 0
    assert "more than 1 files (context.max_files)" in capsys.readouterr().out


def test_indexes_are_deleted(project: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them; a second time there are none."""
    cli.main(["index", str(project)])
    capsys.readouterr()
    assert cli.main(["index", "--clear"]) == 0
    assert capsys.readouterr().out.startswith("Deleted 1 index, 0.0 MiB.")
    assert cli.main(["index", "--clear", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": 0, "freed_bytes": 0}


def test_a_folder_that_is_not_there_is_refused(
    project: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With its name."""
    assert cli.main(["index", str(project / "no")]) == 2
    assert "no is no folder" in capsys.readouterr().err
