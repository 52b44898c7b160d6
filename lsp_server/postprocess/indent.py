"""The unit of indentation: a file in tabs gets tabs, one in steps of two gets steps of two."""

from __future__ import annotations

import re
from collections import Counter

from context.scope import leading
from lsp_server.postprocess.surroundings import Surroundings

_MAX_LINES = 400
_OPENS = re.compile(r"[:{(\[]\s*(?:#.*|//.*)?$|\b(?:then|do|else|begin)\s*$")
_TAB = "    "
_UNITS = (2, 3, 4, 8)


def unit_of(text: str) -> str:
    """One step of indent in a text: a tab, some blanks, or "" where it does not tell.

    Args:
        text: lines of a file.
    """
    tabs = 0
    steps: Counter[int] = Counter()
    before = ""
    for line in text.split("\n")[-_MAX_LINES:]:
        if not line.strip():
            continue
        lead = leading(line)
        if lead.startswith("\t"):
            tabs += 1
        elif _OPENS.search(before):
            step = len(lead) - len(leading(before))
            if step in _UNITS and "\t" not in lead:
                steps[step] += 1
        before = line
    if not tabs and not steps:
        return ""
    if tabs >= sum(steps.values()):
        return "\t"
    return " " * max(steps, key=lambda step: (steps[step], step))


class Indenter:
    """Gives the lines of a completion the unit of the file.

    Only what is left of a line's first character changes, and it depends on that line and the ones
    above it alone.

    Args:
        place: of the completion.
    """

    def __init__(self, place: Surroundings) -> None:
        self._is_used = place.scope.kind != "docstring"
        self._line_before = place.scope.line_before
        self._unit = unit_of(place.prefix) or unit_of(place.suffix)

    def written(self, text: str) -> str:
        """The text in the unit of the file.

        Args:
            text: the completion so far.
        """
        if not self._is_used or not self._unit or "\n" not in text:
            return text
        lines = text.split("\n")
        if self._unit == "\t":
            return "\n".join([lines[0], *map(_in_tabs, lines[1:])])
        return "\n".join([lines[0], *self._in_blanks(lines)])

    def _in_blanks(self, lines: list[str]) -> list[str]:
        unit = len(self._unit)
        done = []
        before = self._line_before + lines[0]
        base = len(leading(before).expandtabs(unit))
        # Columns that the model wrote, and those they become; further left nothing changes.
        levels = [(base, base)]
        for line in lines[1:]:
            lead = leading(line)
            if not line.strip():
                done.append(line)
                continue
            column = len(lead.expandtabs(unit))
            while len(levels) > 1 and column < levels[-1][0]:
                levels.pop()
            written, becomes = levels[-1]
            step = column - written
            if step > 0 and _OPENS.search(before) and step in _UNITS:
                levels.append((column, becomes + unit))
            elif step > 0:
                levels.append((column, becomes + step))
            elif step < 0:
                levels = [(column, column)]
            column = levels[-1][1]
            done.append(" " * column + line[len(lead) :])
            before = line
        return done


def _in_tabs(line: str) -> str:
    lead = leading(line)
    if " " not in lead or not line.strip():
        return line
    blanks = lead.expandtabs(len(_TAB))
    n_tabs, n_blanks = divmod(len(blanks), len(_TAB))
    # What is left aligns something.
    return "\t" * n_tabs + " " * n_blanks + line[len(lead) :]
