"""Replays targets one after another, writes each walk down, and goes on where a run ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from benchmarks.options import cache_folder
from benchmarks.records import RunFile
from benchmarks.replay.types import Project, SuffixMode, Suggester, Target, Walk
from benchmarks.replay.walk import WalkOptions, walk
from benchmarks.replay.workspace import Opener, Workspaces

OnWalk = Callable[[Walk], None]


async def replay(
    plan: Sequence[tuple[Project, Target]],
    suggester: Suggester,
    file: RunFile[Walk],
    *,
    modes: Sequence[SuffixMode] = ("full",),
    options: WalkOptions | None = None,
    limit: int | None = None,
    opener: Opener | None = None,
    on_walk: OnWalk = lambda _walk: None,
) -> list[Walk]:
    """Type targets again, in their order.

    The suggester works on private copies of the projects, see ``Workspace``. It is closed at the
    end, whatever happens.

    Args:
        plan: the targets.
        suggester: who is asked.
        file: where walks are written; those that are in it are not walked again.
        modes: suffix modes, one after another.
        options: how targets are typed.
        limit: for each mode, end after the walk that reaches so many opportunities.
        opener: makes the private copies; None links or copies the projects' files.
        on_walk: called with each walk, those that were in the file among them.

    Returns:
        The walks of this plan, within the limit.

    Raises:
        MidfillError: the suggester cannot answer, or a file cannot be read or written.
    """
    done: list[Walk] = []
    try:
        with Workspaces(cache_folder("workspaces"), opener) as workspaces:
            for mode in modes:
                n_asked = 0
                for project, target in plan:
                    if limit is not None and n_asked >= limit:
                        break
                    found = file.records.get(walk_key(project, target, mode))
                    if found is None:
                        workspace = workspaces.of(project)
                        await suggester.start(workspace)
                        found = await walk(workspace, target, suggester, mode, options)
                        file.append(found)
                    done.append(found)
                    n_asked += len(found.opportunities)
                    on_walk(found)
    finally:
        await suggester.aclose()
    return done


def walk_key(project: Project, target: Target, mode: SuffixMode) -> str:
    """The key that the walk of a target has."""
    return f"{project.name}|{target.key}|{mode}"
