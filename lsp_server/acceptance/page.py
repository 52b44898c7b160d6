"""The figures as one HTML page that needs no network, no script and no font of its own."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from html import escape

from lsp_server.acceptance.coverage import Curve
from lsp_server.acceptance.history import LATENCY_BOUNDS_MS, Day, latency_counts
from lsp_server.acceptance.report import Report
from lsp_server.acceptance.tally import Tally
from lsp_server.reasons import OVERTAKEN, explain

_WIDTH, _HEIGHT, _GAP = 720, 160, 2
_MAX_REASONS = 12
_MAX_GROUPS = 40
_KEPT_AFTER_S = 120.0

_NOTHING = """<p>No suggestions are recorded yet. Fetch a model with
<code>midfill model fetch</code>, connect your editor, and write some code; then make this page
again.</p>"""

_STYLE = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5f6670; --line: #d8dce1;
  --paper: #ffffff; --card: #f5f7f9; --main: #2f6fde; --other: #b9cdf3; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e8eb; --soft: #9aa2ad; --line: #343a42;
  --paper: #15181c; --card: #1e2329; --main: #7aa7ff; --other: #33507f; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 48rem; padding: 2rem 1rem 4rem; background: var(--paper);
  color: var(--ink); font: 1rem/1.5 system-ui, sans-serif; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2.5rem 0 .5rem; }
p { margin: .5rem 0; } .soft { color: var(--soft); }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(7.5rem, 1fr)); gap: .75rem;
  margin: 1.5rem 0; }
.card { background: var(--card); border-radius: .5rem; padding: .75rem; }
.card b { display: block; font-size: 1.6rem; line-height: 1.2; font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .85rem; line-height: 1.35; display: block; }
svg { width: 100%; min-width: 34rem; height: auto; display: block; }
svg text { fill: var(--soft); font-size: 11px; }
.meter { width: 40%; min-width: 6rem; } .meter.short { width: 6rem; }
.meter i { display: block; height: .75rem;
  border-radius: 2px; background: var(--main); }
.bar { fill: var(--main); } .under { fill: var(--other); } .axis { stroke: var(--line); }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: right; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  white-space: nowrap; font-variant-numeric: tabular-nums; }
th:first-child, td:first-child, .text { text-align: left; } td.text { white-space: normal; }
th { font-weight: 600; color: var(--soft); font-size: .85rem; }
@media print { body { max-width: none; } .card, svg { break-inside: avoid; } }
"""


def page(
    report: Report,
    days: Sequence[Day],
    found: Curve | None = None,
    *,
    since: str,
    made: datetime.datetime,
) -> str:
    """The whole page.

    Args:
        report: all figures.
        days: the same by day.
        found: acceptance against coverage; None where too little is known.
        since: what the figures begin with, for the reader; "" for all there is.
        made: when.
    """
    total = report.total
    sections = [
        _cards(report),
        _section("Shown and accepted, day by day", _counts(days), _days_note(days)),
        _section("Acceptance, day by day", _rates(days), _rate_note(total)),
        _outcomes(total),
        _section("Characters written, day by day", _characters(days), _characters_note(report)),
        _section(
            "Time until a suggestion could be shown",
            _latencies(total.latencies_ms),
            "From the request to the first text; milliseconds, upper bound of each bar.",
        ),
        _latency_rates(report),
        _coverage(found) if found else "",
        _retention(total),
        _groups(report),
        _reasons(total),
    ]
    body = "\n".join(part for part in sections if part)
    if not (total.requested or total.shown):
        body = _NOTHING
    begun = f"Since {escape(since)}, as of" if since else "As of"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>midfill: suggestions</title>
<style>{_STYLE}</style>
</head>
<body>
<h1>Suggestions</h1>
<p class="soft">{begun} {made:%Y-%m-%d %H:%M}. From the acceptance log on this machine, which
holds sizes, hashes and timings, and no source text.</p>
{body}
</body>
</html>
"""


def _cards(report: Report) -> str:
    total = report.total
    figures = total.as_json()
    rate, ci95 = figures["acceptance_rate"], figures["acceptance_rate_ci95"]
    kept = next((each for each in total.retention if each.after_s == _KEPT_AFTER_S), None)
    p50 = figures["latency_ms"]["p50"]
    cards = [
        (_percent(rate), f"accepted, 95 % interval {_percent(ci95[0])} to {_percent(ci95[1])}"
         if ci95 else "accepted"),
        (f"{total.shown:,}", f"shown, {total.accepted:,} accepted whole"),
        (_percent(report.written_share), "of all characters are of suggestions"),
        (_percent(kept.as_json()["kept_chars"] if kept else None),
         "of accepted characters stand after 2 minutes"),
        ("–" if p50 is None else f"{p50:,.0f} ms", "until a suggestion (median)"),
    ]  # fmt: skip
    inner = "".join(f'<div class="card"><b>{value}</b><span>{text}</span></div>'
                    for value, text in cards)  # fmt: skip
    return f'<div class="cards">{inner}</div>'


def _section(title: str, inner: str, note: str = "") -> str:
    if not inner:
        return ""
    foot = f'<p class="soft">{note}</p>' if note else ""
    return f"<h2>{title}</h2>\n{inner}\n{foot}"


# -- charts ------------------------------------------------------------------------------


def _counts(days: Sequence[Day]) -> str:
    top = max((day.n_shown for day in days), default=0)
    if not top:
        return ""
    bars = []
    for day in days:
        title = f"{day.date}: {day.n_shown:,} shown, {day.n_accepted:,} accepted"
        bars.append((title, [("under", day.n_shown / top), ("bar", day.n_accepted / top)]))
    return _bars(bars, [str(day.date) for day in days], f"{top:,}")


def _rates(days: Sequence[Day]) -> str:
    if not any(day.n_shown for day in days):
        return ""
    bars = []
    for day in days:
        rate = day.rate or 0.0
        bars.append((f"{day.date}: {_percent(day.rate)} of {day.n_shown:,}", [("bar", rate)]))
    return _bars(bars, [str(day.date) for day in days], "100 %")


def _rate_note(total: Tally) -> str:
    text = "Accepted whole, of the shown."
    if total.glimpsed:
        text += (
            f" {total.glimpsed:,} that were superseded within half a second are left out, here and "
            "in every rate."
        )
    return text


def _characters(days: Sequence[Day]) -> str:
    top = max((day.n_chars for day in days), default=0)
    if not top:
        return ""
    bars = []
    for day in days:
        title = f"{day.date}: {day.n_chars:,} written, {day.n_accepted_chars:,} of suggestions"
        bars.append((title, [("under", day.n_chars / top), ("bar", day.n_accepted_chars / top)]))
    return _bars(bars, [str(day.date) for day in days], f"{top:,}")


def _characters_note(report: Report) -> str:
    return (
        f"Pale: all that came into documents ({report.n_written_chars:,}); full: of accepted "
        f"suggestions ({report.n_written_accepted:,})."
    )


def _latencies(latencies_ms: Sequence[float]) -> str:
    counts = latency_counts(latencies_ms)
    top = max(counts)
    if not top:
        return ""
    names = [f"{bound:g}" for bound in LATENCY_BOUNDS_MS] + ["more"]
    bars = [
        (f"up to {name} ms: {count:,}", [("bar", count / top)])
        for name, count in zip(names, counts, strict=True)
    ]
    return _bars(bars, names, f"{top:,}", every_label=True)


def _bars(
    bars: Sequence[tuple[str, Sequence[tuple[str, float]]]],
    labels: Sequence[str],
    top: str,
    *,
    every_label: bool = False,
) -> str:
    """Bars side by side, each with shares of the height that are drawn one over the other."""
    step = _WIDTH / len(bars)
    width = min(step - _GAP, 48.0) if step > _GAP + 1 else step
    parts = [f'<line class="axis" x1="0" x2="{_WIDTH}" y1="{_HEIGHT}" y2="{_HEIGHT}"/>']
    for number, (title, layers) in enumerate(bars):
        x = number * step + (step - width) / 2
        rects = "".join(
            f'<rect class="{kind}" x="{x:.1f}" width="{width:.1f}" '
            f'y="{_HEIGHT * (1 - share):.1f}" height="{_HEIGHT * share:.1f}"/>'
            for kind, share in layers
        )
        parts.append(f"<g><title>{escape(title)}</title>{rects}</g>")
        if every_label:
            parts.append(
                f'<text x="{number * step + step / 2:.1f}" y="{_HEIGHT + 16}" '
                f'text-anchor="middle">{escape(labels[number])}</text>'
            )
    if not every_label:
        parts.append(f'<text x="0" y="{_HEIGHT + 16}">{escape(labels[0])}</text>')
        if len(labels) > 1:
            parts.append(
                f'<text x="{_WIDTH}" y="{_HEIGHT + 16}" text-anchor="end">'
                f"{escape(labels[-1])}</text>"
            )
    parts.append(f'<text x="0" y="-6">{escape(top)}</text>')
    view = f"0 -20 {_WIDTH} {_HEIGHT + 44}"
    return f'<div class="scroll"><svg viewBox="{view}" role="img">{"".join(parts)}</svg></div>'


def _days_note(days: Sequence[Day]) -> str:
    n_shown, n_accepted = sum(d.n_shown for d in days), sum(d.n_accepted for d in days)
    return f"Pale: shown ({n_shown:,}); full: accepted whole ({n_accepted:,})."


# -- tables ------------------------------------------------------------------------------


def _retention(total: Tally) -> str:
    rows = [
        (
            f"{each.after_s:g} s" if each.after_s < 120 else f"{each.after_s / 60:g} min",
            _percent(each.as_json()["kept_chars"]),
            _percent(each.as_json()["mostly_kept"]),
            f"{each.n:,}",
        )
        for each in total.retention
    ]
    heads = ("after", "characters kept", "two thirds and more kept", "suggestions")
    bars = [
        (f"{row[0]}: {row[1]} of the characters", [("bar", each.as_json()["kept_chars"] or 0.0)])
        for row, each in zip(rows, total.retention, strict=True)
    ]
    chart = _bars(bars, [row[0] for row in rows], "100 %", every_label=True) if bars else ""
    note = "Share of the accepted characters that still stand so long after the accept."
    return _section("What is left of accepted suggestions", chart + _table(heads, rows), note)


def _outcomes(total: Tally) -> str:
    rows = [(name, n, "") for name, n in total.outcomes if n]
    note = ""
    if total.read:
        rate = _percent(total.as_json()["read_acceptance_rate"])
        note = (
            f"{total.read:,} stood for three quarters of a second and more, long enough to be "
            f"read; {rate} of these were accepted whole."
        )
    return _section("What became of the shown", _meters(("outcome", "suggestions"), rows), note)


def _latency_rates(report: Report) -> str:
    rows = [
        (
            "more" if bucket.up_to_ms is None else f"{bucket.up_to_ms:,.0f}",
            f"{bucket.shown:,}",
            f"{bucket.accepted:,}",
            _percent(bucket.as_json()["acceptance_rate"]),
        )
        for bucket in report.latency
        if bucket.shown
    ]
    return _table(("up to ms", "shown", "accepted", "rate"), rows)


def _coverage(found: Curve) -> str:
    bars = [
        (
            f"{point.coverage:.0%} shown: {_percent(point.acceptance)} accepted",
            [("bar", point.acceptance or 0.0)],
        )
        for point in found.at_coverage
    ]
    names = [f"{point.coverage:.0%}" for point in found.at_coverage]
    rows = [
        (
            f"{level:.0%}",
            f"{point.coverage:.0%}",
            f"{point.n:,}",
            "–" if point.least is None else f"{point.least:.2f}",
        )
        for level, point in found.at_acceptance
    ]
    heads = ("accepted", "coverage", "suggestions", f"shown from, {found.ranked_by}")
    now = found.now
    note = (
        f"Accepted whole or in part, where only so many of the likeliest are shown. You stand at "
        f"{now.coverage:.0%} coverage with {_percent(now.acceptance)}; {found.n_held_back:,} of "
        f"{found.n_made:,} suggestions were held back."
    )
    chart = _bars(bars, names, "100 %", every_label=True)
    return _section("Acceptance against coverage", chart + _table(heads, rows), note)


def _groups(report: Report) -> str:
    rows = []
    for key, tally in report.groups[:_MAX_GROUPS]:
        figures = tally.as_json()
        p50 = figures["latency_ms"]["p50"]
        rows.append(
            (
                " · ".join(value or "–" for value in key),
                f"{tally.shown:,}",
                f"{tally.accepted:,}",
                _percent(figures["acceptance_rate"]),
                "–" if p50 is None else f"{p50:,.0f}",
            )
        )
    heads = (" · ".join(report.by) or "all", "shown", "accepted", "rate", "p50 ms")
    return _section("By " + " and ".join(report.by), _table(heads, rows)) if report.by else ""


def _reasons(total: Tally) -> str:
    failed = [(code, n) for code, n in total.failed.items() if code not in OVERTAKEN]
    rows = [(code, n, " ".join(explain(code)).strip()) for code, n in failed[:_MAX_REASONS]]
    heads = ("reason", "times")
    return _section("Why there was no suggestion", _meters(heads, rows, "what it means"))


def _meters(
    heads: tuple[str, str], rows: Sequence[tuple[str, int, str]], text_head: str = ""
) -> str:
    """A table with a bar beside each number, and a sentence behind where there is one."""
    if not rows:
        return ""
    top = max(n for _, n, _ in rows)
    head = f"<th>{heads[0]}</th><th>{heads[1]}</th><th></th>"
    head += f'<th class="text">{text_head}</th>' if text_head else ""
    body = "".join(
        f"<tr><td>{escape(name)}</td><td>{n:,}</td>"
        f'<td class="meter{" short" if text_head else ""}">'
        f'<i style="width:{100 * n / top:.1f}%"></i></td>'
        + (f'<td class="text">{escape(text)}</td>' if text_head else "")
        + "</tr>"
        for name, n, text in rows
    )
    return (
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, text_column: int = -1) -> str:
    """A table; one column may hold sentences."""
    if not rows:
        return ""

    def cells(tag: str, row: Sequence[str]) -> str:
        kinds = (' class="text"' if number == text_column else "" for number in range(len(row)))
        return "".join(
            f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, row, strict=True)
        )

    body = "".join(f"<tr>{cells('td', row)}</tr>" for row in rows)
    return (
        f'<div class="scroll"><table><thead><tr>{cells("th", heads)}</tr></thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
