"""What became of the last suggestions of a session."""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple

from lsp_server.score.evidence import Past

_N_PAST = 20
_N_OPEN = 100
# What was gone before that cannot have been read (the rule of Cody).
_READ_S = 0.75


class Made(NamedTuple):
    """A suggestion that was made.

    Args:
        uri: of the document.
        line: of the cursor.
        n_chars: its length.
        identity: the same for what is left of it once a part was typed; "" where not known.
        p: probability that it is taken; None where not known.
        at_s: when it was made.
    """

    uri: str
    line: int
    n_chars: int
    identity: str
    p: float | None
    at_s: float


class _Known(NamedTuple):
    made: Made
    accepted: bool
    at_s: float


class History:
    """The last suggestions that were taken, turned down, or left standing.

    A suggestion counts once, also when what is left of it is suggested again. One in whose place
    another came counts as not taken if it stood there long enough to be read.

    Args:
        clock: in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._open: OrderedDict[str, Made] = OrderedDict()
        self._past: deque[_Known] = deque(maxlen=_N_PAST)

    def made(
        self,
        completion_id: str,
        uri: str,
        line: int,
        text: str,
        *,
        identity: str = "",
        p: float | None = None,
    ) -> None:
        """A suggestion was made, and is likely to be shown.

        Args:
            completion_id: of it.
            uri: of the document.
            line: of the cursor.
            text: of it.
            identity: see ``Made``.
            p: see ``Made``.
        """
        now_s = self._clock()
        for other_id, other in list(self._open.items()):
            if identity and other.identity == identity:
                # The same one, shown since then.
                now_s = min(now_s, other.at_s)
                del self._open[other_id]
            elif now_s - other.at_s >= _READ_S:
                self._conclude(other_id, accepted=False)
            else:
                del self._open[other_id]
        self._open[completion_id] = Made(uri, line, len(text), identity, p, now_s)
        while len(self._open) > _N_OPEN:
            self._open.popitem(last=False)

    def accepted(self, completion_id: str) -> None:
        """It was taken, or a part of it."""
        self._conclude(completion_id, accepted=True)

    def dismissed(self, completion_id: str) -> None:
        """It was turned down."""
        self._conclude(completion_id, accepted=False)

    def _conclude(self, completion_id: str, *, accepted: bool) -> None:
        made = self._open.pop(completion_id, None)
        if made is not None:
            self._past.appendleft(_Known(made, accepted, self._clock()))

    def past(self, uri: str, line: int) -> tuple[Past, ...]:
        """What became of the last ones, the newest first.

        Args:
            uri: of the document of the cursor.
            line: of the cursor.
        """
        now_s = self._clock()
        return tuple(
            Past(
                accepted=known.accepted,
                age_s=now_s - known.at_s,
                same_line=known.made.uri == uri and known.made.line == line,
                n_chars=known.made.n_chars,
                p=known.made.p,
            )
            for known in self._past
        )
