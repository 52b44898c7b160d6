"""How prompts are made out of old ones, played through on a model of the KV cache."""

from __future__ import annotations

import random

import pytest

from lsp_server.engine.llama.reuse import GAP, Plan, plan_reuse

SUF, MID = 1, 2
N_SEAM = 3


class Cells:
    """Cells of one sequence: the token at each position, and whether it was moved there."""

    def __init__(self, tokens: list[int]) -> None:
        self.at = {position: token for position, token in enumerate(tokens) if token != GAP}

    def apply(self, plan: Plan, new: list[int]) -> int:
        """Park, evaluate and unpark as the engine does; returns how many were evaluated."""
        parked = {
            block: [self.at[p] for p in range(block.source, block.source + block.length)]
            for block in plan.blocks
        }
        self.at = {p: token for p, token in self.at.items() if p < plan.n_kept}
        n_evaluated = 0
        waiting = list(plan.blocks)
        for start, end in plan.holes:
            while waiting and waiting[0].target < start:
                block = waiting.pop(0)
                for offset, token in enumerate(parked[block]):
                    assert block.target + offset not in self.at
                    self.at[block.target + offset] = token
            # Positions of a sequence must follow on.
            assert start == len(self.at) == max(self.at, default=-1) + 1
            for position in range(start, end):
                self.at[position] = new[position]
                n_evaluated += 1
        assert not waiting
        return n_evaluated

    @property
    def tokens(self) -> list[int]:
        """In the order of their positions."""
        return [self.at[position] for position in sorted(self.at)]


def prompt(prefix: list[int], suffix: list[int]) -> list[int]:
    """A prompt in the order prefix, suffix, middle."""
    return [0, *prefix, SUF, *suffix, MID]


PREFIX = list(range(100, 400))
SUFFIX = list(range(1000, 1200))


def test_a_typed_token_costs_itself_and_the_seam() -> None:
    """Not the suffix: it is moved."""
    old, new = prompt(PREFIX, SUFFIX), prompt([*PREFIX, 7], SUFFIX)
    plan = plan_reuse(old, new)
    assert plan.n_evaluated == 1 + N_SEAM + 1
    assert [block.shift for block in plan.blocks] == [1]


def test_deleted_text_costs_the_seam() -> None:
    """The suffix moves to the left."""
    plan = plan_reuse(prompt(PREFIX, SUFFIX), prompt(PREFIX[:-20], SUFFIX))
    assert plan.n_evaluated == N_SEAM + 1
    assert [block.shift for block in plan.blocks] == [-20]


def test_the_same_prompt_costs_one_token() -> None:
    """The last one, whose logits are needed."""
    old = prompt(PREFIX, SUFFIX)
    assert plan_reuse([*old, 50, 51], old).n_evaluated == 1


def test_an_edit_above_moves_what_is_below_it() -> None:
    """Only the edit and one seam are evaluated; the marker and the suffix move with the prefix."""
    old = prompt(PREFIX, SUFFIX)
    new = prompt([*PREFIX[:100], 7, 8, 9, *PREFIX[100:]], SUFFIX)
    plan = plan_reuse(old, new)
    assert plan.n_evaluated == 3 + N_SEAM + 1


def test_a_cursor_that_goes_down_takes_lines_from_the_suffix() -> None:
    """What is left of the suffix moves; what was its beginning is evaluated as prefix."""
    old = prompt(PREFIX, SUFFIX)
    new = prompt(PREFIX + SUFFIX[:30], SUFFIX[30:])
    plan = plan_reuse(old, new)
    assert plan.n_moved >= 160
    assert Cells(old).apply(plan, new) == plan.n_evaluated


def test_without_moving_only_the_beginning_is_kept() -> None:
    """Models whose positions cannot be shifted evaluate the rest."""
    old, new = prompt(PREFIX, SUFFIX), prompt([*PREFIX, 7], SUFFIX)
    plan = plan_reuse(old, new, move=False)
    assert plan.n_kept == 1 + len(PREFIX)
    assert plan.blocks == ()
    assert plan.n_evaluated == len(new) - plan.n_kept


def test_shared_cells_are_not_moved() -> None:
    """Tokens that other slots hold too stay where they are."""
    old = prompt(PREFIX, SUFFIX)
    new = prompt([7, *PREFIX], SUFFIX)
    plan = plan_reuse(old, new, first_source=250)
    assert all(block.source >= 250 for block in plan.blocks)
    assert plan.n_moved > 0


def test_gaps_are_never_reused() -> None:
    """What an aborted evaluation left out is evaluated."""
    new = prompt(PREFIX, SUFFIX)
    old = list(new)
    old[50:60] = [GAP] * 10
    plan = plan_reuse(old, new)
    assert plan.n_kept == 50
    cells = Cells(old)
    cells.apply(plan, new)
    assert cells.tokens == new


@pytest.mark.parametrize("seed", range(300))
def test_any_edits_give_the_wanted_prompt(seed: int) -> None:
    """Whatever was edited, the sequence ends with the new prompt, and no position is missing."""
    chance = random.Random(seed)
    # Few different tokens, so that runs repeat, as code does.
    text = [chance.randrange(10, 10 + chance.choice((3, 20, 500))) for _ in range(400)]
    cursor = chance.randrange(len(text))
    old = prompt(text[:cursor], text[cursor:])
    cells = Cells(old)
    for _ in range(8):
        start = chance.randrange(len(text))
        end = min(len(text), start + chance.choice((0, 0, 1, 5, 60)))
        text[start:end] = [
            chance.randrange(10, 500) for _ in range(chance.choice((0, 1, 1, 3, 40)))
        ]
        cursor = chance.choice((start, chance.randrange(len(text) + 1)))
        new = prompt(text[:cursor], text[cursor:])
        plan = plan_reuse(old, new)
        assert cells.apply(plan, new) == plan.n_evaluated
        assert plan.n_kept + plan.n_moved + plan.n_evaluated == len(new)
        assert cells.tokens == new
        old = new
        for position in chance.sample(range(len(old)), chance.choice((0, 0, 3))):
            old[position] = GAP
            del cells.at[position]
