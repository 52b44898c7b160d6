"""What is compared with the peers: midfill's own prompt, and the open file with nothing added."""

from __future__ import annotations

from benchmarks.peers.strategy import (
    EditorState,
    TokenCounter,
    file_prompt,
    first_tokens,
    last_tokens,
)
from context import fim
from context.related import Related, Wanted
from context.syntax import SyntaxTree
from context.types import Prompt, Snippet, SourceFile
from context.workspace.index import WorkspaceIndex
from context.workspace.symbols import symbols_of

_N_PREFIX_TOKENS, _N_SUFFIX_TOKENS = 768, 256


class Midfill:
    """The prompt that the language server builds on a CPU.

    Args:
        name: in the table.
        knows_texts: see Strategy.
    """

    writes_indent = False

    def __init__(self, name: str = "midfill", *, knows_texts: bool = True) -> None:
        self.name = name
        self.knows_texts = knows_texts

    def prompt(self, state: EditorState) -> Prompt:
        """See Strategy."""
        return fim.build_prompt(state.context)


class FileOnly:
    """The 768 tokens left and the 256 tokens right of the cursor.

    Args:
        count: counts tokens.
    """

    name = "file-only"
    writes_indent = False
    knows_texts = False

    def __init__(self, count: TokenCounter) -> None:
        self._count = count

    def prompt(self, state: EditorState) -> Prompt:
        """See Strategy."""
        return file_prompt(
            last_tokens(state.before, _N_PREFIX_TOKENS, self._count),
            first_tokens(state.after, _N_SUFFIX_TOKENS, self._count),
        )


class MidfillWorkspace:
    """midfill's prompt with what it takes from the other files of the workspace.

    Args:
        wanted: how much, of which sources.
        name: in the table.
        is_late: what is found at a place comes in behind the answer, in the pause that the user
            makes there, and is in the prompt of the next place; as on a slow machine.
    """

    writes_indent = False

    def __init__(
        self,
        wanted: Wanted,
        name: str = "midfill-workspace",
        *,
        is_late: bool = False,
        knows_texts: bool = True,
    ) -> None:
        self.name = name
        self.knows_texts = knows_texts
        self._wanted = wanted
        self._is_late = is_late
        self._library: object = None
        self._related: Related | None = None
        self._typed = ""
        self._before: tuple[str, tuple[Snippet, ...]] = ("", ())

    def prompt(self, state: EditorState) -> Prompt:
        """See Strategy."""
        related = self._of(state)
        data = state.text.encode("utf-8", "replace")
        file = SourceFile(path=state.path, language="python", data=data)
        # Of the open file what is typed so far, and not what the disk has of its future.
        related.index.put(state.path, symbols_of(file))
        cursor = len(state.before.encode("utf-8", "replace"))
        tree = SyntaxTree.parse(file)
        before = self._before[1] if self._before[0] == state.path else ()
        chosen = related.find(file, tree, state.path, cursor, state.context, self._wanted, before)
        self._before = (state.path, chosen.snippets)
        # A file that is opened is looked at for a while before anything is typed.
        snippets = before if self._is_late and before else chosen.snippets
        elsewhere = fim.Elsewhere(repo=state.project, path=state.path, snippets=snippets)
        return fim.build_prompt(state.context, elsewhere=elsewhere)

    def _of(self, state: EditorState) -> Related:
        if self._related is None or self._library is not state.library:
            files = state.library.files
            read = {path: text.encode("utf-8", "replace") for path, text in files.items()}
            index = WorkspaceIndex(state.project, read.get)
            for path, data in read.items():
                index.put(path, symbols_of(SourceFile(path=path, language="python", data=data)))
            self._library, self._related = state.library, Related(index)
            self._typed = state.path
        if self._typed != state.path:
            # The file before is whole again.
            data = state.library.files[self._typed].encode("utf-8", "replace")
            file = SourceFile(path=self._typed, language="python", data=data)
            self._related.index.put(self._typed, symbols_of(file))
            self._typed = state.path
        return self._related
