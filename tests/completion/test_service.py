"""The life of a completion, with a scripted engine."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from lsp_server.completion.draft import Explanation
from lsp_server.types import (
    Completion,
    MarkedFiles,
    Skip,
)
from tests.completion.serving import Serve, request, text_of


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


async def test_clients_that_cannot_stream_get_whole_lines_in_time(serve: Serve) -> None:
    """When the deadline passes, the whole lines at hand are the answer."""
    lines = "a = 1\n    b = 2\n    c ="
    service = serve({"after": "    ", "pieces": [lines, " 3"], "hang": True}, answer_ms=0)
    answer = await service.complete(request("def f():\n    ‸\n"))
    assert text_of(answer) == "a = 1\n    b = 2"


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
