"""Tells the engine the texts of the workspaces: its n-gram model is made of them."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Literal

from lsp_server.completion.engine_link import EngineLink
from lsp_server.engine.protocol import NOWHERE, Home
from lsp_server.errors import MidfillError
from lsp_server.types import Snapshot
from lsp_server.workspace.workspaces import Workspaces

# A document is told again when nobody has edited it for so long. What is typed now stands in the
# prompt in any case.
_REST_S = 1.0
# Of source code; more stand in a token on average.
_BYTES_PER_TOKEN = 4

log = logging.getLogger("midfill.completion")


class Feed:
    """Tells of each workspace once it is asked about, and then of what changes.

    Args:
        engine: is told.
        workspaces: have the texts. A document outside of them is a workspace of its own.
    """

    def __init__(self, engine: EngineLink, workspaces: Workspaces) -> None:
        self._engine = engine
        self._workspaces = workspaces
        # Of the engine's process: another one knows nothing.
        self._pid = 0
        self._telling: dict[str, asyncio.Task[None]] = {}
        self._again: set[asyncio.Task[None]] = set()
        self._timers: dict[str, asyncio.TimerHandle] = {}

    @property
    def is_on(self) -> bool:
        """Whether the engine is to have texts."""
        return self._engine.settings.context.n_corpus_tokens > 0

    @property
    def state(self) -> Literal["none", "telling", "told"]:
        """Whether the engine has what it is to have."""
        if not self._telling:
            return "none"
        tasks = (*self._telling.values(), *self._again)
        return "told" if all(task.done() for task in tasks) else "telling"

    def enter(self, uri: str) -> Home:
        """Where a document lives; its workspace is told of if it was not yet.

        Args:
            uri: of the document.
        """
        if not self.is_on:
            return NOWHERE
        home = self._home(uri)
        if self._pid != self._engine.pid:
            self._pid = self._engine.pid
            self._stop()
        if self._pid and home.corpus not in self._telling:
            self._telling[home.corpus] = asyncio.create_task(self._tell_all(uri, home))
        return home

    async def told(self, uri: str) -> None:
        """Tell all of a document's workspace, and wait for it."""
        if (task := self._telling.get(self.enter(uri).corpus)) is not None:
            await asyncio.wait([task])

    def edited(self, snapshot: Snapshot) -> None:
        """A document was edited."""
        self._forget_timer(snapshot.uri)
        if self.is_on:
            loop = asyncio.get_running_loop()
            self._timers[snapshot.uri] = loop.call_later(_REST_S, self.changed, snapshot.uri)

    def changed(self, uri: str) -> None:
        """A file is another one now, or is gone."""
        self._forget_timer(uri)
        home = self._home(uri)
        if home.corpus in self._telling:
            task = asyncio.create_task(self._tell(uri, home))
            self._again.add(task)
            task.add_done_callback(self._again.discard)

    def restart(self) -> None:
        """Other files count now: have the engine forget what it was told, and begin anew."""
        for corpus in self._telling:
            self._engine.tell(corpus, "", "")
        self._stop()

    async def aclose(self) -> None:
        """End all telling."""
        tasks = [*self._telling.values(), *self._again]
        self._stop()
        for uri in list(self._timers):
            self._forget_timer(uri)
        for task in tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task

    def _home(self, uri: str) -> Home:
        corpus, path = self._workspaces.place_of(uri) or (uri, uri)
        return Home(corpus=corpus, path=path)

    def _stop(self) -> None:
        for task in (*self._telling.values(), *self._again):
            task.cancel()
        self._telling.clear()

    def _forget_timer(self, uri: str) -> None:
        if (timer := self._timers.pop(uri, None)) is not None:
            timer.cancel()

    async def _tell_all(self, uri: str, home: Home) -> None:
        max_bytes = _BYTES_PER_TOKEN * self._engine.settings.context.n_corpus_tokens
        n_texts = 0
        with contextlib.suppress(MidfillError):
            async for path, text in self._workspaces.texts(uri, max_bytes):
                self._engine.tell(home.corpus, path, text)
                n_texts += 1
        log.debug("the engine was told %d texts", n_texts)

    async def _tell(self, uri: str, home: Home) -> None:
        with contextlib.suppress(MidfillError):
            self._engine.tell(home.corpus, home.path, await self._workspaces.text(uri))
