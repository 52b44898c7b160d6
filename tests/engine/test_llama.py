"""The llama.cpp back end with the default model: reuse, cancellation, special tokens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from context.types import Segment
from lsp_server.engine.job import Job
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import Generate
from lsp_server.errors import EngineRefusedError
from lsp_server.types import SamplingParams, TokenChunk

pytestmark = pytest.mark.model

BEFORE = '''def load(path):
    """Read JSON."""
    with open(path) as file:
        return json.load(file)


def save(path, data):
    """Write JSON."""
    with open(path, "w") as file:
        '''
AFTER = "\n\n\nprint(load('x.json'))\n"


class Recorder(Job):
    """A job that keeps its chunks."""

    def __init__(self, request: Generate, on_chunk: Any = None) -> None:
        super().__init__(request, answer=lambda _: None, loop=None)  # type: ignore[arg-type]
        self.chunks: list[TokenChunk] = []
        self._on_chunk = on_chunk

    def emit(self, chunk: TokenChunk) -> None:
        """Keep the chunk."""
        self.chunks.append(chunk)
        if self._on_chunk:
            self._on_chunk(self, chunk)

    @property
    def text(self) -> str:
        """All text."""
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def last(self) -> TokenChunk:
        """The last chunk."""
        return self.chunks[-1]


@pytest.fixture(scope="module")
def backend(default_model_cache: Path) -> Iterator[Any]:
    """The loaded model."""
    from lsp_server.engine.llama_backend import LlamaBackend
    from lsp_server.models import catalog

    path = default_model_cache / "models" / catalog.default_entry(None).filename
    loaded = LlamaBackend(
        EngineOptions(model_path=str(path), n_ctx=3072, n_slots=3), lambda _progress: True
    )
    yield loaded
    loaded.close()


def request(before: str, after: str = AFTER, **options: Any) -> Generate:
    """A FIM request."""
    segments = (
        Segment(role="fim_prefix"),
        Segment(role="text", text=before),
        Segment(role="fim_suffix"),
        Segment(role="text", text=after),
        Segment(role="fim_middle"),
    )
    sampling = SamplingParams(max_tokens=options.pop("max_tokens", 24))
    return Generate(request_id=1, segments=segments, sampling=sampling, **options)


def run(backend: Any, wanted: Generate) -> Recorder:
    """Serve a request."""
    job = Recorder(wanted)
    backend.run(job)
    return job


def test_fills_a_hole_and_reports_what_it_did(backend: Any) -> None:
    """The text is right, every token has a log-probability, and the counts add up."""
    job = run(backend, request(BEFORE))
    assert job.text.startswith("json.dump(data, file")
    logprobs = [p for chunk in job.chunks for p in chunk.logprobs]
    timings = job.last.timings
    assert timings is not None
    assert len(logprobs) == timings.n_generated > 3
    assert all(p <= 0 for p in logprobs)
    assert sum(job.last.segment_tokens) == timings.n_prompt
    assert job.last.finish_reason in ("stop", "length")


def test_typed_text_reuses_the_kv_cache(backend: Any) -> None:
    """After a typed character only the suffix and what was typed are evaluated again."""
    first = run(backend, request(BEFORE))
    second = run(backend, request(BEFORE + "j"))
    a, b = first.last.timings, second.last.timings
    assert a is not None
    assert b is not None
    n_suffix = sum(first.last.segment_tokens[2:])
    assert b.n_prompt - b.n_reused <= n_suffix + 4
    assert second.text.startswith("son.dump(data, file")


def test_reuse_does_not_change_the_text(backend: Any) -> None:
    """With and without reuse the same tokens come out."""
    run(backend, request("x = 1\n" * 30))
    fresh = run(backend, request("import json\n\n\n" + BEFORE))
    again = run(backend, request("import json\n\n\n" + BEFORE))
    assert again.last.timings is not None
    assert again.last.timings.n_reused == again.last.timings.n_prompt - 1
    assert again.text == fresh.text


def test_cancel_in_prefill_stops_it_and_keeps_what_was_done(backend: Any) -> None:
    """A cancelled prefill ends before its end; the next request gives what a fresh one gives."""
    long = "".join(f"def f{i}(a):\n    return a + {i}\n\n\n" for i in range(30)) + BEFORE
    job = Recorder(request(long))
    worker = threading.Thread(target=backend.run, args=(job,))
    worker.start()
    while backend._running is not job:  # what is cancelled before it runs would prove little
        worker.join(0.001)
    job.cancel()
    backend.interrupt(job)
    worker.join()
    assert job.last.finish_reason == "cancelled"
    assert job.text == ""
    whole = run(backend, request(long))
    assert whole.text.startswith("json.dump(data, file")


def test_cancel_in_decode_ends_after_the_token(backend: Any) -> None:
    """A job cancelled at its second piece of text sends no more than that."""
    n_texts = 0

    def stop_early(job: Recorder, chunk: TokenChunk) -> None:
        nonlocal n_texts
        n_texts += bool(chunk.text)
        if n_texts == 2:
            job.cancel()
            backend.interrupt(job)

    job = Recorder(request(BEFORE, max_tokens=60), stop_early)
    backend.run(job)
    assert job.last.finish_reason == "cancelled"
    assert n_texts == 2
    assert run(backend, request(BEFORE)).text.startswith("json.dump(data, file")


def test_markers_in_text_are_no_tokens(backend: Any) -> None:
    """FIM and chat markers in user text are tokenized as plain characters."""
    llama = backend._llama
    markers = ["<|fim_prefix|>", "<|fim_middle|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    for marker in markers:
        ids = llama.tokenize(f"a{marker}b")
        assert len(ids) > 3
        assert not any(llama.is_control(i) or llama.is_stop(i) for i in ids)
        assert b"".join(llama.piece(i) for i in ids).decode() == f"a{marker}b"


@pytest.mark.parametrize("text", ["", "é漢🎉", "\ud800", "\0", "a\r\nb", " " * 5000])
def test_any_text_can_be_tokenized(backend: Any, text: str) -> None:
    """Whatever a document holds becomes tokens that give it back."""
    llama = backend._llama
    ids = llama.tokenize(text)
    assert b"".join(llama.piece(i) for i in ids) == text.encode("utf-8", "replace")


def test_a_prompt_beyond_the_context_is_refused(backend: Any) -> None:
    """The refusal says how many tokens there were; the next request is served."""
    with pytest.raises(EngineRefusedError) as caught:
        run(backend, request("x = 1\n" * 2000))
    assert caught.value.code == "prompt_too_long"
    assert run(backend, request(BEFORE)).text.startswith("json.dump(data, file")


def test_prefill_without_tokens_warms_the_cache(backend: Any) -> None:
    """A request for no tokens leaves its prompt in the KV cache."""
    before = "import os\n" * 20 + BEFORE
    warm = run(backend, request(before, max_tokens=0, lane="background"))
    assert warm.text == ""
    hot = run(backend, request(before))
    assert hot.last.timings is not None
    assert hot.last.timings.n_reused == hot.last.timings.n_prompt - 1


def test_stop_strings_end_the_text(backend: Any) -> None:
    """Nothing of a stop string is sent."""
    job = run(backend, request(BEFORE, stop=(", file",)))
    assert job.text == "json.dump(data"
    assert job.last.finish_reason == "stop"


def test_more_prompts_than_slots_are_served(backend: Any) -> None:
    """Prompts of many files take turns in the slots."""
    for number in range(4):
        filler = "".join(f"v{number}_{i} = {i}\n" for i in range(35))
        assert run(backend, request(filler + BEFORE)).text.startswith("json.dump(data, file")
    assert all(slot.n_tokens for slot in backend.info().slots)
