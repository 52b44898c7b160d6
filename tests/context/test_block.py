"""Where a completion has said enough: ends of blocks, brackets and quotes that fit."""

from __future__ import annotations

import random
import tomllib
from pathlib import Path
from typing import Any

import pytest

from context.block import balance, block_end
from context.lexical import Lexical, advance
from context.types import CursorScope
from tests.context.fuzz_syntax import PIECES
from tests.context.test_scope import scope_of

_GOLDEN = Path(__file__).parent.parent / "golden" / "context"
BLOCKS: list[dict[str, Any]] = tomllib.loads((_GOLDEN / "block.toml").read_text())["case"]
BALANCES: list[dict[str, Any]] = tomllib.loads((_GOLDEN / "balance.toml").read_text())["case"]
# What completions are made of here: words that are keywords, nearly so, or may become one.
STREAM = [
    *("\n", "\n    ", "\n    ", "\n        ", "\n\n", "\n\n\n", " ", "\t", "x = 1", "return", "ü"),
    *("foo(", ")", "[", "]", "{", "}", "},", "});", '"', "'", '"""', "'''", "`", "\\"),
    *("# c", "// c", "/*", "*/", "def f():", "class A:", "async def g():", "async for", "@x"),
    *("if y:", "else:", "elif z:", "try:", "except E:", "finally:", "match x:", "de", "el", "t"),
    *("end", "done", "else {", "then"),
]
PLACES = [
    ("python", "‸"),
    ("python", "def f(x):\n    ‸\n"),
    ("python", "def f(x):‸\n"),
    ("python", "class A:\n    ‸\n    def g(self): ...\n"),
    ("python", "class A:\n    @‸\n"),
    ("python", "def f(x):\n    try:‸\n    except E: pass\n"),
    ("python", "x = foo(‸)\n"),
    ("python", 'def f(x):\n    """‸\n'),
    ("python", "if x‸"),
    ("python", "def f(x):\n    y = [\n        ‸\n"),
    ("javascript", "function f() {‸"),
    ("javascript", "function f() {\n  ‸\n}\n"),
    ("javascript", "‸"),
    ("lua", "if x then‸"),
    ("ruby", "def f\n  ‸\nend\n"),
    ("rust", "fn f<'a>(‸"),
]


def block_case(case: dict[str, Any]) -> tuple[bytes, str, CursorScope, int | None]:
    """Text before the cursor, completion, scope, and where the block ends."""
    text = case["text"]
    completion, mark, rest = case["completion"].partition("┤")
    # The line end below the cursor belongs to the completion where that begins with one.
    return (
        text.split("‸")[0].encode(),
        completion + rest,
        scope_of(text, case.get("language", "python")),
        len(completion) if mark else None,
    )


@pytest.mark.parametrize("case", BLOCKS, ids=[case["name"] for case in BLOCKS])
def test_golden_block(case: dict[str, Any]) -> None:
    """The block ends where the golden file says."""
    before, completion, scope, wanted = block_case(case)
    assert block_end(before, completion, scope) == wanted


@pytest.mark.parametrize("case", BLOCKS, ids=[case["name"] for case in BLOCKS])
def test_a_stream_never_takes_back_an_end(case: dict[str, Any]) -> None:
    """Fed character by character, the end is found once and stays where it is."""
    before, completion, scope, wanted = block_case(case)
    ends = [block_end(before, completion[:size], scope) for size in range(len(completion) + 1)]
    known = [end for end in ends if end is not None]
    assert set(known) == ({wanted} if wanted is not None else set())
    assert ends[len(ends) - len(known) :] == known


@pytest.mark.parametrize("case", BALANCES, ids=[case["name"] for case in BALANCES])
def test_golden_balance(case: dict[str, Any]) -> None:
    """Closing brackets and quotes without a partner are cut off as the golden file says."""
    before, after = case["line"].split("‸")
    completion, mark, rest = case["completion"].partition("┤")
    wanted = len(completion) if mark else len(completion + rest)
    kind, known = case.get("kind", "code"), case.get("open_brackets")
    sizes = [
        balance(before, (completion + rest)[:n], after, kind=kind, open_brackets=known)
        for n in range(len(completion + rest) + 1)
    ]
    assert sizes[-1] == wanted
    # Fed character by character nothing is cut too early, and what is cut stays so.
    assert all(min(n, wanted) <= size <= n for n, size in enumerate(sizes))
    assert {size for n, size in enumerate(sizes) if size < n} <= {wanted}


def random_completions(seed: int, n: int) -> list[str]:
    """Texts of words, brackets, quotes and line ends that are mostly broken."""
    chance = random.Random(seed)
    return ["".join(chance.choices(STREAM, k=chance.randrange(1, 24))) for _ in range(n)]


@pytest.mark.parametrize("language", sorted({language for language, _ in PLACES}))
def test_streaming_changes_nothing(language: str) -> None:
    """An end, once given, is given for every longer text and lies within the shortest."""
    n_ended = 0
    for marked in (marked for of, marked in PLACES if of == language):
        before, scope = marked.split("‸")[0].encode(), scope_of(marked, language)
        for completion in random_completions(len(marked), 120):
            first: int | None = None
            for n in range(len(completion) + 1):
                end = block_end(before, completion[:n], scope)
                if first is None:
                    first = end
                    assert end is None or 0 <= end <= n
                assert end == first, (marked, completion, n)
            n_ended += first is not None
    assert n_ended > 10


def test_what_balance_keeps_closes_nothing_foreign() -> None:
    """What is kept of a random completion can stand alone, and is kept whole the second time."""
    chance = random.Random(3)
    signs = ["(", ")", "[", "]", "{", "}", "a", " ", ", "]
    n_cut = 0
    for _ in range(2000):
        completion = "".join(chance.choices(signs, k=chance.randrange(12)))
        size = balance("x = ", completion, "")
        n_cut += size < len(completion)
        depth = 0
        for sign in completion[:size]:
            depth += (sign in "([{") - (sign in ")]}")
            assert depth >= 0
        assert balance("x = ", completion[:size], "") == size
    assert n_cut > 100


def test_random_completions_never_fail() -> None:
    """Any text gets an answer within its length."""
    chance = random.Random(4)
    for _ in range(500):
        before = "".join(chance.choices(PIECES, k=10))
        completion = "".join(chance.choices(PIECES, k=15))
        scope = scope_of(f"{before}‸{chance.choice(PIECES)}")
        end = block_end(before.encode(), completion, scope)
        assert end is None or 0 <= end <= len(completion)
        size = balance(scope.line_before, completion, scope.line_after)
        assert 0 <= size <= len(completion)


def test_state_is_the_same_line_by_line() -> None:
    """Looking at a text line by line or at once tells the same of strings and brackets."""
    chance = random.Random(6)
    pieces = ["\n", "\n", '"', "'", '"""', "'''", "(", ")", "[", "}", "\\", "#", "x", "é", " "]
    n_joined = 0
    for _ in range(3000):
        text = "".join(chance.choices(pieces, k=20)) + "\n"
        state = Lexical()
        for line in text.split("\n")[:-1]:
            state = advance(line + "\n", state)
        whole = advance(text)
        assert (state.quote, state.brackets) == (whole.quote, whole.brackets), repr(text)
        n_joined += whole.joined
    assert n_joined > 500
