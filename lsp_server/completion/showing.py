"""Whether a suggestion is shown: how likely it is to be taken, held against the user's target."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import Protocol

from lsp_server.score.evidence import Evidence
from lsp_server.score.features import features
from lsp_server.score.history import History
from lsp_server.settings import CompletionSettings, Mode
from lsp_server.types import CompletionRequest, Skip

# Share of the shown that is to be taken where the user leaves it open. A threshold always costs
# completed code; only who wants quiet is thought to want that. On the corpus that the score was
# fitted to, of which a quarter is taken, half of the shown is taken where less than half of the
# suggestions are shown, and one in eleven of those that would have been taken is lost.
_TARGETS: dict[Mode, float] = {"eager": 0.0, "balanced": 0.0, "quiet": 0.5}


class Probability(Protocol):
    """What says how likely a suggestion is to be taken."""

    def probability(self, features: tuple[float, ...], /) -> float | None:
        """P(accept); None where that is not known."""

    def least(self, target: float, /) -> float:
        """The least probability that is shown."""


def target_of(settings: CompletionSettings) -> float:
    """Share of the shown that is to be taken; 0 shows everything."""
    target = settings.target_acceptance
    return _TARGETS[settings.mode] if target == "auto" else float(target)


class Verdict:
    """Decides about one suggestion, once, as soon as its first line is whole.

    So nothing that was shown is taken away while the rest arrives.

    Args:
        scorer: says how likely it is to be taken.
        least: the least probability that is shown.
        explores: whether it is shown in any case, so that something is known of such suggestions.
        always: whether it is shown in any case, since it was asked for or stands there already.

    Attributes:
        p: probability that it is taken; None while that is not known.
        features: what that was estimated from.
        hides: whether it is decided that it is not shown.
        explored: whether it is shown only so that something is known of such suggestions.
    """

    def __init__(
        self,
        scorer: Probability,
        least: float,
        *,
        explores: bool = False,
        always: Callable[[], bool] = lambda: False,
    ) -> None:
        self.least = least
        self.p: float | None = None
        self.features: tuple[float, ...] = ()
        self.hides = False
        self.explored = False
        self._scorer = scorer
        self._explores = explores
        self._always = always
        self._decided = False

    @property
    def waits(self) -> bool:
        """Whether nothing may be shown before the first line is whole."""
        return self.least > 0 and not self._decided and not self._always()

    def look(self, evidence: Callable[[], Evidence]) -> None:
        """The first line is whole: decide, if that was not done yet."""
        if self._decided:
            return
        self._decided = True
        self.features = features(evidence())
        self.p = self._scorer.probability(self.features)
        if self.p is not None and self.p < self.least and not self._always():
            self.hides, self.explored = not self._explores, self._explores

    @property
    def skip(self) -> Skip:
        """Why it is not shown."""
        return Skip(
            reason="low_score",
            message=f"It is likely to be turned down: P(accept) is {self.p or 0:.2f}, shown is "
            f"what has {self.least:.2f} (completion.target_acceptance).",
        )


class Judge:
    """Judges the suggestions of a session, and keeps what became of them.

    Args:
        scorer: says how likely a suggestion is to be taken.
        draw: a number from 0 to 1, each time another; decides which unlikely suggestions are shown
            all the same.
        clock: in seconds.
    """

    def __init__(
        self,
        scorer: Probability,
        *,
        draw: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.scorer = scorer
        self.history = History(clock)
        self._draw = draw

    def verdict(
        self,
        settings: CompletionSettings,
        request: CompletionRequest,
        is_seen: Callable[[], bool],
    ) -> Verdict:
        """The verdict on the suggestion of a request.

        Args:
            settings: of the user.
            request: what is asked for.
            is_seen: whether the suggestion stands before the user's eyes already.
        """
        invoked = request.trigger == "invoked"
        return Verdict(
            self.scorer,
            0.0 if invoked else self.scorer.least(target_of(settings)),
            explores=settings.explore > 0 and self._draw() < settings.explore,
            always=lambda: invoked or is_seen(),
        )
