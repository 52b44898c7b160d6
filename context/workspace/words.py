"""Words of source code, by which pieces of text are found to be about the same."""

from __future__ import annotations

import builtins
import functools
import keyword
import re
from collections.abc import Iterator

WORD = re.compile(r"[^\W\d]\w{2,}")
_PARTS = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")
# Words that stand in nearly every file tell nothing.
STOP_WORDS = frozenset(
    {
        *keyword.kwlist,
        *(name for name in dir(builtins) if not name.startswith("_")),
        *("self", "cls", "args", "kwargs", "the", "and", "for", "with", "not", "this", "that"),
        *("const", "let", "var", "function", "return", "new", "null", "undefined", "true", "false"),
        *("void", "public", "private", "static", "string", "number", "boolean", "err", "nil"),
    }
)


def words_of(text: str) -> Iterator[str]:
    """Distinct words, without those that stand everywhere, as they first appear.

    Args:
        text: source code.
    """
    for word in dict.fromkeys(WORD.findall(text)):
        if word not in STOP_WORDS:
            yield word


def parts_of(word: str) -> list[str]:
    """The words that a name is made of, in lower case: ``readHTTPBody`` gives three."""
    return [part.lower() for part in _PARTS.findall(word) if len(part) > 2]


def bag_of(text: str) -> frozenset[str]:
    """Words of a piece of text, and the words that they are made of.

    Two texts that do the same to differently named things have the latter in common.

    Args:
        text: some lines of code.
    """
    found = set()
    for word in set(WORD.findall(text)):
        if word in STOP_WORDS:
            continue
        found.add(word)
        found.update(_marked_parts(word))
    return frozenset(found)


# The same names come again and again.
@functools.lru_cache(maxsize=16_384)
def _marked_parts(word: str) -> tuple[str, ...]:
    """The words that a name is made of, if these are several, marked as parts."""
    parts = parts_of(word)
    return tuple(f"{part}~" for part in parts) if len(parts) > 1 else ()
