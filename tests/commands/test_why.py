"""The ``why`` subcommand, over a real log."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsp_server import reasons
from lsp_server.acceptance.events import Ended, Event, Failed, to_row
from lsp_server.acceptance.store import EventStore
from lsp_server.commands import why
from lsp_server.engine import pause
from tests.acceptance.makers import accepted, requested, shown


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty state folder."""
    monkeypatch.setenv("MIDFILL_STATE_DIR", str(tmp_path))
    return tmp_path


def fill(*events: Event) -> None:
    """Log the events, a second apart, up to now."""
    start = time.time() - len(events)
    rows = [msgspec.structs.replace(event, ts=start + n) for n, event in enumerate(events)]
    store = EventStore()
    store.write([("w", n, *to_row(event)) for n, event in enumerate(rows)])
    store.close()


def failed(completion_id: str, reason: str) -> Failed:
    """A request that ended without a suggestion."""
    session = requested(completion_id).session
    return Failed(completion_id=completion_id, ts=0.0, session=session, reason=reason)


def run(*arguments: str) -> int:
    """Run ``midfill why`` with arguments."""
    parser = argparse.ArgumentParser()
    why.add_parser(parser.add_subparsers())
    args = parser.parse_args(["why", *arguments])
    code: int = args.func(args)
    return code


def test_the_last_empty_answer_is_explained(capsys: pytest.CaptureFixture[str]) -> None:
    """Below what became of the requests before and after it."""
    fill(
        requested("a"), failed("a", "model_stopped"),
        requested("b"), failed("b", "superseded"),
        requested("c"), shown("c"), accepted("c"),
    )  # fmt: skip
    assert run() == 0
    lines = capsys.readouterr().out.splitlines()
    assert "model_stopped" in lines[1]
    assert "accepted, 12 characters after" in lines[2]
    assert lines[-1].startswith("Last empty answer: The model has nothing to add there")
    assert "superseded" not in "".join(lines)


def test_json_has_all_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    """Overtaken requests too, if they are asked for; only so many."""
    fill(requested("a"), failed("a", "paused"), requested("b"), failed("b", "cancelled"),
         requested("c"))  # fmt: skip
    assert run("--json", "--all", "--last", "2") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert [(o["id"], o["became"], o["reason"]) for o in found] == [
        ("b", "empty", "cancelled"), ("c", "unknown", ""),
    ]  # fmt: skip
    assert run("--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert [o["id"] for o in found] == ["a", "c"]
    assert found[0]["hint"] == "Run: midfill engine resume"


def test_without_requests_it_says_whose_it_tells_of(capsys: pytest.CaptureFixture[str]) -> None:
    """Right after ``midfill complete`` too, which is not recorded; a pause is named."""
    assert run() == 0
    out = capsys.readouterr().out
    assert "No editor has asked" in out
    assert "`midfill complete` prints its reason itself" in out
    assert "paused" not in out
    pause.set_paused(True)
    run()
    assert "midfill engine resume" in capsys.readouterr().out


def test_a_log_that_is_off_is_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With whoever switched it off."""
    monkeypatch.setenv("MIDFILL_CONFIG_DIR", str(tmp_path))
    (tmp_path / "config.toml").write_text("acceptance_log = { enabled = false }\n")
    assert run() == 0
    assert "the acceptance log is off (user file)" in capsys.readouterr().out


def test_requests_that_all_were_overtaken_are_not_forgotten(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """They were made, and can be shown."""
    fill(requested("a"), failed("a", "superseded"), requested("b"), failed("b", "cancelled"))
    assert run() == 0
    out = capsys.readouterr().out
    assert "All 2 requests" in out
    assert "midfill why --all" in out
    assert run("--json") == 0
    assert json.loads(capsys.readouterr().out) == []


@pytest.mark.parametrize(
    ("code", "text"),
    [
        ("inside_comment", "inside a comment"),
        ("filtered_something", "A filter took all of it away (something)."),
        ("model_hash_wrong", "The model cannot be used (model_hash_wrong)."),
        ("engine_died", "The engine could not answer (engine_died)."),
    ],
)
def test_every_code_means_something(code: str, text: str) -> None:
    """Those that are not listed too."""
    assert text in reasons.explain(code).text


def test_what_was_typed_by_hand_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """It is no accept, and no suggestion that nobody wanted."""
    typed = Ended(
        completion_id="a", ts=0.0, session=requested("a").session, how="typed_through",
        visible_ms=900.0, n_chars=12, n_typed=12,
    )  # fmt: skip
    fill(requested("a"), shown("a"), typed)
    assert run() == 0
    assert "typed by hand, 12 characters" in capsys.readouterr().out
