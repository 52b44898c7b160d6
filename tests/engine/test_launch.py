"""From settings and fetched models to the engine that is started."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import pytest

from lsp_server.engine import launch, speeds
from lsp_server.engine.launch import engine_options
from lsp_server.models import catalog, machine, store
from lsp_server.settings import EngineSettings, ModelSettings, Settings
from tests.engine.makers import speed

SMALL, LARGE = "0.5b-instruct-q4", "1.5b-instruct-q4"


@pytest.fixture(autouse=True)
def two_models(private_folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two fetched models of the catalog, on a machine without a GPU."""
    entries = tuple(
        msgspec.structs.replace(entry, size_bytes=number)
        for number, entry in enumerate(catalog.ENTRIES, 1)
    )
    monkeypatch.setattr(catalog, "ENTRIES", entries)
    monkeypatch.setattr(machine, "gpu_memory_bytes", lambda: None)
    for name in (SMALL, LARGE):
        path = store.entry_path(catalog.find(name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(catalog.find(name).size_bytes))


def measured(name: str, first_line_ms: float, settings: Settings | None = None) -> None:
    """Keep figures of a model, as if it had been measured with these settings."""
    model = store.resolve(name)
    options = launch.options_for(model, settings or Settings())
    speeds.save(store.expected_sha256(model), options, speed(first_line_ms))


def test_default_first_and_the_larger_once_it_is_fast_enough() -> None:
    """At first the default starts at once; when the larger one was measured, that one."""
    settings = Settings()
    assert engine_options(settings).model_id == SMALL
    assert [options.model_id for options in launch.unmeasured(settings)] == [LARGE]
    measured(LARGE, 610)
    assert engine_options(settings).model_id == LARGE
    assert launch.unmeasured(settings) == ()
    assert launch.choose_model(settings).reason.endswith("610 ms ≤ 700 ms budget")


def test_the_budget_is_a_setting() -> None:
    """A tighter budget leaves the larger model aside, a wider one takes it."""
    measured(SMALL, 200)
    measured(LARGE, 900)
    assert engine_options(Settings()).model_id == SMALL
    wide = Settings(model=ModelSettings(budget_ms=1000))
    assert engine_options(wide).model_id == LARGE
    assert engine_options(Settings(model=ModelSettings(budget_ms=100))).model_id == SMALL


def test_figures_of_other_settings_do_not_count() -> None:
    """A model that was fast with all cores is not taken for one."""
    measured(LARGE, 610)
    one_core = Settings(engine=EngineSettings(n_threads=1))
    assert engine_options(one_core).model_id == SMALL
    assert [options.n_threads for options in launch.unmeasured(one_core)] == [1]


def test_a_named_model_is_taken_unmeasured() -> None:
    """Whoever names a model gets it, and no other one is measured."""
    measured(LARGE, 10)
    named = Settings(model=ModelSettings(id=SMALL))
    assert engine_options(named).model_id == SMALL
    assert launch.unmeasured(named) == ()


def test_a_change_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """The start at which auto takes another model says so, with the reason; the next does not."""
    settings = Settings()

    def start() -> str:
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            launch.tell_change(settings, engine_options(settings).model_id)
        return caplog.text

    assert start() == ""
    measured(LARGE, 610)
    told = start()
    assert f"auto takes {LARGE} now, not {SMALL}" in told
    assert "610 ms ≤ 700 ms budget" in told
    assert start() == ""
    launch.tell_change(Settings(model=ModelSettings(id=SMALL)), SMALL)
    assert start() == ""


def test_settings_reach_the_engine() -> None:
    """Speculation, and what prompts may take on disk, are part of what it is started with."""
    options = engine_options(Settings(engine=EngineSettings(speculation="on", kv_store_mib=7)))
    assert (options.speculation, options.kv_store_mib) == ("on", 7)
    assert options.key != engine_options(Settings()).key
