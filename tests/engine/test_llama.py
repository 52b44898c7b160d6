"""The llama.cpp back end with the default model: reuse, cancellation, special tokens."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from context.types import Segment
from lsp_server.engine.job import Job
from lsp_server.engine.lanes import Lanes
from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import Generate
from lsp_server.errors import EngineRefusedError, MidfillError
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

    def __init__(self, request: Generate, on_chunk: Any = None, client: str = "") -> None:
        super().__init__(
            request,
            answer=lambda _: None,
            loop=None,  # type: ignore[arg-type]
            client=client,
        )
        self.chunks: list[TokenChunk] = []
        self.refusal: MidfillError | None = None
        self._on_chunk = on_chunk
        self._over = threading.Event()

    def emit(self, chunk: TokenChunk) -> None:
        """Keep the chunk."""
        self.chunks.append(chunk)
        if self._on_chunk:
            self._on_chunk(self, chunk)
        if chunk.finish_reason is not None:
            self._over.set()

    def refuse(self, error: MidfillError) -> None:
        """Keep the error."""
        self.refusal = error
        self._over.set()

    def wait(self) -> None:
        """Wait for the last chunk or the refusal."""
        assert self._over.wait(120)

    @property
    def text(self) -> str:
        """All text."""
        return "".join(chunk.text for chunk in self.chunks)

    @property
    def last(self) -> TokenChunk:
        """The last chunk."""
        return self.chunks[-1]


class Engine:
    """A backend at work in a thread of its own."""

    def __init__(self, backend: Any) -> None:
        self.backend = backend
        self.lanes = Lanes()
        self._thread = threading.Thread(target=backend.serve, args=(self.lanes,))
        self._thread.start()

    def put(self, job: Recorder) -> Recorder:
        """Ask for something."""
        self.lanes.put(job)
        if job.request.lane == "interactive":
            self.backend.make_way(job)
        return job

    def run(self, wanted: Generate) -> Recorder:
        """Serve a request."""
        job = self.put(Recorder(wanted))
        job.wait()
        if job.refusal is not None:
            raise job.refusal
        return job

    def cancel(self, job: Recorder) -> None:
        """Lose interest."""
        job.cancel()
        self.backend.interrupt(job)

    def close(self) -> None:
        """End the thread and free the model."""
        self.lanes.close()
        self._thread.join()
        self.backend.close()


@pytest.fixture(scope="module")
def backend(default_model_cache: Path) -> Iterator[Any]:
    """The loaded model."""
    from lsp_server.engine.llama_backend import LlamaBackend
    from lsp_server.models import catalog

    path = default_model_cache / "models" / catalog.default_entry(None).filename
    loaded = LlamaBackend(
        EngineOptions(model_path=str(path), n_ctx=3072, n_slots=3), lambda _progress: True
    )
    engine = Engine(loaded)
    yield engine
    engine.close()


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
    job: Recorder = backend.run(wanted)
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


def test_a_typed_character_does_not_cost_the_suffix(backend: Any) -> None:
    """After a typed character a handful of tokens are evaluated; the suffix is moved."""
    after = AFTER + "x = load('y.json')\n" * 20
    first = run(backend, request(BEFORE, after))
    second = run(backend, request(BEFORE + "j", after))
    a, b = first.last.timings, second.last.timings
    assert a is not None
    assert b is not None
    assert sum(first.last.segment_tokens[2:]) > 100
    assert b.n_prompt - b.n_reused <= 10
    assert second.text.startswith("son.dump(data, file")


def test_a_word_is_healed(backend: Any) -> None:
    """The word at the cursor is generated anew, and only what goes beyond it is sent."""
    half = BEFORE + "js"
    healed = run(backend, request(half, heal_bytes=2))
    assert healed.text.startswith("on.dump(data, file")
    # The prompt ends before the word: typing on does not change it.
    more = run(backend, request(half + "o", heal_bytes=3))
    assert more.text.startswith("n.dump(data, file")
    assert more.last.timings is not None
    assert more.last.timings.n_prompt - more.last.timings.n_reused == 1


def test_several_clients_stream_at_once(backend: Any) -> None:
    """Jobs of several clients are served together, and each gets what it gets alone."""
    wanted = [request(BEFORE), request("import os\n\n\ndef names(folder):\n    return os.")]
    alone = [run(backend, each).text for each in wanted]
    jobs = [backend.put(Recorder(each, client=str(n))) for n, each in enumerate(wanted)]
    for job in jobs:
        job.wait()
    assert [job.text for job in jobs] == alone


def test_an_interactive_job_ends_a_warm_up(backend: Any) -> None:
    """Work that nobody waits for gives way at once."""
    long = "".join(f"names[{i}] = 'the number {i}'\n" for i in range(90))
    warm_up = backend.put(Recorder(request(long, max_tokens=0, lane="warm_up")))
    while not warm_up.running:
        backend.lanes.wait(0.001)
    answer = run(backend, request(BEFORE))
    warm_up.wait()
    assert warm_up.last.finish_reason == "cancelled"
    assert answer.text.startswith("json.dump(data, file")


def test_reuse_does_not_change_the_text(backend: Any) -> None:
    """With and without reuse the same tokens come out."""
    run(backend, request("x = 1\n" * 30))
    fresh = run(backend, request("import json\n\n\n" + BEFORE))
    again = run(backend, request("import json\n\n\n" + BEFORE))
    assert again.last.timings is not None
    assert again.last.timings.n_reused == again.last.timings.n_prompt - 1
    assert again.text == fresh.text


LONG = "".join(f"def f{i}(a):\n    return a + {i}\n\n\n" for i in range(60)) + BEFORE


def start(backend: Any, wanted: Generate) -> Recorder:
    """A job whose prompt is being evaluated."""
    job = Recorder(wanted)
    backend.put(job)
    while job not in backend.backend._at_work:
        backend.lanes.wait(0.001)  # what is cancelled before it runs would prove little
    return job


def test_a_cancelled_prompt_helps_the_next_one(backend: Any) -> None:
    """A cancelled prefill ends after its piece, which the next key's request finds evaluated."""
    job = start(backend, request(LONG))
    backend.cancel(job)
    job.wait()
    assert job.last.finish_reason == "cancelled"
    assert job.text == ""
    whole = run(backend, request(LONG + "j"))
    assert whole.text.startswith("son.dump(data, file")
    assert whole.last.timings is not None
    assert whole.last.timings.n_reused >= 100


def test_another_document_does_not_wait_for_a_long_prompt(backend: Any) -> None:
    """A running piece of a prompt is stopped for a request that cannot use it; then both go on."""
    other = "# another file\n" + LONG.replace("return", "yield")
    job = start(backend, request(other))
    answer = run(backend, request(BEFORE))
    assert job.last.finish_reason is None if job.chunks else True
    job.wait()
    assert answer.text.startswith("json.dump(data, file")
    assert job.last.finish_reason in ("stop", "length")
    assert job.text


def test_cancel_in_decode_ends_after_the_token(backend: Any) -> None:
    """A job cancelled at its second piece of text sends no more than that."""
    n_texts = 0

    def stop_early(job: Recorder, chunk: TokenChunk) -> None:
        nonlocal n_texts
        n_texts += bool(chunk.text)
        if n_texts == 2:
            backend.cancel(job)

    job = backend.put(Recorder(request(BEFORE, max_tokens=60), stop_early))
    job.wait()
    assert job.last.finish_reason == "cancelled"
    assert n_texts == 2
    assert run(backend, request(BEFORE)).text.startswith("json.dump(data, file")


def test_markers_in_text_are_no_tokens(backend: Any) -> None:
    """FIM and chat markers in user text are tokenized as plain characters."""
    llama = backend.backend._llama
    markers = ["<|fim_prefix|>", "<|fim_middle|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    for marker in markers:
        ids = llama.tokenize(f"a{marker}b")
        assert len(ids) > 3
        assert not any(llama.is_control(i) or llama.is_stop(i) for i in ids)
        assert b"".join(llama.piece(i) for i in ids).decode() == f"a{marker}b"


@pytest.mark.parametrize("text", ["", "é漢🎉", "\ud800", "\0", "a\r\nb", " " * 5000])
def test_any_text_can_be_tokenized(backend: Any, text: str) -> None:
    """Whatever a document holds becomes tokens that give it back."""
    llama = backend.backend._llama
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
    warm = run(backend, request(before, max_tokens=0, lane="warm_up"))
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
    assert all(slot.n_tokens for slot in backend.backend.info().slots)
