"""Whether what a developer wrote could have been copied: are its names in the prompt?

No model is asked, so that thousands of lines and many variants of the prompt take minutes. It is a
bound, not a result: a name that stands in the prompt may still be passed over by a model, and one
that does not may be known to it.
"""

from __future__ import annotations

import argparse
import builtins
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence

import msgspec
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmarks import options
from benchmarks.context.variants import FULL, variants
from benchmarks.corpus import fresh, order
from benchmarks.figures import Figure
from benchmarks.peers.library import Library
from benchmarks.peers.run import by_file
from benchmarks.peers.strategy import EditorState, Strategy
from benchmarks.peers.suggester import BUDGET
from benchmarks.replay import pauses
from benchmarks.replay.types import Project, Target
from benchmarks.replay.workspace import read_text
from benchmarks.resampling import Resamples
from benchmarks.summary import Cell, Column, RunInfo, Summary, Table, Verdict, show
from context.budget import estimate_tokens
from context.gather import gather
from context.syntax import SyntaxTree
from context.types import Prompt, SourceFile

_WORD = re.compile(r"[^\W\d]\w*")
# These a model knows without a prompt.
_EVERYWHERE = frozenset({*keyword.kwlist, *dir(builtins), "self", "cls"})


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """One cursor position with one variant of the prompt.

    Args:
        cluster: what intervals are drawn by: project and file.
        n_names: different names that the developer wrote up to the end of the line.
        n_known: those of them that stand in the prompt.
        n_tokens: estimated tokens of other files.
        n_new_tokens: of these, in lines that the prompt of the line before did not have.
    """

    cluster: str
    n_names: int
    n_known: int
    n_tokens: int
    n_new_tokens: int


def run(args: argparse.Namespace, chosen: Sequence[str]) -> int:
    """Measure and print."""
    console = Console(stderr=True)
    with console.status("reading the corpus") as status:
        projects = fresh.fresh_lines(fresh.corpus_folder(args), progress=status.update)
    recipe = {
        "corpus": f"fresh-lines {fresh.fingerprint(projects)}",
        "tokens": args.tokens,
        "limit": args.limit,
    }
    info = options.run_info(args, "context-retrieval", recipe)
    plan = by_file(order.sample(projects, seed=args.seed, n_lines=args.limit))
    made = variants(args.tokens)
    found: dict[str, list[Place]] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task("variants", total=len(chosen) * len(plan))
        libraries: dict[str, Library] = {}
        for name in chosen:
            strategy = made[name](estimate_tokens, args.seed)
            found[name] = []
            for project, target in plan:
                bar.update(task, description=f"{target.key} · {name}", advance=1)
                if project.name not in libraries:
                    libraries[project.name] = Library.load(project.root)
                library = libraries[project.name]
                found[name] += places(project, target, library, strategy, seed=args.seed)
    return options.finish(args, findings(found, info))


def places(
    project: Project, target: Target, library: Library, strategy: Strategy, *, seed: int
) -> Iterator[Place]:
    """One position in each line of a target, as the lines are typed one after another.

    Args:
        project: whose file it is.
        target: the lines.
        library: all files of the project.
        strategy: makes the prompts.
        seed: of the choice in each line.
    """
    lines = read_text(project.root / target.path).replace("\r\n", "\n").split("\n")
    below = "".join(f"\n{line}" for line in lines[target.last_line :])
    shown: frozenset[str] = frozenset()
    for row in target.lines:
        line = lines[row]
        place = f"{project.name}|{target.key}|{row}"
        for pause in pauses.choose(pauses.pauses(line), 1, seed=seed, place=place):
            before = "\n".join([*lines[:row], line[: pause.column]])
            prompt = strategy.prompt(_state(project, target, library, before, before + below))
            others = _other_files(prompt)
            now = frozenset(others)
            names = {
                # A half-typed word is wanted as a whole.
                found.group()
                for found in _WORD.finditer(line)
                if found.end() > pause.column and _counts(found.group())
            }
            text = "\n".join(segment.text for segment in prompt.segments)
            yield Place(
                cluster=f"{project.cluster or project.name}|{target.path}",
                n_names=len(names),
                n_known=len(names & set(_WORD.findall(text))),
                n_tokens=sum(map(estimate_tokens, others)),
                n_new_tokens=sum(map(estimate_tokens, now - shown)),
            )
            shown = now


def _state(
    project: Project, target: Target, library: Library, before: str, text: str
) -> EditorState:
    file = SourceFile(path=target.path, language="python", data=text.encode("utf-8", "replace"))
    cursor = len(before.encode("utf-8", "replace"))
    return EditorState(
        project=project.name,
        path=target.path,
        text=text,
        offset=len(before),
        library=library,
        visits=(),
        context=gather(file, SyntaxTree.parse(file), cursor, BUDGET),
    )


def _other_files(prompt: Prompt) -> list[str]:
    """Lines of the prompt before the open file."""
    segments = iter(prompt.segments)
    texts = []
    for segment in segments:
        if segment.role.startswith("fim_"):
            break
        texts.append(segment.text)
    return "".join(texts).split("\n")


def _counts(word: str) -> bool:
    return len(word) > 1 and word not in _EVERYWHERE


# -- findings ----------------------------------------------------------------------------


def findings(found: Mapping[str, Sequence[Place]], info: RunInfo) -> Summary:
    """The table of variants.

    Args:
        found: places by variant, the same ones in the same order for each.
        info: what the run was made with.
    """
    names = [*found]
    first = found[names[0]]
    resamples = Resamples([place.cluster for place in first])
    every = np.ones(len(first), dtype=np.bool_)
    shares: dict[str, Figure] = {}
    rows: list[tuple[Cell, ...]] = []
    verdicts = []
    whole = {n: np.array([p.n_known == p.n_names for p in found[n]], float) for n in names}
    for name in names:
        n_tokens = np.array([place.n_tokens for place in found[name]], float)
        n_new = np.array([place.n_new_tokens for place in found[name]], float)
        shares[name] = resamples.mean(whole[name], every)
        apart = None
        if name != FULL and FULL in whole:
            apart = resamples.mean(whole[FULL] - whole[name], every)
            verdicts.append(_verdict(name, apart))
        tokens = resamples.mean(n_tokens, every).value
        new = resamples.mean(n_new, every).value
        rows.append((name, shares[name], apart, tokens, new, len(first)))
    rows.sort(key=lambda row: -shares[str(row[0])].value)
    best = str(rows[0][0])
    return Summary(
        title="Names that stand in the prompt",
        headline=f"All names of the rest of the line stand in the prompt of {best} in "
        f"{show(shares[best], 'percent')} of {len(first):,} places.",
        run=info,
        n=len(first),
        tables=(
            Table(
                title="Names by prompt",
                columns=(
                    Column("prompt"),
                    Column("all names known", "percent"),
                    Column(f"{FULL} − it", "percent"),
                    Column("tokens of other files", "count"),
                    Column("new a line", "count"),
                    Column("N", "count"),
                ),
                rows=tuple(rows),
                note="All names known: every name from the cursor to the end of the line, keywords "
                "and builtins left out, stands in the prompt. New a line: estimated tokens of "
                "lines of other files that the prompt of the line before did not have. 95 % "
                "intervals, drawn by file.",
            ),
        ),
        verdicts=tuple(verdicts),
        notes=("No model is asked: this bounds what a prompt can give, see the ablation.",),
    )


def _verdict(name: str, apart: Figure) -> Verdict:
    text = f"{FULL} less {name}: {show(apart, 'percent')} points of places with all names known."
    text = text.replace(" % points", " points")
    if apart.low > 0:
        return Verdict(text=text, outcome="ahead")
    return Verdict(text=text, outcome="behind" if apart.high < 0 else "level")
