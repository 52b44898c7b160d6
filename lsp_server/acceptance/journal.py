"""Writes down what happens to the suggestions of one session, as events."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from lsp_server.acceptance.assumed import AssumedShown
from lsp_server.acceptance.events import Event, Evidence, Failed, Requested, Shown
from lsp_server.acceptance.file_kind import file_kind
from lsp_server.acceptance.log import EventSink
from lsp_server.acceptance.retention import Later
from lsp_server.acceptance.salt import TextHasher
from lsp_server.acceptance.suggestion import Suggestion, n_lines
from lsp_server.acceptance.surroundings import around
from lsp_server.score.features import VERSION
from lsp_server.types import CompletionRequest

_OneEvent = TypeVar("_OneEvent", bound=Event)


class Journal:
    """Makes events of what happens, with all that they have in common.

    Args:
        log: where the events go.
        session: id of this server process' session.
        clock: seconds since 1970.
        hasher: hashes URIs and prefixes.
        later: calls something after so many seconds.
    """

    def __init__(
        self,
        log: EventSink,
        session: str,
        clock: Callable[[], float],
        hasher: TextHasher,
        later: Later,
    ) -> None:
        self.session = session
        self.clock = clock
        self._hash = hasher
        self._log = AssumedShown(log, later)

    def append(self, event: Event) -> None:
        """Log an event."""
        self._log.append(event)

    def settle(self) -> None:
        """What was only assumed so far is logged now."""
        self._log.settle()

    def announced(self, name: str) -> None:
        """The client says that it shows a suggestion."""
        self._log.announced(name)

    def requested(self, request: CompletionRequest, model: str) -> None:
        """A client asks for a suggestion.

        Args:
            request: where, in which text.
            model: the model's id; "" while it is not known.
        """
        snapshot = request.snapshot
        n_prefix_chars, n_suffix_chars, prefix_end = around(request)
        self.append(
            Requested(
                completion_id=request.id,
                ts=self.clock(),
                session=self.session,
                client=request.client,
                language=snapshot.language,
                model=model,
                trigger=request.trigger,
                prefix_hash=self._hash(prefix_end),
                n_prefix_chars=n_prefix_chars,
                n_suffix_chars=n_suffix_chars,
                uri_hash=self._hash(snapshot.uri),
                file_kind=file_kind(snapshot.uri),
            )
        )

    def shown(self, name: str, suggestion: Suggestion, evidence: Evidence) -> None:
        """A suggestion stands before the user's eyes.

        Args:
            name: id of the one that was shown first.
            suggestion: what is known of it.
            evidence: how we know; what is only assumed waits for what the client says.
        """
        event = self._event(
            Shown,
            name,
            suggestion,
            n_chars=len(suggestion.text),
            n_lines=n_lines(suggestion.text),
            latency_ms=suggestion.latency_ms,
            ttft_ms=suggestion.ttft_ms,
            score=suggestion.score,
            p=suggestion.p,
            features=suggestion.features,
            features_version=VERSION if suggestion.features else 0,
            explored=suggestion.explored,
            evidence=evidence,
        )
        if evidence == "answered":
            self._log.assume(event)
        else:
            self.append(event)

    def failed(self, request: CompletionRequest, reason: str, model: str) -> None:
        """A request ended without a suggestion.

        Args:
            request: the request.
            reason: a stable code.
            model: the model's id; "" if none was chosen.
        """
        self.append(
            Failed(
                completion_id=request.id,
                ts=self.clock(),
                session=self.session,
                client=request.client,
                language=request.snapshot.language,
                model=model,
                reason=reason,
            )
        )

    def log(
        self, event_type: Callable[..., Event], name: str, suggestion: Suggestion, **own: Any
    ) -> None:
        """Log an event of a known suggestion.

        Args:
            event_type: which event.
            name: the suggestion's id.
            suggestion: what is known of it.
            own: the fields that this event has beside those all events have.
        """
        self.append(self._event(event_type, name, suggestion, **own))

    def _event(
        self, event_type: Callable[..., _OneEvent], name: str, suggestion: Suggestion, **own: Any
    ) -> _OneEvent:
        return event_type(
            completion_id=name,
            ts=self.clock(),
            session=self.session,
            client=suggestion.client,
            language=suggestion.language,
            model=suggestion.model,
            **own,
        )
