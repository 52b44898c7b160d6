"""What of a file goes into the prompt, and how steady the prompt's beginning is."""

from __future__ import annotations

import random

import pytest

from context.budget import estimate_tokens
from context.gather import gather
from context.syntax import SyntaxTree
from context.types import Budget, FileContext, SourceFile
from tests.context.fuzz_syntax import PIECES, SEED_TEXT

CLASS = '''"""Shop."""

import json

def load(path: str) -> dict:
    """Read a file.

    More about it.
    """
    with open(path) as file:
        return json.load(file)


class Cart(dict):
    """Things to buy."""

    limit = 5

    def __init__(self, owner: str) -> None:
        self.owner = owner
        self.lines = []

    def add(self, name: str, price: float) -> None:
        """Add a line."""
        self.lines.append((name, price))

    def total(self) -> float:
        return ‸


def save(cart: Cart, path: str) -> None:
    """Write a cart."""
    with open(path, "w") as file:
        json.dump(cart.lines, file)


@cached
async def fetch(
    url: str,
) -> bytes:
    return await get(url)
'''


def context_of(marked: str, budget: Budget, language: str = "python") -> FileContext:
    """The context at the mark."""
    before, after = marked.split("‸")
    data = (before + after).encode()
    file = SourceFile(path="shop.py", language=language, data=data)
    return gather(file, SyntaxTree.parse(file), len(before.encode()), budget)


def test_a_file_that_fits_is_shown_whole() -> None:
    """With room enough the prompt holds the file as it is."""
    before, after = CLASS.split("‸")
    context = context_of(CLASS, Budget(n_prefix_tokens=2000, n_suffix_tokens=2000))
    assert context.prefix_text == before
    assert context.suffix_text == after
    assert [snippet.origin for snippet in context.prefix] == ["before_cursor"]


def test_what_does_not_fit_is_outlined() -> None:
    """Imports stay, the function far away becomes its signature and docstring's first line."""
    context = context_of(CLASS, Budget(n_prefix_tokens=130, n_suffix_tokens=60))
    text = context.prefix_text
    assert "import json\n" in text
    assert 'def load(path: str) -> dict:\n    """Read a file."""\n    ...\n' in text
    assert "json.load" not in text
    assert "More about it" not in text
    assert text.endswith("    def total(self) -> float:\n        return ")
    origins = {snippet.origin for snippet in context.prefix}
    assert {"imports", "outline", "enclosing"} <= origins


def test_the_enclosing_class_keeps_its_head_and_attributes() -> None:
    """A method far down in its class sees the class line and ``__init__``."""
    filler = "".join(
        f"    def step{i}(self, value: int) -> int:\n        return self.limit + {i} * value\n\n"
        for i in range(60)
    )
    marked = CLASS.replace("    def total", filler + "    def total")
    context = context_of(marked, Budget(n_prefix_tokens=400, n_suffix_tokens=60))
    assert "class Cart(dict):" in context.prefix_text
    assert "self.owner = owner" in context.prefix_text
    assert "step59" in context.prefix_text


def test_later_definitions_are_outlined_in_the_suffix() -> None:
    """What comes after the cursor and does not fit is there by its signature."""
    context = context_of(CLASS, Budget(n_prefix_tokens=600, n_suffix_tokens=60))
    assert "@cached\nasync def fetch(\n    url: str,\n) -> bytes: ...\n" in context.suffix_text
    assert "await get" not in context.suffix_text
    assert context.suffix[-1].origin == "outline"


@pytest.mark.parametrize("n_tokens", [0, 1, 5, 20, 60, 100, 200, 400])
@pytest.mark.parametrize("language", ["python", "lua"])
def test_budgets_are_kept(n_tokens: int, language: str) -> None:
    """Neither side takes more (estimated) tokens than it may; the end at the cursor is kept."""
    budget = Budget(n_prefix_tokens=n_tokens, n_suffix_tokens=n_tokens)
    for marked in (
        CLASS,
        CLASS.replace("return ‸", "return x(‸) + 1"),
        "‸" + CLASS.replace("‸", ""),
    ):
        context = context_of(marked, budget, language)
        before, after = marked.split("‸")
        for snippets in (context.prefix, context.suffix):
            assert sum(estimate_tokens(snippet.text) for snippet in snippets) <= n_tokens + 1
        last = context.prefix[-1].text if context.prefix else ""
        assert before.endswith(last)
        first = context.suffix[0].text if context.suffix else ""
        assert after.startswith(first)


@pytest.mark.parametrize("language", ["python", "lua"])
def test_typing_moves_the_prompts_beginning_seldom(language: str) -> None:
    """Two hundred typed characters in a long file change the prompt before them at most thrice."""
    unit = "def work{0}(a, b):\n    value = a * {0} + b\n    return value - {0}\n\n\n"
    head = "".join(unit.format(i) for i in range(300)) + "def now(a, b):\n"
    tail = "\n\n\n" + "".join(unit.format(i) for i in range(300, 600))
    typed = "    total = compute(a, b)\n    for item in total:\n        print(item, a)\n" * 3
    budget = Budget(n_prefix_tokens=768, n_suffix_tokens=192)
    n_moves = 0
    suffixes = set()
    previous = ""
    tree = None
    for size in range(200):
        data = (head + typed[:size] + tail).encode()
        file = SourceFile(path="a.py", language=language, data=data)
        tree = SyntaxTree.update(tree, file) if tree else SyntaxTree.parse(file)
        context = gather(file, tree, len((head + typed[:size]).encode()), budget)
        text = context.prefix_text
        suffixes.add(context.suffix_text)
        n_moves += bool(previous) and not text.startswith(previous)
        previous = text
    assert n_moves <= 3
    assert len(suffixes) <= 3


def test_snippets_name_the_bytes_they_come_from() -> None:
    """A snippet that is no outline is the text at its byte range."""
    marked = CLASS.replace("Shop", "Läden 🛒")
    data = marked.replace("‸", "").encode()
    context = context_of(marked, Budget(n_prefix_tokens=150, n_suffix_tokens=60))
    for snippet in (*context.prefix, *context.suffix):
        if snippet.origin != "outline":
            assert data[snippet.start_byte : snippet.end_byte].decode() == snippet.text


@pytest.mark.parametrize(
    "marked",
    [
        "‸",
        "\n‸\n",
        "x" * 100_000 + "‸" + "y" * 100_000,
        "\ufeffimport a\n‸",
        "def f(‸",
        "é" * 9999 + "‸",
    ],
    ids=["empty", "blank", "one long line", "bom", "half typed", "two-byte characters"],
)
def test_strange_files(marked: str) -> None:
    """Empty, huge or broken files give some context and no error."""
    context = context_of(marked, Budget(n_prefix_tokens=100, n_suffix_tokens=50))
    before, after = marked.split("‸")
    assert before.endswith(context.prefix[-1].text if context.prefix else "")
    assert after.startswith(context.suffix_text)


def test_random_texts_and_budgets() -> None:
    """Whatever the text, both sides touch the cursor and keep to their budgets."""
    chance = random.Random(8)
    n_cut = 0
    for _ in range(300):
        text = "".join(chance.choices([*PIECES, SEED_TEXT], k=25))
        cursor = chance.randrange(len(text) + 1)
        budget = Budget(
            n_prefix_tokens=chance.choice([0, 3, 30, 200]),
            n_suffix_tokens=chance.choice([0, 3, 30, 200]),
        )
        context = context_of(f"{text[:cursor]}‸{text[cursor:]}", budget)
        assert text[:cursor].endswith(context.prefix[-1].text if context.prefix else "")
        assert text[cursor:].startswith(context.suffix[0].text if context.suffix else "")
        n_prefix = sum(estimate_tokens(snippet.text) for snippet in context.prefix)
        n_suffix = sum(estimate_tokens(snippet.text) for snippet in context.suffix)
        assert n_prefix <= budget.n_prefix_tokens
        assert n_suffix <= budget.n_suffix_tokens
        n_cut += context.prefix_text != text[:cursor]
    assert n_cut > 50


def test_a_long_init_shows_its_attributes() -> None:
    """Where the whole ``__init__`` does not fit, its ``self.name =`` lines stand for it."""
    body = "".join(
        f"        # about {i}\n        check(owner, {i}, {i})\n"
        f"        self.field{i} = owner.part({i})\n"
        for i in range(12)
    )
    filler = "".join(f"    def step{i}(self):\n        return {i} * {i}\n\n" for i in range(40))
    marked = CLASS.replace("        self.owner = owner\n", "        self.owner = owner\n" + body)
    marked = marked.replace("    def total", filler + "    def total")
    context = context_of(marked, Budget(n_prefix_tokens=1000, n_suffix_tokens=60))
    assert "self.field11 = owner.part(11)\n" in context.prefix_text
    assert "check(owner" not in context.prefix_text
    assert "    limit = 5\n" in context.prefix_text
