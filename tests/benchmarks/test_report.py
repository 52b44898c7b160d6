"""The command ``python -m benchmarks report``."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks import __main__ as benchmarks
from benchmarks import options, report
from tests.benchmarks import makers


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of results with summaries of four benchmarks."""
    folder = tmp_path / "results"
    monkeypatch.setattr(options, "RESULTS_DIR", folder)
    for name in ("sync", "latency", "peers", "acceptance"):
        run = makers.made_up_run(benchmark=name)
        title = f"The {name} title"
        options.save(makers.summary(title=title, run=run, plots=()), folder / f"{name}.json")
    return folder


def _run(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["benchmarks", "report", *map(str, words)])
    return benchmarks.main()


def test_page_of_all_summaries(results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without arguments all summaries become a page beside them, in the order of interest."""
    assert _run(monkeypatch) == 0
    page = (results / "report.html").read_text("utf-8")
    places = [page.rindex(f"The {n} title") for n in ("acceptance", "peers", "latency", "sync")]
    assert places == sorted(places)


def test_chosen_summaries(results: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Summaries and page can be chosen; folders that are missing are made."""
    output = tmp_path / "new" / "page.html"
    assert _run(monkeypatch, results / "peers.json", "--output", output) == 0
    page = output.read_text("utf-8")
    assert "The peers title" in page
    assert "The latency title" not in page
    assert not (results / "report.html").exists()


def test_markdown(
    results: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As Markdown everything is printed, and no page is written."""
    assert _run(monkeypatch, "--markdown") == 0
    printed = capsys.readouterr().out
    assert printed.index("### The acceptance title") < printed.index("### The sync title")
    assert not (results / "report.html").exists()


def test_update(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file with markers gets its figures; an error in it leaves everything unwritten."""
    readme = tmp_path / "README.md"
    readme.write_text("<!-- report:peers -->\n<!-- /report -->\n", "utf-8")
    assert _run(monkeypatch, "--update", readme) == 0
    assert "Invented acceptance is 40.0 %" in readme.read_text("utf-8")
    (results / "report.html").unlink()
    readme.write_text("<!-- report:unheard -->\n<!-- /report -->\n", "utf-8")
    assert _run(monkeypatch, "--update", readme) == 2
    assert "names no summary: unheard" in capsys.readouterr().err
    assert readme.read_text("utf-8") == "<!-- report:unheard -->\n<!-- /report -->\n"
    assert not (results / "report.html").exists()


def test_equal_titles_are_told_apart(tmp_path: Path) -> None:
    """By the model; where that is the same too, by the name of the file."""
    for name, model in (("a", "small"), ("b", "small"), ("c", "large")):
        run = makers.made_up_run(model=model)
        options.save(makers.summary(title="Same", run=run), tmp_path / f"{name}.json")
    options.save(makers.summary(title="Other"), tmp_path / "d.json")
    found = report.gather(sorted(tmp_path.glob("*.json")))
    titles = {name: summary.title for name, summary in found.items()}
    assert titles == {"a": "Same, a", "b": "Same, b", "c": "Same, large", "d": "Other"}


def test_no_summaries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Before any benchmark was run the error says what to run."""
    monkeypatch.setattr(options, "RESULTS_DIR", tmp_path / "nothing")
    assert _run(monkeypatch) == 2
    assert "python -m benchmarks acceptance --save acceptance" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"{", b"[]", b'{"title": "no run"}', b"\xff\xff", b""])
def test_file_that_is_no_summary(
    content: bytes,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Of all files the error names the one that cannot be read."""
    path = tmp_path / "broken.json"
    path.write_bytes(content)
    assert _run(monkeypatch, path) == 2
    assert f"{path} is no summary of a benchmark" in capsys.readouterr().err


def test_files_that_cannot_be_used(
    results: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Missing, equally named and unwritable files each have their own error."""
    peers = results / "peers.json"
    assert _run(monkeypatch, tmp_path / "missing.json") == 2
    assert "missing.json cannot be read" in capsys.readouterr().err
    copy = tmp_path / "peers.json"
    copy.write_bytes(peers.read_bytes())
    assert _run(monkeypatch, peers, copy) == 2
    assert "Two summaries are called peers" in capsys.readouterr().err
    assert _run(monkeypatch, peers, "--output", tmp_path) == 1
    assert f"{tmp_path} cannot be written" in capsys.readouterr().err
    assert _run(monkeypatch, "--update", tmp_path / "no.md", peers, "--markdown") == 2
    assert "no.md cannot be read" in capsys.readouterr().err
