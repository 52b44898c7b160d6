"""The process that measures a model, seen from outside."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil
import pytest

from lsp_server.engine import measuring
from lsp_server.engine.measuring import Report
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineUnavailableError
from tests.engine.makers import speed

OPTIONS = EngineOptions(model_id="m", model_path="/m.gguf")


def printing(*reports: Report) -> str:
    """A script that prints reports, as the process does."""
    return "".join(
        f"print({msgspec.json.encode(each).decode()!r}, flush=True)\n" for each in reports
    )


def test_progress_and_figures(run_script: Callable[[str], None]) -> None:
    """Progress is passed on while it goes; lines of others are skipped; the last has figures."""
    done = Report(progress=1.0, speed=speed(321))
    run_script("print('llama: hello')\n" + printing(Report(progress=0.25), done))
    seen: list[float] = []
    assert measuring.measure(OPTIONS, seen.append) == speed(321)
    assert seen[-2:] == [0.25, 1.0]


def test_a_refusal_keeps_its_reason(run_script: Callable[[str], None]) -> None:
    """What the process says about its failure reaches the caller."""
    failure = Report(code="model_truncated", message="It is cut off.", hint="Fetch it again.")
    run_script(printing(failure) + "raise SystemExit(1)")
    with pytest.raises(EngineUnavailableError) as caught:
        measuring.measure(OPTIONS)
    assert (caught.value.code, caught.value.hint) == ("model_truncated", "Fetch it again.")
    assert caught.value.message == "It is cut off."


def test_a_crash_is_an_error(run_script: Callable[[str], None]) -> None:
    """A process that dies leaves an error, and the caller lives."""
    run_script("import os; os.abort()")
    with pytest.raises(EngineUnavailableError) as caught:
        measuring.measure(OPTIONS)
    assert caught.value.code == "measure_died"


def test_an_interruption_ends_the_process(run_script: Callable[[str], None]) -> None:
    """Ctrl-C while it measures leaves no process behind."""
    run_script(
        "import os, signal\nprint(f'{{\"progress\": 0.{os.getpid()}}}', flush=True)\nsignal.pause()"
    )
    pids: list[int] = []

    def interrupt(share: float) -> None:
        pids.extend(child.pid for child in psutil.Process(os.getpid()).children())
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        measuring.measure(OPTIONS, interrupt)
    assert pids
    assert not any(psutil.pid_exists(pid) for pid in pids)


def test_room_for_another_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A model is loaded beside others only where the free memory holds it, and to spare."""
    path = tmp_path / "m.gguf"
    path.write_bytes(bytes(1000))
    options = EngineOptions(model_id="m", model_path=str(path))
    memory = type("Memory", (), {"available": 1024**3 + 1000})
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    assert measuring.has_room(options)
    path.write_bytes(bytes(1001))
    assert not measuring.has_room(options)
    assert not measuring.has_room(OPTIONS)


def test_bad_arguments_of_the_process() -> None:
    """Started by hand with nonsense, the process says what it wants."""
    from lsp_server.engine.llama import measure

    assert measure.main([]) == 2
    assert measure.main(["{"]) == 2


def test_a_missing_model_is_reported(capsys: pytest.CaptureFixture[str]) -> None:
    """The process prints the reason as its last line."""
    from lsp_server.engine.llama import measure

    assert measure.main([msgspec.json.encode(OPTIONS).decode()]) == 1
    report = measuring.read_report(capsys.readouterr().out.splitlines()[-1].encode())
    assert report is not None
    assert report.code == "model_file_missing"
