"""What all tests share: private folders, no engine left behind, and the real default model."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from lsp_server import paths
from tests.processes import still_running

# Taken before any test points the variables elsewhere.
_USERS_CACHE_DIR = Path(os.environ.get("MIDFILL_TEST_CACHE_DIR") or paths.cache_dir()).absolute()
_FETCH_TIMEOUT_S = 3600
_ENGINE_TIMEOUT_S = 10


@pytest.fixture(autouse=True)
def private_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Point midfill's folders to temporary ones; returns the runtime folder.

    The runtime folder has a short name, since the address of a Unix socket holds about 100 bytes.
    """
    runtime = Path(tempfile.mkdtemp(prefix="mf-"))
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MIDFILL_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("MIDFILL_CONFIG_DIR", str(tmp_path / "config"))
    monkeypatch.setenv("MIDFILL_RUNTIME_DIR", str(runtime))
    yield runtime
    if any(runtime.iterdir()):
        end_engines(runtime)
    shutil.rmtree(runtime, ignore_errors=True)


@pytest.fixture(scope="session")
def default_model_cache() -> Path:
    """The cache folder that holds the default model, which is fetched when it is missing.

    That is the user's own cache folder, or ``MIDFILL_TEST_CACHE_DIR``. A test that uses the model
    sets ``MIDFILL_CACHE_DIR`` to it.
    """
    _USERS_CACHE_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (_USERS_CACHE_DIR / "tests.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if _midfill("model", "path").returncode != 0:
            fetched = _midfill("model", "fetch")
            if fetched.returncode != 0:
                unavailable(f"the default model cannot be fetched: {fetched.stderr[-2000:]}")
    return _USERS_CACHE_DIR


def unavailable(reason: str) -> None:
    """Skip the test with the reason; under ``CI=true`` nothing may be missing, so it fails."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def midfill_command() -> str:
    """The installed ``midfill`` command of the Python that runs the tests."""
    return str(Path(sys.executable).parent / "midfill")


def end_engines(runtime: Path) -> None:
    """End every engine of a runtime folder, and fail when one had to be killed."""
    engines = _engines(runtime)
    if not engines:
        return
    with contextlib.suppress(subprocess.TimeoutExpired):
        subprocess.run(
            [midfill_command(), "engine", "stop"],
            env={**os.environ, "MIDFILL_RUNTIME_DIR": str(runtime)},
            capture_output=True,
            timeout=_ENGINE_TIMEOUT_S,
            check=False,
        )
    stubborn = still_running(engines, _ENGINE_TIMEOUT_S)
    for engine in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            engine.kill()
    still_running(stubborn, _ENGINE_TIMEOUT_S)
    if stubborn:
        pytest.fail(f"{len(stubborn)} engine processes did not leave when asked to")


def _engines(runtime: Path) -> list[psutil.Process]:
    """Engine processes that were started for a runtime folder."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        if "lsp_server.engine.host" not in (process.info["cmdline"] or ()):
            continue
        with contextlib.suppress(psutil.Error):
            if process.environ().get("MIDFILL_RUNTIME_DIR") == str(runtime):
                found.append(process)
    return found


def _midfill(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [midfill_command(), *arguments],
        env={**os.environ, "MIDFILL_CACHE_DIR": str(_USERS_CACHE_DIR)},
        capture_output=True,
        text=True,
        timeout=_FETCH_TIMEOUT_S,
        check=False,
    )
