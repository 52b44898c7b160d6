"""A suggester without a model: it keeps the document as an editor would and answers by rule."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.replay.types import Project, Suggestion
from lsp_server.documents import Change, Span, TextDocument

# Text left of the cursor, text right of it → what to suggest.
Rule = Callable[[str, str], str]


class FakeSuggester:
    """Answers by a rule and writes down what it is told.

    Args:
        rule: what to suggest.
    """

    def __init__(self, rule: Rule = lambda _before, _after: "") -> None:
        self._rule = rule
        self.project: Project | None = None
        self.document = TextDocument("", "python", 1, "", encoding="utf-32")
        self.edits: list[str] = []
        self.asked: list[tuple[str, str]] = []
        self.on_disk: list[str] = []
        self.accepted: list[str] = []
        self.dismissed: list[str] = []
        self.n_open = 0
        self.n_started = 0
        self.path = ""

    async def start(self, project: Project) -> None:
        """See Suggester."""
        self.project = project
        self.n_started += 1

    async def open(self, path: str, text: str) -> None:
        """See Suggester."""
        self.document = TextDocument(path, "python", 1, text, encoding="utf-32")
        self.path = path
        self.n_open += 1

    async def replace(
        self, line: int, column: int, end_line: int, end_column: int, text: str
    ) -> None:
        """See Suggester."""
        span = Span(
            start_line=line, start_character=column, end_line=end_line, end_character=end_column
        )
        version = self.document.version + 1
        self.document.change(version, [Change(text=text, span=span)])
        self.edits.append(text)

    async def suggest(self, line: int, column: int) -> Suggestion:
        """See Suggester."""
        lines = self.document.lines
        before = "".join(lines[:line]) + lines[line][:column]
        after = self.document.text[len(before) :]
        self.asked.append((before, after))
        if self.project is not None:
            data = (self.project.root / self.path).read_bytes()
            self.on_disk.append(data.decode())
        text = self._rule(before, after)
        return Suggestion(
            text=text, reason="" if text else "model_stopped", id=str(len(self.asked))
        )

    async def accept(self, suggestion: Suggestion, n_characters: int) -> None:
        """See Suggester."""
        self.accepted.append(suggestion.text[:n_characters])

    async def dismiss(self, suggestion: Suggestion) -> None:
        """See Suggester."""
        self.dismissed.append(suggestion.text)

    async def close(self) -> None:
        """See Suggester."""
        self.n_open -= 1

    async def aclose(self) -> None:
        """See Suggester."""
        self.n_open = -1
