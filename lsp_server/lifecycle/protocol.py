"""The server's side of JSON-RPC: who may be called when, and exactly one reply to each request."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from lsprotocol.types import ErrorCodes, LSPErrorCodes
from pygls.exceptions import JsonRpcException
from pygls.protocol import LanguageServerProtocol

from lsp_server.errors import MidfillError
from lsp_server.lifecycle.frames import Fault
from lsp_server.lifecycle.messages import PARAMS, REQUESTS, CancelParams, MessageId
from lsp_server.lifecycle.reporting import describe
from lsp_server.lifecycle.writer import Writer

if TYPE_CHECKING:
    from cattrs import Converter
    from pygls.lsp.server import LanguageServer

log = logging.getLogger("midfill.lsp")

State = Literal["new", "ready", "shut_down"]
_MAX_ID_CHARS = 1000


class ServerProtocol(LanguageServerProtocol):
    """Registers handlers as pygls does; receives, answers and cancels in its own way.

    Differences to pygls: handlers are plain functions that may return an awaitable, so that
    what they do first happens before the next message is read; requests are refused before
    ``initialize`` and after ``shutdown``; a cancelled request is answered at once; errors
    carry no traceback and no text of a document; there is no second copy of the documents.

    Args:
        server: the pygls server.
        converter: turns lsprotocol's objects into JSON.
    """

    def __init__(self, server: LanguageServer, converter: Converter) -> None:
        super().__init__(server, converter)
        self.state: State = "new"
        self.out: Writer | None = None
        self.on_ready: Callable[[int | None], None] = lambda _process_id: None
        self.on_exit: Callable[[], None] = lambda: None
        self._running: dict[MessageId, asyncio.Future[Any]] = {}
        self._n_asked = 0

    def _register_builtin_features(self) -> None:
        """None: pygls' own handlers would keep the documents a second time."""

    # -- incoming ------------------------------------------------------------------------

    def receive(self, value: object) -> None:
        """Handle one JSON value from the client; never raises."""
        if not isinstance(value, dict):
            self._refuse(None, ErrorCodes.InvalidRequest, "A message must be one JSON object.")
            return
        has_id = "id" in value
        msg_id, method = value.get("id"), value.get("method")
        if has_id and not _is_id(msg_id):
            self._refuse(None, ErrorCodes.InvalidRequest, "An id must be an integer or a string.")
            return
        if "method" not in value:
            if not has_id:
                self._refuse(None, ErrorCodes.InvalidRequest, "The message has no method.")
            # Else a response; nothing that this server asks its client depends on the answer.
            return
        if not isinstance(method, str) or value.get("jsonrpc") != "2.0":
            self._refuse(msg_id, ErrorCodes.InvalidRequest, "This is no JSON-RPC 2.0 message.")
        elif has_id:
            self._receive_request(msg_id, method, value.get("params"))
        else:
            self._receive_notification(method, value.get("params"))

    def refuse_frame(self, fault: Fault) -> None:
        """Tell the client that a frame was dropped."""
        log.warning("%s: %s", fault.code, fault.message)
        code = ErrorCodes.ParseError
        if fault.code == "too_large":
            code = ErrorCodes.InvalidRequest
        self._refuse(None, code, fault.message)

    def _receive_request(self, msg_id: Any, method: str, raw: object) -> None:
        if self.state == "new" and method != "initialize":
            self._refuse(msg_id, ErrorCodes.ServerNotInitialized, "Send initialize first.")
        elif self.state == "shut_down":
            self._refuse(msg_id, ErrorCodes.InvalidRequest, "The server is shut down.")
        elif self.state == "ready" and method == "initialize":
            self._refuse(msg_id, ErrorCodes.InvalidRequest, "initialize may be sent only once.")
        elif msg_id in self._running:
            self._refuse(msg_id, ErrorCodes.InvalidRequest, "A request with this id is running.")
        elif method not in REQUESTS:
            self._refuse(msg_id, ErrorCodes.MethodNotFound, "The method is not supported.")
        else:
            self._call(msg_id, method, raw)

    def _call(self, msg_id: MessageId, method: str, raw: object) -> None:
        try:
            params = _read_params(method, raw)
        except msgspec.ValidationError as error:
            self._refuse(msg_id, ErrorCodes.InvalidParams, str(error))
            return
        if method == "shutdown":
            self.state = "shut_down"
            self.cancel_all()
        try:
            result = self.fm.features[method](params)
        except Exception as error:
            self._reply_exception(msg_id, method, error)
            return
        if inspect.isawaitable(result):
            self._run(msg_id, method, result)
            return
        self._reply(msg_id, method, result)
        if method == "initialize":
            self.state = "ready"
            self.on_ready(params.process_id)

    def _run(self, msg_id: MessageId, method: str, work: Awaitable[Any]) -> None:
        task = asyncio.ensure_future(work)
        self._running[msg_id] = task

        def done(task: asyncio.Future[Any]) -> None:
            answered = self._running.get(msg_id) is not task
            if not answered:
                del self._running[msg_id]
            if task.cancelled():
                if not answered:
                    self._refuse_cancelled(msg_id)
                return
            error = task.exception()
            if answered:
                return
            if error is not None:
                self._reply_exception(msg_id, method, error)
            else:
                self._reply(msg_id, method, task.result())

        task.add_done_callback(done)

    def _receive_notification(self, method: str, raw: object) -> None:
        if method == "exit":
            self.on_exit()
            return
        if self.state != "ready":
            log.info("%s came before initialize or after shutdown and is ignored", method[:80])
            return
        if method not in PARAMS or method in REQUESTS:
            return
        try:
            params = _read_params(method, raw)
            if isinstance(params, CancelParams):
                self.cancel(params.id)
            else:
                self.fm.features[method](params)
        except msgspec.ValidationError as error:
            log.warning("%s is ignored: %s", method, error)
        except MidfillError as error:
            log.warning("%s: %s (%s)", method, error, error.code)
        except Exception as error:
            log.error("%s failed: %s", method, describe(error))

    def cancel(self, msg_id: MessageId) -> None:
        """Answer a running request as cancelled, at once, then end its work."""
        task = self._running.pop(msg_id, None)
        if task is not None:
            self._refuse_cancelled(msg_id)
            task.cancel()

    def cancel_all(self) -> None:
        """Cancel every running request."""
        for msg_id in list(self._running):
            self.cancel(msg_id)

    # -- outgoing ------------------------------------------------------------------------

    def notify(self, method: str, params: Any | None = None) -> None:
        """Send a notification.

        Args:
            method: its name.
            params: lsprotocol objects, or dicts and lists of them.
        """
        key = ""
        if method == "$/progress":
            # Each partial result replaces the one before, so only the newest must arrive.
            key = f"progress {params['token']!r}" if isinstance(params, dict) else ""
        elif method == "didChangeStatus":
            key = method
        self._send(
            {"jsonrpc": "2.0", "method": method, "params": params},
            droppable=method in ("$/progress", "window/logMessage"),
            key=key,
        )

    def ask(self, method: str, params: Any) -> None:
        """Send a request whose answer does not matter.

        Args:
            method: its name.
            params: dicts and lists of plain values.
        """
        self._n_asked += 1
        msg_id = f"midfill-{self._n_asked}"
        self._send({"jsonrpc": "2.0", "id": msg_id, "method": method, "params": params})

    def _reply(self, msg_id: MessageId, method: str, result: Any) -> None:
        try:
            self._send({"jsonrpc": "2.0", "id": msg_id, "result": result})
        except Exception as error:
            self._reply_exception(msg_id, method, error)

    def _reply_exception(self, msg_id: MessageId, method: str, error: BaseException) -> None:
        if isinstance(error, JsonRpcException):
            self._refuse(msg_id, error.code, error.message)
        elif isinstance(error, MidfillError):
            log.warning("%s: %s (%s)", method, error, error.code)
            data = {"code": error.code, "hint": error.hint}
            self._refuse(msg_id, LSPErrorCodes.RequestFailed, str(error), data)
        else:
            log.error("%s failed: %s", method, describe(error))
            self._refuse(
                msg_id,
                ErrorCodes.InternalError,
                f"Internal error ({type(error).__name__}); the server's log says where.",
            )

    def _refuse_cancelled(self, msg_id: MessageId) -> None:
        self._refuse(msg_id, LSPErrorCodes.RequestCancelled, "The request was cancelled.")

    def _refuse(
        self, msg_id: Any, code: int, message: str, data: dict[str, str] | None = None
    ) -> None:
        error: dict[str, Any] = {"code": int(code), "message": message}
        if data is not None:
            error["data"] = data
        self._send({"jsonrpc": "2.0", "id": msg_id, "error": error})

    def _send(self, message: dict[str, Any], *, droppable: bool = False, key: str = "") -> None:
        if self.out is None:
            return
        plain = self._converter.unstructure(message)
        text = json.dumps(plain, ensure_ascii=False, separators=(",", ":"))
        self.out.send(text.encode("utf-8", "replace"), droppable=droppable, key=key)


def _is_id(value: object) -> bool:
    if isinstance(value, str):
        return len(value) <= _MAX_ID_CHARS
    return isinstance(value, int) and not isinstance(value, bool)


def _read_params(method: str, raw: object) -> Any:
    shape = PARAMS.get(method)
    if shape is None:
        return None
    return msgspec.convert(raw if raw is not None else {}, shape)
