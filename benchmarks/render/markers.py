"""The parts of a Markdown file that are made from summaries.

Such a part stands between two lines of its own::

    <!-- report:NAME -->
    <!-- /report -->

NAME is the name of the summary. It becomes headline, verdicts and the first table; other tables
are chosen by number (``report:NAME tables=1,3``), ``tables=all`` or ``tables=none``;
``tables=brief`` leaves out the comparisons that midfill does not lose, too. What stands in a fenced
code block is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from benchmarks.render import markdown
from benchmarks.summary import Summary, Table
from lsp_server.errors import UsageError

_OPEN = re.compile(r"<!--\s*report:(?P<name>\S+)(?:\s+tables=(?P<tables>\S+))?\s*-->")
_ANY = re.compile(r"<!--\s*report:")
_CLOSE = re.compile(r"<!--\s*/report\s*-->")
_FENCE = re.compile(r"(?P<fence>```+|~~~+)")


def update(text: str, summaries: Mapping[str, Summary]) -> str:
    """The text with what stands between its markers made anew; doing it twice changes nothing.

    Raises:
        UsageError: there is no marker (``no_markers``), one cannot be read (``bad_marker``), has
            no end or no beginning (``unclosed_marker``), names no summary (``unknown_summary``)
            or a table that is not there (``unknown_table``).
    """
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    kept: list[str] = []
    opened: tuple[int, str] | None = None
    n_parts, fence = 0, ""
    for number, line in enumerate(text.splitlines(keepends=True), start=1):
        bare = line.strip()
        if opened is None:
            fence = _fence_after(bare, fence)
        if fence:
            kept.append(line)
        elif _ANY.match(bare):
            if opened:
                raise _unclosed(*opened)
            opened = (number, bare)
            part = _part(number, bare, summaries).replace("\n", end_of_line)
            kept += [line.rstrip("\r\n"), end_of_line, part, end_of_line]
        elif _CLOSE.fullmatch(bare):
            if not opened:
                raise UsageError(
                    f"Line {number} ends a part of the report that was not begun.",
                    code="unclosed_marker",
                )
            kept.append(line)
            opened, n_parts = None, n_parts + 1
        elif opened is None:
            kept.append(line)
    if opened:
        raise _unclosed(*opened)
    if not n_parts:
        raise UsageError(
            "There is no marker <!-- report:NAME --> on a line of its own.",
            code="no_markers",
            hint="Put one, and <!-- /report --> below it, where a summary is to stand.",
        )
    return "".join(kept)


def _fence_after(line: str, fence: str) -> str:
    """The fence of the code block that goes on after a line; "" outside of one."""
    found = _FENCE.match(line)
    if not fence:
        return found["fence"] if found else ""
    ends = found and found["fence"].startswith(fence) and found["fence"] == line
    return "" if ends else fence


def _part(number: int, marker: str, summaries: Mapping[str, Summary]) -> str:
    found = _OPEN.fullmatch(marker)
    if not found:
        raise UsageError(
            f"The marker in line {number} cannot be read: {marker}",
            code="bad_marker",
            hint="It has the form <!-- report:NAME --> or <!-- report:NAME tables=1,3 -->.",
        )
    summary = summaries.get(found["name"])
    if summary is None:
        raise UsageError(
            f"The marker in line {number} names no summary: {found['name']}.",
            code="unknown_summary",
            hint=f"There are: {', '.join(summaries)}.",
        )
    if found["tables"] == "brief":
        return markdown.brief(summary)
    tables = _chosen(summary.tables, found["tables"] or "1", f"Line {number}")
    return markdown.excerpt(summary, tables)


def _chosen(tables: Sequence[Table], choice: str, where: str) -> Sequence[Table]:
    if choice == "all" or not tables:
        return tables
    if choice == "none":
        return ()
    numbers = choice.split(",")
    if not all(n.isascii() and n.isdigit() and 1 <= int(n) <= len(tables) for n in numbers):
        titles = ", ".join(f"{n} {table.title}" for n, table in enumerate(tables, start=1))
        raise UsageError(
            f"{where} asks for tables {choice}, which the summary does not have.",
            code="unknown_table",
            hint=f"It has: {titles}; or all, none or brief.",
        )
    return [tables[int(n) - 1] for n in numbers]


def _unclosed(number: int, marker: str) -> UsageError:
    return UsageError(
        f"The part that begins in line {number} with {marker} has no end.",
        code="unclosed_marker",
        hint="Put <!-- /report --> on a line of its own below it.",
    )
