"""Batches of several jobs on a KV cache that checks how it is used."""

from __future__ import annotations

import random
import threading
import time
from typing import Any

import pytest

from lsp_server.engine.llama import backend as llama_backend
from lsp_server.engine.llama import cells
from lsp_server.engine.llama.backend import LlamaBackend
from lsp_server.engine.llama.speculation import Mode
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import Adapter, Home
from lsp_server.engine.texts import Texts
from lsp_server.types import TokenChunk
from tests.engine.driver import Driver, Recorder, fim_request
from tests.engine.llama.fake_llama import FakeLlama, expected_text

ONE, OTHER = Adapter(path="/one.gguf"), Adapter(path="/other.gguf", scale=-0.5)
LOUD = Adapter(path="/one.gguf", scale=2.0)


class Engine(Driver[LlamaBackend]):
    """A back end on a fake model; with a hash it keeps prompts on disk."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *,
        n_ctx: int,
        n_slots: int,
        copies: bool = False,
        model_sha256: str = "",
        **options: Any,
    ) -> None:
        self.llama = FakeLlama(n_ctx, copies=copies)
        monkeypatch.setattr(llama_backend, "LlamaModel", lambda *_: self.llama)
        wanted = EngineOptions(n_slots=n_slots, **options)
        super().__init__(LlamaBackend(wanted, lambda _: True, model_sha256))

    def __enter__(self) -> Engine:
        super().__enter__()
        return self

    def ask(self, before: str, after: str, client: str = "a", **options: Any) -> Recorder:
        """Put a job into its lane."""
        options.setdefault("max_tokens", 12)
        return self.put(Recorder(fim_request(before, after, **options), client))

    def check(self, job: Recorder, *, may_be_full: bool = False) -> None:
        """A job that was not cancelled gave what it must; a cancelled one the beginning of it.

        Where those at work together may need more cells than there are, one may be refused.
        """
        job.wait()
        if may_be_full and job.refusal is not None:
            assert job.refusal.code == "context_full"
            return
        assert job.refusal is None
        expected = expected_text(self.llama, job.request)
        if job.last.finish_reason == "cancelled":
            assert job.cancelled
            assert expected.startswith(job.text)
        else:
            assert job.text == expected


def test_a_key_costs_a_handful_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    """Typing evaluates the key, the seam and the last token, whatever the prompt's length."""
    before, after = "".join(map(chr, range(100, 500))), "".join(map(chr, range(600, 900)))
    with Engine(monkeypatch, n_ctx=2000, n_slots=2) as engine:
        engine.check(engine.ask(before, after, max_tokens=0))
        n_before = engine.llama.n_evaluated
        engine.check(engine.ask(before + "x", after, max_tokens=0))
        assert engine.llama.n_evaluated - n_before == 5


@pytest.mark.parametrize("n_slots", [1, 4])
@pytest.mark.parametrize("lane", ["warm_up", "interactive"])
def test_a_key_typed_meanwhile_goes_on_with_what_is_evaluated(
    monkeypatch: pytest.MonkeyPatch, lane: str, n_slots: int
) -> None:
    """A request overtaken while it is evaluated leaves its slot, and its work, to the next."""
    before, after = "".join(map(chr, range(100, 500))), "".join(map(chr, range(600, 900)))
    with Engine(monkeypatch, n_ctx=4000, n_slots=n_slots) as engine:
        engine.check(engine.ask(before, after, max_tokens=0))
        halfway, typed = threading.Event(), threading.Event()

        def wait_halfway() -> None:
            if not halfway.is_set() and engine.llama.n_evaluated > n_before:
                halfway.set()
                assert typed.wait(30)

        n_before = engine.llama.n_evaluated
        engine.llama.before_ubatch = wait_halfway
        first = engine.ask(before + "x" * 60, after, lane=lane)
        assert halfway.wait(30)
        if lane == "interactive":
            engine.cancel(first)
        second = engine.ask(before + "x" * 61, after, max_tokens=0)
        typed.set()
        engine.check(second)
        engine.check(first)
        # What was typed, and twice a seam and the last token.
        assert engine.llama.n_evaluated - n_before <= 61 + 2 * 6


def test_a_suggestion_is_not_slowed_by_work_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt that nobody waits for is evaluated once the text of who waits is complete."""
    told: list[str] = []

    def tell(job: Recorder, _chunk: object) -> None:
        told.append(job.request.lane)

    with Engine(monkeypatch, n_ctx=2000, n_slots=3) as engine:
        both = [
            Recorder(fim_request("a" * 20, "b", lane="interactive", max_tokens=30), "a", tell),
            Recorder(fim_request("c" * 300, "d", lane="warm_up", max_tokens=0), "b", tell),
        ]
        with engine.lanes._changed:
            for job in both:
                engine.lanes.put(job)
        for job in both:
            engine.check(job)
    assert told == sorted(told)


def test_moved_text_is_evaluated_again_in_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """After enough keys the suffix is refreshed when nobody asks; the prompt stays what it is."""
    monkeypatch.setattr(llama_backend, "_PAUSE_S", 0.0)
    before, after = "".join(map(chr, range(100, 300))), "".join(map(chr, range(600, 800)))
    with Engine(monkeypatch, n_ctx=2000, n_slots=1) as engine:
        slot = engine.backend._table.slots[0]
        for n_typed in range(12):
            engine.check(engine.ask(before + "x" * n_typed, after))
        deadline_s = time.monotonic() + 30
        while slot.n_drifted >= llama_backend._MIN_DRIFT and time.monotonic() < deadline_s:
            engine.lanes.wait(0.001)
        assert slot.n_drifted < llama_backend._MIN_DRIFT
        assert engine.llama.sequence(slot.seq_id) == slot.tokens
        engine.check(engine.ask(before + "x" * 13, after))


def test_texts_are_read_in_a_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody has to ask for it; who does not want to wait for a pause has them read first."""
    texts = Texts(100_000)
    with Engine(monkeypatch, n_ctx=2000, n_slots=1) as engine:
        engine.backend.read_from(texts)
        texts.put("shop", "cart.py", "cart = 1\n" * 5000)
        assert engine.backend.info().n_unread_texts == 1
        engine.lanes.nudge()
        deadline_s = time.monotonic() + 30
        while engine.backend.info().n_unread_texts and time.monotonic() < deadline_s:
            engine.lanes.wait(0.001)
        assert engine.backend.info().n_unread_texts == 0
        texts.put("shop", "till.py", "till = 1\n" * 5000)
        engine.ask("a", "b", home=Home(corpus="shop", path="x.py"), whole_corpus=True).wait()
        assert engine.backend.info().n_unread_texts == 0


def test_equal_beginnings_are_shared(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second client in the same file does not evaluate it again; neither disturbs the other."""
    text = "".join(map(chr, range(100, 500)))
    with Engine(monkeypatch, n_ctx=4000, n_slots=3) as engine:
        first = engine.ask(text + "1", "after", client="a", max_tokens=200)
        second = engine.ask(text + "2", "after", client="b", max_tokens=200)
        engine.check(first)
        engine.check(second)
        n_before = engine.llama.n_evaluated
        third = engine.ask(text[:350] + "3", "after", client="c")
        engine.check(third)
        assert engine.llama.n_evaluated - n_before < 60
        engine.check(engine.ask("new " + text + "1", "after", client="a"))
        engine.check(engine.ask(text + "2x", "after", client="b"))


def test_a_full_cache_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts that together outgrow the cells push out the one unused for longest."""
    with Engine(monkeypatch, n_ctx=300, n_slots=4) as engine:
        for number in range(12):
            engine.check(engine.ask(chr(1000 + number) * 120, "after"))


def test_sent_home_in_the_middle_of_a_prompt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A halt stops a long prompt within its batch; a back end that was not closed serves again."""
    monkeypatch.setattr(llama_backend, "_GAUGE_PAUSE_S", 600.0)
    text = "".join(map(chr, range(100, 900)))
    with Engine(monkeypatch, n_ctx=4000, n_slots=2) as engine:
        jobs: list[Recorder] = []

        def pause() -> None:
            engine.llama.before_ubatch = lambda: None
            engine.lanes.pause()
            jobs[0].cancel()
            engine.backend.halt()

        engine.check(engine.ask("x", "y"))
        engine.llama.before_ubatch = pause
        n_before = engine.llama.n_evaluated
        jobs.append(Recorder(fim_request(text, "after")))
        engine.put(jobs[0])
        jobs[0].wait()
        engine._thread.join(60)
        assert jobs[0].last.finish_reason == "cancelled"
        assert engine.llama.n_evaluated == n_before
        engine.lanes.resume()
        engine._thread = threading.Thread(target=engine.backend.serve, args=(engine.lanes,))
        engine.lanes.wake()
        engine._thread.start()
        engine.check(engine.ask(text, "after"))


def test_prompts_with_other_adapters_share_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same prompt under other adapters is evaluated anew; each goes on from its own cache."""
    text = "".join(map(chr, range(100, 400)))
    style = (Adapter(path="/style.gguf", scale=0.5),)
    with Engine(monkeypatch, n_ctx=4000, n_slots=2) as engine:
        engine.check(engine.ask(text, "after", max_tokens=0))
        n_before = engine.llama.n_evaluated
        engine.check(engine.ask(text, "after", max_tokens=0, adapters=style))
        assert engine.llama.n_evaluated - n_before > len(text)
        n_before = engine.llama.n_evaluated
        for adapters in ((), style):
            engine.check(engine.ask(text, "after", adapters=adapters, max_tokens=0))
        assert engine.llama.n_evaluated - n_before == 2
        louder = (Adapter(path="/style.gguf", scale=0.6),)
        engine.check(engine.ask(text, "after", adapters=louder))


def test_a_bad_adapter_refuses_only_its_own_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request whose adapter cannot be used is refused with the reason; others are served."""
    with Engine(monkeypatch, n_ctx=1000, n_slots=2) as engine:
        job = engine.ask("a", "b", adapters=(Adapter(path="/bad.gguf"),))
        job.wait()
        assert job.refusal is not None
        assert job.refusal.code == "lora_invalid"
        engine.check(engine.ask("a", "b"))


def test_sets_of_adapters_take_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of two long texts under different adapters none waits until the other is whole."""
    order: list[str] = []

    def note(job: Recorder, chunk: TokenChunk) -> None:
        order.extend(job.client for _ in chunk.text)

    style = (Adapter(path="/style.gguf"),)
    with Engine(monkeypatch, n_ctx=4000, n_slots=2) as engine:
        long_texts = [
            before
            for before in map(str, range(2000))
            if min(
                len(expected_text(engine.llama, fim_request(before, "", max_tokens=40))),
                len(
                    expected_text(
                        engine.llama, fim_request(before, "", max_tokens=40, adapters=style)
                    )
                ),
            )
            == 40
        ]
        before = long_texts[0]
        ready = threading.Event()
        engine.llama.before_ubatch = ready.wait
        plain = Recorder(fim_request(before, "", max_tokens=40), "a", on_chunk=note)
        styled = Recorder(
            fim_request(before, "", max_tokens=40, adapters=style), "b", on_chunk=note
        )
        engine.put(plain)
        engine.put(styled)
        ready.set()
        engine.check(plain)
        engine.check(styled)
    assert abs(order.index("a") - order.index("b")) <= 8
    assert 6 <= engine.llama.adapters.n_switches <= 40


@pytest.mark.parametrize("speculation", ["off", "on"])
@pytest.mark.parametrize("seed", range(40))
def test_any_session_gives_every_text_right(
    monkeypatch: pytest.MonkeyPatch, seed: int, speculation: Mode
) -> None:
    """Edits of several clients at once, with aborts and cancellations at any point."""
    chance = random.Random(seed)
    guesses = speculation == "on"
    n_slots = chance.choice((1, 2, 4))
    # Cells that are short now and then; what is measured needs more than a thousand.
    n_ctx = chance.choice((2600, 2600, 1200)) if guesses else 2600
    monkeypatch.setattr(llama_backend, "_PAUSE_S", 0.0)
    monkeypatch.setattr(llama_backend, "_GAUGE_PAUSE_S", 0.0)
    monkeypatch.setattr(cells, "_MIN_SHARED", 16)
    clients = ("a", "b", "c", "d")
    sets = chance.choice(([()], [(), (ONE,)], [(), (), (ONE,), (ONE, OTHER), (LOUD,)]))
    texts = {client: "".join(chance.choices("abcdefgh\n", k=300)) for client in clients}
    with Engine(
        monkeypatch, n_ctx=n_ctx, n_slots=n_slots, speculation=speculation, copies=guesses
    ) as engine:

        def abort_at_times() -> None:
            # Somebody else's request may come at any moment of a batch.
            if chance.random() < 0.05:
                engine.llama.abort()

        engine.llama.before_ubatch = abort_at_times
        jobs: list[Recorder] = []
        for _ in range(40):
            client = chance.choice(clients)
            text = texts[client]
            at = chance.randrange(len(text))
            edit = "".join(chance.choices("xyz", k=chance.choice((0, 1, 1, 5, 60))))
            text = text[:at] + edit + text[min(len(text), at + chance.choice((0, 0, 1, 40))) :]
            texts[client] = text[:500]
            cursor = chance.choice((min(at + len(edit), len(texts[client])), 100))
            lane = chance.choice(("interactive", "interactive", "prefetch", "warm_up"))
            n_most = chance.choice((0, 1, 12, 40)) if guesses else 12
            job = engine.ask(
                texts[client][:cursor],
                texts[client][cursor:],
                client,
                lane=lane,
                max_tokens=n_most,
                adapters=chance.choice(sets),
            )
            jobs.append(job)
            if chance.random() < 0.3:
                engine.cancel(chance.choice(jobs))
            if chance.random() < 0.4:
                job.wait()
        for job in jobs:
            engine.check(job, may_be_full=n_ctx < 550 * n_slots)
