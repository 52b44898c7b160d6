"""Types a session key by key into midfill's language server, as an editor with ghost text does."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from benchmarks.latency.session import Edit, Event, Kind, Moment, Open, Step
from benchmarks.lsp.client import Json
from benchmarks.lsp.server import PrivateServer
from lsp_server.errors import EngineError
from lsp_server.positions import units_of

_TIMEOUT_S = 180.0
_AUTOMATIC = 2
# Reasons for an empty answer that come from the suggestion itself; others are trouble.
_EXPECTED = ("model_stopped", "filtered_", "inside_comment", "rejected", "low_score", "below_")
_SAID_CHARS = 80
_SCRIPT_CHARS = 60

# What became of a suggestion that said what was typed: it stayed as it was, went on to say more,
# said something else, was cut shorter, or was gone.
Change = Literal["", "same", "grown", "other", "shorter", "gone"]


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """One request after an edit.

    Args:
        step: number of the request in the session.
        kind: cold, jump or warm.
        typed: text of the edits since the request before.
        origin: ``cache``, ``engine``, or "" for no suggestion.
        asked_engine: whether the engine was asked for it.
        matched: whether the suggestion before says what was typed, and more.
        change: what became of it then; "" where it does not.
        before: what was left of the suggestion before.
        texts: all that was shown for this request, one after another.
    """

    step: int
    kind: Kind
    typed: str
    origin: str
    asked_engine: bool
    matched: bool
    change: Change
    before: str = ""
    texts: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Unique in its run."""
        return str(self.step)

    @property
    def flickered(self) -> bool:
        """Whether the user saw a suggestion change that was right so far."""
        return self.change not in ("", "same", "grown")


class Typist:
    """One server, and what it shows.

    Args:
        settings: of the server, as an editor sends them.
    """

    def __init__(self, settings: dict[str, Any]) -> None:
        self._server = PrivateServer(self._notified, timeout_s=_TIMEOUT_S)
        self._settings = settings
        self._root = self._server.home / "project"
        self._versions: dict[str, int] = {}
        self._lines: list[str] = []
        self._shown: list[str] = []
        self._token = ""
        self._n_asked = 0

    async def start(self) -> None:
        """Start the server."""
        self._root.mkdir(parents=True, exist_ok=True)
        await self._server.start(self._root, self._settings)

    async def aclose(self) -> None:
        """End the server and its engine."""
        await self._server.aclose()

    async def play(self, steps: Sequence[Step], keep: Callable[[Key], None]) -> None:
        """Type, and wait for every answer.

        Args:
            steps: of the session, with a request after every key.
            keep: told of each request.
        """
        left = ""
        for step in steps:
            left = _left_of(left, step)
            for event, moment in step.events:
                await self._apply(event, moment)
            origin, asked = await self._ask(step.moment)
            texts = tuple(self._shown)
            keep(
                Key(
                    step=step.number,
                    kind=step.kind,
                    typed="".join(
                        event.text for event, _ in step.events if isinstance(event, Edit)
                    ),
                    origin=origin,
                    asked_engine=asked,
                    matched=bool(left.strip()),
                    change=change_of(left, texts) if left.strip() else "",
                    before=left,
                    texts=texts,
                )
            )
            left = texts[-1] if texts else ""

    async def _apply(self, event: Event, moment: Moment) -> None:
        lines_before, self._lines = self._lines, moment.text.split("\n")
        document = self._document(moment.path)
        notify = self._server.client.notify
        if isinstance(event, Open):
            if moment.path not in self._versions:
                self._versions[moment.path] = 1
                item = {"languageId": "python", "version": 1, "text": moment.text}
                item |= document["textDocument"]
                await notify("textDocument/didOpen", {"textDocument": item})
            await notify("textDocument/didFocus", document)
        elif isinstance(event, Edit):
            self._versions[moment.path] += 1
            document["textDocument"]["version"] = self._versions[moment.path]
            span = {
                "start": _position(lines_before, event.line, event.column),
                "end": _position(lines_before, event.end_line, event.end_column),
            }
            changes = [{"range": span, "text": event.text}]
            await notify("textDocument/didChange", {**document, "contentChanges": changes})

    async def _ask(self, moment: Moment) -> tuple[str, bool]:
        """Where the answer came from, and whether the engine was asked; fills ``_shown``."""
        self._n_asked += 1
        self._token, self._shown = f"suggestion-{self._n_asked}", []
        document = self._document(moment.path)
        result = await self._server.client.request(
            "textDocument/inlineCompletion",
            {
                **document,
                "position": _position(self._lines, moment.line, moment.column),
                "context": {"triggerKind": _AUTOMATIC},
                "partialResultToken": self._token,
            },
        )
        self._show(_text(result))
        explained: Json = await self._server.client.request("midfill/explain", document) or {}
        reason = explained.get("reason") or ""
        if reason and not reason.startswith(_EXPECTED):
            raise EngineError(
                f"midfill gives no suggestions: {explained.get('message') or reason}",
                code=reason,
                hint="Run: midfill doctor",
            )
        origin = explained.get("origin") or ""
        return ("" if reason else origin), origin == "engine"

    def _notified(self, method: str, params: Json) -> None:
        if method == "$/progress" and params.get("token") == self._token:
            self._show(_text(params.get("value")))

    def _show(self, text: str) -> None:
        """An editor draws again when the text is another one."""
        if not self._shown or self._shown[-1] != text:
            self._shown.append(text)

    def _document(self, path: str) -> dict[str, dict[str, Any]]:
        return {"textDocument": {"uri": (self._root / path).as_uri()}}


def change_of(left: str, texts: Sequence[str]) -> Change:
    """What became of a suggestion that was right so far; the worst of all that was shown.

    Args:
        left: what is left of it.
        texts: what was shown after that, in order.
    """
    found: set[Change] = set()
    for text in texts:
        if text == left:
            found.add("same")
        elif text.startswith(left):
            found.add("grown")
        elif not text.strip():
            found.add("gone")
        else:
            found.add("shorter" if left.startswith(text) else "other")
    worst: tuple[Change, ...] = ("gone", "other", "shorter", "grown", "same")
    return next((change for change in worst if change in found), "gone")


def script(steps: Sequence[Step], seed: int) -> dict[str, Any]:
    """A script for an engine that knows what is typed next, and errs every third time.

    Args:
        steps: of the session, with a request after every key.
        seed: of the errors.
    """
    chance = random.Random(seed)
    replies = []
    for number, step in enumerate(steps):
        coming = ""
        for later in steps[number + 1 :]:
            if later.kind != "warm" or len(coming) > _SCRIPT_CHARS:
                break
            coming += "".join(event.text for event, _ in later.events if isinstance(event, Edit))
        if chance.random() < 1 / 3:
            coming = coming[: chance.randrange(0, 8)] + "wrong(1)"
        replies.append({"after": step.moment.before[-_SAID_CHARS:], "text": coming})
    return {"replies": replies, "default": ""}


def _left_of(shown: str, step: Step) -> str:
    """What is left of a suggestion when the edits of a step have typed what it says."""
    for event, _ in step.events:
        if not isinstance(event, Edit) or (event.line, event.column) != (
            event.end_line,
            event.end_column,
        ):
            return ""
        if not shown.startswith(event.text):
            return ""
        shown = shown[len(event.text) :]
    return shown


def _text(value: Any) -> str:
    items = (value or {}).get("items") or []
    return str(items[0].get("insertText", "")) if items else ""


def _position(lines: list[str], line: int, column: int) -> dict[str, int]:
    return {"line": line, "character": units_of(lines[line], column, "utf-16")}


@contextlib.asynccontextmanager
async def typist(settings: dict[str, Any]) -> Any:
    """A typist that is started, and ended in any case."""
    found = Typist(settings)
    try:
        await found.start()
        yield found
    finally:
        await found.aclose()
