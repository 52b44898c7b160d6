"""What was measured is kept, and counts only under the same circumstances."""

from __future__ import annotations

import logging
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from lsp_server import paths
from lsp_server.engine import speeds
from lsp_server.engine.options import EngineOptions
from lsp_server.models import machine
from lsp_server.models.machine import Machine
from tests.engine.makers import speed

SHA256 = "a" * 64
OPTIONS = EngineOptions(model_id="m", model_path="/m.gguf")
HERE = Machine(cpu="a CPU", n_cores=2, gpu="", llama_cpp="0.3 abc")


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Changes the machine."""

    def move(**changes: Any) -> None:
        elsewhere = msgspec.structs.replace(HERE, **changes)
        monkeypatch.setattr(machine, "describe", lambda: elsewhere)

    move()
    return move


def test_kept_and_found_again() -> None:
    """A measurement is found by hash and options, in a file that only the user can read."""
    assert speeds.find(SHA256, OPTIONS) is None
    assert speeds.save(SHA256, OPTIONS, speed(500)) == speed(500)
    assert speeds.find(SHA256, OPTIONS) == speed(500)
    assert speeds.find("b" * 64, OPTIONS) is None
    path = paths.cache_dir() / "speeds.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "changes", [{"cpu": "other"}, {"n_cores": 4}, {"gpu": "a GPU"}, {"llama_cpp": "0.4"}]
)
def test_another_machine_is_measured_anew(
    here: Callable[..., None], changes: dict[str, Any]
) -> None:
    """Another processor, core count, GPU or build of llama.cpp makes figures stale."""
    speeds.save(SHA256, OPTIONS, speed())
    here(**changes)
    assert speeds.find(SHA256, OPTIONS) is None
    here()
    assert speeds.find(SHA256, OPTIONS) == speed()


@pytest.mark.parametrize(
    ("changes", "counts"),
    [
        ({"n_threads": 1}, False),
        ({"n_gpu_layers": 0}, False),
        ({"flash_attention": "off"}, False),
        ({"model_path": "/other.gguf"}, True),
        ({"n_slots": 9}, True),
        ({"idle_exit_s": 1.0}, True),
        ({"speculation": "on"}, True),
    ],
)
def test_options_that_matter(changes: dict[str, Any], counts: bool) -> None:
    """Options that change speed make figures stale; the others do not."""
    speeds.save(SHA256, OPTIONS, speed())
    changed = msgspec.structs.replace(OPTIONS, **changes)
    assert (speeds.find(SHA256, changed) is not None) == counts


def test_the_best_of_several_sessions_counts() -> None:
    """Noise makes things slower only: the best of each figure is kept, and all runs counted."""
    speeds.save(SHA256, OPTIONS, speed(900, step_ms={1: 10.0, 2: 20.0}))
    speeds.save(SHA256, OPTIONS, speed(600, step_ms={1: 12.0, 2: 14.0, 4: 30.0}))
    joined = speeds.save(SHA256, OPTIONS, speed(800, step_ms={1: 11.0}))
    assert speeds.find(SHA256, OPTIONS) == joined
    assert joined.first_line_ms == 600
    assert joined.first_line_p50_ms == pytest.approx(660)
    assert (joined.n_sessions, joined.n_runs, joined.settled) == (3, 15, True)
    assert joined.step_ms == {1: 10.0, 2: 14.0, 4: 30.0}
    assert joined.decode_tokens_per_s == pytest.approx(10_000 / 600)


@pytest.mark.parametrize(
    "damage",
    [b"", b"{", b"\xff", b"[]", b'{"speeds": 7}', b'{"speeds": [{"key": 1}]}', b" " * 2_000_000],
)
def test_a_damaged_file_counts_as_empty(caplog: pytest.LogCaptureFixture, damage: bytes) -> None:
    """What cannot be read is said in the log, and replaced by the next measurement."""
    speeds.save(SHA256, OPTIONS, speed())
    (paths.cache_dir() / "speeds.json").write_bytes(damage)
    with caplog.at_level(logging.WARNING):
        assert speeds.find(SHA256, OPTIONS) is None
    assert "speeds are measured again" in caplog.text
    speeds.save(SHA256, OPTIONS, speed(300))
    assert speeds.find(SHA256, OPTIONS) == speed(300)


@pytest.mark.parametrize("figure", ["first_line_ms", "decode_tokens_per_s", "n_runs"])
def test_impossible_figures_count_as_damage(figure: str) -> None:
    """Zero or less is no measurement."""
    speeds.save(SHA256, OPTIONS, speed())
    path = paths.cache_dir() / "speeds.json"
    content = msgspec.json.decode(path.read_bytes())
    content["speeds"][0]["speed"][figure] = 0
    path.write_bytes(msgspec.json.encode(content))
    assert speeds.find(SHA256, OPTIONS) is None


def test_the_file_is_bounded() -> None:
    """Old figures are dropped when there are many."""
    for number in range(speeds._MAX_RECORDS + 3):
        speeds.save(f"{number:064x}", OPTIONS, speed())
    assert speeds.find(f"{2:064x}", OPTIONS) is None
    assert speeds.find(f"{3:064x}", OPTIONS) == speed()
    assert speeds.find(f"{speeds._MAX_RECORDS + 2:064x}", OPTIONS) == speed()


def test_a_folder_that_cannot_be_made_keeps_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where nothing can be written the figures still serve the one who measured."""
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "file" / "cache"))
    assert speeds.save(SHA256, OPTIONS, speed(400)) == speed(400)
    assert speeds.note_choice("m") == ""
    assert speeds.find(SHA256, OPTIONS) is None


def test_an_unknown_file_is_not_kept() -> None:
    """Without a hash there is nothing to find the figures by."""
    assert speeds.save("", OPTIONS, speed(400)) == speed(400)
    assert speeds.find("", OPTIONS) is None
    assert not (paths.cache_dir() / "speeds.json").exists()


def test_the_last_choice_is_told() -> None:
    """Each choice gives the one before it; figures are left as they are."""
    speeds.save(SHA256, OPTIONS, speed())
    assert speeds.note_choice("small") == ""
    assert speeds.note_choice("small") == "small"
    assert speeds.note_choice("large") == "small"
    assert speeds.note_choice("large") == "large"
    assert speeds.find(SHA256, OPTIONS) == speed()
