"""What a file says of itself."""

from __future__ import annotations

import pytest

from context.types import SourceFile
from context.workspace.symbols import FileSymbols, bases_in, symbols_of
from context.workspace.words import bag_of, parts_of, words_of

TEXT = '''"""Shop."""

from .money import Price

LIMIT = 10
API_KEY = "sk-ant-REDACTED0123456789abcdef"


class Cart(Base[int], mixins.Loud, metaclass=Meta):
    """Things to buy."""

    owner: str = "nobody"

    def total(self, tax: float = 0.2) -> Price:
        """Sum of all lines."""
        return sum(self.lines)


async def fetch(url):
    return await get(url)
'''.replace("REDACTED", "api03-")


def of(text: str, language: str = "python") -> FileSymbols:
    """The symbols of a text."""
    return symbols_of(SourceFile(path="a.py", language=language, data=text.encode()))


def test_definitions_have_their_signatures() -> None:
    """Functions, classes with members, and constants, without bodies."""
    found = {(s.container, s.name): s for s in of(TEXT).symbols}
    assert [*found] == [
        *(("", "LIMIT"), ("", "API_KEY"), ("", "Cart"), ("Cart", "owner")),
        *(("Cart", "total"), ("", "fetch")),
    ]
    assert found["Cart", "total"].signature == (
        "    def total(self, tax: float = 0.2) -> Price:\n"
        '        """Sum of all lines."""\n        ...'
    )
    assert found["", "fetch"].signature == "async def fetch(url): ..."
    assert found["", "Cart"].bases == ("Base", "mixins.Loud")
    symbol = found["", "LIMIT"]
    assert TEXT.encode()[symbol.start_byte : symbol.end_byte] == b"LIMIT = 10\n"


def test_keys_do_not_get_into_the_index() -> None:
    """Neither by a signature nor as a word."""
    assert "0123456789abcdef" not in repr(of(TEXT))


def test_a_language_without_grammar_has_words() -> None:
    """Names can be looked up by the words of a file."""
    found = of("sub read_all { my $path = shift; }", "perl")
    assert found.symbols == ()
    assert {"read_all", "path", "shift"} <= set(found.words)


def test_half_typed_code_has_symbols() -> None:
    """What stands before and behind an error is found all the same."""
    found = of("def a(x): pass\n\nclass B(\n\ndef c(y):\n    return y +\n")
    assert "a" in {symbol.name for symbol in found.symbols}


@pytest.mark.parametrize(
    ("header", "bases"),
    [
        ("class A: ...", ()),
        ("class A(B): ...", ("B",)),
        ("@dec(1)\nclass A(B, c.D):\n", ("B", "c.D")),
        ("class A(Generic[K, V], total=False):", ("Generic",)),
        ("class A(make(1), B):", ("B",)),
        ("class A(", ()),
        ("class A:\n    x: tuple[int, (1)] = f(2)", ()),
    ],
)
def test_bases_are_read_off_the_header(header: str, bases: tuple[str, ...]) -> None:
    """Names and dotted names; what is computed is no base by name."""
    assert bases_in(header) == bases


def test_words_without_those_of_every_file() -> None:
    """Keywords, built-in names and short words tell nothing."""
    assert [*words_of("def reader(self, n): return int(reader.size) if n else None")] == [
        "reader",
        "size",
    ]


@pytest.mark.parametrize(
    ("word", "parts"),
    [
        ("readHTTPBody", ["read", "http", "body"]),
        ("read_all", ["read", "all"]),
        ("_x1", []),
        ("CONSTANT", ["constant"]),
    ],
)
def test_names_have_parts(word: str, parts: list[str]) -> None:
    """Camel case and underscores; parts of one or two letters are left out."""
    assert parts_of(word) == parts


def test_a_bag_knows_alike_names() -> None:
    """Two names that are made of the same words have these in common."""
    assert bag_of("send_message(x)") & bag_of("receiveMessage(y)") == {"message~"}
