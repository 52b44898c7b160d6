"""``python -m benchmarks engine``: sections, refusals, and a run from end to end on fakes."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console
from rich.progress import Progress

from benchmarks import options, records
from benchmarks.engine import command, sections, speed
from benchmarks.engine.bench import changed, has_option
from benchmarks.latency import build
from benchmarks.machine import ROOT
from benchmarks.summary import decode
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import UsageError
from tests.benchmarks import fake_engine
from tests.benchmarks.makers import made_up_run


def engine(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", "engine", *arguments],
        cwd=ROOT,
        env={**os.environ, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sections", "speed,flight"), "There is no section flight"),
        (("--sections", ","), "No section is named"),
        (("--session", "nowhere.jsonl"), "nowhere.jsonl cannot be read"),
        (("--limit", "0"), "must be at least 1"),
        (("--clients", "1,no"), "--clients"),
        (("--model", "scripted:x.json"), "measured with a model"),
    ],
)
def test_bad_arguments_are_refused(arguments: tuple[str, ...], words: str) -> None:
    """With a sentence and exit status 2, before anything is loaded."""
    done = engine(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_model_that_is_not_fetched_is_named_with_its_command() -> None:
    """The private cache of a test holds none."""
    done = engine("--sections", "memory")
    assert done.returncode == 1
    assert "midfill model fetch" in done.stderr
    assert "Traceback" not in done.stderr


def test_sections_come_in_their_own_order() -> None:
    """Each once, however they are named."""
    assert list(sections.chosen("cancel, speed,cancel")) == ["speed", "cancel"]
    assert sections.chosen("all") == sections.SECTIONS
    with pytest.raises(UsageError) as refused:
        sections.chosen("speed,flight")
    assert refused.value.code == "unknown_section"
    assert "keystrokes" in refused.value.hint


def test_options_that_an_engine_lacks_are_left_out() -> None:
    """The others are changed."""
    made = changed(EngineOptions(), n_slots=2, warp_drive="on")
    assert made == EngineOptions(n_slots=2)
    assert not has_option("warp_drive")


def test_a_llama_bench_that_cannot_be_built_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The reason is kept for the summary."""

    def refuse(*_: object) -> build.Programs:
        raise UsageError("cmake is not in the PATH.", code="no_cmake")

    monkeypatch.setattr(build, "find", lambda: None)
    monkeypatch.setattr(build, "build", refuse)
    progress = Progress(console=Console(quiet=True))
    assert command._llama_bench(progress) == (None, "cmake is not in the PATH.")


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Runs the command in this process, on a fake model and without llama-bench."""
    fake_engine.install(monkeypatch)
    monkeypatch.setattr(command, "_engine", lambda _args: EngineOptions(model_id="fake"))
    monkeypatch.setattr(command, "_llama_bench", lambda _progress: (None, "It is not built."))
    monkeypatch.setattr(speed, "TESTS", (speed.Test("pp64", 64, 0), speed.Test("tg8", 0, 8)))

    def info(_args: object, name: str, recipe: dict[str, Any], **_: object) -> Any:
        return made_up_run(benchmark=name, options=recipe)

    monkeypatch.setattr(options, "run_info", info)

    def call(*arguments: str) -> int:
        parser = argparse.ArgumentParser()
        command.add_parser(parser.add_subparsers())
        output = ["--output", str(tmp_path / "run.jsonl"), "--json"]
        args = parser.parse_args(["engine", *output, *arguments])
        return int(args.func(args))

    return call


def test_a_run_is_summarised_and_goes_on_with_other_sections(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What is measured stays; the summary shows the sections that were asked for."""
    assert run("--sections", "speed", "--repetitions", "2") == 0
    first = decode(capsys.readouterr().out.encode())
    assert first.n == 4
    assert [table.title for table in first.tables] == ["Prefill (pp) and decode (tg)"]
    assert "Without llama-bench: It is not built." in first.notes
    written = (tmp_path / "run.jsonl").read_bytes()

    assert run("--sections", "speed", "--repetitions", "2") == 0
    assert (tmp_path / "run.jsonl").read_bytes() == written
    capsys.readouterr()

    assert run("--sections", "speed,weights", "--repetitions", "3") == 0
    more = decode(capsys.readouterr().out.encode())
    assert more.n == 6
    assert (tmp_path / "run.jsonl").read_bytes().startswith(written)
    assert any("--f16" in note for note in more.notes)


def test_another_budget_is_another_run(run: Callable[..., int]) -> None:
    """Its figures are not mixed with those of the first one."""
    assert run("--sections", "speed", "--repetitions", "1") == 0
    with pytest.raises(UsageError) as refused:
        run("--sections", "speed", "--repetitions", "1", "--n-suffix-tokens", "99")
    assert refused.value.code == "other_run"


def test_every_kind_of_record_is_read_back(tmp_path: Path) -> None:
    """By its tag, which no two kinds share."""
    kinds = sections.Measurement.__args__
    assert len({kind.__struct_config__.tag for kind in kinds}) == len(kinds)
    made = speed.Speed(side="midfill", test="tg32", repetition=1, tokens_per_s=50.0)
    path = tmp_path / "run.jsonl"
    path.write_bytes(msgspec.json.encode(made_up_run()) + b"\n" + msgspec.json.encode(made) + b"\n")
    assert records.read_run(path, command.record_type())[1] == [made]
