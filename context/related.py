"""What other files give to the prompt: all sources asked, fused, packed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from context.blocks import Absent
from context.definitions import Definitions
from context.rank import Allowance, Chosen, choose, fuse, is_verbatim
from context.redact import redact
from context.sources import definitions as definitions_source
from context.sources import hierarchy, pinned, recent, siblings, undefined, usages
from context.sources.recent import Visit
from context.sources.similar import SimilarWindows
from context.sources.view import View, view_of
from context.syntax import SyntaxTree
from context.types import FileContext, Snippet, SourceFile
from context.workspace.environment import EnvironmentIndex
from context.workspace.index import WorkspaceIndex

_NEAR_BYTES = 4096

# How much a place in a source's list is worth; see ``python -m benchmarks context``.
WEIGHTS: dict[str, float] = {
    "pinned": 4.0,
    "definitions": 1.0,
    "hierarchy": 1.0,
    "similar": 2.0,
    "usages": 0.7,
    "undefined": 2.0,
    "recent": 0.8,
    "siblings": 0.4,
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked for.

    Args:
        n_tokens: budget for text of other files; 0 asks for none.
        weights: of the sources, where they are not the usual ones; 0 leaves one out.
        pinned: files that the user wants in every prompt.
        allowance: how much of it may be new to the prompt; None for all.
    """

    n_tokens: int = 0
    weights: Mapping[str, float] = {}
    pinned: tuple[str, ...] = ()
    allowance: Allowance | None = None


class Related:
    """Asks the sources about the places of one workspace.

    Args:
        index: of the workspace.
        similar: finds similar places.
        packages: what is installed; None where nothing is known of it.

    Attributes:
        visits: where the user was, newest first.
    """

    def __init__(
        self,
        index: WorkspaceIndex,
        similar: SimilarWindows | None = None,
        packages: EnvironmentIndex | None = None,
    ) -> None:
        self.index = index
        self.packages = packages
        self.visits: Sequence[Visit] = ()
        self._similar = similar or SimilarWindows()
        self._absent = Absent()

    def find(
        self,
        file: SourceFile,
        tree: SyntaxTree | None,
        path: str,
        cursor: int,
        context: FileContext,
        wanted: Wanted,
        before: Sequence[Snippet] = (),
    ) -> Chosen:
        """Snippets of other files for a cursor.

        Args:
            file: the open file.
            tree: its syntax tree.
            path: of the file, relative to the root.
            cursor: byte offset.
            context: what the file itself gives to the prompt.
            wanted: how much, of what.
            before: what was chosen for this file at the last request.
        """
        if wanted.n_tokens <= 0:
            return Chosen()
        definitions = tree.definitions if tree is not None else Definitions()
        view = view_of(file, path, cursor, definitions, context)
        weights = {**WEIGHTS, **wanted.weights}
        asked = self._sources(view, file, wanted)
        found = {
            name: [_safe(snippet) for snippet in ask()]
            for name, ask in asked.items()
            if weights.get(name, 1.0) > 0
        }
        # Of the open file only what it still says.
        stayed = [s for s in before if s.path != path or self._stands_in(file, s)]
        return choose(
            fuse(found, weights),
            wanted.n_tokens,
            shown=context.prefix_text + context.suffix_text,
            before=stayed,
            allowance=wanted.allowance,
        )

    def _stands_in(self, file: SourceFile, snippet: Snippet) -> bool:
        if not is_verbatim(snippet):
            return False
        text = snippet.text.encode("utf-8", "replace")
        # Most often about where it stood before: looking through the whole file takes longer.
        near = max(0, snippet.start_byte - _NEAR_BYTES), snippet.end_byte + _NEAR_BYTES
        return file.data.find(text, *near) >= 0 or not self._absent.lacks(file, text)

    def _sources(
        self, view: View, file: SourceFile, wanted: Wanted
    ) -> dict[str, Callable[[], list[Snippet]]]:
        index = self.index
        return {
            "pinned": lambda: pinned.find(view, index, wanted.pinned),
            "definitions": lambda: definitions_source.find(view, index, self.packages),
            "hierarchy": lambda: hierarchy.find(view, index, file.data),
            "similar": lambda: self._similar.find(view, index),
            "usages": lambda: usages.find(view, index),
            "undefined": lambda: undefined.find(view, index),
            "recent": lambda: recent.find(view, index, self.visits),
            "siblings": lambda: siblings.find(view, index),
        }


def _safe(snippet: Snippet) -> Snippet:
    text = redact(snippet.text)
    return snippet if text == snippet.text else msgspec.structs.replace(snippet, text=text)
