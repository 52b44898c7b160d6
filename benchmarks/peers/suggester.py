"""Asks the engine with a peer's prompt; all else is as midfill does it."""

from __future__ import annotations

import contextlib
import re
import time
import uuid

from benchmarks.peers.library import Library
from benchmarks.peers.session import visits
from benchmarks.peers.strategy import EditorState, Strategy, Visit
from benchmarks.replay.types import Project, Suggestion
from context.gather import gather
from context.scope import leading
from context.syntax import SyntaxTree
from context.types import Budget, FileContext
from lsp_server.completion.draft import source_file
from lsp_server.engine.client import EngineClient
from lsp_server.engine.protocol import NOWHERE, Home
from lsp_server.positions import split_lines
from lsp_server.postprocess.shape import Shaper
from lsp_server.types import SamplingParams, Snapshot, TokenChunk

# The language server's own values on a CPU, for the open file.
BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192)
SAMPLING = SamplingParams(max_tokens=96)
MAX_LINES = 12
# A first line that is not blank, whole.
_FIRST_LINE = re.compile(r"\s*\S[^\n]*\n")


class PeerSuggester:
    """Answers with a strategy's prompts; a ``Suggester``.

    The stream ends with the first line that is not blank, since only that line is judged. What
    the model wrote is cut by midfill's own filters, whoever's prompt it was.

    Args:
        strategy: builds the prompts.
        client: of the engine; closed by whoever opened it.
        seed: of the made-up session, see ``session``.
        heals: whether a token typed in part is generated anew, as midfill does it.
    """

    def __init__(
        self, strategy: Strategy, client: EngineClient, *, seed: int = 1, heals: bool = False
    ) -> None:
        self._heals = heals
        self._strategy = strategy
        self._client = client
        self._seed = seed
        self._project: Project | None = None
        self._library = Library({})
        self._visits: tuple[Visit, ...] = ()
        self._path = ""
        self._lines: list[str] = [""]
        self._tree: SyntaxTree | None = None
        # Its texts are with the engine.
        self._told: Library | None = None
        self._typed = ""

    async def start(self, project: Project, library: Library | None = None) -> None:
        """See Suggester.

        Args:
            project: the project.
            library: its files, if they were read already.
        """
        if self._project != project:
            self._project = project
            self._library = library or Library.load(project.root)

    async def open(self, path: str, text: str) -> None:
        """See Suggester."""
        self._path = path
        self._lines = split_lines(text)
        self._tree = None
        self._visits = visits(self._library, path, _unix(text), seed=self._seed)
        if self._strategy.knows_texts and self._project is not None:
            await self._tell(str(self._project.root), path, _unix(text))

    async def replace(
        self, line: int, column: int, end_line: int, end_column: int, text: str
    ) -> None:
        """See Suggester."""
        before, after = self._lines[line][:column], self._lines[end_line][end_column:]
        lines = split_lines(before + text + after)
        # The text ends with the line end of a line that others follow.
        if lines[-1] == "" and end_line + 1 < len(self._lines):
            lines.pop()
        self._lines[line : end_line + 1] = lines

    async def suggest(self, line: int, column: int) -> Suggestion:
        """See Suggester.

        Raises:
            EngineError: it died, or refused a prompt; that is no miss of the strategy.
        """
        started_s = time.monotonic()
        context = self._gather(line, column)
        scope = context.scope
        if scope.kind == "comment" and scope.line_after.strip():
            return Suggestion(text="", reason="inside_comment")
        prompt = self._strategy.prompt(self._state(line, column, context))
        # On a blank line some prompts end before the indentation.
        blank = not (scope.line_before + scope.line_after).strip()
        indent = leading(scope.line_before) if self._strategy.writes_indent and blank else ""
        answer = _Answer(_shaper(context), indent, started_s)
        stream = self._client.generate(
            prompt.segments,
            SAMPLING,
            stop=prompt.stop,
            heal_bytes=prompt.heal_bytes if self._heals else 0,
            home=self._home(),
            whole_corpus=True,
        )
        async with contextlib.aclosing(stream):
            async for chunk in stream:
                if answer.take(chunk):
                    break
        return answer.suggestion()

    async def accept(self, suggestion: Suggestion, n_characters: int) -> None:
        """See Suggester; a prompt does not learn from it."""

    async def dismiss(self, suggestion: Suggestion) -> None:
        """See Suggester; a prompt does not learn from it."""

    async def close(self) -> None:
        """See Suggester."""
        self._lines = [""]
        self._tree = None

    async def aclose(self) -> None:
        """See Suggester."""

    def _home(self) -> Home:
        if not self._strategy.knows_texts or self._project is None:
            return NOWHERE
        return Home(corpus=str(self._project.root), path=self._path)

    async def _tell(self, corpus: str, path: str, text: str) -> None:
        """Have the engine know the project; of the open file what is there of it now."""
        await self._client.connect()
        if self._told is not self._library:
            for name, other in self._library.files.items():
                self._client.tell(corpus, name, other)
            self._told = self._library
        elif self._typed and self._typed != path:
            # The file before is whole again.
            self._client.tell(corpus, self._typed, self._library.files[self._typed])
        self._client.tell(corpus, path, text)
        self._typed = path

    def state(self, line: int, column: int) -> EditorState:
        """What the strategy is given at a cursor position."""
        return self._state(line, column, self._gather(line, column))

    def _gather(self, line: int, column: int) -> FileContext:
        snapshot = Snapshot(uri=self._path, version=0, language="python", lines=tuple(self._lines))
        file, cursor = source_file(snapshot, line, column)
        tree = self._tree
        self._tree = SyntaxTree.update(tree, file) if tree else SyntaxTree.parse(file)
        return gather(file, self._tree, cursor, BUDGET)

    def _state(self, line: int, column: int, context: FileContext) -> EditorState:
        before = _unix("".join(self._lines[:line]) + self._lines[line][:column])
        after = _unix(self._lines[line][column:] + "".join(self._lines[line + 1 :]))
        return EditorState(
            # The name without the version or commit.
            project=self._project.name.partition(" ")[0] if self._project else "",
            path=self._path,
            text=before + after,
            offset=len(before),
            library=self._library,
            visits=self._visits,
            context=context,
        )


class _Answer:
    """A suggestion while it streams."""

    def __init__(self, shaper: Shaper, indent: str, started_s: float) -> None:
        self._shaper = shaper
        self._indent = indent
        self._started_s = started_s
        self._raw = ""
        self._stop = ""
        self._logprobs: list[float] = []
        self._ttft_ms = self._display_ms = 0.0
        self._n_prompt = self._n_reused = 0

    def take(self, chunk: TokenChunk) -> bool:
        """Add a chunk; True when no more is needed."""
        if chunk.timings:
            self._n_prompt = chunk.timings.n_prompt
            self._n_reused = chunk.timings.n_reused
        if not chunk.text and not chunk.logprobs:
            return False
        self._ttft_ms = self._ttft_ms or self._elapsed_ms()
        self._raw += chunk.text
        self._logprobs.extend(chunk.logprobs)
        view = self._shaper.view(self._written(), final=False)
        self._stop = view.stop
        if view.text:
            self._display_ms = self._display_ms or self._elapsed_ms()
        return bool(view.stop) or _FIRST_LINE.match(self._written()) is not None

    def suggestion(self) -> Suggestion:
        """What is suggested in the end."""
        view = self._shaper.view(self._written(), final=True)
        reason = ""
        if not view.text:
            stop = view.stop or self._stop
            reason = f"filtered_{stop or 'blank'}" if self._raw.strip() else "model_stopped"
        return Suggestion(
            text=view.text,
            reason=reason,
            raw=self._raw,
            logprobs=tuple(self._logprobs),
            ttft_ms=self._ttft_ms,
            display_ms=self._display_ms,
            total_ms=self._elapsed_ms(),
            n_prompt=self._n_prompt,
            n_reused=self._n_reused,
            id=uuid.uuid4().hex,
        )

    def _written(self) -> str:
        """The raw text behind the indentation that the line has already."""
        blank = leading(self._raw)
        if len(blank) < len(self._raw) or not self._indent:
            n_cut = min(len(blank), len(self._indent))
            return self._raw[n_cut:]
        return ""  # it may still be indentation

    def _elapsed_ms(self) -> float:
        return 1000 * (time.monotonic() - self._started_s)


def _shaper(context: FileContext) -> Shaper:
    return Shaper(
        context.scope,
        prefix=context.prefix_text,
        suffix=context.suffix_text,
        max_lines=MAX_LINES,
    )


def _unix(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n")
