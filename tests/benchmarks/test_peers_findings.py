"""The table of prompts, from made-up walks."""

from __future__ import annotations

from benchmarks.figures import Figure
from benchmarks.peers.findings import PeerWalk, balanced, findings
from benchmarks.replay.types import Match, Opportunity, Suggestion, Walk
from benchmarks.summary import Summary, Table
from tests.benchmarks.makers import made_up_run


def walk_of(place: int, right: list[bool]) -> Walk:
    """A walk in a file of its own, with one opportunity for each outcome."""
    found = []
    for number, is_right in enumerate(right):
        match = Match(
            line=is_right,
            block=is_right,
            prefix=is_right,
            n_accepted=0,
            n_prefix=0,
            edit_similarity=1.0 if is_right else 0.25,
        )
        found.append(
            Opportunity(
                line=number,
                column=4,
                kind="line_start" if number % 2 == 0 else "after_punctuation",
                in_comment=False,
                target="value = compute(1)",
                n_target_tokens=6,
                suggestion=Suggestion(text="something", n_prompt=100, n_reused=60),
                match=match,
                accepted=False,
            )
        )
    return Walk(
        project="p",
        cluster=f"p|f{place}.py",
        path=f"f{place}.py",
        target=f"f{place}.py:1-9",
        suffix="full",
        new_file=False,
        n_characters=90,
        n_typed=90,
        opportunities=tuple(found),
    )


def records_of(**by_strategy: list[list[bool]]) -> list[PeerWalk]:
    """Records of strategies, one walk for each list of outcomes."""
    return [
        PeerWalk(strategy=name.replace("_", "-"), walk=walk_of(place, right))
        for name, walks in by_strategy.items()
        for place, right in enumerate(walks)
    ]


def summary_of(**by_strategy: list[list[bool]]) -> Summary:
    """The findings of made-up outcomes."""
    names = [name.replace("_", "-") for name in by_strategy]
    return findings(records_of(**by_strategy), names, made_up_run(options={"seed": 1}))


def column(table: Table, name: str) -> dict[str, object]:
    """A column of a table by prompt."""
    at = [c.name for c in table.columns].index(name)
    return {str(row[0]): row[at] for row in table.rows}


def test_prompts_are_sorted_by_lines_right() -> None:
    """The best prompt comes first, in the table and in the plot."""
    good, half, bad = [[True] * 4] * 6, [[True, False] * 2] * 6, [[False] * 4] * 6
    summary = summary_of(midfill=half, tabby=bad, cody_local=good)
    assert [row[0] for row in summary.tables[0].rows] == ["cody-local", "midfill", "tabby"]
    assert summary.plots[0].labels == ("cody-local", "midfill", "tabby")
    assert summary.plots[0].series[0].y == (1.0, 0.5, 0.0)
    assert summary.headline.startswith("The most lines right come from the prompt of cody-local")
    assert "midfill's own 50.0 %" in summary.headline
    assert summary.n == 24


def test_verdicts_name_winners_and_losers() -> None:
    """Ahead and behind are said where the paired interval leaves no doubt, else level."""
    mixed = [[True, False], [False, True], [True, True], [False, False]] * 2
    other = [[False, True], [True, False], [True, True], [False, False]] * 2
    summary = summary_of(
        midfill=mixed, tabby=[[False] * 2] * 8, continue_=[[True] * 2] * 8, file_only=other
    )
    outcomes = {v.text.split("that of ")[1].split(",")[0]: v.outcome for v in summary.verdicts}
    assert outcomes == {"continue-": "behind", "file-only": "level", "tabby": "ahead"}


def test_figures_of_a_prompt() -> None:
    """A row has the shares by pause, the tokens, and the difference to midfill."""
    summary = summary_of(midfill=[[True, False]] * 4, tabby=[[True, True]] * 4)
    table = summary.tables[0]
    starts, middles = column(table, "at line start"), column(table, "mid-line")
    assert [starts["midfill"], middles["midfill"]] == [
        Figure(value=1.0, low=1.0, high=1.0, n=4),
        Figure(value=0.0, low=0.0, high=0.0, n=4),
    ]
    assert column(table, "prompt tokens") == {"midfill": 100.0, "tabby": 100.0}
    assert column(table, "evaluated") == {"midfill": 40.0, "tabby": 40.0}
    difference = column(table, "midfill − it")
    assert difference["midfill"] is None
    assert difference["tabby"] == Figure(value=-0.5, low=-0.5, high=-0.5, n=8)


def test_targets_that_one_prompt_lacks_are_left_out() -> None:
    """An interrupted run compares only what all prompts were asked about."""
    records = records_of(midfill=[[True]] * 3, tabby=[[False]] * 2)
    found = balanced(records, ["midfill", "tabby"])
    assert {name: [walk.path for walk in walks] for name, walks in found.items()} == {
        "midfill": ["f0.py", "f1.py"],
        "tabby": ["f0.py", "f1.py"],
    }


def test_without_midfill_there_is_no_verdict() -> None:
    """Peers may be compared with one another."""
    summary = summary_of(tabby=[[True]] * 3, cody_local=[[False]] * 3)
    assert summary.verdicts == ()
    assert "next cody-local" in summary.headline


def test_equal_prompts_share_the_first_place() -> None:
    """Where two prompts are right equally often, the headline names no winner."""
    summary = summary_of(tabby=[[True, False]] * 3, midfill=[[False, True]] * 3)
    assert summary.headline.startswith("No prompt leads alone: midfill, tabby have 50.0 %")
