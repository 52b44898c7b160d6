"""Requests about the server itself: how it stands, why there was no suggestion, its figures.

What they need beside the session is imported when they come: ``initialize`` does not wait for it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Any

from lsp_server import __version__, reasons
from lsp_server.answers import explained
from lsp_server.completion.accounts import Standing
from lsp_server.completion.draft import Account
from lsp_server.errors import StoreError
from lsp_server.lifecycle import messages as wire
from lsp_server.session import Session, log
from lsp_server.types import Skip, Status

_DAY_S = 86_400.0
_NOT_ASKED = "No suggestion was asked for {where} yet."


def status(session: Session, _params: wire.NoParams) -> Awaitable[dict[str, Any]]:
    """``midfill/status``: all that a status line and its menu show."""
    return _status(session, session.service.standing())


async def _status(session: Session, standing: Standing) -> dict[str, Any]:
    shown = _current(session, standing)
    last = standing.last.answer if standing.last else None
    return {
        "kind": shown.kind,
        "message": shown.message,
        "busy": shown.busy,
        "version": __version__,
        "model": {"id": standing.model_id} if standing.model_id else None,
        "paused": standing.paused,
        "lastLatencyMs": standing.latency_ms,
        "today": await _today(session),
        "larger": await _larger(session),
        "texts": standing.texts,
        "reason": last.reason if isinstance(last, Skip) else None,
    }


def _current(session: Session, standing: Standing) -> Status:
    """The status; another editor or the command line may have paused or resumed meanwhile."""
    from lsp_server.completion.engine_link import PAUSED

    if standing.paused:
        return PAUSED
    return Status(kind="Normal") if session.status == PAUSED else session.status


async def _larger(session: Session) -> dict[str, Any] | None:
    """A model that is worth fetching."""
    guess = await asyncio.to_thread(session.service.larger_model)
    if guess is None:
        return None
    return {
        "id": guess.model_id,
        "sizeBytes": guess.size_bytes,
        "firstLineMs": round(guess.first_line_ms),
    }


async def _today(session: Session) -> dict[str, Any] | None:
    from lsp_server.acceptance import figures

    if not await session.service.recorded():
        return None
    try:
        async with session.reading:
            day = await asyncio.to_thread(figures.today)
    except StoreError as error:
        # The server has warned of its log already; the rest of the status is still right.
        log.info("no figures of today: %s (%s)", error, error.code)
        return None
    return {"shown": day.n_shown, "accepted": day.n_accepted, "rate": day.rate}


def why(session: Session, params: wire.WhyParams) -> dict[str, Any]:
    """``midfill/why``: what the last answer means, in one document or in any."""
    standing = session.service.standing()
    if params.text_document is None:
        account, where = standing.last, "in the open documents"
    else:
        account, where = session.service.account(params.text_document.uri), "in this document"
    if account is None:
        now = _current(session, standing)
        hint = "" if now.kind == "Normal" else now.message
        text = _NOT_ASKED.format(where=where)
        return {"reason": None, "text": text, "hint": hint, "id": None}
    return _meaning(account)


def _meaning(account: Account) -> dict[str, Any]:
    answer = account.answer
    if not isinstance(answer, Skip):
        text = f"The last request brought a suggestion of {len(answer.text):,} characters."
        return {"reason": None, "text": text, "hint": "", "id": account.request_id}
    text, hint = reasons.explain(answer.reason)
    if answer.message and not reasons.is_listed(answer.reason):
        # What went wrong says more than that something did.
        text = answer.message
    return {"reason": answer.reason, "text": text, "hint": hint, "id": account.request_id or None}


def stats(session: Session, params: wire.StatsParams) -> Awaitable[dict[str, Any]]:
    """``midfill/stats``: the figures of the acceptance log, as JSON or as a page."""
    since_ts = None if params.since_days is None else time.time() - params.since_days * _DAY_S
    return _stats(session, params.format, since_ts)


async def _stats(session: Session, form: str, since_ts: float | None) -> dict[str, Any]:
    from lsp_server.acceptance import figures
    from lsp_server.acceptance.store import read_events

    await session.service.recorded()

    def made() -> dict[str, Any]:
        events = list(read_events(since_ts=since_ts))
        if form == "html":
            return {"html": figures.as_page(events, since_ts)}
        return figures.as_json(events, since_ts)

    async with session.reading:
        return await asyncio.to_thread(made)


def marks(session: Session, _params: wire.NoParams) -> dict[str, Any]:
    """``midfill/marks``: files that are wanted in every prompt, and those banned one by one."""
    found = session.service.marked_files()
    return {"pinned": found.pinned, "banned": found.banned}


def explain(session: Session, params: wire.ExplainParams) -> dict[str, Any] | None:
    """``midfill/explain``: how the last request in a document was answered, and from what."""
    account = session.service.account(params.text_document.uri)
    return explained(account, evidence=bool(params.evidence)) if account else None
