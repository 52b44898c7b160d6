"""A typing session and half-typed words through the engine, on fakes."""

from __future__ import annotations

import math
from pathlib import Path

import msgspec
import pytest

from benchmarks.corpus import fresh
from benchmarks.engine import healing, reuse, speculation
from benchmarks.engine.healing import Word, exact_ratio
from benchmarks.engine.reuse import Key, reused_share, ttft_ratio
from benchmarks.engine.speculation import Guessed
from benchmarks.latency import session
from tests.benchmarks import fake_engine
from tests.benchmarks.test_engine_quality import project

TEXT = "def area(radius):\n    \n\n\nprint(area(3))\n" + "# more text below the cursor\n" * 4


def write_session(path: Path, text: str = "return 3 * radius") -> None:
    """A session in which a line is typed."""
    header = session.Header(name="n", note="typed by no one", files={"a.py": TEXT})
    events: list[session.Event] = [session.Open(gap_ms=0, path="a.py")]
    events += [
        session.Edit(gap_ms=5, line=1, column=4 + n, end_line=1, end_column=4 + n, text=key)
        for n, key in enumerate(text)
    ]
    path.write_bytes(session.dump(session.Session(header=header, events=tuple(events))))


def test_a_session_is_played_with_text_moved_and_evaluated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every key once in each pass; moving reuses more. A run that ended measures nothing more."""
    fake_engine.install(monkeypatch)
    write_session(tmp_path / "session.jsonl")
    bench = fake_engine.bench(tmp_path, limit=12)
    reuse.measure(bench)
    found = bench.of(Key)
    assert [r.move for r in found] == [True] * 12 + [False] * 12
    assert [r.kind for r in found[:12]] == ["cold"] + ["warm"] * 11
    moved, evaluated = (
        reused_share([r for r in found if r.move == move and r.kind == "warm"])
        for move in (True, False)
    )
    assert moved.value > evaluated.value
    reuse.measure(fake_engine.bench(tmp_path, limit=12))
    assert fake_engine.lines(tmp_path) == 24
    part = reuse.report(bench)
    assert [row[:2] for row in part.tables[0].rows] == [
        ("moved", "cold"), ("moved", "warm"), ("evaluated", "cold"), ("evaluated", "warm"),
    ]  # fmt: skip


def key(step: int, *, move: bool, ms: float, n_reused: int = 960) -> Key:
    """A made-up request."""
    return Key(
        move=move, step=step, kind="warm", n_prompt=1000, n_reused=n_reused, ttft_ms=ms
    )  # fmt: skip


def test_shares_and_ratios_are_of_the_same_requests() -> None:
    """A request that only one pass has, or that gave no token, is left out of the ratio."""
    records = [key(n, move=True, ms=100.0) for n in range(10)]
    records += [key(n, move=False, ms=1000.0, n_reused=500) for n in range(10)]
    records += [key(10, move=True, ms=9999.0), key(11, move=True, ms=0.0)]
    found = ttft_ratio(records)
    assert found.value == pytest.approx(0.1)
    assert found.n == 10
    assert reused_share([r for r in records if r.move]).value == pytest.approx(0.96)
    assert math.isnan(ttft_ratio([key(1, move=True, ms=5.0)]).value)


def test_the_goal_of_reuse_is_judged_on_warm_requests(tmp_path: Path) -> None:
    """96 % is ahead of it, and a tenth of the time is ahead of evaluating."""
    bench = fake_engine.bench(tmp_path)
    for number in range(20):
        bench.keep(key(number, move=True, ms=100.0))
        bench.keep(key(number, move=False, ms=1000.0, n_reused=500))
    part = reuse.report(bench)
    assert [verdict.outcome for verdict in part.verdicts] == ["ahead", "ahead"]
    assert "96.0 %" in part.sentence


# -- half-typed words --------------------------------------------------------------------


def test_words_are_asked_with_and_without_healing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both for each word, who comes first alternates; a run goes on where it ended."""
    fake_engine.install(monkeypatch)
    monkeypatch.setattr(fresh, "fresh_lines", lambda *_, **__: [project(tmp_path / "p")])
    healing.measure(fake_engine.bench(tmp_path, limit=2))
    assert fake_engine.lines(tmp_path) == 4
    bench = fake_engine.bench(tmp_path, limit=4)
    healing.measure(bench)
    found = bench.of(Word)
    assert [r.healed for r in found] == [True, False, False, True] * 2
    assert all(r.n_bytes > 0 and r.line_ms > 0 for r in found)
    assert len({r.place for r in found}) == 4
    assert len(healing.report(bench).tables[0].rows) == 2


def word(number: int, *, healed: bool, exact: bool) -> Word:
    """A made-up word."""
    return Word(
        healed=healed, place=str(number), cluster=f"file{number // 3}", n_bytes=3, exact=exact,
        ttft_ms=100.0, line_ms=300.0,
    )  # fmt: skip


def test_the_ratio_of_exact_words_is_paired_by_place() -> None:
    """Words that were asked in one way only do not count."""
    records = [word(n, healed=True, exact=n % 2 == 0) for n in range(60)]
    records += [word(n, healed=False, exact=n % 4 == 0) for n in range(60)]
    found = exact_ratio([*records, word(99, healed=True, exact=True)])
    assert found.value == pytest.approx(2.0)
    assert found.n == 60
    assert found.low > 1.3


def test_without_an_exact_word_there_is_no_ratio(tmp_path: Path) -> None:
    """And no verdict."""
    bench = fake_engine.bench(tmp_path)
    for number in range(5):
        bench.keep(word(number, healed=True, exact=True))
        bench.keep(word(number, healed=False, exact=False))
    assert math.isnan(exact_ratio(bench.of(Word)).value)
    assert healing.report(bench).verdicts == ()


# -- guessed tokens ----------------------------------------------------------------------


def guessed(number: int, state: str, ms: float, n_tokens: int = 20) -> Guessed:
    """A made-up completion."""
    return Guessed(
        state=state, place=str(number), cluster=f"file{number // 2}", n_tokens=n_tokens,
        decode_ms=ms, text="same",
    )  # fmt: skip


def test_speculation_is_compared_with_none_on_the_same_holes(tmp_path: Path) -> None:
    """Completions of a few tokens have nothing to guess and are left out."""
    bench = fake_engine.bench(tmp_path)
    for number in range(20):
        bench.keep(guessed(number, "off", 1000.0))
        bench.keep(guessed(number, "on", 500.0))
    bench.keep(guessed(20, "on", 9999.0))
    bench.keep(guessed(21, "on", 9999.0, n_tokens=1))
    bench.keep(guessed(21, "off", 1.0, n_tokens=1))
    part = speculation.report(bench)
    assert [verdict.outcome for verdict in part.verdicts] == ["ahead"]
    on = part.tables[0].rows[0]
    assert on[0] == "on"
    assert on[2].value == pytest.approx(2.0)  # type: ignore[union-attr]
    assert on[3].value == 1.0  # type: ignore[union-attr]


def test_records_of_all_kinds_are_told_apart(tmp_path: Path) -> None:
    """A results file gives back what was written, kind by kind."""
    bench = fake_engine.bench(tmp_path)
    written = [key(1, move=True, ms=5.0), word(1, healed=True, exact=False)]
    for record in written:
        bench.keep(record)  # type: ignore[arg-type]
    again = fake_engine.bench(tmp_path)
    assert again.of(Key) == written[:1]
    assert again.of(Word) == written[1:]
    assert msgspec.json.encode(written[0]) != msgspec.json.encode(written[1])
