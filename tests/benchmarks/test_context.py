"""``python -m benchmarks context``: variants of the prompt, and what an index costs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import __main__ as main
from benchmarks.context import speed
from benchmarks.context.variants import FILE, FULL, LATE, NGRAMS, WITHOUT, variants
from benchmarks.corpus import fresh
from benchmarks.peers import run as peers_run
from benchmarks.peers.library import Library
from benchmarks.peers.plain import MidfillWorkspace
from benchmarks.peers.strategy import EditorState
from benchmarks.replay.types import Project, Target
from context.budget import estimate_tokens
from context.related import WEIGHTS, Wanted
from context.types import CursorScope, FileContext, SourceFile
from context.workspace.symbols import symbols_of
from lsp_server.settings import ContextSettings
from lsp_server.workspace.workspace import Workspace
from tests.scripted_engine import write_script


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with one file to type again, in place of the corpus."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "a.py").write_text("def alpha(first, second): ...\n")
    (root / "b.py").write_text("from a import alpha\n\n\ngamma = alpha(1, 2)\ndelta = alpha\n")
    project = Project(
        name="shop 1",
        root=root,
        targets=(Target(path="b.py", first_line=3, last_line=5, lines=(3, 4)),),
    )
    monkeypatch.setattr(fresh, "fresh_lines", lambda *_, **__: [project])
    monkeypatch.setattr(peers_run, "token_counter", lambda _path: estimate_tokens)
    return project


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run the benchmark in this process."""
    monkeypatch.setattr("sys.argv", ["benchmarks", "context", *arguments])
    return main.main()


def test_every_source_is_left_out_and_tried_alone() -> None:
    """But for those that a replay of one file does not have."""
    names = [*variants()]
    assert names[:5] == [FULL, FILE, NGRAMS, WITHOUT, LATE]
    for source in WEIGHTS:
        expected = source not in ("pinned", "recent")
        assert (f"without {source}" in names) == (f"only {source}" in names) == expected


def test_variants_are_asked_at_the_same_places(
    corpus: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The full context is held against each of the others."""
    script = write_script(tmp_path / "script.json", default="alpha(1, 2)\n")
    output = tmp_path / "context.jsonl"
    arguments = ("--model", f"scripted:{script}", "--output", str(output), "--json")
    chosen = f"{FULL},{FILE},only definitions"
    assert run_command(monkeypatch, *arguments, "--variants", chosen) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["title"] == "Other files in the prompt"
    assert {row[0] for row in found["tables"][0]["rows"]} == {FULL, FILE, "only definitions"}
    assert len(found["verdicts"]) == 2


def test_unknown_variants_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With those there are."""
    assert run_command(monkeypatch, "--variants", "everything") == 2
    assert "There is no variant 'everything'" in capsys.readouterr().err


def test_names_are_looked_for_in_prompts(
    corpus: Project, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two lines the open file knows the names of one; nobody asks a model."""
    (corpus.root / "a.py").write_text("def alpha(first, second): ...\n\n\nepsilon = alpha\n")
    (corpus.root / "b.py").write_text(
        "from a import alpha\n\n\nalphabet = alpha(first=1, second=2)\nalphabeta = alphabet\n"
    )
    chosen = f"{FULL},{FILE}"
    arguments = ("--section", "retrieval", "--json", "--variants", chosen)
    assert run_command(monkeypatch, *arguments) == 0
    found = json.loads(capsys.readouterr().out)
    rows = {row[0]: row for row in found["tables"][0]["rows"]}
    assert rows[FULL][1]["value"] > rows[FILE][1]["value"]
    assert rows[FULL][3] > 0 == rows[FILE][3]
    assert rows[FULL][-1] == rows[FILE][-1] == 2
    assert len(found["verdicts"]) == 1


SCOPE = CursorScope(
    kind="code", line_before="", line_after="", next_line="", indent="", multi_line=True
)


class Asker:
    """Asks a strategy for prompts in a project."""

    def __init__(self, project: Project, strategy: MidfillWorkspace) -> None:
        self._library = Library.load(project.root)
        self._strategy = strategy

    def ask(self, path: str, text: str) -> str:
        """What of other files is in the prompt at the end of a text."""
        state = EditorState(
            project="shop",
            path=path,
            text=text,
            offset=len(text),
            library=self._library,
            visits=(),
            context=FileContext(prefix=(), suffix=(), scope=SCOPE),
        )
        return "".join(segment.text for segment in self._strategy.prompt(state).segments)


def test_prompts_know_nothing_of_the_future(corpus: Project) -> None:
    """The index has of the open file what is typed so far; the next file finds it whole again."""
    strategy = MidfillWorkspace(Wanted(n_tokens=300))
    asker = Asker(corpus, strategy)
    assert "def alpha(first, second)" in asker.ask("b.py", "from a import alpha\n\nx = alpha(")
    assert strategy._related is not None
    assert not strategy._related.index.n_defined("gamma")
    assert "gamma" in asker.ask("a.py", "from b import gamma\n\nx = gamma(")


def test_what_comes_a_line_late_was_chosen_at_the_last_line(corpus: Project) -> None:
    """The first line of a file has its own."""
    (corpus.root / "c.py").write_text("def omega(last): ...\n")
    asker = Asker(corpus, MidfillWorkspace(Wanted(n_tokens=300), is_late=True))
    first = "from a import alpha\nfrom c import omega\n"
    assert "def alpha(first, second)" in asker.ask("b.py", "from a import alpha\n\nx = alpha(")
    again = asker.ask("b.py", first + "x = alpha(1, 2)\ny = omega(")
    assert "def omega(last)" not in again
    assert "def omega(last)" in asker.ask("b.py", first + "y = omega(1)\nz = omega(")


def test_an_index_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Time, memory and requests, each beside its goal."""
    for number in range(3):
        body = "".join(f"def f{number}_{n}(a):\n    return a\n\n\n" for n in range(80))
        (tmp_path / f"m{number}.py").write_text(body)
    monkeypatch.setattr(speed, "_N_KEYS", 12)
    monkeypatch.setattr(speed, "_KEY_S", 0.0)
    monkeypatch.setattr(speed, "_SIZES", (700, speed._N_LINES))
    assert run_command(monkeypatch, "--section", "speed", "--folder", str(tmp_path), "--json") == 0
    found = json.loads(capsys.readouterr().out)
    assert found["headline"].startswith("3 files with 960 lines are indexed in ")
    assert [table["title"] for table in found["tables"]] == [
        "Index",
        "A request in a file of ten thousand lines",
        "The same in files of other sizes",
    ]
    assert [row[0] for row in found["tables"][2]["rows"]] == ["700", "10,000"]
    assert len(found["verdicts"]) == 4


def test_a_folder_without_long_files_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """There is nothing to type in."""
    (tmp_path / "short.py").write_text("x = 1\n")
    assert run_command(monkeypatch, "--section", "speed", "--folder", str(tmp_path)) == 2
    assert "--folder FOLDER" in capsys.readouterr().err


def test_files_are_put_together_up_to_a_length(tmp_path: Path) -> None:
    """Over and over if they are few; never beyond."""
    (tmp_path / "a.py").write_text("a = 1\n" * 299)
    (tmp_path / "b.py").write_text("b = 1\n" * 399)
    workspace = Workspace(tmp_path, ContextSettings())
    for name in ("a.py", "b.py"):
        data = (tmp_path / name).read_bytes()
        file = SourceFile(path=name, language="python", data=data)
        workspace.index.put(name, symbols_of(file))
    text = speed._long_text(workspace, 1_500)
    assert 1_200 < text.count("\n") <= 1_500
    assert text.startswith("a = 1\n" * 299 + "\nb = 1\n")
