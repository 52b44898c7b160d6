"""CrossCodeEval (Python): lines that call what another file of the repository defines.

Ding et al., "CrossCodeEval: A Diverse and Multilingual Benchmark for Cross-File Code Completion"
(2023). Trimming, exact match and edit similarity follow the rules of the evaluation scripts that
Qwen2.5-Coder's published figures come from, since those figures are the anchors.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Literal

import msgspec

from benchmarks.infilling.generate import context_at
from benchmarks.infilling.types import Score, Variant
from benchmarks.machine import ROOT
from context.budget import cut_right
from context.fim import Elsewhere, build_prompt, neutralise
from context.related import Related, Wanted
from context.syntax import SyntaxTree
from context.types import Budget, FileContext, Prompt, Segment, SourceFile
from context.workspace.index import WorkspaceIndex
from context.workspace.symbols import symbols_of
from lsp_server.errors import UsageError

SET = "crosscodeeval"
DATA = ROOT.parent / "shared" / "data" / "crosscodeeval" / "python-100.jsonl"
MAX_TOKENS = 50
N_CROSSFILE_TOKENS = 2048
# With the cross-file context and the generation, well below the 8,192 cells of the one slot: the
# numbers are estimates.
BUDGET = Budget(n_prefix_tokens=3456, n_suffix_tokens=2048)
_HINT = (
    "Get CrossCodeEval from amazon-science/cceval (line_completion_rg1_bm25.jsonl of Python) and "
    "name the file with --crosscode-data."
)

# Where the snippets of other files stand: ``suffix``: after the text right of the cursor, as in
# the anchors' scripts; ``prefix``: before the text left of it; ``repo``: Qwen's repo-level form;
# ``own``: midfill's own choice out of the snippets' text, in that form, and its n-gram model of
# them.
CrossfileForm = Literal["suffix", "prefix", "repo", "own"]


class Metadata(msgspec.Struct, frozen=True):
    """Where a task comes from."""

    task_id: str
    repository: str
    file: str


class Chunk(msgspec.Struct, frozen=True):
    """A piece of another file."""

    retrieved_chunk: str
    filename: str


class CrossfileContext(msgspec.Struct, frozen=True):
    """Pieces of other files, found by BM25.

    Args:
        text: all of them as comments.
        list: the pieces.
    """

    text: str
    list: tuple[Chunk, ...] = ()


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One task, with the fields and names of the data."""

    prompt: str
    right_context: str
    groundtruth: str
    metadata: Metadata
    crossfile_context: CrossfileContext


def load(path: Path = DATA) -> list[Task]:
    """All tasks, in the data's order.

    Raises:
        UsageError: the file is missing (``corpus_missing``) or something else
            (``corpus_invalid``).
    """
    decoder = msgspec.json.Decoder(Task)
    try:
        return [decoder.decode(line) for line in path.read_bytes().splitlines() if line.strip()]
    except msgspec.MsgspecError as error:
        raise UsageError(
            f"{path} is no CrossCodeEval file: {error}.", code="corpus_invalid", hint=_HINT
        ) from error
    except OSError as error:
        raise UsageError(
            f"CrossCodeEval is not there: {path}: {error.strerror or error}.",
            code="corpus_missing",
            hint=_HINT,
        ) from error


def prompt_of(
    task: Task, variant: Variant, form: CrossfileForm = "suffix"
) -> tuple[Prompt, FileContext]:
    """midfill's prompt for a task, and what the file gave to it.

    Args:
        task: the task.
        variant: without or with the snippets of other files.
        form: where these stand.
    """
    context = context_at(task.prompt, task.right_context, BUDGET)
    prompt = build_prompt(context)
    if variant == "with" and form == "own":
        prompt = build_prompt(context, elsewhere=_chosen(task, context))
    elif variant == "with":
        prompt = msgspec.structs.replace(prompt, segments=_with_others(task, prompt, form))
    return prompt, context


def texts_of(task: Task) -> dict[str, str]:
    """The pieces of other files by path, those of one file together."""
    files: dict[str, str] = {}
    for chunk in task.crossfile_context.list:
        before = files.get(chunk.filename)
        text = chunk.retrieved_chunk
        files[chunk.filename] = text if before is None else f"{before}\n\n{text}"
    files.pop(task.metadata.file, None)
    return files


def _chosen(task: Task, context: FileContext) -> Elsewhere:
    """What midfill takes of a workspace that holds the snippets and nothing else."""
    path = task.metadata.file
    texts = {name: text.encode("utf-8", "replace") for name, text in texts_of(task).items()}
    index = WorkspaceIndex(task.metadata.repository, texts.get)
    for name, data in texts.items():
        index.put(name, symbols_of(SourceFile(path=name, language="python", data=data)))
    data = (task.prompt + task.right_context).encode("utf-8", "replace")
    file = SourceFile(path=path, language="python", data=data)
    cursor = len(task.prompt.encode("utf-8", "replace"))
    wanted = Wanted(n_tokens=N_CROSSFILE_TOKENS)
    tree = SyntaxTree.parse(file)
    chosen = Related(index).find(file, tree, path, cursor, context, wanted)
    return Elsewhere(repo=task.metadata.repository, path=path, snippets=chosen.snippets)


def _with_others(task: Task, prompt: Prompt, form: CrossfileForm) -> tuple[Segment, ...]:
    inner = prompt.segments
    comments = task.crossfile_context.text
    if form == "suffix":
        others = _text(cut_right(f"\n\n{comments}", N_CROSSFILE_TOKENS))
        return (*inner[:-1], others, inner[-1])
    if form == "prefix":
        others = _text(cut_right(comments, N_CROSSFILE_TOKENS).rstrip("\n") + "\n\n")
        return (inner[0], others, *inner[1:])
    name = task.metadata.repository
    segments = [Segment(role="repo_name"), _text(f"{name}\n")]
    left = N_CROSSFILE_TOKENS
    for chunk in task.crossfile_context.list:
        body = cut_right(f"{chunk.filename}\n{chunk.retrieved_chunk}\n", left)
        left -= len(body) // 4 + 1
        segments += [Segment(role="file_sep"), _text(body)]
    return (*segments, Segment(role="file_sep"), _text(f"{task.metadata.file}\n"), *inner)


def _text(text: str) -> Segment:
    return Segment(role="text", text=neutralise(text))


def score(completion: str, groundtruth: str) -> Score:
    """Exact match and edit similarity of a completion, cut to as many lines as the truth has."""
    trimmed = trim(completion, groundtruth)
    return Score(
        exact=code_tokens(trimmed) == code_tokens(groundtruth),
        similarity=edit_similarity(trimmed.strip(), groundtruth.strip()),
    )


def trim(completion: str, groundtruth: str) -> str:
    """As many non-blank lines of the completion as the ground truth has."""
    n_lines = sum(bool(line.strip()) for line in groundtruth.split("\n"))
    lines = [line for line in completion.split("\n") if line.strip()]
    return "\n".join(lines[:n_lines])


def code_tokens(code: str) -> list[str]:
    """Words and signs of code; blanks and the kind of quotes do not count."""
    words = re.sub(r"([a-z])([A-Z])", r"\1 \2", re.sub(r"([^A-Za-z0-9_])", r" \1 ", code))
    return re.sub("[\"']", "`", words).split()


def edit_similarity(a: str, b: str) -> float:
    """1 − d / (|a| + |b|), where d counts insertions and deletions (``fuzz.ratio`` / 100)."""
    if not a and not b:
        return 1.0
    # Length of the longest common subsequence, row by row.
    row = [0] * (len(b) + 1)
    for x in a:
        diagonal = 0
        for at, y in enumerate(b, 1):
            above = row[at]
            row[at] = diagonal + 1 if x == y else max(above, row[at - 1])
            diagonal = above
    return 2 * row[-1] / (len(a) + len(b))
