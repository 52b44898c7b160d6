"""Snippets of several sources in one order."""

from __future__ import annotations

from context.budget import estimate_tokens
from context.rank import Allowance, Chosen, choose, fuse
from context.types import Snippet


def snippet(path: str, start: int, text: str, score: float = 1.0, origin: str = "x") -> Snippet:
    """A snippet as long as its text."""
    end = start + len(text)
    return Snippet(path=path, start_byte=start, end_byte=end, text=text, origin=origin, score=score)


A = snippet("a.py", 0, "def alpha(one): ...")
B = snippet("b.py", 0, "def beta(two): ...")
C = snippet("c.py", 0, "def gamma(three): ...")


def test_what_several_sources_find_comes_first() -> None:
    """Second in two lists is better than first in one."""
    found = fuse({"one": [A, B], "two": [C, B]}, {})
    assert [s.path for s in found] == ["b.py", "a.py", "c.py"]


def test_sources_have_weights() -> None:
    """A source of no weight is not asked about."""
    found = fuse({"one": [A], "two": [C]}, {"one": 0.0, "two": 0.5})
    assert [s.path for s in found] == ["c.py"]


def test_a_snippets_own_score_counts() -> None:
    """Of two lists' first ones the likelier is first."""
    weak = snippet("a.py", 0, "def alpha(one): ...", score=0.1)
    assert fuse({"one": [weak], "two": [C]}, {})[0].path == "c.py"


def test_the_budget_holds() -> None:
    """The best that fit; what is too large for most of it is left out even if it is first."""
    huge = snippet("h.py", 0, "\n".join(f"name_{n} = {n}" for n in range(200)))
    chosen = choose([huge, A, B, C], 45, shown="")
    assert chosen.n_tokens <= 45
    reasons = {each.snippet.path: each.reason for each in chosen.dropped}
    assert reasons["h.py"] == "too_long"
    assert set(reasons.values()) == {"too_long", "no_room"}
    assert [s.path for s in chosen.snippets]


def test_what_is_shown_already_is_dropped() -> None:
    """By its lines, whatever their indent; and what lies in a chosen snippet."""
    inner = snippet("b.py", 4, "beta(two)")
    chosen = choose([A, B, inner], 500, shown="class X:\n    def alpha(one): ...\n")
    assert [s.path for s in chosen.snippets] == ["b.py"]
    assert {d.reason for d in chosen.dropped} == {"already_shown", "overlaps"}


def test_the_text_of_a_place_stands_for_an_outline_of_it() -> None:
    """Whichever was found first; and it is no news at the next request."""
    outline = Snippet(
        path="a.py",
        start_byte=20,
        end_byte=90,
        text="def alpha(one):\n    ...",
        origin="x",
        score=2.0,
    )
    text = "count = 1\n\n\ndef alpha(one):\n    return one + count\n"
    place = snippet("a.py", 0, text, score=1.0)
    room = 2 * estimate_tokens(text) + 20
    for ranked in ([outline, place], [place, outline]):
        chosen = choose(ranked, room, shown="")
        assert chosen.snippets == (place,)
        assert [(d.snippet, d.reason) for d in chosen.dropped] == [(outline, "already_shown")]
        assert chosen.n_new_tokens == chosen.n_tokens
    again = choose(
        [outline, place], room, shown="", before=(place,), allowance=Allowance(n_tokens=0)
    )
    assert again.snippets == (place,)
    assert again.n_new_tokens == 0
    assert again.settled


def test_what_stayed_keeps_its_place() -> None:
    """New files come behind; files that are gone leave the others in their order."""
    first = choose([A, B], 500, shown="")
    second = choose([C, B, A], 500, shown="", before=first.snippets)
    assert second.snippets[: len(first.snippets)] == first.snippets
    assert second.snippets[-1].path == "c.py"
    third = choose([A, C], 500, shown=B.text, before=second.snippets)
    assert [s.path for s in third.snippets] == [s.path for s in second.snippets if s.path != "b.py"]


def test_what_is_in_the_prompt_stays_unless_something_better_comes() -> None:
    """A new snippet needs a clearly better score to take the place of an old one."""
    old = snippet("old.py", 0, "def delta_function(argument): ...", score=1.0)
    little = snippet("new.py", 0, "def omega_function(argument): ...", score=1.1)
    clearly = snippet("new.py", 0, "def omega_function(argument): ...", score=2.0)
    n_tokens = choose([old], 500, shown="").n_tokens + 1
    kept = choose([little, old], 2 * n_tokens - 5, shown="", before=[old])
    assert kept.snippets[0].path == "old.py"
    assert choose([clearly, old], 2 * n_tokens - 5, shown="", before=[old]).snippets[0] in (
        old,
        clearly,
    )
    assert choose([little, old], 2 * n_tokens - 5, shown="", before=[old]).dropped[0].reason == (
        "no_room"
    )


def test_snippets_of_a_file_stand_in_its_order() -> None:
    """One marker for each file."""
    later = snippet("a.py", 100, "def late(four): ...", score=5.0)
    assert [s.start_byte for s in choose([later, A], 500, shown="").snippets] == [0, 100]


def test_no_budget_no_snippets() -> None:
    """All are dropped."""
    chosen = choose([A, B], 0, shown="")
    assert chosen.snippets == ()
    assert len(chosen.dropped) == 2


# -- what may come new -------------------------------------------------------------------


def names_of(chosen: Chosen) -> list[str]:
    """Paths of the chosen snippets, in prompt order."""
    return [snippet.path for snippet in chosen.snippets]


def test_little_that_is_new_comes_at_once() -> None:
    """The rest waits for its turn; pieces of at least one snippet bring all of it."""
    nothing = choose([A, B, C], 500, shown="", allowance=Allowance(n_tokens=0))
    assert nothing.snippets == ()
    assert {d.reason for d in nothing.dropped} == {"not_yet"}
    assert not nothing.settled
    piece = Allowance(n_tokens=0, n_least=1)
    chosen = nothing
    for n_expected in (1, 2, 3):
        chosen = choose([A, B, C], 500, shown="", before=chosen.snippets, allowance=piece)
        assert len(chosen.snippets) == n_expected
        assert chosen.settled == (n_expected == 3)
    again = choose(
        [A, B, C], 500, shown="", before=chosen.snippets, allowance=Allowance(n_tokens=0)
    )
    assert again.snippets == chosen.snippets
    assert again.settled
    assert again.n_new_tokens == 0


def test_an_allowance_holds_in_tokens() -> None:
    """What is found of it comes, best first."""
    cost = choose([A], 500, shown="").n_new_tokens
    chosen = choose([A, B, C], 500, shown="", allowance=Allowance(n_tokens=2 * cost + 1))
    assert names_of(chosen) == ["a.py", "b.py"]
    assert chosen.n_new_tokens <= 2 * cost + 1
    assert [d.reason for d in chosen.dropped] == ["not_yet"]


def test_what_waits_does_not_push_out_what_is_there() -> None:
    """Until the better one may come, the prompt stays as it is."""
    better = snippet("new.py", 0, "def omega_function(argument): ...", score=9.0)
    n_tokens = max(choose(two, 500, shown="").n_tokens for two in ([A, B], [better, A]))
    held = choose(
        [better, A, B], n_tokens, shown="", before=[A, B], allowance=Allowance(n_tokens=0)
    )
    assert names_of(held) == ["a.py", "b.py"]
    piece = Allowance(n_tokens=0, n_least=1)
    taken = choose([better, A, B], n_tokens, shown="", before=[A, B], allowance=piece)
    assert names_of(taken) == ["a.py", "new.py"]


def test_what_nobody_names_any_more_stays_while_there_is_room() -> None:
    """What is found now goes before it."""
    assert names_of(choose([B], 500, shown="", before=[A])) == ["a.py", "b.py"]
    n_tokens = choose([B, C], 500, shown="").n_tokens
    assert names_of(choose([B, C], n_tokens + 1, shown="", before=[A])) == ["b.py", "c.py"]
    assert names_of(choose([B], 500, shown=A.text, before=[A])) == ["b.py"]


def test_a_snippet_that_is_moved_by_typing_is_none_that_is_new() -> None:
    """Its text counts, not where it begins."""
    moved = snippet("a.py", 40, A.text)
    chosen = choose([moved], 500, shown="", before=[A], allowance=Allowance(n_tokens=0))
    assert chosen.snippets == (moved,)
