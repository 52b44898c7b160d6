"""A language client on the stdio of a server process: frames, requests, partial results."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from lsp_server.errors import EngineError, ProtocolError

_MAX_FRAME_BYTES = 64 * 1024 * 1024
_N_ERROR_LINES = 20
_LEAVE_S = 20.0

Json = dict[str, Any]
OnNotification = Callable[[str, Json], None]


class LspClient:
    """Starts a server and talks to it.

    Args:
        command: of the server.
        cwd: its folder.
        environment: its environment variables.
        timeout_s: how long an answer may take.
        on_notification: called with the method and the params of each notification.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        cwd: str,
        environment: Mapping[str, str],
        timeout_s: float,
        on_notification: OnNotification,
    ) -> None:
        self._command = command
        self._cwd = cwd
        self._environment = environment
        self._timeout_s = timeout_s
        self._on_notification = on_notification
        self._process: asyncio.subprocess.Process | None = None
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._next_id = 0
        self._errors: list[str] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._end: Exception | None = None

    async def start(self) -> None:
        """Start the process.

        Raises:
            EngineError: it cannot be started.
        """
        try:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                cwd=self._cwd,
                env=dict(self._environment),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                # Ctrl-C at the terminal is for the benchmark, which then ends the server.
                start_new_session=True,
            )
        except OSError as error:
            raise EngineError(
                f"The language server cannot be started: {error.strerror}.",
                code="server_start_failed",
                hint="Run: midfill doctor",
            ) from error
        self._tasks = [
            asyncio.create_task(self._read()),
            asyncio.create_task(self._read_errors()),
        ]

    async def request(self, method: str, params: object) -> Any:
        """Send a request and wait for its result; when cancelled, take it back.

        Raises:
            EngineError: the server died, refused the request or did not answer in time.
        """
        self._next_id += 1
        number = self._next_id
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            await self._send({"id": number, "method": method, "params": params})
            async with asyncio.timeout(self._timeout_s):
                answer = await future
        except asyncio.CancelledError:
            with contextlib.suppress(EngineError):
                await self.notify("$/cancelRequest", {"id": number})
            raise
        except TimeoutError as error:
            raise EngineError(
                f"The language server has not answered {method} for {self._timeout_s:g} s.",
                code="server_silent",
                hint="The run can be continued with the same command; see also: midfill doctor",
            ) from error
        finally:
            self._waiting.pop(number, None)
        if "error" in answer:
            message = str(answer["error"].get("message", "no reason given"))
            raise EngineError(
                f"The language server refused {method}: {message}", code="server_refused"
            )
        return answer.get("result")

    async def notify(self, method: str, params: object) -> None:
        """Send a notification.

        Raises:
            EngineError: the server died.
        """
        await self._send({"method": method, "params": params})

    async def aclose(self) -> None:
        """Shut the server down; one that does not leave is killed."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(EngineError, TimeoutError):
            async with asyncio.timeout(_LEAVE_S):
                if self._end is None:
                    await self.request("shutdown", None)
                    await self.notify("exit", None)
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._process = None

    async def _send(self, message: Json) -> None:
        if self._process is None or self._process.stdin is None:
            raise EngineError("The language server was not started.", code="server_gone")
        if self._end is not None:
            raise self._end
        body = msgspec.json.encode({"jsonrpc": "2.0", **message})
        try:
            self._process.stdin.write(b"Content-Length: %d\r\n\r\n%b" % (len(body), body))
            await self._process.stdin.drain()
        except OSError:
            # The reader knows why.
            await asyncio.wait(self._tasks, timeout=_LEAVE_S)
            raise self._end or self._died() from None

    async def _read(self) -> None:
        try:
            while (message := await self._read_frame()) is not None:
                await self._dispatch(message)
            await asyncio.wait(self._tasks[1:], timeout=_LEAVE_S)
            self._fail(self._died())
        except EngineError as error:
            self._fail(error)

    async def _read_frame(self) -> Json | None:
        assert self._process is not None
        stream = self._process.stdout
        assert stream is not None
        n_bytes = -1
        try:
            while (line := await stream.readline()).strip():
                name, _, value = line.partition(b":")
                if name.lower() == b"content-length":
                    n_bytes = int(value)
            if not line:
                return None
            if not 0 <= n_bytes <= _MAX_FRAME_BYTES:
                raise ValueError("no length")
            message: Json = msgspec.json.decode(await stream.readexactly(n_bytes), type=dict)
        except asyncio.IncompleteReadError:
            return None
        except (ValueError, msgspec.MsgspecError) as error:
            raise ProtocolError(
                "The language server wrote something that is no message.",
                code="frame_unreadable",
                hint="Run: midfill doctor",
            ) from error
        return message

    async def _dispatch(self, message: Json) -> None:
        method = message.get("method")
        if method is None:
            future = self._waiting.get(message.get("id", -1))
            if future is not None and not future.done():
                future.set_result(message)
        elif "id" in message:
            # A request of the server; null is an answer to all that a bare client gets asked.
            await self._send({"id": message["id"], "result": None})
        else:
            self._on_notification(method, message.get("params") or {})

    async def _read_errors(self) -> None:
        assert self._process is not None
        stream = self._process.stderr
        assert stream is not None
        while chunk := await stream.read(65536):
            self._errors.extend(chunk.decode("utf-8", "replace").splitlines())
            del self._errors[:-_N_ERROR_LINES]

    def _died(self) -> EngineError:
        last = next((line.strip() for line in reversed(self._errors) if line.strip()), "")
        return EngineError(
            "The language server ended" + (f": {last[:300]}" if last else "."),
            code="server_gone",
            hint="The run can be continued with the same command; see also: midfill doctor",
        )

    def _fail(self, error: Exception) -> None:
        self._end = error
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(error)
