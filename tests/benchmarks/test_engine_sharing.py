"""Several clients, keystrokes beside them, and cancellations, on a fake model."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from benchmarks.engine import cancel, clients, keystrokes
from benchmarks.engine.cancel import Cancelled
from benchmarks.engine.clients import Crowd, fair_share
from benchmarks.engine.driver import Engine, Recorded
from benchmarks.engine.keystrokes import Keystroke
from benchmarks.summary import Verdict
from lsp_server.errors import EngineError
from tests.benchmarks import fake_engine


@pytest.mark.parametrize(
    ("times", "share"),
    [
        ([[1, 2, 3], [1, 2, 3]], 1.0),
        ([[1, 2, 3, 4], [1, 4, 5, 6]], 2 * 2 / 6),  # until 4: four tokens and two
        ([[1, 2, 3], [4, 5, 6]], 0.0),
        ([[1, 2], []], 0.0),
        ([[1, 2, 3]], 1.0),
        ([], 0.0),
    ],
)
def test_fairness_counts_tokens_while_all_had_work(times: list[list[float]], share: float) -> None:
    """From the start until the first client has its last token."""
    assert fair_share(times) == pytest.approx(share)


def crowd(
    n_clients: int = 8, *, together_s: float = 5.0, share: float = 0.8, number: int = 0
) -> Crowd:
    """Made-up clients whose requests take ten seconds in turn."""
    return Crowd(
        phase="warm",
        n_clients=n_clients,
        repetition=number,
        n_tokens=100,
        together_s=together_s,
        in_turn_s=10.0,
        ttft_ms=(100.0, 300.0),
        total_ms=(500.0, 700.0),
        alone_ttft_ms=(50.0, 70.0),
        share=share,
    )


def verdicts_of(tmp_path: Path, records: list[Crowd]) -> list[Verdict]:
    """What is said of made-up clients."""
    bench = fake_engine.bench(tmp_path)
    for record in records:
        bench.keep(record)
    return list(clients.report(bench).verdicts)


def test_throughput_and_fairness_are_judged_at_eight_clients(tmp_path: Path) -> None:
    """Each against its goal; other numbers of clients are in the table alone."""
    good = [crowd(number=number) for number in range(3)] + [crowd(4, together_s=20.0)]
    found = verdicts_of(tmp_path, good)
    assert [verdict.outcome for verdict in found] == ["ahead", "ahead"]
    assert "2.00" in found[0].text
    assert "0.80" in found[1].text


def test_slow_and_unfair_sharing_is_behind(tmp_path: Path) -> None:
    """Nothing is left out for being bad news."""
    bad = [crowd(together_s=12.5, share=0.2, number=number) for number in range(3)]
    assert [verdict.outcome for verdict in verdicts_of(tmp_path, bad)] == ["behind", "behind"]


def test_clients_are_measured_at_once_and_in_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every request gets its tokens; a run that ended measures nothing more."""
    fake_engine.install(monkeypatch)
    monkeypatch.setattr(clients, "N_PROMPT", 40)
    monkeypatch.setattr(clients, "N_GEN", 6)
    bench = fake_engine.bench(tmp_path)
    clients.measure(bench)
    found = bench.of(Crowd)
    assert [(r.n_clients, r.phase) for r in found] == [
        (1, "cold"), (1, "warm"), (3, "cold"), (3, "warm"),
    ]  # fmt: skip
    assert [r.n_tokens for r in found] == [6, 18, 18, 54]
    assert [len(r.ttft_ms) for r in found] == [1, 3, 3, 9]
    assert all(0 <= r.share <= 1 for r in found)
    clients.measure(fake_engine.bench(tmp_path))
    assert fake_engine.lines(tmp_path) == 4
    part = clients.report(bench)
    assert [row[:2] for row in part.tables[0].rows] == [
        (1, "cold"), (3, "cold"), (1, "warm"), (3, "warm"),
    ]  # fmt: skip


def test_every_client_has_a_slot_and_cells(tmp_path: Path) -> None:
    """As many as the settings allow; the user's own larger ones stay."""
    setup = fake_engine.setup(tmp_path)
    assert clients.options_for(setup, 16).n_slots == 16
    assert clients.options_for(setup, 2).n_slots == setup.options.n_slots
    assert clients.options_for(setup, 100).n_slots == 32
    n_cells = clients.options_for(setup, 16).n_ctx
    assert n_cells >= 16 * (clients.N_PROMPT + 4 * clients.N_GEN)


# -- keystrokes --------------------------------------------------------------------------


def test_a_keystroke_is_asked_alone_and_beside_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In both lanes of the others; nothing is measured twice."""
    fake_engine.install(monkeypatch)
    monkeypatch.setattr(keystrokes, "N_PROMPT", 40)
    bench = fake_engine.bench(tmp_path, repetitions=1)
    keystrokes.measure(bench)
    found = bench.of(Keystroke)
    assert [r.beside for r in found] == ["prefetch", "interactive"] * 2
    assert all(r.alone_ms > 0 and r.beside_ms > 0 for r in found)
    keystrokes.measure(fake_engine.bench(tmp_path, repetitions=1))
    assert fake_engine.lines(tmp_path) == 4
    assert len(keystrokes.report(bench).tables[0].rows) == 2


def test_answered_first_means_before_any_waiting_prompt(tmp_path: Path) -> None:
    """A keystroke behind one of them is not."""
    bench = fake_engine.bench(tmp_path)
    for number in range(40):
        bench.keep(
            Keystroke(
                beside="prefetch",
                repetition=number,
                alone_ms=100.0,
                beside_ms=150.0,
                n_before=int(number < 20),
            )
        )
    part = keystrokes.report(bench)
    assert part.verdicts[0].outcome == "behind"
    assert "50.0 %" in part.sentence
    assert part.tables[0].rows[0][5].value == pytest.approx(1.5)  # type: ignore[union-attr]


# -- cancellation ------------------------------------------------------------------------


class _Held(Engine):
    """An engine that stops at the eighth evaluation of client a's jobs until they are cancelled."""

    def put(self, job: Recorded) -> Recorded:
        """See Engine."""
        if job.client == "a":
            gate = threading.Event()
            self._gate = gate
            first = self.timer.n_started + 8
            # mypy does not know that this is a fake.
            self.llama.before_ubatch = lambda: (  # type: ignore[attr-defined]
                self.timer.n_started < first or gate.wait(30)
            )
        return super().put(job)

    def cancel(self, job: Recorded) -> None:
        """See Engine."""
        super().cancel(job)
        self._gate.set()


def test_cancellations_are_timed_in_prefill_and_decode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until the job is left and until the next one begins."""
    fake_engine.install(monkeypatch)
    monkeypatch.setattr(cancel, "Engine", _Held)
    monkeypatch.setattr(cancel, "_whole_step_ms", lambda *_: 1.0)
    bench = fake_engine.bench(tmp_path, repetitions=1)
    cancel.measure(bench)
    found = bench.of(Cancelled)
    assert [r.phase for r in found] == ["prefill", "decode"] * 3
    assert all(r.free_ms >= 0 and r.next_ms >= 0 for r in found)
    cancel.measure(fake_engine.bench(tmp_path, repetitions=1))
    assert fake_engine.lines(tmp_path) == 6


def test_a_whole_step_is_a_full_piece_or_one_token(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a job that nobody cancels."""
    with fake_engine.engine(monkeypatch) as engine, engine.endless():
        text = "x" * 200
        assert cancel._whole_step_ms(engine, text, 1, "prefill") > 0
        assert max(step.n_tokens for step in engine.timer.steps) == engine.llama.n_ubatch
        assert cancel._whole_step_ms(engine, text, 20, "decode") > 0


def test_an_engine_that_is_too_fast_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A job that ended before its cancellation measures nothing."""
    fake_engine.install(monkeypatch)

    class Done(Engine):
        def cancel(self, job: Recorded) -> None:
            job.wait()

    monkeypatch.setattr(cancel, "Engine", Done)
    with pytest.raises(EngineError) as failed:
        cancel.measure(fake_engine.bench(tmp_path, repetitions=1))
    assert failed.value.code == "too_fast_to_cancel"
    assert fake_engine.lines(tmp_path) == 0


@pytest.mark.parametrize(("free_ms", "outcome"), [(20.0, "ahead"), (60.0, "behind")])
def test_a_cancellation_is_judged_by_one_step(tmp_path: Path, free_ms: float, outcome: str) -> None:
    """Its 95th percentile over the median step of the same run."""
    bench = fake_engine.bench(tmp_path)
    for number in range(10):
        bench.keep(
            Cancelled(
                phase="decode", repetition=number, free_ms=free_ms, next_ms=free_ms, step_ms=40.0
            )
        )
    part = cancel.report(bench)
    assert [verdict.outcome for verdict in part.verdicts] == [outcome]
    assert cancel.p95_over_step(bench.of(Cancelled)) == pytest.approx(free_ms / 40)
