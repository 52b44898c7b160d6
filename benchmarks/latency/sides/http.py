"""Just enough HTTP/1.1 to ask a server on 127.0.0.1 and read its answer as it streams."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

import msgspec

from lsp_server.errors import EngineError

_HOST = "127.0.0.1"
_MAX_LINE_BYTES = 16 * 1024 * 1024
_HEALTH_S = 5.0

Json = dict[str, Any]


async def is_ready(port: int, path: str) -> bool:
    """Whether a GET is answered with 200."""
    try:
        async with asyncio.timeout(_HEALTH_S):
            async with contextlib.aclosing(_body(port, "GET", path, b"")) as body:
                async for _ in body:
                    pass
    except (OSError, EngineError, TimeoutError, asyncio.IncompleteReadError):
        return False
    return True


async def post(port: int, path: str, request: Json) -> Any:
    """The JSON that answers a POST.

    Raises:
        EngineError: it was refused, or the connection broke.
    """
    parts = []
    with _broken(path):
        async with contextlib.aclosing(_body(port, "POST", path, _encode(request))) as body:
            parts = [part async for part in body]
    return msgspec.json.decode(b"".join(parts))


async def stream(port: int, path: str, request: Json) -> AsyncGenerator[Json]:
    """The server-sent events that answer a POST; closing the generator hangs up.

    Raises:
        EngineError: it was refused, or the connection broke.
    """
    buffer = b""
    with _broken(path):
        async with contextlib.aclosing(_body(port, "POST", path, _encode(request))) as body:
            async for part in body:
                *lines, buffer = (buffer + part).split(b"\n")
                for line in lines:
                    data = line.removeprefix(b"data:").strip()
                    if line.startswith(b"data:") and data != b"[DONE]":
                        event = msgspec.json.decode(data, type=dict)
                        if "error" in event:
                            raise _refused(path, str(event["error"]))
                        yield event


@contextlib.contextmanager
def _broken(path: str) -> Any:
    try:
        yield
    except (OSError, asyncio.IncompleteReadError, msgspec.MsgspecError) as error:
        raise EngineError(
            f"The connection to the peer's {path} broke: {error}.", code="peer_failed"
        ) from error


def _encode(request: Json) -> bytes:
    return msgspec.json.encode(request)


async def _body(port: int, method: str, path: str, data: bytes) -> AsyncGenerator[bytes]:
    reader, writer = await asyncio.open_connection(_HOST, port, limit=_MAX_LINE_BYTES)
    try:
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: {_HOST}:{port}\r\nConnection: close\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data
        )
        await writer.drain()
        status, headers = await _head(reader)
        parts = _chunks(reader) if headers.get("transfer-encoding") == "chunked" else None
        if status != 200:
            text = await reader.read(500)
            raise _refused(path, f"{status} {text.decode('utf-8', 'replace')}")
        if parts is not None:
            async for part in parts:
                yield part
        else:
            while part := await reader.read(65536):
                yield part
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _head(reader: asyncio.StreamReader) -> tuple[int, dict[str, str]]:
    words = (await reader.readline()).split()
    if len(words) < 2 or not words[1].isdigit():
        raise ConnectionError("no answer")
    headers = {}
    while line := (await reader.readline()).decode("latin-1").strip():
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip().lower()
    return int(words[1]), headers


async def _chunks(reader: asyncio.StreamReader) -> AsyncGenerator[bytes]:
    while size := int((await reader.readline()).split(b";")[0] or b"0", 16):
        yield await reader.readexactly(size)
        await reader.readline()


def _refused(path: str, reason: str) -> EngineError:
    return EngineError(f"The peer refused {path}: {reason[:300]}", code="peer_refused")
