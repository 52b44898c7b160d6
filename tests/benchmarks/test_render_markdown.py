"""Summaries as Markdown and on a terminal."""

from __future__ import annotations

import pytest

from benchmarks.render import markdown, terminal
from benchmarks.summary import Column, Table, Verdict
from tests.benchmarks import makers


def test_table() -> None:
    """Numbers are on the right, units in the head, and a bar does not end a cell."""
    assert markdown.table(makers.summary().tables[0]).splitlines() == [
        "| prompt | acceptance | p50 (ms) | shown |",
        "|---|--:|--:|--:|",
        "| midfill | 40.0 % (37.0–43.0) | 210 (190–230) | 1,234 |",
        "| peer \\| other | 35.0 % (32.0–38.0) | – | 5 |",
    ]


def test_text_stays_in_its_cell() -> None:
    """Line breaks and tags in a text change nothing around it."""
    table = Table(
        title="t",
        columns=(Column("a | b"),),
        rows=(("one\ntwo",), ("<script>",), ("<!-- /report -->",), ("a < b",)),
    )
    assert markdown.table(table).splitlines() == [
        "| a \\| b |",
        "|---|",
        "| one two |",
        "| &lt;script> |",
        "| &lt;!-- /report --> |",
        "| a < b |",
    ]


def test_whole_summary() -> None:
    """Headline, verdicts, tables with their notes, and what the run was made with."""
    text = markdown.render(makers.summary())
    parts = text.split("\n\n")
    assert parts[0] == "### Acceptance on invented lines (N = 1,040)"
    assert parts[1] == makers.summary().headline
    assert parts[2].splitlines() == [
        "- ✓ ahead: 40.0 % against 35.0 % of a peer",
        "- = level: AUC as the anchor",
        "- ✗ behind: 210 ms against 90 ms",
    ]
    assert parts[3] == "**By mode**"
    assert parts[5] == "Invented."
    assert parts[-2] == "A note on the method."
    assert parts[-1] == (
        "`acceptance` · 0.5b-instruct-q4 (sha256 abababababababab…) · commit fedcba987654+ · "
        "Imaginary 9000, 3 cores, 7.5 GiB, load 0.25 · 2031-02-03 · "
        "limit 40, modes full empty, repo None, seed 7"
    )


def test_an_excerpt_counts_many_wins() -> None:
    """Only what was won is shortened, and only where there is much of it."""
    wins = [Verdict(text=f"win {number}", outcome="ahead") for number in range(7)]
    others = (Verdict(text="draw", outcome="level"), Verdict(text="loss", outcome="behind"))
    few = markdown.excerpt(makers.summary(verdicts=(*wins[:6], *others)), ())
    assert few.count("✓ ahead: win") == 6
    many = markdown.excerpt(makers.summary(verdicts=(*wins, *others)), ()).split("\n\n")[1]
    assert many.splitlines() == [
        "- ✓ ahead: 7 of 9; the others:",
        "- = level: draw",
        "- ✗ behind: loss",
    ]


def test_document_counts_outcomes() -> None:
    """The whole report begins with how many comparisons ended how, lost ones too."""
    lost = makers.summary(verdicts=(Verdict(text="x", outcome="behind"),))
    text = markdown.document({"a": makers.summary(), "b": lost})
    assert "✓ 1 ahead, = 1 level, ✗ 2 behind." in text
    assert text.count("### ") == 2


def test_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    """Everything is printed as it is, brackets too, and no row is cut."""
    long = "a name [bold]in brackets[/bold] " + "x" * 150
    table = Table(
        title="[red]title", columns=(Column("[i]name"), Column("p50", "ms")), rows=((long, 5),)
    )
    terminal.render(makers.summary(tables=(table,), headline="[b]x", notes=("[dim]note",)))
    printed = capsys.readouterr().out
    for text in ("[red]title", "[i]name", long, "p50 (ms)", "[b]x", "[dim]note"):
        assert text in printed
    assert "✗ behind: 210 ms against 90 ms" in printed
    assert "Drawn by `python -m benchmarks report`: Coverage curve." in printed
