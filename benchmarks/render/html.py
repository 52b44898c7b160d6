"""All summaries as one page of HTML that needs nothing but itself."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.render import plots
from benchmarks.render.markdown import option
from benchmarks.render.markup import Markup, element
from benchmarks.summary import (
    Cell,
    Column,
    Plot,
    RunInfo,
    Series,
    Summary,
    Table,
    Unit,
    Verdict,
    interval,
    tally,
    value,
)

_CSS = Path(__file__).with_name("report.css")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
_N_DATA_ROWS = 60
_LONG_CHARS = 20
_UNIT_SIGNS: dict[Unit, str] = {"percent": "%", "ms": "ms"}


def render(summaries: Mapping[str, Summary]) -> str:
    """The page.

    The same summaries always give the same bytes, so a page can be compared with an older one.

    Args:
        summaries: by name, in the order of the page.

    Raises:
        UsageError: matplotlib is missing.
    """
    anchors = _anchors(summaries)
    sections = [_section(anchors[name], summary) for name, summary in summaries.items()]
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=_POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("title", "midfill benchmarks"),
        element("style", Markup(_CSS.read_text("utf-8"))),
    )
    body = element(
        "body",
        _masthead(summaries),
        _contents(summaries, anchors),
        element("main", _standing(summaries, anchors), *sections),
    )
    return f"<!doctype html>\n{element('html', head, body, lang='en')}\n"


def _anchors(summaries: Mapping[str, Summary]) -> dict[str, str]:
    anchors: dict[str, str] = {}
    for name in summaries:
        anchor = base = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-") or "summary"
        while anchor in anchors.values() or anchor == "standing":
            base += "-2"
            anchor = base
        anchors[name] = anchor
    return anchors


def _masthead(summaries: Mapping[str, Summary]) -> Markup:
    runs = [summary.run for summary in summaries.values()]
    days = sorted({run.started[:10] for run in runs})
    facts = [
        _counted(len(runs), "benchmark"),
        " – ".join(dict.fromkeys([days[0], days[-1]])),
        *sorted({str(run.machine) for run in runs}),
    ]
    states = {run.code for run in runs}
    warning = (
        element(
            "p",
            f"The sections were measured on {len(states)} different states of the code; "
            "each says at its end on which.",
            class_="warning",
        )
        if len(states) > 1
        else ""
    )
    return element(
        "header",
        element("h1", "midfill ", element("span", "benchmarks")),
        element("p", " · ".join(facts), class_="facts"),
        warning,
    )


def _contents(summaries: Mapping[str, Summary], anchors: Mapping[str, str]) -> Markup:
    items = [element("li", element("a", "How midfill stands", href="#standing"))]
    for name, summary in summaries.items():
        count = tally(summary.verdicts)["behind"]
        badge = element("span", f"{count} behind", class_="badge") if count else ""
        link = element("a", summary.title, badge, href=f"#{anchors[name]}")
        items.append(element("li", link))
    return element("nav", element("ul", *items), aria_label="Contents")


def _standing(summaries: Mapping[str, Summary], anchors: Mapping[str, str]) -> Markup:
    counts = tally([v for summary in summaries.values() for v in summary.verdicts])
    tiles = [
        element(
            "li",
            element("b", str(count)),
            element("span", outcome),
            class_=f"tile {outcome}",
        )
        for outcome, count in counts.items()
    ]
    bar = [
        element("span", class_=outcome, style=f"flex-grow: {count}")
        for outcome, count in counts.items()
        if count
    ]
    groups = [
        element(
            "div",
            element("h3", element("a", summary.title, href=f"#{anchors[name]}")),
            _verdicts(summary),
            class_="group",
        )
        for name, summary in summaries.items()
        if summary.verdicts
    ]
    if not groups:
        groups = [element("p", "No benchmark on this page compares midfill with anything.")]
    return element(
        "section",
        element("h2", "How midfill stands"),
        element(
            "p",
            "Against peers, published figures and goals, in the order of the benchmarks. "
            "Level means that the 95 % interval holds both.",
            class_="lead",
        ),
        element("ul", *tiles, class_="tiles"),
        element("div", *bar, class_="proportions", aria_hidden="true") if bar else "",
        *groups,
        id="standing",
        class_="panel",
    )


def _section(anchor: str, summary: Summary) -> Markup:
    drawings = [
        _plot(plot, f"{anchor}-{number}") for number, plot in enumerate(summary.plots, start=1)
    ]
    return element(
        "section",
        element("h2", summary.title, element("small", f"N = {summary.n:,}")),
        element("p", summary.headline, class_="headline"),
        _verdicts(summary),
        element("div", *drawings, class_="plots") if drawings else "",
        *(_table_figure(table) for table in summary.tables),
        element("div", *(element("p", note) for note in summary.notes), class_="notes")
        if summary.notes
        else "",
        _provenance(summary.run),
        id=anchor,
    )


def _verdicts(summary: Summary) -> Markup:
    if not summary.verdicts:
        return Markup("")
    return element("ul", *(_verdict(v) for v in summary.verdicts), class_="verdicts")


def _verdict(verdict: Verdict) -> Markup:
    chip = element("span", verdict.outcome, class_=f"chip {verdict.outcome}")
    return element("li", chip, element("span", verdict.text))


def _plot(plot: Plot, name: str) -> Markup:
    keys = [element("li", element("i", class_=style), entry) for style, entry in plots.legend(plot)]
    drawable = plots.is_drawable(plot)
    return element(
        "figure",
        element("figcaption", plot.title),
        element("div", plots.draw(plot, name), class_="drawing")
        if drawable
        else element("p", "Nothing was measured that could be drawn here.", class_="empty"),
        element("ul", *keys, class_="legend") if keys and drawable else "",
        element("p", plot.note, class_="note") if plot.note else "",
        element("details", element("summary", "Data"), *_data(plot)) if drawable else "",
        class_=f"plot {plot.kind}",
    )


def _data(plot: Plot) -> list[Markup]:
    """The numbers of a plot, one table a series, thinned out where there are very many."""
    labels = plots.bar_labels(plot) if plot.kind == "bar" else {}
    tables = []
    for series in plot.series:
        places = _thinned(len(series.x))
        columns = (
            Column(plot.x_label or "bar", "text" if labels else plot.x_unit),
            Column(plot.y_label, plot.y_unit),
        )
        rows = tuple((labels.get(series.x[i], series.x[i]), _figure(series, i)) for i in places)
        note = f"{len(rows)} of {len(series.x):,} points." if len(rows) < len(series.x) else ""
        table = Table(title=series.name, columns=columns, rows=rows, note=note)
        tables.append(_table_figure(table))
    return tables


def _figure(series: Series, place: int) -> Cell:
    if not series.low:
        return series.y[place]
    return Figure(value=series.y[place], low=series.low[place], high=series.high[place], n=0)


def _thinned(n: int) -> list[int]:
    if n <= _N_DATA_ROWS:
        return list(range(n))
    return [round(i * (n - 1) / (_N_DATA_ROWS - 1)) for i in range(_N_DATA_ROWS)]


def _table_figure(table: Table) -> Markup:
    return element(
        "figure",
        element("figcaption", table.title),
        element(
            "div",
            _table(table),
            class_="scroll",
            tabindex="0",
            role="region",
            aria_label=table.title,
        ),
        element("p", table.note, class_="note") if table.note else "",
        class_="table",
    )


def _table(table: Table) -> Markup:
    heads = [element("th", *_head(c), scope="col", class_=_side(c)) for c in table.columns]
    ours = [_is_ours(row, table.columns) for row in table.rows]
    mixed = any(ours) and not all(ours)
    rows = [
        element(
            "tr",
            *(
                _cell(cell, c, first=i == 0)
                for i, (cell, c) in enumerate(zip(row, table.columns, strict=True))
            ),
            class_="ours" if mixed and mine else None,
        )
        for row, mine in zip(table.rows, ours, strict=True)
    ]
    return element("table", element("thead", element("tr", *heads)), element("tbody", *rows))


def _head(column: Column) -> list[str]:
    sign = _UNIT_SIGNS.get(column.unit, "")
    if not sign or re.search(rf"(?:\b|\s|\(){re.escape(sign)}(?:\b|\)|$)", column.name):
        return [column.name]
    return [column.name, "\u00a0", element("span", sign, class_="unit")]


def _side(column: Column) -> str | None:
    return None if column.unit == "text" else "number"


def _is_ours(row: tuple[Cell, ...], columns: tuple[Column, ...]) -> bool:
    """Whether a row is midfill's, to be found at a glance among its peers."""
    return any(
        isinstance(cell, str) and column.unit == "text" and cell.lower().startswith("midfill")
        for cell, column in zip(row, columns, strict=True)
    )


def _cell(cell: Cell, column: Column, *, first: bool) -> Markup:
    text = value(cell, column.unit)
    if column.unit == "percent":
        text = text.removesuffix(" %")  # the head of the column says it
    around = interval(cell, column.unit)
    content: list[str] = [text]
    if around:
        content += [" ", element("span", around, class_="interval")]
    if first and column.unit == "text":
        return element("th", *content, scope="row")
    if column.unit == "text" and len(text) > _LONG_CHARS:
        return element("td", *content, class_="long")
    return element("td", *content, class_=_side(column))


def _provenance(run: RunInfo) -> Markup:
    where = run.machine
    facts = {
        "Command": f"python -m benchmarks {run.benchmark}",
        "Model": run.model,
        "SHA-256": run.model_sha256,
        "Commit": run.commit,
        "Code": run.code,
        "Machine": f"{where}, {where.system}, Python {where.python}, load {where.load_1min:g}",
        "Started": run.started,
        "Options": ", ".join(f"{name} {option(v)}" for name, v in run.options.items()),
    }
    pairs = [
        element("div", element("dt", name), element("dd", text))
        for name, text in facts.items()
        if text
    ]
    return element("footer", element("dl", *pairs))


def _counted(n: int, noun: str) -> str:
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"
