"""Requests as llama.vim makes them: lines around the cursor and a ring of chunks seen before.

Facts of llama.vim's defaults (https://github.com/ggml-org/llama.vim): 256 lines before and 64
after the cursor, 128 tokens, samplers top_k 40, top_p 0.90, infill; 16 chunks in the ring, up to
64 lines around the cursor when a file is entered or left, of which 32 are picked by chance where
there are more; chunks > 0.9 alike replace one another, and those > 0.5 alike to the text around
the cursor are dropped. A first request may predict for 250 ms once it has a whole line.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import msgspec

from benchmarks.latency.session import Edit, Event, Moment, Open

N_PREFIX_LINES = 256
N_SUFFIX_LINES = 64
N_PREDICT = 128
MAX_PREDICT_MS = 250
_MAX_PROMPT_MS = 500
_RING_CHUNKS = 16
_CHUNK_LINES = 64
_RING_SCOPE_LINES = 1024
_FAR_LINES = 32
_MIN_CHUNK_LINES = 3

Json = dict[str, Any]


class Chunk(msgspec.Struct, frozen=True):
    """Lines seen before, and where."""

    path: str
    lines: tuple[str, ...]


class Ring:
    """The chunks of earlier text that go with every request.

    Args:
        seed: of the choice of lines.
    """

    def __init__(self, seed: int = 0) -> None:
        self.chunks: list[Chunk] = []
        self.queued: list[Chunk] = []
        self._chance = random.Random(seed)
        self._last: Moment | None = None
        self._picked_line = -9999

    def see(self, event: Event, moment: Moment) -> None:
        """Look at an event: entering and leaving a file queues the lines around the cursor."""
        if isinstance(event, Open):
            if self._last is not None:
                self.pick(self._last.path, around(self._last))
            self.pick(moment.path, around(moment))
        self._last = moment

    def pick(self, path: str, lines: Sequence[str], *, evict: bool = True) -> None:
        """Queue some of the lines, unless they are known.

        Args:
            path: of the file.
            lines: to choose from.
            evict: whether older chunks give way to a similar one; else the new one is dropped.
        """
        if len(lines) < _MIN_CHUNK_LINES:
            return
        if len(lines) + 1 >= _CHUNK_LINES:
            lines = self._some(lines)
        chunk = Chunk(path, tuple(lines))
        known = self.chunks + self.queued
        if any(other.lines == chunk.lines for other in known):
            return
        if not evict and any(similarity(other.lines, chunk.lines) > 0.9 for other in known):
            return
        for chunks in (self.chunks, self.queued):
            chunks[:] = [c for c in chunks if similarity(c.lines, chunk.lines) <= 0.9]
        self.queued = [*self.queued[-(_RING_CHUNKS - 1) :], chunk]

    def promote(self) -> bool:
        """Take the oldest queued chunk into the ring; False if there is none."""
        if not self.queued:
            return False
        self.chunks = [*self.chunks[-(_RING_CHUNKS - 1) :], self.queued.pop(0)]
        return True

    def before_request(self, moment: Moment) -> None:
        """Drop the chunks that resemble the text around the cursor."""
        here = self._some(around(moment))
        self.chunks = [c for c in self.chunks if similarity(c.lines, here) <= 0.5]

    def after_request(self, moment: Moment) -> None:
        """After a far jump, queue what lies beyond the lines that were sent."""
        if abs(moment.line - self._picked_line) <= _FAR_LINES:
            return
        lines = moment.text.split("\n")
        above = max(0, moment.line - N_PREFIX_LINES)
        below = moment.line + N_SUFFIX_LINES
        self.pick(moment.path, lines[max(0, above - _RING_SCOPE_LINES) : above], evict=False)
        self.pick(moment.path, lines[below : below + _CHUNK_LINES + 1], evict=False)
        self._picked_line = moment.line

    @property
    def extra(self) -> list[Json]:
        """The ring as ``input_extra``."""
        return [{"text": "\n".join(c.lines) + "\n", "filename": c.path} for c in self.chunks]

    def _some(self, lines: Sequence[str]) -> tuple[str, ...]:
        half = _CHUNK_LINES // 2
        start = self._chance.randint(0, max(0, len(lines) - half))
        return tuple(lines[start : start + half + 1])


def request(moment: Moment, ring: Ring, *, seed: int, max_predict_ms: int | None) -> Json:
    """The body of ``POST /infill`` at a cursor position.

    Args:
        moment: the editor.
        ring: of chunks.
        seed: of the sampler; llama.vim leaves it open.
        max_predict_ms: time limit of the prediction; None for no limit.
    """
    lines = moment.text.split("\n")
    line = lines[moment.line]
    before, after = line[: moment.column], line[moment.column :]
    indent = len(line) - len(line.lstrip())
    if not line.strip():
        before, after, indent = "", "", 0
    above = lines[max(0, moment.line - N_PREFIX_LINES) : moment.line]
    below = lines[moment.line + 1 : moment.line + 1 + N_SUFFIX_LINES]
    limits: Json = {}
    if max_predict_ms is not None:
        limits = {"t_max_prompt_ms": _MAX_PROMPT_MS, "t_max_predict_ms": max_predict_ms}
    return {
        "input_prefix": "\n".join(above) + "\n",
        "input_suffix": after + "\n" + "\n".join(below) + "\n",
        "input_extra": ring.extra,
        "prompt": before,
        "n_predict": N_PREDICT,
        "n_indent": indent,
        "top_k": 40,
        "top_p": 0.90,
        "samplers": ["top_k", "top_p", "infill"],
        "seed": seed,
        "stream": True,
        "cache_prompt": True,
        **limits,
    }


def warm_up(ring: Ring) -> Json:
    """The request by which llama.vim has a new chunk evaluated ahead of time."""
    return {
        "input_prefix": "",
        "input_suffix": "",
        "input_extra": ring.extra,
        "prompt": "",
        "n_predict": 0,
        "temperature": 0.0,
        "samplers": [],
        "stream": False,
        "cache_prompt": True,
    }


def around(moment: Moment) -> list[str]:
    """The lines around the cursor that a chunk is picked from."""
    half = _CHUNK_LINES // 2
    return moment.text.split("\n")[max(0, moment.line - half) : moment.line + half + 1]


def similarity(first: Sequence[str], second: Sequence[str]) -> float:
    """How much two chunks have in common, 0 to 1: 2 · common lines / all lines."""
    common = len([line for line in first if line in second])
    n_lines = len(first) + len(second)
    return 2 * common / n_lines if n_lines else 0.0


def is_typing(event: Event) -> bool:
    """Whether an event happens in insert mode, in which the ring stays as it is."""
    return isinstance(event, Edit)
