"""No damage to the byte stream hangs the server or costs the next valid request."""

from __future__ import annotations

import os
import random

import pytest

from tests.fuzz import frames
from tests.raw_client import RawClient

N_FRAMES = 10_000
METHOD_NOT_FOUND = -32601


def chosen_seed() -> int:
    """The seed of the environment, or a new one."""
    chosen = os.environ.get("MIDFILL_FUZZ_SEED")
    return int(chosen) if chosen else random.SystemRandom().randrange(2**32)


def test_the_valid_frame_behind_any_damage_arrives() -> None:
    """10,000 frames, half of them damaged, cut anywhere."""
    seed = chosen_seed()
    report = frames.run(N_FRAMES, seed)
    assert not report.lost, f"run again with MIDFILL_FUZZ_SEED={seed}: {report.lost[0]}"
    assert report.n_frames >= N_FRAMES
    assert report.n_faults > N_FRAMES // 4
    assert set(report.kinds) == set(frames.DAMAGE)


def test_a_parser_that_trusts_lengths_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fuzz sees a parser that never looks for the next header."""
    monkeypatch.setattr("lsp_server.lifecycle.frames._HEADER_TAIL_BYTES", 0)
    monkeypatch.setattr("lsp_server.lifecycle.frames.FrameParser._search", lambda _self: False)
    assert frames.run(1000, seed=1).lost


def test_a_server_answers_the_request_behind_any_damage() -> None:
    """A real process: after each kind of damage the next request has its answer."""
    seed = chosen_seed()
    rng = random.Random(seed)
    with RawClient() as client:
        client.initialize()
        for number, (kind, damage) in enumerate(list(frames.DAMAGE.items()) * 5):
            marker = f"valid {number}"
            for chunk in frames.chunks(rng, damage(rng)):
                client.send_bytes(chunk)
            client.send_bytes(frames.valid_frame(rng, marker))
            answer = client.answer(marker)
            assert answer["error"]["code"] == METHOD_NOT_FOUND, f"{kind}, seed {seed}"
        faults = [m["error"]["code"] for m in client.seen if "id" in m and m["id"] is None]
        assert set(faults) >= {-32700, -32600}
        client.request("shutdown")
        client.notify("exit")
        assert client.exit_code() == 0
