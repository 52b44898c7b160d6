"""The life of a completion, with a scripted engine."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import pytest

from context.types import Prompt
from lsp_server import settings
from lsp_server.acceptance import sample_store
from lsp_server.acceptance.store import read_events
from lsp_server.completion import asking, suggestion_cache
from lsp_server.completion.accounts import Standing
from lsp_server.completion.build import build_service
from lsp_server.completion.draft import Explanation, source_file
from lsp_server.completion.scheduler import SUPERSEDED
from lsp_server.completion.service import CompletionService
from lsp_server.completion.warmup import Spot
from lsp_server.documents import TextDocument
from lsp_server.engine import pause, spawn
from lsp_server.engine.client import EngineClient
from lsp_server.engine.protocol import Adapter, StateChange
from lsp_server.settings import Resolved
from lsp_server.types import (
    Completion,
    CompletionRequest,
    MarkedFiles,
    SamplingParams,
    Skip,
    Status,
    Trigger,
)
from tests.scripted_engine import write_script

Serve = Callable[..., CompletionService]


@pytest.fixture
async def serve(tmp_path: Path) -> AsyncIterator[Serve]:
    """Makes services whose engine plays a script."""
    services: list[CompletionService] = []

    def make(
        *replies: dict[str, Any],
        default: str = "",
        n_tokens: int = 0,
        n_new_tokens: int = 0,
        one_shot: bool = False,
        **completion: Any,
    ) -> CompletionService:
        script = write_script(tmp_path / "script.json", *replies, default=default)
        layer = {
            "model": {"id": f"scripted:{script}"},
            "completion": {"cache_mib": 0, **completion},
            "context": {"n_tokens": n_tokens, "n_new_tokens": n_new_tokens},
        }

        def load(editor: Mapping[str, Any]) -> Resolved:
            return settings.load(editor=editor, command_line=layer)

        service = CompletionService(load({}), one_shot=True) if one_shot else build_service(load)
        services.append(service)
        return service

    yield make
    for service in services:
        await service.aclose()


def request(
    marked: str, *, uri: str = "file:///a.py", language: str = "python", number: int = 1
) -> CompletionRequest:
    """A request at the mark."""
    before, after = marked.split("‸")
    document = TextDocument(uri, language, 1, before + after)
    lines = before.replace("\r\n", "\n").split("\n")
    return CompletionRequest(
        id=f"id-{number}",
        snapshot=document.snapshot(),
        line=len(lines) - 1,
        column=len(lines[-1]),
    )


def watch_evaluation(service: CompletionService, monkeypatch: pytest.MonkeyPatch) -> asyncio.Event:
    """Set once a prompt was evaluated ahead, or found not worth it."""
    done = asyncio.Event()
    evaluate = service._ahead.evaluate

    async def watched(spot: Spot, *, resting: bool = False) -> None:
        await evaluate(spot, resting=resting)
        done.set()

    monkeypatch.setattr(service._ahead, "evaluate", watched)
    return done


async def until(holds: Callable[[], object]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(30):
        while not holds():
            await asyncio.sleep(0.005)


def text_of(answer: Completion | Skip) -> str:
    """The suggestion."""
    assert isinstance(answer, Completion), answer
    return answer.text


async def test_each_request_names_its_adapters(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Requests and warm-ups carry the adapters of the settings, in the user's folder as well."""
    asked: list[tuple[str, tuple[Adapter, ...]]] = []
    generate = EngineClient.generate

    def watched(client: EngineClient, *arguments: Any, **options: Any) -> Any:
        asked.append((options.get("lane", "interactive"), options["adapters"]))
        return generate(client, *arguments, **options)

    monkeypatch.setattr(EngineClient, "generate", watched)
    monkeypatch.setenv("HOME", str(tmp_path))
    service = serve(default="x")
    service.configure({"engine": {"lora": [{"path": "~/a.gguf", "scale": 0.5}, {"path": "/b"}]}})
    found = request("a = ‸")
    await service.complete(found)
    await service._ahead.evaluate(Spot(snapshot=found.snapshot, line=0, column=4))
    adapters = (Adapter(path=f"{tmp_path}/a.gguf", scale=0.5), Adapter(path="/b", scale=1.0))
    assert {*asked} == {("interactive", adapters), ("warm_up", adapters)}


@pytest.mark.parametrize(
    ("n_ctx", "expected"),
    [(0, (3072, 1024)), (32768, (3072, 1024)), (2048, (1044, 348)), (100, (0, 0))],
)
def test_prompts_fit_the_context_that_was_to_be_had(n_ctx: int, expected: tuple[int, int]) -> None:
    """Where the engine had to lower its context, prompts are shorter instead of refused."""
    state = StateChange(state="ready", on_gpu=True, n_ctx=n_ctx)
    budget = asking.budget(settings.Settings(), state)
    assert (budget.n_prefix_tokens, budget.n_suffix_tokens) == expected


async def test_what_the_engine_could_not_do_is_told(serve: Serve) -> None:
    """The notice of a ready engine is part of the status."""
    service = serve()
    seen: list[Status] = []
    service.on_status = seen.append
    client = service._engine.find()
    client._on_state(
        StateChange(state="ready", model="7b", on_gpu=True, message="The context was lowered.")
    )
    assert seen == [Status(kind="Normal", message="7b on GPU", notice="The context was lowered.")]


async def test_partial_results_grow_to_the_answer(serve: Serve) -> None:
    """Each partial result is longer; the last answer is complete and carries timings."""
    service = serve({"after": "return ", "pieces": ["a", " +", " b"]})
    seen: list[Completion] = []
    answer = await service.complete(request("def add(a, b):\n    return ‸\n"), seen.append)
    assert [partial.text for partial in seen] == ["a", "a +", "a + b"]
    assert not any(partial.complete for partial in seen)
    assert text_of(answer) == "a + b"
    assert isinstance(answer, Completion)
    assert answer.complete
    assert answer.id == "id-1"
    assert answer.timings.n_generated == 3
    assert answer.timings.total_ms >= answer.timings.ttft_ms > 0
    assert answer.model == "scripted"


async def test_one_line_ends_at_its_end(serve: Serve) -> None:
    """Inside a line nothing of the next line is suggested."""
    service = serve({"after": "x = ", "text": "1\ny = 2\n"})
    assert text_of(await service.complete(request("x = ‸\n"))) == "1"


async def test_blocks_end_with_the_block(serve: Serve) -> None:
    """A body of several lines ends where the function ends."""
    body = "if a > b:\n        return a\n    return b\n\n\ndef other():\n    pass\n"
    service = serve({"after": "    ", "text": body})
    answer = await service.complete(request("def largest(a, b):\n    ‸\n"))
    assert text_of(answer) == "if a > b:\n        return a\n    return b"


async def test_text_that_stands_there_is_not_repeated(serve: Serve) -> None:
    """Closing brackets right of the cursor and the line below are left to the document."""
    service = serve(
        {"after": "print(", "text": '"hello")\n'},
        {"after": "    ", "text": "x += 1\n    return x\n"},
    )
    assert text_of(await service.complete(request("print(‸)\n"))) == '"hello"'
    marked = "def f(x):\n    ‸\n    return x\n"
    assert text_of(await service.complete(request(marked))) == "x += 1"


async def test_line_ends_of_the_document_are_kept(serve: Serve) -> None:
    """The prompt has plain line ends, the suggestion those of the document."""
    service = serve({"after": "def f():\n    ", "text": "a = 1\n    return a\n"})
    answer = await service.complete(request("def f():\r\n    ‸\r\n"))
    assert text_of(answer) == "a = 1\r\n    return a"


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "model_stopped"), ("\n\n", "model_stopped"), ("a\u202eb", "filtered_unsafe_characters")],
)
async def test_nothing_to_show_has_a_reason(serve: Serve, text: str, reason: str) -> None:
    """An empty or unsafe text is a Skip that says why."""
    service = serve(default=text)
    answer = await service.complete(request("x = ‸\n"))
    assert isinstance(answer, Skip)
    assert answer.reason == reason
    assert answer.message


@pytest.mark.parametrize(
    ("options", "marked", "reason"),
    [
        ({"enabled": False}, "‸", "disabled"),
        ({"disabled_languages": ["python"]}, "‸", "language_disabled"),
        ({"max_document_bytes": 10}, "x = 123456789\n‸", "document_too_large"),
        ({}, "# a ‸ comment", "inside_comment"),
    ],
)
async def test_gate(serve: Serve, options: dict[str, Any], marked: str, reason: str) -> None:
    """What is switched off or too large is refused before the engine is asked."""
    service = serve(default="x", **options)
    answer = await service.complete(request(marked))
    assert isinstance(answer, Skip)
    assert answer.reason == reason


async def test_the_newest_request_of_a_document_wins(serve: Serve) -> None:
    """An older request that still streams is answered as superseded."""
    service = serve(
        {"after": "slow", "pieces": ["1"], "hang": True}, {"after": "quick", "text": "done"}
    )
    started = asyncio.Event()
    older = asyncio.create_task(
        service.complete(request("slow‸"), lambda _completion: started.set())
    )
    await started.wait()
    newer = await service.complete(request("quick‸", number=2))
    assert text_of(newer) == "done"
    answer = await older
    assert isinstance(answer, Skip)
    assert answer.reason == "superseded"


async def test_a_burst_is_answered_to_the_last_request(serve: Serve) -> None:
    """Of a thousand requests at once the last gets the suggestion, and all get an answer."""
    service = serve(default="done", debounce_ms=1)
    answers = await asyncio.gather(
        *(service.complete(request("x = ‸", number=n)) for n in range(1000))
    )
    assert text_of(answers[-1]) == "done"
    assert {a.reason for a in answers[:-1] if isinstance(a, Skip)} == {"superseded"}
    assert sum(isinstance(a, Completion) for a in answers) == 1


async def test_cancelling_the_caller_cancels_the_work(serve: Serve) -> None:
    """After a cancellation the engine is free for the next request."""
    service = serve(
        {"after": "slow", "pieces": ["1"], "hang": True}, {"after": "quick", "text": "done"}
    )
    started = asyncio.Event()
    task = asyncio.create_task(
        service.complete(request("slow‸"), lambda _completion: started.set())
    )
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    async with asyncio.timeout(20):
        assert text_of(await service.complete(request("quick‸", number=2))) == "done"


async def test_killed_engine_gives_an_empty_answer_and_comes_back(serve: Serve) -> None:
    """``kill -9`` in mid-stream: this request is answered with a reason, the next one is served."""
    service = serve(
        {"after": "slow", "pieces": ["1"], "hang": True}, {"after": "quick", "text": "done"}
    )
    statuses: list[Status] = []
    service.on_status = statuses.append
    started = asyncio.Event()
    task = asyncio.create_task(
        service.complete(request("slow‸"), lambda _completion: started.set())
    )
    await started.wait()
    (socket,) = spawn.sockets()
    engine = await spawn.query(socket)
    assert engine is not None
    os.kill(engine.pid, 9)
    answer = await task
    assert isinstance(answer, Skip)
    assert answer.reason == "engine_died"
    assert any(status.kind == "Error" for status in statuses)
    assert text_of(await service.complete(request("quick‸", number=2))) == "done"
    assert statuses[-1].kind == "Normal"


async def test_paused(serve: Serve) -> None:
    """While midfill is paused no engine is started, every answer has the reason, the status says
    how to go on; then all is as before."""
    service = serve(default="done")
    statuses: list[Status] = []
    service.on_status = statuses.append
    pause.set_paused(True)
    await service.start()
    service.document_opened(request("x = ‸").snapshot)
    service.focused("file:///a.py")
    answer = await service.complete(request("x = ‸"))
    assert isinstance(answer, Skip)
    assert answer.reason == "paused"
    assert "midfill engine resume" in answer.message
    assert [status.kind for status in statuses] == ["Inactive"]
    assert statuses[0].message == answer.message
    assert spawn.sockets() == []
    account = service.account("file:///a.py")
    assert account is not None
    assert account.answer == answer
    pause.set_paused(False)
    assert text_of(await service.complete(request("x = ‸", number=2))) == "done"
    assert statuses[-1].kind == "Normal"


async def test_pause_of_which_the_engine_knows_nothing(serve: Serve) -> None:
    """The flag alone pauses a server, and without it all is well again."""
    service = serve(default="done")
    statuses: list[Status] = []
    service.on_status = statuses.append
    await service.complete(request("x = ‸"))
    pause.set_paused(True)
    assert isinstance(await service.complete(request("x = ‸", number=2)), Skip)
    assert statuses[-1].kind == "Inactive"
    pause.set_paused(False)
    assert text_of(await service.complete(request("x = ‸", number=3))) == "done"
    assert statuses[-1] == Status(kind="Normal", message="scripted on CPU")


async def test_paused_in_mid_stream(serve: Serve) -> None:
    """A request that runs when midfill is paused is answered empty with the reason, which is no
    error; the state of the engine is the editor's status."""
    service = serve({"after": "slow", "pieces": ["1"], "hang": True}, default="done")
    statuses: list[Status] = []
    service.on_status = statuses.append
    started = asyncio.Event()
    task = asyncio.create_task(
        service.complete(request("slow‸"), lambda _completion: started.set())
    )
    await started.wait()
    pause.set_paused(True)
    assert await spawn.tell_all_paused(True) == 1
    answer = await task
    assert isinstance(answer, Skip)
    assert answer.reason == "paused"
    assert statuses[-1].kind == "Inactive"
    pause.set_paused(False)
    assert await spawn.tell_all_paused(False) == 1
    assert text_of(await service.complete(request("x = ‸", number=2))) == "done"
    assert {status.kind for status in statuses} == {"Normal", "Inactive"}


async def test_an_unloaded_engine_is_told_and_woken(tmp_path: Path) -> None:
    """The status says that the model is unloaded; looking at a document loads it again."""
    script = write_script(tmp_path / "script.json", default="done")
    layer = {"model": {"id": f"scripted:{script}"}, "engine": {"unload_idle_s": 0.001}}
    service = build_service(lambda editor: settings.load(editor=editor, command_line=layer))
    statuses: asyncio.Queue[Status] = asyncio.Queue()
    service.on_status = statuses.put_nowait

    async def until(words: str) -> Status:
        async with asyncio.timeout(60):
            while words not in (status := await statuses.get()).message:
                pass
            return status

    service.document_opened(request("x = ‸").snapshot)
    unloaded = await until("is unloaded")
    assert (unloaded.kind, unloaded.busy) == ("Normal", False)
    service.focused("file:///a.py")
    await until("Loading")
    await until("scripted on CPU")
    assert text_of(await service.complete(request("x = ‸"))) == "done"
    await service.aclose()


async def test_poison_prompt(serve: Serve) -> None:
    """A prompt that ended the engine twice is answered with the reason, and the engine lives."""
    service = serve({"after": "bad", "abort": True}, default="done")
    statuses: list[Status] = []
    service.on_status = statuses.append
    reasons = []
    for number in range(3):
        answer = await service.complete(request("bad‸", number=number))
        assert isinstance(answer, Skip)
        reasons.append(answer.reason)
        if number < 2:
            assert text_of(await service.complete(request("x = ‸", number=9))) == "done"
    assert reasons == ["engine_died", "engine_died", "prompt_quarantined"]
    assert statuses[-1].kind == "Normal"


async def test_sampling_settings_reach_the_engine(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the settings say about sampling is what the engine is asked for."""
    options = {
        "temperature": 0.5,
        "temperature_floor": 0.1,
        "temperature_decay": 0.05,
        "top_p": 0.8,
        "repeat_penalty": 1.1,
        "seed": 7,
    }
    asked: list[SamplingParams] = []
    generate = EngineClient.generate

    def listening(self: EngineClient, segments: Any, sampling: SamplingParams, **more: Any) -> Any:
        asked.append(sampling)
        return generate(self, segments, sampling, **more)

    monkeypatch.setattr(EngineClient, "generate", listening)
    await serve(default="done", **options).complete(request("x = ‸"))
    assert [each for each in asked if each.max_tokens] == [SamplingParams(max_tokens=96, **options)]  # type: ignore[arg-type]


async def test_clients_that_cannot_stream_get_whole_lines_in_time(serve: Serve) -> None:
    """When the deadline passes, the whole lines at hand are the answer."""
    lines = "a = 1\n    b = 2\n    c ="
    service = serve({"after": "    ", "pieces": [lines, " 3"], "hang": True}, answer_ms=0)
    answer = await service.complete(request("def f():\n    ‸\n"))
    assert text_of(answer) == "a = 1\n    b = 2"


async def test_without_a_model_the_status_names_the_command() -> None:
    """No model: every request is answered empty, and one warning says what to run."""
    service = CompletionService(settings.load())
    statuses: list[Status] = []
    service.on_status = statuses.append
    await service.start()
    for number in range(3):
        answer = await service.complete(request("x = ‸", number=number))
        assert isinstance(answer, Skip)
        assert answer.reason == "model_not_fetched"
    await service.aclose()
    assert [status.kind for status in statuses] == ["Warning"]
    assert "midfill model fetch" in statuses[0].message


async def test_options_of_the_editor_are_taken(serve: Serve) -> None:
    """What the editor sends changes the settings; what it sends wrong is told."""
    service = serve(default="x")
    service.configure({"completion": {"disabled_languages": ["python"], "max_lines": "many"}})
    statuses: list[Status] = []
    service.on_status = statuses.append
    await service.start()
    answer = await service.complete(request("x = ‸"))
    assert isinstance(answer, Skip)
    assert answer.reason == "language_disabled"
    assert statuses[0].kind == "Warning"
    assert "completion.max_lines" in statuses[0].message


async def test_events_are_logged_without_source_text(serve: Serve, tmp_path: Path) -> None:
    """Requests, what was shown and accepted, and failures are stored; the text is not."""
    service = serve({"after": "secret_name = ", "text": "hidden_value"}, default="")
    await service.complete(request("secret_name = ‸"))
    await service.accepted("id-1")
    await service.complete(request("other = ‸", number=2))
    await service.aclose()
    kinds = [type(event).__name__ for event in read_events()]
    assert kinds == ["Requested", "Shown", "Accepted", "Ended", "Requested", "Failed"]
    for file in (tmp_path / "state").rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert b"hidden_value" not in data
            assert b"secret_name" not in data


async def test_explanation_shows_what_went_in(serve: Serve) -> None:
    """The explanation holds the snippets, the prompt, the exact token counts and the raw text."""
    service = serve({"after": "x = ", "text": "1\ny = 2"})
    explanations: list[Explanation] = []
    await service.complete(request("x = ‸\nz = 3\n"), None, explanations.append)
    (explanation,) = explanations
    assert explanation.context.prefix_text == "x = "
    assert explanation.context.suffix_text == "\nz = 3\n"
    assert len(explanation.segment_tokens) == len(explanation.prompt.segments)
    assert explanation.raw.startswith("1\n")
    assert explanation.stop == "line_end"


@pytest.mark.parametrize(
    ("marked", "data", "cursor"),
    [
        ("a\r\nb‸", b"a\nb", 3),
        ("a\r\nb\r‸c", b"a\nb\nc", 4),
        ("é‸\r\n", b"\xc3\xa9\n", 2),
    ],
)
def test_source_file(marked: str, data: bytes, cursor: int) -> None:
    """Line ends become plain ones, and the cursor goes along."""
    before, after = marked.split("‸")
    snapshot = TextDocument("file:///a.py", "python", 1, before + after).snapshot()
    line = len(TextDocument("file:///a.py", "python", 1, before).snapshot().lines) - 1
    column = len(TextDocument("file:///a.py", "python", 1, before).snapshot().lines[line])
    file, offset = source_file(snapshot, line, column)
    assert (file.data, offset) == (data, cursor)


async def test_the_last_answer_of_a_document_is_remembered(serve: Serve) -> None:
    """The account holds the answer and what went into it, until the document is closed."""
    service = serve({"after": "return ", "text": "a + b\nrest"}, default="")
    here = request("def add(a, b):\n    return ‸\n")
    assert service.account(here.snapshot.uri) is None
    answer = await service.complete(here)
    account = service.account(here.snapshot.uri)
    assert account is not None
    assert account.answer == answer
    assert account.explanation is not None
    assert account.explanation.raw.startswith("a + b")
    service.document_closed(here.snapshot.uri)
    assert service.account(here.snapshot.uri) is None


async def test_a_skip_is_remembered_with_its_reason(serve: Serve) -> None:
    """What never came to a prompt has a reason and no explanation."""
    service = serve(enabled=False)
    here = request("x = ‸\n")
    await service.complete(here)
    account = service.account(here.snapshot.uri)
    assert account is not None
    assert isinstance(account.answer, Skip)
    assert (account.answer.reason, account.explanation) == ("disabled", None)


async def test_the_prompt_at_the_cursor_is_evaluated_ahead(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next request from there finds its prompt in the engine's cache."""
    service = serve({"after": "return ", "text": "a + b"})
    asked = request("def add(a, b):\n    return ‸\n")
    evaluated = watch_evaluation(service, monkeypatch)
    service.cursor_at(asked.snapshot, asked.line, asked.column)
    await asyncio.wait_for(evaluated.wait(), 60)
    answer = await service.complete(asked)
    assert isinstance(answer, Completion)
    assert answer.timings.n_reused == answer.timings.n_prompt > 0


@pytest.mark.parametrize("switched_off", [{"warm_up": False}, {"enabled": False}])
async def test_nothing_is_evaluated_ahead_when_switched_off(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, switched_off: dict[str, bool]
) -> None:
    """Without warm-ups, or without completions, the engine is left alone."""
    service = serve({"after": "return ", "text": "a + b"}, **switched_off)
    asked = request("def add(a, b):\n    return ‸\n")
    evaluated = watch_evaluation(service, monkeypatch)
    service.cursor_at(asked.snapshot, asked.line, asked.column)
    if "enabled" in switched_off:
        await asyncio.wait_for(evaluated.wait(), 60)
    else:
        assert service._ahead._work._task is None
    assert service._engine.model_id == ""


@pytest.mark.parametrize(("trigger", "n_ahead"), [("automatic", 1), ("invoked", 0)])
async def test_the_wait_for_a_pause_is_used(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, trigger: Trigger, n_ahead: int
) -> None:
    """While a newer request may still come, the prompt is evaluated already."""
    service = serve({"after": "return ", "text": "a + b"}, debounce_ms=20)
    ahead: list[Prompt] = []

    async def prefill(prompt: Prompt) -> None:
        ahead.append(prompt)

    monkeypatch.setattr(service._engine, "prefill", prefill)
    asked = request("def add(a, b):\n    return ‸\n")
    answer = await service.complete(msgspec.structs.replace(asked, trigger=trigger))
    assert text_of(answer) == "a + b"
    assert len(ahead) == n_ahead


# -- what is there already ---------------------------------------------------------------


def prompts_asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Lanes of what the engine is asked for from now on."""
    lanes: list[str] = []
    generate = EngineClient.generate

    def watched(client: EngineClient, *arguments: Any, **options: Any) -> Any:
        lanes.append(options.get("lane", "interactive"))
        return generate(client, *arguments, **options)

    monkeypatch.setattr(EngineClient, "generate", watched)
    return lanes


async def test_whoever_types_what_is_suggested_needs_no_other_suggestion(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The rest of it is shown at once; what is typed otherwise is asked for."""
    lanes = prompts_asked(monkeypatch)
    service = serve(default="total(first, second)\n")
    answers = [
        await service.complete(request(f"def f(first, second):\n    return {typed}‸\n"))
        for typed in ("", "t", "total(", "total(first, ", "to")
    ]
    assert [text_of(answer) for answer in answers] == [
        *("total(first, second)", "otal(first, second)", "first, second)", "second)"),
        "tal(first, second)",
    ]
    origins = [answer.origin for answer in answers if isinstance(answer, Completion)]
    assert origins == ["engine", "cache", "cache", "cache", "cache"]
    assert len({answer.identity for answer in answers if isinstance(answer, Completion)}) == 1
    assert lanes.count("interactive") == 1
    other = await service.complete(request("def f(first, second):\n    return s‸\n"))
    assert isinstance(other, Completion)
    assert other.origin == "engine"
    assert lanes.count("interactive") == 2


async def test_what_the_model_wrote_beyond_a_suggestion_is_the_next_one(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once the first is accepted; without a request to the engine."""
    lanes = prompts_asked(monkeypatch)
    piece = "one(x)\n    two(x)\n    three(x)\n"
    service = serve({"after": "    ", "pieces": [piece]}, max_lines=1)
    first = await service.complete(request("def f(x):\n    ‸\n"))
    assert text_of(first) == "one(x)"
    second = await service.complete(request("def f(x):\n    one(x)\n    ‸\n"))
    assert text_of(second) == "two(x)"
    assert isinstance(second, Completion)
    assert second.origin == "cache"
    assert lanes.count("interactive") == 1


async def test_the_suggestion_behind_the_one_shown_is_written_ahead(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that it is there when the first is accepted, whatever line ends the document has."""
    lanes = prompts_asked(monkeypatch)
    replies = [
        {"after": "    ", "text": "one(x)"},
        {"after": "one(x)\n    ", "text": "two(x)\n    three(x)"},
    ]
    service = serve(*replies, prefetch="on")
    written = asyncio.Event()
    write = service._ahead.write

    async def watched(spot: Spot) -> None:
        await write(spot)
        written.set()

    monkeypatch.setattr(service._ahead, "write", watched)
    first = await service.complete(request("def f(x):\r\n    ‸\r\n"))
    assert text_of(first) == "one(x)"
    await asyncio.wait_for(written.wait(), 10)
    assert [lane for lane in lanes if lane != "warm_up"] == ["interactive", "prefetch"]
    second = await service.complete(request("def f(x):\r\n    one(x)\r\n    ‸\r\n"))
    assert isinstance(second, Completion)
    assert (second.text, second.origin) == ("two(x)\r\n    three(x)", "cache")


@pytest.mark.parametrize("prefetch", ["auto", "off"])
async def test_on_a_cpu_nothing_is_written_ahead_unasked(
    serve: Serve, monkeypatch: pytest.MonkeyPatch, prefetch: str
) -> None:
    """It would be at work all the time."""
    service = serve(default="x", prefetch=prefetch)
    await service.complete(request("a = ‸\n"))
    assert service._ahead._work._task is None


async def test_what_was_turned_down_is_not_suggested_again(serve: Serve) -> None:
    """Nor what is left of it once a part is typed, nor while it grows; who asks for it gets it."""
    service = serve(default="total(first)")
    first = await service.complete(request("x = ‸\n", number=1))
    assert isinstance(first, Completion)
    service.dismissed(first.id)
    partials: list[Completion] = []
    for marked in ("x = ‸\n", "x = to‸\n"):
        again = await service.complete(request(marked, number=2), partials.append)
        assert isinstance(again, Skip)
        assert again.reason == "rejected"
    assert partials == []
    invoked = msgspec.structs.replace(request("x = ‸\n", number=3), trigger="invoked")
    assert text_of(await service.complete(invoked)) == "total(first)"
    assert text_of(await service.complete(request("y = ‸\n", number=4))) == "total(first)"


async def test_other_settings_write_something_else(serve: Serve) -> None:
    """What was there before is forgotten, as it is with the document."""
    service = serve(default="x")
    asked = request("a = ‸\n")

    def configure() -> None:
        service.configure({"completion": {"max_lines": 3}})

    def close() -> None:
        service.document_closed(asked.snapshot.uri)

    for forget in (configure, close):
        await service.complete(asked)
        again = await service.complete(asked)
        assert isinstance(again, Completion)
        assert again.origin == "cache"
        forget()
        new = await service.complete(asked)
        assert isinstance(new, Completion)
        assert new.origin == "engine"


async def test_a_suggestion_does_not_change_while_it_is_typed(serve: Serve) -> None:
    """Over several lines, key by key, in what is shown on the way as well."""
    text = "return sum(\n        items,\n        start,\n    )"
    service = serve(default=text)
    before, after = "def total(items, start):\n    ", "\n\n\nprint(total)\n"
    first = await service.complete(request(f"{before}‸{after}"))
    assert text_of(first) == text
    for n_typed in range(1, len(text)):
        if not text[n_typed:].strip():
            break
        seen: list[Completion] = []
        asked = request(f"{before}{text[:n_typed]}‸{after}", number=n_typed)
        answer = await service.complete(asked, seen.append)
        assert {text_of(answer), *(partial.text for partial in seen)} == {text[n_typed:]}


@pytest.mark.parametrize("is_on", [True, False])
async def test_texts_are_kept_only_if_wanted(tmp_path: Path, is_on: bool) -> None:
    """And never of files that no prompt may show."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / ".gitignore").write_text("ignored.py\n")
    script = write_script(tmp_path / "script.json", default="1")
    layer = {
        "model": {"id": f"scripted:{script}"},
        "completion": {"cache_mib": 0},
        "context": {"ban": ["banned.py"]},
        "acceptance_log": {"keep_text": is_on},
    }
    service = build_service(lambda editor: settings.load(editor=editor, command_line=layer))
    service.open_folders([folder])
    names = ("shop.py", "ignored.py", "banned.py", ".env.py", "secrets/shop.py")
    for number, name in enumerate(names):
        asked = request("x = ‸\n", uri=(folder / name).as_uri(), number=number)
        service.document_opened(asked.snapshot)
        assert text_of(await service.complete(asked)) == "1"
    await service.aclose()
    assert [(each.prefix, each.suggestion) for each in sample_store.read()] == (
        [("x = ", "1")] if is_on else []
    )
    assert (tmp_path / "state" / "samples.sqlite").exists() is is_on


# -- suggestions on disk -----------------------------------------------------------------

SPEECH = "foo(\n    bar,\n    baz,\n)"


async def from_disk(
    serve: Serve, asked: CompletionRequest, default: str = SPEECH, **completion: Any
) -> Completion:
    """The suggestion of a service that has just started."""
    service = serve(default=default, **{"cache_mib": 16, "multi_line": "always", **completion})
    answer = await service.complete(asked)
    assert isinstance(answer, Completion), answer
    await service.aclose()
    return answer


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine's disk is waited for."""
    monkeypatch.setattr(suggestion_cache, "_READ_S", 30.0)


@pytest.mark.usefixtures("patient")
async def test_a_suggestion_is_found_again_after_a_restart(serve: Serve) -> None:
    """At the very same text; it is the same in all that is told of it, and nothing is asked."""
    first = await from_disk(serve, request("x = ‸\n"))
    again = await from_disk(serve, request("x = ‸\n"))
    assert (first.origin, again.origin) == ("engine", "cache")
    assert again.text == first.text
    assert again.score == first.score
    assert again.finish_reason == first.finish_reason


@pytest.mark.usefixtures("patient")
@pytest.mark.parametrize(
    ("asked", "default", "options"),
    [
        (request("y = ‸\n"), SPEECH, {}),
        (request("x = ‸\nz"), SPEECH, {}),
        (request("x = f‸\n"), SPEECH, {}),
        (request("x = ‸\n", uri="file:///b.py"), SPEECH, {}),
        (request("x = ‸\n"), SPEECH + " # of another model", {}),
        (request("x = ‸\n"), SPEECH, {"max_lines": 3}),
        (request("x = ‸\n"), SPEECH, {"temperature": 0.5}),
        (request("x = ‸\n"), SPEECH, {"cache_mib": 0}),
    ],
    ids=["before", "after", "typed", "file", "model", "shape", "sampling", "off"],
)
async def test_another_recipe_is_another_suggestion(
    serve: Serve, asked: CompletionRequest, default: str, options: dict[str, Any]
) -> None:
    """All that it depends on is in its key."""
    await from_disk(serve, request("x = ‸\n"))
    assert (await from_disk(serve, asked, default, **options)).origin == "engine"


@pytest.mark.usefixtures("patient")
async def test_what_was_found_again_is_followed_as_any_other(serve: Serve) -> None:
    """Over several lines that are typed as it says, as the same suggestion."""
    first = await from_disk(serve, request("x = ‸\n"))
    assert first.text == SPEECH
    service = serve(cache_mib=16, multi_line="always", default=SPEECH)
    found = await service.complete(request("x = ‸\n", number=2))
    typed = await service.complete(request("x = foo(\n    bar,\n  ‸\n", number=3))
    assert isinstance(found, Completion)
    assert isinstance(typed, Completion)
    assert (found.origin, typed.origin) == ("cache", "cache")
    assert typed.text == "  baz,\n)"
    assert found.identity == typed.identity != ""


async def test_a_home_that_cannot_be_written_keeps_no_suggestion_from_being_made(
    serve: Serve, tmp_path: Path
) -> None:
    """One warning says so."""
    (tmp_path / "cache").write_text("no folder")
    service = serve(default="y", cache_mib=16)
    told: list[Status] = []
    came = asyncio.Event()

    def on_status(status: Status) -> None:
        if status.kind == "Warning":
            told.append(status)
            came.set()

    service.on_status = on_status
    for number, marked in enumerate(("x = ‸\n", "z = ‸\n", "w = ‸\n")):
        assert text_of(await service.complete(request(marked, number=number))) == "y"
    async with asyncio.timeout(30):
        await came.wait()
    assert len(told) == 1


# -- other files -------------------------------------------------------------------------

CART = 'def empty_cart(owner: str) -> "Cart":\n    """A cart with nothing in it."""\n'
TILL = "from cart import empty_cart\n\nmine = empty_cart(‸)\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file that another one needs."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "shop"
    root.mkdir()
    (root / "cart.py").write_text(CART)
    return root


async def explained(service: CompletionService, root: Path, marked: str) -> Explanation:
    """What went into the prompt at a mark of ``till.py``."""
    uri = (root / "till.py").as_uri()
    found = request(marked, uri=uri)
    service.document_opened(found.snapshot)
    await service.complete(found)
    account = service.account(uri)
    assert account is not None
    assert account.explanation is not None
    return account.explanation


async def test_other_files_reach_the_prompt(serve: Serve, project: Path) -> None:
    """Before the open file, in the form that the model knows; and the explanation says so."""
    service = serve(default="'me')", n_tokens=400, n_new_tokens=400)
    service.open_folders([project])
    await service.indexed()
    explanation = await explained(service, project, TILL)
    segments = explanation.prompt.segments
    assert [s.role for s in segments if s.role != "text"] == [
        *("repo_name", "file_sep", "file_sep", "fim_prefix", "fim_suffix", "fim_middle"),
    ]
    assert "".join(s.text for s in segments[:4]).startswith("shop\ncart.py\ndef empty_cart(")
    assert [s.origin for s in explanation.related.snippets] == ["definition"]


async def test_what_is_new_of_other_files_comes_in_a_pause(
    serve: Serve, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A suggestion does not wait for it; once the user pauses it is evaluated, and stays."""
    service = serve(default="'me')", n_tokens=400, n_new_tokens=1)
    service.open_folders([project])
    await service.indexed()
    evaluated = watch_evaluation(service, monkeypatch)
    uri = (project / "till.py").as_uri()
    asked = request(TILL, uri=uri)
    await service.complete(asked)
    first = service.account(uri)
    assert first is not None
    assert first.explanation is not None
    assert first.explanation.related.snippets == ()
    assert [d.reason for d in first.explanation.related.dropped] == ["not_yet"]
    await asyncio.wait_for(evaluated.wait(), 10)
    await service.complete(asked)
    second = service.account(uri)
    assert second is not None
    assert second.explanation is not None
    assert [s.path for s in second.explanation.related.snippets] == ["cart.py"]


async def test_a_pause_brings_all_of_it_piece_by_piece(
    serve: Serve, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece is evaluated before the next one comes."""
    (project / "shelf.py").write_text("def shelf_of(owner: str, width: int) -> list[str]: ...\n")
    service = serve(default="x", n_tokens=400, n_new_tokens=1)
    service.open_folders([project])
    await service.indexed()
    monkeypatch.setattr(asking, "_PIECE_S", 0.0)
    evaluated: list[int] = []

    async def prefill(prompt: Prompt) -> None:
        evaluated.append([s.role for s in prompt.segments].count("file_sep"))

    monkeypatch.setattr(service._engine, "prefill", prefill)
    marked = "from cart import empty_cart\nfrom shelf import shelf_of\n" + TILL.partition("\n")[2]
    asked = request(marked + "shelf_of", uri=(project / "till.py").as_uri())
    spot = Spot(snapshot=asked.snapshot, line=asked.line, column=asked.column)
    await service._ahead.evaluate(spot, resting=True)
    # The open file has a marker too.
    assert evaluated == [2, 3]


async def test_where_nobody_types_all_of_it_comes_at_once(serve: Serve, project: Path) -> None:
    """Also what a server would find for its next request only."""
    (project / "old.py").write_text(TILL.replace("‸", "'them'"))
    service = serve(default="'me')", n_tokens=400, n_new_tokens=1, one_shot=True)
    service.open_folders([project])
    await service.indexed()
    explanation = await explained(service, project, TILL)
    assert "similar" in {s.origin for s in explanation.related.snippets}
    assert explanation.related.settled


async def test_on_a_cpu_other_files_are_asked_for_by_the_user(serve: Serve, project: Path) -> None:
    """By default nothing is indexed there, and the prompt is that of the open file."""
    service = serve(default="'me')")
    service.open_folders([project])
    explanation = await explained(service, project, TILL)
    assert explanation.prompt.segments[0].role == "fim_prefix"
    assert not service._workspaces._workspaces[0].index.files


async def test_a_model_without_such_markers_gets_the_open_file(
    serve: Serve, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is asked of the index for it."""
    service = serve(default="'me')", n_tokens=400, n_new_tokens=400)
    monkeypatch.setattr(type(service._engine), "knows_repositories", False)
    service.open_folders([project])
    await service.indexed()
    explanation = await explained(service, project, TILL)
    assert explanation.prompt.segments[0].role == "fim_prefix"
    assert explanation.related.snippets == ()


async def test_without_an_index_suggestions_go_on(
    serve: Serve, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An indexer that cannot be started costs only what other files would give."""

    async def fail(*_: object, **__: object) -> None:
        raise FileNotFoundError("no such program")

    service = serve(default="'me')", n_tokens=400, n_new_tokens=400)
    service.open_folders([project])
    with monkeypatch.context() as patched:
        patched.setattr(asyncio, "create_subprocess_exec", fail)
        await service.indexed()
    explanation = await explained(service, project, TILL)
    assert explanation.raw == "'me')"


async def test_how_things_stand_is_told(serve: Serve) -> None:
    """The model, the time to the last suggestion, and the last answer that was not overtaken."""
    service = serve({"after": "x = ", "text": "1"}, default="")
    assert service.standing() == Standing()
    found = msgspec.structs.replace(request("x = ‸"), received_s=time.monotonic() - 3)
    await service.complete(found)
    first = service.standing()
    assert (first.model_id, first.paused) == ("scripted", False)
    assert first.latency_ms is not None
    assert first.latency_ms >= 3000
    assert first.last is not None
    assert first.last.request_id == "id-1"
    await service.complete(request("y = ‸", uri="file:///b.py", number=2))
    second = service.standing()
    assert second.last is not None
    assert isinstance(second.last.answer, Skip)
    assert second.latency_ms == first.latency_ms
    service.document_closed("file:///b.py")
    assert service.standing() == first


async def test_what_was_overtaken_is_not_the_last_answer(serve: Serve) -> None:
    """The newer request's answer is, also where it came first."""
    service = serve({"after": "x = ", "text": "1", "hang": True}, {"after": "x = 1", "text": "0"})
    old = asyncio.create_task(service.complete(request("x = ‸", number=1), lambda _: None))
    await until(lambda: service._scheduler._running)
    await service.complete(request("y = 2\nx = 1‸", number=2))
    assert await old == SUPERSEDED
    account = service.account("file:///a.py")
    assert account is not None
    assert account.request_id == "id-2"


async def test_a_pause_empties_every_answer_until_it_ends(serve: Serve) -> None:
    """The status says so at once, the engine is told, and goes on afterwards."""
    service = serve(default="1")
    statuses: list[Status] = []
    service.on_status = statuses.append
    assert text_of(await service.complete(request("x = ‸"))) == "1"
    await service.pause(True)
    assert statuses[-1].kind == "Inactive"
    assert service.standing().paused
    answer = await service.complete(request("x = ‸", number=2))
    assert isinstance(answer, Skip)
    assert answer.reason == "paused"
    await until(lambda: "paused" in repr(service._engine.find().state))
    await service.pause(False)
    assert [status.kind for status in statuses[-1:]] == ["Normal"]
    assert not service.standing().paused
    assert text_of(await service.complete(request("y = ‸", number=3))) == "1"


async def test_pause_and_resume_in_one_breath_end_in_the_last(serve: Serve) -> None:
    """They are carried out in the order in which they came."""
    service = serve(default="1")
    await service.complete(request("x = ‸"))
    await asyncio.gather(service.pause(True), service.pause(False), service.pause(True))
    assert pause.is_paused()
    await asyncio.gather(service.pause(False), service.pause(True), service.pause(False))
    assert not pause.is_paused()
    assert text_of(await service.complete(request("x = ‸", number=2))) == "1"


async def test_marked_files_are_named_as_the_editor_names_them(
    serve: Serve, tmp_path: Path
) -> None:
    """Pins of the settings and of the session, and files that were banned one by one."""
    service = serve(default="1")
    root = tmp_path / "my project"
    root.mkdir()
    service.open_folders([root])
    spelled = root.as_uri() + "/b%2Dc.py"
    assert service.mark_file(spelled, "pin")
    assert service.mark_file(root.as_uri() + "/d.py", "ban")
    assert service.marked_files() == MarkedFiles(
        pinned=(spelled,), banned=(root.as_uri() + "/d.py",)
    )
    assert service.mark_file(root.as_uri() + "/b-c.py", "unpin")
    assert service.mark_file(root.as_uri() + "/d.py", "unban")
    assert service.marked_files() == MarkedFiles()


async def test_events_are_stored_before_they_are_counted(serve: Serve) -> None:
    """Whoever waits for them finds the last one."""
    service = serve(default="1")
    await service.complete(request("x = ‸"))
    assert await service.recorded()
    assert [type(event).__name__ for event in read_events()] == ["Requested", "Shown"]
    assert [type(event).__name__ for event in read_events(kinds=("shown",))] == ["Shown"]
    assert not await CompletionService(settings.load()).recorded()


# -- settings that change ----------------------------------------------------------------


async def test_settings_hold_at_once_and_bad_ones_change_nothing(serve: Serve) -> None:
    """The next request follows them; taking an option back gives what held before it."""
    service = serve(default="1")
    service.configure({"completion": {"max_lines": 4}})
    problems = await service.reconfigure(
        {"completion": {"disabled_languages": ["python"], "max_lines": "many"}}
    )
    assert ["completion.max_lines" in problem for problem in problems] == [True]
    assert service.resolved.settings.completion.max_lines == 4
    answer = await service.complete(request("x = ‸"))
    assert isinstance(answer, Skip)
    assert answer.reason == "language_disabled"
    assert await service.reconfigure({}) == ()
    assert service.resolved.settings.completion.max_lines == 12
    assert text_of(await service.complete(request("x = ‸", number=2))) == "1"


async def test_another_model_is_taken_at_once(serve: Serve, tmp_path: Path) -> None:
    """What runs is answered empty; settings of the prompt leave the engine where it is."""
    slow = {"after": "x = ", "text": "old", "hang": True}
    service = serve(slow, {"after": "y = ", "text": "old"}, cache_mib=0)
    before = service._engine.find()
    old = asyncio.create_task(service.complete(request("x = ‸"), lambda _: None))
    await until(lambda: before._streams)
    load, other = service._configuration._load, write_script(tmp_path / "other.json", default="new")
    assert load is not None

    def loaded(editor: Mapping[str, Any]) -> Resolved:
        found = load(editor)
        if "model" not in editor:
            return found
        model = msgspec.structs.replace(found.settings.model, id=f"scripted:{other}")
        changed = msgspec.structs.replace(found.settings, model=model)
        return msgspec.structs.replace(found, settings=changed)

    service._configuration._load = loaded
    await service.reconfigure({"completion": {"max_lines": 3}})
    assert service._engine.find() is before
    assert await old == SUPERSEDED
    await service.reconfigure({"model": {"id": "other"}})
    assert service._engine.find() is not before
    assert text_of(await service.complete(request("y = ‸", number=2))) == "new"
    await until(lambda: before._closed)


async def test_the_log_can_be_switched_off(serve: Serve) -> None:
    """By the editor too: what was recorded stays, and nothing comes after it."""
    service = serve(default="1")
    await service.complete(request("x = ‸"))
    await service.reconfigure({"acceptance_log": {"enabled": False}})
    await service.complete(request("y = ‸", number=2))
    await service.accepted("id-2")
    assert not await service.recorded()
    await service.aclose()
    kinds = [type(event).__name__ for event in read_events()]
    assert [kind for kind in kinds if kind not in ("Ended", "Written")] == ["Requested", "Shown"]


@pytest.mark.parametrize("enabled", [True, False])
async def test_the_log_is_as_the_editor_wants_it_from_the_start(enabled: bool) -> None:
    """Its options say whether there is one, also against the user's file."""

    def load(editor: Mapping[str, Any]) -> Resolved:
        found = settings.load(editor=editor)
        if editor:
            return found
        log = msgspec.structs.replace(found.settings.acceptance_log, enabled=not enabled)
        changed = msgspec.structs.replace(found.settings, acceptance_log=log)
        return msgspec.structs.replace(found, settings=changed)

    service = build_service(load, {"acceptance_log": {"enabled": enabled}})
    assert await service.recorded() is enabled
    await service.aclose()
