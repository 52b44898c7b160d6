"""Other suggestions for one cursor, with a scripted engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from lsp_server import settings
from lsp_server.acceptance.events import Accepted, Continued, Event, Shown
from lsp_server.acceptance.report import summarise
from lsp_server.acceptance.store import read_events
from lsp_server.completion.build import build_service
from lsp_server.completion.service import CompletionService
from lsp_server.engine import pause
from lsp_server.engine.client import EngineClient
from lsp_server.engine.protocol import Detour
from lsp_server.settings import Resolved
from lsp_server.types import Completion, CompletionRequest, SamplingParams, Skip, TokenChunk
from tests.completion.serving import request, text_of, until
from tests.scripted_engine import write_script

Serve = Callable[..., CompletionService]
URI = "file:///a.py"
# What the model takes for likeliest, and what it says instead.
ONE = {
    "after": "x = ",
    "text": "first()",
    "logprob": -0.2,
    "others": [
        {"text": "second()", "logprob": -0.9},
        {"text": "first()", "logprob": -0.2},
        {"text": "third()", "logprob": -0.4},
        {"text": "second()", "logprob": -0.9},
        {"text": "fourth()", "logprob": -2.0},
    ],
}


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Makes services that log, whose engine plays a script."""
    services: list[CompletionService] = []

    def make(*replies: dict[str, Any], **completion: Any) -> CompletionService:
        script = write_script(tmp_path / "script.json", *replies)
        layer = {"model": {"id": f"scripted:{script}"}, "completion": completion}

        def load(editor: Mapping[str, Any]) -> Resolved:
            return settings.load(editor=editor, command_line=layer)

        services.append(build_service(load))
        return services[-1]

    yield make
    for service in services:
        await service.aclose()


async def alternatives(
    service: CompletionService, wanted: CompletionRequest, n: int = 3
) -> list[Completion]:
    """The suggestions for a cursor."""
    found = await service.alternatives(wanted, n)
    assert not isinstance(found, Skip), found
    return found


def texts(found: list[Completion]) -> list[str]:
    """Of suggestions."""
    return [completion.text for completion in found]


def watch_others(monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once another suggestion is asked for."""
    begun = asyncio.Event()
    generate = EngineClient.generate

    def watched(
        client: EngineClient, segments: Any, sampling: SamplingParams, **more: Any
    ) -> AsyncGenerator[TokenChunk]:
        if more["detours"]:
            begun.set()
        return generate(client, segments, sampling, **more)

    monkeypatch.setattr(EngineClient, "generate", watched)
    return begun


async def events(service: CompletionService) -> list[Event]:
    """What is recorded so far."""
    await service.recorded()
    return list(read_events())


def names(found: list[Event]) -> list[str]:
    """Each event's kind and whose it is."""
    return [f"{type(event).__name__} {event.completion_id}" for event in found]


# -- what is offered ---------------------------------------------------------------------


async def test_the_one_that_stands_there_comes_first_then_the_likelier_ones(serve: Serve) -> None:
    """What the model says twice is offered once; each has its own id."""
    service = serve(ONE)
    await service.complete(request("x = ‸\n"))
    found = await alternatives(service, request("x = ‸\n", number=2))
    assert texts(found) == ["first()", "third()", "second()"]
    assert len({completion.id for completion in found}) == 3
    assert found[0].id == "id-2"
    assert found[0].origin == "cache"
    assert {(c.line, c.column, c.complete) for c in found} == {(0, 4, True)}


async def test_fewer_come_if_the_model_has_no_more(serve: Serve) -> None:
    """It is asked so often only; without other words there is what stands there alone."""
    service = serve({**ONE, "others": ONE["others"][:2]}, {"after": "y = ", "text": "1"})  # type: ignore[index]
    assert texts(await alternatives(service, request("x = ‸\n"), 5)) == ["first()", "second()"]
    assert texts(await alternatives(service, request("y = ‸\n", number=2), 5)) == ["1"]
    assert texts(await alternatives(service, request("x = ‸\n", number=3), 1)) == ["first()"]


async def test_other_suggestions_pass_the_same_filters(serve: Serve) -> None:
    """One line where one line is filled; nothing hidden or blank, nothing that stands there."""
    sampled = [
        {"text": "a\ny = 2\n"},
        {"text": "b\u202ec"},
        {"text": "  \n"},
        {"text": "y = 1\n"},
        {"text": "first() "},
        {"text": "d"},
    ]
    service = serve({"after": "x = ", "text": "first()", "others": sampled})
    found = await alternatives(service, request("x = ‸\ny = 1\n"), 5)
    assert found[0].text == "first()"
    assert {"a", "d"} <= set(texts(found))
    assert not any("\u202e" in text or "\n" in text or not text.strip() for text in texts(found))


async def test_they_are_offered_where_the_likeliest_is_nothing(serve: Serve) -> None:
    """The model takes the code to be complete at first, and has something to say when asked on."""
    service = serve({"after": "x = ", "text": "", "others": [{"text": "more"}]})
    assert texts(await alternatives(service, request("x = ‸\n"))) == ["more"]


@pytest.mark.parametrize("reason", ["paused", "language_disabled", "model_stopped"])
async def test_without_any_there_is_a_reason(serve: Serve, reason: str) -> None:
    """The same codes as those of a request."""
    disabled = ["python"] if reason == "language_disabled" else []
    service = serve({"after": "x = ", "text": ""}, disabled_languages=disabled)
    pause.set_paused(reason == "paused")
    found = await service.alternatives(request("x = ‸\n"), 3)
    assert isinstance(found, Skip)
    assert found.reason == reason


async def test_line_ends_of_the_document_are_kept(serve: Serve) -> None:
    """In the others as in the first."""
    bodies = [{"text": "a = 1\n    return a\n"}, {"text": "b = 1\n    return b\n"}]
    service = serve({"after": "():\n    ", "text": "c = 1\n    return c\n", "others": bodies})
    found = await alternatives(service, request("def f():\r\n    ‸\r\n"))
    assert all("\r\n" in text and text.count("\n") == 1 for text in texts(found))


async def test_the_prompt_is_evaluated_once(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Others reuse all of it, and are picked as the first one, but not where it went."""
    asked: list[SamplingParams] = []
    detours: list[tuple[Detour, ...]] = []
    reused: list[tuple[int, int]] = []
    generate = EngineClient.generate

    async def watched(
        client: EngineClient, segments: Any, sampling: SamplingParams, **more: Any
    ) -> AsyncGenerator[TokenChunk]:
        if sampling.max_tokens:
            asked.append(sampling)
            detours.append(more["detours"])
        async for chunk in generate(client, segments, sampling, **more):
            if chunk.timings is not None and chunk.finish_reason is None and sampling.max_tokens:
                reused.append((chunk.timings.n_reused, chunk.timings.n_prompt))
            yield chunk

    monkeypatch.setattr(EngineClient, "generate", watched)
    service = serve(ONE, seed=5)
    await alternatives(service, request("x = ‸\n"))
    assert len(set(asked)) == 1
    assert detours[:2] == [(), (Detour(text="first()"),)]
    assert len(set(detours)) == len(detours)
    assert all(n_reused == n_prompt > 0 for n_reused, n_prompt in reused[1:])


# -- who comes first ---------------------------------------------------------------------


async def test_a_newer_request_takes_their_place(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it does with any request of the same document; the engine is free at once."""
    slow = {"text": "slow", "hang": True}
    service = serve(
        {"after": "x = ", "text": "1", "others": [slow]}, {"after": "y = ", "text": "2"}
    )
    begun = watch_others(monkeypatch)
    old = asyncio.create_task(service.alternatives(request("x = ‸\n"), 3))
    await begun.wait()
    answer = await service.complete(request("y = ‸\n", number=2))
    assert text_of(answer) == "2"
    found = await old
    assert isinstance(found, Skip)
    assert found.reason == "superseded"


async def test_they_take_the_place_of_an_older_request(serve: Serve) -> None:
    """Whose stream they go on with."""
    slow = {"after": "x = ", "pieces": ["a", "b"], "interval_ms": 200, "others": [{"text": "c"}]}
    service = serve(slow)
    partial = asyncio.Event()
    old = asyncio.create_task(service.complete(request("x = ‸\n"), lambda _: partial.set()))
    await partial.wait()
    assert texts(await alternatives(service, request("x = ‸\n", number=2))) == ["ab", "c"]
    answer = await old
    assert isinstance(answer, Skip)
    assert answer.reason == "superseded"


async def test_they_can_be_cancelled(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing goes on in the engine, and the next request is served."""
    service = serve(
        {"after": "x = ", "text": "1", "others": [{"text": "2", "hang": True}]},
        {"after": "y = ", "text": "3"},
    )
    begun = watch_others(monkeypatch)
    work = asyncio.create_task(service.alternatives(request("x = ‸\n"), 3))
    await begun.wait()
    work.cancel()
    with pytest.raises(asyncio.CancelledError):
        await work
    await until(lambda: not service._engine.find()._streams)
    assert text_of(await service.complete(request("y = ‸\n", number=2))) == "3"
    assert "Failed id-1" in names(await events(service))


async def test_in_the_time_that_there_is(serve: Serve) -> None:
    """What is whole by then is offered; one that goes on and on leaves time for the next."""
    line = {"pieces": ["a", "b"], "hang": True}
    words = ["a = 1\n    b = 2\n", "    c", " =", *[" +1"] * 50]
    lines = {"pieces": words, "interval_ms": 100, "logprob": -0.05}
    short = {"text": "return 2\n"}
    service = serve(
        {"after": "x = ", "text": "1", "others": [line]},
        {"after": "def f():\n    ", "text": "return 1\n", "others": [lines, short]},
        answer_ms=400,
    )
    assert texts(await alternatives(service, request("x = ‸\n"))) == ["1"]
    found = await alternatives(service, request("def f():\n    ‸\n", number=2))
    assert texts(found) == ["return 1", "a = 1\n    b = 2", "return 2"]


async def test_an_engine_that_dies_leaves_what_is_there(serve: Serve) -> None:
    """The suggestion that stands there; the next request starts another engine."""
    service = serve({"after": "x = ", "text": "1", "others": [{"text": "2", "abort": True}]})
    assert texts(await alternatives(service, request("x = ‸\n")))[0] == "1"


# -- what is counted ---------------------------------------------------------------------


async def test_another_one_is_no_second_opportunity(serve: Serve) -> None:
    """One was shown, and it was accepted, though it was another one in its place."""
    service = serve(ONE)
    await service.complete(request("x = ‸\n"))
    service.shown("id-1")
    found = await alternatives(service, request("x = ‸\n", number=2))
    for completion in found:
        service.shown(completion.id)
    await service.accepted(found[1].id)
    await service.accepted(found[1].id)
    seen = await events(service)
    assert names(seen)[:2] == ["Requested id-1", "Shown id-1"]
    assert [type(event) for event in seen[2:5]] == [Continued] * 3
    assert {event.of for event in seen if isinstance(event, Continued)} == {"id-1"}
    (taken,) = [event for event in seen if isinstance(event, Accepted)]
    assert (taken.completion_id, taken.n_chars) == ("id-1", len("third()"))
    total = summarise(seen).total
    assert (total.requested, total.shown, total.accepted) == (1, 1, 1)


async def test_without_one_that_stands_there_they_are_an_opportunity(serve: Serve) -> None:
    """Shown once, whichever comes first."""
    service = serve(ONE)
    found = await alternatives(service, request("x = ‸\n"))
    service.shown(found[2].id)
    service.shown(found[0].id)
    service.dismissed(found[0].id)
    seen = await events(service)
    (shown,) = [event for event in seen if isinstance(event, Shown)]
    # That it shows any of them says that the opportunity stood before the user's eyes.
    assert (shown.completion_id, shown.evidence) == ("id-1", "client")
    total = summarise(seen).total
    assert (total.requested, total.shown, total.accepted, total.dismissed) == (1, 1, 0, 1)


async def test_alternatives_of_another_place_or_text_are_an_opportunity_of_their_own(
    serve: Serve,
) -> None:
    """What stands elsewhere has nothing to do with them."""
    service = serve(ONE)
    await service.complete(request("x = ‸\n"))
    service.shown("id-1")
    found = await alternatives(service, request("a\nx = ‸\n", number=2))
    service.shown(found[1].id)
    total = summarise(await events(service)).total
    assert (total.requested, total.shown) == (2, 2)


async def test_none_are_no_failure_of_the_one_that_stands_there(serve: Serve) -> None:
    """It was answered, and that stays so."""
    service = serve(ONE)
    await service.complete(request("x = ‸\n"))
    pause.set_paused(True)
    assert isinstance(await service.alternatives(request("x = ‸\n", number=2), 3), Skip)
    assert names(await events(service)) == ["Requested id-1", "Shown id-1"]


async def test_a_part_of_another_one_counts(serve: Serve) -> None:
    """And what is left of it, typed or taken, is the same one."""
    service = serve(ONE)
    await service.complete(request("x = ‸\n"))
    service.shown("id-1")
    found = await alternatives(service, request("x = ‸\n", number=2))
    service.shown(found[1].id)
    service.partially_accepted(found[1].id, 2)
    rest = await service.complete(request("x = th‸\n", number=3))
    assert text_of(rest) == "ird()"
    service.shown("id-3")
    await service.accepted("id-3")
    total = summarise(await events(service)).total
    assert (total.shown, total.accepted, total.partially_accepted) == (1, 1, 0)


# -- what comes next ---------------------------------------------------------------------


async def test_what_is_typed_goes_on_from_the_one_that_is_looked_at(serve: Serve) -> None:
    """Without the engine; and from the first again once that is shown again."""
    service = serve(ONE)
    found = await alternatives(service, request("x = ‸\n"))
    service.shown(found[2].id)
    again = await service.complete(request("x = ‸\n", number=2))
    assert (text_of(again), getattr(again, "origin", "")) == ("second()", "cache")
    assert text_of(await service.complete(request("x = se‸\n", number=3))) == "cond()"
    service.shown(found[0].id)
    assert text_of(await service.complete(request("x = ‸\n", number=4))) == "first()"


async def test_who_turns_one_down_turned_down_the_first(serve: Serve) -> None:
    """Neither is made again there by itself; those that were not looked at are not concerned."""
    service = serve(ONE)
    await service.complete(request("x = ‸\n"))
    found = await alternatives(service, request("x = ‸\n", number=2))
    service.shown(found[1].id)
    service.dismissed(found[1].id)
    turned_down = {found[0].text, found[1].text}
    assert text_of(await service.complete(request("x = ‸\n", number=3))) not in turned_down
    service.shown(found[0].id)
    assert text_of(await service.complete(request("x = ‸\n", number=4))) not in turned_down
    service.shown(found[2].id)
    assert text_of(await service.complete(request("x = ‸\n", number=5))) == "second()"


async def test_the_last_ones_are_remembered(serve: Serve) -> None:
    """And no more than that, however often they are asked for."""
    service = serve(ONE)
    for number in range(20):
        await alternatives(service, request("x = ‸\n", number=number))
    assert len(service._alternatives._remembered) <= 8
