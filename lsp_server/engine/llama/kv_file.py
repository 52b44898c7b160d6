"""The format of a file that holds the KV cache of one prompt.

======== ===== =====================================================
offset   size
======== ===== =====================================================
0        8     magic
8        2     version; all numbers are big-endian
10       4     m, size of the meta data
14       8     p, size of the payload
22       32    SHA-256 of the 22 bytes before and of the meta data
54       m     meta data, msgpack
54+m     p     payload: what llama.cpp made of the sequence
54+m+p   32    SHA-256 of everything before
======== ===== =====================================================

The first checksum vouches for the tokens, so that files can be listed without their payloads; the
second for all of it, and nothing of a file reaches llama.cpp before that one was found right. Both
guard against damage, not against somebody who may write into the user's private folder.
"""

from __future__ import annotations

import hashlib
import io
import struct
from typing import Annotated, BinaryIO

import msgspec
from msgspec import Meta as Bound

MAGIC = b"MIDFKV\x1a\n"
VERSION = 1
_FIXED = struct.Struct(">8sHIQ")
_N_DIGEST = 32
HEADER_BYTES = _FIXED.size + _N_DIGEST
_MAX_META_BYTES = 16 * 1024 * 1024
_CHUNK_BYTES = 1024 * 1024

Token = Annotated[int, Bound(ge=0, lt=2**31)]
Count = Annotated[int, Bound(ge=0, lt=2**31)]


class Damaged(Exception):
    """A file that is not what it says it is; the text is the reason, without its content."""


class Meta(msgspec.Struct, frozen=True, kw_only=True):
    """What a payload is.

    Args:
        key: of the model and of all settings that the payload depends on.
        tokens: of the prompt, at positions 0, 1, …
        adapters: names the LoRA adapters they were evaluated with; "" is none.
        n_drifted: tokens by which text was moved since it was last evaluated.
        drifted_from: where the moved text begins.
        prefill_tokens_per_ms: how fast the engine that wrote it evaluated prompts; 0 if unknown.
    """

    key: str
    tokens: Annotated[list[Token], Bound(min_length=1)]
    adapters: str = ""
    n_drifted: Count = 0
    drifted_from: Count = 0
    prefill_tokens_per_ms: Annotated[float, Bound(ge=0)] = 0.0


def size_of(meta: Meta, n_payload_bytes: int) -> int:
    """Size in bytes of the file that ``write`` makes."""
    return HEADER_BYTES + len(msgspec.msgpack.encode(meta)) + n_payload_bytes + _N_DIGEST


def write(file: BinaryIO, meta: Meta, payload: bytearray | memoryview | bytes) -> int:
    """Write a whole file; gives its size in bytes.

    Args:
        file: empty.
        meta: what the payload is.
        payload: of any size.

    Raises:
        OSError: it cannot be written.
    """
    encoded = msgspec.msgpack.encode(meta)
    fixed = _FIXED.pack(MAGIC, VERSION, len(encoded), len(payload))
    head = fixed + hashlib.sha256(fixed + encoded).digest() + encoded
    digest = hashlib.sha256(head)
    file.write(head)
    # In pieces: each is still in the processor's cache when it is written.
    with memoryview(payload) as view:
        for start in range(0, len(payload), _CHUNK_BYTES):
            piece = view[start : start + _CHUNK_BYTES]
            digest.update(piece)
            file.write(piece)
    file.write(digest.digest())
    return len(head) + len(payload) + _N_DIGEST


def read_meta(file: io.BufferedReader, size: int) -> Meta:
    """The meta data alone; the payload is not looked at.

    Args:
        file: at its beginning.
        size: of the file in bytes.

    Raises:
        Damaged: the size, the header or the meta data are not right.
        OSError: it cannot be read.
    """
    header = file.read(HEADER_BYTES)
    n_meta = _check_header(header, size)
    return _decode(header, file.read(n_meta))


def read(file: io.BufferedReader, size: int) -> tuple[Meta, memoryview]:
    """A whole file: its meta data and its payload, writable.

    Args:
        file: at its beginning.
        size: of the file in bytes.

    Raises:
        Damaged: any byte of it is not what was written.
        OSError: it cannot be read.
    """
    if size < HEADER_BYTES:
        raise Damaged("it is cut off")
    data = bytearray(size)
    whole = memoryview(data)
    n_read = 0
    while n_read < size:
        n_more = file.readinto(whole[n_read:])
        if not n_more:
            raise Damaged("it is cut off")
        n_read += n_more
    header = bytes(whole[:HEADER_BYTES])
    n_meta = _check_header(header, size)
    meta = _decode(header, bytes(whole[HEADER_BYTES : HEADER_BYTES + n_meta]))
    if hashlib.sha256(whole[:-_N_DIGEST]).digest() != whole[-_N_DIGEST:]:
        raise Damaged("its checksum is wrong")
    return meta, whole[HEADER_BYTES + n_meta : -_N_DIGEST]


def _check_header(header: bytes, size: int) -> int:
    """Size of the meta data."""
    if len(header) < HEADER_BYTES:
        raise Damaged("it is cut off")
    magic, version, n_meta, n_payload = _FIXED.unpack_from(header)
    if magic != MAGIC:
        raise Damaged("it is no file of ours")
    if version != VERSION:
        raise Damaged(f"its version is {version}")
    if n_meta > _MAX_META_BYTES or HEADER_BYTES + n_meta + n_payload + _N_DIGEST != size:
        raise Damaged("its size is wrong")
    return int(n_meta)


def _decode(header: bytes, encoded: bytes) -> Meta:
    digest = hashlib.sha256(header[: _FIXED.size] + encoded).digest()
    if digest != header[_FIXED.size :]:
        raise Damaged("the checksum of its header is wrong")
    try:
        return msgspec.msgpack.decode(encoded, type=Meta)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Damaged("its header cannot be read") from error
