"""The GPU a model may count on."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

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
