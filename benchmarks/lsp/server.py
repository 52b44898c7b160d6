"""A language server with folders, and so an engine, of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.lsp.client import LspClient, OnNotification
from benchmarks.machine import ROOT
from lsp_server.engine import spawn
from lsp_server.errors import EngineError

_POLL_S = 0.02


class PrivateServer:
    """Starts midfill's language server as an editor does.

    Logs, settings and sockets are in a folder of its own: neither the user's log nor the user's
    settings are touched or read, and no editor's requests get in between.

    Args:
        on_notification: called with the method and the params of each notification.
        timeout_s: how long an answer may take.

    Attributes:
        home: the folder; it is gone after ``aclose``.
    """

    def __init__(self, on_notification: OnNotification, *, timeout_s: float) -> None:
        # A short name: the address of a Unix socket holds about 100 bytes.
        self.home = Path(tempfile.mkdtemp(prefix="mfb-"))
        self._on_notification = on_notification
        self._timeout_s = timeout_s
        self._client: LspClient | None = None

    @property
    def state_dir(self) -> Path:
        """Where the server keeps its acceptance log."""
        return self.home / "state"

    @property
    def runtime_dir(self) -> Path:
        """Where the engine's socket lies."""
        return self.home / "run"

    @property
    def running(self) -> bool:
        """Whether it was started."""
        return self._client is not None

    @property
    def client(self) -> LspClient:
        """The other end of its stdio.

        Raises:
            EngineError: the server was not started.
        """
        if self._client is None:
            raise EngineError("The language server was not started.", code="server_gone")
        return self._client

    async def start(self, root: Path, settings: Mapping[str, Any]) -> None:
        """Start it in a workspace.

        Args:
            root: the workspace's folder.
            settings: options as an editor sends them, nested.

        Raises:
            EngineError: it cannot be started, or does not answer.
        """
        self._client = LspClient(
            [sys.executable, "-m", "lsp_server.cli", "serve"],
            cwd=str(ROOT),
            environment=self._environment(),
            timeout_s=self._timeout_s,
            on_notification=self._on_notification,
        )
        await self._client.start()
        uri = root.absolute().as_uri()
        # Whatever was suggested in another run must not be found again, unless that is measured.
        completion = {"cache_mib": 0, **settings.get("completion", {})}
        await self._client.request(
            "initialize",
            {
                "processId": os.getpid(),
                "clientInfo": {"name": "midfill-benchmarks"},
                "rootUri": uri,
                "workspaceFolders": [{"uri": uri, "name": root.name}],
                "capabilities": {
                    "general": {"positionEncodings": ["utf-16"]},
                    "textDocument": {"inlineCompletion": {}},
                },
                "initializationOptions": {**settings, "completion": completion},
            },
        )
        await self._client.notify("initialized", {})

    async def settled(self) -> None:
        """Wait until the engine has read the workspace, as far as it is told of it.

        Raises:
            EngineError: it does not come to an end.
        """
        until_s = time.monotonic() + self._timeout_s
        while not await self._is_settled():
            if time.monotonic() > until_s:
                raise EngineError("The engine does not read the workspace.", code="server_mute")
            await asyncio.sleep(_POLL_S)

    async def _is_settled(self) -> bool:
        status = await self.client.request("midfill/status", {})
        if status["texts"] == "telling":
            return False
        for socket in spawn.sockets(self.runtime_dir):
            engine = await spawn.query(socket)
            if engine is not None and engine.n_unread_texts:
                return False
        return True

    async def leave(self) -> None:
        """End the server; its engine stays for the next one."""
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    async def aclose(self) -> None:
        """End the server and its engine, which are gone when this returns."""
        try:
            await self.leave()
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "lsp_server.cli", "engine", "stop"),
                cwd=str(ROOT),
                env=self._environment(),
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
            )
            await process.wait()
        finally:
            shutil.rmtree(self.home, ignore_errors=True)

    def _environment(self) -> dict[str, str]:
        return {
            **os.environ,
            # The code of this checkout, whatever is installed.
            "PYTHONPATH": os.pathsep.join(filter(None, (str(ROOT), os.getenv("PYTHONPATH")))),
            "MIDFILL_STATE_DIR": str(self.state_dir),
            "MIDFILL_CONFIG_DIR": str(self.home / "config"),
            "MIDFILL_RUNTIME_DIR": str(self.runtime_dir),
        }
