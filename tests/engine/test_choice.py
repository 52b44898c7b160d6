"""Which of several fetched models auto takes."""

from __future__ import annotations

import msgspec
import pytest

from lsp_server.engine.choice import Choice, Guess, Verdict, choose, worth_fetching
from lsp_server.models import catalog
from lsp_server.models.catalog import ModelEntry
from tests.engine.makers import model, speed

SMALL, MIDDLE, LARGE = model("small", 1), model("middle", 2), model("large", 3)
BUDGET_MS = 700.0


def chosen(**first_line_ms: float | None) -> Choice:
    """The choice among the named models, of which ``small`` is the default."""
    verdicts = [
        Verdict(
            model=each,
            speed=None if first_line_ms[each.id] is None else speed(first_line_ms[each.id] or 0),
            budget_ms=BUDGET_MS,
        )
        for each in (SMALL, MIDDLE, LARGE)
        if each.id in first_line_ms
    ]
    default = SMALL if "small" in first_line_ms else verdicts[0].model
    return choose(verdicts, default)


@pytest.mark.parametrize(
    ("small", "middle", "large", "expected"),
    [
        (None, None, None, "small"),
        (200, None, None, "small"),
        (200, 600, None, "middle"),
        (None, 600, 900, "middle"),
        (200, 600, 700, "large"),
        (200, 900, 700, "large"),
        (None, 900, None, "small"),
        (200, 900, 1500, "small"),
        (800, 900, 1500, "small"),
        (900, 800, None, "middle"),
    ],
)
def test_largest_that_fits(
    small: float | None, middle: float | None, large: float | None, expected: str
) -> None:
    """The largest measured within the budget; else the default; else the fastest."""
    choice = chosen(small=small, middle=middle, large=large)
    assert choice.model.id == expected


def test_reason_names_time_and_budget() -> None:
    """The reason holds what was measured and what it is held against."""
    assert chosen(small=200, middle=610, large=None).reason.endswith("610 ms ≤ 700 ms budget")
    slow = chosen(small=1200, middle=2000, large=3000)
    assert slow.reason.endswith("1,200 ms > 700 ms budget")
    assert "not measured yet" in chosen(small=None, middle=None).reason


def test_larger_models_are_to_be_measured() -> None:
    """Only what is larger than the choice is worth measuring, and what was slow once or twice."""
    ids = [each.id for each in chosen(small=None, middle=None, large=None).unmeasured]
    assert ids == ["large", "middle"]
    assert [each.id for each in chosen(small=200, middle=600, large=None).unmeasured] == ["large"]
    assert chosen(small=None, large=650).unmeasured == ()
    assert [each.id for each in chosen(small=200, middle=900).unmeasured] == ["middle"]
    settled = Verdict(model=MIDDLE, speed=speed(900, n_sessions=3), budget_ms=BUDGET_MS)
    default = Verdict(model=SMALL, speed=None, budget_ms=BUDGET_MS)
    assert choose([settled, default], SMALL).unmeasured == ()


def test_default_of_a_gpu_is_taken_before_it_is_measured() -> None:
    """A default that is larger than a measured model is taken; it counts as fast enough."""
    verdicts = [
        Verdict(model=SMALL, speed=speed(50), budget_ms=BUDGET_MS),
        Verdict(model=LARGE, speed=None, budget_ms=BUDGET_MS),
    ]
    assert choose(verdicts, LARGE).model == LARGE


def test_own_files_wait_for_the_user() -> None:
    """A file of the user's is not taken before a model of the catalog, however fast it is."""
    mine = Verdict(model=model("mine", 9, own=True), speed=speed(10), budget_ms=BUDGET_MS)
    small = Verdict(model=SMALL, speed=None, budget_ms=BUDGET_MS)
    assert choose([small, mine], SMALL).model == SMALL
    other = Verdict(model=model("other", 5, own=True), speed=None, budget_ms=BUDGET_MS)
    assert choose([mine, other], other.model).model.id == "mine"


def test_the_only_model_is_taken_whatever_it_costs() -> None:
    """With one model there is no choice; its figure is still told."""
    choice = chosen(large=5000)
    assert choice.model == LARGE
    assert choice.reason == "the only one fetched; 5,000 ms > 700 ms budget"
    assert choice.unmeasured == ()


# -- models that are not fetched ---------------------------------------------------------

GIB = 2**30


def entry(name: str, size_bytes: int, n_params: int, licence: str = "Apache-2.0") -> ModelEntry:
    """A model of the catalog."""
    return msgspec.structs.replace(
        catalog.ENTRIES[0], id=name, size_bytes=size_bytes, n_params=n_params, licence=licence
    )


USED = msgspec.structs.replace(model("small", GIB), entry=entry("small", GIB, n_params=500_000_000))


def guessed(
    *entries: ModelEntry, first_line_ms: float | None = 200, memory_bytes: int = 8 * GIB
) -> Guess | None:
    """What is recommended to who uses the small one."""
    known = None if first_line_ms is None else speed(first_line_ms)
    verdict = Verdict(model=USED, speed=known, budget_ms=BUDGET_MS)
    return worth_fetching(verdict, entries, memory_bytes=memory_bytes)


def test_the_largest_that_is_likely_to_fit_is_recommended() -> None:
    """In the budget and in memory, by the sizes of the files; with what it takes."""
    two, three, four = (entry(f"{n}", n * GIB, n * 1_000_000_000) for n in (2, 3, 4))
    assert guessed(two, three, four) == Guess(model_id="3", size_bytes=3 * GIB, first_line_ms=600.0)
    assert guessed(two, three, four, memory_bytes=2 * GIB) == Guess(
        model_id="2", size_bytes=2 * GIB, first_line_ms=400.0
    )
    assert guessed(four) is None


def test_what_is_no_better_or_not_free_is_not_recommended() -> None:
    """Nor anything while the speed of the machine is not known."""
    assert guessed(entry("q8", 2 * GIB, 500_000_000)) is None
    assert guessed(entry("research", 2 * GIB, 3_000_000_000, "Qwen Research")) is None
    assert guessed(entry("2", 2 * GIB, 3_000_000_000), first_line_ms=None) is None
    assert "midfill model fetch 2" in str(guessed(entry("2", 2 * GIB, 3_000_000_000)))
