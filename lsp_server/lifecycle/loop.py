"""The main loop: messages in order, until it is time to leave."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable
from typing import Any

from lsp_server.lifecycle.channel import Channel, Ended, Event
from lsp_server.lifecycle.frames import Fault
from lsp_server.lifecycle.parent import ParentWatch, watch
from lsp_server.lifecycle.protocol import ServerProtocol
from lsp_server.lifecycle.reporting import describe

log = logging.getLogger("midfill.lsp")

CLOSE_GRACE_S = 0.5
FLUSH_GRACE_S = 0.3
HARD_EXIT_S = 0.95


class MainLoop:
    """Serves one client on two file descriptors.

    Args:
        protocol: handles the messages.
        read_fd: the client's messages.
        write_fd: ours.
        aclose: ends what the handlers started; called once before the loop ends.
        on_leaving: called with the exit code when the loop begins to end.
    """

    def __init__(
        self,
        protocol: ServerProtocol,
        read_fd: int,
        write_fd: int,
        *,
        aclose: Callable[[], Awaitable[None]],
        on_leaving: Callable[[int], None] = lambda _code: None,
    ) -> None:
        self._protocol = protocol
        self._aclose = aclose
        self._on_leaving = on_leaving
        self._channel = Channel(read_fd, write_fd, self._post)
        self._loop: asyncio.AbstractEventLoop
        self._left: asyncio.Future[int]
        self._parent_watch: asyncio.Task[None] | None = None

    async def run(self) -> int:
        """Serve until the client says exit, goes away, or the process is told to end.

        Returns:
            the exit code: 0 if the client had asked for shutdown before, else 1.
        """
        self._loop = asyncio.get_running_loop()
        self._left = self._loop.create_future()
        self._loop.set_exception_handler(_log_loop_error)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            name = signal.Signals(number).name
            self._loop.add_signal_handler(number, self._leave, f"the process received {name}")
        self._protocol.out = self._channel.writer
        self._protocol.on_ready = self._watch_parent
        self._protocol.on_exit = lambda: self._leave("the client said exit")
        self._channel.start()
        code = await self._left
        self._on_leaving(code)
        await self._end()
        return code

    def _post(self, event: Event) -> None:
        try:
            self._loop.call_soon_threadsafe(self._handle, event)
        except RuntimeError:
            # The loop has ended meanwhile; nobody waits for the event.
            log.debug("an event came after the end")

    def _handle(self, event: Event) -> None:
        if isinstance(event, Ended):
            self._leave(event.reason)
            return
        try:
            if self._left.done():
                return
            if isinstance(event, Fault):
                self._protocol.refuse_frame(event)
            else:
                self._protocol.receive(event.value)
        finally:
            self._channel.handled()

    def _watch_parent(self, process_id: int | None) -> None:
        parent = ParentWatch(process_id)
        work = watch(parent, lambda: self._leave("the editor's process has ended"))
        self._parent_watch = self._loop.create_task(work)

    def _leave(self, reason: str) -> None:
        if not self._left.done():
            log.info("leaving: %s", reason)
            self._left.set_result(0 if self._protocol.state == "shut_down" else 1)

    async def _end(self) -> None:
        if self._parent_watch is not None:
            self._parent_watch.cancel()
        self._protocol.cancel_all()
        try:
            await asyncio.wait_for(self._aclose(), CLOSE_GRACE_S)
        except TimeoutError:
            log.warning("closing took longer than %.1f s and was given up", CLOSE_GRACE_S)
        except Exception as error:
            log.error("closing failed: %s", describe(error))
        self._channel.writer.close()
        self._channel.writer.flush(FLUSH_GRACE_S)


def exit_hard_after(code: int, after_s: float = HARD_EXIT_S) -> None:
    """End the process in ``after_s`` seconds whatever still hangs, a thread in a system call say.

    An editor that has closed its side must not leave servers behind.
    """
    timer = threading.Timer(after_s, os._exit, (code,))
    timer.daemon = True
    timer.start()


def _log_loop_error(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    error = context.get("exception")
    where = describe(error) if error is not None else str(context.get("message", ""))
    log.error("unexpected error in the background: %s", where)
