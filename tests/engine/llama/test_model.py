"""The llama.cpp back end with the default model: reuse, cancellation, special tokens."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from lsp_server.engine.options import EngineOptions
from lsp_server.engine.protocol import NOWHERE, Adapter, Detour, Generate, Home
from lsp_server.engine.texts import Texts
from lsp_server.errors import EngineRefusedError, ModelInvalidError
from lsp_server.types import SamplingParams, TokenChunk
from tests.engine.driver import Driver, Recorder, fim_request
from tests.models.gguf_files import LORA_TENSORS, lora

if TYPE_CHECKING:
    from lsp_server.engine.llama.backend import LlamaBackend

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


@pytest.fixture(scope="module")
def backend(default_model_cache: Path) -> Iterator[Driver[LlamaBackend]]:
    """The loaded model."""
    from lsp_server.engine.llama.backend import LlamaBackend
    from lsp_server.models import catalog

    path = default_model_cache / "models" / catalog.default_entry(None).filename
    loaded = LlamaBackend(
        EngineOptions(model_path=str(path), n_ctx=3072, n_slots=3), lambda _progress: True
    )
    with Driver(loaded) as driver:
        yield driver


def request(before: str, after: str = AFTER, **options: Any) -> Generate:
    """A FIM request."""
    return fim_request(before, after, **options)


def test_fills_a_hole_and_reports_what_it_did(backend: Driver[LlamaBackend]) -> None:
    """The text is right, every token has a log-probability, and the counts add up."""
    job = backend.run(request(BEFORE))
    assert job.text.startswith("json.dump(data, file")
    logprobs = [p for chunk in job.chunks for p in chunk.logprobs]
    timings = job.last.timings
    assert timings is not None
    assert len(logprobs) == timings.n_generated > 3
    assert all(p <= 0 for p in logprobs)
    assert sum(job.last.segment_tokens) == timings.n_prompt
    assert job.last.finish_reason in ("stop", "length")


def test_a_typed_character_does_not_cost_the_suffix(backend: Driver[LlamaBackend]) -> None:
    """After a typed character a handful of tokens are evaluated; the suffix is moved."""
    after = AFTER + "x = load('y.json')\n" * 20
    first = backend.run(request(BEFORE, after))
    second = backend.run(request(BEFORE + "j", after))
    a, b = first.last.timings, second.last.timings
    assert a is not None
    assert b is not None
    assert sum(first.last.segment_tokens[2:]) > 100
    assert b.n_prompt - b.n_reused <= 10
    assert second.text.startswith("son.dump(data, file")


def test_a_word_is_healed(backend: Driver[LlamaBackend]) -> None:
    """The word at the cursor is generated anew, and only what goes beyond it is sent."""
    half = BEFORE + "js"
    healed = backend.run(request(half, heal_bytes=2))
    assert healed.text.startswith("on.dump(data, file")
    # The prompt ends before the word: typing on does not change it.
    more = backend.run(request(half + "o", heal_bytes=3))
    assert more.text.startswith("n.dump(data, file")
    assert more.last.timings is not None
    assert more.last.timings.n_prompt - more.last.timings.n_reused == 1


def test_what_was_turned_down_is_not_written_again(backend: Driver[LlamaBackend]) -> None:
    """The text is the same up to its detour, in a healed word too."""
    first = backend.run(request(BEFORE + "json"))
    assert first.text.startswith(".dump(data, file")
    at = len(".dump")  # where a token ends
    other = backend.run(request(BEFORE + "json", detours=(Detour(text=first.text, at=at),)))
    assert other.text[:at] == first.text[:at]
    assert other.text[at:].strip()
    assert not other.text.startswith(first.text[: at + len("(data")])
    healed = Detour(text="on.dump(data, file", at=0)
    assert not backend.run(request(BEFORE + "js", heal_bytes=2, detours=(healed,))).text.startswith(
        "on"
    )


def test_several_clients_stream_at_once(backend: Driver[LlamaBackend]) -> None:
    """Jobs of several clients are served together, and each gets what it gets alone."""
    wanted = [request(BEFORE), request("import os\n\n\ndef names(folder):\n    return os.")]
    alone = [backend.run(each).text for each in wanted]
    jobs = [backend.put(Recorder(each, client=str(n))) for n, each in enumerate(wanted)]
    for job in jobs:
        job.wait()
    assert [job.text for job in jobs] == alone


def test_an_interactive_job_ends_a_warm_up(backend: Driver[LlamaBackend]) -> None:
    """Work that nobody waits for gives way at once."""
    long = "".join(f"names[{i}] = 'the number {i}'\n" for i in range(90))
    warm_up = backend.put(Recorder(request(long, max_tokens=0, lane="warm_up")))
    while not warm_up.running:
        backend.lanes.wait(0.001)
    answer = backend.run(request(BEFORE))
    warm_up.wait()
    assert warm_up.last.finish_reason == "cancelled"
    assert answer.text.startswith("json.dump(data, file")


def test_reuse_does_not_change_the_text(backend: Driver[LlamaBackend]) -> None:
    """With and without reuse the same tokens come out."""
    backend.run(request("x = 1\n" * 30))
    fresh = backend.run(request("import json\n\n\n" + BEFORE))
    again = backend.run(request("import json\n\n\n" + BEFORE))
    assert again.last.timings is not None
    assert again.last.timings.n_reused == again.last.timings.n_prompt - 1
    assert again.text == fresh.text


LONG = "".join(f"def f{i}(a):\n    return a + {i}\n\n\n" for i in range(60)) + BEFORE


def start(backend: Driver[LlamaBackend], wanted: Generate) -> Recorder:
    """A job whose prompt is being evaluated."""
    job = Recorder(wanted)
    backend.put(job)
    while job not in backend.backend._way.at_work:
        backend.lanes.wait(0.001)  # what is cancelled before it runs would prove little
    return job


def test_a_cancelled_prompt_helps_the_next_one(backend: Driver[LlamaBackend]) -> None:
    """A cancelled prefill ends after its piece, which the next key's request finds evaluated."""
    job = start(backend, request(LONG))
    backend.cancel(job)
    job.wait()
    assert job.last.finish_reason == "cancelled"
    assert job.text == ""
    whole = backend.run(request(LONG + "j"))
    assert whole.text.startswith("son.dump(data, file")
    assert whole.last.timings is not None
    assert whole.last.timings.n_reused >= 100


def test_another_document_does_not_wait_for_a_long_prompt(backend: Driver[LlamaBackend]) -> None:
    """A running piece of a prompt is stopped for a request that cannot use it; then both go on."""
    other = "# another file\n" + LONG.replace("return", "yield")
    job = start(backend, request(other))
    answer = backend.run(request(BEFORE))
    assert job.last.finish_reason is None if job.chunks else True
    job.wait()
    assert answer.text.startswith("json.dump(data, file")
    assert job.last.finish_reason in ("stop", "length")
    assert job.text


def test_cancel_in_decode_ends_after_the_token(backend: Driver[LlamaBackend]) -> None:
    """A job cancelled at its second piece of text sends no more than that."""
    n_texts = 0

    def stop_early(job: Recorder, chunk: TokenChunk) -> None:
        nonlocal n_texts
        n_texts += bool(chunk.text)
        if n_texts == 2:
            backend.cancel(job)

    job = backend.put(Recorder(request(BEFORE, max_tokens=60), on_chunk=stop_early))
    job.wait()
    assert job.last.finish_reason == "cancelled"
    assert n_texts == 2
    assert backend.run(request(BEFORE)).text.startswith("json.dump(data, file")


def test_markers_in_text_are_no_tokens(backend: Driver[LlamaBackend]) -> None:
    """FIM and chat markers in user text are tokenized as plain characters."""
    tokenizer = backend.backend._llama.tokenizer
    markers = ["<|fim_prefix|>", "<|fim_middle|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    for marker in markers:
        ids = tokenizer.tokenize(f"a{marker}b")
        assert len(ids) > 3
        assert not any(tokenizer.is_control(i) or tokenizer.is_stop(i) for i in ids)
        assert b"".join(tokenizer.piece(i) for i in ids).decode() == f"a{marker}b"


@pytest.mark.parametrize("text", ["", "é漢🎉", "\ud800", "\0", "a\r\nb", " " * 5000])
def test_any_text_can_be_tokenized(backend: Driver[LlamaBackend], text: str) -> None:
    """Whatever a document holds becomes tokens that give it back."""
    tokenizer = backend.backend._llama.tokenizer
    ids = tokenizer.tokenize(text)
    assert b"".join(tokenizer.piece(i) for i in ids) == text.encode("utf-8", "replace")


def test_a_prompt_beyond_the_context_is_refused(backend: Driver[LlamaBackend]) -> None:
    """The refusal says how many tokens there were; the next request is served."""
    with pytest.raises(EngineRefusedError) as caught:
        backend.run(request("x = 1\n" * 2000))
    assert caught.value.code == "prompt_too_long"
    assert backend.run(request(BEFORE)).text.startswith("json.dump(data, file")


def test_prefill_without_tokens_warms_the_cache(backend: Driver[LlamaBackend]) -> None:
    """A request for no tokens leaves its prompt in the KV cache."""
    before = "import os\n" * 20 + BEFORE
    warm = backend.run(request(before, max_tokens=0, lane="warm_up"))
    assert warm.text == ""
    hot = backend.run(request(before))
    assert hot.last.timings is not None
    assert hot.last.timings.n_reused == hot.last.timings.n_prompt - 1


def test_stop_strings_end_the_text(backend: Driver[LlamaBackend]) -> None:
    """Nothing of a stop string is sent."""
    job = backend.run(request(BEFORE, stop=(", file",)))
    assert job.text == "json.dump(data"
    assert job.last.finish_reason == "stop"


def test_more_prompts_than_slots_are_served(backend: Driver[LlamaBackend]) -> None:
    """Prompts of many files take turns in the slots."""
    for number in range(4):
        filler = "".join(f"v{number}_{i} = {i}\n" for i in range(35))
        assert backend.run(request(filler + BEFORE)).text.startswith("json.dump(data, file")
    assert all(slot.n_tokens for slot in backend.backend.info().slots)


def test_an_engine_measures_its_model(
    default_model_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In a pause every figure is measured; the prompts in the KV cache stay as they are."""
    from lsp_server.engine.llama import backend as llama_backend
    from lsp_server.models import catalog

    monkeypatch.setattr(llama_backend, "_GAUGE_PAUSE_S", 0.0)
    path = default_model_cache / "models" / catalog.default_entry(None).filename
    options = EngineOptions(model_path=str(path), n_ctx=2048, n_slots=2)
    with Driver(llama_backend.LlamaBackend(options, lambda _progress: True)) as driver:
        first = driver.run(request(BEFORE))
        while driver.backend._own_speed.wanted(10**6):
            driver.lanes.wait(0.01)
        again = driver.run(request(BEFORE))
        speculation = driver.backend.info().speculation
    assert "guessed tokens costs" in speculation
    assert again.text == first.text
    assert again.last.timings is not None
    assert again.last.timings.n_reused == again.last.timings.n_prompt - 1


def test_speculation_changes_no_text(default_model_cache: Path) -> None:
    """With guesses from the prompt the texts are those without, healed and stopped ones too."""
    from lsp_server.engine.llama.backend import LlamaBackend
    from lsp_server.models import catalog

    path = default_model_cache / "models" / catalog.default_entry(None).filename
    body = "".join(
        f"    if name == 'key_{i}':\n        return settings['key_{i}'].strip()\n" for i in range(6)
    )
    wanted = [
        request(BEFORE),
        request("def get(name, settings):\n" + body + "    if name == 'key_6':\n        ret"),
        request("def get(name, settings):\n" + body + "    if na", heal_bytes=2, max_tokens=48),
        request("def get(name, settings):\n" + body + "    if ", stop=("strip",), max_tokens=48),
    ]

    texts = []
    for speculation in ("off", "on"):
        # Moved text might decide between two tokens that are nearly as likely.
        options = EngineOptions(
            model_path=str(path), n_ctx=2048, n_slots=1, move_kv=False, speculation=speculation
        )
        with Driver(LlamaBackend(options, lambda _progress: True)) as driver:
            texts += [[driver.run(each).text for each in wanted] for _ in range(2)]
            n_right = driver.backend.info().n_guessed_right
        assert (n_right > 0) == (speculation == "on")
    assert texts[1:] == texts[:1] * 3


def test_a_process_measures_the_model(
    backend: Driver[LlamaBackend], default_model_cache: Path
) -> None:
    """The process that ``midfill model measure`` starts reports progress and keeps the figures."""
    from lsp_server.engine import measuring, speeds
    from lsp_server.models import catalog

    entry = catalog.default_entry(None)
    path = default_model_cache / "models" / entry.filename
    options = EngineOptions(model_id=entry.id, model_path=str(path))
    shares: list[float] = []
    found = measuring.measure(options, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert speeds.find(entry.sha256, options) == found
    assert found.model_id == entry.id


def test_seeds_repeat_a_text(backend: Driver[LlamaBackend]) -> None:
    """At a falling temperature equal seeds give equal texts, and some seeds others."""

    def text(seed: int) -> str:
        sampling = SamplingParams(
            max_tokens=12, temperature=1.5, temperature_decay=0.05, top_p=1.0, seed=seed
        )
        wanted = request("import random\n\n\ndef surprise():\n    return random.")
        return backend.run(msgspec.structs.replace(wanted, sampling=sampling)).text

    text(0)  # now the prompt lies in the cache for all of them
    texts = [text(seed) for seed in range(8)]
    assert [text(seed) for seed in range(3)] == texts[:3]
    assert len(set(texts)) > 1


def test_a_healed_word_is_penalized(backend: Driver[LlamaBackend]) -> None:
    """Healing and a repetition penalty go together: the typed word still comes out."""
    wanted = request(BEFORE + "js", heal_bytes=2)
    sampling = SamplingParams(max_tokens=24, repeat_penalty=1.2)
    job = backend.run(msgspec.structs.replace(wanted, sampling=sampling))
    assert job.text.startswith("on.dump(data, file")


# -- placement and adapters --------------------------------------------------------------


def test_the_model_lies_where_it_says(backend: Driver[LlamaBackend]) -> None:
    """What was placed is what llama.cpp made of it; nothing came down on this machine."""
    info = backend.backend.info()
    llama = backend.backend._llama
    assert info.notice == ""
    assert info.placement is not None
    assert info.placement.n_layers == 25
    assert (info.n_ctx, llama.placement.n_ctx) == (3072, 3072)
    assert info.placement.kv_type == "f16"
    assert 600 << 20 < info.placement.host_bytes < 1200 << 20


def test_adapters_are_switched_without_reload(
    backend: Driver[LlamaBackend], tmp_path: Path
) -> None:
    """An adapter changes the text, a weaker one is another adapter, and without it all is back."""
    chance = random.Random(1)
    tensors = {
        "blk.23.ffn_down.weight.lora_a": (4864, 4),
        "blk.23.ffn_down.weight.lora_b": (4, 896),
    }
    path = tmp_path / "loud.gguf"
    path.write_bytes(lora(tensors=tensors, number=lambda: chance.uniform(-1, 1)))
    loud = (Adapter(path=str(path)),)
    faint = (Adapter(path=str(path), scale=1e-6),)
    # Nothing of it is in the KV cache, so that no moved text decides a tie.
    before = (
        "class Stack:\n    def __init__(self):\n        self.items = []\n\n"
        "    def push(self, x):\n        "
    )
    plain = backend.run(request(before)).text
    changed = backend.run(request(before, adapters=loud)).text
    assert changed != plain
    assert backend.run(request(before, adapters=faint)).text == plain
    again = backend.run(request(before))
    assert again.text == plain
    assert again.last.timings is not None
    assert again.last.timings.n_reused == again.last.timings.n_prompt - 1
    assert backend.run(request(before, adapters=loud)).text == changed


@pytest.mark.parametrize(
    ("tensors", "words"),
    [
        (LORA_TENSORS, "incorrect shape"),
        ({"blk.99.x.weight.lora_a": (64, 4), "blk.99.x.weight.lora_b": (4, 64)}, "does not exist"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    backend: Driver[LlamaBackend],
    tmp_path: Path,
    tensors: dict[str, tuple[int, ...]],
    words: str,
) -> None:
    """llama.cpp's reason reaches the user, and requests without the adapter are served."""
    path = tmp_path / "other.gguf"
    path.write_bytes(lora(tensors=tensors))
    with pytest.raises(ModelInvalidError, match=words) as caught:
        backend.run(request(BEFORE, adapters=(Adapter(path=str(path)),)))
    assert caught.value.code == "lora_invalid"
    assert backend.run(request(BEFORE)).text.startswith("json.dump(data, file")


KNOWN = """def refund(order):
    log.warning("parcel %s stays in depot seven", order)


def cancel(order):
    log.warning("parcel %s stays in depot seven", order)
"""


@pytest.mark.parametrize("typed", ["", "sta"])
def test_the_workspace_tells_names(backend: Driver[LlamaBackend], typed: str) -> None:
    """What no prompt says is written as other files have it, by who lives there alone."""
    backend.backend.read_from(texts := Texts(100_000))
    texts.put("shop", "refund.py", KNOWN)
    before = f'def pay(order):\n    log.warning("parcel %s {typed}'
    told: dict[str, Any] = {"whole_corpus": True, "heal_bytes": 1 + len(typed)}
    job = backend.run(request(before, home=Home(corpus="shop", path="pay.py"), **told))
    line = 'stays in depot seven", order)'.removeprefix(typed)
    assert job.text.startswith(f"{line}\n")
    chunks = [chunk for chunk in job.chunks if chunk.logprobs]
    assert all(len(c.supports) == len(c.dissents) == len(c.logprobs) for c in chunks)
    assert max(support for chunk in chunks for support in chunk.supports) > 0.9
    for home in (Home(corpus="garage", path="pay.py"), NOWHERE):
        assert "depot" not in backend.run(request(before, home=home, **told)).text
    # Of the file itself what was told is older than the prompt.
    texts.put("shop", "refund.py", "")
    texts.put("shop", "pay.py", KNOWN)
    job = backend.run(request(before, home=Home(corpus="shop", path="pay.py"), **told))
    assert "depot" not in job.text
    assert backend.backend.info().n_unread_texts == 0


def test_a_quantized_kv_cache_can_be_moved(default_model_cache: Path) -> None:
    """With q8_0 the hole is filled as well, and a typed character costs a handful of tokens."""
    from lsp_server.engine.llama.backend import LlamaBackend
    from lsp_server.models import catalog

    path = default_model_cache / "models" / catalog.default_entry(None).filename
    options = EngineOptions(model_path=str(path), n_ctx=2048, n_slots=1, kv_type="q8_0")
    with Driver(LlamaBackend(options, lambda _progress: True)) as small:
        info = small.backend.info()
        assert info.placement is not None
        assert (info.placement.kv_type, info.flash_attention) == ("q8_0", True)
        after = AFTER + "x = load('y.json')\n" * 20
        assert small.run(request(BEFORE, after)).text.startswith("json.dump(data, file")
        typed = small.run(request(BEFORE + "j", after))
        assert typed.text.startswith("son.dump(data, file")
        assert typed.last.timings is not None
        assert typed.last.timings.n_prompt - typed.last.timings.n_reused <= 10
