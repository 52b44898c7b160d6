"""A suggestion as numbers."""

from __future__ import annotations

import math

import msgspec
import pytest

from lsp_server.score.evidence import Evidence, Past, Token
from lsp_server.score.features import NAMES, features, first_line
from tests.score.makers import evidence


def values(known: Evidence) -> dict[str, float]:
    """Features by name."""
    return dict(zip(NAMES, features(known), strict=True))


def test_every_feature_has_a_name() -> None:
    """As many numbers as names, and no name twice."""
    assert len(features(evidence())) == len(NAMES) == len(set(NAMES))


def test_nothing_is_made_of_nothing() -> None:
    """Evidence without tokens, names or history gives numbers, not errors."""
    found = features(Evidence(text=""))
    assert all(isinstance(value, float | int) for value in found)


def test_the_first_line_has_its_own_tokens() -> None:
    """Tokens of later lines say nothing of the first one."""
    found = values(evidence("ab\ncd", -1.0, -2.0, -4.0, -8.0, -8.0))
    assert found["logprob_sum"] == -3.0
    assert found["logprob_end"] == -4.0
    assert found["logprob_least"] == -2.0
    assert found["log_chars"] == pytest.approx(math.log(3))


def test_more_lines_change_nothing() -> None:
    """The score of the first line is that of the whole suggestion: nothing flickers."""
    tokens = tuple(Token(end, -0.2, 1.0, 0.5) for end in (3, 6, 7, 9, 12))
    first = Evidence(text="abcdef", raw="abcdef\n", tokens=tokens[:3])
    whole = Evidence(text="abcdef\nghijk", raw="abcdef\nghijk", tokens=tokens)
    assert features(first) == pytest.approx(features(whole), nan_ok=True)


def test_how_sure_the_end_of_the_line_is() -> None:
    """By the token that ends it, by the model's own end, or not at all where a filter cut it."""
    ended = evidence("done", -0.1, end_logprob=-0.7)
    cut = evidence("done", -0.1, -0.1, raw="done)xyz")
    merged = evidence("done", -0.1, raw="done\n")
    assert first_line(ended).end_logprob == -0.7
    assert first_line(cut).end_logprob is None
    assert first_line(merged).end_logprob == 0.0
    assert math.isnan(values(cut)["p_end"])
    assert values(cut)["end_known"] == 0.0


def test_engines_that_tell_no_alternatives() -> None:
    """Margins and entropies are unknown then, not zero."""
    known = Evidence(text="x", raw="x", tokens=(Token(1, -0.5),))
    found = values(known)
    assert math.isnan(found["margin_least"])
    assert math.isnan(found["entropy_sum"])
    assert found["logprob_sum"] == -0.5


def test_what_was_written_before() -> None:
    """Names, lines and beginnings that stand in the prompt are known."""
    around = "total = compute(first)\nresult = compute(second)\n"
    known = values(evidence("compute(first)", before=around + "total = ", line_before="total = "))
    new = values(evidence("invented(thing)", before=around + "total = ", line_before="total = "))
    assert (known["known_names"], known["line_known"], known["goes_on_as_before"]) == (1, 1, 1)
    assert (new["line_known"], new["n_new_names"]) == (0.0, 2.0)
    assert new["known_names"] < 1


def test_other_files_know_names_too() -> None:
    """What was put into the prompt from elsewhere counts."""
    found = values(evidence("invented(thing)", elsewhere=("def invented(thing): ...",)))
    assert found["known_names"] == 1.0
    assert found["other_files"] == 1.0


def test_a_half_typed_word_counts_as_a_whole() -> None:
    """The name is what was typed of it and what is suggested."""
    typed = values(
        evidence("ute(x)", line_before="a = comp", before="def compute(x): ...\na = comp")
    )
    assert typed["inside_word"] == 1.0
    assert typed["known_names"] == 1.0


def test_brackets_and_ends() -> None:
    """A statement that is complete, one that stays open, one that closes too much."""
    assert values(evidence("f(x)"))["balanced"] == 1.0
    assert values(evidence("f(x"))["balanced"] == 0.0
    assert values(evidence("x))"))["balanced"] == 0.0
    assert values(evidence("f(')')"))["balanced"] == 1.0
    assert values(evidence("if x:"))["ends_colon"] == 1.0


@pytest.mark.parametrize(
    ("before", "text", "below", "opens", "deeper"),
    [
        ("", "if ready:", "    go()", 0, 0),
        ("", "if ready:", "go()", 1, 0),
        ("x = ", "compute(", "    first,", 0, 0),
        ("x = ", "compute(", "y = 1", 1, 0),
        ("return sel", "f", "    first,", 0, 1),
        ("", "go()  # see (", "stay()", 0, 0),
        ("", "go(')')", "stay()", 0, 0),
        ("d = {'a'", ": 1}", "stay()", 0, 0),
        ("", "total", "    .sum()", 0, 0),
    ],
)
def test_what_stands_below_answers_what_the_line_opens(
    before: str, text: str, below: str, opens: float, deeper: float
) -> None:
    """A block or bracket goes on deeper, and nothing else does; strings and comments aside."""
    found = values(evidence(text, line_before=before, before=before, next_line=below))
    assert (found["opens_nothing_below"], found["deeper_below"]) == (opens, deeper)


def test_a_suggestion_may_begin_in_the_next_line() -> None:
    """What is judged is then that line, and the cursor's line is one of those above."""
    fields = {"line_before": "if ready:", "before": "if ready:", "next_line": "stop()"}
    found = values(evidence("\n    go()", **fields))
    assert (found["opens_nothing_below"], found["same_above"]) == (0.0, 0.0)
    assert values(evidence("\nif ready:", **fields))["same_above"] == 1.0


def test_within_brackets_words_go_on() -> None:
    """A condition in brackets may stand deeper than what it belongs to."""
    inside = values(evidence("first", next_line="    if ready", open_brackets="("))
    outside = values(evidence("first", next_line="    if ready", open_brackets=""))
    assert (inside["deeper_below"], outside["deeper_below"]) == (0.0, 1.0)


@pytest.mark.parametrize("fields", [{"next_line": "  "}, {"language": "ruby", "next_line": "x"}])
def test_what_nothing_is_known_of_below(fields: dict[str, str]) -> None:
    """At the end of a file, and where blocks need no bracket, neither is told."""
    known = msgspec.structs.replace(evidence("if ready:"), **fields)
    assert math.isnan(values(known)["opens_nothing_below"])
    assert math.isnan(values(known)["deeper_below"])


def test_lines_nearby() -> None:
    """The same line just above or below, a blank line below, and what was never called before."""
    before = "go(1)\nstop(2)\n" + "x = 1\n" * 6
    found = values(evidence("go(1)", before=before, after="\n\ngo(1)\n"))
    assert (found["same_above"], found["same_below"], found["blank_below"]) == (0, 1, 1)
    near = values(evidence("x = 1", before=before, after="\nstop(2)\n"))
    assert (near["same_above"], near["same_below"], near["blank_below"]) == (1, 0, 0)
    assert values(evidence("go(leave(1))", before=before))["n_new_calls"] == 1


def test_what_the_line_is_made_of() -> None:
    """Dots, commas, calls, and imports."""
    found = values(evidence("a.b(c, d.e)", line_before="x = "))
    assert found["log_dots"] == pytest.approx(math.log(3))
    assert found["log_commas"] == found["log_calls"] == pytest.approx(math.log(2))
    assert found["log_line_chars"] == pytest.approx(math.log(16))
    assert found["is_import"] == 0.0
    assert values(evidence("ort os", line_before="imp"))["is_import"] == 1.0


def test_recent_accepts_weigh_more() -> None:
    """An accept a moment ago says more than one before many rejects, and fades with time."""
    taken, left = Past(True, 1.0), Past(False, 1.0)
    lately = values(evidence(history=(taken, left, left, left)))["taken_lately"]
    before = values(evidence(history=(left, left, left, taken)))["taken_lately"]
    old = values(evidence(history=(Past(True, 7200.0), left, left, left)))["taken_lately"]
    assert lately > before
    assert lately > old
    assert values(evidence())["taken_lately"] == pytest.approx(0.35)


def test_what_was_turned_down_in_the_line() -> None:
    """Only suggestions of the cursor's line count."""
    here, there = Past(False, 1.0, True), Past(False, 1.0, False)
    found = values(evidence(history=(here, here, there)))["log_turned_down_here"]
    assert found == pytest.approx(math.log(3))
