"""Options that all benchmarks share."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import msgspec
import pytest

from benchmarks import options
from benchmarks.extras import needed
from benchmarks.summary import Summary
from lsp_server.errors import StoreError, UsageError
from tests.benchmarks import makers


def _args(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    options.add_common(parser)
    return parser.parse_args(words)


def test_results_path_is_shared_by_equal_runs() -> None:
    """A run finds the file of its interrupted half; one that would differ gets its own."""
    run = makers.made_up_run()
    path = options.results_path(_args(), run)
    cache = Path(os.environ["MIDFILL_CACHE_DIR"])
    assert path.parent == cache / "benchmarks" / "runs"
    assert path.name.startswith("acceptance-0.5b-instruct-q4-")
    later = makers.made_up_run(commit="0" * 12, started="2031-05-01T00:00:00+00:00")
    assert options.results_path(_args(), later) == path
    turned = makers.made_up_run(options=dict(reversed(run.options.items())))
    assert options.results_path(_args(), turned) == path
    others = [
        makers.made_up_run(options={**run.options, "seed": 8}),
        makers.made_up_run(code="ffff"),
        makers.made_up_run(model_sha256="cd" * 32),
        makers.made_up_run(benchmark="peers"),
    ]
    assert len({path, *(options.results_path(_args(), other) for other in others)}) == 5


def test_output_wins(tmp_path: Path) -> None:
    """A results file that is asked for is used."""
    args = _args("--output", str(tmp_path / "x.jsonl"))
    assert options.results_path(args, makers.made_up_run()) == tmp_path / "x.jsonl"


def test_run_info_without_model() -> None:
    """The seed is part of what a run was made with, and no model is asked for."""
    run = options.run_info(_args("--seed", "9"), "calibration", {"folds": 3})
    assert run.options == {"folds": 3, "seed": 9}
    assert (run.model, run.model_sha256) == ("", "")
    assert len(run.code) == 12


def test_finish_saves_and_prints(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The summary goes to its place and, in the form asked for, to stdout."""
    monkeypatch.setattr(options, "RESULTS_DIR", tmp_path)
    assert options.finish(_args("--save", "kept", "--json"), makers.summary()) == 0
    printed = capsys.readouterr().out
    assert msgspec.json.decode(printed, type=Summary) == makers.summary()
    assert (tmp_path / "kept.json").read_text("utf-8") == printed
    options.finish(_args("--markdown"), makers.summary())
    assert capsys.readouterr().out.startswith("### Acceptance on invented lines")


def test_unwritable_summary(tmp_path: Path) -> None:
    """A file in the folder's place is a clear error."""
    (tmp_path / "file").touch()
    with pytest.raises(StoreError) as raised:
        options.save(makers.summary(), tmp_path / "file" / "s.json")
    assert raised.value.code == "results_unusable"


def test_missing_extra() -> None:
    """A package that is not installed is named with the command that installs it."""
    with pytest.raises(UsageError) as raised, needed("The fit"):
        import a_package_that_nobody_has.part  # type: ignore[import-not-found]  # noqa: F401
    assert raised.value.code == "extra_missing"
    assert str(raised.value).startswith("The fit needs a_package_that_nobody_has")
    assert "pip install '.[benchmarks]'" in str(raised.value)
