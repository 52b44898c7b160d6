"""Tables as HTML: of figures, and with a bar beside each."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

STYLE = """
.meter { width: 40%; min-width: 3rem; } .meter.short { width: 6rem; }
.meter i { display: block; height: .75rem;
  border-radius: 2px; background: var(--main); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child, .text { text-align: left; }
td:first-child, td.text { white-space: normal; overflow-wrap: anywhere; min-width: 10rem; }
th { font-weight: 600; color: var(--soft); font-size: .85rem; vertical-align: bottom; }
@media (max-width: 30rem) { table { font-size: .9rem; } th, td { padding: .3rem; }
  th { white-space: normal; }
  .meter { width: 25%; } .meter.short { display: none; } td:first-child { min-width: 6.5rem; }
  td.text { min-width: 9rem; } }
"""


def meters(
    heads: tuple[str, str], rows: Sequence[tuple[str, int, str]], text_head: str = ""
) -> str:
    """A table with a bar beside each number, and a sentence behind where there is one.

    Args:
        heads: of the names and of the numbers.
        rows: name, number and sentence of each.
        text_head: of the sentences; "" for none.
    """
    if not rows:
        return ""
    top = max(n for _, n, _ in rows)
    kind = "meter short" if text_head else "meter"
    head = f'<th>{heads[0]}</th><th>{heads[1]}</th><th class="{kind}"></th>'
    head += f'<th class="text">{text_head}</th>' if text_head else ""
    body = "".join(
        f"<tr><td>{_breakable(name)}</td><td>{n:,}</td>"
        f'<td class="{kind}"><i style="width:{100 * n / top:.1f}%"></i></td>'
        + (f'<td class="text">{escape(text)}</td>' if text_head else "")
        + "</tr>"
        for name, n, text in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _breakable(code: str) -> str:
    """A code as HTML, which may go on in the next line behind each of its words."""
    return escape(code).replace("_", "_<wbr>")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of figures; "" where there are none.

    Args:
        heads: of the columns.
        rows: each with a cell for each column; the first names it.
    """
    if not rows:
        return ""

    def cells(tag: str, row: Sequence[str]) -> str:
        return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{cells("th", heads)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )
