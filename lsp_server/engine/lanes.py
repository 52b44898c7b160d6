"""Waiting jobs, between the socket loop and the worker thread."""

from __future__ import annotations

import threading
from collections import OrderedDict

from lsp_server.engine.job import Job
from lsp_server.engine.protocol import LANES, Lane


class Lanes:
    """Who is served next.

    Interactive jobs come before prefetches, those before warm-ups. Within a lane it is the turn
    of the client that was served least recently, and of its newest job: the older ones are for
    text that the user has changed since.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        # For each lane its clients, the one served least recently first; jobs oldest first.
        self._lanes: dict[str, OrderedDict[str, list[Job]]] = {
            lane: OrderedDict() for lane in LANES
        }
        self._closed = False

    def __len__(self) -> int:
        return sum(len(jobs) for clients in self._lanes.values() for jobs in clients.values())

    @property
    def closed(self) -> bool:
        """Whether no more jobs come."""
        return self._closed

    def waits(self, lane: Lane) -> bool:
        """Whether a job of this lane waits."""
        with self._changed:
            return any(self._lanes[lane].values())

    def put(self, job: Job) -> None:
        """Add a job."""
        with self._changed:
            self._lanes[job.request.lane].setdefault(job.client, []).append(job)
            self._changed.notify()

    def take(self) -> Job | None:
        """The next job, if one waits."""
        with self._changed:
            for clients in self._lanes.values():
                for client, jobs in clients.items():
                    if jobs:
                        clients.move_to_end(client)
                        return jobs.pop()
            return None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a job; False if none came in time, or none will come any more."""
        with self._changed:
            self._changed.wait_for(lambda: self._closed or len(self) > 0, timeout_s)
            return len(self) > 0

    def remove(self, job: Job) -> bool:
        """Take a job out again; False if it is not waiting any more."""
        with self._changed:
            try:
                self._lanes[job.request.lane].get(job.client, []).remove(job)
            except ValueError:
                return False
            return True

    def forget(self, client: str) -> None:
        """A client is gone."""
        with self._changed:
            for clients in self._lanes.values():
                clients.pop(client, None)

    def drain(self) -> list[Job]:
        """Take all jobs out."""
        with self._changed:
            jobs = [
                job for clients in self._lanes.values() for jobs in clients.values() for job in jobs
            ]
            for clients in self._lanes.values():
                clients.clear()
            return jobs

    def close(self) -> None:
        """Wake the worker for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
