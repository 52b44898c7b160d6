"""What becomes of suggestions says what is suggested next."""

from __future__ import annotations

import msgspec

from lsp_server.types import (
    Completion,
    Skip,
)
from tests.completion.serving import Serve, request, text_of


async def test_what_was_turned_down_is_not_suggested_again(serve: Serve) -> None:
    """Nor what is left of it once a part is typed, nor while it grows; who asks for it gets it."""
    service = serve({"after": "x = to", "text": "tal(first)"}, default="total(first)")
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
    assert text_of(await service.complete(request("x = to‸\n", number=4))) == "tal(first)"
    assert text_of(await service.complete(request("y = ‸\n", number=5))) == "total(first)"


async def test_instead_of_what_was_turned_down_comes_another(serve: Serve) -> None:
    """As long as there is another; typing on takes what is left of it."""
    others = [{"text": "count()"}, {"text": "size"}]
    service = serve({"text": "total(first)", "others": others})
    for number, text in enumerate(("total(first)", "count()", "size")):
        answer = await service.complete(request("x = ‸\n", number=number))
        assert isinstance(answer, Completion)
        assert (answer.text, answer.origin) == (text, "engine")
        if number < 2:
            service.dismissed(answer.id)
    assert text_of(await service.complete(request("x = si‸\n", number=3))) == "ze"
    assert text_of(await service.complete(request("y = ‸\n", number=4))) == "total(first)"


async def test_what_was_turned_down_in_one_body_is_suggested_in_another(serve: Serve) -> None:
    """Bodies begin alike; lines that shift change nothing."""
    service = serve(default="self.size")
    text = "def f(self):\n    return {0}\n\n\ndef g(self):\n    return {1}\n"
    first = await service.complete(request(text.format("‸", "1"), number=1))
    assert isinstance(first, Completion)
    service.dismissed(first.id)
    other = await service.complete(request(text.format("0", "‸"), number=2))
    assert text_of(other) == "self.size"
    again = await service.complete(request("import re\n\n\n" + text.format("‸", "2"), number=3))
    assert isinstance(again, Skip)
    assert again.reason == "rejected"
