"""Takes the user's decisions from the log, and learns from them when there are enough new ones."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from pathlib import Path

from lsp_server.acceptance.events import Accepted, Event, PartiallyAccepted, Shown
from lsp_server.acceptance.store import read_events
from lsp_server.errors import StoreError
from lsp_server.score import own as learned
from lsp_server.score.features import NAMES, VERSION
from lsp_server.score.model import shipped
from lsp_server.score.own import N_LEAST, N_NEW, Decision, Own

log = logging.getLogger("midfill.score")


def decisions(events: Iterable[Event]) -> list[Decision]:
    """The suggestions that were shown and scored, the oldest first.

    Args:
        events: oldest first.
    """
    shown: dict[tuple[str, str], tuple[float, ...]] = {}
    taken: set[tuple[str, str]] = set()
    for event in events:
        key = event.session, event.completion_id
        match event:
            case Shown(features_version=version) if version == VERSION:
                if len(event.features) == len(NAMES):
                    shown[key] = tuple(
                        math.nan if value is None else value for value in event.features
                    )
            case Accepted() | PartiallyAccepted():
                taken.add(key)
            case _:
                pass
    return [Decision(features, key in taken) for key, features in shown.items()]


def learn(folder: Path | None = None, *, always: bool = False) -> Own | None:
    """Fit P(accept) to the user's decisions, if there are enough new ones.

    Args:
        folder: where the log and ``score.json`` lie; by default the state folder.
        always: also where hardly any decision is new.

    Returns:
        What is known now; None where nothing is.

    Raises:
        StoreError: the log cannot be read, or the result not written (``score_unwritable``).
    """
    model = shipped()
    known = learned.load(model, folder)
    found = decisions(read_events(folder))
    n_before = known.n_decisions if known else 0
    # A log that was cleared begins anew.
    n_new = len(found) - n_before if len(found) >= n_before else len(found)
    if len(found) < N_LEAST or (known is not None and n_new < N_NEW and not always):
        return known
    own = learned.fit(model, found)
    if own is None:
        return known
    try:
        learned.save(own, folder)
    except OSError as error:
        raise StoreError(
            f"What was learned cannot be written: {error.strerror or error}.",
            code="score_unwritable",
            hint="Free some space, or choose another place with MIDFILL_STATE_DIR.",
        ) from error
    log.info("P(accept) was fitted to %d decisions", own.n)
    return own
