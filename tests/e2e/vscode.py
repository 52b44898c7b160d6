"""A real VS Code: installed, served to a browser, and ended for sure."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
import psutil

from tests.processes import still_running

EXTENSION = Path(__file__).parents[2] / "editors" / "vscode"
CHROMIUM_OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
_FIRST_STEPS = "workbench.welcomePage.walkthroughs.openOnInstall"
USER_SETTINGS: dict[str, Any] = {
    "workbench.startupEditor": "none",
    _FIRST_STEPS: False,
    "workbench.tips.enabled": False,
    "workbench.secondarySideBar.defaultVisibility": "hidden",
    "telemetry.telemetryLevel": "off",
    "update.mode": "none",
    "extensions.autoUpdate": False,
    "extensions.autoCheckUpdates": False,
    "extensions.ignoreRecommendations": True,
    "security.workspace.trust.enabled": False,
    "chat.disableAIFeatures": True,
    "editor.wordBasedSuggestions": "off",
    "editor.quickSuggestions": {"other": "off", "comments": "off", "strings": "off"},
    "editor.minimap.enabled": False,
    "files.autoSave": "afterDelay",
    "files.autoSaveDelay": 100,
    # The editor indents by what it knows of the text so far, which on a busy machine is too little.
    "editor.autoIndent": "none",
    "editor.autoClosingBrackets": "never",
    "editor.trimAutoWhitespace": False,
    "git.enabled": False,
}
_INSTALLERS = Path(__file__).parent
_INSTALL_TIMEOUT_S = 1200
_BUILD_TIMEOUT_S = 600
_START_TIMEOUT_S = 120.0
_QUIT_TIMEOUT_S = 10.0
_POLL_S = 0.03

_Value = TypeVar("_Value")


class VSCodeMissingError(Exception):
    """There is no usable VS Code or browser and none can be installed; the message says why."""


def find_or_install_vscode() -> Path:
    """The command that serves VS Code to a browser; installed into the user's cache folder.

    Raises:
        VSCodeMissingError: it cannot be installed here.
    """
    folder = _cache_dir() / "vscode"
    _install("install_vscode.sh", folder)
    return folder / "code-server"


def find_or_install_chromium() -> Path:
    """A Chromium: ``CHROMIUM`` in the environment, one on the PATH, or one that is installed.

    Raises:
        VSCodeMissingError: there is none and none can be installed here.
    """
    for found in (os.environ.get("CHROMIUM"), shutil.which("chromium"), shutil.which("chrome")):
        if found:
            return Path(found)
    folder = _cache_dir() / "chromium"
    _install("install_chromium.sh", folder)
    return folder / "chromium"


def build_extension() -> Path:
    """The extension as a ``.vsix``, built from its sources as its README says.

    Raises:
        VSCodeMissingError: npm is not there or cannot fetch what the build needs.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise VSCodeMissingError("npm is needed to build the extension. Install Node.js 20.")
    folder = _cache_dir()
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "vsix.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (EXTENSION / "node_modules" / ".package-lock.json").exists():
            _run([npm, "ci", "--ignore-scripts"], EXTENSION)
        _run([npm, "run", "--silent", "check"], EXTENSION)
        _run([npm, "run", "--silent", "package"], EXTENSION)
    return EXTENSION / "midfill.vsix"


def _cache_dir() -> Path:
    return Path(platformdirs.user_cache_dir("midfill-tests", False))


def _install(installer: str, folder: Path) -> None:
    _run(["bash", str(_INSTALLERS / installer), str(folder)], _INSTALLERS, _INSTALL_TIMEOUT_S)


def _run(command: list[str], cwd: Path, timeout_s: float = _BUILD_TIMEOUT_S) -> None:
    try:
        done = subprocess.run(
            command, cwd=cwd, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise VSCodeMissingError(f"{command[0]} failed: {error}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).strip()[-2000:]
        raise VSCodeMissingError(f"{' '.join(command)} failed: {said}")


def wait_until(
    predicate: Callable[[], _Value | None],
    what: str | Callable[[], str],
    timeout_s: float = 10.0,
) -> _Value:
    """Ask again and again until the answer is truthy.

    Args:
        predicate: the question.
        what: is waited for; what is called says how it is in the end.
        timeout_s: seconds.

    Raises:
        AssertionError: it did not become so in time.
    """
    end_s = time.monotonic() + timeout_s
    while True:
        value = predicate()
        if value:
            return value
        if time.monotonic() > end_s:
            told = what if isinstance(what, str) else what()
            raise AssertionError(f"waited {timeout_s:g} s for {told}")
        time.sleep(_POLL_S)


def private_env(folder: Path, script: Mapping[str, Any]) -> dict[str, str]:
    """Variables with this Python's ``midfill``, private folders for it, and a scripted engine.

    Other files are in its prompts, as with a model on a GPU.

    Args:
        folder: empty; its name is short, since the address of a Unix socket holds about 100 bytes.
        script: what the engine answers, see ``lsp_server/engine/scripted.py``.
    """
    script_file = folder / "script.json"
    script_file.write_text(json.dumps(script))
    env = {name: value for name, value in os.environ.items() if not name.startswith("MIDFILL_")}
    for name in ("CACHE", "STATE", "CONFIG", "RUNTIME"):
        place = folder / name.lower()[:3]
        place.mkdir(mode=0o700)
        env[f"MIDFILL_{name}_DIR"] = str(place)
    settings = Path(env["MIDFILL_CONFIG_DIR"]) / "config.toml"
    model = json.dumps(f"scripted:{script_file}")
    settings.write_text(f"[model]\nid = {model}\n\n[context]\nn_tokens = 512\n")
    env["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
    return env


class CodeServer:
    """One VS Code server with folders of its own; use it as a context manager.

    Args:
        command: the code-server.
        folder: empty folder for its settings, extensions and logs.
        env: variables for it and all it starts; PATH decides which ``midfill`` is found.
        vsix: the extension to install.
        settings: the user's, beside USER_SETTINGS.
        trusts: whether every workspace is trusted; else the user has to say so.
    """

    def __init__(
        self,
        command: Path,
        folder: Path,
        env: Mapping[str, str],
        vsix: Path,
        settings: Mapping[str, Any] | None = None,
        *,
        trusts: bool = True,
    ) -> None:
        self.folder = folder
        home = folder / "home"
        home.mkdir(parents=True)
        written = {"User": {**USER_SETTINGS, **(settings or {})}}
        written["Machine"] = {_FIRST_STEPS: written["User"][_FIRST_STEPS]}
        for kind, values in written.items():
            file = self.settings_file(kind)
            file.parent.mkdir(parents=True)
            file.write_text(json.dumps(values))
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        # As if started from a shell; else the PATH is that of the user's login shell.
        own = {"HOME": str(home), "XDG_CONFIG_HOME": str(home / ".config"), "VSCODE_CLI": "1"}
        self.env = {**env, **own, "XDG_DATA_HOME": str(home / ".local")}
        arguments = [str(command), "--auth", "none", "--bind-addr", f"127.0.0.1:{self.port}"]
        arguments += ["--user-data-dir", str(folder / "data")]
        arguments += ["--extensions-dir", str(folder / "extensions")]
        arguments += ["--disable-telemetry", "--disable-update-check"]
        arguments += ["--disable-workspace-trust"] if trusts else []
        _run_in(self.env, [*arguments, "--install-extension", str(vsix)])
        self._log = (folder / "server.log").open("wb")
        self._process = psutil.Popen(
            arguments, env=self.env, stdout=self._log, stderr=subprocess.STDOUT
        )
        wait_until(self._is_up, "the VS Code server", _START_TIMEOUT_S)

    def settings_file(self, kind: str) -> Path:
        """The file of the settings of the ``User`` or the ``Machine``."""
        return self.folder / "data" / kind / "settings.json"

    def _is_up(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"the server left:\n{self.logs()}")
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2):
                return True
        except (OSError, urllib.error.URLError):
            return False

    def __enter__(self) -> CodeServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def url(self, workspace: Path, *files: Path) -> str:
        """Where a browser finds a window on a folder, with files opened."""
        host = f"127.0.0.1:{self.port}"
        payload = json.dumps([["openFile", f"vscode-remote://{host}{file}"] for file in files[:1]])
        query = urllib.parse.urlencode({"folder": str(workspace), "payload": payload})
        return f"http://{host}/?{query}"

    def processes(self, argument: str) -> list[psutil.Process]:
        """The running processes below it that have this argument."""
        found = []
        for process in self._process.children(recursive=True):
            with contextlib.suppress(psutil.Error):
                if argument in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found

    def n_connected(self) -> int:
        """How often the extension has started a midfill and been answered by it."""
        logs = self.folder.glob("data/**/*midfill*.log")
        return sum(log.read_text(errors="replace").count("the server runs: ") for log in logs)

    def logs(self) -> str:
        """The ends of the logs that tell of the extension."""
        parts = [(self.folder / "server.log").read_text(errors="replace")[-1500:]]
        for log in sorted(self.folder.glob("data/**/*midfill*.log")):
            parts.append(f"{log.name}:\n{log.read_text(errors='replace')[-4000:]}")
        for log in sorted(self.folder.glob("data/**/remoteexthost.log")):
            parts.append(f"{log.name}:\n{log.read_text(errors='replace')[-3000:]}")
        return "\n".join(parts)

    def close(self) -> None:
        """End the server and all that it started."""
        family = [self._process, *self._process.children(recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.terminate()
        alive = still_running(family, _QUIT_TIMEOUT_S)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        still_running(alive, _QUIT_TIMEOUT_S)
        self._log.close()


def _run_in(env: Mapping[str, str], command: list[str]) -> None:
    done = subprocess.run(
        command, env=dict(env), capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
