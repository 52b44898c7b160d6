"""What holds for every text, at every place: thousands of random ones, seeded."""

from __future__ import annotations

import random

import pytest

from lsp_server.postprocess.shape import RULES, View
from tests.postprocess.places import chunks, n_taken_back, ones, shaper, streamed, surroundings

_PLACES = [
    ("python", "‸"),
    ("python", "x = ‸\n"),
    ("python", "def f(x):\n    ‸\n    return x\n"),
    ("python", "def f(x):\n    y = 1\n    ‸\n\n    return [x]\n"),
    ("python", "for x in ‸\n"),
    ("python", "print(‸)\n"),
    ("python", "foo(\n    a,\n    ‸\n)\nbar()\n"),
    ("python", "total = ‸ + tax\n"),
    ("python", 'x = f"{‸}"\n'),
    ("python", 'def f():\n    """‸\n    """\n'),
    ("python", "# ‸ here\n"),
    ("python", "def f():\n\tif x:\n\t\treturn\n\t‸\n"),
    ("python", "def f():\n  if x:\n    return\n  ‸\n"),
    ("javascript", "function f() {\n  ‸\n}\n"),
    ("javascript", "items.map((x) => {‸\n});\n"),
    ("go", "func f() {\n\t‸\n\treturn x\n}\n"),
    ("rust", "fn f<'a>(x: &'a str) -> &'a str {\n    ‸\n}\n"),
    ("ruby", "def f\n  ‸\nend\n"),
    ("html", "<ul>\n  <li>‸</li>\n</ul>\n"),
    ("markdown", "# A\n\n‸\n\n## B\n"),
    ("plaintext", "a ‸ b\n"),
]
_PIECES = [
    *("\n", "\n    ", "\n    ", "\n  ", "\n\t", "\n\n", "\n\n\n", " ", "    ", "\t", "\r\n", "\r"),
    *(
        "x = 1",
        "y",
        "return x",
        "return [x]",
        "    return x",
        "foo(",
        ")",
        "[",
        "]",
        "{",
        "}",
        "}}",
    ),
    *(", ", "a,", ":", "if x:", "else:", "def f():", "class A:", "for y in x:", "@p", "import a"),
    *(
        '"',
        "'",
        '"""',
        "`",
        "```",
        "```python\n",
        "\n```",
        "# c",
        "// c",
        "/*",
        "*/",
        "<",
        "<|",
        "|>",
    ),
    *("<|fim_middle|>", "Here is ", "Sure, ", "This code ", "total = ", "print(", "end", "</li>"),
    *(
        "abc, " * 3,
        "0, 0, 0, ",
        "ünï",
        "漢字",
        "🎉",
        "e\u0301",
        "\u200b",
        "\u202e",
        "\x00",
        "\ud800",
    ),
    *("&'a ", "fn f() {", "func f() {", "## B", " + tax", "bar()", ")\nbar()\n"),
]
_N = 60


def texts(language: str, marked: str) -> list[str]:
    """Random texts for a place; the same in each run."""
    chance = random.Random(f"{language} {marked}")
    made = ["".join(chance.choices(_PIECES, k=chance.randrange(1, 14))) for _ in range(_N)]
    signs = [chr(chance.choice((chance.randrange(128), chance.randrange(0x11000)))) for _ in made]
    return [*made, "".join(signs), "".join(signs) * 3]


every_place = pytest.mark.parametrize(("language", "marked"), _PLACES)


@every_place
def test_pieces_do_not_matter(language: str, marked: str) -> None:
    """Whole, in chunks and character by character a text comes to the same."""
    for raw in texts(language, marked):
        whole = shaper(marked, language).view(raw, final=True)
        for sizes in (ones(), chunks(raw.encode("utf-8", "replace").hex())):
            view, _ = streamed(shaper(marked, language), raw, sizes)
            assert (view.text, view.stop) == (whole.text, whole.stop), (marked, raw)


@every_place
def test_a_shaper_can_be_asked_again(language: str, marked: str) -> None:
    """What it says of a text does not depend on what it was asked before."""
    one = shaper(marked, language)
    for raw in texts(language, marked):
        assert one.view(raw, final=True) == shaper(marked, language).view(raw, final=True)


@every_place
def test_what_is_shown_is_the_beginning_of_what_was_written(language: str, marked: str) -> None:
    """But for indents, and what is left out before it begins, nothing is changed."""
    rules = frozenset(RULES) - {"indent"}
    for raw in texts(language, marked):
        view = shaper(marked, language, rules=rules).view(raw, final=True)
        flat = raw.replace("\r\n", "\n").replace("\r", "\n")
        assert view.text in flat
        shown = raw[: view.n_raw].replace("\r\n", "\n").replace("\r", "\n")
        assert shown.endswith(view.text)


@every_place
def test_indents_are_all_that_changes(language: str, marked: str) -> None:
    """With the unit of the file put in, each line still says the same."""
    for raw in texts(language, marked):
        view = shaper(marked, language).view(raw, final=True)
        flat = raw.replace("\r\n", "\n").replace("\r", "\n")
        ink = [line.strip() for line in view.text.split("\n")]
        assert "\n".join(ink) in "\n".join(line.strip() for line in flat.split("\n"))


@every_place
def test_the_line_below_is_not_repeated(language: str, marked: str) -> None:
    """Whatever is written, the line below with a word in it is never the last one shown."""
    place = surroundings(marked, language)
    below = place.below[0] if place.below else ""
    if not any(map(str.isalnum, below)) or below.strip() in ("end", "</ul>"):
        return
    for raw in (*texts(language, marked), below, f"x\n{below}", f"x = 2\n{below}\n{below}\n"):
        shown = shaper(marked, language).view(raw, final=True).text
        assert not shown or (place.scope.line_before + shown).split("\n")[-1].rstrip() != below


@every_place
def test_what_was_shown_is_seldom_taken_back(language: str, marked: str) -> None:
    """Only a loop, a hidden character, or a first line that turns out wrong takes text back."""
    for raw in texts(language, marked):
        view, shown = streamed(shaper(marked, language), raw, ones())
        if n_taken_back(shown):
            assert view.stop in ("repeats", "unsafe_characters", "parse", "brackets", "trivial"), (
                marked,
                raw,
                shown,
            )


@every_place
def test_no_text_is_an_error(language: str, marked: str) -> None:
    """Any characters at all give a view."""
    chance = random.Random(marked)
    for _ in range(_N):
        raw = "".join(chr(chance.randrange(0x110000)) for _ in range(chance.randrange(40)))
        assert isinstance(shaper(marked, language).view(raw, final=True), View)


def test_hidden_characters_are_never_shown() -> None:
    """Not one of them gets through unless the document has it."""
    for sign in ("\u202e", "\u200b", "\u2066", "\x1b", "\x00", "\ud800", "\u2028", "\U000e0041"):
        for raw in (f"{sign}load(x)", f"load(x{sign})", f"load(x){sign}", f"load(\n    x{sign})"):
            assert sign not in shaper("x = ‸\n").view(raw, final=True).text
