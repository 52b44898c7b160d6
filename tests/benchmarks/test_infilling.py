"""The infilling benchmark: problems, generations, post-processing and the command."""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest
from msgspec.structs import replace

from benchmarks.figures import Figure
from benchmarks.infilling import command, generate, problems, report
from benchmarks.infilling.problems import SETS, Problem, first_line
from benchmarks.infilling.types import Generation, Record
from benchmarks.records import read_run
from lsp_server.completion import asking
from lsp_server.errors import MidfillError, UsageError
from lsp_server.types import TokenChunk
from tests.scripted_engine import write_script

Run = Callable[..., int]

_DOUBLE = Problem(
    task_id="Own/0/L0",
    entry_point="double",
    prompt="def double(x):\n",
    suffix="    return y\n",
    canonical_solution="    y = 2 * x\n",
    test="def check(candidate):\n    assert candidate(2) == 4\n",
)
_SUM = Problem(
    task_id="Own/1/L1",
    entry_point="total",
    prompt="def total(values):\n    result = 0\n",
    suffix="        result += value\n    return result\n",
    canonical_solution="    for value in values:\n",
    test="def check(candidate):\n    assert candidate([1, 2]) == 3\n",
)
_SPAN = Problem(
    task_id="OwnSpan/0",
    entry_point="double",
    prompt="def double(x):\n    return 2",
    suffix="\n",
    canonical_solution=" * x",
    test="def check(candidate):\n    assert candidate(2) == 4\n",
)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with small sets of our own."""
    folder = tmp_path / "data"
    folder.mkdir()
    for name, items in (("single-line", [_DOUBLE, _SUM]), ("random-span-light", [_SPAN])):
        lines = b"".join(msgspec.json.encode(item) + b"\n" for item in items)
        (folder / SETS[name].file).write_bytes(gzip.compress(lines))
    return folder


@pytest.fixture
def run(data: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs the command on those sets."""

    def run_command(*arguments: str) -> int:
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers(required=True))
        args = parser.parse_args(["infilling", "--data", str(data), *arguments])
        return int(args.func(args))

    return run_command


def chunks_of(*pieces: str) -> list[TokenChunk]:
    """A stream with one token a piece."""
    return [TokenChunk(request_id=1, text=piece, logprobs=(-0.1,)) for piece in pieces]


# -- problems ----------------------------------------------------------------------------


def test_load(data: Path) -> None:
    """Problems come in the data's order."""
    assert problems.load(SETS["single-line"], data) == [_DOUBLE, _SUM]


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (None, "corpus_missing"),
        (b"plain text", "corpus_invalid"),
        (gzip.compress(b'{"task_id": 1}\n'), "corpus_invalid"),
        (gzip.compress(b"x" * 4000)[:30], "corpus_invalid"),
        (gzip.compress(2 * (msgspec.json.encode(_DOUBLE) + b"\n")), "corpus_invalid"),
    ],
)
def test_load_trouble(tmp_path: Path, content: bytes | None, code: str) -> None:
    """A missing, foreign or torn file is named, with where to get the right one."""
    if content is not None:
        (tmp_path / SETS["single-line"].file).write_bytes(content)

    with pytest.raises(UsageError) as raised:
        problems.load(SETS["single-line"], tmp_path)

    assert raised.value.code == code
    assert "openai/human-eval-infilling" in raised.value.hint


def test_sample() -> None:
    """A sample follows from its seed and keeps the order."""
    items = list(range(100))

    first = problems.sample(items, 10, 1)

    assert first == problems.sample(items, 10, 1) == sorted(first)
    assert len(set(first)) == 10
    assert first != problems.sample(items, 10, 2)
    assert problems.sample(items, None, 1) == problems.sample(items, 200, 1) == items


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("    a\n    b\n", "    a"),
        ("\n    a\n    b", "    a"),
        (" \n    a", "    a"),
        ("a", "a"),
        ("", ""),
        ("\n", ""),
    ],
)
def test_first_line(text: str, line: str) -> None:
    """A line end that comes first is passed over; the indent is kept."""
    assert first_line(text) == line


# -- what midfill would show -------------------------------------------------------------


def test_server_defaults() -> None:
    """Prompt budget and longest suggestion are the server's own on a CPU."""
    assert replace(asking.CPU_BUDGET, n_context_tokens=0) == generate.BUDGET
    assert generate.SHOWN_MAX_TOKENS == asking.CPU_MAX_TOKENS


def test_post_process_stops() -> None:
    """The stream is left where the server leaves it: what comes after does not count."""
    shown = generate.context_at("def double(x):\n    return ", "\n")

    text, stop = generate.post_process(chunks_of("2", " * x", "\n", "print(", "1)\n"), shown)

    assert text == "2 * x"
    assert stop


def test_post_process_ends() -> None:
    """A stream that the model ends is shaped as a whole, without a reason to stop."""
    shown = generate.context_at("def double(x):\n    return ", "\n")

    assert generate.post_process(chunks_of("2", " * x"), shown) == ("2 * x", "")


def test_post_process_token_limit() -> None:
    """Tokens beyond the server's own limit are not seen."""
    shown = generate.context_at("names = ", "\n")
    pieces = [f"name{number}, " for number in range(generate.SHOWN_MAX_TOKENS + 5)]

    text, stop = generate.post_process(chunks_of(*pieces), shown)

    assert text == "".join(pieces[: generate.SHOWN_MAX_TOKENS]).rstrip()
    assert stop == "max_tokens"


def test_post_process_inside_comment() -> None:
    """Inside a comment the server does not ask, so nothing is shown."""
    shown = generate.context_at("# one ", "two\nx = 1\n")

    assert generate.post_process(chunks_of("and "), shown) == ("", "inside_comment")


def test_completions() -> None:
    """Each form fills the gap; whole lines get their line end back after post-processing."""
    generation = Generation(raw="    y = 2 * x\n    return 0\n", text="    y = 2 * x")

    assert command.completions(SETS["single-line"], generation) == {
        "raw": "    y = 2 * x\n    return 0\n",
        "line": "    y = 2 * x\n",
        "post": "    y = 2 * x\n",
    }
    assert command.completions(SETS["random-span"], generation) == {
        "raw": "    y = 2 * x\n    return 0\n",
        "post": "    y = 2 * x",
    }


# -- the command -------------------------------------------------------------------------


def test_check_canonical(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """With canonical solutions every problem passes, without a model."""
    assert run("--check", "canonical", "--json") == 0

    summary = json.loads(capsys.readouterr().out)
    assert summary["headline"] == "single-line 2/2 pass; random-span-light 1/1 pass."
    assert summary["run"]["model"] == ""


def test_check_canonical_fails(run: Run, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A canonical solution that does not pass is named, and the exit status says so."""
    wrong = msgspec.structs.replace(_DOUBLE, canonical_solution="    y = 3 * x\n")
    lines = msgspec.json.encode(wrong) + b"\n"
    (data / SETS["single-line"].file).write_bytes(gzip.compress(lines))

    assert run("--check", "canonical", "--markdown") == 1
    assert "| single-line | Own/0/L0 | failed | AssertionError:" in capsys.readouterr().out


def test_check_empty(run: Run, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With empty completions only a problem whose gap need not be filled passes; it is named."""
    spare = msgspec.structs.replace(
        _DOUBLE, task_id="Own/2/L0", suffix="    return 2 * x\n", canonical_solution="    pass\n"
    )
    lines = b"".join(msgspec.json.encode(item) + b"\n" for item in (_DOUBLE, _SUM, spare))
    (data / SETS["single-line"].file).write_bytes(gzip.compress(lines))

    assert run("--check", "empty", "--markdown") == 0

    out = capsys.readouterr().out
    assert "single-line 1/3 pass; random-span-light 0/1 pass." in out
    assert "| single-line | Own/2/L0 | passed |" in out


@pytest.fixture
def scripted(tmp_path: Path) -> str:
    """A model that runs on after one right line, gets one wrong and one right to the end."""
    script = write_script(
        tmp_path / "script.json",
        {"after": "def double(x):\n", "text": "    y = 2 * x\n    return y\n\nprint(y\n"},
        {"after": "result = 0\n", "text": "    for value in []:\n"},
        {"after": "return 2", "text": " * x"},
    )
    return f"scripted:{script}"


def test_measure(
    run: Run, scripted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each problem is generated once and judged in every form; the engine leaves at the end."""
    output = tmp_path / "run.jsonl"

    assert run("--model", scripted, "--output", str(output), "--json") == 0

    _, records = read_run(output, Record)
    reasons = {r.task_id: {form: o.reason for form, o in r.outcomes.items()} for r in records}
    assert reasons == {
        "Own/0/L0": {"raw": "syntax_error", "line": "passed", "post": "passed"},
        "Own/1/L1": {"raw": "failed", "line": "failed", "post": "failed"},
        "OwnSpan/0": {"raw": "passed", "post": "passed"},
    }
    assert {r.task_id: r.line_match for r in records} == {
        "Own/0/L0": True, "Own/1/L1": False, "OwnSpan/0": True,
    }  # fmt: skip
    summary = json.loads(capsys.readouterr().out)
    table = summary["tables"][0]
    single = dict(zip((c["name"] for c in table["columns"]), table["rows"][0], strict=True))
    assert single["raw"]["value"] == 0
    assert single["raw, first line"]["value"] == single["after post-processing"]["value"] == 0.5
    assert not [
        p
        for p in psutil.process_iter(["cmdline"])
        if str(scripted[9:]) in " ".join(p.info["cmdline"] or ())
    ]


def test_resume(run: Run, scripted: str, tmp_path: Path) -> None:
    """A run goes on where it ended: problems that are in the file are not generated again."""
    output = tmp_path / "run.jsonl"
    run("--model", scripted, "--output", str(output), "--json")
    whole = output.read_bytes().splitlines(keepends=True)
    output.write_bytes(b"".join(whole[:2]) + whole[2][:20])

    run("--model", scripted, "--output", str(output), "--json")

    again = output.read_bytes().splitlines(keepends=True)
    assert again[:2] == whole[:2]
    assert len(again) == len(whole)


def test_runtime_folder_is_private(run: Run, scripted: str, private_folders: Path) -> None:
    """The user's own runtime folder is neither used nor changed."""
    run("--model", scripted, "--json")

    assert os.environ["MIDFILL_RUNTIME_DIR"] == str(private_folders)
    assert not list(private_folders.iterdir())


def test_crosscode(
    run: Run, scripted: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each task is asked without and with cross-file context."""
    task = {
        "prompt": "def double(x):\n    return 2",
        "right_context": "\n",
        "groundtruth": " * x",
        "metadata": {"task_id": "own/1", "repository": "own", "file": "a.py"},
        "crossfile_context": {"text": "# b.py\n# x = 1\n", "list": []},
    }
    path = tmp_path / "tasks.jsonl"
    path.write_text(json.dumps(task) + "\n")

    assert run("--sets", "crosscodeeval", "--crosscode-data", str(path), "--model", scripted,
               "--json") == 0  # fmt: skip

    rows = json.loads(capsys.readouterr().out)["tables"][0]["rows"]
    assert [row[0] for row in rows] == ["without", "with (BM25)"]
    assert [row[2]["value"] for row in rows] == [1.0, 1.0]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--sets", "nothing"), "unknown_set"),
        (("--sets", ","), "unknown_set"),
        (("--sets", "crosscodeeval", "--check", "canonical"), "unknown_set"),
        (("--sets", "multi-line", "--check", "canonical"), "corpus_missing"),
    ],
)
def test_trouble(run: Run, arguments: tuple[str, ...], code: str) -> None:
    """Unknown sets and missing data are errors that say what to do."""
    with pytest.raises(MidfillError) as raised:
        run(*arguments)

    assert raised.value.code == code
    assert raised.value.hint


def test_model_missing(run: Run) -> None:
    """Without a model the error names the command that fetches one."""
    with pytest.raises(MidfillError) as raised:
        run("--model", "0.5b-instruct-q4")

    assert "midfill model fetch" in str(raised.value)


def test_limit_is_positive(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """A limit below one is refused."""
    with pytest.raises(SystemExit):
        run("--limit", "0")

    assert "must be 1 or more" in capsys.readouterr().err


def test_verdicts(run: Run, scripted: str, capsys: pytest.CaptureFixture[str]) -> None:
    """What post-processing gains and how we stand to published figures is said either way."""
    run("--model", scripted, "--json")

    verdicts: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["verdicts"]
    outcomes = {v["text"].partition(":")[0].partition(" from ")[0]: v["outcome"] for v in verdicts}
    assert outcomes == {
        "Single-line pass@1 after post-processing": "level",
        "Post-processing moves single-line pass@1": "level",
        "Post-processing moves random-span-light pass@1": "level",
    }


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(0.8, 0.9, "ahead"), (0.6, 0.8, "level"), (0.5, 0.6, "behind")],
)
def test_beside_an_anchor(low: float, high: float, outcome: str) -> None:
    """We are level with a published figure where our interval holds it."""
    figure = Figure(value=(low + high) / 2, low=low, high=high, n=100)

    assert report.beside("EM", figure, 0.703, "the base model's").outcome == outcome


@pytest.mark.parametrize(
    ("low", "high", "outcome"),
    [(0.01, 0.05, "ahead"), (-0.01, 0.05, "level"), (-0.05, -0.01, "behind")],
)
def test_gain(low: float, high: float, outcome: str) -> None:
    """A gain counts where its whole interval lies on one side of zero."""
    figure = Figure(value=(low + high) / 2, low=low, high=high, n=100)

    assert report.gain_verdict("Post-processing", figure).outcome == outcome


def test_too_few_for_a_verdict() -> None:
    """A handful of problems is no ground for a verdict, however they went."""
    figure = Figure(value=1.0, low=1.0, high=1.0, n=1)

    for verdict in (
        report.beside("ES", figure, 0.5, "the base model's"),
        report.gain_verdict("Post-processing", figure),
    ):
        assert verdict.outcome == "level"
        assert "too few" in verdict.text
