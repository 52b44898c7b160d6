"""The figures of ``midfill stats`` as tables."""

from __future__ import annotations

from rich.console import Console

from lsp_server.acceptance.coverage import Curve
from lsp_server.acceptance.figures import local_time
from lsp_server.acceptance.report import Report
from lsp_server.acceptance.tally import Tally
from lsp_server.commands.output import console, print_rows


def print_table(report: Report, found: Curve | None, since_ts: float | None) -> None:
    """Print what became of suggestions.

    Args:
        report: the counts.
        found: what would be accepted if less were shown; None where that is not known.
        since_ts: older ones are left out, in seconds since 1970.
    """
    total = report.total
    out = console()
    out.print(f"Suggestions {f'since {local_time(since_ts)}' if since_ts else 'so far'}\n")
    headings = ("asked", "shown", "assumed", "accepted", "in part", "dismissed", "rate", "95 % CI",
                "p50 ms", "p95 ms")  # fmt: skip
    rows = [(*report.by, *headings)]
    rows += [(*(value or "–" for value in key), *_cells(tally)) for key, tally in report.groups]
    styles = ["bold", *[""] * len(report.groups)]
    if len(report.groups) > 1:
        rows.append(("all", *[""] * (len(report.by) - 1), *_cells(total)))
        styles.append("bold")
    print_rows(rows, to=out, styles=styles)
    _print_outcomes(total)
    _print_latency(report)
    _print_retention(total)
    if found is not None:
        _print_curve(found, out)
    out.print()
    for note in _notes(report):
        out.print(note)


def _print_outcomes(total: Tally) -> None:
    if not total.shown:
        return
    out = console()
    out.print("\nWhat became of the shown\n")
    rows = [("outcome", "suggestions", "share")]
    rows += [(name, f"{n:,}", f"{n / total.shown:.0%}") for name, n in total.outcomes if n]
    print_rows(rows, to=out, styles=["bold", *[""] * len(rows)])
    if total.read:
        rate = total.as_json()["read_acceptance_rate"]
        out.print(
            f"\n{total.read:,} stood long enough to be read (750 ms); {rate:.0%} of these were "
            "accepted whole."
        )


def _print_latency(report: Report) -> None:
    buckets = [bucket for bucket in report.latency if bucket.shown]
    if not buckets:
        return
    out = console()
    out.print("\nBy the time until they could be shown\n")
    rows = [("up to ms", "shown", "accepted", "rate")]
    rows += [
        (
            "more" if bucket.up_to_ms is None else f"{bucket.up_to_ms:,.0f}",
            f"{bucket.shown:,}",
            f"{bucket.accepted:,}",
            _share(bucket.as_json()["acceptance_rate"]),
        )
        for bucket in buckets
    ]
    print_rows(rows, to=out, styles=["bold", *[""] * len(rows)])


def _print_retention(total: Tally) -> None:
    if not total.retention:
        return
    out = console()
    out.print("\nWhat is left of accepted suggestions\n")
    rows = [("after", "characters kept", "two thirds and more kept", "suggestions")]
    rows += [
        (_age(each.after_s), _share(figures["kept_chars"]), _share(figures["mostly_kept"]),
         f"{each.n:,}")
        for each in total.retention
        for figures in [each.as_json()]
    ]  # fmt: skip
    print_rows(rows, to=out, styles=["bold", *[""] * len(total.retention)])


def _print_curve(found: Curve, out: Console) -> None:
    out.print(f"\nWhat would be accepted if less were shown, by {found.ranked_by}\n")
    rows = [("coverage", "accepted", "95 % CI", "suggestions", "shown from")]
    rows += [
        (
            f"{point.coverage:.0%}",
            _share(point.acceptance),
            "–" if point.ci95 is None else f"{point.ci95[0]:.0%}–{point.ci95[1]:.0%}",
            f"{point.n:,}" if point.acceptance is not None else "–",
            "–" if point.least is None else f"{point.least:.2f}",
        )
        for point in found.at_coverage
    ]
    print_rows(rows, to=out, styles=["bold"])
    reached = ", ".join(
        f"{level:.0%} accepted at {point.coverage:.0%} coverage"
        for level, point in found.at_acceptance
    )
    out.print(f"\nReached: {reached}.")
    now = found.now
    out.print(
        f"You stand at {now.coverage:.0%} coverage with {_share(now.acceptance)} accepted, whole "
        f"or in part; {found.n_held_back:,} of {found.n_made:,} suggestions were held back "
        "(completion.target_acceptance)."
    )
    if found.ece is not None:
        out.print(f"P(accept) is {found.ece:.1%} off on average (expected calibration error).")


def _notes(report: Report) -> list[str]:
    total = report.total
    notes = []
    if total.n_accepted_chars:
        notes.append(f"{total.n_accepted_chars:,} characters accepted.")
    if report.written_share is not None:
        notes.append(
            f"{report.written_share:.0%} of the {report.n_written_chars:,} characters that came "
            f"into documents are of accepted suggestions ({report.n_written_accepted:,}); "
            f"{report.n_human_chars:,} are yours."
        )
    if total.glimpsed:
        notes.append(
            f"{total.glimpsed:,} were superseded within half a second: they count in no rate."
        )
    notes.append(f"{report.n_sessions:,} session{'s' if report.n_sessions != 1 else ''}.")
    if total.shown_assumed:
        notes.append(
            f"{total.shown_assumed:,} of {total.shown:,} shown are assumed: their editor does "
            "not report what it shows. Not accepted then means unknown, not rejected."
        )
    if total.failed:
        reasons = ", ".join(f"{reason} {n:,}" for reason, n in total.failed.items())
        notes.append(f"Ended without a suggestion: {reasons}.")
    return notes


def _cells(tally: Tally) -> tuple[str, ...]:
    figures = tally.as_json()
    rate, ci95 = figures["acceptance_rate"], figures["acceptance_rate_ci95"]
    p50, p95 = figures["latency_ms"]["p50"], figures["latency_ms"]["p95"]
    return (
        f"{tally.requested:,}",
        f"{tally.shown:,}",
        f"{tally.shown_assumed:,}",
        f"{tally.accepted:,}",
        f"{tally.partially_accepted:,}",
        f"{tally.dismissed:,}",
        "–" if rate is None else f"{rate:.0%}",
        "–" if rate is None else f"{ci95[0]:.0%}–{ci95[1]:.0%}",
        "–" if p50 is None else f"{p50:,.0f}",
        "–" if p95 is None else f"{p95:,.0f}",
    )


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.0%}"


def _age(seconds: float) -> str:
    return f"{seconds:g} s" if seconds < 120 else f"{seconds / 60:g} min"
