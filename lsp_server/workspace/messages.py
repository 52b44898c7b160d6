"""What the indexing process is told, and what it sends: MessagePack in frames with a length."""

from __future__ import annotations

from typing import BinaryIO

import msgspec

from context.workspace.symbols import FileSymbols

_LENGTH_BYTES = 4
_MAX_FRAME_BYTES = 256 * 1024 * 1024


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be indexed.

    Args:
        root: the folder.
        store: file that the index is kept in; "" keeps none.
        banned: patterns of what is left out, as in ``.gitignore``.
        max_files: at most so many files.
    """

    root: str
    store: str = ""
    banned: tuple[str, ...] = ()
    max_files: int = 0


class Progress(msgspec.Struct, frozen=True, kw_only=True, tag="progress"):
    """How far it is, in files that had to be read."""

    n_done: int
    n_all: int


class Files(msgspec.Struct, frozen=True, kw_only=True, tag="files"):
    """Files that are new or have changed."""

    files: tuple[tuple[str, FileSymbols], ...]


class Gone(msgspec.Struct, frozen=True, kw_only=True, tag="gone"):
    """Files that are in the store and not on the disk any more."""

    paths: tuple[str, ...]


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """All is sent.

    Args:
        n_files: in the index.
        left_out: why some are missing; "" when none are.
    """

    n_files: int
    left_out: str = ""


Message = Progress | Files | Gone | Done

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


def write(stream: BinaryIO, message: Message) -> None:
    """Send a message."""
    body = _encoder.encode(message)
    stream.write(len(body).to_bytes(_LENGTH_BYTES, "big") + body)
    stream.flush()


def size_of(header: bytes) -> int:
    """Size of the body behind a header.

    Raises:
        ValueError: no indexer sends that much.
    """
    size = int.from_bytes(header, "big")
    if size > _MAX_FRAME_BYTES:
        raise ValueError("a frame is too large")
    return size


def decode(body: bytes) -> Message:
    """The message in a frame.

    Raises:
        msgspec.MsgspecError: it is none.
    """
    return _decoder.decode(body)


HEADER_BYTES = _LENGTH_BYTES
