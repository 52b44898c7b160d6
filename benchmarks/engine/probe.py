"""Speeds and memory of one engine configuration, measured in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import msgspec
import psutil

from benchmarks.engine.driver import Engine
from benchmarks.engine.words import Words, request
from benchmarks.machine import ROOT
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import NOWHERE, Generate, Home
from lsp_server.engine.texts import Texts
from lsp_server.errors import EngineError

_TIMEOUT_S = 7200.0
_N_BEHIND = 2
_N_TEXT_TOKENS = 20_000
_MAX_BYTES_PER_TOKEN = 16


class Probe(msgspec.Struct, frozen=True, kw_only=True):
    """What is measured.

    Args:
        options: of the engine.
        depth: tokens in the KV cache before what is timed.
        n_prompt: tokens of a timed prefill.
        n_gen: tokens of a timed decode.
        repetitions: how often.
        seed: of the words.
        n_corpus_tokens: in texts that an n-gram model is made of; 0 does without.
    """

    options: EngineOptions
    depth: int
    n_prompt: int
    n_gen: int
    repetitions: int
    seed: int
    n_corpus_tokens: int = 0


class Probed(msgspec.Struct, frozen=True, kw_only=True):
    """What was found.

    Args:
        prefill_tokens_per_s: of each repetition.
        decode_tokens_per_s: of each repetition.
        rss_bytes: memory of the process at the end; files that are mapped into it count too.
        n_ctx: cells of the KV cache.
        flash_attention: whether it is on.
    """

    prefill_tokens_per_s: tuple[float, ...]
    decode_tokens_per_s: tuple[float, ...]
    rss_bytes: int
    n_ctx: int
    flash_attention: bool


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Why nothing was found."""

    code: str
    message: str
    hint: str = ""


def run(probe: Probe) -> Probed:
    """Measure in a child process, so that its memory is that of one engine.

    Raises:
        EngineError: it failed, with its own code and message, or with ``probe_failed``.
    """
    try:
        done = subprocess.run(
            [sys.executable, "-m", "benchmarks.engine.child"],
            cwd=ROOT,
            input=msgspec.json.encode(probe),
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise EngineError(f"The measuring process failed: {error}.", code="probe_failed") from error
    last = (done.stdout.strip().splitlines() or [b""])[-1]
    try:
        if done.returncode == 0:
            return msgspec.json.decode(last, type=Probed)
        failure = msgspec.json.decode(last, type=Failure)
    except msgspec.MsgspecError:
        words = done.stderr.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
        raise EngineError(
            f"The measuring process ended with status {done.returncode}. {words[0][:300]}",
            code="probe_failed",
        ) from None
    raise EngineError(failure.message, code=failure.code, hint=failure.hint)


def measure(probe: Probe) -> Probed:
    """Measure in this process.

    Args:
        probe: see there.

    Raises:
        MidfillError: the engine cannot be loaded, or refuses a request.
    """
    prefills: list[float] = []
    decodes: list[float] = []
    with Engine(probe.options) as engine, engine.endless():
        words = Words(engine.llama.tokenizer, probe.seed)
        begin = words.text(probe.depth, "depth") if probe.depth else ""
        ask = _asker(engine, words, probe.n_corpus_tokens)
        engine.run(ask(begin or words.text(probe.n_prompt, "warm up"), 1))
        for repetition in range(probe.repetitions):
            # The markers behind the text are evaluated again.
            n_prompt = probe.depth + probe.n_prompt - (_N_BEHIND if begin else 0)
            text = words.text(n_prompt, repetition, begin=begin)
            job = engine.run(ask(text, probe.n_gen + 1))
            timings = job.timings
            n_evaluated = timings.n_prompt - timings.n_reused
            prefills.append(1000 * n_evaluated / timings.prefill_ms)
            decodes.append(1000 * (timings.n_generated - 1) / timings.decode_ms)
        return Probed(
            prefill_tokens_per_s=tuple(prefills),
            decode_tokens_per_s=tuple(decodes),
            rss_bytes=psutil.Process().memory_info().rss,
            n_ctx=engine.llama.n_ctx,
            flash_attention=engine.llama.flash_attention,
        )


def _asker(engine: Engine, words: Words, n_corpus_tokens: int) -> Callable[[str, int], Generate]:
    """Makes requests of a place where so much is known of other files."""
    home = NOWHERE
    if n_corpus_tokens:
        home = Home(corpus="probe", path="open.py")
        texts = Texts(_MAX_BYTES_PER_TOKEN * n_corpus_tokens)
        for number in range(n_corpus_tokens // _N_TEXT_TOKENS):
            texts.put(home.corpus, f"{number}.py", words.about(_N_TEXT_TOKENS, "corpus", number))
        engine.know(texts)
    return lambda text, max_tokens: msgspec.structs.replace(
        request(text, max_tokens), home=home, whole_corpus=True
    )
