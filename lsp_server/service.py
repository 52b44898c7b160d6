"""What the server needs of a completion service, and what stands in for one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from lsp_server.completion.accounts import Standing
from lsp_server.completion.draft import Account
from lsp_server.errors import EngineUnavailableError
from lsp_server.types import (
    Completion,
    CompletionRequest,
    Edit,
    FileMark,
    MarkedFiles,
    OnPartial,
    OnStatus,
    Skip,
    Snapshot,
    Status,
)
from lsp_server.workspace.workspaces import OnProgress

if TYPE_CHECKING:
    from lsp_server.engine.choice import Guess


class Service(Protocol):
    """What the handlers need of the completion service."""

    on_status: OnStatus
    on_index_progress: OnProgress

    async def complete(
        self, request: CompletionRequest, on_partial: OnPartial | None = None
    ) -> Completion | Skip:
        """A suggestion, or the reason why there is none."""

    async def alternatives(self, request: CompletionRequest, n: int) -> list[Completion] | Skip:
        """Up to ``n`` suggestions for one cursor, or the reason why there is none."""

    def account(self, uri: str) -> Account | None:
        """How the last request in a document was answered; None before the first."""

    def standing(self) -> Standing:
        """How things stand, beside the status."""

    def larger_model(self) -> Guess | None:
        """A model that is not fetched, and would probably be fast enough here; reads files."""

    async def pause(self, paused: bool) -> None:
        """Make no suggestions in any editor, and free all memory, or go on."""

    async def recorded(self) -> bool:
        """Have all events so far stored; False where none are recorded."""

    async def accepted(self, completion_id: str) -> None:
        """The user took a suggestion; returns once that is stored."""

    def shown(self, completion_id: str) -> None:
        """The client shows a suggestion."""

    def partially_accepted(self, completion_id: str, n_utf16: int) -> None:
        """The user took the first ``n_utf16`` UTF-16 units of a suggestion."""

    def dismissed(self, completion_id: str) -> None:
        """The user turned a suggestion down."""

    def open_folders(self, roots: Iterable[Path]) -> None:
        """The editor works in these folders."""

    async def close_folders(self, roots: Iterable[Path]) -> None:
        """The editor does not work in these folders any more."""

    def file_changed(self, uri: str) -> None:
        """A file was saved, made, changed or removed."""

    def mark_file(self, uri: str, mark: FileMark) -> bool:
        """A file is wanted in every prompt, or in none; False if it is in no open folder."""

    def marked_files(self) -> MarkedFiles:
        """The files that are wanted in every prompt, and in none."""

    def document_opened(self, snapshot: Snapshot) -> None:
        """A document was opened."""

    def document_edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited, step by step; the snapshot has the text after it."""

    def cursor_at(
        self, snapshot: Snapshot, line: int, column: int, *, typing: bool = False
    ) -> None:
        """The cursor was moved there, or the text was edited; columns count code points."""

    def document_closed(self, uri: str) -> None:
        """A document was closed."""

    def focused(self, uri: str) -> None:
        """The user looks at a document."""

    async def reconfigure(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """Other options of the editor; a sentence for each that cannot be used."""

    async def start(self) -> None:
        """Say how things stand."""

    async def aclose(self) -> None:
        """End all requests and store all events."""


# Takes the options the editor sent and its name.
MakeService = Callable[[Mapping[str, Any], str], Service]


class Unavailable:
    """Stands in for a service that could not be made: every answer is empty, with the reason.

    Args:
        skip: the reason.
    """

    def __init__(self, skip: Skip) -> None:
        self.on_status: OnStatus = lambda _status: None
        self.on_index_progress: OnProgress = lambda _name, _share, _text: None
        self._skip = skip

    async def complete(
        self, request: CompletionRequest, on_partial: OnPartial | None = None
    ) -> Completion | Skip:
        """No suggestion."""
        return self._skip

    async def alternatives(self, request: CompletionRequest, n: int) -> list[Completion] | Skip:
        """No suggestion."""
        return self._skip

    def account(self, uri: str) -> Account | None:
        """The reason."""
        return Account(answer=self._skip, request_id="")

    def standing(self) -> Standing:
        """The reason."""
        return Standing(last=self.account(""))

    def larger_model(self) -> None:
        """See Service."""

    async def pause(self, paused: bool) -> None:
        """There is nothing to pause.

        Raises:
            EngineUnavailableError: always, with the reason.
        """
        raise EngineUnavailableError(self._skip.message, code=self._skip.reason)

    async def recorded(self) -> bool:
        """Nothing is."""
        return False

    async def accepted(self, completion_id: str) -> None:
        """There was none to accept."""

    async def close_folders(self, roots: Iterable[Path]) -> None:
        """None were opened."""

    def mark_file(self, uri: str, mark: FileMark) -> bool:
        """There is no open folder."""
        return False

    def marked_files(self) -> MarkedFiles:
        """There are none."""
        return MarkedFiles()

    def _ignore(self, *_: object, **__: object) -> None:
        """There was no suggestion, and nobody waits for the document."""

    shown = partially_accepted = dismissed = _ignore
    open_folders = file_changed = document_edited = _ignore
    document_opened = cursor_at = document_closed = focused = _ignore

    async def reconfigure(self, options: Mapping[str, Any]) -> tuple[str, ...]:
        """They change nothing."""
        return ()

    async def start(self) -> None:
        """Say what is wrong."""
        self.on_status(Status(kind="Error", message=self._skip.message))

    async def aclose(self) -> None:
        """Nothing to close."""
