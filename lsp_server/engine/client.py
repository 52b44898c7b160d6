"""The language server's end of the engine socket: connect, start on demand, stream, recover."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import subprocess
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import NamedTuple

import msgspec

from context.types import Segment
from lsp_server.engine import protocol, spawn
from lsp_server.engine.breaker import Breaker
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import Refused, StateChange
from lsp_server.engine.quarantine import Quarantine
from lsp_server.errors import (
    EngineError,
    EngineRefusedError,
    EngineUnavailableError,
    MidfillError,
    ProtocolError,
)
from lsp_server.types import SamplingParams, TokenChunk

log = logging.getLogger("midfill.client")

_CONNECT_TIMEOUT_S = 30.0
_POLL_S = 0.02


class _Stream:
    """A request that is not answered yet."""

    def __init__(self, prompt: Sequence[Segment]) -> None:
        self.prompt = prompt
        self.messages: asyncio.Queue[TokenChunk | Refused | EngineError] = asyncio.Queue()


class _Opened(NamedTuple):
    """A connection to an engine, and the state it was in."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    state: StateChange
    pid: int


class EngineClient:
    """A connection to the engine for these options, made when first needed.

    Args:
        options: which engine.
        name: who we are, for the engine's log.
        on_state: called with each state the engine reports, and with a ``failed`` one when
            it dies.
        survey: gives the models that the engine should measure when nobody needs it; asked at
            each connection.

    Attributes:
        state: what the engine reported last; None before.
        engine_pid: of its process; 0 before there was one.
    """

    def __init__(
        self,
        options: EngineOptions,
        *,
        name: str = "",
        on_state: Callable[[StateChange], None] | None = None,
        survey: Callable[[], Sequence[EngineOptions]] = tuple,
    ) -> None:
        self.options = options
        self.breaker = Breaker()
        self.quarantine = Quarantine(hint=f"The engine's log: {options.log_path}")
        self.state: StateChange | None = None
        self._name = name
        self._on_state = on_state or (lambda _state: None)
        self._survey = survey
        self._ids = itertools.count(1)
        self._streams: dict[int, _Stream] = {}
        self._writer: asyncio.StreamWriter | None = None
        self._reader_task: asyncio.Task[None] | None = None
        self._connecting = asyncio.Lock()
        self._settled = asyncio.Event()
        self._closed = False
        self.engine_pid = 0

    async def generate(
        self,
        segments: Sequence[Segment],
        sampling: SamplingParams,
        *,
        stop: Sequence[str] = (),
        heal_bytes: int = 0,
        lane: protocol.Lane = "interactive",
        adapters: Sequence[protocol.Adapter] = (),
        detours: Sequence[protocol.Detour] = (),
        home: protocol.Home = protocol.NOWHERE,
        whole_corpus: bool = False,
    ) -> AsyncGenerator[TokenChunk]:
        """Stream a completion, see Generate; leaving the loop early cancels it in the engine.

        Raises:
            EngineUnavailableError: the engine cannot be started, or died meanwhile.
            EngineRefusedError: it answered with a reason code, or this very prompt ended it twice.
        """
        self.quarantine.check(segments)
        await self.connect()
        request_id = next(self._ids)
        stream = _Stream(segments)
        self._streams[request_id] = stream
        finished = served = False
        try:
            self._send(
                protocol.Generate(
                    request_id=request_id,
                    segments=tuple(segments),
                    sampling=sampling,
                    stop=tuple(stop),
                    heal_bytes=heal_bytes,
                    lane=lane,
                    adapters=tuple(adapters),
                    detours=tuple(detours),
                    home=home,
                    whole_corpus=whole_corpus,
                )
            )
            while not finished:
                message = await stream.messages.get()
                if isinstance(message, EngineError):
                    finished = True
                    raise message
                if isinstance(message, Refused):
                    finished = True
                    raise EngineRefusedError(message.message, code=message.code, hint=message.hint)
                finished = message.finish_reason is not None
                served = served or finished or bool(message.logprobs)
                yield message
        except EngineError:
            served = False
            raise
        finally:
            self._streams.pop(request_id, None)
            if not finished and self._writer is not None:
                with contextlib.suppress(EngineError):
                    self._send(protocol.Cancel(request_id=request_id))
            # Most streams are left early, once the text is whole: that is success as well.
            if served:
                self.breaker.succeeded()
                if sampling.max_tokens:
                    self.quarantine.served(segments)

    async def wake(self) -> None:
        """Have the engine load its model again if it was unloaded: a request is to be expected.

        Raises:
            EngineUnavailableError: see ``connect``.
        """
        await self.connect()
        self._send(protocol.Wake())

    def tell(self, corpus: str, path: str, text: str) -> bool:
        """Tell the engine a text of a workspace, see Text; False if there is no connection."""
        if self._writer is None or self._writer.is_closing():
            return False
        self._send(protocol.Text(corpus=corpus, path=path, text=text))
        return True

    async def connect(self) -> None:
        """Make sure there is a connection, starting the engine if none runs.

        Raises:
            EngineUnavailableError: it cannot be started or reached, or failed too often.
        """
        async with self._connecting:
            if self._closed:
                raise EngineUnavailableError("The client is closed.", code="client_closed")
            if self._writer is not None and not self._writer.is_closing():
                return
            if (wait_s := self.breaker.wait_s()) > 0:
                raise EngineUnavailableError(
                    f"The engine failed {self.breaker.n_failures} times within a minute; "
                    f"next try in {wait_s:.0f} s.",
                    code="engine_backoff",
                    hint=f"Its log: {self.options.log_path}",
                )
            try:
                opened = await self._open()
            except MidfillError:
                self.breaker.failed()
                raise
            self._settled.clear()
            self._writer = opened.writer
            self.engine_pid = opened.pid
            self._reader_task = asyncio.create_task(self._read(opened))
            self._send(
                protocol.Hello(
                    protocol=protocol.PROTOCOL_VERSION, pid=os.getpid(), client=self._name
                )
            )
            self._name_models()

    async def settle(self) -> None:
        """Wait until the engine has loaded its model, or is not about to.

        Only then it is known what the model can do and how long its prompts may be.

        Raises:
            EngineUnavailableError: see ``connect``; or the model cannot be loaded.
        """
        await self.connect()
        await self._settled.wait()
        state = self.state
        if state is not None and state.state == "failed":
            raise EngineUnavailableError(state.message, code=state.code, hint=state.hint)

    async def aclose(self) -> None:
        """Close the connection; the engine goes on for other clients."""
        self._closed = True
        self._settled.set()
        if self._writer is not None:
            self._writer.close()
        if self._reader_task is not None:
            self._reader_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._reader_task

    # -- inside --------------------------------------------------------------------------

    def _name_models(self) -> None:
        """Tell the engine what to measure; suggestions do not depend on it."""
        try:
            models = self._survey()
        except MidfillError as error:
            log.warning("no model will be measured: %s", error)
            return
        if models:
            encoded = tuple(msgspec.json.encode(options).decode() for options in models)
            self._send(protocol.Survey(models=encoded))

    async def _open(self) -> _Opened:
        if opened := await self._greet():
            return opened
        process = await asyncio.to_thread(spawn.start_engine, self.options)
        deadline_s = time.monotonic() + _CONNECT_TIMEOUT_S
        # The engine listens before it loads the model, so this takes well under a second.
        while time.monotonic() < deadline_s:
            if opened := await self._greet(process.pid):
                return opened
            if self._has_left(process):
                # Another engine held the lock. If it is leaving, a later try will succeed.
                process = await asyncio.to_thread(spawn.start_engine, self.options)
            await asyncio.sleep(_POLL_S)
        raise EngineUnavailableError(
            "The engine process does not answer.",
            code="engine_silent",
            hint=f"Its log: {self.options.log_path}",
        )

    async def _greet(self, started_pid: int | None = None) -> _Opened | None:
        """Connect and wait for the engine's Welcome and state; None if nobody is there.

        A dying engine may still accept a connection, so an accepted one proves nothing. One that
        failed is about to leave: only of the one we started we want to know why.
        """
        try:
            reader, writer = await asyncio.open_unix_connection(str(self.options.socket_path))
        except OSError:
            return None
        try:
            welcome, state = [await _message(reader), await _message(reader)]
            if (
                isinstance(welcome, protocol.Welcome)
                and isinstance(state, StateChange)
                and (state.state != "failed" or welcome.pid == started_pid)
            ):
                return _Opened(reader, writer, state, welcome.pid)
        except ProtocolError as error:
            log.warning("no engine at the socket: %s", error)
        writer.close()
        return None

    def _has_left(self, process: subprocess.Popen[bytes]) -> bool:
        code = process.poll()
        if code not in (None, 0):
            raise EngineUnavailableError(
                f"The engine process ended at once (code {process.returncode}).",
                code="engine_start_failed",
                hint=f"Its log: {self.options.log_path}. Run: midfill doctor",
            )
        return code == 0

    async def _read(self, opened: _Opened) -> None:
        reader, writer, state, _ = opened
        error = EngineUnavailableError("The engine process ended.", code="engine_died")
        try:
            self._dispatch(state)
            while (body := await protocol.read_frame(reader)) is not None:
                self._dispatch(protocol.decode_engine(body))
        except ProtocolError as problem:
            error = EngineUnavailableError(str(problem), code=problem.code)
        finally:
            if self._writer is writer:
                self._writer = None
            writer.close()
            failed = self.state is not None and self.state.state == "failed"
            if failed and self.state is not None:
                error = EngineUnavailableError(
                    self.state.message, code=self.state.code, hint=self.state.hint
                )
            self._settled.set()
            if not self._closed:
                self.breaker.failed()
                if not failed:
                    self.quarantine.died([stream.prompt for stream in self._streams.values()])
                    self._set_state(
                        StateChange(state="failed", code=error.code, message=error.message)
                    )
            for stream in self._streams.values():
                stream.messages.put_nowait(error)

    def _dispatch(self, message: protocol.EngineMessage) -> None:
        match message:
            case TokenChunk() | Refused():
                if stream := self._streams.get(message.request_id):
                    stream.messages.put_nowait(message)
            case StateChange():
                self._set_state(message)
                if message.state == "failed" and self._writer is not None:
                    # A failed engine leaves once nobody holds on to it; the next request
                    # starts a new one, so a repaired model is picked up.
                    self._writer.close()
            case _:
                log.debug("unexpected %s", type(message).__name__)

    def _set_state(self, state: StateChange) -> None:
        self.state = state
        if state.state != "loading":
            self._settled.set()
        self._on_state(state)

    def _send(self, message: protocol.ClientMessage) -> None:
        if self._writer is None or self._writer.is_closing():
            raise EngineUnavailableError("The engine process ended.", code="engine_died")
        self._writer.write(protocol.encode(message))


async def _message(reader: asyncio.StreamReader) -> protocol.EngineMessage | None:
    body = await protocol.read_frame(reader)
    return None if body is None else protocol.decode_engine(body)
