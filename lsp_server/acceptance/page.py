"""The figures as one HTML page that needs no network, no script and no font of its own."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from html import escape

from lsp_server.acceptance import charts, tables
from lsp_server.acceptance.charts import Bar, chart
from lsp_server.acceptance.coverage import Curve
from lsp_server.acceptance.history import LATENCY_BOUNDS_MS, Day, latency_counts
from lsp_server.acceptance.report import Report
from lsp_server.acceptance.tables import meters, table
from lsp_server.acceptance.tally import Tally
from lsp_server.reasons import OVERTAKEN, explain

_WEEK = 7
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
.card b { display: block; font-size: 1.6rem; line-height: 1.2; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.card span { color: var(--soft); font-size: .85rem; line-height: 1.35; display: block; }
@media (max-width: 30rem) { .card b { font-size: 1.4rem; } }
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
        _section("Characters written, day by day", _characters(days), _characters_note(days)),
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
    if not total.shown:
        body = _nothing(total)
    begun = f"Since {escape(since)}, as of" if since else "As of"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>midfill: suggestions</title>
<style>{_STYLE}{tables.STYLE}{charts.STYLE}</style>
</head>
<body>
<h1>Suggestions</h1>
<p class="soft">{begun} {made:%Y-%m-%d %H:%M}. From the acceptance log on this machine, which
holds sizes, hashes and timings, and no source text.</p>
{body}
</body>
</html>
"""


def _nothing(total: Tally) -> str:
    """What stands there before anything was shown: what to do, or why there was nothing."""
    if not total.requested:
        return _NOTHING
    return f"<p>None was shown yet, of {total.requested:,} asked for.</p>\n{_reasons(total)}"


def _cards(report: Report) -> str:
    total = report.total
    figures = total.as_json()
    rate, ci95 = figures["acceptance_rate"], figures["acceptance_rate_ci95"]
    kept = next((each for each in total.retention if each.after_s == _KEPT_AFTER_S), None)
    p50 = figures["latency_ms"]["p50"]
    cards = [
        (_percent(rate), f"accepted, 95% interval {_percent(ci95[0])} to {_percent(ci95[1])}"
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
    bars = [
        Bar(
            f"{day.date}: {day.n_shown:,} shown, {day.n_accepted:,} accepted",
            _date(day),
            (("under", day.n_shown), ("bar", day.n_accepted)),
        )
        for day in days
    ]
    legend = (("under", "shown"), ("bar", "accepted whole"))
    return chart("Shown and accepted suggestions of each day", bars, legend=legend)


def _rates(days: Sequence[Day]) -> str:
    bars = [
        Bar(
            f"{day.date}: {_percent(day.rate)} of {day.n_shown:,}",
            _date(day),
            (("under", day.rate or 0.0),),
        )
        for day in days
    ]
    legend = (("under", "accepted whole, of the shown"), ("line", "of seven days"))
    line = [_rate_of(days[max(0, n - _WEEK + 1) : n + 1]) for n in range(len(days))]
    has_week = len(days) >= _WEEK
    return chart(
        "Share of the shown that was accepted, of each day",
        bars,
        is_share=True,
        legend=legend if has_week else legend[:1],
        line=line if has_week else (),
    )


def _rate_of(days: Sequence[Day]) -> float | None:
    n_shown = sum(day.n_shown for day in days)
    return sum(day.n_accepted for day in days) / n_shown if n_shown else None


def _date(day: Day) -> str:
    return f"{day.date.day} {day.date:%b}"


def _rate_note(total: Tally) -> str:
    if not total.glimpsed:
        return ""
    one = total.glimpsed == 1
    return (
        f"{total.glimpsed:,} that {'was' if one else 'were'} superseded within half a second "
        f"{'is' if one else 'are'} left out, here and in every rate."
    )


def _characters(days: Sequence[Day]) -> str:
    bars = [
        Bar(
            f"{day.date}: {day.n_chars:,} written, {day.n_accepted_chars:,} of suggestions",
            _date(day),
            (("under", day.n_chars), ("bar", day.n_accepted_chars)),
        )
        for day in days
    ]
    legend = (("under", "all that came into documents"), ("bar", "of accepted suggestions"))
    return chart("Characters written on each day", bars, legend=legend)


def _characters_note(days: Sequence[Day]) -> str:
    n_chars, n_accepted = sum(d.n_chars for d in days), sum(d.n_accepted_chars for d in days)
    return f"{_span(days)}: {n_chars:,} in all, {n_accepted:,} of accepted suggestions."


def _latencies(latencies_ms: Sequence[float]) -> str:
    names = [f"{bound:,.0f}" for bound in LATENCY_BOUNDS_MS] + ["more"]
    bars = [
        Bar(f"{'' if name == 'more' else 'up to '}{name} ms: {count:,}", name, (("bar", count),))
        for name, count in zip(names, latency_counts(latencies_ms), strict=True)
    ]
    return chart("Suggestions by the time they took", bars, every_label=True)


def _days_note(days: Sequence[Day]) -> str:
    n_shown, n_accepted = sum(d.n_shown for d in days), sum(d.n_accepted for d in days)
    return f"{_span(days)}: {n_shown:,} shown, {n_accepted:,} of them accepted whole."


def _span(days: Sequence[Day]) -> str:
    return "On this day" if len(days) == 1 else f"On these {len(days)} days"


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
        Bar(
            f"{row[0]}: {row[1]} of the characters",
            row[0],
            (("bar", each.as_json()["kept_chars"] or 0.0),),
        )
        for row, each in zip(rows, total.retention, strict=True)
    ]
    name = "What is left of accepted suggestions"
    drawn = chart(name, bars, is_share=True, every_label=True)
    note = "Share of the accepted characters that still stand so long after the accept."
    return _section(name, drawn + table(heads, rows), note)


def _outcomes(total: Tally) -> str:
    rows = [(name, n, "") for name, n in total.outcomes if n]
    note = ""
    if total.read:
        rate = _percent(total.as_json()["read_acceptance_rate"])
        note = (
            f"{total.read:,} stood for three quarters of a second and more, long enough to be "
            f"read; {rate} of these were accepted whole."
        )
    return _section("What became of the shown", meters(("outcome", "suggestions"), rows), note)


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
    return table(("up to ms", "shown", "accepted", "rate"), rows)


def _coverage(found: Curve) -> str:
    bars = [
        Bar(
            f"{point.coverage:.0%} shown: {_percent(point.acceptance)} accepted",
            f"{point.coverage:.0%}",
            (("bar", point.acceptance),),
        )
        for point in found.at_coverage
        if point.acceptance is not None
    ]
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
    name = "Acceptance against coverage"
    drawn = chart(name, bars, is_share=True, every_label=True)
    return _section(name, drawn + table(heads, rows), note)


def _groups(report: Report) -> str:
    rows = []
    for key, tally in report.groups[:_MAX_GROUPS]:
        figures = tally.as_json()
        p50 = figures["latency_ms"]["p50"]
        rows.append(
            (
                " · ".join(_short(value) for value in key),
                f"{tally.shown:,}",
                f"{tally.accepted:,}",
                _percent(figures["acceptance_rate"]),
                "–" if p50 is None else f"{p50:,.0f}",
            )
        )
    heads = (" · ".join(report.by) or "all", "shown", "accepted", "rate", "p50 ms")
    return _section("By " + " and ".join(report.by), table(heads, rows)) if report.by else ""


def _short(value: str) -> str:
    """The value of a group; a model may be named by the path of its file."""
    return value.replace("\\", "/").rpartition("/")[2] or "–"


def _reasons(total: Tally) -> str:
    failed = [(code, n) for code, n in total.failed.items() if code not in OVERTAKEN]
    rows = [(code, n, " ".join(explain(code)).strip()) for code, n in failed[:_MAX_REASONS]]
    heads = ("reason", "times")
    return _section("Why there was no suggestion", meters(heads, rows, "what it means"))


def _percent(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"
