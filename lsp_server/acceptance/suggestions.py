"""The suggestions that a session remembers, and which of them are one and the same."""

from __future__ import annotations

from typing import TypeVar

from lsp_server.acceptance.suggestion import Suggestion
from lsp_server.types import Completion, CompletionRequest, Position

_Value = TypeVar("_Value")


class Suggestions:
    """Suggestions by id, the newest of each document, and the first of those that are the same.

    What is left of a suggestion once a part of it was typed is the same suggestion, and so are the
    alternatives for its place.

    Args:
        max_tracked: suggestions and documents remembered; the oldest are forgotten first.
    """

    def __init__(self, max_tracked: int) -> None:
        self._max_tracked = max_tracked
        self._by_id: dict[str, Suggestion] = {}
        self._newest: dict[str, str] = {}
        self._first: dict[str, str] = {}

    def get(self, completion_id: str) -> Suggestion | None:
        """The suggestion of an id; None for one that is not known, or not any more."""
        return self._by_id.get(completion_id)

    def add(
        self,
        request: CompletionRequest,
        model: str,
        completion_id: str = "",
        *,
        keeps_text: bool = False,
    ) -> Suggestion:
        """A suggestion was asked for.

        Args:
            request: where, in which text.
            model: the model's id; "" while it is not known.
            completion_id: of it, where that is not the request's.
            keeps_text: whether its text is to be kept for fine-tuning.
        """
        suggestion = Suggestion(
            client=request.client,
            language=request.snapshot.language,
            model=model,
            received_s=request.received_s,
            uri=request.snapshot.uri,
            version=request.snapshot.version,
            snapshot=request.snapshot if keeps_text else None,
        )
        _put(self._by_id, completion_id or request.id, suggestion, self._max_tracked)
        return suggestion

    def asked(self, request: CompletionRequest) -> None:
        """A request is the newest of its document."""
        _put(self._newest, request.snapshot.uri, request.id, self._max_tracked)

    def is_newest(self, request: CompletionRequest) -> bool:
        """Whether a request is the newest of its document."""
        return self._newest.get(request.snapshot.uri) == request.id

    def is_overtaken(self, request: CompletionRequest) -> bool:
        """Whether there is a newer request of its document."""
        return self._newest.get(request.snapshot.uri, request.id) != request.id

    def standing_at(self, request: CompletionRequest) -> str:
        """Id under which what stands at a cursor was shown first; "" where nothing does.

        Args:
            request: where, in which text.
        """
        newest_id = self._newest.get(request.snapshot.uri, "")
        newest = self._by_id.get(newest_id)
        place = request.snapshot.version, Position(request.line, request.column)
        if (
            newest is None
            or not newest.answered
            or newest.accepted
            or (newest.version, newest.at) != place
        ):
            return ""
        return newest.first or newest_id

    def whole(self, suggestion: Suggestion) -> Suggestion:
        """The suggestion as it was shown first."""
        return self._by_id.get(suggestion.first, suggestion)

    def identify(self, completion: Completion, suggestion: Suggestion) -> None:
        """Find the suggestion of which this one is what is left once a part was typed."""
        if not completion.identity:
            return
        first = suggestion.first or self._first.get(completion.identity, "")
        known = self._by_id.get(first)
        if first != completion.id and known is not None and not known.accepted:
            suggestion.first = first
            self.same(completion, first)
        else:
            self.same(completion, completion.id)

    def same(self, completion: Completion, first: str) -> None:
        """What is left of a text is the suggestion of that id, which was shown first."""
        _put(self._first, completion.identity, first, self._max_tracked)


def _put(table: dict[str, _Value], key: str, value: _Value, limit: int) -> None:
    """Set the entry as the newest and forget the oldest beyond the limit."""
    table.pop(key, None)
    table[key] = value
    while len(table) > limit:
        del table[next(iter(table))]
