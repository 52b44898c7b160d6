"""The folders an editor has open, and the documents in them."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from pathlib import Path

import msgspec

from context.fim import Elsewhere
from context.rank import Allowance, Chosen
from context.syntax import SyntaxTree
from context.types import FileContext, SourceFile
from context.workspace.ignore import is_secret
from context.workspace.scan import counts
from lsp_server.lines import Lines
from lsp_server.paths import path_of
from lsp_server.positions import end_of
from lsp_server.settings import ContextSettings
from lsp_server.types import Edit, FileMark, MarkedFiles, Snapshot
from lsp_server.workspace import texts
from lsp_server.workspace.workspace import Workspace

# Called with the folder's name, a share from 0 to 1 (1 is the end) and a sentence.
OnProgress = Callable[[str, float, str], None]


_MAX_EDITED_LINES = 200


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """What other files give to a prompt.

    Args:
        chosen: the snippets, and those that were dropped.
        elsewhere: the same, as the prompt wants it; None outside of all folders.
    """

    chosen: Chosen = Chosen()
    elsewhere: Elsewhere | None = None


class Workspaces:
    """All folders of one editor.

    Args:
        settings: what is shown of them.
        on_progress: told while an index is made.
        at_once: whether a request waits for files to be cut up, see SimilarWindows.
    """

    def __init__(
        self,
        settings: ContextSettings,
        on_progress: OnProgress = lambda _name, _share, _text: None,
        *,
        at_once: bool = False,
    ) -> None:
        self.settings = settings
        self._at_once = at_once
        self.on_progress = on_progress
        self._workspaces: list[Workspace] = []
        # All folders of the editor, also while nothing is indexed.
        self._roots: dict[Path, None] = {}
        self._open: dict[str, _Text] = {}
        # Open documents whose text the index does not know yet.
        self._dirty: set[str] = set()
        # How the editor writes the URIs of files that it marked.
        self._spelled: dict[str, str] = {}

    def open(self, roots: Iterable[Path]) -> None:
        """Take up folders; those that are open already stay as they are.

        Each is indexed when it is first asked about: nobody may ever do so.
        """
        roots = list(roots)
        self._roots |= dict.fromkeys(roots)
        if not self.settings.enabled:
            return
        known = {workspace.root for workspace in self._workspaces}
        for root in dict.fromkeys(roots):
            if root not in known and root.is_dir() and root != root.parent:
                workspace = Workspace(
                    root,
                    self.settings,
                    self._opened(root),
                    self._progress(root.name),
                    at_once=self._at_once,
                )
                self._workspaces.append(workspace)
        # The innermost folder comes first.
        self._workspaces.sort(key=lambda workspace: -len(workspace.root.parts))

    async def leave(self, roots: Iterable[Path]) -> None:
        """Forget folders."""
        gone = set(roots)
        self._roots = {root: None for root in self._roots if root not in gone}
        left = [workspace for workspace in self._workspaces if workspace.root in gone]
        self._workspaces = [w for w in self._workspaces if w.root not in gone]
        for workspace in left:
            await workspace.aclose()

    async def configure(self, settings: ContextSettings) -> None:
        """Other settings: what they say about indexes is done anew, marks of the session stay."""
        before, self.settings = self.settings, settings
        if _of_index(before) == _of_index(settings):
            return
        roots = list(self._roots)
        marks = {workspace.root: workspace.marks for workspace in self._workspaces}
        await self.leave(roots)
        self.open(roots)
        for workspace in self._workspaces:
            if (others := marks.get(workspace.root)) is not None:
                workspace.marks.carry_over(others)

    async def ready(self) -> None:
        """Index all folders, and wait for it."""
        for workspace in list(self._workspaces):
            workspace.start()
            await workspace.ready.wait()

    async def aclose(self) -> None:
        """End all indexing."""
        await self.leave([workspace.root for workspace in self._workspaces])

    def _progress(self, name: str) -> Callable[[float, str], None]:
        return lambda share, text: self.on_progress(name, share, text)

    def _opened(self, root: Path) -> Callable[[str], bytes | None]:
        # Asked for a dozen paths, mostly the same ones, at every key.
        uri_of = functools.lru_cache(maxsize=1024)(lambda path: (root / path).as_uri())

        def read(path: str) -> bytes | None:
            text = self._open.get(uri_of(path)) if self._open else None
            return text.data if text is not None else None

        return read

    # -- documents -----------------------------------------------------------------------

    def document(self, snapshot: Snapshot) -> None:
        """A document was opened or changed."""
        self._open[snapshot.uri] = _Text(snapshot)
        self._dirty.add(snapshot.uri)

    def edited(self, snapshot: Snapshot, edits: Sequence[Edit]) -> None:
        """A document was edited, step by step; the snapshot has the text after it."""
        self.document(snapshot)
        if (found := self._find(snapshot.uri)) is not None and edits:
            first, last = edits[-1].start.line, end_of(edits[-1].start, edits[-1].text).line
            # A formatter that writes all of it again was not there for any part of it.
            if last - first <= _MAX_EDITED_LINES:
                found[0].visits.edited(found[1], first, last)

    def looked(self, uri: str, line: int) -> None:
        """The cursor rests on a line of a document."""
        if (found := self._find(uri)) is not None:
            found[0].visits.looked(found[1], line)

    def closed(self, uri: str) -> None:
        """A document was closed: what the disk has of it counts again."""
        self._open.pop(uri, None)
        self._dirty.discard(uri)
        self.changed(uri)

    def changed(self, uri: str) -> None:
        """A file was saved, made, changed or removed."""
        if (found := self._find(uri)) is not None:
            found[0].changed(found[1])

    def mark(self, uri: str, mark: FileMark) -> bool:
        """A file is wanted in every prompt, or in none; False if it is in no folder."""
        if (found := self._find(uri)) is None:
            return False
        workspace, path = found
        self._spelled[(workspace.root / path).as_uri()] = uri
        workspace.marks.set(path, mark)
        workspace.changed(path)
        return True

    def marked(self) -> MarkedFiles:
        """The files that are wanted in every prompt, and those that were banned one by one."""
        pinned = (w.root / path for w in self._workspaces for path in w.marks.pinned)
        banned = (w.root / path for w in self._workspaces for path in w.marks.banned_files)
        return MarkedFiles(pinned=self._uris(pinned), banned=self._uris(banned))

    def _uris(self, paths: Iterable[Path]) -> tuple[str, ...]:
        uris = (path.as_uri() for path in paths)
        return tuple(self._spelled.get(uri, uri) for uri in uris)

    # -- what is asked -------------------------------------------------------------------

    def counts(self, uri: str) -> bool:
        """Whether a document's text may be kept: a source file that no rule leaves out."""
        if (found := self._find(uri)) is not None:
            workspace, path = found
            return counts(workspace.root, path, banned=workspace.marks.banned)
        place = path_of(uri)
        return (
            place is not None
            and not is_secret(place.as_posix())
            and counts(place.parent, place.name, banned=self.settings.ban)
        )

    def related(
        self,
        file: SourceFile,
        tree: SyntaxTree | None,
        cursor: int,
        context: FileContext,
        n_tokens: int,
        allowance: Allowance | None = None,
    ) -> Found:
        """Snippets of other files for a cursor.

        Args:
            file: the open file; its path is the document's URI.
            tree: its syntax tree.
            cursor: byte offset.
            context: what the file itself gives to the prompt.
            n_tokens: budget.
            allowance: how much may be new to the document's prompt; None for all.
        """
        found = self._find(file.path) if n_tokens > 0 else None
        if found is None:
            return Found()
        workspace, path = found
        workspace.start()
        for uri in self._dirty - {file.path}:
            self._dirty.discard(uri)
            self.changed(uri)
        chosen = workspace.related(file, tree, path, cursor, context, n_tokens, allowance)
        return Found(chosen=chosen, elsewhere=workspace.elsewhere(path, chosen))

    def place_of(self, uri: str) -> tuple[str, str] | None:
        """The folder of a document, and its path in there; None outside of all folders."""
        if (found := self._find(uri)) is None:
            return None
        workspace, path = found
        return str(workspace.root), path

    async def texts(self, uri: str, max_bytes: int) -> AsyncGenerator[tuple[str, str]]:
        """Paths and texts of what lies around a document, the nearest first.

        Args:
            uri: of the document; outside of all folders it is alone.
            max_bytes: of all texts together.
        """
        if (found := self._find(uri)) is not None:
            async with contextlib.aclosing(found[0].texts(found[1], max_bytes)) as near:
                async for path, text in near:
                    yield path, text
        elif text := await self.text(uri):
            yield uri, text

    async def text(self, uri: str) -> str:
        """The text of a document or file as others may know it; "" where there is none."""
        if (found := self._find(uri)) is not None:
            return await found[0].text(found[1])
        opened = self._open.get(uri)
        if opened is None or not self.counts(uri) or len(opened.data) > texts.MAX_BYTES:
            return ""
        return await asyncio.to_thread(texts.readable, opened.data)

    def _find(self, uri: str) -> tuple[Workspace, str] | None:
        for workspace in self._workspaces:
            path = workspace.path_of(uri)
            if path is not None:
                return workspace, path
        return None


def _of_index(settings: ContextSettings) -> ContextSettings:
    """The settings without those that every request reads."""
    return msgspec.structs.replace(settings, n_tokens=0, n_new_tokens=0)


class _Text:
    """A document's text, made when it is first asked for."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._snapshot = snapshot
        self._data: bytes | None = None

    @property
    def data(self) -> bytes:
        """As UTF-8 with ``\\n`` as its only EOL."""
        if self._data is None:
            self._data = b"".join(Lines.of(self._snapshot.lines).encoded)
        return self._data
