"""The prompts of the open documents: what stands around a cursor, and what other files give."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from typing import NamedTuple

from context import fim
from context.gather import gather
from context.syntax import SyntaxTree
from context.types import FileContext, Prompt, SourceFile
from lsp_server.completion.draft import source_file
from lsp_server.completion.engine_link import EngineLink
from lsp_server.completion.feed import Feed
from lsp_server.completion.warmup import Spot
from lsp_server.engine.protocol import Home
from lsp_server.errors import MidfillError
from lsp_server.types import CompletionRequest
from lsp_server.workspace.workspaces import Found, Workspaces

_N_DOCUMENTS = 32
# Of a pause's pieces of work: each brings at least one snippet, and budgets hold no more.
_MAX_PIECES = 64


class Gathered(NamedTuple):
    """What goes into a prompt.

    Args:
        context: of the open file.
        found: of other files.
        prompt: of both.
        home: of the document.
    """

    context: FileContext
    found: Found
    prompt: Prompt
    home: Home


class Prompts:
    """Makes prompts, and has them evaluated before they are asked for.

    Args:
        engine: that they are made for.
        workspaces: where the documents lie.
        feed: has the engine know their texts.
        at_once: whether all that other files give is in the first prompt, however long that takes.
    """

    def __init__(
        self,
        engine: EngineLink,
        workspaces: Workspaces,
        feed: Feed,
        *,
        at_once: bool = False,
    ) -> None:
        self._engine = engine
        self._workspaces = workspaces
        self._feed = feed
        self._at_once = at_once
        self._trees: OrderedDict[str, SyntaxTree] = OrderedDict()

    @property
    def n_context_tokens(self) -> int:
        """Budget for text of other files, once the engine is connected."""
        budget = self._engine.budget
        return budget.n_context_tokens if self._engine.knows_repositories else 0

    async def ready(self, uri: str) -> None:
        """Wait until all is known that other files can give to a document's prompts."""
        await self._feed.told(uri)
        if self.n_context_tokens:
            await self._workspaces.ready()

    def at(
        self,
        where: CompletionRequest | Spot,
        *,
        resting: bool = False,
        alone: bool = False,
        read: tuple[SourceFile, int] | None = None,
    ) -> Gathered:
        """The prompt of a cursor position.

        Args:
            where: the position.
            resting: whether the user makes a pause, in which more may be new to the prompt.
            alone: of the open file only.
            read: the text and the cursor as ``source_file`` gives them, where that is known.
        """
        snapshot = where.snapshot
        file, cursor = read or source_file(snapshot, where.line, where.column)
        tree = self._tree(snapshot.uri, file)
        context = gather(file, tree, cursor, self._engine.budget)
        allowance = None if self._at_once else self._engine.allowance(resting=resting)
        found = self._workspaces.related(
            file, tree, cursor, context, 0 if alone else self.n_context_tokens, allowance
        )
        prompt = fim.build_prompt(context, elsewhere=found.elsewhere)
        return Gathered(context, found, prompt, self._feed.enter(snapshot.uri))

    async def evaluate_ahead(self, spot: Spot, *, resting: bool) -> bool:
        """Evaluate the prompt of a spot; trouble is told by the request that meets it.

        Args:
            spot: where the next request is likely to come from.
            resting: whether the user makes a pause: then what is new of other files comes in as
                well, piece by piece, so that a key that is typed waits for one piece at most.

        Returns:
            Whether the prompt has something of other files that it did not have before.
        """
        is_new = False
        with contextlib.suppress(MidfillError):
            await self._engine.connect()
            for _ in range(_MAX_PIECES if resting else 1):
                gathered = self.at(spot, resting=resting)
                await self._engine.prefill(gathered.prompt)
                is_new = is_new or gathered.found.chosen.n_new_tokens > 0
                if gathered.found.chosen.settled:
                    break
        return is_new

    def forget(self, uri: str) -> None:
        """A document was closed."""
        self._trees.pop(uri, None)

    def _tree(self, uri: str, file: SourceFile) -> SyntaxTree | None:
        old = self._trees.pop(uri, None)
        tree = SyntaxTree.update(old, file) if old is not None else SyntaxTree.parse(file)
        if tree is not None:
            self._trees[uri] = tree
            while len(self._trees) > _N_DOCUMENTS:
                self._trees.popitem(last=False)
        return tree
