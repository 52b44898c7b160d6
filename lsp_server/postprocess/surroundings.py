"""The place of a suggestion, as the rules look at it."""

from __future__ import annotations

import re
from functools import cached_property

from context.types import CursorScope

# Lines that are often right twice: brackets, and words that close a block as brackets do.
_CLOSING = re.compile(
    r"(?:[^\w]*|[ \t]*(?:end|fi|done|esac|</[\w:.-]+>|else|\} else \{)[ \t;,:{]*)"
)
_N_LINES = 3
_PROSE = frozenset({"plaintext", "markdown", "latex", "restructuredtext"})
# What editors put right of the cursor by themselves, or statements end with.
_CLOSERS_ONLY = re.compile(r"""[)\]}>"'`;,\s]*""")


class Surroundings:
    """What stands around the cursor.

    Args:
        scope: where the cursor stands.
        prefix: text left of the cursor, with ``\\n`` as EOL; at least the lines near to it.
        suffix: the same right of the cursor.
    """

    def __init__(self, scope: CursorScope, prefix: str, suffix: str) -> None:
        self.scope = scope
        self.prefix = prefix
        self.suffix = suffix

    @cached_property
    def above(self) -> tuple[str, ...]:
        """The last non-blank lines above the cursor's line, in file order."""
        head = self.prefix[: len(self.prefix) - len(self.scope.line_before)]
        return tuple(line for line in head.split("\n")[-20:] if line.strip())[-_N_LINES:]

    @cached_property
    def below(self) -> tuple[str, ...]:
        """The first non-blank lines below the cursor's line."""
        tail = self.suffix[len(self.scope.line_after) :]
        found = tuple(line for line in tail.split("\n", 20)[:20] if line.strip())[:_N_LINES]
        return found or ((self.scope.next_line,) if self.scope.next_line else ())

    @property
    def is_code(self) -> bool:
        """Whether code is written: no comment, string, docstring or prose."""
        return self.scope.kind == "code" and self.scope.language not in _PROSE

    @property
    def at_line_end(self) -> bool:
        """Whether nothing but closing brackets and quotes is right of the cursor."""
        return _CLOSERS_ONLY.fullmatch(self.scope.line_after) is not None

    @property
    def on_blank_line(self) -> bool:
        """Whether nothing is left of the cursor."""
        return not self.scope.line_before.strip()

    def holds(self, text: str) -> bool:
        """Whether a text stands near the cursor already."""
        return text in self.prefix or text in self.suffix


def is_closing(line: str) -> bool:
    """Whether a line only closes something: such lines are often right twice."""
    return _CLOSING.fullmatch(line) is not None
