"""CrossCodeEval: prompts and scores."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import pytest

from benchmarks.infilling import crosscode
from benchmarks.infilling.crosscode import Task
from lsp_server.errors import UsageError


def make_task(**changes: Any) -> Task:
    """A task of our own."""
    fields: dict[str, Any] = {
        "prompt": "from shop import Basket\n\nbasket = Basket()\nbasket.",
        "right_context": "\nprint(basket)\n",
        "groundtruth": 'add("apple")',
        "metadata": {"task_id": "own/1", "repository": "own-shop", "file": "main.py"},
        "crossfile_context": {
            "text": "# from other files:\n\n# shop.py\n# class Basket:\n",
            "list": [{"retrieved_chunk": "class Basket:\n    pass", "filename": "shop.py"}],
        },
    }
    return msgspec.convert({**fields, **changes}, Task)


@pytest.mark.parametrize(
    ("completion", "truth", "exact"),
    [
        ('add("apple")', 'add("apple")', True),
        ("add('apple')", 'add("apple")', True),
        ("add( 'apple' )", 'add("apple")', True),
        ('\n\n  add("apple")\nprint(1)', 'add("apple")', True),
        ('add("pear")', 'add("apple")', False),
        ('add("apple"', 'add("apple")', False),
        ("", 'add("apple")', False),
        ("a\nb\nc", "a\nb", True),
        ("a\n\nb", "a\nb", True),
        ("addOne()", "add One()", True),
    ],
)
def test_exact(completion: str, truth: str, exact: bool) -> None:
    """EM compares words and signs of as many non-blank lines as the ground truth has."""
    assert crosscode.score(completion, truth).exact is exact


@pytest.mark.parametrize(
    ("a", "b", "similarity"),
    [
        ("", "", 1.0),
        ("abc", "", 0.0),
        ("abc", "abc", 1.0),
        ("abcd", "abxd", 0.75),
        ("ab", "ba", 0.5),
        ("kitten", "sitting", 8 / 13),
    ],
)
def test_edit_similarity(a: str, b: str, similarity: float) -> None:
    """ES counts insertions and deletions against both lengths, either way round."""
    assert crosscode.edit_similarity(a, b) == pytest.approx(similarity)
    assert crosscode.edit_similarity(b, a) == pytest.approx(similarity)


def test_prompt_without() -> None:
    """Without cross-file context nothing of other files is in the prompt."""
    prompt, context = crosscode.prompt_of(make_task(), "without")

    assert [s.role for s in prompt.segments if s.role != "text"] == [
        "fim_prefix", "fim_suffix", "fim_middle",
    ]  # fmt: skip
    assert "other files" not in "".join(s.text for s in prompt.segments)
    assert context.prefix_text.endswith("basket.")


def test_prompt_with_suffix_form() -> None:
    """The snippets follow the suffix, so that the prompt begins as it does without them."""
    without, _ = crosscode.prompt_of(make_task(), "without")
    prompt, _ = crosscode.prompt_of(make_task(), "with", "suffix")

    n_shared = len(without.segments) - 1
    assert prompt.segments[:n_shared] == without.segments[:n_shared]
    assert prompt.segments[-2].text.startswith("\n\n# from other files:")
    assert prompt.segments[-1].role == "fim_middle"


def test_prompt_with_prefix_form() -> None:
    """The snippets stand before the text left of the cursor."""
    prompt, _ = crosscode.prompt_of(make_task(), "with", "prefix")

    assert prompt.segments[0].role == "fim_prefix"
    assert prompt.segments[1].text.startswith("# from other files:")
    assert prompt.segments[1].text.endswith("\n\n")


def test_prompt_with_midfills_own_choice() -> None:
    """Out of the snippets' text, in the repo-level form; the open file's own are none of it."""
    prompt, _ = crosscode.prompt_of(make_task(), "with", "own")
    text = "".join(segment.text for segment in prompt.segments)
    assert [s.role for s in prompt.segments if s.role != "text"][:2] == ["repo_name", "file_sep"]
    assert text.startswith("own-shop\nshop.py\nclass Basket:")


def test_prompt_with_repo_form() -> None:
    """Repository, then one part a file, the current file's last."""
    prompt, _ = crosscode.prompt_of(make_task(), "with", "repo")

    text = "".join(f"<{s.role}>" if s.role != "text" else s.text for s in prompt.segments)
    assert text.startswith(
        "<repo_name>own-shop\n<file_sep>shop.py\nclass Basket:\n    pass\n"
        "<file_sep>main.py\n<fim_prefix>from shop"
    )


def test_snippets_yield_no_marker() -> None:
    """A model's marker inside a snippet is text."""
    text = "# <|fim_middle|>\n"
    task = make_task(crossfile_context={"text": text, "list": []})

    prompt, _ = crosscode.prompt_of(task, "with")

    assert "<|fim_middle|>" not in "".join(s.text for s in prompt.segments)


def test_prompt_fits() -> None:
    """However long a task is, its prompt and the generation fit into the engine's slot."""
    line = "value = compute(first, second)\n"
    task = make_task(
        prompt=line * 4000,
        right_context=f"\n{line * 4000}",
        crossfile_context={"text": f"# {line}" * 4000, "list": []},
    )

    prompt, context = crosscode.prompt_of(task, "with")

    n_text = sum(len(s.text) for s in prompt.segments)
    assert prompt.segments[-2].text.startswith("\n\n# value")
    assert n_text < 8 * 8192
    budget = crosscode.BUDGET
    total = budget.n_prefix_tokens + budget.n_suffix_tokens + crosscode.N_CROSSFILE_TOKENS
    assert total + crosscode.MAX_TOKENS + 16 < 8192
    assert context.suffix_text


def test_load(tmp_path: Path) -> None:
    """Tasks are read line by line; fields that are not needed are passed over."""
    path = tmp_path / "tasks.jsonl"
    path.write_bytes(msgspec.json.encode(make_task()) + b"\n")

    assert crosscode.load(path) == [make_task()]


@pytest.mark.parametrize(("content", "code"), [(None, "corpus_missing"), ("x", "corpus_invalid")])
def test_load_trouble(tmp_path: Path, content: str | None, code: str) -> None:
    """A missing or foreign file is named, with where to get the right one."""
    path = tmp_path / "tasks.jsonl"
    if content is not None:
        path.write_text(content)

    with pytest.raises(UsageError) as raised:
        crosscode.load(path)

    assert raised.value.code == code
    assert "amazon-science/cceval" in raised.value.hint
