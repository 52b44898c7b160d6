"""The process that brings an index up to date: ``python -P -m lsp_server.workspace.indexer``.

It takes an order on stdin, sends what changed on stdout, writes the index to disk and ends. It
runs at low priority beside the server, whose loop it never holds up. It ends, too, when nobody
reads what it sends.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from context.source import language_of
from context.types import SourceFile
from context.workspace.scan import MAX_FILES, Found, scan
from context.workspace.symbols import symbols_of
from lsp_server.errors import StoreError
from lsp_server.workspace import store
from lsp_server.workspace.messages import Done, Files, Gone, Message, Order, Progress, write
from lsp_server.workspace.store import Record

log = logging.getLogger("midfill.workspace")

_BATCH_FILES = 32
_NICENESS = 10
# A file that was changed so shortly before it was read may have changed again since, in the same
# tick of its clock.
_TICK_NS = 2_000_000_000


def main() -> int:
    """Do what stdin says."""
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    # Nothing else may write where the messages go.
    out = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    try:
        order = msgspec.json.decode(sys.stdin.buffer.read(), type=Order)
        run(order, lambda message: write(out, message))
    except BrokenPipeError:
        # The server is gone.
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
        return 1
    return 0


def run(order: Order, send: Callable[[Message], None]) -> None:
    """Bring an index up to date.

    Args:
        order: of what.
        send: called with each message.
    """
    root = Path(order.root)
    stored = store.load(Path(order.store), order.root) if order.store else None
    known = {record.path: record for record in stored.records()} if stored else {}
    found = scan(root, banned=order.banned, max_files=order.max_files or MAX_FILES)
    present = {file.path for file in found.files}
    if gone := tuple(path for path in known if path not in present):
        send(Gone(paths=gone))
    trusted_ns = (stored.stored_ns if stored else 0) - _TICK_NS
    kept = [r for f in found.files if (r := _unchanged(known.get(f.path), f, trusted_ns))]
    unchanged = {record.path for record in kept}
    to_read = [file for file in found.files if file.path not in unchanged]
    started_ns = time.time_ns()
    records = [*kept]
    batch: list[tuple[str, Record]] = []
    for n_done, (file, record) in enumerate(_read(root, to_read, known), 1):
        if record is not None:
            records.append(record)
            before = known.get(file.path)
            if before is None or before.symbols != record.symbols:
                batch.append((file.path, record))
        elif file.path in known:
            send(Gone(paths=(file.path,)))
        if len(batch) >= _BATCH_FILES or n_done == len(to_read):
            send(Files(files=tuple((path, record.symbols) for path, record in batch)))
            send(Progress(n_done=n_done, n_all=len(to_read)))
            batch = []
    if order.store and (to_read or gone):
        _keep(order, records, started_ns)
    send(Done(n_files=len(records), left_out=found.left_out))


def _unchanged(record: Record | None, file: Found, trusted_ns: int) -> Record | None:
    """What is known of a file, if it looks as it did."""
    if record is None or (record.size, record.mtime_ns) != (file.size, file.mtime_ns):
        return None
    return record if file.mtime_ns < trusted_ns else None


def _read(
    root: Path, files: list[Found], known: dict[str, Record]
) -> Iterator[tuple[Found, Record | None]]:
    for file in files:
        data = read_source(root / file.path)
        if data is None:
            yield file, None
            continue
        digest = hashlib.blake2b(data, digest_size=16).digest()
        before = known.get(file.path)
        if before is not None and before.digest == digest:
            symbols = before.symbols
        else:
            source = SourceFile(path=file.path, language=language_of(file.path), data=data)
            symbols = symbols_of(source)
        yield file, Record(file.path, file.size, file.mtime_ns, digest, symbols)


def read_source(path: Path) -> bytes | None:
    """A source file as UTF-8 with ``\\n`` as its only EOL; None if it is none."""
    try:
        data = path.read_bytes()
    except OSError:
        return None
    if b"\0" in data[:4096]:
        return None
    data = data.removeprefix(b"\xef\xbb\xbf")
    if b"\r" in data:
        data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return data


def _keep(order: Order, records: list[Record], started_ns: int) -> None:
    try:
        store.save(Path(order.store), order.root, started_ns, records)
    except StoreError as error:
        # The next start makes it again.
        log.warning("%s (%s)", error, error.code)


if __name__ == "__main__":
    sys.exit(main())
