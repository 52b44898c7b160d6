"""The parts of a Markdown file that are made from summaries."""

from __future__ import annotations

import pytest

from benchmarks.render import markers
from benchmarks.summary import Summary
from lsp_server.errors import UsageError
from tests.benchmarks import makers

SUMMARIES: dict[str, Summary] = {
    "acceptance": makers.summary(),
    "latency-1.5b": makers.summary(headline="Invented latency.", tables=()),
}


def test_part_is_made_anew() -> None:
    """What stood between the markers goes; everything around them stays as it was."""
    text = "# Title\n\n<!-- report:acceptance -->\nold\n\nolder\n<!-- /report -->\n\nend"
    updated = markers.update(text, SUMMARIES)
    assert updated.startswith(
        "# Title\n\n<!-- report:acceptance -->\nInvented acceptance is 40.0 % (37.0–43.0)"
    )
    assert updated.endswith("seed 7\n<!-- /report -->\n\nend")
    assert "old" not in updated
    assert "- ✗ behind: 210 ms against 90 ms" in updated
    assert "**By mode**" in updated
    assert "**Second**" not in updated


def test_brief_part_tells_what_is_lost() -> None:
    """The headline, each lost comparison, a count of the others, and the run; no table."""
    text = "<!-- report:acceptance tables=brief -->\n<!-- /report -->\n"
    updated = markers.update(text, SUMMARIES)
    assert "Invented acceptance is 40.0 % (37.0–43.0)" in updated
    assert "- ✗ behind: 210 ms against 90 ms" in updated
    assert "Comparisons: " in updated
    assert "ahead: " not in updated
    assert "|" not in updated
    assert markers.update(updated, SUMMARIES) == updated


@pytest.mark.parametrize("end_of_line", ["\n", "\r\n"])
def test_twice_is_once(end_of_line: str) -> None:
    """A second update changes nothing, and the file keeps its line ends."""
    lines = [
        "before",
        "  <!-- report:acceptance tables=all -->",
        "<!-- /report -->",
        "between",
        "<!--report:latency-1.5b-->",
        "x",
        "<!--/report-->",
    ]
    once = markers.update(end_of_line.join(lines) + end_of_line, SUMMARIES)
    assert markers.update(once, SUMMARIES) == once
    assert "Invented latency." in once
    assert once.count("\n") == once.count(end_of_line)


@pytest.mark.parametrize(
    ("choice", "titles"),
    [
        ("", ["By mode"]),
        (" tables=2", ["Second"]),
        (" tables=2,1", ["Second", "By mode"]),
        (" tables=all", ["By mode", "Second"]),
        (" tables=none", []),
    ],
)
def test_choice_of_tables(choice: str, titles: list[str]) -> None:
    """Tables are chosen by number, in the order given; the first one alone by default."""
    text = markers.update(f"<!-- report:acceptance{choice} -->\n<!-- /report -->\n", SUMMARIES)
    found = [line.strip("*") for line in text.splitlines() if line.startswith("**")]
    assert found == titles


@pytest.mark.parametrize(
    ("text", "code", "named"),
    [
        ("no marker at all\n", "no_markers", "report:NAME"),
        ("in <!-- report:acceptance --> text\n", "no_markers", "line of its own"),
        ("x\n<!-- report:acceptance -->\ny\n", "unclosed_marker", "line 2"),
        (
            "<!-- report:acceptance -->\n<!-- report:latency-1.5b -->\n<!-- /report -->\n",
            "unclosed_marker",
            "line 1",
        ),
        ("x\n<!-- /report -->\n", "unclosed_marker", "Line 2"),
        (
            "<!-- report:peers -->\n<!-- /report -->\n",
            "unknown_summary",
            "peers. There are: acceptance, latency-1.5b.",
        ),
        (
            "<!-- report:acceptance tables=3 -->\n<!-- /report -->\n",
            "unknown_table",
            "1 By mode, 2 Second",
        ),
        (
            "<!-- report:acceptance tables=0 -->\n<!-- /report -->\n",
            "unknown_table",
            "tables 0",
        ),
        ("<!-- report:acceptance table=1 -->\n<!-- /report -->\n", "bad_marker", "line 1"),
        ("<!-- report:acceptance\n<!-- /report -->\n", "bad_marker", "line 1"),
    ],
)
def test_markers_that_cannot_be_used(text: str, code: str, named: str) -> None:
    """A marker that is not understood is an error that names its line, never a guess."""
    with pytest.raises(UsageError) as raised:
        markers.update(text, SUMMARIES)
    assert raised.value.code == code
    assert named in str(raised.value)


def test_code_blocks_are_left_alone() -> None:
    """A marker that is shown as an example is not one."""
    example = "````md\n```\n<!-- report:nothing -->\n```\n````\n"
    part = "<!-- report:latency-1.5b -->\n```\nold\n<!-- /report -->\n"
    updated = markers.update(example + part + example, SUMMARIES)
    assert updated.startswith(example)
    assert updated.endswith(example)
    assert "old" not in updated
