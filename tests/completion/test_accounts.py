"""How the last requests were answered."""

from __future__ import annotations

import asyncio
import time

import msgspec

from lsp_server.completion.accounts import Standing
from lsp_server.completion.scheduler import SUPERSEDED
from lsp_server.types import (
    Skip,
)
from tests.completion.serving import Serve, request, until


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
    third = service.standing()
    assert (third.last, third.latency_ms) == (first.last, first.latency_ms)


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
