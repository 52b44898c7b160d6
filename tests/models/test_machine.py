"""The GPU a model may count on, and what else its speed depends on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lsp_server.models import machine


@pytest.fixture
def smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fake ``nvidia-smi`` in the PATH, and a CUDA build."""
    command = tmp_path / "nvidia-smi"
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setattr(machine, "_backend_libraries", lambda: ["libggml-cuda.so"])
    machine.gpu_memory_bytes.cache_clear()
    yield command
    machine.gpu_memory_bytes.cache_clear()


def answer(command: Path, script: str) -> int | None:
    """The memory found when ``nvidia-smi`` is that shell script."""
    command.write_text(f"#!/bin/sh\n{script}\n")
    command.chmod(0o755)
    return machine.gpu_memory_bytes()


def test_largest_gpu_counts(smi: Path) -> None:
    """With several GPUs the memory of the largest one is taken."""
    assert answer(smi, "echo 8192; echo 24576") == 24576 * 2**20


@pytest.mark.parametrize("script", ["exit 9", "echo '[N/A]'", "true"])
def test_failing_driver_is_no_gpu(smi: Path, script: str) -> None:
    """A driver that fails or knows nothing means no GPU."""
    assert answer(smi, script) is None


def test_hanging_driver_is_no_gpu(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver that does not answer in time means no GPU."""

    def late(*arguments: object, **options: object) -> None:
        raise subprocess.TimeoutExpired("nvidia-smi", 5)

    monkeypatch.setattr(subprocess, "run", late)
    assert answer(smi, "true") is None


def test_cpu_build_uses_no_gpu(smi: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without CUDA in llama.cpp a GPU does not count: its models would crawl on the CPU."""
    monkeypatch.setattr(machine, "_backend_libraries", lambda: ["libggml-cpu.so"])
    assert answer(smi, "echo 24576") is None


@pytest.fixture
def libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in place of the libraries of llama-cpp-python."""
    folder = tmp_path / "lib"
    folder.mkdir()
    (folder / "libllama.so").write_bytes(b"12345")
    monkeypatch.setattr(machine, "_libraries_folder", lambda: folder)
    machine.describe.cache_clear()
    yield folder
    machine.describe.cache_clear()


def test_a_machine_is_told_from_others(libraries: Path) -> None:
    """Its description is the same each time, and names a processor and its cores."""
    first = machine.describe()
    machine.describe.cache_clear()
    assert machine.describe() == first
    assert first.cpu
    assert first.n_cores >= 1
    assert first.gpu == ""


@pytest.mark.parametrize("change", ["another size", "another library"])
def test_another_build_is_another_machine(libraries: Path, change: str) -> None:
    """A build of the same version with other libraries is not taken for the old one."""
    before = machine.describe()
    if change == "another size":
        (libraries / "libllama.so").write_bytes(b"123456")
    else:
        (libraries / "libggml-blas.so").write_bytes(b"")
    machine.describe.cache_clear()
    assert machine.describe().llama_cpp != before.llama_cpp


@pytest.mark.parametrize(
    ("script", "expected"),
    [("echo 'A, 8 MiB'; echo 'B, 9 MiB'", "A, 8 MiB; B, 9 MiB"), ("exit 9", "")],
)
def test_names_of_the_gpus(smi: Path, script: str, expected: str) -> None:
    """All GPUs that a CUDA build can use are named; a failing driver names none."""
    answer(smi, script)
    assert machine._gpu_names() == expected


@pytest.mark.parametrize(("plugged", "expected"), [(True, False), (False, True), (None, False)])
def test_on_battery(monkeypatch: pytest.MonkeyPatch, plugged: bool | None, expected: bool) -> None:
    """Only a battery that is known to drain counts."""
    battery = type("Battery", (), {"power_plugged": plugged})
    monkeypatch.setattr(psutil, "sensors_battery", lambda: battery, raising=False)
    assert machine.on_battery() == expected
    monkeypatch.setattr(psutil, "sensors_battery", lambda: None, raising=False)
    assert not machine.on_battery()


def test_a_system_without_batteries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system cannot be asked, the machine counts as plugged in."""
    monkeypatch.delattr(psutil, "sensors_battery", raising=False)
    assert not machine.on_battery()
