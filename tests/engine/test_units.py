"""Parts of the engine that need no process: slots, lanes, stop strings, frames, the breaker."""

from __future__ import annotations

import asyncio
import random
import threading
from typing import Any

import msgspec
import pytest

from lsp_server.engine import protocol
from lsp_server.engine.breaker import Breaker
from lsp_server.engine.job import Job, StopStrings
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.llama.reuse import Plan
from lsp_server.engine.llama.slots import Slot, SlotTable
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import Generate
from lsp_server.errors import ProtocolError


def job(number: int, lane: Any = "interactive", client: str = "") -> Job:
    """A job nobody waits for."""
    request = Generate(request_id=number, segments=(), lane=lane)
    return Job(request, answer=lambda _: None, loop=asyncio.new_event_loop(), client=client)


# -- slots -------------------------------------------------------------------------------


def choose(table: SlotTable, tokens: list[int]) -> tuple[Slot, Plan]:
    """The slot for a prompt; the prompt then lies in it."""
    chosen = table.choose(tokens)
    assert chosen is not None
    chosen[0].tokens = tokens
    return chosen


def test_typing_stays_in_its_slot() -> None:
    """A prompt that shares most with a slot reuses it, up to the token whose logits are needed."""
    table = SlotTable(n_slots=3)
    slot, plan = choose(table, [1, 2, 3, 4])
    assert plan.n_kept == 0
    again, plan = choose(table, [1, 2, 3, 9])
    assert (again, plan.n_kept) == (slot, 3)
    same, plan = choose(table, [1, 2, 3, 9])
    assert (same, plan.n_kept) == (slot, 3)


def test_another_file_gets_another_slot() -> None:
    """Prompts with little in common do not push each other out while there is room."""
    table = SlotTable(n_slots=2)
    first, _ = choose(table, [1] * 10)
    second, _ = choose(table, [1, 1, *([2] * 8)])
    assert second is not first
    third, _ = choose(table, [3] * 10)
    assert third is first  # unused for longest


def test_a_slot_at_work_is_left_alone() -> None:
    """A prompt goes to a free slot even if another holds it already; with none free it waits."""
    table = SlotTable(n_slots=2)
    first, _ = choose(table, list(range(10)))
    first.busy = True
    second, _ = choose(table, list(range(10)))
    assert second is not first
    second.busy = True
    assert table.choose([1]) is None


def test_an_edit_at_the_top_finds_its_slot_by_what_can_be_moved() -> None:
    """Where next to nothing is left of the beginning, the moved rest tells the slot."""
    table = SlotTable(n_slots=3)
    text = list(range(100, 300))
    first, _ = choose(table, [1, *text])
    choose(table, list(range(1000, 1200)))
    again, plan = choose(table, [1, 7, 8, *text])
    assert again is first
    assert plan.n_moved > 150


def test_a_donor_shares_its_beginning() -> None:
    """Another slot that holds more of the prompt's beginning is found, at work or not."""
    table = SlotTable(n_slots=2)
    first, _ = choose(table, list(range(100)))
    first.busy = True
    wanted = [*range(80), 7, 7]
    slot, _ = table.choose(wanted) or (first, None)
    assert table.donor(slot, wanted) == (first, 80)
    slot.tokens = wanted[:80]
    assert table.donor(slot, wanted) is None


# -- lanes -------------------------------------------------------------------------------


def test_interactive_jobs_come_first() -> None:
    """Prefetches wait until nobody waits for an answer, and warm-ups until nobody prefetches."""
    lanes = Lanes()
    jobs = [job(1, "warm_up"), job(2), job(3, "prefetch")]
    for each in jobs:
        lanes.put(each)
    assert [lanes.take() for _ in range(4)] == [jobs[1], jobs[2], jobs[0], None]


def test_clients_take_turns_and_their_newest_job_comes_first() -> None:
    """A client that asks a lot does not push another one back."""
    lanes = Lanes()
    a1, a2, a3, b1 = (job(n, client=c) for n, c in ((1, "a"), (2, "a"), (3, "a"), (4, "b")))
    for each in (a1, a2, a3, b1):
        lanes.put(each)
    assert [lanes.take() for _ in range(4)] == [a3, b1, a2, a1]


def test_a_waiting_job_can_be_taken_out_once() -> None:
    """Only a job that still waits is removed."""
    lanes = Lanes()
    waiting = job(1)
    lanes.put(waiting)
    assert lanes.remove(waiting)
    assert not lanes.remove(waiting)
    assert len(lanes) == 0


def test_closing_wakes_the_worker() -> None:
    """A worker that waits for a job is told that none comes."""
    lanes = Lanes()
    got: list[bool] = []
    worker = threading.Thread(target=lambda: got.append(lanes.wait()))
    worker.start()
    lanes.close()
    worker.join(10)
    assert got == [False]
    assert lanes.closed


def test_an_idle_back_end_is_sent_home() -> None:
    """After the idle time a wait ends and the order is to unload; a job brings it back."""
    lanes = Lanes(idle_s=0.001)
    assert lanes.order == "serve"
    assert not lanes.wait()
    assert (lanes.order, lanes.closed) == ("unload", True)
    waiting = job(1)
    lanes.put(waiting)
    assert (lanes.order, lanes.closed) == ("serve", False)
    assert lanes.wait()
    assert lanes.take() is waiting


def test_short_waits_add_up_to_the_idle_time() -> None:
    """A back end that looks up now and then, to use the pause, idles nevertheless."""
    lanes = Lanes(idle_s=0.02)
    # Each far shorter than the idle time, and together far longer.
    for _ in range(100):
        lanes.wait(0.001)
    assert lanes.order == "unload"


def test_a_wait_with_a_limit_ends_without_an_order() -> None:
    """Nobody is sent home because a short wait was in vain."""
    lanes = Lanes(idle_s=60)
    assert not lanes.wait(0.001)
    assert lanes.order == "serve"


def test_orders_come_in_this_rank() -> None:
    """Leaving counts more than a pause, a pause more than a job."""
    lanes = Lanes()
    lanes.pause()
    lanes.put(job(1))
    assert (lanes.order, lanes.paused, lanes.wait()) == ("pause", True, True)
    lanes.resume()
    assert (lanes.order, lanes.paused) == ("serve", False)
    lanes.pause()
    lanes.close()
    assert lanes.order == "leave"


def test_a_changed_order_is_noticed() -> None:
    """Who waits for another order gets it without polling."""
    lanes = Lanes()
    got: list[str] = []

    def wait_for_others() -> None:
        for order in ("serve", "pause", "unload"):
            lanes.await_other(order)
            got.append(lanes.order)
            told.release()

    told = threading.Semaphore(0)
    worker = threading.Thread(target=wait_for_others)
    worker.start()
    for act in (lanes.pause, lanes.resume, lanes.wake):
        act()
        assert told.acquire(timeout=30)
    worker.join(30)
    assert got == ["pause", "unload", "serve"]


def test_a_wait_can_be_ended_without_a_job() -> None:
    """Even before it began; one with a limit, which measures a pause, goes on."""
    lanes = Lanes()
    lanes.nudge()
    assert not lanes.wait(0.0)
    assert not lanes.wait()
    worker = threading.Thread(target=lanes.wait)
    worker.start()
    lanes.nudge()
    worker.join(10)
    assert not worker.is_alive()


# -- stop strings ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stop", "pieces", "sent", "stopped"),
    [
        ((), ["a", "b"], "ab", False),
        (("\n\n",), ["a\n", "b\n", "\nc"], "a\nb", True),
        (("END",), ["xE", "N", "D", "y"], "x", True),
        (("END",), ["xE", "N", "x"], "xENx", False),
        (("END",), ["xEN"], "xEN", False),
        (("b", "abc"), ["a", "bc"], "", True),
        (("",), ["a"], "a", False),
    ],
)
def test_stop_strings(stop: tuple[str, ...], pieces: list[str], sent: str, stopped: bool) -> None:
    """A stop string is found across pieces, nothing of it is sent, and nothing else is lost."""
    watch = StopStrings(stop)
    out = ""
    met = False
    for piece in pieces:
        text, met = watch.feed(piece)
        out += text
        if met:
            break
    if not met:
        out += watch.flush()
    assert (out, met) == (sent, stopped)


# -- frames ------------------------------------------------------------------------------


async def frames_of(data: bytes, chance: random.Random) -> list[bytes]:
    """Read frames from bytes that arrive in random pieces."""
    reader = asyncio.StreamReader()

    async def feed() -> None:
        at = 0
        while at < len(data):
            size = chance.randrange(1, 50)
            reader.feed_data(data[at : at + size])
            at += size
            await asyncio.sleep(0)
        reader.feed_eof()

    feeding = asyncio.create_task(feed())
    frames = []
    while (body := await protocol.read_frame(reader)) is not None:
        frames.append(body)
    await feeding
    return frames


async def test_frames_survive_any_split() -> None:
    """Whatever the pieces, the messages come out as they went in."""
    chance = random.Random(5)
    messages: list[protocol.ClientMessage] = [
        protocol.Hello(protocol=1, pid=2, client="é" * 300),
        protocol.Generate(request_id=7, segments=(), stop=("\n",)),
        protocol.Cancel(request_id=7),
        protocol.StatusQuery(),
        protocol.Shutdown(),
    ] * 20
    data = b"".join(protocol.encode(message) for message in messages)
    frames = await frames_of(data, chance)
    assert [protocol.decode_client(body) for body in frames] == messages


async def test_damaged_frames_are_errors_and_never_hang() -> None:
    """Random damage gives messages or a ProtocolError, nothing else, and always ends."""
    chance = random.Random(6)
    whole = b"".join(
        protocol.encode(protocol.Generate(request_id=i, segments=())) for i in range(5)
    )
    codes = set()
    for _ in range(2000):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        try:
            async with asyncio.timeout(10):
                for body in await frames_of(bytes(data), chance):
                    protocol.decode_client(body)
        except ProtocolError as error:
            codes.add(error.code)
    assert codes == {"frame_too_large", "frame_unreadable", "frame_cut"}


def test_an_oversized_message_is_refused_before_it_is_sent() -> None:
    """A prompt beyond the frame limit is an error at the sender."""
    huge = protocol.Hello(protocol=1, pid=1, client="x" * (protocol.MAX_FRAME_BYTES + 1))
    with pytest.raises(ProtocolError) as caught:
        protocol.encode(huge)
    assert caught.value.code == "frame_too_large"


def test_unknown_fields_are_ignored() -> None:
    """A newer peer may send more than we know."""
    body = msgspec.msgpack.encode({"type": "cancel", "request_id": 3, "reason": "new"})
    assert protocol.decode_client(body) == protocol.Cancel(request_id=3)


# -- options and breaker -----------------------------------------------------------------


def test_equal_options_share_a_key() -> None:
    """The key survives the way through JSON, and differs when an option differs."""
    options = EngineOptions(model_path="a.gguf", idle_exit_s=300)
    again = msgspec.json.decode(msgspec.json.encode(options), type=EngineOptions)
    assert again.key == options.key
    assert EngineOptions(model_path="b.gguf", idle_exit_s=300).key != options.key


def test_breaker_waits_longer_and_then_closes_the_door() -> None:
    """One failure is free; then 1, 2, 4 s; after five the door stays closed for the minute."""
    now = 0.0
    breaker = Breaker(clock=lambda: now)
    waits = []
    for _ in range(5):
        breaker.failed()
        waits.append(breaker.wait_s())
    assert waits == [0.0, 1.0, 2.0, 4.0, 60.0]
    now = 61.0
    assert breaker.wait_s() == 0.0


def test_a_served_request_resets_the_breaker() -> None:
    """Failures count only while nothing works."""
    breaker = Breaker(clock=lambda: 0.0)
    breaker.failed()
    breaker.failed()
    breaker.succeeded()
    assert breaker.wait_s() == 0.0
