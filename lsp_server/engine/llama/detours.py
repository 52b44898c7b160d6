"""Another text than those that were turned down: each is left at a place of its own.

Up to that place the model writes what it wrote before; there the tokens that go on with the old
text are taken out of the choice, and the likeliest other one leads on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from lsp_server.engine.llama.healing import NO_IDS, Ids, Vocabulary
from lsp_server.engine.protocol import Detour


class Detours:
    """Which tokens are not to be picked next.

    Args:
        detours: the texts that are not to be written, each behind the cursor.
        vocabulary: gives the model's; asked for only where there is something to leave.
        stop_ids: gives the tokens that end a text.
    """

    def __init__(
        self,
        detours: Sequence[Detour],
        vocabulary: Callable[[], Vocabulary],
        stop_ids: Callable[[], Ids],
    ) -> None:
        self._vocabulary = vocabulary
        self._stop_ids = stop_ids
        self._written = b""
        self._texts = [
            (detour.text.encode("utf-8", "replace"), len(_head(detour))) for detour in detours
        ]

    def feed(self, piece: bytes) -> None:
        """Take note of text that was written."""
        if self._texts:
            self._written += piece
            self._texts = [each for each in self._texts if each[0].startswith(self._written)]

    def banned(self, wanted: bytes = b"") -> Ids:
        """Ids of the tokens that would go on with one of the texts, or end it where it ends.

        Args:
            wanted: what of a half-typed word comes first.

        Returns:
            Shape (n,), sorted; n is mostly 0.
        """
        found = [
            self._going_on(wanted, text[len(self._written) :])
            for text, at in self._texts
            if len(self._written) >= at
        ]
        return np.unique(np.concatenate(found)) if found else NO_IDS

    def _going_on(self, wanted: bytes, rest: bytes) -> Ids:
        if rest:
            return self._vocabulary().beginnings(wanted + rest, len(wanted) + 1)
        return NO_IDS if wanted else self._stop_ids()


def _head(detour: Detour) -> bytes:
    return detour.text[: detour.at].encode("utf-8", "replace")
