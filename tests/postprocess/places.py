"""Shapers for marked texts, and streams through them."""

from __future__ import annotations

import random
from collections.abc import Iterable
from itertools import pairwise, repeat
from typing import Literal

from context.scope import cursor_scope
from context.syntax import SyntaxTree
from context.types import SourceFile
from lsp_server.postprocess.shape import Shaper, View
from lsp_server.postprocess.surroundings import Surroundings

MARK = "‸"


def surroundings(marked: str, language: str = "python") -> Surroundings:
    """The place at the mark."""
    before, after = marked.split(MARK)
    data = (before + after).encode("utf-8", "replace")
    file = SourceFile(path="a", language=language, data=data)
    tree = SyntaxTree.parse(file)
    scope = cursor_scope(file, tree.root if tree else None, len(before.encode("utf-8", "replace")))
    return Surroundings(scope, before, after)


def shaper(
    marked: str,
    language: str = "python",
    *,
    max_lines: int = 12,
    multi_line: Literal["auto", "never", "always"] = "auto",
    rules: frozenset[str] | None = None,
) -> Shaper:
    """A shaper for the place at the mark."""
    place = surroundings(marked, language)
    return Shaper(
        place.scope,
        prefix=place.prefix,
        suffix=place.suffix,
        max_lines=max_lines,
        multi_line=multi_line,
        rules=rules,
    )


def streamed(shaper: Shaper, raw: str, sizes: Iterable[int]) -> tuple[View, list[str]]:
    """The last view of a text that comes in pieces until it is stopped, and all texts shown."""
    shown = [""]
    end = 0
    for size in sizes:
        if end >= len(raw):
            break
        end += size
        view = shaper.view(raw[:end], final=False)
        shown.append(view.text)
        if view.stop:
            break
    view = shaper.view(raw[:end], final=True)
    return view, [*shown, view.text]


def ones() -> Iterable[int]:
    """Character by character."""
    return repeat(1)


def chunks(seed: str) -> Iterable[int]:
    """Pieces as tokens have them."""
    chance = random.Random(seed)
    return (chance.randrange(1, 9) for _ in repeat(None))


def n_taken_back(shown: list[str]) -> int:
    """How often something that was shown was taken back."""
    return sum(not after.startswith(before) for before, after in pairwise(shown))
