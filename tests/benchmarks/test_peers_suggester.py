"""Asking the engine with a peer's prompt, and the whole command."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from benchmarks import __main__ as main
from benchmarks.corpus import fresh
from benchmarks.peers import command, suggester
from benchmarks.peers import run as peers_run
from benchmarks.peers.plain import FileOnly, Midfill
from benchmarks.peers.strategy import EditorState, Strategy
from benchmarks.peers.suggester import PeerSuggester
from benchmarks.replay.types import Project, Target
from context.budget import estimate_tokens
from context.types import Prompt
from lsp_server.completion.asking import CPU_BUDGET, CPU_MAX_TOKENS
from lsp_server.engine.client import EngineClient
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineError
from lsp_server.settings import CompletionSettings
from tests.scripted_engine import client_of, write_script

BEFORE = "import os\n\n\ndef f(x):\n"


class Indenting:
    """A strategy that leaves the indentation to the model."""

    name = "indenting"
    writes_indent = True
    knows_texts = False

    def prompt(self, state: EditorState) -> Prompt:
        """The file as it stands."""
        return FileOnly(estimate_tokens).prompt(state)


@contextlib.asynccontextmanager
async def asking(
    folder: Path, answer: str, strategy: Strategy | None = None, **reply: object
) -> AsyncIterator[PeerSuggester]:
    """A suggester whose engine always gives the same answer."""
    script = write_script(folder / "script.json", {"text": answer, **reply})
    options = EngineOptions(
        backend="scripted", model_id="scripted", model_path=str(script), idle_exit_s=60
    )
    async with client_of(options) as client:
        asked = PeerSuggester(strategy or Midfill(), client)
        await asked.start(Project(name="p 1", root=folder, targets=()))
        yield asked


async def test_first_line_is_suggested(tmp_path: Path) -> None:
    """The answer ends with the first line, though the engine would go on for ever."""
    async with asking(tmp_path, "return x\nnever = 1\n", hang=True) as asked:
        await asked.open("a.py", BEFORE + "    \n")
        found = await asyncio.wait_for(asked.suggest(4, 4), 30)
    assert found.text == "return x"
    assert found.raw.startswith("return x\n")
    assert found.reason == ""
    assert found.n_prompt > 0
    assert len(found.logprobs) > 0
    assert 0 < found.ttft_ms <= found.total_ms


async def test_blank_lines_do_not_end_the_answer(tmp_path: Path) -> None:
    """Where a block begins, an empty first line is passed over."""
    async with asking(tmp_path, "\n    return x\n") as asked:
        await asked.open("a.py", "def f(x):\n")
        found = await asked.suggest(0, 9)
    assert found.text.strip() == "return x"


async def test_indentation_that_is_there_is_cut_off(tmp_path: Path) -> None:
    """What the model writes of an indentation that stands there already is not suggested."""
    async with asking(tmp_path, "    + x\n", Indenting()) as asked:
        await asked.open("a.py", BEFORE + "    \n")
        assert (await asked.suggest(4, 4)).text == "+ x"
        await asked.replace(4, 4, 4, 4, "y")
        assert (await asked.suggest(4, 5)).text == "    + x"


async def test_no_suggestion_has_a_reason(tmp_path: Path) -> None:
    """A model that says nothing is told apart from a position where nothing is asked."""
    async with asking(tmp_path, "") as asked:
        await asked.open("a.py", "# a comment here\n")
        assert (await asked.suggest(0, 3)).reason == "inside_comment"
        await asked.open("a.py", "x = \n")
        assert (await asked.suggest(0, 4)).reason == "model_stopped"


async def test_refused_prompts_end_the_run(tmp_path: Path) -> None:
    """An engine that does not take a prompt is an error, not a miss of the strategy."""
    options = EngineOptions(backend="scripted", model_path=str(tmp_path / "none.json"))
    async with client_of(options) as client:
        asked = PeerSuggester(Midfill(), client)
        await asked.open("a.py", "x = \n")
        with pytest.raises(EngineError):
            await asked.suggest(0, 4)


@pytest.mark.parametrize("eol", ["\n", "\r\n"])
async def test_edits_keep_the_text(tmp_path: Path, eol: str) -> None:
    """After any edits the strategy is given the document's text, with the cursor in its place."""
    chance = random.Random(3)
    options = EngineOptions(backend="scripted", model_path=str(tmp_path / "none.json"))
    asked = PeerSuggester(Midfill(), EngineClient(options))
    text = eol.join(["def f(x):", "    return x", "", "y = f(1)", ""])
    await asked.open("a.py", text)
    for _ in range(200):
        lines = text.split(eol)
        (first, start), (last, end) = sorted(
            (line, chance.randint(0, len(lines[line])))
            for line in (chance.randrange(len(lines)) for _ in range(2))
        )
        new = chance.choice(["", "a", f"b{eol}    c", f"{eol}", f"é{eol}{eol}", "x = 1"])
        await asked.replace(first, start, last, end, new)
        head = eol.join([*lines[:first], lines[first][:start]])
        tail = eol.join([lines[last][end:], *lines[last + 1 :]])
        text = head + new + tail
        lines = text.split(eol)
        line = chance.randrange(len(lines))
        column = chance.randint(0, len(lines[line]))
        state = asked.state(line, column)
        assert state.text == text.replace(eol, "\n")
        assert state.before == "\n".join([*lines[:line], lines[line][:column]])
        if len(text) > 400:
            text = f"z = 2{eol}"
            await asked.open("a.py", text)


def test_values_are_those_of_the_language_server() -> None:
    """Budgets, length and lines are what the server uses on a CPU; only the prompts differ."""
    assert replace(CPU_BUDGET, n_context_tokens=0) == suggester.BUDGET
    assert suggester.SAMPLING.max_tokens == CPU_MAX_TOKENS
    assert suggester.SAMPLING.temperature == CompletionSettings().temperature
    assert CompletionSettings().max_lines == suggester.MAX_LINES


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project with two files to type again, in place of the corpus."""
    root = tmp_path / "shop"
    root.mkdir()
    (root / "a.py").write_text("import os\n\n\nalpha = os.getcwd()\nbeta = os.cpu_count()\n")
    (root / "b.py").write_text("from a import alpha\n\n\ngamma = alpha.upper()\ndelta = 1\n")
    project = Project(
        name="shop 1",
        root=root,
        targets=(
            Target(path="a.py", first_line=3, last_line=5, lines=(3, 4)),
            Target(path="b.py", first_line=3, last_line=4, lines=(3,)),
        ),
    )
    monkeypatch.setattr(fresh, "fresh_lines", lambda *_, **__: [project])
    monkeypatch.setattr(peers_run, "token_counter", lambda _path: estimate_tokens)
    return project


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Run ``python -m benchmarks peers`` in this process."""
    monkeypatch.setattr("sys.argv", ["benchmarks", "peers", *arguments])
    return main.main()


def test_command_compares_all_prompts(
    corpus: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All prompts are asked at the same places; a second run asks nothing and finds the same."""
    script = write_script(tmp_path / "script.json", default="os.getcwd()\n")
    output = tmp_path / "peers.jsonl"
    arguments = ("--model", f"scripted:{script}", "--output", str(output), "--json")
    runtime = os.environ["MIDFILL_RUNTIME_DIR"]
    assert run_command(monkeypatch, *arguments) == 0
    assert os.environ["MIDFILL_RUNTIME_DIR"] == runtime
    first = json.loads(capsys.readouterr().out)
    records = [json.loads(line) for line in output.read_text().splitlines()[1:]]
    places: dict[str, set[tuple[str, int, int]]] = {}
    for record in records:
        found = places.setdefault(record["strategy"], set())
        found |= {
            (record["walk"]["target"], o["line"], o["column"])
            for o in record["walk"]["opportunities"]
        }
    assert set(places) == set(command.STRATEGIES)
    assert len({frozenset(found) for found in places.values()}) == 1
    assert first["n"] == len(places["midfill"])
    assert len(first["verdicts"]) == len(command.STRATEGIES) - 1
    monkeypatch.setattr(peers_run, "private_engine", None)
    assert run_command(monkeypatch, *arguments) == 0
    second = json.loads(capsys.readouterr().out)
    assert second["tables"] == first["tables"]


def test_command_goes_on_where_it_ended(
    corpus: Project,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A larger limit goes on with the same file and keeps what was measured."""
    script = write_script(tmp_path / "script.json", default="os.getcwd()\n")
    output = tmp_path / "peers.jsonl"
    arguments = ("--model", f"scripted:{script}", "--output", str(output), "--strategies",
                 "midfill,tabby")  # fmt: skip
    assert run_command(monkeypatch, *arguments, "--limit", "1") == 0
    before = output.read_text()
    assert run_command(monkeypatch, *arguments, "--limit", "9") == 0
    assert output.read_text().startswith(before)
    assert len(output.read_text().splitlines()) == 5
    assert "tabby" in capsys.readouterr().out


def test_unknown_prompt_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is no strategy is named in the error, with those there are."""
    with pytest.raises(SystemExit) as stopped:
        run_command(monkeypatch, "--strategies", "midfill,copilot")
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert "unknown prompt 'copilot'" in error
    assert "cody-local" in error


def test_targets_of_a_file_are_asked_together(tmp_path: Path) -> None:
    """Targets keep the order of their files, and inside a file that of their lines."""
    project = Project(name="p", root=tmp_path, targets=())
    found = [
        (project, Target(path=path, first_line=line, last_line=line + 1, lines=(line,)))
        for path, line in (("b.py", 9), ("a.py", 5), ("b.py", 2), ("a.py", 7))
    ]
    ordered = [(target.path, target.first_line) for _, target in peers_run.by_file(found)]
    assert ordered == [("b.py", 2), ("b.py", 9), ("a.py", 5), ("a.py", 7)]
