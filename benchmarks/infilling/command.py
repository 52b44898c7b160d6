"""Fill-in-the-middle on public sets: HumanEval-Infilling pass@1 and CrossCodeEval EM / ES.

Each problem is put to the model once, greedily, in midfill's own prompt. What the model writes is
judged as it is, and once more after midfill's post-processing has shaped it. Completions of
HumanEval-Infilling are run against its tests in a sandboxed child process. Both sets have been
public for years, so the figures are regression checks.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple, get_args

from benchmarks import options
from benchmarks.infilling import crosscode, generate, problems, report
from benchmarks.infilling.problems import SETS, Problem, ProblemSet, first_line
from benchmarks.infilling.sandbox import Outcome, network_is_cut, run_program
from benchmarks.infilling.types import Form, Generation, Record, Variant
from benchmarks.records import RunFile
from context.fim import build_prompt
from context.types import FileContext, Prompt
from lsp_server.engine.client import EngineClient
from lsp_server.errors import UsageError

_DEFAULT_SETS = "single-line,random-span-light"
_N_WORKERS = 2


class Work(NamedTuple):
    """One generation to be made and judged; ``texts`` see ``generate``."""

    key: str
    prompt: Callable[[], tuple[Prompt, FileContext]]
    max_tokens: int
    judge: Callable[[Generation], Record]
    texts: Mapping[str, str] | None = None


def add_parser(subparsers: Any) -> None:
    """Add the subcommand."""
    parser = subparsers.add_parser(
        "infilling", help=__doc__.split("\n")[0], description=__doc__.replace("%", "%%")
    )
    names = ", ".join([*SETS, crosscode.SET])
    parser.add_argument(
        "--sets",
        default=_DEFAULT_SETS,
        metavar="NAMES",
        help=f"sets to measure, with commas between them: {names} (default {_DEFAULT_SETS})",
    )
    parser.add_argument(
        "--limit",
        type=_positive,
        metavar="N",
        help="measure a sample of N problems of each set, chosen by the seed (default: all)",
    )
    parser.add_argument(
        "--check",
        choices=("canonical", "empty"),
        help="use no model: run the tests with the canonical solutions, which must all pass "
        "(exit status 1 otherwise), or with nothing in the gaps",
    )
    parser.add_argument(
        "--data",
        type=Path,
        default=problems.DATA,
        metavar="FOLDER",
        help="data folder of human-eval-infilling (default: ../shared/data/human-eval-infilling "
        "beside the checkout)",
    )
    parser.add_argument(
        "--crosscode-data",
        type=Path,
        default=crosscode.DATA,
        metavar="FILE",
        help="CrossCodeEval's Python tasks as JSON lines "
        "(default: ../shared/data/crosscodeeval/python-100.jsonl beside the checkout)",
    )
    parser.add_argument(
        "--crossfile-form",
        choices=get_args(crosscode.CrossfileForm),
        default="suffix",
        help="where snippets of other files stand in the prompt: as comments after the text right "
        "of the cursor (as the published anchors have it; the default), as comments before the "
        "text left of it, in the model's repo-level form, or midfill's own choice out of their "
        "text in that form",
    )
    options.add_common(parser)
    parser.set_defaults(func=run)


def run(args: argparse.Namespace) -> int:
    """Measure, judge and print."""
    names = _set_names(args.sets, check=bool(args.check))
    loaded = {name: _load(name, args) for name in names}
    recipe = _recipe(args, names)
    info = options.run_info(args, "infilling", recipe, model="" if args.check else args.model)
    # A check is quick, and it is the harness that it checks: nothing of an earlier one is kept.
    restart = args.restart or bool(args.check)
    file = RunFile(options.results_path(args, info), info, Record, restart=restart)
    work = [item for name in names for item in _work(name, loaded[name], args)]
    todo = [item for item in work if item.key not in file.records]
    if args.check:
        _check(todo, file)
    else:
        asyncio.run(_measure(args.model, todo, file))
    records = [file.records[item.key] for item in work]
    options.finish(
        args,
        report.check_summary(info, args.check, records)
        if args.check
        else report.summary(info, records, network_cut=network_is_cut()),
    )
    failed = args.check == "canonical" and any(
        record.outcomes["raw"].reason != "passed" for record in records
    )
    return 1 if failed else 0


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return value


def _set_names(text: str, *, check: bool) -> list[str]:
    names = list(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    known = [*SETS] if check else [*SETS, crosscode.SET]
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        raise UsageError(
            f"There is no set {', '.join(unknown)} here." if unknown else "No set is named.",
            code="unknown_set",
            hint=f"Choose from: {', '.join(known)}.",
        )
    return names


def _recipe(args: argparse.Namespace, names: Sequence[str]) -> dict[str, Any]:
    """Everything that changes the results; tokens are prefix/suffix/generation."""
    files = [
        args.crosscode_data if name == crosscode.SET else args.data / SETS[name].file
        for name in names
    ]
    recipe: dict[str, Any] = {
        "sets": list(names),
        "limit": args.limit,
        "data": [problems.fingerprint(path) for path in files],
    }
    if args.check:
        return {**recipe, "check": args.check}
    budgets = {name: (generate.BUDGET, SETS[name].max_tokens) for name in names if name in SETS}
    if crosscode.SET in names:
        recipe["crossfile_form"] = args.crossfile_form
        budgets[crosscode.SET] = (crosscode.BUDGET, crosscode.MAX_TOKENS)
    recipe["tokens"] = [
        f"{name} {budget.n_prefix_tokens}/{budget.n_suffix_tokens}/{max_tokens}"
        for name, (budget, max_tokens) in budgets.items()
    ]
    return recipe


def _load(name: str, args: argparse.Namespace) -> list[Any]:
    if name == crosscode.SET:
        items: list[Any] = crosscode.load(args.crosscode_data)
    else:
        items = problems.load(SETS[name], args.data)
    return problems.sample(items, args.limit, args.seed)


def _work(name: str, items: Sequence[Any], args: argparse.Namespace) -> Iterator[Work]:
    for item in items:
        if name != crosscode.SET:
            yield _problem_work(SETS[name], item, args.check or "")
            continue
        # In this order the second prompt finds the first one's text in the KV cache.
        for variant in ("without", "with"):
            yield _task_work(item, variant, args.crossfile_form)


# -- HumanEval-Infilling -----------------------------------------------------------------


def _problem_work(problem_set: ProblemSet, problem: Problem, check: str) -> Work:
    record = Record(
        set=problem_set.name, task_id=problem.task_id, generation=Generation(raw="", text="")
    )

    def prompt() -> tuple[Prompt, FileContext]:
        field = generate.context_at(problem.prompt, problem.suffix)
        return build_prompt(field), _shown(problem_set, problem, field)

    def judge(generation: Generation) -> Record:
        forms = completions(problem_set, generation, check=bool(check))
        # Forms that are the same program are run once.
        programs = {form: problem.program(text) for form, text in forms.items()}
        outcomes: dict[str, Outcome] = {}
        for program in programs.values():
            if program not in outcomes:
                outcomes[program] = run_program(program)
        truth = first_line(problem.canonical_solution).strip()
        return Record(
            set=record.set,
            task_id=record.task_id,
            generation=generation,
            line_match=first_line(generation.raw).strip() == truth,
            outcomes={form: outcomes[program] for form, program in programs.items()},
        )

    if check:
        canonical = problem.canonical_solution if check == "canonical" else ""
        given = Generation(raw=canonical, text="")
        return Work(record.key, prompt, 0, lambda _generation: judge(given))
    return Work(record.key, prompt, problem_set.max_tokens, judge)


def _shown(problem_set: ProblemSet, problem: Problem, field: FileContext) -> FileContext:
    """The place as an editor has it.

    The sets of whole lines take each line away with its line end, so that the cursor would stand
    before the next line's text. In an editor it stands on a blank line of its own.
    """
    if not problem_set.whole_lines:
        return field
    return generate.context_at(problem.prompt, f"\n{problem.suffix}")


def completions(
    problem_set: ProblemSet, generation: Generation, *, check: bool = False
) -> dict[Form, str]:
    """What is put into the gap, for each form that is judged."""
    forms: dict[Form, str] = {"raw": generation.raw}
    if check:
        return forms
    if problem_set.name == "single-line":
        forms["line"] = first_line(generation.raw) + "\n"
    forms["post"] = generation.text + ("\n" if problem_set.whole_lines else "")
    return forms


# -- CrossCodeEval -----------------------------------------------------------------------


def _task_work(task: crosscode.Task, variant: Variant, form: crosscode.CrossfileForm) -> Work:
    record = Record(
        set=crosscode.SET,
        task_id=task.metadata.task_id,
        variant=variant,
        generation=Generation(raw="", text=""),
    )

    def judge(generation: Generation) -> Record:
        raw = crosscode.score(generation.raw, task.groundtruth)
        return Record(
            set=record.set,
            task_id=record.task_id,
            variant=variant,
            generation=generation,
            line_match=raw.exact,
            scores={"raw": raw, "post": crosscode.score(generation.text, task.groundtruth)},
        )

    return Work(
        record.key,
        lambda: crosscode.prompt_of(task, variant, form),
        crosscode.MAX_TOKENS,
        judge,
        crosscode.texts_of(task) if (variant, form) == ("with", "own") else None,
    )


# -- running -----------------------------------------------------------------------------


def _check(todo: Sequence[Work], file: RunFile[Record]) -> None:
    empty = Generation(raw="", text="")
    with ThreadPoolExecutor(_N_WORKERS) as pool, report.progress(len(todo)) as advance:
        for record in pool.map(lambda item: item.judge(empty), todo):
            file.append(record)
            advance()


async def _measure(model: str, todo: Sequence[Work], file: RunFile[Record]) -> None:
    """Generate one after another; tests run meanwhile, a few at a time."""
    if not todo:
        return
    pending: set[asyncio.Task[None]] = set()

    async def judge(item: Work, generation: Generation) -> None:
        file.append(await asyncio.to_thread(item.judge, generation))
        advance()

    async def settle(at_most: int) -> None:
        nonlocal pending
        while len(pending) > at_most:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()

    with report.progress(len(todo)) as advance:
        async with generate.private_engine(model) as client:
            for item in todo:
                generation = await _generate(client, item)
                await settle(_N_WORKERS - 1)
                pending.add(asyncio.create_task(judge(item, generation)))
            await settle(0)


async def _generate(client: EngineClient, item: Work) -> Generation:
    prompt, shown = item.prompt()
    return await generate.generate(
        client, prompt, shown, max_tokens=item.max_tokens, texts=item.texts
    )
