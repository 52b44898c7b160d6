"""What is kept from key to key does not change a prompt.

Run for long with ``python -m tests.fuzz.prompts --edits 20000 --seed 1``.
"""

from __future__ import annotations

import argparse
import random

from context.gather import gather
from context.rank import Chosen
from context.related import Related, Wanted
from context.syntax import SyntaxTree
from context.types import Budget, FileContext, Snippet, SourceFile
from context.workspace.index import WorkspaceIndex
from lsp_server.completion.draft import source_file
from lsp_server.documents import Change, Span, TextDocument
from tests.context.fuzz_syntax import PIECES, SEED_TEXT
from tests.context.sources.places import index_of
from tests.context.sources.test_sources import OTHERS

_BUDGET = Budget(n_prefix_tokens=200, n_suffix_tokens=80)
# What is similar is meant to stay as it is until a word is complete.
_WANTED = Wanted(n_tokens=300, weights={"similar": 0.0})
_PATH = "typed.py"
_TEXT = (
    "from shop.cart import Base, Cart, empty_cart\nimport shop.money as money\n\n\n"
    "class Gift(Base):\n    def total(self, tax):\n        cart = empty_cart(self.owner)\n"
    "        return cart.add_line(money.Price(), tax)\n\n\n" + SEED_TEXT * 8
)


class Typed:
    """A document that is typed in, with all that is kept from key to key.

    Args:
        text: at first.
    """

    def __init__(self, text: str) -> None:
        self.document = TextDocument("file:///typed.py", "python", 0, text)
        self._related = Related(index_of(OTHERS))
        self._tree: SyntaxTree | None = None
        self.before: tuple[Snippet, ...] = ()

    def ask(self, line: int, column: int) -> tuple[FileContext, Chosen]:
        """What is shown at a place."""
        file, cursor = source_file(self.document.snapshot(), line, column)
        tree = SyntaxTree.update(self._tree, file) if self._tree else SyntaxTree.parse(file)
        found = _ask(file, tree, cursor, self._related, self.before)
        self._tree, self.before = tree, found[1].snippets
        return found

    def change(self, chance: random.Random, line: int, column: int) -> None:
        """Something is typed, pasted or deleted at a place."""
        last = line + chance.choice((0, 0, 0, 0, 0, 3))
        end = column if last == line else chance.randrange(9)
        text = chance.choice([*PIECES, *SEED_TEXT.splitlines(keepends=True)])
        span = Span(start_line=line, start_character=column, end_line=last, end_character=end)
        self.document.change(self.document.version + 1, [Change(text=text, span=span)])


def _ask(
    file: SourceFile,
    tree: SyntaxTree | None,
    cursor: int,
    related: Related,
    before: tuple[Snippet, ...],
) -> tuple[FileContext, Chosen]:
    context = gather(file, tree, cursor, _BUDGET)
    return context, related.find(file, tree, _PATH, cursor, context, _WANTED, before)


def ask_anew(
    document: TextDocument,
    line: int,
    column: int,
    index: WorkspaceIndex,
    before: tuple[Snippet, ...],
) -> tuple[FileContext, Chosen]:
    """The same from the text alone."""
    known, cursor = source_file(document.snapshot(), line, column)
    file = SourceFile(path=known.path, language=known.language, data=known.data)
    return _ask(file, SyntaxTree.parse(file), cursor, Related(index), before)


def run(n_edits: int, seed: int) -> int:
    """Make edits and count the prompts that differ."""
    chance = random.Random(seed)
    typed = Typed(_TEXT)
    n_different = 0
    for number in range(n_edits):
        if number % 40 == 0:
            typed = Typed(_TEXT)
            line = chance.randrange(len(typed.document.lines))
        line = min(
            len(typed.document.lines) - 1, max(0, line + chance.choice((-1, 0, 0, 0, 1, 40)))
        )
        column = chance.randrange(len(typed.document.lines[line]) + 1)
        typed.change(chance, line, column)
        line = min(line, len(typed.document.lines) - 1)
        anew = ask_anew(typed.document, line, column, index_of(OTHERS), typed.before)
        if typed.ask(line, column) != anew:
            n_different += 1
            print(f"edit {number} of seed {seed} differs")
    return n_different


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--edits", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    different = run(options.edits, options.seed)
    print(f"{options.edits} edits, {different} differences")
    raise SystemExit(1 if different else 0)
