"""Follows each suggestion of one session from the request to its end, and logs what happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from lsp_server.acceptance.assumed import AssumedShown
from lsp_server.acceptance.events import (
    Accepted,
    Continued,
    Dismissed,
    Ended,
    Ending,
    Event,
    Evidence,
    Failed,
    PartiallyAccepted,
    Requested,
    Retained,
    Shown,
)
from lsp_server.acceptance.file_kind import file_kind
from lsp_server.acceptance.log import EventSink
from lsp_server.acceptance.retention import Later, Retention, Timer
from lsp_server.acceptance.salt import TextHasher, user_hasher
from lsp_server.acceptance.samples import Sample, Samples
from lsp_server.acceptance.screen import Screen
from lsp_server.acceptance.suggestion import Suggestion, chars_of_utf16, is_line, n_lines
from lsp_server.acceptance.surroundings import around
from lsp_server.acceptance.written import WrittenChars
from lsp_server.positions import end_of
from lsp_server.reasons import OVERTAKEN
from lsp_server.score.features import VERSION
from lsp_server.types import Completion, CompletionRequest, Edit, Position, Skip, Snapshot

_Value = TypeVar("_Value")
_OneEvent = TypeVar("_OneEvent", bound=Event)


class AcceptanceTracker:
    """Turns what the server and its client do with suggestions into events.

    What is left of a suggestion once a part of it was typed is the same suggestion: it is shown
    once, and accepted once. So are the alternatives that the user looks at in its place. After an
    accept it begins anew.

    A client that never says what it shows: a non-empty answer that was not superseded counts as
    shown, as an assumption (evidence ``answered``). Whether a client does is known from its first
    ``didShowCompletion`` on, which makes the answer it is about a shown one (``client``) if it
    comes before anything else happens; from then on only what is announced counts. A missing accept
    means that the outcome is unknown; a suggestion is dismissed only where the client says so.

    Every method returns None when the event counted, else a ``Skip`` with the reason.

    Args:
        log: where the events go.
        session: id of this server process' session.
        clock: seconds since 1970.
        monotonic: the clock of ``CompletionRequest.received_s``.
        hasher: hashes URIs and prefixes; by default with the user's salt.
        max_tracked: suggestions and documents remembered; the oldest are forgotten first.
        later: calls something after so many seconds; by default on the running event loop.
        keep_text: takes the text of suggestions, for fine-tuning; None keeps none.
        may_keep_text: whether text of a document may be kept, by its URI.
    """

    def __init__(
        self,
        log: EventSink,
        session: str,
        clock: Callable[[], float] = time.time,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        hasher: TextHasher | None = None,
        max_tracked: int = 1000,
        later: Later | None = None,
        keep_text: Callable[[Sample], None] | None = None,
        may_keep_text: Callable[[str], bool] = lambda _uri: True,
    ) -> None:
        self.client_announces = False
        self._later = later or _on_loop
        self._log = AssumedShown(log, self._later)
        self._session = session
        self._clock = clock
        self._monotonic = monotonic
        self._hash = hasher or user_hasher()
        self._max_tracked = max_tracked
        self._suggestions: dict[str, Suggestion] = {}
        self._newest: dict[str, str] = {}
        self._first: dict[str, str] = {}
        self._retention = Retention(self._retained, self._later)
        self._samples = Samples(keep_text, may_keep_text, self._later, clock) if keep_text else None
        self._screen = Screen(self._ended, monotonic, self._later)
        self._written = WrittenChars(self._log, session, clock, self._later)

    # -- documents -----------------------------------------------------------------------

    def document_opened(self, snapshot: Snapshot) -> None:
        """A document was opened."""
        self._retention.opened(snapshot)

    def document_edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited.

        Args:
            snapshot: the text after it.
            edits: what was done, one after another.
        """
        self._retention.edited(snapshot, edits)
        self._screen.edited(snapshot, edits)
        if self._samples:
            self._samples.edited(snapshot, edits)
        self._written.edited(snapshot, edits)

    def document_closed(self, uri: str) -> None:
        """A document was closed."""
        self._retention.closed(uri)
        self._screen.closed(uri)
        if self._samples:
            self._samples.closed(uri)

    def stop_keeping_text(self) -> None:
        """The user does not want it any more."""
        if self._samples:
            self._samples.close()
            self._samples = None

    def settle(self) -> None:
        """What was only assumed so far is logged now."""
        self._log.settle()

    def close(self) -> None:
        """Nothing more happens; what was written meanwhile is told."""
        self.settle()
        self._retention.close()
        self._screen.close()
        if self._samples:
            self._samples.close()
        self._written.close()

    def _retained(self, completion_id: str, after_s: float, n_chars: int, n_kept: int) -> None:
        suggestion = self._suggestions.get(completion_id)
        if suggestion is not None:
            self._append(
                Retained,
                completion_id,
                suggestion,
                n_chars=n_chars,
                n_kept=n_kept,
                after_s=after_s,
            )

    def _took(self, completion_id: str, suggestion: Suggestion, n_chars: int) -> int:
        """The user took a suggestion up to some character; how many of the whole that makes."""
        name, whole = suggestion.first or completion_id, self._whole(suggestion)
        # What was typed by hand meanwhile was not taken.
        n_skipped = max(0, len(whole.text) - len(suggestion.text))
        known = self._screen.before_accept(name, suggestion.uri, n_skipped + n_chars)
        n_there = min(known[0] - n_skipped, n_chars) if known else 0
        before = max(suggestion.n_accepted_chars, n_there)
        suggestion.n_accepted_chars = n_chars
        if is_line(suggestion.text, before, n_chars):
            whole.unit = "line"
        whole.n_taken += n_chars - before
        self._written.accepted(suggestion.language, suggestion.uri, n_chars - before)
        at = end_of(suggestion.at, suggestion.text[:before])
        self._retention.accepted(
            name,
            suggestion.uri,
            at,
            suggestion.text[before:n_chars],
            is_there=known[1] if known else None,
        )
        self._screen.took(name, suggestion.uri, whole.n_taken)
        return whole.n_taken

    def _ended(self, name: str, how: Ending, visible_ms: float, n_chars: int, n_typed: int) -> None:
        suggestion = self._suggestions.get(name)
        if suggestion is not None:
            if self._samples:
                part = suggestion.n_taken and not suggestion.accepted
                self._samples.became(name, "partially_accepted" if part else how)
            suggestion.snapshot = None
            self._append(
                Ended,
                name,
                suggestion,
                how=how,
                visible_ms=visible_ms,
                n_chars=n_chars,
                n_typed=n_typed,
            )

    # -- suggestions ---------------------------------------------------------------------

    def requested(self, request: CompletionRequest, *, model: str = "") -> None:
        """A request arrived; older unanswered ones of the same document are now superseded."""
        snapshot = request.snapshot
        n_prefix_chars, n_suffix_chars, prefix_end = around(request)
        self._remember(request, model)
        _put(self._newest, snapshot.uri, request.id, self._max_tracked)
        self._screen.requested(snapshot.uri, Position(request.line, request.column))
        self._log.append(
            Requested(
                completion_id=request.id,
                ts=self._clock(),
                session=self._session,
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

    def judged(
        self,
        completion_id: str,
        p: float | None,
        features: Sequence[float] = (),
        *,
        explored: bool = False,
    ) -> None:
        """How likely a suggestion is to be taken is known.

        Args:
            completion_id: of it.
            p: the probability; None where there is no model of it.
            features: what that was estimated from.
            explored: see ``Shown``.
        """
        suggestion = self._suggestions.get(completion_id)
        if suggestion is not None:
            suggestion.judged(p, features, explored=explored)

    def answered(self, completion: Completion, request: CompletionRequest) -> Skip | None:
        """A text was handed to the client; call it for growing partial results as well.

        Args:
            completion: ``complete`` is false for a partial result, which sets the latency but is
                no reason yet to assume that it was shown.
            request: what it answers.
        """
        suggestion = self._suggestions.get(completion.id) or self._remember(
            request, completion.model, completion.id
        )
        if not completion.text:
            return Skip(reason="empty", message="There is no text to show.")
        if not suggestion.text:
            suggestion.latency_ms = suggestion.elapsed_ms(completion, self._monotonic())
        suggestion.text = suggestion.own = completion.text
        suggestion.at = Position(completion.line, completion.column)
        suggestion.ttft_ms = completion.timings.ttft_ms
        suggestion.score = completion.score
        suggestion.model = completion.model or suggestion.model
        suggestion.answered = suggestion.answered or completion.complete
        if completion.origin == "cache" and not completion.complete:
            return None  # it may turn out to be what is left of one that was shown
        self._identify(completion, suggestion)
        if suggestion.shown or suggestion.announced:
            self._on_screen(completion.id, suggestion)  # there may be more of it than before
        if suggestion.announced and suggestion.is_judged:
            return self._show(completion.id, suggestion, "client")
        if self.client_announces or not completion.complete:
            return None
        if self._newest.get(request.snapshot.uri, request.id) != request.id:
            return Skip(reason="superseded", message="A newer request was made meanwhile.")
        return self._show(completion.id, suggestion, "answered")

    def asked_again(self, request: CompletionRequest, *, model: str = "") -> bool:
        """Other suggestions are wanted for a cursor.

        Returns:
            Whether one stands there: then they are for the same opportunity. Else the request is
            logged like any other.
        """
        newest_id = self._newest.get(request.snapshot.uri, "")
        newest = self._suggestions.get(newest_id)
        place = request.snapshot.version, Position(request.line, request.column)
        if (
            newest is None
            or not newest.answered
            or newest.accepted
            or (newest.version, newest.at) != place
        ):
            self.requested(request, model=model)
            return False
        self._remember(request, model).first = newest.first or newest_id
        return True

    def offered(self, completions: Sequence[Completion], request: CompletionRequest) -> None:
        """Several texts for one cursor were handed to the client, which shows one at a time.

        Args:
            completions: the one that stands there has the id of the request.
            request: what they answer, see ``asked_again``.
        """
        for completion in completions:
            if completion.id == request.id:
                self.answered(completion, request)
        asked = self._suggestions.get(request.id)
        first = (asked.first if asked else "") or request.id
        for completion in completions:
            if completion.id == request.id:
                if asked is not None:
                    asked.is_alternative = bool(asked.first)
                continue
            other = self._remember(request, completion.model, completion.id)
            other.first, other.is_alternative, other.answered = first, True, True
            other.text = other.own = completion.text
            other.at = Position(completion.line, completion.column)
            other.ttft_ms, other.score = completion.timings.ttft_ms, completion.score
            other.latency_ms = other.elapsed_ms(completion, self._monotonic())
            _put(self._first, completion.identity, first, self._max_tracked)

    def _stand(self, completion_id: str, suggestion: Suggestion) -> None:
        """Of all that were made for a cursor this one stands there now."""
        whole = self._whole(suggestion)
        stands = suggestion.is_alternative or whole is suggestion
        if stands and not whole.text.endswith(suggestion.own):
            whole.text, whole.at = suggestion.own, suggestion.at
            name = suggestion.first or completion_id
            self._screen.replace(name, suggestion.uri, suggestion.at, suggestion.own)

    def _identify(self, completion: Completion, suggestion: Suggestion) -> None:
        """Find the suggestion of which this one is what is left once a part was typed."""
        if not completion.identity:
            return
        first = suggestion.first or self._first.get(completion.identity, "")
        known = self._suggestions.get(first)
        if first != completion.id and known is not None and not known.accepted:
            suggestion.first = first
            _put(self._first, completion.identity, first, self._max_tracked)
        else:
            _put(self._first, completion.identity, completion.id, self._max_tracked)

    def shown(self, completion_id: str) -> Skip | None:
        """The client says that it shows the suggestion."""
        self.client_announces = True
        suggestion = self._suggestions.get(completion_id)
        if suggestion is None:
            return _unknown(completion_id)
        suggestion.announced = True
        self._log.announced(suggestion.first or completion_id)
        if not suggestion.text:
            return None  # its size comes with the answer, which logs it then
        self._stand(completion_id, suggestion)
        if suggestion.shown:
            self._on_screen(completion_id, suggestion)
        if not suggestion.is_judged:
            return None  # its probability comes with the answer, which logs it then
        return self._show(completion_id, suggestion, "client")

    def accepted(self, completion_id: str) -> Skip | None:
        """The user took the whole suggestion."""
        suggestion = self._suggestions.get(completion_id)
        if suggestion is None or not suggestion.text:
            return _unknown(completion_id)
        if suggestion.accepted or self._whole(suggestion).accepted:
            return Skip(reason="already_accepted", message="It was accepted before.")
        self._stand(completion_id, suggestion)
        self._show(completion_id, suggestion, "accepted")
        suggestion.accepted = self._whole(suggestion).accepted = True
        n_taken = self._took(completion_id, suggestion, len(suggestion.text))
        name = suggestion.first or completion_id
        self._append(Accepted, name, suggestion, n_chars=n_taken)
        self._screen.end(name, suggestion.uri, "accepted")
        if self._samples:
            self._samples.became(name, "accepted")
        return None

    def _whole(self, suggestion: Suggestion) -> Suggestion:
        """The suggestion as it was shown first."""
        return self._suggestions.get(suggestion.first, suggestion)

    def partially_accepted(self, completion_id: str, n_utf16: int) -> Skip | None:
        """The user took the beginning of the suggestion; all of it counts as accepted.

        Args:
            completion_id: the suggestion.
            n_utf16: UTF-16 code units taken so far, from its start, as LSP clients count.
        """
        suggestion = self._suggestions.get(completion_id)
        if suggestion is None or not suggestion.text:
            return _unknown(completion_id)
        if suggestion.accepted:
            return Skip(reason="already_accepted", message="It was accepted before.")
        n_chars = chars_of_utf16(suggestion.text, n_utf16)
        if n_chars <= suggestion.n_accepted_chars:
            return Skip(reason="nothing_new", message="No more of it was taken than before.")
        if n_chars == len(suggestion.text):
            return self.accepted(completion_id)
        self._stand(completion_id, suggestion)
        self._show(completion_id, suggestion, "accepted")
        whole = self._whole(suggestion)
        n_taken = self._took(completion_id, suggestion, n_chars)
        name = suggestion.first or completion_id
        self._append(PartiallyAccepted, name, suggestion, n_chars=n_taken, unit=whole.unit)
        return None

    def dismissed(self, completion_id: str, reason: str = "rejected") -> Skip | None:
        """The client says that the user turned the suggestion down."""
        suggestion = self._suggestions.get(completion_id)
        if suggestion is None or not suggestion.text:
            return _unknown(completion_id)
        if suggestion.accepted:
            return Skip(reason="already_accepted", message="It was accepted before.")
        if suggestion.dismissed:
            return Skip(reason="already_dismissed", message="It was dismissed before.")
        if suggestion.announced:
            self._show(completion_id, suggestion, "client")
        if not suggestion.shown:
            return Skip(reason="not_shown", message="It was not shown.")
        suggestion.dismissed = True
        name = suggestion.first or completion_id
        self._append(Dismissed, name, suggestion, reason=reason)
        self._screen.end(name, suggestion.uri, "dismissed")
        return None

    def failed(self, request: CompletionRequest, reason: str, *, model: str = "") -> None:
        """The request ended without a suggestion.

        Args:
            request: the request.
            reason: a stable code, such as that of a ``Skip`` or a ``MidfillError``.
            model: the model's id, if it was chosen already.
        """
        known = self._suggestions.get(request.id)
        if known is not None and known.announced and known.text:
            # It stood there while it grew.
            self._show(request.id, known, "client")
        uri = request.snapshot.uri
        if reason not in OVERTAKEN and self._newest.get(uri) == request.id:
            self._screen.unanswered(uri)
        self._log.append(
            Failed(
                completion_id=request.id,
                ts=self._clock(),
                session=self._session,
                client=request.client,
                language=request.snapshot.language,
                model=model or (known.model if known else ""),
                reason=reason,
            )
        )

    def _append(
        self,
        event_type: Callable[..., Event],
        completion_id: str,
        suggestion: Suggestion,
        **own: Any,
    ) -> None:
        """Log an event of a known suggestion, see ``_event``."""
        self._log.append(self._event(event_type, completion_id, suggestion, **own))

    def _event(
        self,
        event_type: Callable[..., _OneEvent],
        completion_id: str,
        suggestion: Suggestion,
        **own: Any,
    ) -> _OneEvent:
        """An event of a known suggestion.

        Args:
            event_type: which event.
            completion_id: the suggestion's id.
            suggestion: what is known of it.
            own: the fields that this event has beside those all events have.
        """
        return event_type(
            completion_id=completion_id,
            ts=self._clock(),
            session=self._session,
            client=suggestion.client,
            language=suggestion.language,
            model=suggestion.model,
            **own,
        )

    def _remember(
        self, request: CompletionRequest, model: str, completion_id: str = ""
    ) -> Suggestion:
        suggestion = Suggestion(
            client=request.client,
            language=request.snapshot.language,
            model=model,
            received_s=request.received_s,
            uri=request.snapshot.uri,
            version=request.snapshot.version,
            snapshot=request.snapshot if self._samples else None,
        )
        _put(self._suggestions, completion_id or request.id, suggestion, self._max_tracked)
        return suggestion

    def _show(self, completion_id: str, suggestion: Suggestion, evidence: Evidence) -> Skip | None:
        if suggestion.shown:
            return Skip(reason="already_shown", message="It was logged as shown before.")
        suggestion.shown = True
        whole = self._whole(suggestion)
        if whole is not suggestion and whole.shown:
            # It has stood before the user's eyes all the time.
            self._append(Continued, completion_id, suggestion, of=suggestion.first)
            self._on_screen(completion_id, suggestion)
            return None
        whole.shown = True
        completion_id = suggestion.first or completion_id
        event = self._event(
            Shown,
            completion_id,
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
            evidence="client" if suggestion.announced else evidence,
        )
        if event.evidence == "answered":
            # What it takes the place of comes first: nothing else may happen while it is open.
            self._on_screen(completion_id, suggestion)
            self._log.assume(event)
        else:
            self._log.append(event)
            self._on_screen(completion_id, suggestion)
        return None

    def _on_screen(self, completion_id: str, suggestion: Suggestion) -> None:
        whole, name = self._whole(suggestion), suggestion.first or completion_id
        if self._samples and whole is suggestion and suggestion.snapshot:
            sample = self._sample(name, suggestion)
            self._samples.shown(sample, suggestion.uri, suggestion.at, suggestion.snapshot)
        if not whole.accepted:
            self._screen.show(
                name,
                suggestion.uri,
                suggestion.at,
                suggestion.text,
                whole=whole.text,
                n_taken=whole.n_taken,
            )

    def _sample(self, name: str, suggestion: Suggestion) -> Sample:
        return Sample(
            completion_id=name,
            ts=0.0,
            session=self._session,
            language=suggestion.language,
            model=suggestion.model,
            prefix="",
            suggestion=suggestion.text,
            became="",
            after="",
            after_s=0.0,
        )


def _on_loop(seconds: float, call: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, call)


def _put(table: dict[str, _Value], key: str, value: _Value, limit: int) -> None:
    """Set the entry as the newest and forget the oldest beyond the limit."""
    table.pop(key, None)
    table[key] = value
    while len(table) > limit:
        del table[next(iter(table))]


def _unknown(completion_id: str) -> Skip:
    return Skip(
        reason="unknown_completion", message=f"No suggestion has the id {completion_id[:64]!r}."
    )
