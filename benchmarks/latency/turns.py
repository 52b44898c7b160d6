"""Plays a session to all sides, which take turns at every request."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Literal

import msgspec

from benchmarks.latency.session import Kind, Step
from benchmarks.latency.sides.types import Answer, Side

Outcome = Literal["answered", "empty", "overtaken"]
_MAX_TEXT_CHARS = 400


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request to one side; a line of the results file.

    Args:
        side: who was asked.
        repetition: how often the session was played before.
        step: number of the request in the session.
        kind: cold, jump or warm.
        outcome: ``overtaken`` when a newer request came first.
        ttft_ms: until the first token; 0 where none came.
        display_ms: until the first displayable text.
        line_ms: until the first line was whole.
        total_ms: until the whole suggestion.
        n_prompt: tokens of the prompt; None where the side does not say.
        n_evaluated: of these, evaluated for this request.
        text: the suggestion's beginning.
    """

    side: str
    repetition: int
    step: int
    kind: Kind
    outcome: Outcome
    ttft_ms: float = 0.0
    display_ms: float = 0.0
    line_ms: float = 0.0
    total_ms: float = 0.0
    n_prompt: int | None = None
    n_evaluated: int | None = None
    text: str = ""

    @property
    def key(self) -> str:
        """Unique in its run."""
        return f"{self.side}|{self.repetition}|{self.step}"

    @property
    def first_line(self) -> str:
        """The first line that is not blank, without its indent."""
        return self.text.strip().split("\n", 1)[0].rstrip()


async def play(
    sides: Sequence[Side],
    steps: Sequence[Step],
    repetition: int,
    on_request: Callable[[Request], None],
    *,
    gaps: bool,
) -> None:
    """Play a session once; who comes first alternates, so that no side meets the warmer machine.

    Without gaps the sides take turns at every request. With gaps they do so whenever the cursor
    goes elsewhere: what a request that was overtaken still costs falls on the same side's next one.

    Args:
        sides: started.
        steps: the session.
        repetition: its number.
        on_request: called with each request that is over.
        gaps: whether keys come after their gaps, and newer requests overtake older ones; else
            each request is waited for.
    """
    for number, scene in enumerate(_scenes(steps) if gaps else [[step] for step in steps]):
        first = (number + repetition) % 2 == 0
        for side in sides if first else list(reversed(sides)):
            for step in scene:
                ask = _ask_in_time if gaps else _ask
                on_request(await ask(side, steps, step, repetition))
            await side.settle()


def _scenes(steps: Sequence[Step]) -> list[list[Step]]:
    """Runs of requests during which the cursor stays where the typing is."""
    scenes: list[list[Step]] = []
    for step in steps:
        if not scenes or step.kind != "warm":
            scenes.append([])
        scenes[-1].append(step)
    return scenes


async def _ask(side: Side, _steps: Sequence[Step], step: Step, repetition: int) -> Request:
    for event, moment in step.events:
        await side.apply(event, moment)
    return _request(side, step, repetition, await side.ask(step.moment))


async def _ask_in_time(side: Side, steps: Sequence[Step], step: Step, repetition: int) -> Request:
    """Ask, type on in the meantime, and take the request back when the next one is due."""
    # All but the last event were applied while the request before was under way.
    for event, moment in step.events if step.number == 0 else step.events[-1:]:
        await side.apply(event, moment)
    asked = asyncio.ensure_future(side.ask(step.moment))
    try:
        if step.number + 1 == len(steps):
            await asyncio.wait([asked])
        else:
            await _type_on(side, steps[step.number + 1])
        if asked.done():
            return _request(side, step, repetition, asked.result())
    finally:
        await _take_back(asked)
    return Request(
        side=side.name, repetition=repetition, step=step.number, kind=step.kind, outcome="overtaken"
    )


async def _type_on(side: Side, following: Step) -> None:
    clock = asyncio.get_running_loop().time
    due_s = clock()
    for number, (event, moment) in enumerate(following.events):
        due_s += event.gap_ms / 1000
        await asyncio.sleep(max(0.0, due_s - clock()))
        if number + 1 < len(following.events):
            await side.apply(event, moment)


async def _take_back(asked: asyncio.Future[Answer]) -> None:
    if not asked.done():
        asked.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asked


def _request(side: Side, step: Step, repetition: int, answer: Answer) -> Request:
    return Request(
        side=side.name,
        repetition=repetition,
        step=step.number,
        kind=step.kind,
        outcome="answered" if answer.text.strip() else "empty",
        ttft_ms=round(answer.ttft_ms, 2),
        display_ms=round(answer.display_ms, 2),
        line_ms=round(answer.line_ms, 2),
        total_ms=round(answer.total_ms, 2),
        n_prompt=answer.n_prompt,
        n_evaluated=answer.n_evaluated,
        text=answer.text[:_MAX_TEXT_CHARS],
    )
