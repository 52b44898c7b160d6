"""How fast a loaded model is here: the figures by which a model is chosen and speculation decided.

What counts is the time from a typed key to a whole line. With the prompt in the KV cache a key
costs a batch of about five tokens (what was typed, and the seam of the suffix, whose keys are moved
with it), one more for the last marker, and a line about ten steps of one token.
"""

from __future__ import annotations

import logging
import statistics
import time
from collections.abc import Callable
from pathlib import Path

from context.types import Segment
from lsp_server.engine import speeds
from lsp_server.engine.llama.model import Aborted, ContextFull, Entry, LlamaModel
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.speeds import Speed
from lsp_server.errors import MidfillError
from lsp_server.models import machine, store
from lsp_server.types import SamplingParams

log = logging.getLogger("midfill.engine")

_N_PROMPT = 1024
# Cells of the KV cache that are taken meanwhile.
_N_CELLS = _N_PROMPT + 64
# A large model on a small machine gets a shorter prompt: behind it steps are little faster.
_MAX_PREFILL_S = 15.0
_N_TYPED = 5
_N_LINE = 10
_N_RUNS = 5
_STEP_SIZES = (1, 2, 4, 8, 16)
# The first evaluation brings the weights into memory; what it takes says nothing.
_N_FIRST = 32
# Any text will do: speed does not depend on it.
_TEXT = "def total(prices):\n    return sum(price for price in prices if price > 0)\n\n\n"


# After so many interruptions the model is left alone until the engine starts again.
_MAX_TRIES = 10


class _Interrupted(Exception):
    """Somebody else needs the model."""


def gauge(
    llama: LlamaModel,
    seq_id: int,
    *,
    model_id: str = "",
    go_on: Callable[[], bool] = lambda: True,
    on_progress: Callable[[float], None] = lambda _share: None,
) -> Speed | None:
    """Measure a model; None if it was interrupted.

    Args:
        llama: the model; its abort flag ends the work.
        seq_id: an empty sequence; it is left empty.
        model_id: for display.
        go_on: asked before each step; False interrupts.
        on_progress: called with 0..1.
    """
    bench = _Bench(llama, seq_id, go_on)
    try:
        return bench.run(model_id, on_progress)
    except (Aborted, ContextFull, _Interrupted):
        return None
    finally:
        bench.close()


class OwnSpeed:
    """What is known of the speed of the model an engine runs, and when to measure it.

    Args:
        options: of the engine.
    """

    def __init__(self, options: EngineOptions) -> None:
        self._options = options
        self._n_tries = 0
        self._done = False

    def find(self) -> Speed | None:
        """What was measured before."""
        known = speeds.find(self._sha256(), self._options)
        self._done = known is not None and known.settled
        return known

    def wanted(self, n_free: int) -> bool:
        """Whether the model should be measured in the next pause.

        Args:
            n_free: cells of the KV cache that nothing is kept in.
        """
        return not self._done and n_free >= _N_CELLS and not machine.on_battery()

    def measure(self, llama: LlamaModel, seq_id: int, go_on: Callable[[], bool]) -> Speed | None:
        """Measure the model and keep the figures; None if it was interrupted.

        Args:
            llama: the model; its abort flag ends the work.
            seq_id: an empty sequence; it is left empty.
            go_on: asked before each step; False interrupts.
        """
        self._n_tries += 1
        self._done = self._n_tries >= _MAX_TRIES
        try:
            speed = gauge(llama, seq_id, model_id=self._options.model_id, go_on=go_on)
        except Exception:
            log.exception("the model could not be measured")
            self._done = True
            return None
        if speed is None:
            return None
        self._done = True
        log.info("measured: a warm first line takes %.0f ms", speed.first_line_ms)
        return speeds.save(self._sha256(), self._options, speed)

    def _sha256(self) -> str:
        try:
            return store.recorded_sha256(Path(self._options.model_path))
        except MidfillError as error:
            log.warning("what is measured cannot be kept: %s", error)
            return ""


class _Bench:
    def __init__(self, llama: LlamaModel, seq_id: int, go_on: Callable[[], bool]) -> None:
        self._llama = llama
        self._seq_id = seq_id
        self._go_on = go_on
        self._tokens = llama.tokenizer.encode((Segment(role="text", text=_TEXT),)).tokens
        self._sampler = llama.sampler(SamplingParams())
        self._length = 0

    def close(self) -> None:
        """Leave nothing behind."""
        self._sampler.close()
        self._llama.truncate(self._seq_id, 0)

    def run(self, model_id: str, on_progress: Callable[[float], None]) -> Speed:
        """All figures."""
        self._evaluate(_N_FIRST)
        self._cut(0)
        prefill_s = 0.0
        while self._length < _N_PROMPT and prefill_s < _MAX_PREFILL_S:
            prefill_s += self._evaluate(min(self._llama.n_ubatch, _N_PROMPT - self._length))
            on_progress(0.5 * max(self._length / _N_PROMPT, prefill_s / _MAX_PREFILL_S))
        n_prompt = n_prefilled = self._length
        lines_s: list[float] = []
        decodes_s: list[float] = []
        steps_s: dict[int, list[float]] = {size: [] for size in _STEP_SIZES}
        for number in range(_N_RUNS):
            self._close_up(n_prompt // 2)
            n_prompt = self._length
            key_s = self._evaluate(_N_TYPED) + self._evaluate(1)
            decodes_s.append(sum(self._evaluate(1) for _ in range(_N_LINE)))
            lines_s.append(key_s + decodes_s[-1])
            self._cut(n_prompt)
            # In turns, so that a busy moment does not meet one size only.
            for size, spent_s in steps_s.items():
                spent_s.append(self._evaluate(size, every=True))
                self._cut(n_prompt)
            on_progress(0.5 + 0.5 * (number + 1) / _N_RUNS)
        return Speed(
            model_id=model_id,
            first_line_ms=1000 * min(lines_s),
            first_line_p50_ms=1000 * statistics.median(lines_s),
            n_runs=_N_RUNS,
            n_prompt_tokens=n_prefilled,
            prefill_tokens_per_s=n_prefilled / prefill_s,
            decode_tokens_per_s=_N_LINE / min(decodes_s),
            step_ms={size: 1000 * min(spent_s) for size, spent_s in steps_s.items()},
        )

    def _evaluate(self, n_tokens: int, *, every: bool = False) -> float:
        """Seconds for a batch and the token behind it; ``every`` wants the logits of each."""
        if not self._go_on():
            raise _Interrupted
        start, end = self._length, self._length + n_tokens
        entries = [
            Entry(self._tokens[at % len(self._tokens)], at, self._seq_id, every or at == end - 1)
            for at in range(start, end)
        ]
        started_s = time.perf_counter()
        self._llama.decode(entries)
        # A GPU works on while decode returns; to pick a token is to wait for it.
        self._sampler.pick(self._llama.logits(n_tokens - 1))
        self._length = end
        return max(time.perf_counter() - started_s, 1e-6)

    def _close_up(self, position: int) -> None:
        """Take one token out and move those behind it up; the next batch turns their keys."""
        if self._llama.can_shift:
            self._llama.drop(self._seq_id, position, position + 1)
            self._llama.move(self._seq_id, position + 1, self._length, -1)
            self._length -= 1

    def _cut(self, length: int) -> None:
        self._llama.truncate(self._seq_id, length)
        self._length = length
