"""The order in which targets are typed again."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from benchmarks.corpus.order import sample
from benchmarks.replay.types import Project, Target


def project(name: str, n_targets: int, n_lines: int = 1) -> Project:
    """A project whose targets have so many lines each."""
    targets = tuple(
        Target(
            path=f"{name}/file{n % 3}.py",
            first_line=40 * n,
            last_line=40 * n + n_lines,
            lines=tuple(range(40 * n, 40 * n + n_lines)),
        )
        for n in range(n_targets)
    )
    return Project(name=name, root=Path(name), targets=targets)


PROJECTS = [project("small", 3), project("large", 30), project("middle", 10)]


def names(ordered: list[tuple[Project, Target]]) -> list[str]:
    """Whose the targets are, in order."""
    return [owner.name for owner, _ in ordered]


def test_every_target_once() -> None:
    """The order holds every target of every project once."""
    ordered = sample(PROJECTS, seed=1)
    keys = [(owner.name, target.key) for owner, target in ordered]
    wanted = [(owner.name, target.key) for owner in PROJECTS for target in owner.targets]
    assert sorted(keys) == sorted(wanted)


def test_projects_take_turns() -> None:
    """Any beginning is spread evenly over the projects that still have targets."""
    found = names(sample(PROJECTS, seed=1))
    assert Counter(found[:9]) == {"small": 3, "large": 3, "middle": 3}
    assert Counter(found[9:23]) == {"large": 7, "middle": 7}
    assert set(found[23:]) == {"large"}


def test_files_are_mixed() -> None:
    """The first targets of a project are not all of its first file."""
    large = [target for owner, target in sample(PROJECTS, seed=1) if owner.name == "large"]
    assert len({target.path for target in large[:10]}) == 3
    assert large != list(PROJECTS[1].targets)


def test_seed_fixes_the_order() -> None:
    """One seed gives one order, another seed another one."""
    assert sample(PROJECTS, seed=4) == sample(PROJECTS, seed=4)
    assert sample(PROJECTS, seed=4) != sample(PROJECTS, seed=5)


def test_order_of_a_project_stands_alone() -> None:
    """The order within a project is the same whatever other projects there are."""
    alone = [target for _, target in sample([PROJECTS[1]], seed=4)]
    among = [target for owner, target in sample(PROJECTS, seed=4) if owner.name == "large"]
    assert alone == among


def test_ends_with_enough_lines() -> None:
    """A limit in lines gives the shortest beginning of the order that has them."""
    projects = [project("one", 10, n_lines=4), project("two", 10, n_lines=4)]
    assert sample(projects, seed=2, n_lines=10) == sample(projects, seed=2)[:3]
    assert sample(projects, seed=2, n_lines=12) == sample(projects, seed=2)[:3]
    assert sample(projects, seed=2, n_lines=0) == []
    assert len(sample(projects, seed=2, n_lines=1000)) == 20


def test_no_projects() -> None:
    """Nothing to replay gives an empty order."""
    assert sample([], seed=1) == []
