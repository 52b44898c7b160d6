"""The files around the open document: indexed in the background, asked at every request."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import sys
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable, Iterable
from pathlib import Path

import msgspec

from context.fim import Elsewhere
from context.rank import Allowance, Chosen
from context.related import Related, Wanted
from context.source import language_of
from context.sources.similar import SimilarWindows, Windows
from context.syntax import SyntaxTree
from context.types import FileContext, Snippet, SourceFile
from context.workspace.environment import EnvironmentIndex
from context.workspace.index import WorkspaceIndex
from context.workspace.scan import counts, scan
from context.workspace.symbols import FileSymbols, symbols_of
from lsp_server import paths
from lsp_server.settings import ContextSettings
from lsp_server.workspace import store, texts
from lsp_server.workspace.files import Files
from lsp_server.workspace.marks import Marks
from lsp_server.workspace.messages import (
    HEADER_BYTES,
    Done,
    Gone,
    Order,
    Progress,
    decode,
    size_of,
)
from lsp_server.workspace.messages import Files as Changed
from lsp_server.workspace.packages import packages_of
from lsp_server.workspace.visits import Visits

log = logging.getLogger("midfill.workspace")

# The loop is not held up for longer while files are taken in.
_SLICE_S = 0.004
_SLICE_LINES = 128
_N_DOCUMENTS = 32
# Packages hand names on from module to module, seldom through more than some.
_MAX_HOPS = 8

# Called with a share from 0 to 1 and a sentence; with 1.0 at the end.
OnProgress = Callable[[float, str], None]


class Workspace:
    """One folder that the editor works in.

    Args:
        root: the folder.
        settings: what is shown of it.
        opened: gives the text of an open document by its path, see Files.
        on_progress: told while the index is made.
        at_once: whether a request waits for files to be cut up, see SimilarWindows.

    Attributes:
        index: what is known of its files.
        visits: where the user was.
        marks: files that are pinned or banned.
        ready: set once all files are in the index, or it has failed.
        left_out: why some files are not in it; "" when all are.
    """

    def __init__(
        self,
        root: Path,
        settings: ContextSettings,
        opened: Callable[[str], bytes | None] = lambda _path: None,
        on_progress: OnProgress = lambda _share, _text: None,
        *,
        at_once: bool = False,
    ) -> None:
        self.root = root
        self.settings = settings
        self.visits = Visits()
        self.marks = Marks(settings)
        self._files = Files(root, opened, at_once=at_once)
        self.index = WorkspaceIndex(root.name, self._files.read)
        self._similar = SimilarWindows(at_once=at_once)
        folder = packages_of(root, settings.environment)
        self._packages = EnvironmentIndex(Files(folder).read) if folder else None
        self._related = Related(self.index, self._similar, self._packages)
        self._at_once = at_once
        self._on_progress = on_progress
        self._chosen: OrderedDict[str, tuple[Snippet, ...]] = OrderedDict()
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._stale: set[str] = set()
        self._updating: asyncio.Task[None] | None = None
        self._preparing: asyncio.Task[None] | None = None
        self.ready = asyncio.Event()
        self.left_out = ""

    # -- its life ------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to index, in the background."""
        if self._task is None:
            self._task = asyncio.create_task(self._index())

    async def aclose(self) -> None:
        """End the indexing."""
        for task in (self._task, self._updating, self._preparing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()

    async def _index(self) -> None:
        place = store.path_of(self.root)
        try:
            stored = await asyncio.to_thread(store.load, place, str(self.root))
            if stored is not None:
                await self._take((r.path, r.symbols) for r in stored.records())
            await self._bring_up_to_date(place)
        except asyncio.CancelledError:
            raise
        except (OSError, ValueError, EOFError, msgspec.MsgspecError) as error:
            # Without an index the open file still gives its part.
            log.warning("the workspace is not indexed: %s", type(error).__name__)
        finally:
            # A large index is millions of objects that stay: going through them for garbage again
            # and again would hold up requests for a tenth of a second each time.
            gc.freeze()
            self._on_progress(1.0, "")
            self.ready.set()

    async def _bring_up_to_date(self, place: Path) -> None:
        order = Order(
            root=str(self.root),
            store=str(place),
            banned=self.marks.banned,
            max_files=self.settings.max_files,
        )
        # -P keeps the current folder (a user's project) off the import path.
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-P", "-m", "lsp_server.workspace.indexer"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(msgspec.json.encode(order))
        self._process.stdin.close()
        while True:
            header = await self._process.stdout.readexactly(HEADER_BYTES)
            message = decode(await self._process.stdout.readexactly(size_of(header)))
            match message:
                case Changed():
                    await self._take(message.files)
                case Gone():
                    for path in message.paths:
                        self._drop(path)
                case Progress():
                    share = message.n_done / max(1, message.n_all)
                    text = f"{message.n_done:,} of {message.n_all:,} files"
                    self._on_progress(min(share, 0.999), text)
                case Done():
                    self.left_out = message.left_out
                    if message.left_out:
                        log.warning("files are left out of the index: %s", message.left_out)
                    break
        await self._process.wait()

    async def _take(self, files: Iterable[tuple[str, FileSymbols]]) -> None:
        """Take files into the index, a little at a time: requests come in between."""
        until_s = time.monotonic() + _SLICE_S
        for path, symbols in files:
            self._put(path, symbols)
            if time.monotonic() > until_s:
                await asyncio.sleep(0)
                until_s = time.monotonic() + _SLICE_S

    # -- what changes --------------------------------------------------------------------

    def path_of(self, uri: str) -> str | None:
        """Path of a document relative to the root, with slashes; None if it is not below it."""
        place = paths.path_of(uri)
        if place is None or not place.is_relative_to(self.root):
            return None
        return place.relative_to(self.root).as_posix()

    def changed(self, path: str) -> None:
        """The text of a file is another one: it was saved, closed, or changed on the disk."""
        self._stale.add(path)
        if self._updating is None or self._updating.done():
            self._updating = asyncio.create_task(self._update())

    async def _update(self) -> None:
        while self._stale:
            path = self._stale.pop()
            data = await self._files.fetch(path)
            symbols = await asyncio.to_thread(self._symbols, path, data) if data else None
            if symbols is None:
                self._drop(path)
            else:
                self._put(path, symbols)

    def _put(self, path: str, symbols: FileSymbols) -> None:
        self._forget(path)
        self.index.put(path, symbols)

    def _drop(self, path: str) -> None:
        self._forget(path)
        self.index.drop(path)

    def _forget(self, path: str) -> None:
        """What was chosen of a file is not what it says any more."""
        for document, chosen in self._chosen.items():
            if any(snippet.path == path for snippet in chosen):
                self._chosen[document] = tuple(s for s in chosen if s.path != path)

    def _symbols(self, path: str, data: bytes) -> FileSymbols | None:
        if not counts(self.root, path, banned=self.marks.banned):
            return None
        return symbols_of(SourceFile(path=path, language=language_of(path), data=data))

    # -- what is asked -------------------------------------------------------------------

    def related(
        self,
        file: SourceFile,
        tree: SyntaxTree | None,
        path: str,
        cursor: int,
        context: FileContext,
        n_tokens: int,
        allowance: Allowance | None = None,
    ) -> Chosen:
        """Snippets of other files for a cursor, see Related."""
        before = self._chosen.pop(path, ())
        self._related.visits = self.visits.newest_first
        wanted = Wanted(n_tokens=n_tokens, pinned=self.marks.pinned, allowance=allowance)
        place = (file, tree, path, cursor, context)
        chosen = self._related.find(*place, wanted, before)
        if self._at_once:
            for _ in range(_MAX_HOPS):
                if not self._load_packages():
                    break
                chosen = self._related.find(*place, wanted, before)
        elif self._preparing is None or self._preparing.done():
            self._preparing = asyncio.create_task(self._prepare())
        self._chosen[path] = chosen.snippets
        while len(self._chosen) > _N_DOCUMENTS:
            self._chosen.popitem(last=False)
        return chosen

    async def _prepare(self) -> None:
        """Read for the next request what this one did without."""
        while self._files.missing:
            await self._files.fetch(next(iter(self._files.missing)))
            self._similar.forget_answer()
        while self._similar.missing:
            path, data = next(iter(self._similar.missing.items()))
            windows = Windows(data, whole=False)
            # Not on another thread: there it would take turns with requests that are at work.
            while not windows.advance(_SLICE_LINES):
                await asyncio.sleep(0)
            self._similar.keep(path, data, windows)
        while (packages := self._packages) is not None and packages.missing:
            stem = next(iter(packages.missing))
            packages.keep(stem, await asyncio.to_thread(packages.load, stem))

    def _load_packages(self) -> bool:
        """Whether there was anything to load; what is loaded may import more."""
        packages = self._packages
        if packages is None or not packages.missing:
            return False
        for stem in list(packages.missing):
            packages.keep(stem, packages.load(stem))
        return True

    async def texts(self, near: str, max_bytes: int) -> AsyncGenerator[tuple[str, str]]:
        """Paths and texts of its files, see ``texts.nearest``."""

        def chosen() -> list[str]:
            marks, settings = self.marks, self.settings
            found = scan(self.root, banned=marks.banned, max_files=settings.max_files)
            return [*texts.nearest(found.files, near, max_bytes)]

        for path in await asyncio.to_thread(chosen):
            if text := await asyncio.to_thread(texts.readable, await self._files.once(path)):
                yield path, text

    async def text(self, path: str) -> str:
        """The text of a file that is no secret and was not left out by a rule; else ""."""
        if not await asyncio.to_thread(counts, self.root, path, banned=self.marks.banned):
            return ""
        data = await self._files.once(path)
        too_large = data is not None and len(data) > texts.MAX_BYTES
        return "" if too_large else await asyncio.to_thread(texts.readable, data)

    def elsewhere(self, path: str, chosen: Chosen) -> Elsewhere:
        """The same, as the prompt wants it."""
        return Elsewhere(repo=self.root.name, path=path, snippets=chosen.snippets)
