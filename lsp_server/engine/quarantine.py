"""Prompts that end the engine: a second time is enough, a third would take the editor's windows."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Collection, Sequence

import msgspec

from context.types import Segment
from lsp_server.errors import EngineRefusedError

_MAX_DEATHS = 2
# Suspects are few: each cost a process its life.
_MAX_SUSPECTS = 256

Prompt = Sequence[Segment]


class Quarantine:
    """Remembers the hashes of prompts that ran alone when the engine died, for one session.

    With several at work the guilty one cannot be told, and none is suspected; a request and the
    warm-up for it have one and the same.

    Args:
        hint: added to the refusal; where to look for the reason.
    """

    def __init__(self, hint: str = "") -> None:
        self._hint = hint
        self._n_deaths: OrderedDict[bytes, int] = OrderedDict()

    def died(self, running: Collection[Prompt]) -> None:
        """The engine died while it had these prompts."""
        keys = {_hash(prompt) for prompt in running}
        if len(keys) != 1:
            return
        (key,) = keys
        self._n_deaths[key] = self._n_deaths.pop(key, 0) + 1
        while len(self._n_deaths) > _MAX_SUSPECTS:
            self._n_deaths.popitem(last=False)

    def served(self, prompt: Prompt) -> None:
        """Text was generated for a prompt: it was not to blame."""
        if self._n_deaths:
            self._n_deaths.pop(_hash(prompt), None)

    def check(self, prompt: Prompt) -> None:
        """Let a prompt pass.

        Raises:
            EngineRefusedError: ``prompt_quarantined``.
        """
        if self._n_deaths and self._n_deaths.get(_hash(prompt), 0) >= _MAX_DEATHS:
            raise EngineRefusedError(
                f"The engine died {_MAX_DEATHS} times on this very text; "
                "it is not asked again in this session.",
                code="prompt_quarantined",
                hint=self._hint,
            )


def _hash(prompt: Prompt) -> bytes:
    return hashlib.sha256(msgspec.msgpack.encode(tuple(prompt))).digest()
