"""Waiting jobs, between the socket loop and the worker thread."""

from __future__ import annotations

import threading
from collections import deque

from lsp_server.engine.job import Job


class Lanes:
    """First come, first served, interactive jobs before background ones."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._lanes: dict[str, deque[Job]] = {"interactive": deque(), "background": deque()}
        self._closed = False

    def __len__(self) -> int:
        return sum(len(lane) for lane in self._lanes.values())

    def put(self, job: Job) -> None:
        """Add a job."""
        with self._changed:
            self._lanes[job.request.lane].append(job)
            self._changed.notify()

    def next(self) -> Job | None:
        """Wait for the next job; None once closed."""
        with self._changed:
            while True:
                if self._closed:
                    return None
                for lane in self._lanes.values():
                    if lane:
                        return lane.popleft()
                self._changed.wait()

    def remove(self, job: Job) -> bool:
        """Take a job out again; False if it is not waiting any more."""
        with self._changed:
            try:
                self._lanes[job.request.lane].remove(job)
            except ValueError:
                return False
            return True

    def drain(self) -> list[Job]:
        """Take all jobs out."""
        with self._changed:
            jobs = [job for lane in self._lanes.values() for job in lane]
            for lane in self._lanes.values():
                lane.clear()
            return jobs

    def close(self) -> None:
        """Wake the worker for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
