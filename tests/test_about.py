"""Requests about the server itself, over a real log where they read one."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from pathlib import Path
from typing import Any

import msgspec
import pytest

from context.types import CursorScope, FileContext, Prompt, Snippet
from lsp_server import __version__
from lsp_server.acceptance import figures
from lsp_server.acceptance.events import Event, to_row
from lsp_server.acceptance.store import EventStore
from lsp_server.completion.accounts import Standing
from lsp_server.completion.draft import Account, Explanation
from lsp_server.engine.choice import Guess
from lsp_server.errors import StoreError
from lsp_server.service import Unavailable
from lsp_server.types import Completion, Skip, Status, Timings
from tests.acceptance.makers import accepted, requested, shown
from tests.handler_client import Client
from tests.raw_client import URI

DOCUMENT = {"textDocument": {"uri": URI}}


@pytest.fixture
def client() -> Client:
    """A client that listens, of a service that records."""
    client = Client()
    client.service.is_recorded = True
    client.session._ready = True
    return client


def fill(*events: Event, age_s: float = 0.0) -> None:
    """Log the events as of so long ago."""
    rows = [msgspec.structs.replace(event, ts=time.time() - age_s) for event in events]
    store = EventStore()
    store.write([("w", int(age_s * 100) + n, *to_row(event)) for n, event in enumerate(rows)])
    store.close()


def skipped(reason: str, message: str = "") -> Account:
    """A request that brought nothing."""
    return Account(answer=Skip(reason=reason, message=message), request_id="id-1")


def answered(text: str) -> Account:
    """A request that brought something."""
    return Account(answer=Completion(id="id-2", text=text, line=0, column=0), request_id="id-2")


# -- status ------------------------------------------------------------------------------


async def test_status_tells_all_that_a_status_line_shows(client: Client) -> None:
    """The last status that was reported, the model, the last answer, and the figures of today."""
    fill(requested("a"), shown("a"), accepted("a"), requested("b"), shown("b"))
    fill(requested("old"), shown("old"), age_s=3 * 86_400)
    client.session.report_status(Status(kind="Normal", message="Loading 0.5b", busy=True))
    client.service.now = Standing(model_id="0.5b", latency_ms=120.5, last=skipped("model_stopped"))
    assert await client.call("midfill/status") == {
        "kind": "Normal",
        "message": "Loading 0.5b",
        "busy": True,
        "version": __version__,
        "model": {"id": "0.5b"},
        "paused": False,
        "lastLatencyMs": 120.5,
        "today": {"shown": 2, "accepted": 1, "rate": 0.5},
        "reason": "model_stopped",
        "larger": None,
        "texts": "none",
    }
    # What is shown was stored before it was counted.
    assert ("recorded", None) in client.service.events


async def test_status_before_anything_was_asked(client: Client) -> None:
    """All that is not known is null, and no rate is made of nothing."""
    told = await client.call("midfill/status")
    assert (told["kind"], told["model"], told["lastLatencyMs"]) == ("Normal", None, None)
    assert (told["reason"], told["today"]) == (None, {"shown": 0, "accepted": 0, "rate": None})
    client.service.now = Standing(last=answered("x"))
    assert (await client.call("midfill/status"))["reason"] is None


async def test_status_names_a_model_that_is_worth_fetching(client: Client) -> None:
    """What it is, and what it would cost and give."""
    client.service.larger = Guess(model_id="1.5b", size_bytes=1_117_320_768, first_line_ms=519.6)
    told = (await client.call("midfill/status"))["larger"]
    assert told == {"id": "1.5b", "sizeBytes": 1_117_320_768, "firstLineMs": 520}


async def test_status_has_no_figures_without_a_log(client: Client, tmp_path: Path) -> None:
    """Neither when it is off nor when it cannot be read; the rest is told all the same."""
    client.service.is_recorded = False
    assert (await client.call("midfill/status"))["today"] is None
    client.service.is_recorded = True
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / "events.sqlite").write_bytes(b"no database" * 100)
    assert (await client.call("midfill/status"))["today"] is None


@pytest.mark.parametrize(
    ("reported", "paused", "expected"),
    [("Normal", True, "Inactive"), ("Error", True, "Inactive"), ("Inactive", True, "Inactive")],
)
async def test_a_pause_from_elsewhere_is_told(
    client: Client, reported: Any, paused: bool, expected: str
) -> None:
    """Another editor or the command line may have paused; no engine had to say so."""
    client.session.report_status(Status(kind=reported, message="so"))
    client.service.now = Standing(paused=paused)
    told = await client.call("midfill/status")
    assert (told["kind"], told["paused"]) == (expected, True)
    assert "paused" in told["message"]


async def test_the_end_of_a_pause_from_elsewhere_is_told(client: Client) -> None:
    """The status that was reported last says that it is paused, and it is not any more."""
    client.service.now = Standing(paused=True)
    message = (await client.call("midfill/status"))["message"]
    client.session.report_status(Status(kind="Inactive", message=message))
    client.service.now = Standing()
    told = await client.call("midfill/status")
    assert (told["kind"], told["message"], told["paused"]) == ("Normal", "", False)


# -- why ---------------------------------------------------------------------------------


def test_why_explains_the_reason_of_the_last_answer(client: Client) -> None:
    """In a document, or in whichever was asked last; a code, a sentence, and what to do."""
    client.service.accounts[URI] = skipped("language_disabled", "Switched off for python.")
    client.service.now = Standing(last=skipped("model_stopped"))
    assert client.call("midfill/why", DOCUMENT) == {
        "reason": "language_disabled",
        "text": "Completion is switched off for this language.",
        "hint": "Take it out of completion.disabled_languages.",
        "id": "id-1",
    }
    assert client.call("midfill/why")["reason"] == "model_stopped"
    assert client.call("midfill/why", {"textDocument": None})["reason"] == "model_stopped"


def test_why_says_what_went_wrong_where_no_sentence_is_made_for_it(client: Client) -> None:
    """The message of the error, not that there was one."""
    client.service.now = Standing(last=skipped("engine_backoff", "Next try in 20 s."))
    told = client.call("midfill/why")
    assert (told["reason"], told["text"]) == ("engine_backoff", "Next try in 20 s.")
    assert told["hint"] == "Run: midfill doctor"


def test_why_after_a_suggestion_says_so(client: Client) -> None:
    """There is no reason then."""
    client.service.accounts[URI] = answered("return x")
    told = client.call("midfill/why", DOCUMENT)
    assert (told["reason"], told["id"], told["hint"]) == (None, "id-2", "")
    assert told["text"] == "The last request brought a suggestion of 8 characters."


def test_why_before_anything_was_asked_says_how_things_stand(client: Client) -> None:
    """Nothing was asked there yet; trouble that is known already is told."""
    told = client.call("midfill/why", DOCUMENT)
    assert told == {
        "reason": None,
        "text": "No suggestion was asked for in this document yet.",
        "hint": "",
        "id": None,
    }
    client.session.report_status(Status(kind="Warning", message="No model. Run: fetch"))
    assert client.call("midfill/why")["hint"] == "No model. Run: fetch"


# -- stats -------------------------------------------------------------------------------


async def test_stats_are_those_of_the_command_line(client: Client) -> None:
    """The same figures as ``midfill stats --json``, of all or of the last days."""
    fill(requested("a"), shown("a"), accepted("a"))
    fill(requested("old"), shown("old"), age_s=10 * 86_400)
    told = await client.call("midfill/stats", {"format": "summary"})
    assert (told["shown"], told["accepted"], told["since"]) == (2, 1, None)
    assert told.keys() == figures.as_json([], None).keys()
    recent = await client.call("midfill/stats", {"sinceDays": 7})
    assert (recent["shown"], recent["acceptance_rate"]) == (1, 1.0)
    assert recent["since"] is not None
    json.dumps(recent)


async def test_the_page_needs_no_network(client: Client) -> None:
    """One HTML text without script, links or images of others."""
    fill(requested("a"), shown("a"), accepted("a"))
    page = (await client.call("midfill/stats", {"format": "html", "sinceDays": 1}))["html"]
    assert page.startswith("<!doctype html>")
    assert "Since " in page
    assert not any(word in page for word in ("<script", "http:", "https:", "src="))


async def test_stats_of_a_log_that_cannot_be_read_are_an_error(
    client: Client, tmp_path: Path
) -> None:
    """With its code; the server goes on."""
    (tmp_path / "state").mkdir(exist_ok=True)
    (tmp_path / "state" / "events.sqlite").write_bytes(b"no database" * 100)
    with pytest.raises(StoreError) as caught:
        await client.call("midfill/stats")
    assert caught.value.code == "log_damaged"


@pytest.mark.parametrize(
    "params", [{"format": "pdf"}, {"sinceDays": -1}, {"sinceDays": "7"}, {"sinceDays": 10**6}]
)
def test_stats_of_another_form_or_time_are_refused(client: Client, params: dict[str, Any]) -> None:
    """Before anything is read."""
    with pytest.raises(msgspec.ValidationError):
        client.call("midfill/stats", params)
    assert client.service.events == []


async def test_many_readers_of_the_log_take_turns(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A burst keeps one core busy, not all."""
    both = threading.Barrier(2, timeout=0.05)
    met: list[bool] = []

    def slow(*_: object) -> dict[str, Any]:
        try:
            both.wait()
            met.append(True)
        except threading.BrokenBarrierError:
            both.reset()
            met.append(False)
        return {}

    monkeypatch.setattr(figures, "as_json", slow)
    await asyncio.gather(*(client.call("midfill/stats") for _ in range(3)))
    assert met == [False] * 3


# -- marks -------------------------------------------------------------------------------


def test_marks_lists_what_is_pinned_and_banned(client: Client) -> None:
    """As URIs."""
    told = client.call("midfill/marks")
    assert [*told["pinned"]] == ["file:///p/a.py"]
    assert [*told["banned"]] == ["file:///p/b.py"]


# -- without a service -------------------------------------------------------------------


async def test_without_a_service_the_reason_is_told(client: Client) -> None:
    """Status and why name what kept it from starting; there are no marks and no figures."""
    skip = Skip(reason="disk_full", message="The disk is full.")
    client.session._service = Unavailable(skip)
    told = await client.call("midfill/status")
    assert (told["reason"], told["today"], told["model"]) == ("disk_full", None, None)
    why = client.call("midfill/why", DOCUMENT)
    assert (why["reason"], why["text"], why["id"]) == ("disk_full", "The disk is full.", None)
    assert client.call("midfill/marks") == {"pinned": (), "banned": ()}


# -- explain -----------------------------------------------------------------------------


def test_explain_tells_how_the_last_request_was_answered() -> None:
    """A reason, or the text with its score, timings, log-probabilities and snippets."""
    client = Client()
    where = {"textDocument": {"uri": URI}}
    assert client.call("midfill/explain", where) is None

    skip = Skip(reason="disabled", message="It is off.")
    client.service.accounts[URI] = Account(answer=skip, request_id="id-1")
    assert client.call("midfill/explain", where) == {
        "id": "id-1",
        "reason": "disabled",
        "message": "It is off.",
        "text": "",
    }

    snippet = Snippet(path=URI, start_byte=0, end_byte=3, text="abc", origin="before_cursor")
    scope = CursorScope(
        kind="code", line_before="", line_after="", next_line="", indent="", multi_line=False
    )
    client.service.accounts[URI] = Account(
        answer=Completion(id="id-2", text="x", line=0, column=0, score=-0.5, model="m"),
        request_id="id-2",
        explanation=Explanation(
            context=FileContext(prefix=(snippet,), suffix=(), scope=scope),
            prompt=Prompt(segments=(), n_tokens=3),
            segment_tokens=(1, 2),
            raw="x y",
            stop="line",
            logprobs=(-0.5,),
            timings=Timings(ttft_ms=12.0),
        ),
    )
    told = client.call("midfill/explain", where)
    assert (told["text"], told["raw"], told["stop"]) == ("x", "x y", "line")
    assert (told["reason"], told["score"], list(told["logprobs"])) == (None, -0.5, [-0.5])
    assert told["timings"]["ttftMs"] == 12.0
    assert told["snippets"][0]["origin"] == "before_cursor"
    assert told["snippets"][0]["startByte"] == 0
