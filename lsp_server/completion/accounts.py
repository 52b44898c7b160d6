"""How the last requests were answered."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal

import msgspec

from lsp_server.completion.draft import Account, Draft
from lsp_server.completion.scheduler import SUPERSEDED

_N_DOCUMENTS = 32


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """How a server stands, beside what its status says.

    Args:
        model_id: of the model; "" before it is known.
        paused: whether the user has paused midfill.
        latency_ms: from the arrival of the last request that brought something to its first
            displayable text; None before there was one.
        last: how the last request was answered; None before the first.
        texts: whether the engine is told of the workspaces' texts: ``none`` so far, ``telling``,
            or ``told`` all there is.
    """

    model_id: str = ""
    paused: bool = False
    latency_ms: float | None = None
    last: Account | None = None
    texts: Literal["none", "telling", "told"] = "none"


class Accounts:
    """The last one of each document."""

    def __init__(self) -> None:
        self.latency_ms: float | None = None
        self._by_uri: OrderedDict[str, Account] = OrderedDict()

    def put(self, uri: str, account: Account) -> None:
        """A request was answered; one that was overtaken says nothing of a document."""
        if account.answer == SUPERSEDED:
            return
        self._by_uri.pop(uri, None)
        self._by_uri[uri] = account
        while len(self._by_uri) > _N_DOCUMENTS:
            self._by_uri.popitem(last=False)

    def displayable(self, draft: Draft) -> None:
        """A request brought something."""
        self.latency_ms = draft.latency_ms

    def of(self, uri: str) -> Account | None:
        """The last one in a document; None before the first."""
        return self._by_uri.get(uri)

    @property
    def last(self) -> Account | None:
        """The last one in any open document; None before the first."""
        return next(reversed(self._by_uri.values()), None)

    def forget(self, uri: str) -> None:
        """A document was closed."""
        self._by_uri.pop(uri, None)
