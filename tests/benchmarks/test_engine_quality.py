"""Moved text against evaluated text: the cache, the edits, the divergence, and the figures."""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from benchmarks.corpus import fresh
from benchmarks.engine import quality, quality_report
from benchmarks.engine.cells import Strip, divergence, logprobs
from benchmarks.engine.edits import EDITS, States
from benchmarks.engine.holes import Hole, holes
from benchmarks.engine.quality_report import Moved
from benchmarks.figures import Figure
from benchmarks.replay.types import PauseKind, Project, Target
from tests.benchmarks import fake_engine
from tests.benchmarks.fake_engine import FakeModel
from tests.engine.llama.fake_llama import predict

LINES = [
    "import math",
    "",
    "",
    "def area(radius):",
    "    if radius < 0:",
    '        raise ValueError("a radius is not negative")',
    "    return math.pi * radius ** 2",
    "",
    "",
    "def rounded(radius, digits):",
    "    value = area(radius)",
    "    return round(value, digits)",
    "",
    "",
    "def table(radii):",
    "    for radius in radii:",
    "        print(radius, rounded(radius, 2))",
    "",
]


def hole_at(line: int, column: int) -> Hole:
    """A hole in these lines."""
    return Hole(
        place=f"{line}:{column}",
        cluster="c",
        before="\n".join([*LINES[:line], LINES[line][:column]]),
        after="".join(f"\n{below}" for below in LINES[line + 1 :]),
        truth=LINES[line][column:],
    )


# -- the cache ---------------------------------------------------------------------------

SUF, MID = 1, 2
KINDS: tuple[PauseKind, ...] = ("after_punctuation",)


def tokens(prefix: int, suffix: int = 100, *, typed: int = 0) -> list[int]:
    """A prompt in the order prefix, suffix, middle."""
    first = 200
    return [0, *range(first, first + prefix), *[7] * typed, SUF, *range(5000, 5000 + suffix), MID]


def test_moved_text_gives_the_same_cells_as_evaluated_text() -> None:
    """At every key; only a handful of tokens is evaluated."""
    llama: Any = FakeModel(4000)
    full, moved = Strip(llama, 0, 2), Strip(llama, 1, 3)
    base, final = tokens(300), tokens(300, typed=5)
    full.become(final, move=False)
    moved.begin_like(full, base)
    moved.become(base, move=False)
    n_before = llama.n_evaluated
    for n_typed in range(1, 6):
        wanted = tokens(300, typed=n_typed)
        index = moved.become(wanted, move=True)
        assert llama.sequence(1) == moved.tokens == wanted
        assert llama.predicted[index] == predict(wanted)
    assert llama.n_evaluated - n_before == 5 * 5
    assert moved.n_moved == 5
    # The other strip, whose beginning is in the same cells, is as it was.
    assert llama.sequence(0) == final == moved.tokens


def test_a_full_evaluation_keeps_the_common_beginning_alone() -> None:
    """What stands behind it is evaluated."""
    llama: Any = FakeModel(4000)
    full = Strip(llama, 0, 2)
    full.become(tokens(300), move=False)
    n_before = llama.n_evaluated
    full.become(tokens(300, typed=1), move=False)
    assert llama.n_evaluated - n_before == 1 + 1 + 100 + 1
    assert full.n_moved == 0


def test_a_strip_begins_like_another_and_holds_nothing_else() -> None:
    """The last token of its prompt is still to be evaluated."""
    llama: Any = FakeModel(4000)
    full, other = Strip(llama, 0, 2), Strip(llama, 1, 3)
    full.become(tokens(50), move=False)
    other.become(tokens(20, 10), move=False)
    other.begin_like(full, tokens(50))
    assert other.tokens == tokens(50)[:-1] == llama.sequence(1)


def test_a_generated_line_leaves_the_prompt_as_it_is() -> None:
    """The text is what the model predicts, up to its end."""
    llama: Any = FakeModel(4000)
    strip = Strip(llama, 0, 2)
    wanted = tokens(20, 30)
    text = strip.first_line(strip.become(wanted, move=False), b"")
    expected = list(wanted)
    while (token := predict(expected)) >= ord("a") and len(expected) < len(wanted) + 48:
        expected.append(token)
    assert text == "".join(map(chr, expected[len(wanted) :]))
    assert llama.sequence(0) == strip.tokens == wanted


def test_a_lines_log_probability_is_that_of_its_tokens_one_behind_the_other() -> None:
    """Its end counts, and so does what was taken off the prompt; the prompt stays as it is."""
    llama: Any = FakeModel(4000)
    strip = Strip(llama, 0, 2)
    wanted = tokens(20, 30)
    index = strip.become(wanted, move=False)
    first = logprobs(llama, index)
    found = strip.line_logprob(index, b"a", "b")
    probabilities = [first[ord("a")]]
    for text in ("a", "ab"):
        logits = np.zeros(len(first))
        logits[predict([*wanted, *map(ord, text)])] = 5.0
        shares = logits - np.log(np.exp(logits).sum())
        probabilities.append(shares[ord("ab\n"[len(text)])])
    assert found == pytest.approx(sum(probabilities))
    assert llama.sequence(0) == strip.tokens == wanted


# -- the divergence ----------------------------------------------------------------------


def test_divergence_of_known_distributions() -> None:
    """In nats, of the first from the second; none from itself."""
    p, q = np.log([0.5, 0.25, 0.25]), np.log([0.25, 0.25, 0.5])
    assert divergence(p, q) == pytest.approx(0.5 * math.log(2) - 0.25 * math.log(2))
    assert divergence(p, p) == 0.0
    assert divergence(np.log([0.9, 0.1]), np.log([0.5, 0.5])) == pytest.approx(0.368064, abs=1e-6)


def test_logprobs_are_those_of_the_logits() -> None:
    """They add up to one, and large logits do no harm."""

    class Model:
        def logits(self, index: int) -> Any:
            assert index == 3
            return np.array([1000.0, 1000.0, 1000.0 + math.log(2)], dtype=np.float32)

    model: Any = Model()
    assert np.exp(logprobs(model, 3)) == pytest.approx([0.25, 0.25, 0.5], abs=1e-4)


# -- edits and holes ---------------------------------------------------------------------


@pytest.mark.parametrize("name", EDITS)
@pytest.mark.parametrize("seed", range(20))
def test_every_edit_ends_at_the_hole(name: str, seed: int) -> None:
    """And begins somewhere else."""
    hole = hole_at(11, 17)
    states = EDITS[name](hole, random.Random(seed))
    assert states[-1] == (hole.before, hole.after)
    assert states[0] != states[-1]


def states_of(name: str, line: int = 11, column: int = 17) -> States:
    """The states of an edit at a hole."""
    return EDITS[name](hole_at(line, column), random.Random(3))


def test_typing_goes_key_by_key_within_the_line() -> None:
    """It begins behind the indentation and before the word at the cursor."""
    states = states_of("typing")
    lengths = [len(before) for before, _ in states]
    assert lengths == list(range(lengths[0], lengths[-1] + 1))
    assert states[0][0].rsplit("\n", 1)[1].startswith("    ")
    assert not states[0][0].endswith("round(")
    assert states_of("typing", line=11, column=4) == []


def test_deleting_takes_a_wrong_piece_away() -> None:
    """Key by key, from the right."""
    states = states_of("deleting")
    assert all(after == states[-1][1] for _, after in states)
    assert [len(before) for before, _ in states] == sorted(
        (len(before) for before, _ in states), reverse=True
    )


def test_accepting_puts_whole_lines_in_at_once() -> None:
    """The cursor stood behind the first one's indentation."""
    before, after = states_of("accepting")
    assert after[0].startswith(before[0])
    assert before[0].rsplit("\n", 1)[1].strip() == ""
    assert before[0].count("\n") < after[0].count("\n")


@pytest.mark.parametrize(("name", "side"), [("editing above", 0), ("editing below", 1)])
def test_an_edit_elsewhere_adds_one_line(name: str, side: int) -> None:
    """On its own side of the cursor; the other side stays."""
    first, last = states_of(name)
    assert last[side].count("\n") == first[side].count("\n") + 1
    assert first[1 - side] == last[1 - side]


def project(folder: Path, n_files: int = 3) -> Project:
    """A project of some files that are alike."""
    targets = []
    for number in range(n_files):
        path = f"file{number}.py"
        folder.mkdir(exist_ok=True)
        (folder / path).write_text("\n".join(LINES).replace("radius", f"radius{number}"))
        targets.append(Target(path=path, first_line=3, last_line=17, lines=(6, 10, 11, 16)))
    return Project(name="p 1", root=folder, targets=tuple(targets), cluster="p")


def test_a_larger_limit_only_adds_holes(tmp_path: Path) -> None:
    """They are of the wanted kind, and their truth is the rest of the line."""
    projects = [project(tmp_path / "p")]

    def found(limit: int) -> list[Hole]:
        return holes(projects, seed=1, limit=limit, kinds=KINDS, per_target=2)

    few, many = found(3), found(6)
    assert len(few) == 3
    assert many[:3] == few
    assert len({hole.place for hole in many}) == len(many) == 6
    for hole in many:
        assert hole.before[-1] in "(,=.["
        assert (hole.before + hole.truth + hole.after).count("\n") == len(LINES) - 1
        assert hole.cluster.startswith("p|file")


def test_holes_of_a_run_of_lines_stand_in_few_of_them(tmp_path: Path) -> None:
    """Those of one line follow one another; those of others do not."""
    found = holes(
        [project(tmp_path / "p", 1)], seed=1, limit=50, kinds=KINDS, per_target=50, n_lines=2
    )
    assert len({hole.line_start for hole in found}) == 2
    for left, right in itertools.pairwise(found):
        assert right.follows(left) is (right.line_start == left.line_start)
        assert not left.follows(right)
        assert not left.follows(left)


@pytest.mark.parametrize(
    ("text", "met"),
    [("value, digits)", True), (" value, digits) \nmore", True), ("\nvalue, digits)", False),
     ("value", False), ("", False)],
)  # fmt: skip
def test_the_first_line_is_compared_with_the_developers(text: str, met: bool) -> None:
    """White space around it does not count; a line end before it does."""
    assert hole_at(11, 17).is_met_by(text) is met


# -- measuring ---------------------------------------------------------------------------


def test_holes_are_measured_once_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a fake, whose predictions know nothing of drift, moved text is as good; a run goes on."""
    projects = [project(tmp_path / "p")]
    monkeypatch.setattr(fresh, "fresh_lines", lambda *_, **__: projects)
    models: list[FakeModel] = []

    def load(_setup: object) -> FakeModel:
        models.append(FakeModel(20_000))
        return models[-1]

    monkeypatch.setattr(quality, "_load", load)
    quality.measure(fake_engine.bench(tmp_path, limit=3))
    n_first = fake_engine.lines(tmp_path)
    bench = fake_engine.bench(tmp_path, limit=5)
    quality.measure(bench)
    assert fake_engine.lines(tmp_path) > n_first
    found = bench.of(Moved)
    assert sum(record.edit == "typing" for record in found) == 5
    assert {record.edit for record in found} > {"typing"}
    assert all(r.kl == 0 and r.same_text and r.same_top for r in found)
    assert all(r.line_nats == 0 for r in found)
    assert all(r.n_steps > 0 and 0 < r.n_evaluated < r.n_steps * r.n_prompt for r in found)

    quality.measure(fake_engine.bench(tmp_path, limit=5))
    assert len(models) == 2


def test_what_was_moved_to_one_hole_is_moved_further_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Along a line its text is evaluated once; at holes that other edits lead to it is anew."""
    projects = [project(tmp_path / "p", 1)]
    line = msgspec.structs.replace(projects[0].targets[0], lines=(16,))
    projects[0] = msgspec.structs.replace(projects[0], targets=(line,))
    monkeypatch.setattr(fresh, "fresh_lines", lambda *_, **__: projects)
    monkeypatch.setattr(quality, "_load", lambda _setup: FakeModel(20_000))
    bench = fake_engine.bench(tmp_path, limit=4)
    quality.measure(bench)
    typed = [record for record in bench.of(Moved) if record.edit == "typing"]
    columns = [int(record.place.rsplit(":", 1)[1]) for record in typed]
    assert len(columns) == 4
    ways = [right - left for left, right in itertools.pairwise(columns)]
    assert [record.n_steps for record in typed[1:]] == ways
    # What was moved before is not evaluated in between.
    assert all(record.n_moved >= typed[0].n_moved > 0 for record in typed)
    assert all(record.kl == 0 and record.same_text for record in bench.of(Moved))


def moved(number: int, *, full: bool, by_moving: bool, kl: float = 0.01) -> Moved:
    """A made-up comparison, one a file."""
    return Moved(
        edit="typing", place=f"{number}", cluster=f"file{number // 2}", n_steps=4, n_prompt=900,
        n_evaluated=32, n_moved=4, full_exact=full, moved_exact=by_moving,
        same_text=full == by_moving, same_top=True, kl=kl, line_nats=-0.02,
    )  # fmt: skip


def test_the_difference_is_paired() -> None:
    """Where both are right or both are wrong there is none."""
    records = [moved(n, full=n < 40, by_moving=n < 38) for n in range(100)]
    apart = quality_report.difference(records)
    assert apart.value == pytest.approx(-0.02)
    assert apart.low <= -0.02 <= apart.high
    part = quality_report.report(records)
    row = part.tables[0].rows[0]
    assert [row[1].value, row[2].value] == pytest.approx([0.4, 0.38])  # type: ignore[union-attr]
    assert row[6].value == pytest.approx(-0.02)  # type: ignore[union-attr]
    assert row[7].value == pytest.approx(0.01)  # type: ignore[union-attr]
    assert row[-2] == pytest.approx(8.0)


@pytest.mark.parametrize(
    ("low", "high", "outcome", "words"),
    [
        (-0.004, 0.006, "ahead", "is within"),
        (-0.014, 0.006, "level", "not yet shown"),
        (-0.05, -0.02, "behind", "is below"),
        (0.02, 0.05, "level", "is above"),
        (math.nan, math.nan, "level", "too few files"),
    ],
)
def test_the_goal_is_met_only_by_the_whole_interval(
    low: float, high: float, outcome: str, words: str
) -> None:
    """A wide one shows nothing."""
    middle = 0.0 if math.isnan(low) else (low + high) / 2
    found = quality_report.verdict("typing", Figure(value=middle, low=low, high=high, n=500))
    assert found.outcome == outcome
    assert words in found.text


def test_prompts_that_stayed_as_they_were_do_not_count() -> None:
    """Nothing was moved there."""
    still = moved(1, full=True, by_moving=True)
    assert quality_report.report([still]).tables
    assert quality_report.report([msgspec.structs.replace(still, n_steps=0)]).tables == ()
