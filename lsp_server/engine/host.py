"""The engine process: a socket server around one worker, shared by all windows of a user.

Started on demand by the client as ``python -P -m lsp_server.engine.host OPTIONS`` (JSON). It
holds a lock file for its whole life, so there is at most one process, and one model in memory,
per set of options. It leaves when no client has been connected for ``idle_exit_s``; while it is
there, the model comes and goes with the requests, see worker.py.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Sequence

import msgspec
import psutil

from lsp_server import __version__, paths
from lsp_server.engine import pause, protocol
from lsp_server.engine.job import Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.loader import open_backend
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import EngineStatus, Generate, Refused, StateChange
from lsp_server.engine.survey import Survey
from lsp_server.engine.texts import Texts
from lsp_server.engine.worker import Loader, Worker
from lsp_server.errors import EngineRefusedError, MidfillError, ProtocolError
from lsp_server.types import TokenChunk

log = logging.getLogger("midfill.engine")

_FAILED_STAY_S = 5.0
# Of source code, on the small side.
_CHARS_PER_TOKEN = 4
# A client that does not read its answers is cut off instead of filling the memory.
_MAX_UNSENT_BYTES = 4 * 1024 * 1024


class Connection:
    """One client: its stream and its running jobs."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self.key = uuid.uuid4().hex
        self.writer = writer
        self.jobs: dict[int, Job] = {}
        self.client = "?"

    def send(self, message: protocol.EngineMessage) -> None:
        """Queue a message; a client that stopped reading is dropped."""
        if self.writer.is_closing():
            return
        if self.writer.transport.get_write_buffer_size() > _MAX_UNSENT_BYTES:
            log.warning("client %s does not read; dropped", self.client)
            self.writer.transport.abort()
            return
        self.writer.write(protocol.encode(message))


class Host:
    """The socket server: clients and their jobs, and the life of the process.

    Args:
        options: what to load.
        loader: opens the backend (replaced in tests).
    """

    def __init__(self, options: EngineOptions, loader: Loader = open_backend) -> None:
        self._options = options
        self._state = StateChange(state="loading", model=options.model_id)
        self._lanes = Lanes(options.unload_idle_s)
        n_chars = _CHARS_PER_TOKEN * options.n_corpus_tokens
        self._texts = Texts(n_chars) if n_chars else None
        self._worker = Worker(
            options, self._lanes, self._set_state_from_thread, loader, self._texts
        )
        self._connections: set[Connection] = set()
        self._started_s = time.monotonic()
        self._n_served = 0
        self._leave = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._survey = Survey(self._is_idle)

    async def run(self) -> None:
        """Listen until told to leave or idle for too long."""
        path = self._options.socket_path
        path.unlink(missing_ok=True)  # left by an engine that was killed; we hold its lock
        server = await asyncio.start_unix_server(self._serve_client, path=str(path))
        path.chmod(0o600)
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._leave.set)
        # Whoever pauses now finds the socket; whoever did before has left the flag.
        if pause.is_paused():
            self._pause()
        self._worker.start()
        self._restart_idle_timer()
        log.info("listening as pid %d", os.getpid())
        try:
            await self._leave.wait()
        finally:
            server.close()
            path.unlink(missing_ok=True)
            self._lanes.close()
            # Not a silent end of the stream: that would look like a crash.
            self._set_state(
                StateChange(
                    state="failed", code="engine_stopped", message="The engine was stopped."
                )
            )
            for connection in list(self._connections):
                connection.writer.close()
            self._worker.halt()
            await self._survey.aclose()
            await asyncio.to_thread(self._worker.join, 5.0)
            log.info("leaving")

    # -- the state -----------------------------------------------------------------------

    def _set_state_from_thread(self, state: StateChange) -> None:
        with contextlib.suppress(RuntimeError):  # the loop may have ended already
            self._loop.call_soon_threadsafe(self._set_state, state)

    def _set_state(self, state: StateChange) -> None:
        self._state = state
        self._survey.allow(state.state in ("loading", "ready") and not self._lanes.paused)
        for connection in self._connections:
            connection.send(state)
            if state.state == "failed":
                # Behind the state: what a client sends after a refusal must find a new engine.
                self._refuse_all(connection, _reason(state))
        # An engine that nobody uses does not live longer for having freed its memory.
        if not self._connections and state.state not in ("unloaded", "paused"):
            self._restart_idle_timer()

    def _pause(self) -> None:
        """Stop all work and free the model; ``paused`` is the state once that is done."""
        self._lanes.pause()
        self._survey.allow(False)
        for connection in self._connections:
            self._refuse_all(connection, pause.refusal())
        self._worker.halt()

    def _resume(self) -> None:
        self._lanes.resume()
        # The one that resumes is a command; any other is an editor, whose user is back.
        if len(self._connections) > 1:
            self._lanes.wake()
        if self._state.state != "paused":
            # Resumed before the pause was reached: those that were refused may ask again.
            self._set_state(self._state)

    # -- clients -------------------------------------------------------------------------

    async def _serve_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connection = Connection(writer)
        self._connections.add(connection)
        self._stop_idle_timer()
        connection.send(
            protocol.Welcome(
                protocol=protocol.PROTOCOL_VERSION, version=__version__, pid=os.getpid()
            )
        )
        connection.send(self._state)
        try:
            while (body := await protocol.read_frame(reader)) is not None:
                self._handle(connection, protocol.decode_client(body))
        except ProtocolError as error:
            log.warning("client %s: %s", connection.client, error)
        finally:
            self._connections.discard(connection)
            self._cancel_all(connection)
            self._lanes.forget(connection.key)
            with contextlib.suppress(OSError):
                writer.close()
            if not self._connections:
                self._restart_idle_timer()
                if self._state.state == "failed":
                    self._leave.set()

    def _handle(self, connection: Connection, message: protocol.ClientMessage) -> None:
        match message:
            case protocol.Hello():
                connection.client = f"{message.client or '?'} (pid {message.pid})"
            case protocol.Generate():
                self._enqueue(connection, message)
            case protocol.Text():
                if self._texts and self._texts.put(message.corpus, message.path, message.text):
                    self._lanes.nudge()
            case protocol.Cancel():
                if job := connection.jobs.get(message.request_id):
                    self._cancel(job)
            case protocol.Survey():
                self._survey.add(_readable_options(message.models))
            case protocol.StatusQuery():
                connection.send(self._status())
            case protocol.Wake():
                self._lanes.wake()
            case protocol.Pause():
                if message.paused:
                    self._pause()
                else:
                    self._resume()
            case protocol.Shutdown():
                if not message.keep_prompts:
                    self._worker.keep_prompts = False
                self._leave.set()

    def _enqueue(self, connection: Connection, request: Generate) -> None:
        if self._lanes.paused and not pause.is_paused():
            self._resume()  # the flag is the truth, even if nobody told us

        def answer(message: TokenChunk | Refused) -> None:
            if connection.jobs.get(request.request_id) is not job:
                return  # its last answer was given: what comes after a refusal is nobody's
            if isinstance(message, Refused) or message.finish_reason is not None:
                del connection.jobs[request.request_id]
                self._n_served += 1
            connection.send(message)

        job = Job(request, answer=answer, loop=self._loop, client=connection.key)
        connection.jobs[request.request_id] = job
        if self._state.state == "failed":
            self._refuse_all(connection, _reason(self._state))
        elif self._lanes.paused:
            self._refuse_all(connection, pause.refusal())
        else:
            self._survey.disturb()
            self._lanes.put(job)
            if request.lane == "interactive":
                self._worker.make_way(job)

    def _cancel(self, job: Job) -> None:
        job.cancel()
        if self._lanes.remove(job):
            job.answer(
                TokenChunk(request_id=job.request.request_id, text="", finish_reason="cancelled")
            )
        else:
            self._worker.interrupt(job)

    def _cancel_all(self, connection: Connection) -> None:
        for job in list(connection.jobs.values()):
            self._cancel(job)

    def _is_idle(self) -> bool:
        """Whether the model is loaded and nothing is done with it."""
        info = self._worker.info()
        resting = info is not None and info.resting
        return resting and not len(self._lanes) and self._state.state == "ready"

    def _refuse_all(self, connection: Connection, error: MidfillError) -> None:
        """Answer every job at once, whatever becomes of the work."""
        for job in list(connection.jobs.values()):
            job.cancel()
            self._lanes.remove(job)
            job.answer(job.refused(error))

    def _status(self) -> EngineStatus:
        info = self._worker.info()
        return EngineStatus(
            pid=os.getpid(),
            version=__version__,
            state=self._state.state,
            model=self._options.model_id,
            model_path=self._options.model_path,
            backend=info.name if info else self._options.backend,
            flash_attention=info.flash_attention if info else False,
            n_gpu_layers=info.n_gpu_layers if info else 0,
            n_ctx=info.n_ctx if info else 0,
            n_threads=info.n_threads if info else 0,
            slots=info.slots if info else (),
            # The one that asks is not counted.
            n_clients=len(self._connections) - 1,
            n_waiting=len(self._lanes),
            n_served=self._n_served,
            rss_bytes=psutil.Process().memory_info().rss,
            uptime_s=time.monotonic() - self._started_s,
            idle_exit_s=self._options.idle_exit_s,
            unload_idle_s=self._options.unload_idle_s,
            message=self._state.message,
            speculation=info.speculation if info else "",
            n_guessed=info.n_guessed if info else 0,
            n_guessed_right=info.n_guessed_right if info else 0,
            placement=info.placement if info else None,
            adapters=info.adapters if info else (),
            n_stored_prompts=info.n_stored_prompts if info else 0,
            stored_bytes=info.stored_bytes if info else 0,
            corpus_chars=self._texts.n_chars if self._texts else 0,
            n_unread_texts=info.n_unread_texts if info else 0,
        )

    # -- leaving -------------------------------------------------------------------------

    def _restart_idle_timer(self) -> None:
        self._stop_idle_timer()
        idle_s = self._options.idle_exit_s
        if self._state.state == "failed":
            # Stay just long enough for the client that started us to learn the reason.
            idle_s = min(idle_s, _FAILED_STAY_S)
        self._idle_timer = self._loop.call_later(idle_s, self._leave.set)

    def _stop_idle_timer(self) -> None:
        if self._idle_timer is not None:
            self._idle_timer.cancel()
            self._idle_timer = None


def _readable_options(models: Sequence[str]) -> list[EngineOptions]:
    found = []
    for text in models:
        try:
            found.append(msgspec.json.decode(text, type=EngineOptions))
        except msgspec.MsgspecError as error:
            log.warning("a model cannot be measured: %s", error)
    return found


def hold_lock(options: EngineOptions) -> int | None:
    """Take the lock of this engine; None if another process serves these options already.

    The operating system releases it when the process ends, however it ends.
    """
    paths.private_dir(paths.runtime_dir())
    descriptor = os.open(options.lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def _reason(state: StateChange) -> EngineRefusedError:
    return EngineRefusedError(state.message, code=state.code, hint=state.hint)


async def _main(options: EngineOptions) -> None:
    await Host(options).run()


def main(arguments: list[str] | None = None) -> int:
    """Entry point of the engine process; the one argument is an EngineOptions as JSON."""
    logging.basicConfig(
        level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    arguments = sys.argv[1:] if arguments is None else arguments
    try:
        options = msgspec.json.decode(arguments[0], type=EngineOptions)
    except (IndexError, msgspec.MsgspecError) as error:
        print(f"midfill engine: options expected as JSON: {error}", file=sys.stderr)
        return 2
    if hold_lock(options) is None:
        log.info("another engine serves these options")
        return 0
    asyncio.run(_main(options))
    return 0


if __name__ == "__main__":
    sys.exit(main())
