"""The ``stats`` subcommand, over a real log."""

from __future__ import annotations

import argparse
import csv
import io
import json
import stat
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsp_server.acceptance.events import Ended, Event, to_row
from lsp_server.acceptance.sample_store import SampleStore
from lsp_server.acceptance.store import EventStore, read_events
from lsp_server.commands import stats
from lsp_server.errors import UsageError
from tests.acceptance.makers import accepted, requested, shown
from tests.acceptance.test_samples import SAMPLE


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


def test_the_coverage_curve(capsys: pytest.CaptureFixture[str]) -> None:
    """Acceptance at each coverage, where levels are reached, and where the user stands."""
    events: list[Event] = []
    for number in range(30):
        events.append(msgspec.structs.replace(shown(str(number)), p=1 - number / 40))
        if number < 15:
            events.append(accepted(str(number)))
    fill(*events)
    run()
    printed = capsys.readouterr().out
    assert "by P(accept)" in printed
    assert "92% accepted at 53% coverage" in printed
    assert "You stand at 100% coverage with 50% accepted" in printed
    run("--json")
    figures = json.loads(capsys.readouterr().out)
    assert figures["coverage"]["at_coverage"][2]["acceptance"] == 1.0


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


def rows_of(path: Path) -> list[dict[str, Any]]:
    """What a program reads that knows the form."""
    if path.suffix == ".parquet":
        parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
        rows: list[dict[str, Any]] = parquet.read_table(path).to_pylist()
        return rows
    if path.suffix == ".json":
        return list(json.loads(path.read_text()))
    with path.open(newline="") as file:
        return [*csv.DictReader(file)] if path.suffix == ".csv" else [*map(json.loads, file)]


@pytest.mark.parametrize("name", ["events.csv", "events.jsonl", "events.json", "events.parquet"])
def test_events_are_exported(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them, with every field; the name says in which form."""
    fill(requested("a"), shown("a"), accepted("a"))
    assert run("--export", str(tmp_path / name)) == 0
    assert "3 events" in capsys.readouterr().out
    rows = rows_of(tmp_path / name)
    assert [row["kind"] for row in rows] == ["requested", "shown", "accepted"]
    assert {row["completion_id"] for row in rows} == {"a"}
    assert int(rows[1]["n_chars"]) == 12
    with pytest.raises(UsageError) as caught:
        run("--export", "events.xls")
    assert caught.value.code == "unknown_form"


def test_parquet_without_its_package_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The message says what to install, and no file is left."""
    fill(shown("a"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(UsageError) as caught:
        run("--export", str(tmp_path / "events.parquet"))
    assert caught.value.code == "parquet_missing"
    assert "midfill[parquet]" in caught.value.hint
    assert not (tmp_path / "events.parquet").exists()


def test_columns_of_parquet_are_of_one_type(tmp_path: Path) -> None:
    """Also of fields that no event of the log has."""
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed")
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    fill(requested("a"))
    assert run("--export", str(tmp_path / "events.parquet")) == 0
    schema = parquet.read_schema(tmp_path / "events.parquet")
    assert schema.field("ts").type == pyarrow.float64()
    assert schema.field("n_chars").type == pyarrow.int64()
    assert schema.field("visible_ms").type == pyarrow.float64()
    assert schema.field("file_kind").type == pyarrow.string()


def test_outcomes_and_latencies_have_tables(capsys: pytest.CaptureFixture[str]) -> None:
    """What became of the shown, and whether the fast ones were taken more often."""
    common: dict[str, Any] = {"ts": 1002.0, "session": "s1"}
    fill(
        requested("a"), shown("a", latency_ms=90), accepted("a"),
        shown("b", latency_ms=90),
        Ended(completion_id="b", how="typed_through", visible_ms=900, n_chars=12, n_typed=12,
              **common),
        shown("c", latency_ms=700),
        Ended(completion_id="c", how="superseded", visible_ms=100, n_chars=12, n_typed=0, **common),
    )  # fmt: skip
    assert run() == 0
    printed = capsys.readouterr().out
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    assert "accepted whole 1 33%" in lines
    assert "typed by hand, all of it 1 33%" in lines
    assert "superseded 1 33%" in lines
    assert "100 2 1 50%" in lines
    assert "1 were superseded within half a second: they count in no rate." in lines
    assert "1 stood long enough to be read (750 ms); 0% of these were accepted whole." in lines


def test_texts_are_exported_and_cleared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Into a file that only the user can read; without any the message says how to get some."""
    target = tmp_path / "texts.jsonl"
    with pytest.raises(UsageError) as caught:
        run("--export-training", str(target))
    assert caught.value.code == "no_texts"
    assert "keep_text" in caught.value.hint
    store = SampleStore()
    store.add(SAMPLE)
    store.close()
    assert run("--export-training", str(target)) == 0
    assert "source text" in capsys.readouterr().out
    assert json.loads(target.read_text())["after"] == SAMPLE.after
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    with pytest.raises(UsageError):
        run("--export-training", "texts.csv")
    assert run("--clear", "--yes") == 0
    with pytest.raises(UsageError):
        run("--export-training", str(target))
