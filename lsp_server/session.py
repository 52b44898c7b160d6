"""What a server knows about its one client."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

from context.source import SUFFIXES
from lsp_server.documents import DocumentStore
from lsp_server.errors import MidfillError
from lsp_server.lifecycle.reporting import describe
from lsp_server.service import MakeService, Service, Unavailable
from lsp_server.types import Skip, Status

log = logging.getLogger("midfill.lsp")

Notify = Callable[[str, Any], None]
Ask = Callable[[str, Any], None]

_MESSAGE_ERROR, _MESSAGE_WARNING, _MESSAGE_INFO, _MESSAGE_LOG = 1, 2, 3, 4
_MAX_REASONS = 256

WATCHED_PATTERN = "**/*{" + ",".join(SUFFIXES) + "}"
# Asks the client to tell of files that are made, changed or removed by others.
WATCHED_FILES: dict[str, Any] = {
    "id": "midfill-files",
    "method": "workspace/didChangeWatchedFiles",
    "registerOptions": {"watchers": [{"globPattern": WATCHED_PATTERN}]},
}


class Session:
    """One client: its documents, what it can do, and what it was told.

    Args:
        make_service: called once, after ``initialize`` is answered.
        notify: sends a notification to the client.
        ask: sends a request to the client whose answer does not matter.
    """

    def __init__(self, make_service: MakeService, notify: Notify, ask: Ask) -> None:
        self._make_service = make_service
        self._service: Service | None = None
        self.editor_options: Mapping[str, Any] = {}
        self.documents = DocumentStore()
        self.client_name = ""
        self.has_inline_completion = False
        self.has_progress = False
        self.watches_files = False
        self.folders: tuple[Path, ...] = ()
        self.notify = notify
        self.ask = ask
        # One reader of the log at a time: a large one keeps a core busy.
        self.reading = asyncio.Lock()
        self._indexing: dict[str, str] = {}
        self._ready = False
        self._closed: asyncio.Task[None] | None = None
        self._status: Status | None = None
        self._shown_messages: set[str] = set()
        self._problems: tuple[str, ...] = ()
        self._told_reasons: set[tuple[str, str]] = set()
        self._background: set[asyncio.Future[Any]] = set()

    @property
    def service(self) -> Service:
        """The completion service; made when it is first needed."""
        if self._service is None:
            try:
                self._service = self._make_service(self.editor_options, self.client_name)
            except MidfillError as error:
                log.error("no completions: %s (%s)", error, error.code)
                self._service = Unavailable(Skip(reason=error.code, message=str(error)))
            except Exception as error:
                log.error("no completions: %s", describe(error))
                message = (
                    f"The server could not start ({type(error).__name__}). Run: midfill doctor"
                )
                self._service = Unavailable(Skip(reason="internal_error", message=message))
            self._service.on_status = self.report_status
            self._service.on_index_progress = self.report_indexing
        return self._service

    @property
    def status(self) -> Status:
        """What was reported last."""
        return self._status or Status(kind="Normal")

    def ready(self) -> None:
        """The client may be told things now; start the service."""
        if self._ready:
            return
        self._ready = True
        if self._status is not None:
            self.report_status(self._status)
        if self.watches_files:
            self.ask("client/registerCapability", {"registrations": [WATCHED_FILES]})
        self.spawn(self._start())

    async def _start(self) -> None:
        await self.service.start()
        self.service.open_folders(self.folders)

    async def configure(self, options: object) -> None:
        """The user has changed the options of the editor.

        Args:
            options: all of midfill's; what cannot be used stays as it was, and is told.
        """
        problems: tuple[str, ...] = ("they must be an object; all of them stay as they were.",)
        if isinstance(options, Mapping):
            problems = await self.service.reconfigure(options)
        if problems and problems != self._problems:
            message = f"midfill: settings: {' '.join(problems)}"
            self.notify("window/showMessage", {"type": _MESSAGE_WARNING, "message": message})
        self._problems = problems

    def report_status(self, status: Status) -> None:
        """Tell the client how things stand.

        Clients without a status line see each new warning or error once as a message.
        """
        self._status = status
        if not self._ready:
            return
        self.notify(
            "didChangeStatus",
            {"kind": status.kind, "busy": status.busy, "message": status.message},
        )
        if status.kind in ("Warning", "Error") and status.message:
            kind = _MESSAGE_ERROR if status.kind == "Error" else _MESSAGE_WARNING
            self._show_once(kind, status.message)
        if status.notice:
            # A model that is loaded again finds other figures; they are no news.
            self._show_once(_MESSAGE_INFO, status.notice, about=status.notice.split(":", 1)[0])

    def report_indexing(self, name: str, share: float, text: str) -> None:
        """Show how far the index of a folder is, where the client can show such things."""
        if not self.has_progress:
            return
        token = self._indexing.get(name)
        if share >= 1:
            if token is not None:
                del self._indexing[name]
                self.notify("$/progress", {"token": token, "value": {"kind": "end"}})
            return
        percent = int(100 * share)
        value = {"kind": "report", "message": text, "percentage": percent}
        if token is None:
            token = self._indexing[name] = f"midfill-index-{uuid.uuid4().hex[:8]}"
            self.ask("window/workDoneProgress/create", {"token": token})
            value |= {"kind": "begin", "title": f"Indexing {name}", "cancellable": False}
        self.notify("$/progress", {"token": token, "value": value})

    def _show_once(self, kind: int, message: str, *, about: str = "") -> None:
        told = self._shown_messages
        if (about or message) in told or len(told) >= _MAX_REASONS:
            return
        told.add(about or message)
        self.notify("window/showMessage", {"type": kind, "message": f"midfill: {message}"})

    def explain_skip(self, uri: str, skip: Skip) -> None:
        """Write a reason for an empty answer to the client's log, once for each document."""
        if not skip.message or (uri, skip.reason) in self._told_reasons:
            return
        if len(self._told_reasons) >= _MAX_REASONS:
            self._told_reasons.clear()
        self._told_reasons.add((uri, skip.reason))
        text = f"midfill: no suggestion ({skip.reason}): {skip.message}"
        self.notify("window/logMessage", {"type": _MESSAGE_LOG, "message": text})

    def forget_document(self, uri: str) -> None:
        """A document was closed; its reasons may be told again when it is opened."""
        self._told_reasons = {told for told in self._told_reasons if told[0] != uri}

    def spawn(self, work: Awaitable[Any]) -> asyncio.Future[Any]:
        """Run something in the background; a failure is logged and goes no further."""
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background_done)
        return task

    def _background_done(self, task: asyncio.Future[Any]) -> None:
        self._background.discard(task)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.error("work in the background failed: %s", describe(error))

    async def aclose(self) -> None:
        """Close the service; a second call waits for the first."""
        if self._closed is None:
            self._closed = asyncio.ensure_future(self._close())
        await asyncio.shield(self._closed)

    async def _close(self) -> None:
        try:
            if self._service is not None:
                await self._service.aclose()
        finally:
            # Not before: an accepted suggestion may be on its way to the log.
            for task in list(self._background):
                task.cancel()
