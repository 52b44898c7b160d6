"""The ``stats`` subcommand, over a real log."""

from __future__ import annotations

import argparse
import csv
import io
import json
import sys
from pathlib import Path

import pytest

from lsp_server.acceptance.events import Event, to_row
from lsp_server.acceptance.store import EventStore, read_events
from lsp_server.commands import stats
from lsp_server.errors import UsageError
from tests.acceptance.makers import accepted, requested, shown


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder."""
    monkeypatch.setenv("MIDFILL_STATE_DIR", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "120")
    return tmp_path


def fill(*events: Event) -> None:
    """Log the events."""
    store = EventStore()
    store.write([("w", n, *to_row(event)) for n, event in enumerate(events)])
    store.close()


def run(*arguments: str) -> int:
    """Run ``midfill stats`` with arguments."""
    parser = argparse.ArgumentParser()
    stats.add_parser(parser.add_subparsers())
    args = parser.parse_args(["stats", *arguments])
    code = args.func(args)
    assert isinstance(code, int)
    return code


def test_empty_log_says_how_to_start(capsys: pytest.CaptureFixture[str]) -> None:
    """Before the first suggestion the user is told what to run."""
    assert run() == 0
    assert "midfill model fetch" in capsys.readouterr().out


def test_empty_log_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    """Machines get the same shape with and without data."""
    assert run("--json") == 0
    figures = json.loads(capsys.readouterr().out)
    assert (figures["shown"], figures["acceptance_rate"], figures["since"]) == (0, None, None)


def test_json_counts_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    """The figures are those of the stored events."""
    fill(requested("a"), shown("a"), accepted("a"), requested("b"), shown("b"))
    run("--json", "--by", "language")
    figures = json.loads(capsys.readouterr().out)
    assert (figures["shown"], figures["accepted"], figures["acceptance_rate"]) == (2, 1, 0.5)
    assert [group["language"] for group in figures["groups"]] == ["python"]


def test_table_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    """The table names groups, rate and interval, and says what is assumed."""
    fill(
        requested("a"),
        shown("a", evidence="answered"),
        accepted("a"),
        shown("b", language="[red]lua", evidence="answered"),
    )
    run()
    printed = capsys.readouterr().out
    assert "100%" in printed
    assert "50%" in printed
    assert "[red]lua" in printed
    assert "95 % CI" in printed
    assert "2 of 2 shown are assumed" in printed
    assert "12 characters accepted" in printed


def test_since_leaves_out_older_events(capsys: pytest.CaptureFixture[str]) -> None:
    """Only suggestions since the given time are counted."""
    fill(shown("old", ts=1_000_000_000.0), shown("new", ts=1_700_000_000.0))
    run("--json", "--since", "2020-01-01T00:00:00+00:00")
    figures = json.loads(capsys.readouterr().out)
    assert (figures["shown"], figures["since"]) == (1, "2020-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("text", "age_s"), [("30m", 1800), ("12h", 43200), ("7d", 604800), (" 2w ", 1209600)]
)
def test_ages(text: str, age_s: int) -> None:
    """Ages are counted back from now."""
    assert stats.since(text, 2e9) == 2e9 - age_s


@pytest.mark.parametrize("text", ["", "yesterday", "7", "7y", "-3d", "2026-13-01"])
def test_bad_since_is_refused(text: str) -> None:
    """What is no time is refused with an example of what is one."""
    with pytest.raises(UsageError) as caught:
        stats.since(text, 2e9)
    assert caught.value.code == "bad_since"
    assert "7d" in caught.value.hint


def test_bad_grouping_is_refused() -> None:
    """An unknown group name is refused with the known ones."""
    with pytest.raises(UsageError) as caught:
        run("--by", "language,colour")
    assert caught.value.code == "bad_grouping"
    assert "client" in caught.value.hint


def test_clear_needs_a_confirmation(monkeypatch: pytest.MonkeyPatch) -> None:
    """A script that does not say --yes deletes nothing."""
    fill(shown("a"))
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(UsageError) as caught:
        run("--clear")
    assert caught.value.code == "confirmation_needed"
    assert len(list(read_events())) == 1


@pytest.mark.parametrize(
    ("answer", "code", "n_left"), [("y", 0, 0), ("yes", 0, 0), ("", 1, 1), ("no", 1, 1)]
)
def test_clear_asks(monkeypatch: pytest.MonkeyPatch, answer: str, code: int, n_left: int) -> None:
    """At a terminal the user is asked, and only a yes deletes."""
    fill(shown("a"))
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr("builtins.input", lambda _prompt: answer)
    assert run("--clear") == code
    assert len(list(read_events())) == n_left


def test_clear_with_yes(capsys: pytest.CaptureFixture[str]) -> None:
    """With --yes the log is emptied without a question."""
    fill(shown("a"), shown("b"))
    assert run("--clear", "--yes", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"deleted": 2}
    assert list(read_events()) == []


def test_a_page_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """To the file that is named; one that cannot be written to is told with a reason."""
    fill(requested("a"), shown("a"), accepted("a"))
    assert run("--html", str(tmp_path / "page.html")) == 0
    assert "page.html" in capsys.readouterr().out
    assert (tmp_path / "page.html").read_text().startswith("<!doctype html>")
    with pytest.raises(UsageError) as caught:
        run("--html", str(tmp_path / "nowhere" / "page.html"))
    assert caught.value.code == "file_unwritable"


@pytest.mark.parametrize("name", ["events.csv", "events.jsonl"])
def test_events_are_exported(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, with every field; the name says in which form."""
    fill(requested("a"), shown("a"), accepted("a"))
    assert run("--export", str(tmp_path / name)) == 0
    assert "3 events" in capsys.readouterr().out
    with (tmp_path / name).open(newline="") as file:
        rows = [*csv.DictReader(file)] if name.endswith("csv") else [*map(json.loads, file)]
    assert [row["kind"] for row in rows] == ["requested", "shown", "accepted"]
    assert {row["completion_id"] for row in rows} == {"a"}
    assert int(rows[1]["n_chars"]) == 12
    with pytest.raises(UsageError) as caught:
        run("--export", "events.xls")
    assert caught.value.code == "unknown_form"
