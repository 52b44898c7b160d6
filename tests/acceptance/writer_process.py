"""A program for the kill tests: forks writers that log events and say which are acknowledged.

Each line on standard input holds a session name. For each, a writer process is forked (which takes
a hundredth of the time of a fresh interpreter); it prints ``pid SESSION PID`` and then
``ack SESSION N`` after its N-th event is acknowledged, until it is killed.
"""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from lsp_server.acceptance.events import Failed
from lsp_server.acceptance.log import EventLog


def say(text: str) -> None:
    """One line on standard output, whole even when several processes write."""
    os.write(1, text.encode() + b"\n")


async def write_forever(folder: Path, session: str) -> None:
    """Log numbered events; every second one is acknowledged alone, the others by a flush."""
    log = EventLog(folder)
    n = 0
    while True:
        n += 1
        event = Failed(completion_id=str(n), ts=float(n), session=session, reason="test")
        if n % 2:
            stored = await log.append_durable(event)
        else:
            log.append(event)
            stored = await log.flush()
        if stored:
            say(f"ack {session} {n}")


def main() -> None:
    """Fork a writer for every line read."""
    folder = Path(sys.argv[1])
    for line in sys.stdin:
        session = line.strip()
        pid = os.fork()
        if pid == 0:
            say(f"pid {session} {os.getpid()}")
            asyncio.run(write_forever(folder, session))


if __name__ == "__main__":
    main()
