"""Prompts that end the engine twice are not asked a third time."""

from __future__ import annotations

import pytest

from context.types import Segment
from lsp_server.engine import quarantine
from lsp_server.engine.quarantine import Quarantine
from lsp_server.errors import EngineRefusedError


def prompt(text: str) -> tuple[Segment, ...]:
    """A prompt."""
    return (Segment(role="fim_prefix"), Segment(role="text", text=text))


def is_refused(kept: Quarantine, text: str) -> bool:
    """Whether a prompt is in quarantine."""
    try:
        kept.check(prompt(text))
    except EngineRefusedError as error:
        return error.code == "prompt_quarantined"
    return False


@pytest.fixture
def kept() -> Quarantine:
    """An empty one."""
    return Quarantine(hint="look there")


def test_the_second_death_is_enough(kept: Quarantine) -> None:
    """One death may be chance; after two the prompt is refused, and no other one."""
    kept.died([prompt("bad")])
    assert not is_refused(kept, "bad")
    kept.died([prompt("bad")])
    assert is_refused(kept, "bad")
    assert not is_refused(kept, "bad ")
    with pytest.raises(EngineRefusedError) as caught:
        kept.check(prompt("bad"))
    assert caught.value.hint == "look there"
    assert "bad" not in str(caught.value)


def test_equal_text_in_another_role_is_another_prompt(kept: Quarantine) -> None:
    """The whole prompt counts, not its text alone."""
    for _ in range(2):
        kept.died([(Segment(role="text", text="bad"),)])
    assert not is_refused(kept, "bad")
    with pytest.raises(EngineRefusedError):
        kept.check([Segment(role="text", text="bad")])


def test_with_several_at_work_none_is_suspected(kept: Quarantine) -> None:
    """Nobody can tell which one it was."""
    for _ in range(3):
        kept.died([prompt("a"), prompt("b")])
        kept.died([])
    assert not is_refused(kept, "a")
    assert not is_refused(kept, "b")


def test_a_prompt_and_its_warm_up_are_one(kept: Quarantine) -> None:
    """Two requests at work with one prompt leave no doubt."""
    for _ in range(2):
        kept.died([prompt("a"), prompt("a")])
    assert is_refused(kept, "a")


def test_a_served_prompt_is_cleared(kept: Quarantine) -> None:
    """What the engine survived once was not what killed it before."""
    kept.died([prompt("a")])
    kept.served(prompt("a"))
    kept.died([prompt("a")])
    assert not is_refused(kept, "a")


def test_it_does_not_grow_without_end(kept: Quarantine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The suspects of longest ago are forgotten."""
    monkeypatch.setattr(quarantine, "_MAX_SUSPECTS", 3)
    for text in ("a", "a", "b", "c", "d", "d"):
        kept.died([prompt(text)])
    assert not is_refused(kept, "a")
    assert is_refused(kept, "d")
