"""The figures of the log as they are given out: of today, as JSON, and as a page."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lsp_server.acceptance.coverage import curve
from lsp_server.acceptance.events import Event
from lsp_server.acceptance.history import Day, days
from lsp_server.acceptance.page import page
from lsp_server.acceptance.report import GroupBy, summarise
from lsp_server.acceptance.store import read_events

DEFAULT_GROUPS: tuple[GroupBy, ...] = ("language", "model")
_TODAYS_KINDS = ("shown", "accepted")


def today(folder: Path | None = None) -> Day:
    """What was shown and accepted since midnight, by the clock on the wall.

    Args:
        folder: where the log lies; by default the state folder.

    Raises:
        StoreError: the log cannot be read.
    """
    date = datetime.date.today()
    midnight = datetime.datetime.combine(date, datetime.time())
    events = read_events(folder, midnight.timestamp(), _TODAYS_KINDS)
    found = {day.date: day for day in days(events)}
    return found.get(date, Day(date, 0, 0, 0, 0))


def as_json(
    events: Sequence[Event], since_ts: float | None, by: Sequence[GroupBy] = DEFAULT_GROUPS
) -> dict[str, Any]:
    """All figures under their published names.

    Args:
        events: in any order.
        since_ts: when they begin, in seconds since 1970; None for all there are.
        by: what to group by.
    """
    since = None
    if since_ts is not None:
        moment = datetime.datetime.fromtimestamp(since_ts, datetime.UTC)
        since = moment.isoformat(timespec="seconds")
    found = curve(events)
    coverage = found.as_json() if found else None
    return {**summarise(events, by).as_json(), "coverage": coverage, "since": since}


def as_page(
    events: Sequence[Event], since_ts: float | None, by: Sequence[GroupBy] = DEFAULT_GROUPS
) -> str:
    """All figures as one HTML page, see ``as_json``."""
    since = local_time(since_ts) if since_ts is not None else ""
    report, made = summarise(events, by), datetime.datetime.now()
    return page(report, days(events), curve(events), since=since, made=made)


def local_time(ts: float) -> str:
    """A moment by the clock on the wall."""
    return datetime.datetime.fromtimestamp(ts).strftime("%Y-%m-%d %H:%M")
