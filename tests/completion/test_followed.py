"""Suggestions that are typed or taken: what is there already is not asked for again."""

from __future__ import annotations

import pytest

from lsp_server.types import (
    Completion,
)
from tests.completion.serving import Serve, prompts_asked, request, text_of


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
