"""What the event log promises when its process is killed."""

from __future__ import annotations

import collections
import os
import random
import signal
import subprocess
import sys
from pathlib import Path

from lsp_server.acceptance.store import read_events

# The long run: MIDFILL_TEST_N_KILLS=1000.
N_KILLS = int(os.environ.get("MIDFILL_TEST_N_KILLS", "60"))
ROOT = Path(__file__).parents[2]


class Nursery:
    """Runs ``writer_process.py`` and reads what its writers say."""

    def __init__(self, folder: Path) -> None:
        self.acknowledged: dict[str, int] = collections.defaultdict(int)
        self._pids: dict[str, int] = {}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.acceptance.writer_process", str(folder)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def start(self, session: str) -> None:
        """Fork a writer."""
        assert self._process.stdin is not None
        self._process.stdin.write(session + "\n")
        self._process.stdin.flush()

    def read_until(self, session: str, n: int) -> None:
        """Read lines until the writer had ``n`` events acknowledged."""
        while self.acknowledged[session] < n:
            self._take(self._line())

    def kill(self, session: str) -> None:
        """Kill the writer."""
        os.kill(self._pids[session], signal.SIGKILL)

    def close(self) -> None:
        """End everything and read what was said to the last line."""
        for session in self._pids:
            self.kill(session)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        for line in self._process.stdout:
            self._take(line)
        self._process.wait()
        self._process.stdout.close()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the writers ended by themselves"
        return line

    def _take(self, line: str) -> None:
        kind, session, number = line.split()
        if kind == "pid":
            self._pids[session] = int(number)
        else:
            self.acknowledged[session] = int(number)


def test_no_acknowledged_event_is_lost(tmp_path: Path) -> None:
    """Two processes write at once and are killed at random moments: what was acknowledged is there.

    The children of the nursery stay unreaped until it ends, so no process id is used twice.
    """
    chance = random.Random(20260101)
    nursery = Nursery(tmp_path)
    try:
        for i in range(0, N_KILLS, 2):
            pair = (f"s{i}", f"s{i + 1}")
            for session in pair:
                nursery.start(session)
            for session in pair:
                nursery.read_until(session, chance.randrange(1, 30))
            for session in pair:
                nursery.kill(session)
    finally:
        nursery.close()

    stored = collections.defaultdict(set)
    for event in read_events(tmp_path):
        stored[event.session].add(int(event.completion_id))
    assert len(nursery.acknowledged) == N_KILLS
    for session, n in nursery.acknowledged.items():
        assert n > 0
        assert stored[session] >= set(range(1, n + 1)), session
        assert len(stored[session]) <= n + 1, "an event was stored twice or out of order"
