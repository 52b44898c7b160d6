"""Whole editing sessions whose outcome is known: every count and every kept character."""

from __future__ import annotations

import collections
import os

import pytest

from lsp_server.acceptance.events import Retained
from lsp_server.acceptance.history import GLIMPSED_MS
from lsp_server.acceptance.lives import READ_MS
from lsp_server.acceptance.report import summarise
from tests.acceptance.simulated_user import SimulatedUser

# The long run: MIDFILL_TEST_N_SESSIONS=10000.
N_SESSIONS = int(os.environ.get("MIDFILL_TEST_N_SESSIONS", "1000"))
N_BATCHES = 20
N_STEPS = 40


def check(seed: int) -> collections.Counter[str]:
    """One session; gives the outcomes that it had."""
    user = SimulatedUser(seed)
    user.work(N_STEPS)
    truths = user.truths.values()
    outcomes = collections.Counter(truth.outcome for truth in truths)
    in_part = [truth for truth in truths if truth.outcome == "partially_accepted"]
    by_hand = [truth for truth in truths if truth.outcome == "typed_through"]
    report = summarise(user.log.events)
    total = report.total
    assert {
        "requested": total.requested,
        "shown": total.shown,
        "accepted": total.accepted,
        "partially_accepted": total.partially_accepted,
        "lines": total.accepted_lines,
        "typed_through": total.typed_through,
        "typed_through_lines": total.typed_through_lines,
        "dismissed": total.dismissed,
        "typed_over": total.typed_over,
        "superseded": total.superseded,
        "closed": total.closed,
        "unknown": total.unknown,
        "read": total.read,
        "glimpsed": total.glimpsed,
        "n_accepted_chars": total.n_accepted_chars,
        "n_typed_chars": total.n_typed_chars,
        "n_written_chars": report.n_written_chars,
        "n_model_chars": report.n_written_accepted,
    } == {
        "requested": user.n_requests,
        "shown": len(truths),
        "accepted": outcomes["accepted"],
        "partially_accepted": len(in_part),
        "lines": sum(truth.unit == "line" for truth in in_part),
        "typed_through": len(by_hand),
        "typed_through_lines": sum(truth.n_typed < len(truth.text) for truth in by_hand),
        "dismissed": outcomes["dismissed"],
        "typed_over": outcomes["typed_over"],
        "superseded": outcomes["superseded"],
        "closed": outcomes["closed"],
        "unknown": 0,
        "read": sum(truth.visible_ms >= READ_MS for truth in truths),
        "glimpsed": sum(
            truth.outcome == "superseded" and truth.visible_ms < GLIMPSED_MS for truth in truths
        ),
        "n_accepted_chars": sum(truth.n_taken for truth in truths),
        "n_typed_chars": sum(truth.n_typed for truth in truths),
        "n_written_chars": user.n_written,
        "n_model_chars": user.n_accepted,
    }, f"session {seed}"
    kept = [
        (event.completion_id, event.after_s, event.n_chars, event.n_kept)
        for event in user.log.events
        if isinstance(event, Retained)
    ]
    assert sorted(kept) == sorted(user.kept), f"session {seed}"
    return outcomes + collections.Counter(kept=len(kept))


@pytest.mark.parametrize("batch", range(N_BATCHES))
def test_counts_and_kept_characters_are_exact(batch: int) -> None:
    """Whatever the user does, and every outcome there is comes about."""
    found: collections.Counter[str] = collections.Counter()
    for seed in range(batch, N_SESSIONS, N_BATCHES):
        found += check(seed)
    wanted = {
        "accepted", "partially_accepted", "typed_through", "dismissed", "typed_over", "superseded",
        "closed", "kept",
    }  # fmt: skip
    assert wanted <= set(found) or N_SESSIONS < 20 * N_BATCHES
