"""Prompts that outlive the engine, on a KV cache that checks how it is used."""

from __future__ import annotations

import logging
import random
import threading
from pathlib import Path
from typing import Any

import pytest

from lsp_server import paths
from lsp_server.engine.llama import backend as llama_backend
from lsp_server.engine.llama import cells, keeper, kv_file, kv_store
from lsp_server.engine.llama.backend import LlamaBackend
from lsp_server.engine.llama.gauge import OwnSpeed
from lsp_server.engine.llama.kv_file import Meta
from lsp_server.engine.llama.kv_store import KvStore
from lsp_server.engine.llama.model import Entry
from lsp_server.engine.llama.refresh import refresh
from lsp_server.engine.llama.reuse import GAP
from lsp_server.engine.llama.slots import Slot
from lsp_server.engine.protocol import Adapter
from tests.engine.driver import Recorder
from tests.engine.llama.fake_llama import FakeLlama, fake_set
from tests.engine.llama.test_batches import Engine

_PATIENCE_S = 60
SHA256 = "5e"
BEFORE, AFTER = "".join(map(chr, range(100, 600))), "".join(map(chr, range(700, 900)))
OTHER = "".join(map(chr, range(2000, 2600)))


class Saved:
    """Counts the prompts that were written, and waits for them."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.n_files = 0
        self._changed = threading.Condition()
        put = KvStore.put

        def counted(store: KvStore, *args: Any, **options: Any) -> bool:
            done = put(store, *args, **options)
            with self._changed:
                self.n_files += done
                self._changed.notify_all()
            return done

        monkeypatch.setattr(KvStore, "put", counted)

    def wait(self, n_files: int) -> None:
        """Until so many were written since the beginning."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.n_files >= n_files, _PATIENCE_S)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> Saved:
    """What was written."""
    return Saved(monkeypatch)


@pytest.fixture(autouse=True)
def no_clocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """No decision depends on how fast this machine is: loading always pays, nobody pauses."""
    monkeypatch.setattr(OwnSpeed, "wanted", lambda *_: False)
    monkeypatch.setattr(keeper.Keeper, "prefilled", lambda *_: None)
    monkeypatch.setattr(llama_backend, "_PAUSE_S", 10.0**6)
    monkeypatch.setattr(keeper, "_SAVE_PAUSE_S", 10.0**6)
    monkeypatch.setattr(keeper, "_WARM_UP_PAUSE_S", 10.0**6)


def start(monkeypatch: pytest.MonkeyPatch, **options: Any) -> Engine:
    """An engine that keeps prompts."""
    wanted = {"n_ctx": 4000, "n_slots": 3, "model_sha256": SHA256, **options}
    return Engine(monkeypatch, **wanted)


def files() -> list[Path]:
    """Prompts on disk."""
    return sorted(paths.kv_dir().glob("*"))


def test_the_next_engine_goes_on_where_the_last_one_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a restart a key costs what it would have cost without."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    with start(monkeypatch) as engine:
        job = engine.ask(BEFORE + "x", AFTER)
        engine.check(job)
        assert engine.llama.n_loaded == 1
        assert job.last.timings is not None
        assert job.last.timings.n_prompt - job.last.timings.n_reused == 5
        assert engine.llama.n_evaluated < 7 + 13


def test_what_is_on_disk_is_in_the_status(monkeypatch: pytest.MonkeyPatch) -> None:
    """Number and size of the prompts this engine can use."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    backend = start(monkeypatch).backend
    info = backend.info()
    assert info.n_stored_prompts == len(files()) == 1
    assert info.stored_bytes == files()[0].stat().st_size
    backend.close()


def test_without_a_hash_or_space_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switched off, the folder is not even made, and what is there is not read."""
    for options in ({"model_sha256": ""}, {"kv_store_mib": 0}):
        with start(monkeypatch, **options) as engine:
            engine.check(engine.ask(BEFORE, AFTER))
        assert not paths.kv_dir().exists()
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    with start(monkeypatch, kv_store_mib=0) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
        assert engine.llama.n_loaded == 0
    assert len(files()) == 1


def test_an_engine_can_be_told_to_keep_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """It then leaves without a trace of what it served."""
    backend = start(monkeypatch).backend
    fill(backend, 0, BEFORE)
    backend.close(keep_prompts=False)
    assert files() == []


@pytest.mark.parametrize("other", [{"model_sha256": "6f"}, {"recipe": ("fake", "q8_0")}])
def test_another_model_or_setting_does_not_use_it(
    monkeypatch: pytest.MonkeyPatch, other: dict[str, Any]
) -> None:
    """A state belongs to one model file and the settings it was made with."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    monkeypatch.setattr(FakeLlama, "kv_recipe", other.pop("recipe", FakeLlama.kv_recipe))
    with start(monkeypatch, **other) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
        assert engine.llama.n_loaded == 0
    assert len(files()) == 2


def test_a_prompt_belongs_to_its_adapters(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same text with other LoRA adapters, or none, is another prompt.

    It is loaded when it is asked for, not before.
    """
    with_one, scaled = ((Adapter(path="/one", scale=scale),) for scale in (1.0, 0.5))
    with start(monkeypatch, n_slots=1) as engine:
        engine.check(engine.ask(BEFORE, AFTER, adapters=with_one))
    for adapters, n_loaded in (((), 0), (scaled, 0), (with_one, 1)):
        with start(monkeypatch) as engine:
            assert not any(each.meta.adapters for each in engine.backend._keeper._to_warm)
            engine.check(engine.ask(BEFORE + "x", AFTER, adapters=adapters))
            assert engine.llama.n_loaded == n_loaded
    expected = {keeper.key_of_set(fake_set(each)) for each in ((), with_one, scaled)}
    assert {meta.adapters for meta in stored()} == expected
    assert len(expected) == len(stored()) == 3


def test_short_prompts_are_not_worth_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are evaluated sooner."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE[:200], ""))
    assert files() == []


def fill(backend: LlamaBackend, number: int, text: str, *, n_generated: int = 0) -> Slot:
    """Evaluate a text in a slot, without a job."""
    slot = backend._table.slots[number]
    slot.tokens = [ord(character) for character in text]
    slot.n_prompt = len(text) - n_generated
    for at, token in enumerate(slot.tokens):
        backend._llama.decode([Entry(token, at, slot.seq_id, False)])
    slot.last_used = number + 1
    return slot


def stored() -> list[Meta]:
    """What lies on disk, the one used last first."""
    key = kv_store.key_of(SHA256, FakeLlama.kv_recipe)
    store = KvStore(paths.kv_dir(), key, 10**9, n_vocab=0x110000)
    return [prompt.meta for prompt in store.prompts]


def test_generated_text_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the prompt is."""
    backend = start(monkeypatch).backend
    fill(backend, 0, BEFORE, n_generated=20)
    backend.close()
    (meta,) = stored()
    assert meta.tokens == [ord(character) for character in BEFORE[:-20]]


def test_what_stands_behind_a_gap_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt that was not evaluated to its end is kept as far as it was."""
    backend = start(monkeypatch).backend
    slot = fill(backend, 0, BEFORE)
    slot.n_drifted, slot.drifted_from = 5, 400
    slot.tokens[300:310] = [GAP] * 10
    backend._llama.drop(slot.seq_id, 300, 310)
    backend.close()
    (meta,) = stored()
    assert meta.tokens == [ord(character) for character in BEFORE[:300]]
    assert (meta.n_drifted, meta.drifted_from) == (0, 0)


def test_moved_text_is_remembered_as_such(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was moved before a restart is evaluated again in a pause after it."""
    with start(monkeypatch) as engine:
        for n_typed in range(12):
            engine.check(engine.ask(BEFORE + "x" * n_typed, AFTER))
        n_drifted = engine.backend._table.slots[0].n_drifted
    assert n_drifted == 11
    (meta,) = stored()
    assert (meta.n_drifted, meta.drifted_from) == (n_drifted, 1 + len(BEFORE) + 11 + 3)
    monkeypatch.setattr(llama_backend, "_PAUSE_S", 0.0)
    refreshed = threading.Event()

    def watched(*args: Any) -> None:
        refresh(*args)
        refreshed.set()

    monkeypatch.setattr(llama_backend, "refresh", watched)
    with start(monkeypatch) as engine:
        job = engine.ask(BEFORE + "x" * 12, AFTER)
        engine.check(job)
        assert engine.llama.n_loaded == 1
        assert refreshed.wait(_PATIENCE_S)
        engine.check(engine.ask(BEFORE + "x" * 13, AFTER))
    assert stored()[0].n_drifted < n_drifted


def test_shared_cells_come_back_as_each_prompts_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Prompts that shared their beginning are both kept whole, and both go on."""
    with start(monkeypatch) as engine:
        first = engine.ask(BEFORE + "1", AFTER, client="a", max_tokens=200)
        second = engine.ask(BEFORE + "2", AFTER, client="b", max_tokens=200)
        engine.check(first)
        engine.check(second)
    assert len(stored()) == 2
    with start(monkeypatch) as engine:
        jobs = [
            engine.ask(BEFORE + "1x", AFTER, client="a", max_tokens=200),
            engine.ask(BEFORE + "2y", AFTER, client="b", max_tokens=200),
            engine.ask(BEFORE[:400], AFTER, client="c", max_tokens=200),
        ]
        for job in jobs:
            engine.check(job)
        assert engine.llama.n_loaded >= 1


# -- when prompts are saved --------------------------------------------------------------


def test_prompts_are_saved_in_a_pause(monkeypatch: pytest.MonkeyPatch, saved: Saved) -> None:
    """What changed, once; the newer version of a text replaces the older one."""
    monkeypatch.setattr(keeper, "_SAVE_PAUSE_S", 0.0)
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
        saved.wait(1)
        engine.check(engine.ask(OTHER, AFTER))
        saved.wait(2)
        engine.check(engine.ask(BEFORE + "x", AFTER))
        saved.wait(3)
        assert len(files()) == 2
    assert saved.n_files == 3
    assert {len(meta.tokens) for meta in stored()} == {
        len(BEFORE) + 1 + len(AFTER) + 3,
        len(OTHER) + len(AFTER) + 3,
    }


def test_nothing_is_saved_while_somebody_types(
    monkeypatch: pytest.MonkeyPatch, saved: Saved
) -> None:
    """A pause shorter than that for saving writes nothing; leaving then does."""
    with start(monkeypatch) as engine:
        for n_typed in range(5):
            engine.check(engine.ask(BEFORE + "x" * n_typed, AFTER))
        assert files() == []
    assert saved.n_files == len(files()) == 1


def test_saving_gives_way_between_prompts(monkeypatch: pytest.MonkeyPatch, saved: Saved) -> None:
    """A request that comes while one prompt is written is served before the next is taken."""
    monkeypatch.setattr(keeper, "_SAVE_PAUSE_S", 0.0)
    backend = start(monkeypatch).backend
    for number, text in enumerate((BEFORE, OTHER)):
        fill(backend, number, text)
    may_write, writes = threading.Event(), threading.Event()
    put = KvStore.put

    def held(store: KvStore, *args: Any, **options: Any) -> bool:
        writes.set()
        assert may_write.wait(_PATIENCE_S)
        return put(store, *args, **options)

    monkeypatch.setattr(KvStore, "put", held)
    engine = Engine.__new__(Engine)
    engine.llama = backend._llama  # type: ignore[assignment]
    super(Engine, engine).__init__(backend)
    with engine:
        assert writes.wait(_PATIENCE_S)
        engine.check(engine.ask("".join(map(chr, range(4000, 4500))), ""))
        assert saved.n_files == 0
        may_write.set()
        saved.wait(3)
    assert len(stored()) == 3


def test_a_failing_disk_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Each state of a prompt is tried once, requests are served, and the engine leaves."""
    monkeypatch.setattr(keeper, "_SAVE_PAUSE_S", 0.0)
    tried: list[list[int]] = []
    change = threading.Condition()

    def fail(_store: KvStore, meta: Meta, _payload: bytes, **_options: Any) -> bool:
        with change:
            tried.append(meta.tokens)
            change.notify_all()
        raise RuntimeError("cannot")

    monkeypatch.setattr(KvStore, "put", fail)
    with start(monkeypatch) as engine:
        for n_typed in range(3):
            engine.check(engine.ask(BEFORE + "x" * n_typed, AFTER))
            with change:
                while len(tried) <= n_typed:
                    assert change.wait(_PATIENCE_S)
    assert [len(tokens) for tokens in tried] == [len(BEFORE + AFTER) + 3 + n for n in range(3)]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 3
    assert "RuntimeError" in caplog.text


def test_a_state_that_cannot_be_had_stops_nobody(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Where there is no memory to take a state, or to load one, requests are served on."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))

    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(keeper, "_SAVE_PAUSE_S", 0.0)
    monkeypatch.setattr(FakeLlama, "save_state", fail)
    monkeypatch.setattr(kv_file, "read", fail)
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
        engine.check(engine.ask(BEFORE + "x", AFTER))
    assert files() == []
    assert "a saved prompt is removed, there is no memory for it" in caplog.text
    assert "a prompt cannot be saved: there is no memory for it" in caplog.text


def test_a_prompt_that_loses_its_slot_is_saved(
    monkeypatch: pytest.MonkeyPatch, saved: Saved
) -> None:
    """Where that is cheap beside evaluating it again, a file comes back after others took over."""
    with start(monkeypatch, n_slots=1) as engine:
        engine.backend._keeper.prefill_tokens_per_ms = 1e-6
        engine.check(engine.ask(BEFORE, AFTER))
        engine.check(engine.ask(OTHER, AFTER))
        saved.wait(1)
        n_before = engine.llama.n_evaluated
        engine.check(engine.ask(BEFORE + "x", AFTER, max_tokens=0))
        assert engine.llama.n_evaluated - n_before == 5


def test_saving_does_not_slow_a_fast_machine_down(
    monkeypatch: pytest.MonkeyPatch, saved: Saved
) -> None:
    """Where evaluating is quick, a prompt that loses its slot is let go."""
    with start(monkeypatch, n_slots=1) as engine:
        engine.backend._keeper.prefill_tokens_per_ms = 1e6
        engine.check(engine.ask(BEFORE, AFTER))
        engine.check(engine.ask(OTHER, AFTER))
    assert saved.n_files == 1  # on leaving


# -- when prompts are loaded -------------------------------------------------------------


def test_loading_must_pay(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that evaluates faster than it loads evaluates."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    for speed, n_loaded in ((1e6, 0), (1e-6, 1)):
        with start(monkeypatch) as engine:
            engine.backend._keeper.prefill_tokens_per_ms = speed
            engine.check(engine.ask(BEFORE + "x", AFTER))
            assert engine.llama.n_loaded == n_loaded


def test_the_file_tells_how_fast_the_machine_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that the first request of an engine is decided like the others."""
    with start(monkeypatch) as engine:
        engine.backend._keeper.prefill_tokens_per_ms = 1e6
        engine.check(engine.ask(BEFORE, AFTER))
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE + "x", AFTER))
        assert engine.llama.n_loaded == 0


def test_a_slot_that_has_as_much_is_preferred(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is loaded while the KV cache holds what is needed."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    with start(monkeypatch) as engine:
        for n_typed in range(5):
            engine.check(engine.ask(BEFORE + "x" * n_typed, AFTER))
        engine.check(engine.ask(BEFORE[:300], AFTER))
        assert engine.llama.n_loaded == 1


def test_a_short_common_beginning_is_not_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two texts that only begin alike are two texts."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE[:200] + OTHER, AFTER))
        assert engine.llama.n_loaded == 0


def test_a_state_that_is_not_taken_is_removed(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The prompt is evaluated instead, and the file is not tried again."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    load, calls = FakeLlama.load_state, []

    def refuse(llama: FakeLlama, seq_id: int, _state: bytearray, length: int) -> bool:
        calls.append(length)
        return load(llama, seq_id, bytearray(b"[]"), length)

    monkeypatch.setattr(FakeLlama, "load_state", refuse)
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
        assert len(calls) == 1
        assert files() == []
        engine.check(engine.ask(BEFORE + "x", AFTER))
        assert len(calls) == 1
    assert "is removed" in caplog.text


def test_other_prompts_make_room_for_a_loaded_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where cells are short, the prompts unused for longest are forgotten for it."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    with start(monkeypatch, n_ctx=1000) as engine:
        engine.check(engine.ask(OTHER, AFTER[:100]))
        engine.check(engine.ask(BEFORE + "x", AFTER))
        assert engine.llama.n_loaded == 1
        assert sum(len(slot.tokens) > 0 for slot in engine.backend._table.slots) == 1


def test_nothing_is_loaded_where_others_are_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A prompt that finds no room beside those at work is left to be evaluated."""
    with start(monkeypatch) as engine:
        engine.check(engine.ask(BEFORE, AFTER))
    backend = start(monkeypatch, n_ctx=1000).backend
    slot = fill(backend, 0, OTHER)
    slot.busy = True
    tokens = backend._llama.tokenizer.encode(
        Recorder(engine.ask(BEFORE, AFTER).request).request.segments
    ).tokens
    free, plan = backend._table.choose(tokens) or (slot, None)
    assert plan is not None
    assert backend._keeper.restore(free, plan, tokens) is None
    assert backend._llama.sequence(0) == slot.tokens  # type: ignore[attr-defined]
    backend.close()


def test_the_first_pause_loads_what_was_used_last(monkeypatch: pytest.MonkeyPatch) -> None:
    """Into empty slots, so that the first key finds it there; half of the cells stay free."""
    with start(monkeypatch, n_slots=4) as engine:
        for number in range(4):
            engine.check(engine.ask(chr(3000 + number) * 500, ""))
    monkeypatch.setattr(keeper, "_WARM_UP_PAUSE_S", 0.0)
    loaded = threading.Condition()
    warm_up = keeper.Keeper._warm_up

    def watched(of: keeper.Keeper, prompt: kv_store.Stored) -> None:
        warm_up(of, prompt)
        with loaded:
            loaded.notify_all()

    monkeypatch.setattr(keeper.Keeper, "_warm_up", watched)
    with start(monkeypatch, n_slots=4) as engine:
        with loaded:
            assert loaded.wait_for(lambda: not engine.backend._keeper._to_warm, _PATIENCE_S)
        assert engine.llama.n_loaded == 3
        slots = engine.backend._table.slots
        assert [slot.tokens[1:2] for slot in slots] == [[3003], [3002], [3001], []]
        assert slots[0].last_used > slots[1].last_used > slots[2].last_used
        engine.check(engine.ask(chr(3003) * 500 + "x", "", max_tokens=0))
        assert engine.llama.n_evaluated == 3


# -- any session -------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(15))
def test_any_session_with_restarts_gives_every_text_right(
    monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    """Edits of several clients, aborts, cancellations, restarts, and files that go bad."""
    chance = random.Random(seed)
    monkeypatch.setattr(llama_backend, "_PAUSE_S", 0.0)
    monkeypatch.setattr(cells, "_MIN_SHARED", 16)
    monkeypatch.setattr(keeper, "_MIN_TOKENS", 16)
    monkeypatch.setattr(keeper, "_MIN_GAIN", 4)
    monkeypatch.setattr(keeper, "_SAVE_PAUSE_S", 0.0)
    monkeypatch.setattr(keeper, "_WARM_UP_PAUSE_S", 0.0)
    clients = ("a", "b", "c", "d", "e")
    texts = {client: "".join(chance.choices("abcdefgh\n", k=300)) for client in clients}
    sets = ((), (), (Adapter(path="/one"),))
    n_loaded = 0
    for _ in range(5):
        n_slots, n_ctx = chance.choice((1, 2, 4)), chance.choice((700, 1500, 3000))
        with start(monkeypatch, n_ctx=n_ctx, n_slots=n_slots) as engine:
            if chance.random() < 0.5:
                engine.backend._keeper.prefill_tokens_per_ms = 1e-6

            def abort_at_times(llama: FakeLlama = engine.llama) -> None:
                if chance.random() < 0.05:
                    llama.abort()

            engine.llama.before_ubatch = abort_at_times
            jobs: list[Recorder] = []
            for _ in range(12):
                client = chance.choice(clients)
                text = texts[client]
                at = chance.randrange(len(text))
                edit = "".join(chance.choices("xyz", k=chance.choice((0, 1, 1, 5, 60))))
                text = text[:at] + edit + text[min(len(text), at + chance.choice((0, 0, 1, 40))) :]
                texts[client] = text[:500]
                cursor = chance.choice((min(at + len(edit), len(texts[client])), 100))
                before, after = texts[client][:cursor], texts[client][cursor:]
                job = engine.ask(before, after, client, adapters=chance.choice(sets))
                jobs.append(job)
                if chance.random() < 0.2:
                    engine.cancel(chance.choice(jobs))
                if chance.random() < 0.5:
                    job.wait()
            for job in jobs:
                engine.check(job, may_be_full=n_ctx < 550 * n_slots)
        n_loaded += engine.llama.n_loaded
        for path in files():
            if chance.random() < 0.1:
                data = bytearray(path.read_bytes())
                data[chance.randrange(len(data))] ^= 1
                path.write_bytes(data[: chance.choice((len(data), chance.randrange(len(data))))])
    assert n_loaded > 0
