"""The order in which targets are typed again, so that a run may stop anywhere."""

from __future__ import annotations

import random
from collections.abc import Sequence

from benchmarks.replay.types import Project, Target


def sample(
    projects: Sequence[Project], *, seed: int, n_lines: int | None = None
) -> list[tuple[Project, Target]]:
    """Targets in a seeded order of which every beginning is spread over projects and files.

    Projects take turns until they have no more targets; a project's targets come in random order.

    Args:
        projects: with their targets.
        seed: of the order. It holds for a project whatever other projects there are.
        n_lines: end when the targets hold so many lines that may be opportunities; None for all.
    """
    queues = []
    for project in projects:
        targets = list(project.targets)
        random.Random(f"{seed} {project.name}").shuffle(targets)
        queues.append([(project, target) for target in targets])
    turns = range(max((len(queue) for queue in queues), default=0))
    ordered = [queue[turn] for turn in turns for queue in queues if turn < len(queue)]
    if n_lines is None:
        return ordered
    chosen = []
    for project, target in ordered:
        if n_lines <= 0:
            break
        chosen.append((project, target))
        n_lines -= len(target.lines)
    return chosen
