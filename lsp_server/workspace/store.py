"""The index of a workspace on disk: one checksummed file, replaced as a whole.

It holds names, signatures and words of the files, so it is the user's alone (0600 in a 0700
folder). A file that is damaged, of another version or of another folder counts as none.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import msgspec

from context.workspace.grammars import pack_version
from context.workspace.symbols import FileSymbols
from lsp_server import paths
from lsp_server.errors import StoreError

log = logging.getLogger("midfill.workspace")

# Changes with what is kept of a file, or how it is read.
_FORMAT = 2
_MAGIC = b"midfill index\n"
_DIGEST_BYTES = 16
_MAX_STORE_BYTES = 512 * 1024 * 1024
# Folders whose index was not used for longest go first.
_MAX_STORES = 32
_LENGTH_BYTES = 4
# Decoding so many holds up whoever does it for a millisecond or two.
_PIECE_FILES = 16


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A file as it was when it was read.

    Args:
        path: relative to the root.
        size: in bytes.
        mtime_ns: when it had been changed.
        digest: of its bytes.
        symbols: what was found in it.
    """

    path: str
    size: int
    mtime_ns: int
    digest: bytes
    symbols: FileSymbols


class _About(msgspec.Struct, frozen=True, kw_only=True):
    root: str
    stored_ns: int
    grammars: str


class Stored(NamedTuple):
    """The index of a folder.

    Args:
        stored_ns: when it was written.
        pieces: records of some files each, encoded.
    """

    stored_ns: int
    pieces: tuple[memoryview, ...]

    def records(self) -> Iterator[Record]:
        """What is known of each file, decoded on the way.

        Raises:
            msgspec.MsgspecError: it is something else.
        """
        for piece in self.pieces:
            yield from _decoder.decode(piece)


_decoder: msgspec.msgpack.Decoder[list[Record]] = msgspec.msgpack.Decoder(list[Record])


def path_of(root: Path) -> Path:
    """Where the index of a folder lies."""
    name = hashlib.sha256(os.fsencode(root)).hexdigest()[:24]
    return paths.index_dir() / f"{name}.idx"


def load(path: Path, root: str) -> Stored | None:
    """The index of a folder; None if there is none that can be used.

    Args:
        path: of the file.
        root: the folder it must be of.
    """
    try:
        if path.stat().st_size > _MAX_STORE_BYTES:
            return None
        data = memoryview(path.read_bytes())
    except OSError:
        return None
    n_head = len(_MAGIC) + 1 + _DIGEST_BYTES
    body = data[n_head:]
    if data[:n_head] != _head(body):
        log.info("the index %s is damaged or of another version, and is made anew", path.name)
        return None
    try:
        first, *pieces = _frames(body)
        about = msgspec.msgpack.decode(first, type=_About)
        stored = Stored(about.stored_ns, tuple(pieces))
        # The checksum holds; but whoever wrote it may have known other records.
        next(stored.records(), None)
    except (ValueError, msgspec.MsgspecError):
        return None
    # Other grammars find other definitions.
    return stored if (about.root, about.grammars) == (root, pack_version()) else None


def save(path: Path, root: str, stored_ns: int, records: Iterable[Record]) -> None:
    """Write an index; a full disk or a read-only folder leaves the old one.

    Args:
        path: of the file.
        root: the folder.
        stored_ns: when the first of its files was looked at.
        records: of its files.

    Raises:
        StoreError: it cannot be written.
    """
    folder = paths.private_dir(path.parent)
    body = b"".join(_framed(root, stored_ns, records))
    name = ""
    try:
        handle, name = tempfile.mkstemp(dir=folder, prefix=".index-")
        with os.fdopen(handle, "wb") as file:
            file.write(_head(body))
            file.write(body)
        os.replace(name, path)
        _forget_oldest(folder)
    except OSError as error:
        if name:
            with contextlib.suppress(OSError):
                os.unlink(name)
        raise StoreError(
            f"The index of the workspace cannot be kept: {error.strerror}.",
            code="index_not_kept",
            hint="Check the free space, or choose another place with MIDFILL_CACHE_DIR.",
        ) from error


def _framed(root: str, stored_ns: int, records: Iterable[Record]) -> Iterator[bytes]:
    encode = msgspec.msgpack.encode
    bodies = [encode(_About(root=root, stored_ns=stored_ns, grammars=pack_version()))]
    left = iter(records)
    while piece := list(islice(left, _PIECE_FILES)):
        bodies.append(encode(piece))
    for body in bodies:
        yield len(body).to_bytes(_LENGTH_BYTES, "big")
        yield body


def _frames(body: memoryview) -> Iterator[memoryview]:
    at = 0
    while at < len(body):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(body[at:start], "big")
        yield body[start:at]


def _head(body: bytes | memoryview) -> bytes:
    digest = hashlib.blake2b(body, digest_size=_DIGEST_BYTES).digest()
    return _MAGIC + bytes([_FORMAT]) + digest


def _forget_oldest(folder: Path) -> None:
    kept = sorted(folder.glob("*.idx"), key=lambda each: each.stat().st_mtime_ns, reverse=True)
    for path in kept[_MAX_STORES:]:
        path.unlink(missing_ok=True)


def clear() -> tuple[int, int]:
    """Delete all indexes.

    Returns:
        How many, and how many bytes they took.

    Raises:
        OSError: one cannot be deleted.
    """
    n_bytes = n_indexes = 0
    for path in sorted(paths.index_dir().glob("*.idx")):
        n_bytes += path.stat().st_size
        path.unlink()
        n_indexes += 1
    return n_indexes, n_bytes
