"""The engine is told the texts of the workspaces."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import msgspec
import pytest

from lsp_server.completion import feed as feed_module
from lsp_server.completion.engine_link import EngineLink
from lsp_server.completion.feed import Feed
from lsp_server.documents import TextDocument
from lsp_server.engine.protocol import NOWHERE, Home
from lsp_server.errors import EngineUnavailableError
from lsp_server.settings import ContextSettings, Settings
from lsp_server.types import Snapshot
from lsp_server.workspace.workspaces import Workspaces
from tests.completion.serving import until


class Engine:
    """Takes note of what it is told."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.pid = 1
        self.told: list[tuple[str, str, str]] = []
        self.dies = False

    def tell(self, corpus: str, path: str, text: str) -> None:
        """See EngineLink."""
        if self.dies:
            raise EngineUnavailableError("It died.", code="engine_died")
        self.told.append((corpus, path, text))


class Editor:
    """A folder, the documents in it, and an engine."""

    def __init__(self, root: Path, context: ContextSettings) -> None:
        self.root = root
        self.engine = Engine()
        self.engine.settings = msgspec.structs.replace(self.engine.settings, context=context)
        self.workspaces = Workspaces(context)
        self.workspaces.open([root])
        self.feed = Feed(cast(EngineLink, self.engine), self.workspaces)

    @property
    def told(self) -> dict[str, str]:
        """The last text of each file that was told, by path."""
        return {path: text for _, path, text in self.engine.told}

    def uri(self, path: str) -> str:
        """Of a file."""
        return (self.root / path).as_uri()

    def typed(self, path: str, text: str) -> Snapshot:
        """A document's text is another one."""
        snapshot = TextDocument(self.uri(path), "python", 1, text).snapshot()
        self.workspaces.document(snapshot)
        self.feed.edited(snapshot)
        return snapshot


@pytest.fixture
async def editor(tmp_path: Path) -> AsyncIterator[Editor]:
    """An editor in a folder with three files."""
    root = tmp_path / "shop"
    (root / "tools").mkdir(parents=True)
    (root / "cart.py").write_text("cart = 1\n")
    (root / "till.py").write_text("till = 2\n")
    (root / "tools" / "scan.py").write_text("scan = 3\n")
    found = Editor(root, ContextSettings())
    yield found
    await found.feed.aclose()
    await found.workspaces.aclose()


async def test_a_workspace_is_told_once(editor: Editor) -> None:
    """When somebody is about to write in it; the document itself first, then what is near."""
    states: list[str] = [editor.feed.state]
    home = editor.feed.enter(editor.uri("till.py"))
    assert home == Home(corpus=str(editor.root), path="till.py")
    states.append(editor.feed.state)
    await editor.feed.told(editor.uri("till.py"))
    assert [*states, editor.feed.state] == ["none", "telling", "told"]
    corpus = str(editor.root)
    assert editor.engine.told == [
        (corpus, "till.py", "till = 2\n"),
        (corpus, "cart.py", "cart = 1\n"),
        (corpus, "tools/scan.py", "scan = 3\n"),
    ]
    await editor.feed.told(editor.uri("cart.py"))
    assert len(editor.engine.told) == 3


async def test_another_engine_is_told_anew(editor: Editor) -> None:
    """One that was started again knows nothing; while there is none, nobody is told."""
    editor.engine.pid = 0
    await editor.feed.told(editor.uri("till.py"))
    assert editor.engine.told == []
    for pid in (1, 2):
        editor.engine.pid = pid
        await editor.feed.told(editor.uri("till.py"))
        assert len(editor.engine.told) == 3 * pid


async def test_changes_are_told(editor: Editor) -> None:
    """A file that was saved, came or went; nothing before its workspace is told."""
    editor.feed.changed(editor.uri("cart.py"))
    await editor.feed.told(editor.uri("till.py"))
    editor.engine.told.clear()
    (editor.root / "cart.py").write_text("cart = 4\n")
    (editor.root / "new.py").write_text("new = 5\n")
    (editor.root / "till.py").unlink()
    for name in ("cart.py", "new.py", "till.py"):
        editor.feed.changed(editor.uri(name))
    await until(lambda: len(editor.told) == 3)
    assert editor.told == {"cart.py": "cart = 4\n", "new.py": "new = 5\n", "till.py": ""}


async def test_a_document_is_told_when_it_rests(
    editor: Editor, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is in the editor, once, however many keys were typed before."""
    monkeypatch.setattr(feed_module, "_REST_S", 0.05)
    await editor.feed.told(editor.uri("till.py"))
    editor.engine.told.clear()
    for number in range(20):
        editor.typed("till.py", f"till = {number}\n")
    await until(lambda: editor.engine.told)
    assert [text for _, _, text in editor.engine.told] == ["till = 19\n"]
    editor.typed("till.py", "till = 20\n")
    editor.workspaces.closed(editor.uri("till.py"))
    editor.feed.changed(editor.uri("till.py"))
    await until(lambda: len(editor.engine.told) == 2)
    assert editor.told == {"till.py": "till = 2\n"}
    assert not editor.feed._timers


async def test_secrets_are_not_told(editor: Editor) -> None:
    """Neither files of secrets, nor keys in others, nor what a rule leaves out."""
    (editor.root / ".gitignore").write_text("built/\n")
    (editor.root / "built").mkdir()
    (editor.root / "built" / "out.py").write_text("out = 1\n")
    (editor.root / "id_rsa.py").write_text("x = 1\n")
    (editor.root / ".env.py").write_text("x = 1\n")
    key = "sk-" + "a1B2" * 10
    (editor.root / "cart.py").write_text(f'client = Client("{key}")\n')
    await editor.feed.told(editor.uri("till.py"))
    for name in ("built/out.py", ".env.py"):
        editor.feed.changed(editor.uri(name))
    editor.typed("cart.py", f'client = Client("{key}")\n')
    editor.feed.changed(editor.uri("cart.py"))
    await until(lambda: len(editor.engine.told) >= 6)
    assert key not in str(editor.engine.told)
    assert editor.told["cart.py"] == 'client = Client("REDACTED")\n'
    assert not editor.told.get("built/out.py")
    assert not editor.told.get(".env.py")


async def test_what_is_banned_is_forgotten(editor: Editor) -> None:
    """At once, and told again when it is not banned any more."""
    await editor.feed.told(editor.uri("till.py"))
    uri = editor.uri("cart.py")
    for mark, text in (("ban", ""), ("unban", "cart = 1\n")):
        editor.engine.told.clear()
        assert editor.workspaces.mark(uri, mark)  # type: ignore[arg-type]
        editor.feed.changed(uri)
        await until(lambda: editor.engine.told)
        assert editor.told == {"cart.py": text}


async def test_other_settings_begin_anew(editor: Editor) -> None:
    """The engine forgets what it was told, and is told what counts then."""
    await editor.feed.told(editor.uri("till.py"))
    editor.engine.told.clear()
    context = ContextSettings(ban=("tools/",))
    editor.engine.settings = msgspec.structs.replace(editor.engine.settings, context=context)
    await editor.workspaces.configure(context)
    editor.feed.restart()
    await editor.feed.told(editor.uri("till.py"))
    corpus = str(editor.root)
    assert editor.engine.told[0] == (corpus, "", "")
    assert [path for _, path, _ in editor.engine.told[1:]] == ["till.py", "cart.py"]


async def test_no_texts_at_all(tmp_path: Path) -> None:
    """With a budget of 0 the engine is told nothing, and documents live nowhere."""
    (tmp_path / "a.py").write_text("x = 1\n")
    editor = Editor(tmp_path, ContextSettings(n_corpus_tokens=0))
    assert editor.feed.enter(editor.uri("a.py")) == NOWHERE
    await editor.feed.told(editor.uri("a.py"))
    editor.typed("a.py", "x = 2\n")
    editor.feed.changed(editor.uri("a.py"))
    await editor.feed.aclose()
    assert editor.engine.told == []


async def test_a_budget_holds_the_nearest_files(tmp_path: Path) -> None:
    """Four bytes are a token; a file that does not fit leaves room for smaller ones."""
    for name, size in (("a.py", 20), ("b.py", 30), ("c.py", 10), ("d.txt.py", 10)):
        (tmp_path / name).write_text("#" * size)
    editor = Editor(tmp_path, ContextSettings(n_corpus_tokens=10))
    await editor.feed.told(editor.uri("a.py"))
    await editor.feed.aclose()
    assert [*editor.told] == ["a.py", "c.py", "d.txt.py"]


async def test_a_document_outside_of_all_folders_is_alone(editor: Editor, tmp_path: Path) -> None:
    """It tells of itself; one that is not open tells nothing."""
    editor.root = tmp_path
    (tmp_path / "loose.py").write_text("loose = 1\n")
    uri = editor.uri("loose.py")
    await editor.feed.told(uri)
    assert editor.engine.told == []
    editor.typed("loose.py", "loose = 2\n")
    editor.feed.changed(uri)
    await until(lambda: editor.engine.told)
    assert editor.engine.told == [(uri, uri, "loose = 2\n")]


async def test_an_engine_that_dies_is_no_trouble(editor: Editor) -> None:
    """The request that meets it tells; the next engine is told all."""
    editor.engine.dies = True
    await editor.feed.told(editor.uri("till.py"))
    editor.feed.changed(editor.uri("cart.py"))
    editor.engine.dies, editor.engine.pid = False, 2
    await editor.feed.told(editor.uri("till.py"))
    assert {*editor.told} == {"till.py", "cart.py", "tools/scan.py"}
