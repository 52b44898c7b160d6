"""A user in an editor, and beside it the plainest book-keeping of what that user did.

The user works on a tracker through the same calls as the server does. The truth is kept per
character (whose it is) and per suggestion (how it ended), with nothing of the tracker's own code.
"""

from __future__ import annotations

import dataclasses
import random

import msgspec

from lsp_server.acceptance.retention import TIMES_S
from lsp_server.acceptance.salt import TextHasher
from lsp_server.acceptance.tracker import AcceptanceTracker
from lsp_server.documents import Change, Span, TextDocument
from lsp_server.types import CompletionRequest
from tests.acceptance.makers import ListLog, completion
from tests.acceptance.test_retention import Clock

URI = "file:///project/shop.py"
PIECES = (
    "total",
    " = ",
    "sum(",
    "x",
    ")",
    "\n    ",
    "return ",
    "\N{GRINNING FACE}",
    "é",
    "\n",
    "a.b",
)
PAUSES_S = (0.0, 0.125, 0.25, 0.5, 0.75, 1.0, 2.5, 16.0, 100.0)


@dataclasses.dataclass
class Truth:
    """What became of one suggestion.

    Args:
        text: all of it.
        unit: the largest part that was taken at once.
    """

    text: str
    ending: str = ""
    visible_ms: float = 0.0
    n_taken: int = 0
    n_typed: int = 0
    unit: str = "word"
    accepted: bool = False
    dismissed: bool = False

    @property
    def outcome(self) -> str:
        """One of the report's."""
        if self.accepted:
            return "accepted"
        if self.n_taken:
            return "partially_accepted"
        return "dismissed" if self.dismissed and self.ending != "typed_through" else self.ending


@dataclasses.dataclass
class Ghost:
    """The suggestion before the user's eyes."""

    name: str
    id: str
    at: int
    n_done: int
    since_s: float


class SimulatedUser:
    """Does something random at each step; ``truths`` and ``kept`` are what came of it.

    Args:
        seed: of all choices.
    """

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.log = ListLog()
        self.clock = Clock()
        self.tracker = AcceptanceTracker(
            self.log,
            "session",
            clock=lambda: self.clock.now_s,
            monotonic=lambda: self.clock.now_s,
            hasher=TextHasher(b"salt"),
            later=self.clock.later,
        )
        self.tracker.client_announces = self.chance.random() < 0.5
        self.truths: dict[str, Truth] = {}
        self.kept: list[tuple[str, float, int, int]] = []
        self.n_written = self.n_accepted = self.n_requests = 0
        text = "import this\n\n\ndef add(a, b):\n    \n"
        self._document = TextDocument(URI, "python", 1, text)
        self._chars = list(text)
        self._owners: list[str] = [""] * len(text)
        self._cursor = len(text) - 1
        self._ghost: Ghost | None = None
        self._checks: list[tuple[float, str, float]] = []
        self._last_accept: tuple[int, int] | None = None
        self.tracker.document_opened(self._document.snapshot())

    def work(self, n_steps: int) -> None:
        """So many steps, then the document and the session are closed."""
        for _ in range(n_steps):
            self.chance.choice(
                [self.ask, self.ask, self.type_along, self.type_along, self.type_through,
                 self.type_over, self.accept, self.accept_part, self.accept_part, self.dismiss,
                 self.slip, self.go_elsewhere, self.edit_around, self.undo, self.pause]
            )()  # fmt: skip
            if self.chance.random() < 0.5:
                self.wait(self.chance.choice(PAUSES_S))
        self._end("closed")
        self.tracker.document_closed(URI)
        self._checks.clear()
        self.wait(2.0)
        self.tracker.close()

    # -- what the user does --------------------------------------------------------------

    def ask(self) -> None:
        """A suggestion comes; now and then the model has nothing to say."""
        request = self._request()
        if self.chance.random() < 0.15:
            self._end("superseded")
            self.tracker.failed(request, "model_stopped")
            return
        text = "".join(self.chance.choices(PIECES, k=self.chance.randrange(1, 7)))
        if not text.strip():
            text += "x"
        self._show(request, text, request.id)

    def type_along(self) -> None:
        """The next characters of the suggestion, but not all; the editor may ask again."""
        ghost = self._ghost
        if ghost is None:
            return
        n_left = len(self._rest(ghost))
        if n_left < 2:
            return
        n = self.chance.randrange(1, n_left)
        self._type_said(ghost, n)
        if self.chance.random() < 0.6:
            self._ask_again(ghost)

    def type_through(self) -> None:
        """All that is left of it, by hand."""
        if (ghost := self._ghost) is None:
            return
        self._type_said(ghost, len(self._rest(ghost)))
        # It is gone from the screen now; what comes next is a second or any other action away.
        self._end("superseded")

    def type_over(self) -> None:
        """Something that the suggestion does not say."""
        if (ghost := self._ghost) is None:
            return
        wrong = "#" if self._rest(ghost)[0] != "#" else "%"
        self._end("typed_over")
        self._insert(self._cursor, wrong)

    def slip(self) -> None:
        """A wrong key, and back: the same suggestion comes again."""
        if (ghost := self._ghost) is None:
            return
        self.type_over()
        self.wait(self.chance.choice(PAUSES_S[:4]))
        self._delete(self._cursor - 1, self._cursor)
        ghost.since_s = self.clock.now_s
        self._ask_again(ghost)

    def accept(self) -> None:
        """All that is left; editors tell it before or after the text is there."""
        if (ghost := self._ghost) is None:
            return
        self._take(ghost, len(self._rest(ghost)), lambda _n: self.tracker.accepted(ghost.id))

    def accept_part(self) -> None:
        """A word, or the rest of the line."""
        if (ghost := self._ghost) is None:
            return
        rest = self._rest(ghost)
        if self.chance.random() < 0.5:
            n = rest.find("\n", 1)
            n = len(rest) if n < 0 else n
        else:
            n = self.chance.randrange(1, len(rest) + 1)
        start = len(self._shown_text(ghost)) - len(rest)
        said = self._shown_text(ghost)[: start + n]
        n_utf16 = len(said.encode("utf-16-le")) // 2
        self._take(ghost, n, lambda _n: self.tracker.partially_accepted(ghost.id, n_utf16))

    def dismiss(self) -> None:
        """Escape."""
        if (ghost := self._ghost) is None:
            return
        self.truths[ghost.name].dismissed = True
        self._end("dismissed")
        self.tracker.dismissed(ghost.id, "escape")

    def go_elsewhere(self) -> None:
        """The cursor goes to another place, where a suggestion comes."""
        place = self.chance.randrange(len(self._chars) + 1)
        if self._ghost is not None and place != self._cursor:
            self._end("superseded")
        self._cursor = place
        self.ask()

    def edit_around(self) -> None:
        """Something is written or deleted anywhere, accepted text too."""
        if self._ghost is not None:
            return
        place = self.chance.randrange(len(self._chars) + 1)
        if self.chance.random() < 0.5:
            self._insert(place, self.chance.choice(["q", "q\n", "\n", "qqq"]))
        else:
            self._delete(place, min(len(self._chars), place + self.chance.randrange(1, 6)))

    def undo(self) -> None:
        """The last accepted text goes, if nothing was done since."""
        if self._ghost is not None or self._last_accept is None:
            return
        self._delete(*self._last_accept)

    def pause(self) -> None:
        """Nothing happens for a while."""
        self.wait(self.chance.choice(PAUSES_S))

    def wait(self, seconds: float) -> None:
        """Time passes; what is looked at meanwhile is what stands there now."""
        end_s = self.clock.now_s + seconds
        due = sorted(check for check in self._checks if check[0] <= end_s)
        for check in due:
            self._checks.remove(check)
            _, name, after_s = check
            n_kept = self._owners.count(name)
            self.kept.append((name, after_s, self.truths[name].n_taken, n_kept))
        self.clock.go_on(seconds)

    # -- the editor ----------------------------------------------------------------------

    def _request(self) -> CompletionRequest:
        self.n_requests += 1
        line, column = self._place(self._cursor)
        request = CompletionRequest(
            id=f"c{self.n_requests}",
            snapshot=self._document.snapshot(),
            line=line,
            column=column,
            client="Test",
            received_s=self.clock.now_s,
        )
        self.tracker.requested(request)
        return request

    def _show(self, request: CompletionRequest, text: str, name: str) -> None:
        if self._ghost is not None and self._ghost.name != name:
            self._end("superseded")
        self.truths.setdefault(name, Truth(text))
        answer = msgspec.structs.replace(
            completion(request.id, text), line=request.line, column=request.column, identity=name
        )
        self.tracker.answered(answer, request)
        if self.tracker.client_announces:
            self.tracker.shown(request.id)
        since_s = self._ghost.since_s if self._ghost else self.clock.now_s
        n_done = len(self.truths[name].text) - len(text)
        self._ghost = Ghost(name, request.id, self._cursor, n_done, since_s)

    def _ask_again(self, ghost: Ghost) -> None:
        self._show(self._request(), self._rest(ghost), ghost.name)

    def _rest(self, ghost: Ghost) -> str:
        return self.truths[ghost.name].text[ghost.n_done :]

    def _shown_text(self, ghost: Ghost) -> str:
        """As it was answered under its present id."""
        n = self._cursor - ghost.at
        return self.truths[ghost.name].text[ghost.n_done - n :]

    def _type_said(self, ghost: Ghost, n: int) -> None:
        """Key by key, or as an editor that sends several keys at once."""
        text = self._rest(ghost)[:n]
        self.truths[ghost.name].n_typed += n
        while text:
            n_keys = self.chance.choice([1, 1, 2, 5])
            self._insert(self._cursor, text[:n_keys])
            ghost.n_done += len(text[:n_keys])
            text = text[n_keys:]

    def _take(self, ghost: Ghost, n: int, tell: object) -> None:
        truth, rest = self.truths[ghost.name], self._rest(ghost)
        is_whole = n == len(rest)
        tells_first = self.chance.random() < 0.5
        assert callable(tell)
        if is_whole:
            truth.accepted = True
            self._end("accepted")
        elif rest[n] == "\n" or "\n" in rest[:n]:
            truth.unit = "line"
        if tells_first:
            tell(n)
        start = self._cursor
        self._insert(self._cursor, rest[:n], ghost.name)
        ghost.n_done += n
        truth.n_taken += n
        self.n_accepted += n
        if not tells_first:
            tell(n)
        self._last_accept = (start, start + n)
        self._checks = [check for check in self._checks if check[1] != ghost.name]
        self._checks += [(self.clock.now_s + s, ghost.name, s) for s in TIMES_S]
        if not is_whole and self.chance.random() < 0.5:
            self._ask_again(ghost)

    def _end(self, ending: str) -> None:
        """What is on the screen goes."""
        if (ghost := self._ghost) is None:
            return
        truth = self.truths[ghost.name]
        lines = truth.text.lstrip("\n ").split("\n")
        n_first = len(truth.text) - len(truth.text.lstrip("\n ")) + len(lines[0])
        if ending not in ("accepted", "dismissed") and not truth.n_taken:
            ending = "typed_through" if ghost.n_done >= n_first else ending
        truth.ending = ending
        truth.visible_ms += 1000 * (self.clock.now_s - ghost.since_s)
        self._ghost = None

    # -- the text ------------------------------------------------------------------------

    def _place(self, offset: int) -> tuple[int, int]:
        before = "".join(self._chars[:offset])
        return before.count("\n"), len(before) - (before.rfind("\n") + 1)

    def _insert(self, offset: int, text: str, owner: str = "") -> None:
        self._change(offset, offset, text)
        self._chars[offset:offset] = text
        self._owners[offset:offset] = [owner] * len(text)
        self._cursor = offset + len(text)
        self.n_written += len(text)
        self._last_accept = None

    def _delete(self, start: int, end: int) -> None:
        self._change(start, end, "")
        del self._chars[start:end], self._owners[start:end]
        self._cursor = start
        self._last_accept = None

    def _change(self, start: int, end: int, text: str) -> None:
        units = []
        for offset in (start, end):
            line, column = self._place(offset)
            said = "".join(self._chars[offset - column : offset])
            units.append((line, len(said.encode("utf-16-le")) // 2))
        span = Span(
            start_line=units[0][0],
            start_character=units[0][1],
            end_line=units[1][0],
            end_character=units[1][1],
        )
        edits = self._document.change(2, [Change(text=text, span=span)])
        self.tracker.document_edited(self._document.snapshot(), edits)
