"""The prompts of the peers: what is in them, how much of it, and what never is."""

from __future__ import annotations

import random
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from benchmarks.peers.command import STRATEGIES
from benchmarks.peers.library import Library, chunks
from benchmarks.peers.llama_vim import similarity
from benchmarks.peers.session import N_FILES, visits
from benchmarks.peers.strategy import (
    Strategy,
    first_lines,
    first_tokens,
    last_lines,
    last_tokens,
)
from context.budget import estimate_tokens
from context.types import Prompt
from tests.benchmarks.peer_projects import long_module, shown, state_of

_GOLDEN = Path(__file__).parent.parent / "golden" / "benchmarks" / "peers.toml"
GOLDEN: dict[str, Any] = tomllib.loads(_GOLDEN.read_text("utf-8"))
PEERS = tuple(STRATEGIES)


def strategy_of(name: str, seed: int = 1) -> Strategy:
    """A strategy that counts tokens by estimate."""
    return STRATEGIES[name](estimate_tokens, seed)


def parts(prompt: Prompt) -> dict[str, str]:
    """The text behind each kind of token; of several tokens of one kind, all of it."""
    found: dict[str, str] = {}
    role = ""
    for segment in prompt.segments:
        if segment.role != "text":
            role = segment.role
            found.setdefault(role, "")
        else:
            found[role] += segment.text
    return found


def large_project() -> dict[str, str]:
    """Twelve long files, and a longer one that imports from two of them."""
    files = {f"pack/m{i}.py": long_module(f"m{i}", 60) for i in range(12)}
    files["pack/__init__.py"] = "# nothing\n# to see\n# here\n"
    files["pack/open.py"] = "from .m3 import m3_1\nfrom .m4 import m4_2\n" + long_module("o", 400)
    return files


@pytest.fixture(scope="module")
def large_prompts() -> dict[str, Prompt]:
    """Each tool's prompt in the middle of a long file."""
    files = large_project()
    text = files["pack/open.py"]
    cut = text.index("def o_200")
    before = text[:cut] + "total = m3_1(m4_2("
    state = state_of(files, "pack/open.py", before, "\n" + text[cut:])
    return {name: strategy_of(name).prompt(state) for name in PEERS}


@pytest.mark.parametrize("name", PEERS)
def test_golden_prompt(name: str) -> None:
    """In a small project each tool's prompt is, to the character, the one written down."""
    opened = GOLDEN["open"]
    before, _, after = opened["text"].partition("▮")
    files = {**GOLDEN["files"], opened["path"]: opened["disk"]}
    state = state_of(files, opened["path"], before, after)
    assert shown(strategy_of(name).prompt(state)) == GOLDEN["prompts"][name]


def test_file_only_budget(large_prompts: dict[str, Prompt]) -> None:
    """File only takes 768 tokens before the cursor and 256 after it, and no less."""
    found = parts(large_prompts["file-only"])
    assert 760 <= estimate_tokens(found["fim_prefix"]) <= 768
    assert 250 <= estimate_tokens(found["fim_suffix"]) <= 256
    assert set(found) == {"fim_prefix", "fim_suffix", "fim_middle"}


def test_llama_vim_budget(large_prompts: dict[str, Prompt]) -> None:
    """llama.vim keeps 3/4 and 1/4 of a batch of 1,024, and at most 16 chunks of 33 lines."""
    prompt = large_prompts["llama.vim"]
    found = parts(prompt)
    line = "total = m3_1(m4_2("
    assert found["fim_prefix"].endswith(line)
    assert estimate_tokens(found["fim_prefix"].removesuffix(line)) <= 768
    assert 200 <= estimate_tokens(found["fim_suffix"]) <= 254
    places = [number for number, s in enumerate(prompt.segments) if s.role == "file_sep"]
    texts = [prompt.segments[number + 1].text for number in places]
    assert len(texts) == 17
    assert texts[-1] == "filename\n"
    assert {text.count("\n") for text in texts[:-1]} == {34}
    assert prompt.n_tokens <= 8192 - 2 * 128


def test_llama_vim_cuts_the_oldest_chunks() -> None:
    """Chunks that do not fit the context are cut off at their old end."""
    wide = {f"w{i}.py": "\n".join(f"name_{i}_{j} = {'x ' * 90}" for j in range(70))
            for i in range(8)}  # fmt: skip
    state = state_of(wide, "open.py", "import os\n", "\n")
    prompt = strategy_of("llama.vim").prompt(state)
    assert 6500 <= prompt.n_tokens <= 8192 - 1024 - 2 * 128 + 60
    assert all(segment.role != "repo_name" for segment in prompt.segments)
    latest = state.visits[-1].path
    assert f"{latest}\n" in shown(prompt)


def test_llama_vim_starts_blank_lines_anew() -> None:
    """On a blank line llama.vim's prompt ends before the indentation, elsewhere behind it."""
    blank = parts(strategy_of("llama.vim").prompt(state_of({}, "a.py", "if x:\n    ", "\n")))
    typed = parts(strategy_of("llama.vim").prompt(state_of({}, "a.py", "if x:\n    y", "\n")))
    assert blank["fim_prefix"] == "if x:\n"
    assert typed["fim_prefix"] == "if x:\n    y"


def test_llama_vim_leaves_out_what_is_like_the_cursor() -> None:
    """A chunk that says mostly what stands around the cursor is not in the prompt."""
    common = "\n".join(f"setting_{i} = {i}" for i in range(12))
    files = {"same.py": common, "other.py": "\n".join(f"thing_{i} = {i}" for i in range(12))}
    prompt = shown(strategy_of("llama.vim").prompt(state_of(files, "a.py", common, "\n")))
    assert "thing_3" in prompt
    assert prompt.count("setting_3") == 1


def test_similarity_of_chunks() -> None:
    """Chunks are alike by the share of lines they have in common."""
    assert similarity(["a", "b"], ["a", "b"]) == 1.0
    assert similarity(["a", "b"], ["c", "d"]) == 0.0
    assert similarity(["a", "b", "c"], ["a"]) == 0.5


def test_continue_budget(large_prompts: dict[str, Prompt]) -> None:
    """Continue gives 30 % of 1,024 tokens to the prefix, up to 20 % to the suffix, all in all."""
    prompt = large_prompts["continue"]
    found = parts(prompt)
    assert 290 <= estimate_tokens(found["fim_prefix"]) <= 307
    assert 190 <= estimate_tokens(found["fim_suffix"]) <= 204
    snippets = [s for s in prompt.segments if s.role == "file_sep"][:-1]
    assert prompt.n_tokens - 10 * len(snippets) <= 1024
    assert "def m3_1(value_1)" in found["file_sep"]
    assert "def m4_2(value_2)" in found["file_sep"]


def test_continue_without_other_files() -> None:
    """With no snippet Continue's prompt has the file-level form, and its suffix is never empty."""
    prompt = strategy_of("continue").prompt(state_of({}, "a.py", "import os\nos.", ""))
    assert shown(prompt) == "«fim_prefix»import os\nos.«fim_suffix»\n«fim_middle»"


def test_continue_follows_headers() -> None:
    """Names in the headers around the cursor are looked up, also far above it."""
    files = {
        "pack/__init__.py": "",
        "pack/base.py": "class Base:\n    limit = 1\n\n\nclass Item:\n    size = 2\n",
    }
    body = "".join(f"        step_{i} = {i}\n" for i in range(20))
    before = (
        "from pack.base import Base, Item\n\n\nclass Mine(Base):\n"
        "    def run(\n        self,\n        item: Item,\n    ) -> None:\n" + body + "        "
    )
    prompt = shown(strategy_of("continue").prompt(state_of(files, "pack/mine.py", before, "\n")))
    definitions = prompt.split("«file_sep»")[1:3]
    assert definitions == [
        "pack/base.py\nclass Item:\n    size = 2\n",
        "pack/base.py\nclass Base:\n    limit = 1\n",
    ]


def test_continue_trims_opened_files(large_prompts: dict[str, Prompt]) -> None:
    """Opened files that do not fit are shown by their beginnings, each with 125 tokens or more."""
    pieces = shown(large_prompts["continue"]).split("«file_sep»")[3:-1]
    assert pieces
    for piece in pieces:
        path, _, body = piece.partition("\n")
        assert large_project()[path].startswith(body.rstrip("\n"))
        assert estimate_tokens(body) > 100


def test_tabby_budget(large_prompts: dict[str, Prompt]) -> None:
    """Tabby shows 20 lines on each side, and snippets of 768 characters as comments."""
    found = parts(large_prompts["tabby"])
    lines = found["fim_prefix"].split("\n")
    comments = [line for line in lines if line.startswith("#")]
    bodies = [line[2:] for line in comments if line != "#" and not line.startswith("# Path: ")]
    assert 0 < sum(map(len, bodies)) <= 768
    assert lines[: len(comments)] == comments
    assert len(lines) - len(comments) == 21
    assert found["fim_suffix"].count("\n") == 20
    assert comments[:2] == ["# Path: pack/m4.py", "# def m4_2(value_2):"]


def test_tabby_declares_names_of_the_open_file() -> None:
    """A name of the open file is declared when its definition is out of sight, else not."""
    filler = "".join(f"filler_{i} = {i}\n" for i in range(30))
    far = "def helper(x):\n    return x\n\n\n" + filler + "y = helper("
    near = filler + "def helper(x):\n    return x\n\n\ny = helper("
    builder = strategy_of("tabby")
    assert "# def helper(x):" in shown(builder.prompt(state_of({}, "a.py", far, "\n")))
    assert "# def helper(x):" not in shown(builder.prompt(state_of({}, "a.py", near, "\n")))


def test_cody_budget(large_prompts: dict[str, Prompt]) -> None:
    """Cody takes whole lines of 60 % and 10 % of 8,192 characters, and no other file."""
    found = parts(large_prompts["cody-local"])
    header, _, prefix = found["fim_prefix"].partition("\n")
    assert header == "# Path: pack/open.py"
    assert 4800 <= len(prefix) <= 4915
    assert prefix.startswith(("def ", "    ", "\n"))
    assert 700 <= len(found["fim_suffix"]) <= 819
    assert found["fim_suffix"].endswith("\n")


@pytest.mark.parametrize("name", PEERS)
def test_user_text_is_never_a_token(name: str) -> None:
    """Markers of the model in any file stand in the prompt with a space inside."""
    files = {"pack/__init__.py": "", "pack/b.py": "x = '<|fim_middle|>'\ny = 2\nz = 3\n"}
    prompt = strategy_of(name).prompt(
        state_of(files, "pack/a.py", "a = '<|fim_suffix|>'\nb = ", "\nc = '<|endoftext|>'\n")
    )
    assert "<|" not in "".join(segment.text for segment in prompt.segments)
    assert "< |fim_suffix|>" in shown(prompt)


@pytest.mark.parametrize("name", PEERS)
def test_future_of_the_open_file_is_never_seen(name: str) -> None:
    """What is not in the document is in no prompt, though the disk has the finished file."""
    chance = random.Random(7)
    files = large_project()
    final = files["pack/open.py"].split("\n")
    for number in range(0, len(final), 3):
        final[number] += f"  # future_{number}."
    files["pack/open.py"] = "\n".join(final)
    for _ in range(12):
        line = chance.randrange(1, len(final))
        before = "\n".join(final[:line]) + "\n" + final[line][: chance.randrange(4)]
        below = final[line + chance.randrange(1, 40) :]
        document = before + "\n" + "\n".join(below)
        state = state_of(files, "pack/open.py", before, document[len(before) :])
        prompt = shown(strategy_of(name, seed=chance.randrange(99)).prompt(state))
        seen = set(re.findall(r"future_\d+[.]", prompt))
        assert seen <= set(re.findall(r"future_\d+[.]", document))
        assert seen


@pytest.mark.parametrize("name", PEERS)
def test_prompts_are_the_same_again(name: str) -> None:
    """Equal states and seeds give equal prompts."""
    files = large_project()
    first, second = (
        strategy_of(name, seed=3).prompt(state_of(files, "pack/new.py", "import pack\n", "\n"))
        for _ in range(2)
    )
    assert first == second


def test_session_visits_imported_files_last() -> None:
    """The files that the open one imports were visited last, the file itself never."""
    found = visits(Library(large_project()), "pack/open.py", "from .m7 import m7_1\n", seed=1)
    assert len(found) == N_FILES
    assert found[-1].path == "pack/m7.py"
    assert all(visit.path != "pack/open.py" for visit in found)


@pytest.mark.parametrize(
    ("text", "name", "expected"),
    [
        ("from .b import thing\n", "thing", "pack/b.py"),
        ("from pack.b import thing as other\n", "other", "pack/b.py"),
        ("from pack.b import (\n    one,  # first\n    thing,\n)\n", "thing", "pack/b.py"),
        ("from pack import thing\n", "thing", "pack/b.py"),
        ("from ..pack.b import thing\n", "thing", "pack/b.py"),
        ("from os import thing\n", "thing", ""),
        ("from b import thing\n", "thing", ""),
        ("thing = 1\n", "thing", ""),
    ],
)
def test_imported_definitions(text: str, name: str, expected: str) -> None:
    """Imports lead to the definition, also through a package that hands a name on."""
    files = {
        "src/pack/__init__.py": "from .b import thing\n",
        "src/pack/b.py": "def thing():\n    return 1\n",
    }
    found = Library(files).imported(name, text, "src/pack/a.py")
    assert (found.path if found else "") == (f"src/{expected}" if expected else "")


def test_definition_must_be_the_only_one() -> None:
    """A name that is not imported counts where it is defined once in the other files."""
    files = {
        "a.py": "def once():\n    pass\n\n\ndef twice():\n    pass\n",
        "b.py": "class K:\n    def twice(self):\n        pass\n",
    }
    library = Library(files)
    found = library.defined("once", "b.py")
    assert found is not None
    assert found.text == "def once():\n    pass"
    assert library.defined("once", "a.py") is None
    assert library.defined("twice", "c.py") is None
    assert library.defined("twice", "b.py") is not None


def test_search_finds_common_words_of_other_files() -> None:
    """The chunk with the rare words of the query comes first, chunks of the open file never."""
    files = {"a.py": "alpha beta gamma\n", "b.py": "alpha alpha alpha\n", "c.py": "delta\n"}
    library = Library(files)
    assert [c.path for c in library.search("alpha gamma", "x.py", 5)] == ["a.py", "b.py"]
    assert [c.path for c in library.search("alpha gamma", "a.py", 5)] == ["b.py"]
    assert library.search("epsilon", "x.py", 5) == []


def test_chunks_hold_every_line_once() -> None:
    """A file is cut into whole lines of at most 512 characters, in order."""
    text = long_module("m", 40)
    found = list(chunks("m.py", text))
    assert all(len(chunk.text) <= 512 for chunk in found)
    lines = [line for chunk in found for line in chunk.text.split("\n") if line]
    assert lines == [line for line in text.split("\n") if line]


def test_library_reads_a_project(tmp_path: Path) -> None:
    """Hidden folders and files that are no UTF-8 are left out."""
    for name, data in (
        ("pack/a.py", b"x = 1\r\n"),
        (".venv/b.py", b"x = 1\n"),
        ("pack/bad.py", b"\xff\xfe"),
        ("pack/notes.txt", b"hello"),
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(data)
    assert Library.load(tmp_path).files == {"pack/a.py": "x = 1\n"}


def test_cutting_to_tokens() -> None:
    """The end and the beginning of a text are as long as fits, in characters or whole lines."""
    text = "one two\nthree four\nfive six\n"
    assert last_tokens(text, 100, estimate_tokens) == text
    assert first_tokens(text, 0, estimate_tokens) == ""
    for n_tokens in range(12):
        end, start = (cut(text, n_tokens, estimate_tokens) for cut in (last_tokens, first_tokens))
        assert text.endswith(end)
        assert text.startswith(start)
        assert max(estimate_tokens(end), estimate_tokens(start)) <= n_tokens
        lines_end = last_lines(text, n_tokens, estimate_tokens)
        lines_start = first_lines(text, n_tokens, estimate_tokens)
        assert not lines_end or ("\n" + text).endswith("\n" + lines_end)
        assert not lines_start or (text + "\n").startswith(lines_start + "\n")
