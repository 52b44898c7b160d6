"""What the server and its client do with suggestions: each from the request to its end."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from lsp_server.acceptance.events import (
    Accepted,
    Continued,
    Dismissed,
    Evidence,
    PartiallyAccepted,
)
from lsp_server.acceptance.followed import FollowedDocuments
from lsp_server.acceptance.journal import Journal
from lsp_server.acceptance.log import EventSink
from lsp_server.acceptance.retention import Later, Timer
from lsp_server.acceptance.salt import TextHasher, user_hasher
from lsp_server.acceptance.samples import Sample
from lsp_server.acceptance.suggestion import Suggestion, chars_of_utf16
from lsp_server.acceptance.suggestions import Suggestions
from lsp_server.reasons import OVERTAKEN
from lsp_server.types import Completion, CompletionRequest, Position, Skip


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
        self._monotonic = monotonic
        later = later or _on_loop
        self._journal = Journal(log, session, clock, hasher or user_hasher(), later)
        self._suggestions = Suggestions(max_tracked)
        self._documents = FollowedDocuments(
            self._suggestions,
            self._journal,
            monotonic=monotonic,
            later=later,
            keep_text=keep_text,
            may_keep_text=may_keep_text,
        )
        self.document_opened = self._documents.opened
        self.document_edited = self._documents.edited
        self.document_closed = self._documents.closed
        self.stop_keeping_text = self._documents.stop_keeping_text

    def settle(self) -> None:
        """What was only assumed so far is logged now."""
        self._journal.settle()

    def close(self) -> None:
        """Nothing more happens; what was written meanwhile is told."""
        self.settle()
        self._documents.close()

    # -- what the server does ------------------------------------------------------------

    def requested(self, request: CompletionRequest, *, model: str = "") -> None:
        """A request arrived; older unanswered ones of the same document are now superseded."""
        self._remember(request, model)
        self._suggestions.asked(request)
        self._documents.requested(request)
        self._journal.requested(request, model)

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
        self._suggestions.identify(completion, suggestion)
        if suggestion.shown or suggestion.announced:
            self._documents.show(completion.id, suggestion)  # there may be more than before
        if suggestion.announced and suggestion.is_judged:
            return self._show(completion.id, suggestion, "client")
        if self.client_announces or not completion.complete:
            return None
        if self._suggestions.is_overtaken(request):
            return Skip(reason="superseded", message="A newer request was made meanwhile.")
        return self._show(completion.id, suggestion, "answered")

    def asked_again(self, request: CompletionRequest, *, model: str = "") -> bool:
        """Other suggestions are wanted for a cursor.

        Returns:
            Whether one stands there: then they are for the same opportunity. Else the request is
            logged like any other.
        """
        first = self._suggestions.standing_at(request)
        if not first:
            self.requested(request, model=model)
            return False
        self._remember(request, model).first = first
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
            self._suggestions.same(completion, first)

    # -- what the client says ------------------------------------------------------------

    def shown(self, completion_id: str) -> Skip | None:
        """The client says that it shows the suggestion."""
        self.client_announces = True
        suggestion = self._suggestions.get(completion_id)
        if suggestion is None:
            return _unknown(completion_id)
        suggestion.announced = True
        self._journal.announced(suggestion.first or completion_id)
        if not suggestion.text:
            return None  # its size comes with the answer, which logs it then
        self._stand(completion_id, suggestion)
        if suggestion.shown:
            self._documents.show(completion_id, suggestion)
        if not suggestion.is_judged:
            return None  # its probability comes with the answer, which logs it then
        return self._show(completion_id, suggestion, "client")

    def accepted(self, completion_id: str) -> Skip | None:
        """The user took the whole suggestion."""
        suggestion = self._suggestions.get(completion_id)
        if suggestion is None or not suggestion.text:
            return _unknown(completion_id)
        whole = self._suggestions.whole(suggestion)
        if suggestion.accepted or whole.accepted:
            return Skip(reason="already_accepted", message="It was accepted before.")
        self._stand(completion_id, suggestion)
        self._show(completion_id, suggestion, "accepted")
        suggestion.accepted = whole.accepted = True
        n_taken = self._documents.took(completion_id, suggestion, len(suggestion.text))
        name = suggestion.first or completion_id
        self._journal.log(Accepted, name, suggestion, n_chars=n_taken)
        self._documents.accepted(name, suggestion)
        return None

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
        n_taken = self._documents.took(completion_id, suggestion, n_chars)
        name, unit = suggestion.first or completion_id, self._suggestions.whole(suggestion).unit
        self._journal.log(PartiallyAccepted, name, suggestion, n_chars=n_taken, unit=unit)
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
        self._journal.log(Dismissed, name, suggestion, reason=reason)
        self._documents.dismissed(name, suggestion)
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
        if reason not in OVERTAKEN and self._suggestions.is_newest(request):
            self._documents.unanswered(request.snapshot.uri)
        self._journal.failed(request, reason, model or (known.model if known else ""))

    # -- what they have in common --------------------------------------------------------

    def _remember(
        self, request: CompletionRequest, model: str, completion_id: str = ""
    ) -> Suggestion:
        return self._suggestions.add(
            request, model, completion_id, keeps_text=self._documents.keeps_text
        )

    def _stand(self, completion_id: str, suggestion: Suggestion) -> None:
        """Of all that were made for a cursor this one stands there now."""
        whole = self._suggestions.whole(suggestion)
        stands = suggestion.is_alternative or whole is suggestion
        if stands and not whole.text.endswith(suggestion.own):
            whole.text, whole.at = suggestion.own, suggestion.at
            self._documents.replace(suggestion.first or completion_id, suggestion)

    def _show(self, completion_id: str, suggestion: Suggestion, evidence: Evidence) -> Skip | None:
        if suggestion.shown:
            return Skip(reason="already_shown", message="It was logged as shown before.")
        suggestion.shown = True
        whole = self._suggestions.whole(suggestion)
        if whole is not suggestion and whole.shown:
            # It has stood before the user's eyes all the time.
            self._journal.log(Continued, completion_id, suggestion, of=suggestion.first)
            self._documents.show(completion_id, suggestion)
            return None
        whole.shown = True
        # What it takes the place of ends first.
        self._documents.show(completion_id, suggestion)
        evidence = "client" if suggestion.announced else evidence
        self._journal.shown(suggestion.first or completion_id, suggestion, evidence)
        return None


def _on_loop(seconds: float, call: Callable[[], None]) -> Timer:
    return asyncio.get_running_loop().call_later(seconds, call)


def _unknown(completion_id: str) -> Skip:
    return Skip(
        reason="unknown_completion", message=f"No suggestion has the id {completion_id[:64]!r}."
    )
