"""Typing a run of lines again."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from benchmarks.replay.suffix import Below
from benchmarks.replay.types import Project, SuffixMode, Target, Walk
from benchmarks.replay.walk import WalkOptions, walk
from benchmarks.replay.workspace import Workspace, Workspaces
from lsp_server.errors import StoreError
from lsp_server.positions import split_lines
from tests.benchmarks.fake_suggester import FakeSuggester, Rule

SHOP = """\
import math


class Shop:
    name = "corner"

    def total(self, items):
        amount = sum(item.price for item in items)
        # rounded for the till
        return math.ceil(amount)

    def greet(self):
        print("hello", self.name)


def main():
    Shop().greet()
"""
# From the body of total to the first line of greet.
RUN = Target(path="pkg/shop.py", first_line=7, last_line=12, lines=(7, 8, 9, 11))
AT_LINE_STARTS = WalkOptions(identifier_step=0, pauses_per_line=1)


def make_project(folder: Path, text: str = SHOP, target: Target = RUN) -> Project:
    """A project of one file."""
    path = folder / "shop" / target.path
    path.parent.mkdir(parents=True)
    path.write_text(text, "utf-8", newline="")
    return Project(name="shop 1", root=folder / "shop", targets=(target,), cluster="shop")


async def walked(
    project: Project,
    rule: Rule = lambda _before, _after: "",
    mode: SuffixMode = "full",
    options: WalkOptions | None = None,
) -> tuple[Walk, FakeSuggester]:
    """A walk of a project's only target."""
    suggester = FakeSuggester(rule)
    return await walk(project, project.targets[0], suggester, mode, options), suggester


def rest_of_line(before: str, _after: str) -> str:
    """What the developer of SHOP wrote next, to the end of the line."""
    return SHOP[len(before) :].split("\n", 1)[0]


def only_after(end: str, text: str) -> Rule:
    """A rule that suggests a text where the text before the cursor ends so."""
    return lambda before, _after: text if before.endswith(end) else ""


async def test_every_key_is_an_edit(tmp_path: Path) -> None:
    """Characters come one by one; a line end comes with the indentation of the next line."""
    target = Target(path="a.py", first_line=0, last_line=2, lines=(0, 1))
    project = make_project(tmp_path, "if abcdefg:\n    pass_it()\n", target)
    _, suggester = await walked(project)
    assert suggester.edits == [*"if abcdefg:", "\n    ", *"pass_it()"]


async def test_lines_that_are_no_opportunity_come_at_once(tmp_path: Path) -> None:
    """A line of the run that is no opportunity is one edit, and nothing is asked in it."""
    target = Target(path="a.py", first_line=0, last_line=3, lines=(2,))
    project = make_project(tmp_path, "import things\n\nresult = things\n", target)
    _, suggester = await walked(project, options=WalkOptions(min_chars=1))
    assert suggester.edits[:3] == ["import things", "\n", "\n"]
    assert all(before.startswith("import things\n\n") for before, _ in suggester.asked)
    assert suggester.asked


@pytest.mark.parametrize("mode", ["full", "function", "empty"])
async def test_document_becomes_what_the_developer_wrote(tmp_path: Path, mode: SuffixMode) -> None:
    """At the end the document is the file up to the end of the run, and what was left below."""
    _, suggester = await walked(make_project(tmp_path), mode=mode)
    lines = SHOP.splitlines(keepends=True)
    below = {"full": lines[12:], "function": lines[13:], "empty": []}[mode]
    end = "" if mode == "empty" else "\n"
    assert suggester.document.text == "".join(lines[:12]).rstrip("\n") + end + "".join(below)
    assert suggester.n_open == 0


async def test_full_suffix_keeps_all_other_lines(tmp_path: Path) -> None:
    """With the full suffix only the rest of the cursor's line is missing."""
    _, suggester = await walked(make_project(tmp_path))
    for before, after in suggester.asked:
        line = before.count("\n")
        assert before.split("\n")[:line] == SHOP.split("\n")[:line]
        assert after.split("\n")[1:] == SHOP.split("\n")[line + 1 :]
        assert after.startswith("\n")


async def test_function_suffix_lacks_the_rest_of_the_function(tmp_path: Path) -> None:
    """Inside a method its further lines are missing; what follows the method is there."""
    _, suggester = await walked(make_project(tmp_path), mode="function")
    for before, after in suggester.asked:
        line = before.count("\n")
        first = {7: 10, 8: 10, 9: 10, 11: 13}[line]
        assert after == "\n" + "".join(SHOP.splitlines(keepends=True)[first:])


async def test_empty_suffix_has_nothing_below(tmp_path: Path) -> None:
    """With the empty suffix the document ends at the cursor."""
    _, suggester = await walked(make_project(tmp_path), mode="empty")
    assert suggester.asked
    assert {after for _, after in suggester.asked} == {""}
    assert all(SHOP.startswith(before) for before, _ in suggester.asked)


async def test_accepted_text_is_not_typed(tmp_path: Path) -> None:
    """What an accept types is not counted as typed by hand, and the walk goes on behind it."""
    project = make_project(tmp_path)
    result, suggester = await walked(project, rest_of_line)
    assert result.n_typed == 0
    assert [o.kind for o in result.opportunities] == ["line_start"] * 4
    assert all(o.accepted for o in result.opportunities)
    assert suggester.accepted == [o.target for o in result.opportunities]
    assert not suggester.dismissed


async def test_characters_count_without_indentation_and_line_ends(tmp_path: Path) -> None:
    """A run's characters are those a developer types; all of them are typed without suggestions."""
    result, _ = await walked(make_project(tmp_path))
    expected = sum(len(line.strip()) for line in SHOP.splitlines()[7:12])
    assert result.n_characters == expected
    assert result.n_typed == expected
    assert result.cluster == "shop|pkg/shop.py"
    assert result.key == "shop 1|pkg/shop.py:8-12|full"


async def test_wrong_suggestions_are_dismissed(tmp_path: Path) -> None:
    """A suggestion that differs is dismissed, and the developer types on to the next pause."""
    result, suggester = await walked(make_project(tmp_path), lambda _b, _a: "nonsense(1)")
    n = len(result.opportunities)
    assert n > 10
    assert suggester.dismissed == ["nonsense(1)"] * n
    assert not suggester.accepted
    assert not any(o.accepted for o in result.opportunities)


async def test_without_accepts_the_opportunities_are_the_same(tmp_path: Path) -> None:
    """With accepts off right suggestions are judged as right, yet never taken."""
    project = make_project(tmp_path)
    options = WalkOptions(accepts=False)
    right, suggester = await walked(project, rest_of_line, options=options)
    none, _ = await walked(project, options=options)
    places = [[(o.line, o.column) for o in result.opportunities] for result in (right, none)]
    assert places[0] == places[1]
    assert all(o.match and o.match.line and not o.accepted for o in right.opportunities)
    assert right.n_typed == right.n_characters
    assert len(suggester.dismissed) == len(right.opportunities)


@pytest.mark.parametrize("mode", ["function", "empty"])
async def test_whole_block_is_accepted(tmp_path: Path, mode: SuffixMode) -> None:
    """Where the lines below are missing, a right suggestion of several lines is taken whole."""
    block = "\n".join(SHOP.split("\n")[7:10]).strip()
    rule = only_after("items):\n        ", block)
    result, suggester = await walked(make_project(tmp_path), rule, mode)
    assert suggester.accepted == [block]
    first = result.opportunities[0]
    assert first.match is not None
    assert first.match.block
    assert {o.line for o in result.opportunities[1:]} == {11}


async def test_only_the_first_line_is_taken_where_the_block_differs(tmp_path: Path) -> None:
    """Of a suggestion whose later lines are wrong, the first line is taken."""
    wrong = rest_of_line("\n".join(SHOP.split("\n")[:7]) + "\n        ", "")
    rule = only_after("items):\n        ", f"{wrong}\n        oh_no()")
    result, suggester = await walked(make_project(tmp_path), rule, "empty")
    assert suggester.accepted == [wrong]
    assert result.opportunities[0].accepted
    assert result.opportunities[1].line == 8


async def test_file_on_the_disk_has_no_future(tmp_path: Path) -> None:
    """While a run is typed its file in the workspace is cut as well; the original never changes."""
    project = make_project(tmp_path)
    path = project.root / RUN.path
    with Workspaces(tmp_path / "copies") as workspaces:
        workspace = workspaces.of(project)
        suggester = FakeSuggester()
        await suggester.start(workspace)
        await walk(workspace, RUN, suggester, "empty")
        assert set(suggester.on_disk) == {SHOP[: SHOP.index("amount")]}
        assert (workspace.root / RUN.path).read_text() == SHOP
        assert path.read_text() == SHOP
    assert not list((tmp_path / "copies").iterdir())


async def test_file_is_restored_when_the_walk_fails(tmp_path: Path) -> None:
    """An error in the middle of a walk leaves the workspace's file as it was before."""
    project = make_project(tmp_path)

    def fail(_before: str, _after: str) -> str:
        raise StoreError("broken", code="broken")

    with Workspaces(tmp_path / "copies") as workspaces:
        workspace = workspaces.of(project)
        with pytest.raises(StoreError):
            await walked(workspace, fail)
        assert (workspace.root / RUN.path).read_text() == SHOP


def test_old_copies_make_room(tmp_path: Path) -> None:
    """Only a few copies are kept at once; a project whose copy is gone is copied again."""
    projects = [
        Project(
            name=f"shop {number}",
            root=make_project(tmp_path / str(number)).root,
            targets=(RUN,),
        )
        for number in range(12)
    ]
    with Workspaces(tmp_path / "copies") as workspaces:
        for project in (*projects, projects[0]):
            workspace = workspaces.of(project)
            assert isinstance(workspace, Workspace)
            assert (workspace.root / RUN.path).read_text() == SHOP
        assert len(list((tmp_path / "copies").iterdir())) < 12


async def test_line_ends_of_windows_are_typed(tmp_path: Path) -> None:
    """A file with CRLF keeps it, also where a suggestion of several lines is taken."""
    text = SHOP.replace("\n", "\r\n")
    project = make_project(tmp_path, text)
    block = "\r\n".join(SHOP.split("\n")[7:10]).strip()
    rule = only_after("items):\r\n        ", block)
    result, suggester = await walked(project, rule, "empty")
    assert result.opportunities[0].accepted
    assert text.startswith(suggester.document.text)
    assert suggester.document.text.endswith("def greet(self):")


@pytest.mark.parametrize("mode", ["full", "function", "empty"])
async def test_random_suggestions_never_derail_the_walk(tmp_path: Path, mode: SuffixMode) -> None:
    """Whatever part of the developer's text is suggested, the document ends as it should."""
    lines = SHOP.splitlines()
    for seed in range(40):
        chance = random.Random(f"{mode} {seed}")
        first = chance.randrange(len(lines) - 1)
        last = chance.randrange(first + 1, len(lines) + 1)
        chosen = tuple(n for n in range(first, last) if lines[n] and chance.random() < 0.8)
        target = Target(path="a.py", first_line=first, last_line=last, lines=chosen)

        def rule(before: str, _after: str, chance: random.Random = chance) -> str:
            text = SHOP[len(before) :]
            return text[: chance.choice([0, 3, text.find("\n"), 60, 150])].rstrip()

        project = make_project(tmp_path / str(seed), SHOP, target)
        result, suggester = await walked(project, rule, mode, WalkOptions(min_chars=1))
        assert 0 <= result.n_typed <= result.n_characters
        assert SHOP.startswith(suggester.document.text.removesuffix("\n")) or mode != "empty"


@pytest.mark.parametrize("broken", [False, True])
def test_body_below_is_found(broken: bool) -> None:
    """The rest of a function is found by its tree, and by indentation where there is none."""
    text = SHOP + ("print 'old'\n" if broken else "")
    below = Below(split_lines(text), "function")
    ends = [below.first_line(line) for line in range(17)]
    assert ends[6:10] == [10] * 4
    assert ends[11:13] == [13] * 2
    assert ends[15:17] == [17] * 2
    assert ends[4] == 13
    assert ends[0] == 1


def test_decorator_belongs_to_its_function() -> None:
    """On a decorator's line the rest of the function below it is taken away."""
    below = Below(split_lines("@cached\ndef f(\n    x,\n):\n    return x\n\n\ny = 1\n"), "function")
    assert [below.first_line(line) for line in range(5)] == [5] * 5
    assert below.first_line(7) == 8


async def test_target_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    """A run beyond the end of its file gives an error that says so."""
    target = Target(path="a.py", first_line=90, last_line=95, lines=(90,))
    with pytest.raises(StoreError, match="18 lines"):
        await walked(make_project(tmp_path, SHOP, target))
