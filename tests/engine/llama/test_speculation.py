"""Guesses from the prompt: where they come from, when they are made, and that no text changes."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from lsp_server.engine.llama.model import ContextFull, Entry
from lsp_server.engine.llama.speculation import Lookup, Mode, Speculation
from lsp_server.types import TokenChunk
from tests.engine.driver import Recorder, fim_request
from tests.engine.llama.fake_llama import FakeLlama, expected_text
from tests.engine.llama.test_batches import Engine
from tests.engine.makers import speed

CPU_MS = {1: 10.0, 2: 18.0, 4: 24.0, 8: 44.0, 16: 66.0}
GPU_MS = {1: 10.0, 2: 10.2, 4: 10.5, 8: 11.0, 16: 12.0}
# A text that the copying fake goes on with for a while.
BEFORE = "def total(prices): return sum(price for price in prices)\ndef total(pri"
AFTER = "\nprint(total(prices), sum(price for price in prices))\n"


# -- where guesses come from -------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "others", "n_most", "expected"),
    [
        ("abcdef abc", (), 3, "def"),
        ("abcdef abc", (), 1, "d"),
        ("abcdef abc", (), 0, ""),
        ("abcdef bc", (), 3, ""),
        ("ab", ("ab",), 3, ""),
        ("", ("abcd",), 3, ""),
        ("xabc", ("zabc1", "xabc2", "yabc3"), 1, "2"),
        ("abc", ("zabc1", "yabc2"), 1, "2"),
        ("abc", ("zabc",), 3, ""),
        ("abc", ("zabc", "zabc12"), 9, "12"),
        ("abc", ("zabc1!2",), 9, "1"),
        ("abc1 abc", ("abc2",), 1, "1"),
    ],
    ids=[
        "its own text",
        "at most so many",
        "none wanted",
        "no match",
        "too short",
        "empty",
        "longest match",
        "the likelier text",
        "nothing follows",
        "up to the end of a text",
        "up to a marker",
        "the text itself comes first",
    ],
)
def test_guess(text: str, others: tuple[str, ...], n_most: int, expected: str) -> None:
    """What followed the longest match of the last tokens; the nearest of several."""
    lookup = Lookup([*map(ord, text)], [[*map(ord, o)] for o in others], lambda i: i != ord("!"))
    assert "".join(map(chr, lookup.guess(n_most))) == expected


def test_a_text_that_grows_is_the_same_as_a_whole_one() -> None:
    """Tokens that are added one by one are found like those that were there at first."""
    text = [*map(ord, "one two three one two four one two ")]
    whole = Lookup(text, (), lambda _: True)
    for size in (0, 1, 2, 3, 10):
        grown = Lookup(text[:size], ([*map(ord, "zz")],), lambda _: True)
        for token in text[size:]:
            grown.add([token])
        assert grown.guess(4) == whole.guess(4) == [*map(ord, "four")]
        assert grown.n_tokens == len(text)


# -- when they are made ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("mode", "step_ms", "expected"),
    [
        ("auto", CPU_MS, False),
        ("auto", GPU_MS, True),
        ("auto", None, False),
        ("off", GPU_MS, False),
        ("on", CPU_MS, True),
        ("on", None, True),
    ],
)
def test_only_where_it_gains(mode: Mode, step_ms: dict[int, float] | None, expected: bool) -> None:
    """``auto`` guesses where a batch was measured to cost little more than a token."""
    speculation = Speculation(mode)
    speculation.learn(None if step_ms is None else speed(step_ms=step_ms))
    assert (speculation.n_most(1) > 0) == expected
    assert speculation.describe().startswith("on" if expected else "off")


def test_many_texts_leave_less_to_gain() -> None:
    """With many texts in a batch the same guesses cost more."""
    speculation = Speculation("auto")
    speculation.learn(speed(step_ms={1: 10.0, 8: 10.5, 16: 21.0}))
    assert speculation.n_most(1) > speculation.n_most(4) > 0
    assert speculation.n_most(16) == 0


def test_wrong_guesses_end_guessing_for_a_while() -> None:
    """Where guesses turn out wrong fewer are made, then none; later they are tried again."""
    speculation = Speculation("auto")
    speculation.learn(speed(step_ms={1: 10.0, 2: 12.0, 4: 14.0, 8: 18.0}))
    first = speculation.n_most(1)
    for _ in range(200):
        speculation.checked(first, 0)
    assert first > 1
    assert speculation.n_most(1) == 0
    n_tries = next(n for n in range(1000) if speculation.n_most(1))
    assert n_tries > 10
    for _ in range(200):
        speculation.checked(4, 4)
    assert speculation.n_most(1) > first
    assert (speculation.n_guessed, speculation.n_right) == (200 * first + 800, 800)


# -- that no text changes ----------------------------------------------------------------


def run(engine: Engine, max_tokens: int = 60) -> Recorder:
    """A request whose text copies much of its prompt."""
    job = engine.ask(BEFORE, AFTER, max_tokens=max_tokens)
    engine.check(job)
    return job


def test_the_same_text_in_fewer_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """Right guesses save steps; what the prompt and its cells are afterwards is the same."""
    modes: tuple[Mode, ...] = ("off", "on")
    steps: dict[Mode, int] = {}
    for mode in modes:
        with Engine(monkeypatch, n_ctx=900, n_slots=1, speculation=mode, copies=True) as engine:
            job = run(engine)
            assert len(job.text) > 10
            slot = engine.backend._table.slots[0]
            assert engine.llama.sequence(slot.seq_id) == slot.tokens
            info = engine.backend.info()
            steps[mode] = engine.llama.n_batches
            assert (info.n_guessed_right > 0) == (mode == "on")
            assert info.n_guessed >= info.n_guessed_right
            assert job.last.timings is not None
            assert job.last.timings.n_generated == len(job.text)
    assert steps["on"] < steps["off"]


def test_the_last_suggestion_is_guessed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that was generated once is guessed whole where the same text comes again."""
    speculation = Speculation("on")
    speculation.remember(0, [1, 2, 3, 4, 5])
    assert speculation.last_text(0) == [1, 2, 3, 4, 5]
    assert speculation.last_text(1) == []
    before = "".join(map(chr, range(1003, 1043)))
    with Engine(monkeypatch, n_ctx=900, n_slots=1, speculation="on") as engine:
        first = engine.ask(before, "", max_tokens=40)
        engine.check(first)
        n_before = engine.llama.n_batches
        again = engine.ask(before, "", max_tokens=40)
        engine.check(again)
        assert len(again.text) > 4
        assert engine.llama.n_batches - n_before < len(again.text)


def test_no_guesses_at_a_temperature(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where tokens are drawn by chance nothing is guessed."""
    with Engine(monkeypatch, n_ctx=900, n_slots=1, speculation="on", copies=True) as engine:
        wanted = fim_request(BEFORE, AFTER, max_tokens=30, temperature=0.7)
        engine.check(engine.put(Recorder(wanted)))
        assert engine.backend.info().n_guessed == 0


@pytest.mark.parametrize("max_tokens", [1, 2, 3, 7])
def test_never_beyond_the_longest_text(monkeypatch: pytest.MonkeyPatch, max_tokens: int) -> None:
    """Guesses stay within the cells that were set aside for the text."""
    with Engine(monkeypatch, n_ctx=900, n_slots=1, speculation="on", copies=True) as engine:
        highest = 0
        decode = engine.llama.decode

        def watch(entries: Sequence[Entry]) -> None:
            nonlocal highest
            highest = max(highest, *(entry.position for entry in entries))
            decode(entries)

        monkeypatch.setattr(engine.llama, "decode", watch)
        job = run(engine, max_tokens=max_tokens)
        prompt = engine.llama.tokenizer.encode(job.request.segments).tokens
        assert len(prompt) - 1 <= highest < len(prompt) + max_tokens


def test_cancelled_amid_right_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the cancellation no further text is sent, however many guesses were right."""
    with Engine(monkeypatch, n_ctx=900, n_slots=1, speculation="on", copies=True) as engine:
        whole = expected_text(engine.llama, fim_request(BEFORE, AFTER, max_tokens=60))

        def stop_early(job: Recorder, chunk: TokenChunk) -> None:
            if len(job.text) == 4 and chunk.text:
                engine.cancel(job)

        wanted = fim_request(BEFORE, AFTER, max_tokens=60)
        job = engine.put(Recorder(wanted, on_chunk=stop_early))
        job.wait()
        assert job.last.finish_reason == "cancelled"
        assert job.text == whole[:4]
        run(engine)


def test_a_stop_string_ends_amid_right_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was guessed beyond a stop string is forgotten."""
    with Engine(monkeypatch, n_ctx=900, n_slots=1, speculation="on", copies=True) as engine:
        whole = expected_text(engine.llama, fim_request(BEFORE, AFTER, max_tokens=60))
        stop = whole[5:7]
        job = engine.put(Recorder(fim_request(BEFORE, AFTER, max_tokens=60, stop=(stop,))))
        job.wait()
        assert job.last.finish_reason == "stop"
        assert job.text == whole[: whole.index(stop)]
        slot = engine.backend._table.slots[0]
        assert engine.llama.sequence(slot.seq_id) == slot.tokens


def test_guesses_that_do_not_fit_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """When cells run out for a batch with guesses it is tried without them; nobody is refused."""
    with Engine(monkeypatch, n_ctx=900, n_slots=1, speculation="on", copies=True) as engine:
        n_refused = 0
        decode = engine.llama.decode

        def crowded(entries: Sequence[Entry]) -> None:
            nonlocal n_refused
            if sum(entry.wants_logits for entry in entries) > 1:
                n_refused += 1
                raise ContextFull
            decode(entries)

        monkeypatch.setattr(engine.llama, "decode", crowded)
        run(engine)
        assert n_refused > 0
        assert engine.backend.info().n_guessed == 0


def test_prompts_are_not_held_up_by_guesses(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many texts stream, most of a batch is left for the prompts of others."""
    with Engine(monkeypatch, n_ctx=4000, n_slots=4, speculation="on", copies=True) as engine:
        largest = 0
        decode = engine.llama.decode

        def watch(entries: Sequence[Entry]) -> None:
            nonlocal largest
            largest = max(largest, sum(entry.wants_logits for entry in entries))
            decode(entries)

        monkeypatch.setattr(engine.llama, "decode", watch)
        jobs = [engine.ask(BEFORE + letter, AFTER, letter, max_tokens=60) for letter in "abcd"]
        for job in jobs:
            engine.check(job)
        assert 1 < largest <= FakeLlama(1).n_ubatch // 4 + len(jobs)
