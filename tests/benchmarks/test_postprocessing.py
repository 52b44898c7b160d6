"""What each rule of the post-processing does to recorded texts."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks import __main__ as command
from benchmarks.replay.postprocessing import Place, findings, places, shaped, variants
from benchmarks.replay.types import Project, SuffixMode, Walk
from benchmarks.summary import value
from lsp_server.postprocess.shape import RULES
from tests.benchmarks.corpora import Repo
from tests.benchmarks.makers import made_up_run
from tests.benchmarks.walks import opportunity, walk

TEXT = """\
def area(width, height):
    size = width * height
    print(size)
    return size


def other():
    pass
"""
# The second line, typed anew; the run is the lines two and three.
LINE = "size = width * height"


def walk_of(raw: str, suffix: SuffixMode = "full") -> Walk:
    """A walk in which a model wrote a text at the beginning of the second line."""
    made = opportunity(LINE, target=LINE, line=1, column=4, suggestion_raw=raw)
    fields = {"project": "shapes", "target": "area.py:2-3", "n_characters": 32}
    return walk([made], file="area.py", suffix=suffix, **fields)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project of one file."""
    (tmp_path / "area.py").write_text(TEXT)
    return Project(name="shapes", root=tmp_path, targets=())


def place_of(walk: Walk, project: Project) -> Place:
    """The place of a walk's only opportunity."""
    ((_, found),) = places([walk], {"shapes": project})
    return found[0]


def row(raw: str, project: Project, name: str) -> dict[str, str]:
    """A row of the table for one text, by column."""
    found = list(places([walk_of(raw)], {"shapes": project}))
    (table,) = findings(found, made_up_run()).tables
    (cells,) = (row for row in table.rows if row[0] == name)
    pairs = zip(table.columns, cells, strict=True)
    return {column.name: value(cell, column.unit) for column, cell in pairs}


def test_the_place_is_the_one_it_was_written_for(project: Project) -> None:
    """The line's rest is not there yet, the lines below it are."""
    place = place_of(walk_of(LINE), project)
    assert place.prefix == "def area(width, height):\n    "
    assert place.suffix.startswith("\n    print(size)\n")
    assert place.block_rest == f"{LINE}\n    print(size)"
    assert place.scope.line_before == "    "


def test_what_was_taken_away_is_not_there(project: Project) -> None:
    """In the other suffix modes the rest of the function, or of the file, is missing."""
    assert place_of(walk_of(LINE, "function"), project).suffix.startswith("\n\n\ndef other")
    assert place_of(walk_of(LINE, "empty"), project).suffix == ""


def test_what_stands_below_already_is_not_completed(project: Project) -> None:
    """A text that goes on with the next line is right, and only its first line is new."""
    walk = walk_of(f"{LINE}\n    print(size)")
    typed = []
    for suffix in ("full", "empty"):
        again = msgspec.structs.replace(walk, suffix=suffix)
        place = place_of(again, project)
        made = shaped(again, [place], lambda each, _: each.suggestion.raw)
        assert made.opportunities[0].match is not None
        assert made.opportunities[0].match.block
        typed.append(made.n_typed)
    assert [walk.n_characters - n for n in typed] == [len(LINE), len(LINE) + len("print(size)")]


def test_walks_of_other_projects_are_left_out(project: Project) -> None:
    """A text whose file is not there says nothing."""
    assert list(places([walk_of(LINE)], {"circles": project})) == []


def test_raw_text_repeats_what_stands_below_and_the_rules_take_it_away(project: Project) -> None:
    """The line below is counted where it is shown again; with all rules it is not."""
    raw = f"{LINE}\n    print(size)\n    return size\n"
    assert row(raw, project, "none (raw)")["repeat the suffix"] == "1"
    assert row(raw, project, "next_line")["repeat the suffix"] == "0"
    assert row(raw, project, "all but next_line")["repeat the suffix"] == "1"
    every = row(raw, project, "all")
    assert every["repeat the suffix"] == "0"
    assert (every["A-line"], every["A-block"], every["shown"]) == ("100.0 %", "100.0 %", "1")


def test_a_text_of_which_nothing_is_left_is_a_miss(project: Project) -> None:
    """A-line of all counts it, A-line of what was shown does not."""
    every = row("Here is the code.", project, "all")
    assert (every["shown"], every["A-line"], every["A-line of all"]) == ("0", "–", "0.0 %")


def test_own_text_is_not_lost(project: Project) -> None:
    """No rule takes the developer's own line away."""
    for variant in variants():
        assert row(LINE, project, variant.name)["own lines lost"] == "0.0 %"


def test_completed_characters_are_those_not_there_yet(project: Project) -> None:
    """What an accepted text typed counts once, whatever is suggested inside of it."""
    one = walk_of(LINE)
    inner = opportunity("height", target="height", line=1, column=19, before="    size = width * ")
    both = msgspec.structs.replace(one, opportunities=(*one.opportunities, inner))
    ((_, found),) = places([both], {"shapes": project})
    made = shaped(both, found, lambda each, _: each.suggestion.text)
    assert made.n_typed == 32 - len(LINE)
    assert [each.accepted for each in made.opportunities] == [True, False]


def test_every_rule_has_its_rows() -> None:
    """Each rule stands alone once and is left out once."""
    names = [variant.name for variant in variants()]
    assert len(set(names)) == len(names) == 2 + 2 * len(RULES)
    for rule in RULES:
        assert {rule, f"all but {rule}"} <= set(names)


def test_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A results file is read, its repository's commits are opened, the table is printed."""
    repo = Repo(tmp_path / "shapes")
    repo.commit({"area.py": "import math\n"})
    sha = repo.commit({"area.py": TEXT})
    path = tmp_path / "run.jsonl"
    made = msgspec.structs.replace(walk_of(LINE), project=f"shapes {sha[:10]}")
    lines = [msgspec.json.encode(each) for each in (made_up_run(), made)]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    words = ["benchmarks", "acceptance", "--repo", str(repo.path), "--postprocessing", str(path)]
    monkeypatch.setattr(sys, "argv", [*words, "--json"])
    assert command.main() == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["n"] == 1
    assert "0 of 1 shown repeat the next line" in summary["headline"]


def test_another_corpus_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Texts that were written for other files are no measurement, and it is said so."""
    repo = Repo(tmp_path / "shapes")
    repo.commit({"area.py": "import math\n"})
    repo.commit({"area.py": TEXT})
    path = tmp_path / "run.jsonl"
    lines = [msgspec.json.encode(each) for each in (made_up_run(), walk_of(LINE))]
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    words = ["benchmarks", "acceptance", "--repo", str(repo.path), "--postprocessing", str(path)]
    monkeypatch.setattr(sys, "argv", words)
    assert command.main() != 0
    assert "was written for a file of this corpus" in capsys.readouterr().err
