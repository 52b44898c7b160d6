"""The folders an editor has open: indexed in the background, asked at every request."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from context.gather import gather
from context.syntax import SyntaxTree
from context.types import Budget
from lsp_server.completion.draft import source_file
from lsp_server.documents import TextDocument
from lsp_server.settings import ContextSettings
from lsp_server.types import Edit, Position, Snapshot
from lsp_server.workspace.workspaces import Found, Workspaces

CART = 'class Cart:\n    def add_line(self, name: str) -> None:\n        """Add a line."""\n'
TILL = "from cart import Cart\n\ncart = Cart()\ncart.add_line(‸)\n"
BUDGET = Budget(n_prefix_tokens=768, n_suffix_tokens=192)


class Editor:
    """Open documents in a folder.

    Args:
        root: the folder.
        settings: of what is shown.
    """

    def __init__(self, root: Path, settings: ContextSettings | None = None) -> None:
        self.root = root
        self.told: list[tuple[str, float, str]] = []
        self.workspaces = Workspaces(
            settings or ContextSettings(), lambda *each: self.told.append(each)
        )

    def snapshot(self, path: str, text: str) -> Snapshot:
        """A document as it is in the editor."""
        return TextDocument((self.root / path).as_uri(), "python", 1, text).snapshot()

    def ask(self, path: str, marked: str) -> Found:
        """What other files give at the mark."""
        before, after = marked.split("‸")
        snapshot = self.snapshot(path, before + after)
        self.workspaces.document(snapshot)
        line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
        file, cursor = source_file(snapshot, line, column)
        tree = SyntaxTree.parse(file)
        context = gather(file, tree, cursor, BUDGET)
        return self.workspaces.related(file, tree, cursor, context, 400)

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(30):
            while not holds():
                await asyncio.sleep(0.005)


def edit_at(line: int) -> Edit:
    """Something was typed in a line."""
    return Edit(Position(line, 0), Position(line, 0), "x", "")


def shown(found: Found) -> str:
    """All text of other files."""
    return "\n".join(snippet.text for snippet in found.chosen.snippets)


@pytest.fixture
async def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Editor]:
    """An editor in a folder with one file, which is indexed."""
    monkeypatch.setenv("MIDFILL_CACHE_DIR", str(tmp_path / "cache"))
    root = tmp_path / "project"
    root.mkdir()
    (root / "cart.py").write_text(CART)
    editor = Editor(root)
    editor.workspaces.open([root])
    await editor.workspaces.ready()
    yield editor
    await editor.workspaces.aclose()


async def test_other_files_are_shown(editor: Editor) -> None:
    """With the repository's name and the open file's path; and how far the index is, is told."""
    found = editor.ask("till.py", TILL)
    assert "def add_line(self, name: str) -> None:" in shown(found)
    assert found.elsewhere is not None
    assert (found.elsewhere.repo, found.elsewhere.path) == ("project", "till.py")
    assert editor.told[-1][:2] == ("project", 1.0)


async def test_unsaved_text_counts(editor: Editor) -> None:
    """A name that is typed in one document is known in the next one."""
    changed = CART.replace("add_line(self, name", "add_line(self, title")
    editor.workspaces.edited(editor.snapshot("cart.py", changed), [edit_at(1)])
    editor.ask("till.py", TILL)
    await editor.until(lambda: "title: str" in shown(editor.ask("till.py", TILL)))
    # Closed without being saved: the disk's text is back.
    editor.workspaces.closed((editor.root / "cart.py").as_uri())
    await editor.until(lambda: "name: str" in shown(editor.ask("till.py", TILL)))


async def test_new_and_removed_files_are_noticed(editor: Editor) -> None:
    """The client says which; what is ignored stays so."""
    (editor.root / ".gitignore").write_text("gen.py\n")
    for name in ("more.py", "gen.py"):
        (editor.root / name).write_text(f"def {name[:-3]}_things(count): ...\n")
        editor.workspaces.changed((editor.root / name).as_uri())
    text = "from more import more_things\nfrom gen import gen_things\nmore_things(gen_things(‸))\n"
    await editor.until(lambda: "def more_things(count)" in shown(editor.ask("till.py", text)))
    assert "def gen_things" not in shown(editor.ask("till.py", text))
    (editor.root / "more.py").unlink()
    editor.workspaces.changed((editor.root / "more.py").as_uri())
    await editor.until(lambda: "def more_things" not in shown(editor.ask("till.py", text)))


async def test_the_next_start_finds_the_index(editor: Editor) -> None:
    """From the disk; what changed meanwhile is brought up to date."""
    (editor.root / "cart.py").write_text(CART.replace("name: str", "what: str, how_many: int"))
    again = Editor(editor.root)
    again.workspaces.open([editor.root])
    await again.workspaces.ready()
    assert "how_many: int" in shown(again.ask("till.py", TILL))
    await again.workspaces.aclose()


async def test_recent_edits_are_shown(editor: Editor) -> None:
    """What was typed in another document a moment ago."""
    text = "".join(f"value_{n} = {n}\n" for n in range(100))
    editor.workspaces.edited(editor.snapshot("notes.py", text), [edit_at(50)])
    assert "value_50 = 50" in shown(editor.ask("till.py", "x = ‸\n"))


async def test_installed_packages_are_read_for_the_next_request(editor: Editor) -> None:
    """Those of the project's environment, module by module as they are imported."""
    packages = editor.root / ".venv/lib/python3.12/site-packages"
    (packages / "web").mkdir(parents=True)
    (editor.root / ".venv/pyvenv.cfg").write_text("home = /usr/bin\n")
    (packages / "web/__init__.py").write_text("from ._app import App\n")
    (packages / "web/_app.py").write_text("class App:\n    def route(self, path: str): ...\n")
    again = Editor(editor.root)
    again.workspaces.open([editor.root])
    await again.workspaces.ready()
    text = "from web import App\n\napp = App()\napp.route(‸)\n"
    await again.until(lambda: "def route(self, path: str)" in shown(again.ask("till.py", text)))
    (snippet,) = again.ask("till.py", text).chosen.snippets
    assert (snippet.path, snippet.origin) == ("web/_app.py", "package")
    await again.workspaces.aclose()


async def test_what_a_file_said_before_it_was_changed_goes(editor: Editor) -> None:
    """Although what was in the last prompt stays otherwise."""
    assert "name: str" in shown(editor.ask("till.py", TILL))
    (editor.root / "cart.py").write_text("nothing = None\n")
    editor.workspaces.changed((editor.root / "cart.py").as_uri())
    await editor.until(lambda: "name: str" not in shown(editor.ask("till.py", TILL)))


async def test_files_are_pinned_and_banned_for_the_session(editor: Editor) -> None:
    """A pinned one is in every prompt, a banned one in none; outside of folders nothing is."""
    (editor.root / "notes [1].py").write_text("RATE = 0.19\n")
    uri, cart = ((editor.root / name).as_uri() for name in ("notes [1].py", "cart.py"))
    assert "RATE = 0.19" not in shown(editor.ask("till.py", TILL))
    assert editor.workspaces.mark(uri, "pin")
    await editor.until(lambda: "RATE = 0.19" in shown(editor.ask("till.py", TILL)))
    assert editor.workspaces.mark(uri, "ban")
    await editor.until(lambda: "RATE = 0.19" not in shown(editor.ask("till.py", TILL)))
    assert editor.workspaces.mark(cart, "ban")
    await editor.until(lambda: "add_line" not in shown(editor.ask("till.py", TILL)))
    assert editor.workspaces.mark(cart, "unban")
    await editor.until(lambda: "add_line" in shown(editor.ask("till.py", TILL)))
    assert editor.workspaces.mark(uri, "unban")
    await editor.until(lambda: "RATE = 0.19" in shown(editor.ask("till.py", TILL)))
    assert editor.workspaces.mark(uri, "unpin")
    assert not editor.workspaces.mark("file:///elsewhere/a.py", "pin")


async def test_documents_elsewhere_get_nothing(editor: Editor) -> None:
    """Outside of all folders, or without a file, there is no workspace."""
    for uri in ("file:///elsewhere/a.py", "untitled:Untitled-1"):
        snapshot = TextDocument(uri, "python", 1, "x = \n").snapshot()
        file, cursor = source_file(snapshot, 0, 4)
        context = gather(file, None, cursor, BUDGET)
        assert editor.workspaces.related(file, None, cursor, context, 400) == Found()
    assert editor.workspaces._find("file://host/share/a.py") is None


async def test_switched_off_nothing_is_read(tmp_path: Path) -> None:
    """No index, no snippets."""
    editor = Editor(tmp_path, ContextSettings(enabled=False))
    editor.workspaces.open([tmp_path])
    assert editor.ask("till.py", TILL) == Found()
    assert editor.told == []


async def test_the_innermost_folder_counts(editor: Editor) -> None:
    """Of two folders in each other."""
    inner = editor.root / "inner"
    inner.mkdir()
    (inner / "cart.py").write_text(CART.replace("add_line", "inner_line"))
    editor.workspaces.open([inner])
    await editor.workspaces.ready()
    text = TILL.replace("add_line", "inner_line")
    assert "def inner_line" in shown(editor.ask("inner/till.py", text))
    await editor.workspaces.leave([inner])
    found = editor.ask("inner/till.py", TILL)
    assert found.elsewhere is not None
    assert found.elsewhere.path == "inner/till.py"


async def test_a_folder_can_be_left_while_it_is_indexed(tmp_path: Path) -> None:
    """The process ends with it."""
    root = tmp_path / "project"
    root.mkdir()
    for number in range(300):
        (root / f"m{number}.py").write_text(CART)
    editor = Editor(root)
    editor.workspaces.open([root])
    workspace = editor.workspaces._workspaces[0]
    workspace.start()
    await editor.until(lambda: workspace._process is not None)
    await editor.workspaces.aclose()
    assert workspace._process is not None
    assert workspace._process.returncode is not None


async def test_other_settings_make_the_index_anew(editor: Editor) -> None:
    """Folders and marks of the session stay; a budget that changes leaves the index alone."""
    workspaces = editor.workspaces
    (before,) = workspaces._workspaces
    uri = (editor.root / "cart.py").as_uri()
    workspaces.mark(uri, "pin")
    await workspaces.configure(ContextSettings(n_tokens=99))
    assert workspaces._workspaces == [before]
    await workspaces.configure(ContextSettings(enabled=False))
    assert workspaces._workspaces == []
    await workspaces.configure(ContextSettings(pin=("till.py",)))
    (after,) = workspaces._workspaces
    assert after.root == before.root
    assert after.marks.pinned == ("till.py",)
    workspaces.mark(uri, "pin")
    await workspaces.configure(ContextSettings(ban=("*.txt",)))
    assert workspaces.marked().pinned == (uri,)
