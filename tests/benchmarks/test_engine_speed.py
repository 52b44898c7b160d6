"""Speeds beside llama-bench, with fakes of both."""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path

import pytest

from benchmarks.engine import llama_bench, loads, probe, speed
from benchmarks.engine.bench import Bench
from benchmarks.engine.loads import Case, Load
from benchmarks.engine.speed import SIDES, TESTS, Speed
from benchmarks.engine.timer import Step
from benchmarks.latency.build import Programs
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineError
from tests.benchmarks import fake_engine

SETTING = llama_bench.Setting(
    model=Path("model.gguf"), n_threads=3, n_ubatch=256, flash_attention=True, n_gpu_layers=0
)


def programs(folder: Path, body: str) -> Programs:
    """A llama-bench that is a script."""
    (folder / "bin").mkdir(parents=True)
    path = folder / "bin" / "llama-bench"
    path.write_text(f"#!{sys.executable}\n{body}\n")
    path.chmod(0o755)
    return Programs(folder=folder, version="1.2.3", same_libraries=True)


_ANSWERS = """
import json, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
with open(__file__ + ".calls", "a") as file:
    file.write(json.dumps(given) + "\\n")
n_prompt, n_gen = int(given["-p"]), int(given["-n"])
print(json.dumps([{"n_prompt": n_prompt, "n_gen": n_gen, "samples_ts": [100.0 + n_prompt]}]))
"""


def test_llama_bench_runs_as_the_engine_does() -> None:
    """Same threads, physical batch, flash attention and layers; one repetition."""
    line = llama_bench.command(Path("bench"), SETTING, n_prompt=512, depth=64)
    given = dict(zip(line[1::2], line[2::2], strict=True))
    expected = {"-m": "model.gguf", "-p": "512", "-n": "0", "-d": "64", "-t": "3", "-ub": "256",
                "-b": "512", "-fa": "on", "-ngl": "0", "-r": "1", "-o": "json"}  # fmt: skip
    assert given == expected


@pytest.mark.parametrize(
    "output",
    ["", "[]", "no JSON", json.dumps([{"n_prompt": 1, "n_gen": 0, "samples_ts": [1.0, 2.0]}])],
)
def test_an_unexpected_output_is_an_error(output: str) -> None:
    """Nothing is guessed from it."""
    with pytest.raises(EngineError) as failed:
        llama_bench.parse(output)
    assert failed.value.code == "peer_failed"


def test_a_llama_bench_that_fails_is_quoted(tmp_path: Path) -> None:
    """Its last words are in the error; one that is not there is an error too."""
    made = programs(tmp_path / "x", "import sys; sys.exit('cannot load the model')")
    with pytest.raises(EngineError, match="cannot load the model"):
        llama_bench.tokens_per_s([str(made.bench)])
    with pytest.raises(EngineError, match="cannot be run"):
        llama_bench.tokens_per_s([str(tmp_path / "nowhere")])


def test_sides_take_turns() -> None:
    """Who comes first alternates."""
    order = [visit.side for visit in speed.visits(3, SIDES)]
    a, b = SIDES
    assert order == [a, b, b, a, a, b]


def test_overhead_is_what_evaluations_leave_of_the_time() -> None:
    """Divided by the tokens; never below zero."""
    steps = [Step(1, 0.0, 0.020, True), Step(1, 0.1, 0.130, True)]
    assert speed.overhead_ms(60.0, steps, 2) == pytest.approx(5.0)
    assert speed.overhead_ms(40.0, steps, 2) == 0.0


def test_the_ratio_is_of_medians_of_paired_repetitions() -> None:
    """With an interval; without pairs it is not known."""
    found = speed.ratio([(98.0, 100.0), (99.0, 100.0), (97.0, 100.0)])
    assert found.value == pytest.approx(0.98)
    assert found.low == pytest.approx(0.97)
    assert found.high == pytest.approx(0.99)
    assert math.isnan(speed.ratio([]).value)


def test_both_sides_are_measured_and_an_ended_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every test of both sides once a repetition; nothing is measured twice."""
    fake_engine.install(monkeypatch)
    made = programs(tmp_path / "llama.cpp", _ANSWERS)
    calls = tmp_path / "llama.cpp" / "bin" / "llama-bench.calls"
    speed.measure(fake_engine.bench(tmp_path, programs=made, repetitions=1))
    assert fake_engine.lines(tmp_path) == 2 * len(TESTS)
    assert len(calls.read_text().splitlines()) == len(TESTS)

    again = fake_engine.bench(tmp_path, programs=made, repetitions=1)
    speed.measure(again)
    assert fake_engine.lines(tmp_path) == 2 * len(TESTS)

    speed.measure(fake_engine.bench(tmp_path, programs=made, repetitions=2))
    assert fake_engine.lines(tmp_path) == 4 * len(TESTS)
    ours = [r for r in again.of(Speed) if r.side == "midfill"]
    assert all(r.overhead_ms is not None and r.tokens_per_s > 0 for r in ours)
    part = speed.report(again)
    assert [row[0] for row in part.tables[0].rows] == [test.name for test in TESTS]
    assert len(part.verdicts) == len(TESTS)
    assert "very libraries" in part.notes[0]


def kept(tmp_path: Path, records: list[Speed], **changes: object) -> Bench:
    """A run with made-up records."""
    bench = fake_engine.bench(tmp_path, **changes)
    for record in records:
        bench.keep(record)
    return bench


def test_verdicts_say_where_the_goal_is_missed(tmp_path: Path) -> None:
    """A decode at 0.9 of llama-bench's is behind, a prefill above it ahead."""
    records = [
        Speed(side=side, test=test, repetition=number, tokens_per_s=ours if side == SIDES[0] else 1)
        for test, ours in (("pp512", 1.01), ("tg32", 0.9))
        for side in SIDES
        for number in range(5)
    ]
    made = programs(tmp_path / "llama.cpp", "")
    outcomes = [v.outcome for v in speed.report(kept(tmp_path, records, programs=made)).verdicts]
    assert outcomes == ["ahead", "behind"]


def test_without_llama_bench_the_reason_is_said(tmp_path: Path) -> None:
    """Our own figures stand alone, and there is no verdict."""
    records = [Speed(side="midfill", test="pp512", repetition=0, tokens_per_s=200.0)]
    part = speed.report(kept(tmp_path, records, without="cmake is not in the PATH."))
    assert part.verdicts == ()
    assert part.tables[0].rows[0][2] is None
    assert part.notes == ("Without llama-bench: cmake is not in the PATH.",)


# -- configurations ----------------------------------------------------------------------


def test_every_other_round_begins_with_the_last_case() -> None:
    """So that neither configuration always meets the warmer machine."""
    cases = [Case("attention", name, EngineOptions()) for name in "ab"]
    found = [(case.name, case.round) for case in loads.rounds(cases, 2)]
    assert found == [("a", 0), ("b", 0), ("b", 1), ("a", 1)]


def test_attention_is_compared_at_each_depth(tmp_path: Path) -> None:
    """On and off, with room for the prompt behind the depth."""
    cases = loads.attention(fake_engine.setup(tmp_path, depths=(4096, 15360)))
    found = [(case.depth, case.options.flash_attention) for case in cases]
    assert found == [(4096, "on"), (4096, "off"), (15360, "on"), (15360, "off")]
    assert all(case.options.n_ctx >= case.depth + 1024 for case in cases)


def test_weights_without_another_file_are_not_measured(tmp_path: Path) -> None:
    """And the summary says so."""
    bench = fake_engine.bench(tmp_path)
    loads.measure(bench, "weights")
    assert fake_engine.lines(tmp_path) == 0
    assert "--f16" in loads.report(bench, "weights").notes[0]


def test_a_probe_fills_the_context_before_it_measures(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What stands before is evaluated once; each repetition evaluates its own tokens."""
    models = fake_engine.install(monkeypatch)
    asked = probe.Probe(
        options=EngineOptions(n_slots=1), depth=200, n_prompt=64, n_gen=8, repetitions=3, seed=1
    )
    found = probe.measure(asked)
    assert len(found.prefill_tokens_per_s) == len(found.decode_tokens_per_s) == 3
    assert min(*found.prefill_tokens_per_s, *found.decode_tokens_per_s) > 0
    assert found.rss_bytes > 0
    # 200 tokens once, then 64 of prompt, less what words begin with alike, and 8 decoded.
    assert 200 + 3 * (60 + 8) <= models[0].n_evaluated <= 200 + 3 * (64 + 8)


def test_a_process_that_cannot_load_gives_its_reason(tmp_path: Path) -> None:
    """The error of the engine comes through, with its hint."""
    asked = probe.Probe(
        options=EngineOptions(model_path=str(tmp_path / "no.gguf")),
        depth=0, n_prompt=8, n_gen=1, repetitions=1, seed=1,
    )  # fmt: skip
    with pytest.raises(EngineError) as failed:
        probe.run(asked)
    assert failed.value.code == "model_file_missing"
    assert failed.value.hint


def load(case: str, speed: float, round: int = 0) -> Load:
    """A made-up configuration."""
    return Load(
        topic="attention", case=case, depth=4096, round=round, prefill_tokens_per_s=(speed,) * 3,
        decode_tokens_per_s=(speed / 4,) * 3, rss_bytes=700 * 2**20, n_ctx=8192,
    )  # fmt: skip


def test_configurations_are_compared_with_each_other(tmp_path: Path) -> None:
    """The default over what it replaces, in prefill and decode, with memory in MiB."""
    bench = fake_engine.bench(tmp_path)
    for record in (
        load("on", 200.0),
        load("off", 100.0),
        load("off", 100.0, 1),
        load("on", 200, 1),
    ):
        bench.keep(record)
    part = loads.report(bench, "attention")
    assert [verdict.outcome for verdict in part.verdicts] == ["ahead", "ahead"]
    assert "on over off: 2.00" in part.verdicts[0].text
    assert "on makes prefill 2.00" in part.sentence
    assert [row[5] for row in part.tables[0].rows] == [700, 700]
    assert [row[6] for row in part.tables[0].rows] == [6, 6]
