"""Loading where it fits, over a llama.cpp that refuses what the test says."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import llama_cpp
import pytest

from lsp_server.engine.llama import devices, loading, memory
from lsp_server.engine.llama import weights as weights_module
from lsp_server.engine.llama.estimate import Placement
from lsp_server.engine.llama.loading import Loaded, load, make_context
from lsp_server.engine.llama.memory import Memory
from lsp_server.engine.llama.native import NativeLog
from lsp_server.engine.llama.weights import Weights
from lsp_server.engine.options import EngineOptions
from lsp_server.errors import EngineError, ModelInvalidError
from tests.engine.llama.shapes import SEVEN_B, machine
from tests.models.gguf_files import gguf

ALL = SEVEN_B.n_layers + 1


class FakeLog(NativeLog):
    """A log that llama.cpp does not write to."""

    def __init__(self) -> None:
        self.lines: list[str] = []


class Llama:
    """What is asked of llama.cpp, and its answers.

    Attributes:
        memory: free on the machine.
        refuse_weights, refuse_context: say why a placement is refused; "" takes it.
        asked: placements, in order: ("weights" or "context", placement).
        open: weights that are loaded and not freed.
    """

    def __init__(self) -> None:
        self.memory: Memory = machine(64)
        self.refuse_weights: Callable[[Placement], str] = lambda _: ""
        self.refuse_context: Callable[[Placement, int], str] = lambda _, __: ""
        self.asked: list[tuple[str, Placement]] = []
        self.open = 0
        self.log = FakeLog()


@pytest.fixture
def llama(monkeypatch: pytest.MonkeyPatch) -> Llama:
    """A llama.cpp that takes everything."""
    fake = Llama()

    class FakeWeights:
        """Weights that are only counted."""

        def __init__(self, path: Path, log: NativeLog, on_progress: Any, **where: Any) -> None:
            fake.asked.append(("weights", where["placement"]))
            on_progress(0.5)
            if reason := fake.refuse_weights(where["placement"]):
                log.lines.append(reason)
                raise ModelInvalidError(reason, code="model_load_failed")
            fake.open += 1
            self.pointer = where["placement"]

        def close(self) -> None:
            """Free them."""
            fake.open -= 1

    def fake_context(model: Any, placement: Placement, n_slots: int, log: NativeLog) -> Any:
        assert fake.open == 1
        fake.asked.append(("context", placement))
        if reason := fake.refuse_context(placement, n_slots):
            log.lines.append(reason)
            return None
        return "context", True

    monkeypatch.setattr(loading, "Weights", FakeWeights)
    monkeypatch.setattr(loading, "make_context", fake_context)
    monkeypatch.setattr(loading, "shape_of", lambda _: SEVEN_B)
    monkeypatch.setattr(devices, "gpus", lambda: fake.memory.gpus)
    monkeypatch.setattr(memory, "measure", lambda _: fake.memory)
    return fake


@pytest.fixture
def run(llama: Llama, tmp_path: Path) -> Callable[..., Loaded]:
    """Loads a model with some options."""
    path = tmp_path / "model.gguf"
    path.write_bytes(gguf())

    def call(on_progress: Callable[[float], bool] = lambda _: True, **options: Any) -> Loaded:
        return load(EngineOptions(model_path=str(path), **options), llama.log, on_progress)

    return call


def test_what_fits_is_loaded_once(llama: Llama, run: Callable[..., Loaded]) -> None:
    """With enough memory there is one load, one context and nothing to tell."""
    llama.memory = machine(64, 24)
    loaded = run()
    assert [kind for kind, _ in llama.asked] == ["weights", "context"]
    assert loaded.placement.n_gpu_layers == ALL
    assert loaded.notice == ""
    assert (loaded.status.devices, loaded.status.n_layers) == (("CUDA0 Card",), ALL)
    assert loaded.status.gpu_bytes[0] > 6 << 30
    assert loaded.architecture == "qwen2"


def test_a_refused_context_is_made_smaller_on_the_same_weights(
    llama: Llama, run: Callable[..., Loaded]
) -> None:
    """The weights are not read again for another context; one message tells it all."""
    llama.memory = machine(64, 24)
    llama.refuse_context = lambda placement, _: (
        "failed to allocate buffer for kv cache" if placement.n_ctx > 8192 else ""
    )
    loaded = run()
    assert [kind for kind, _ in llama.asked] == ["weights", "context", "context", "context"]
    assert loaded.placement.n_ctx == 8192
    assert loaded.notice == (
        "The context was lowered from 32,768 to 8,192 tokens: llama.cpp refused more: "
        "failed to allocate buffer for kv cache."
    )


def test_refused_weights_leave_the_gpu_layer_by_layer(
    llama: Llama, run: Callable[..., Loaded]
) -> None:
    """The same weights are not asked for twice; fewer layers are, and what was read is freed."""
    llama.memory = machine(64, 24)
    llama.refuse_weights = lambda placement: (
        "cudaMalloc failed: out of memory" if placement.n_gpu_layers > 14 else ""
    )
    loaded = run()
    layers = [placement.n_gpu_layers for kind, placement in llama.asked if kind == "weights"]
    assert layers == [ALL, 27, 20, 13]
    assert loaded.placement.n_gpu_layers == 13
    assert "13 of the model's 29 layers are on the GPU" in loaded.notice
    assert "cudaMalloc failed" in loaded.notice
    assert llama.open == 1


def test_the_cpu_is_the_last_resort(llama: Llama, run: Callable[..., Loaded]) -> None:
    """A GPU that takes nothing at all leaves the model on the CPU, with the CPU's context."""
    llama.memory = machine(64, 24)
    llama.refuse_context = lambda placement, _: "no alloc" if placement.n_gpu_layers else ""
    loaded = run()
    assert (loaded.placement.n_gpu_layers, loaded.placement.n_ctx) == (0, 4096)
    assert loaded.notice.startswith("The model runs on the CPU and the context was lowered")
    assert llama.open == 1


def test_a_broken_file_is_no_lack_of_memory(llama: Llama, run: Callable[..., Loaded]) -> None:
    """What llama.cpp cannot read is refused at once, by its name."""
    llama.memory = machine(64, 24)
    llama.refuse_weights = lambda _: "tensor 'x' has wrong shape"
    with pytest.raises(ModelInvalidError):
        run()
    assert len(llama.asked) == 1


def test_a_stopped_load_is_not_repeated(llama: Llama, run: Callable[..., Loaded]) -> None:
    """When the engine leaves meanwhile, no other placement is tried."""
    llama.memory = machine(64, 24)
    llama.refuse_weights = lambda _: "failed to allocate"
    with pytest.raises(ModelInvalidError):
        run(on_progress=lambda _: False)
    assert len(llama.asked) == 1


@pytest.mark.parametrize(
    ("reason", "code"),
    [("failed to allocate compute buffers", "out_of_memory"), ("odd model", "context_failed")],
)
def test_when_all_is_refused(
    llama: Llama, run: Callable[..., Loaded], reason: str, code: str
) -> None:
    """The error says llama.cpp's reason; nothing stays loaded."""
    llama.refuse_context = lambda *_: reason
    with pytest.raises(EngineError) as caught:
        run()
    assert caught.value.code == code
    assert reason in caught.value.message
    assert caught.value.hint
    assert llama.open == 0


def test_memory_that_cannot_be_locked_is_said(
    llama: Llama, run: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model is loaded without the lock, and the user knows."""
    monkeypatch.setattr(memory, "allow_locking", lambda n: f"{n} bytes are too many.")
    loaded = run(mlock=True)
    assert not llama.asked[0][1].use_mlock
    n_bytes = sum(SEVEN_B.layer_bytes) + SEVEN_B.input_bytes + SEVEN_B.output_bytes
    assert loaded.notice == f"{n_bytes} bytes are too many."


def test_a_lock_that_fails_later_is_said(
    llama: Llama, run: Callable[..., Loaded], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What llama.cpp says about it reaches the user too."""
    monkeypatch.setattr(memory, "allow_locking", lambda _: "")
    original: Any = vars(loading)["Weights"]

    def with_warning(path: Path, log: NativeLog, on_progress: Any, **where: Any) -> Any:
        found = original(path, log, on_progress, **where)
        log.lines.append("warning: failed to mlock 9 bytes: Cannot allocate memory")
        return found

    monkeypatch.setattr(loading, "Weights", with_warning)
    assert "could not be locked in memory (engine.mlock)" in run(mlock=True).notice


# -- what llama.cpp is given -------------------------------------------------------------


@pytest.fixture
def params(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Parameters of the models and contexts that are asked for."""
    seen: list[Any] = []

    def take(_: Any, given: Any) -> int:
        seen.append(given)
        return 1

    monkeypatch.setattr(llama_cpp, "llama_model_load_from_file", take)
    monkeypatch.setattr(llama_cpp, "llama_init_from_model", take)
    return seen


def devices_of(params: Any) -> list[int | None] | None:
    """The addresses up to and without NULL; None if llama.cpp is left to choose."""
    if not params.devices:
        return None
    pointers = ctypes.cast(params.devices, ctypes.POINTER(ctypes.c_void_p))
    found: list[int | None] = []
    while pointers[len(found)]:
        found.append(pointers[len(found)])
    return found


@pytest.mark.parametrize(
    ("placement", "n_gpus", "expected"),
    [
        (Placement(n_ctx=1), 0, None),
        (Placement(n_ctx=1), 2, []),
        (Placement(n_ctx=1, n_gpu_layers=5, main_gpu=1), 2, [1001]),
        (
            Placement(n_ctx=1, n_gpu_layers=5, split_mode="layer", tensor_split=(1.0, 3.0)),
            2,
            [1000, 1001],
        ),
    ],
)
def test_devices_and_shares(
    params: list[Any], placement: Placement, n_gpus: int, expected: list[int] | None
) -> None:
    """llama.cpp may use only the GPUs of the placement, with their shares."""
    gpus = machine(64, *[8.0] * n_gpus).gpus
    kept = Weights(Path("x"), FakeLog(), lambda _: True, placement=placement, gpus=gpus)
    (given,) = params
    assert devices_of(given) == expected
    assert given.n_gpu_layers == placement.n_gpu_layers
    # A model on one GPU is given that one alone, as number 0.
    assert given.main_gpu == 0
    if placement.split_mode == "layer":
        assert given.split_mode == llama_cpp.LLAMA_SPLIT_MODE_LAYER
        assert list(given.tensor_split[:3]) == [1.0, 3.0, 0.0]
    assert kept.pointer


@pytest.mark.parametrize(
    ("use_mmap", "use_mlock", "expected"),
    [
        (None, False, llama_cpp.LLAMA_LOAD_MODE_AUTO),
        (True, False, llama_cpp.LLAMA_LOAD_MODE_MMAP),
        (False, False, llama_cpp.LLAMA_LOAD_MODE_NONE),
        (None, True, llama_cpp.LLAMA_LOAD_MODE_MMAP_MLOCK),
        (True, True, llama_cpp.LLAMA_LOAD_MODE_MMAP_MLOCK),
        (False, True, llama_cpp.LLAMA_LOAD_MODE_MLOCK),
    ],
)
def test_load_modes(use_mmap: bool | None, use_mlock: bool, expected: int) -> None:
    """Mapping and locking become one of llama.cpp's modes."""
    placement = Placement(n_ctx=1, use_mmap=use_mmap, use_mlock=use_mlock)
    assert weights_module._load_mode(placement) == expected


def test_a_context_as_placed(params: list[Any]) -> None:
    """Sizes, threads, types and sequences are those of the placement."""
    placement = Placement(
        n_ctx=4096, type_k="q8_0", type_v="q8_0", n_threads=3, flash_attention="on", n_ubatch=128
    )
    assert make_context(1, placement, 4, FakeLog()) == (1, True)
    (given,) = params
    assert (given.n_ctx, given.n_batch, given.n_ubatch) == (4096, 512, 128)
    assert (given.n_threads, given.n_threads_batch, given.n_seq_max) == (3, 3, 8)
    assert given.type_k == given.type_v == llama_cpp.GGML_TYPE_Q8_0
    assert given.flash_attn_type == llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED
    assert given.kv_unified


@pytest.mark.parametrize(
    ("wanted", "asked", "refusal", "expected"),
    [
        ("auto", llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO, "", (1, True)),
        ("auto", llama_cpp.LLAMA_FLASH_ATTN_TYPE_AUTO, "failed to allocate", None),
        ("off", llama_cpp.LLAMA_FLASH_ATTN_TYPE_DISABLED, "", (1, False)),
        ("on", llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED, "", (1, True)),
        ("on", llama_cpp.LLAMA_FLASH_ATTN_TYPE_ENABLED, "not supported", None),
    ],
)
def test_flash_attention(
    monkeypatch: pytest.MonkeyPatch,
    wanted: Literal["auto", "on", "off"],
    asked: int,
    refusal: str,
    expected: tuple[int, bool] | None,
) -> None:
    """It is asked for as it is set; without a context there is none."""
    log = FakeLog()

    def answer(_: Any, given: Any) -> int | None:
        assert given.flash_attn_type == asked
        log.lines.extend([refusal] if refusal else [])
        return None if refusal else 1

    monkeypatch.setattr(llama_cpp, "llama_init_from_model", answer)
    assert make_context(1, Placement(n_ctx=1, flash_attention=wanted), 1, log) == expected


def test_a_device_without_flash_attention_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where llama.cpp switches it off by itself, it is not claimed to be on."""
    log = FakeLog()

    def answer(*_: Any) -> int:
        log.lines.append("resolve_fused_ops: Flash Attention not supported, set to disabled")
        return 1

    monkeypatch.setattr(llama_cpp, "llama_init_from_model", answer)
    assert make_context(1, Placement(n_ctx=1, n_gpu_layers=2), 1, log) == (1, False)
