"""HumanEval-Infilling: the problems, and the programs that judge completions of them.

Bavarian et al., "Efficient Training of Language Models to Fill in the Middle" (2022), on problems
of Chen et al., "Evaluating Large Language Models Trained on Code" (2021).
"""

from __future__ import annotations

import gzip
import hashlib
import random
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from benchmarks.machine import ROOT
from lsp_server.errors import UsageError

DATA = ROOT.parent / "shared" / "data" / "human-eval-infilling"
_HINT = "Get the data folder of the repository openai/human-eval-infilling and name it with --data."

T = TypeVar("T")


class ProblemSet(msgspec.Struct, frozen=True, kw_only=True):
    """One of the benchmark's sets.

    Args:
        name: as ``--sets`` takes it.
        file: its name in the data folder.
        n: how many problems it has.
        max_tokens: where a generation is cut off; above the longest canonical solution.
        whole_lines: whether whole lines are masked, each with its line end.
    """

    name: str
    file: str
    n: int
    max_tokens: int
    whole_lines: bool


SETS = {
    item.name: item
    for item in (
        ProblemSet(
            name="single-line",
            file="HumanEval-SingleLineInfilling.jsonl.gz",
            n=1033,
            max_tokens=96,
            whole_lines=True,
        ),
        ProblemSet(
            name="multi-line",
            file="HumanEval-MultiLineInfilling.jsonl.gz",
            n=5815,
            max_tokens=256,
            whole_lines=True,
        ),
        ProblemSet(
            name="random-span",
            file="HumanEval-RandomSpanInfilling.jsonl.gz",
            n=1640,
            max_tokens=192,
            whole_lines=False,
        ),
        ProblemSet(
            name="random-span-light",
            file="HumanEval-RandomSpanInfillingLight.jsonl.gz",
            n=164,
            max_tokens=192,
            whole_lines=False,
        ),
    )
}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One problem, with the fields and names of the data.

    Args:
        task_id: unique in its set.
        entry_point: name of the function that is tested.
        prompt: what stands before the gap.
        suffix: what stands after it.
        canonical_solution: what was there.
        test: defines ``check(candidate)``.
    """

    task_id: str
    entry_point: str
    prompt: str
    suffix: str
    canonical_solution: str
    test: str

    def program(self, completion: str) -> str:
        """The program that passes if the completion is right."""
        code = self.prompt + completion + self.suffix
        return f"{code}\n{self.test}\ncheck({self.entry_point})\n"


def load(problem_set: ProblemSet, folder: Path = DATA) -> list[Problem]:
    """All problems of a set, in the data's order.

    Raises:
        UsageError: the file is missing (``corpus_missing``) or something else
            (``corpus_invalid``).
    """
    path = folder / problem_set.file
    decoder = msgspec.json.Decoder(Problem)
    try:
        data = gzip.decompress(path.read_bytes())
        problems = [decoder.decode(line) for line in data.splitlines() if line.strip()]
    except (gzip.BadGzipFile, EOFError, zlib.error, msgspec.MsgspecError) as error:
        raise UsageError(
            f"{path} is no set of HumanEval-Infilling: {error}.", code="corpus_invalid", hint=_HINT
        ) from error
    except OSError as error:
        raise UsageError(
            f"HumanEval-Infilling is not there: {path}: {error.strerror or error}.",
            code="corpus_missing",
            hint=_HINT,
        ) from error
    if len({problem.task_id for problem in problems}) != len(problems):
        raise UsageError(f"{path} names a problem twice.", code="corpus_invalid", hint=_HINT)
    return problems


def sample(items: Sequence[T], limit: int | None, seed: int) -> list[T]:
    """At most ``limit`` of the items, chosen by the seed, in their own order.

    Neighbours share their beginning, so in this order the engine has most of a prompt already.
    """
    if limit is None or limit >= len(items):
        return list(items)
    chosen = random.Random(seed).sample(range(len(items)), limit)
    return [items[index] for index in sorted(chosen)]


def fingerprint(path: Path) -> str:
    """A file's name and the first digits of its sha256; the name alone if it is missing."""
    try:
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return path.name
    return f"{path.name} {digest[:12]}"


def first_line(text: str) -> str:
    """The line of a generation that counts as its first, with its indent.

    As the published anchors take it (Qwen2.5-Coder's evaluation scripts): a line end that comes
    first, alone or after one space, is passed over.
    """
    lines = text.split("\n")
    skip = len(lines) > 1 and lines[0] in ("", " ")
    return lines[1 if skip else 0]
