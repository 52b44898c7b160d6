"""Holes in code that is newer than the models: where a developer's line is cut off."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator, Sequence

import msgspec

from benchmarks.corpus import order
from benchmarks.infilling.generate import context_at
from benchmarks.replay import pauses
from benchmarks.replay.types import PauseKind, Project, Target
from benchmarks.replay.workspace import read_text
from context.fim import build_prompt
from context.types import Budget, Prompt


class Hole(msgspec.Struct, frozen=True, kw_only=True):
    """A cursor inside a line; below it stands the rest of the file, as in an editor.

    Args:
        place: project, file, line and column; unique.
        cluster: what intervals are drawn by: project and file.
        before: text left of the cursor.
        after: text right of it, from the end of the cursor's line on.
        truth: what the developer wrote from the cursor to the end of the line.
    """

    place: str
    cluster: str
    before: str
    after: str
    truth: str

    @property
    def line_start(self) -> int:
        """Offset of the cursor's line."""
        return self.before.rfind("\n") + 1

    @property
    def indent_end(self) -> int:
        """Offset of the first character of the cursor's line that is no indentation."""
        line = self.before[self.line_start :]
        return len(self.before) - len(line.lstrip())

    def follows(self, other: Hole) -> bool:
        """Whether it stands in the same line as another, behind it."""
        return (
            (self.cluster, self.line_start) == (other.cluster, other.line_start)
            and len(self.before) > len(other.before)
            and self.before.startswith(other.before)
        )

    def is_met_by(self, text: str) -> bool:
        """Whether the first line of a text is what the developer wrote."""
        return text.split("\n", 1)[0].strip() == self.truth.strip()


def holes(
    projects: Sequence[Project],
    *,
    seed: int,
    limit: int,
    kinds: Collection[PauseKind],
    per_target: int,
    n_lines: int | None = None,
    is_wanted: Callable[[Hole], bool] = lambda _: True,
) -> list[Hole]:
    """The first so many holes of a corpus in a seeded order; a larger limit only adds some.

    Args:
        projects: of the corpus.
        seed: of the order and of the choice in each target.
        limit: most holes.
        kinds: where in a line.
        per_target: most holes of a run of lines; they stand close together, so that their prompts
            begin alike.
        n_lines: most lines of such a run that holes are in; None for any.
        is_wanted: asked of each.
    """
    found: list[Hole] = []
    for project, target in order.sample(projects, seed=seed):
        for hole in _of_target(project, target, seed, kinds, per_target, n_lines):
            if is_wanted(hole):
                found.append(hole)
            if len(found) >= limit:
                return found
    return found


def _of_target(
    project: Project,
    target: Target,
    seed: int,
    kinds: Collection[PauseKind],
    per_target: int,
    n_lines: int | None,
) -> Iterator[Hole]:
    lines = read_text(project.root / target.path).replace("\r\n", "\n").split("\n")
    places = [
        (line, pause.column)
        for line in target.lines
        for pause in pauses.pauses(lines[line])
        if pause.kind in kinds and not pauses.in_comment(lines[line], pause.column)
    ]
    chance = random.Random(f"{seed}|{project.name}|{target.key}")
    if n_lines is not None:
        having = sorted({line for line, _ in places})
        among = set(chance.sample(having, min(n_lines, len(having))))
        places = [place for place in places if place[0] in among]
    for line, column in sorted(chance.sample(places, min(per_target, len(places)))):
        yield Hole(
            place=f"{project.name}|{target.path}:{line + 1}:{column + 1}",
            cluster=f"{project.cluster or project.name}|{target.path}",
            before="\n".join([*lines[:line], lines[line][:column]]),
            after="".join(f"\n{below}" for below in lines[line + 1 :]),
            truth=lines[line][column:],
        )


def prompt_at(before: str, after: str, budget: Budget) -> Prompt:
    """The prompt that midfill makes of a cursor between two texts."""
    return build_prompt(context_at(before, after, budget))
