"""Waiting jobs, and the worker's orders, between the socket loop and the worker thread."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from typing import Literal

from lsp_server.engine.job import Job
from lsp_server.engine.protocol import LANES, Lane

# What the worker is to do: serve jobs, wait without a model until one is needed, do nothing
# until the user wants it again, or leave.
Order = Literal["serve", "unload", "pause", "leave"]


class Lanes:
    """Who is served next.

    Interactive jobs come before prefetches, those before warm-ups. Within a lane it is the turn
    of the client that was served least recently, and of its newest job: the older ones are for
    text that the user has changed since.

    One lock guards the jobs and the order, so a job is either seen before the model is given up,
    or waits until it is loaded again.

    Args:
        idle_s: a back end that waited so long for a job is sent home; 0 lets it wait for ever.
    """

    def __init__(self, idle_s: float = 0.0) -> None:
        self._changed = threading.Condition()
        # For each lane its clients, the one served least recently first; jobs oldest first.
        self._lanes: dict[str, OrderedDict[str, list[Job]]] = {
            lane: OrderedDict() for lane in LANES
        }
        self._idle_s = idle_s
        self._idle_from_s: float | None = None
        # Whoever starts an engine wants to use it.
        self._wanted = True
        self._paused = False
        self._closed = False
        self._nudged = False

    def __len__(self) -> int:
        return sum(len(jobs) for clients in self._lanes.values() for jobs in clients.values())

    # -- jobs ----------------------------------------------------------------------------

    def waits(self, lane: Lane) -> bool:
        """Whether a job of this lane waits."""
        with self._changed:
            return any(self._lanes[lane].values())

    def put(self, job: Job) -> None:
        """Add a job."""
        with self._changed:
            self._lanes[job.request.lane].setdefault(job.client, []).append(job)
            self._want()

    def take(self) -> Job | None:
        """The next job, if one waits."""
        with self._changed:
            for clients in self._lanes.values():
                for client, jobs in clients.items():
                    if jobs:
                        clients.move_to_end(client)
                        self._idle_from_s = None
                        return jobs.pop()
            return None

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait for a job; False if none came in time, or the back end is to stop.

        Without a limit, ``nudge`` ends it too.
        """
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        with self._changed:
            while not self.closed and not len(self):
                if self._nudged and until_s is None:
                    break
                now_s = time.monotonic()
                if self._idle_from_s is None:
                    self._idle_from_s = now_s
                if self._idle_s and now_s >= self._idle_from_s + self._idle_s:
                    self._wanted = False
                    break
                if until_s is not None and now_s >= until_s:
                    break
                ends_s = [until_s] if until_s is not None else []
                ends_s += [self._idle_from_s + self._idle_s] if self._idle_s else []
                self._changed.wait(min(ends_s) - now_s if ends_s else None)
            if until_s is None:
                self._nudged = False
            return len(self) > 0

    def nudge(self) -> None:
        """End the present or the next wait without a limit: there is something else to do."""
        with self._changed:
            self._nudged = True
            self._changed.notify_all()

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

    # -- orders --------------------------------------------------------------------------

    @property
    def order(self) -> Order:
        """What the worker is to do now."""
        if self._closed:
            return "leave"
        if self._paused:
            return "pause"
        return "serve" if self._wanted else "unload"

    @property
    def closed(self) -> bool:
        """Whether a back end that serves is to stop."""
        return self.order != "serve"

    @property
    def paused(self) -> bool:
        """Whether nothing is served until ``resume``."""
        return self._paused

    def await_other(self, order: Order) -> None:
        """Wait, as long as it takes, for another order than this one."""
        with self._changed:
            self._changed.wait_for(lambda: self.order != order)

    def wake(self) -> None:
        """A job is to be expected: have a back end ready."""
        with self._changed:
            self._want()

    def pause(self) -> None:
        """Serve nothing until ``resume``; jobs that wait stay where they are."""
        with self._changed:
            self._paused = True
            self._wanted = False
            self._changed.notify_all()

    def resume(self) -> None:
        """Serve again, once a job comes or is to be expected."""
        with self._changed:
            self._paused = False
            self._wanted = self._wanted or len(self) > 0
            self._changed.notify_all()

    def close(self) -> None:
        """Wake the worker for good."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _want(self) -> None:
        self._wanted = True
        self._idle_from_s = None
        self._changed.notify_all()
