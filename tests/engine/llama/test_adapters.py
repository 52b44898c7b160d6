"""LoRA adapters: loaded once, put on and taken off, refused with a reason."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import llama_cpp
import pytest

from lsp_server.engine.llama import adapters as adapters_module
from lsp_server.engine.llama.adapters import NO_ADAPTERS, Adapters, adapter_set
from lsp_server.engine.llama.native import NativeLog
from lsp_server.engine.protocol import Adapter
from lsp_server.errors import ModelInvalidError
from tests.models.gguf_files import lora


class FakeLog(NativeLog):
    """A log that llama.cpp does not write to."""

    def __init__(self) -> None:
        self.lines: list[str] = []


class Native:
    """What llama.cpp was asked for: files read, pointers freed, sets put on the context."""

    def __init__(self, log: FakeLog) -> None:
        self.log = log
        self.read: list[str] = []
        self.freed: list[int] = []
        self.sets: list[list[tuple[int, float]]] = []
        self.refusal = ""

    def init(self, _model: Any, path: bytes) -> int | None:
        """Load a file; pointers count up from 1."""
        if self.refusal:
            self.log.lines.append(self.refusal)
            return None
        self.read.append(os.fsdecode(path))
        return 8 * len(self.read)

    def set(self, _context: Any, pointers: Any, n: int, scales: Any) -> int:
        """Put a set on the context."""
        import ctypes

        addresses = [ctypes.cast(pointers[i], ctypes.c_void_p).value or 0 for i in range(n)]
        self.sets.append([(addresses[i], round(scales[i], 3)) for i in range(n)])
        return 0


@pytest.fixture
def native(monkeypatch: pytest.MonkeyPatch) -> Native:
    """A llama.cpp that takes every adapter."""
    import ctypes

    fake = Native(FakeLog())

    def init(model: Any, path: bytes) -> Any:
        address = fake.init(model, path)
        return address and ctypes.cast(address, llama_cpp.llama_adapter_lora_p_ctypes)

    def free(pointer: Any) -> None:
        fake.freed.append(ctypes.cast(pointer, ctypes.c_void_p).value or 0)

    monkeypatch.setattr(llama_cpp, "llama_adapter_lora_init", init)
    monkeypatch.setattr(llama_cpp, "llama_adapter_lora_free", free)
    monkeypatch.setattr(llama_cpp, "llama_set_adapters_lora", fake.set)
    return fake


@pytest.fixture
def table(native: Native) -> Adapters:
    """The adapters of a qwen2 model."""
    return Adapters("model", "context", native.log, architecture="qwen2", ties_output=False)


def make(folder: Path, name: str) -> str:
    """An adapter's file."""
    path = folder / f"{name}.gguf"
    path.write_bytes(lora())
    return str(path)


def test_a_file_is_read_once(tmp_path: Path, native: Native, table: Adapters) -> None:
    """Sets are changed without reading a file again, and set only when they differ."""
    a, b = make(tmp_path, "a"), make(tmp_path, "b")
    one = table.load([Adapter(path=a)])
    both = table.load([Adapter(path=b, scale=-0.5), Adapter(path=a)])
    for wanted in (one, one, both, NO_ADAPTERS, both):
        table.use(wanted)
        assert table.in_force == wanted
    assert native.read == [a, b]
    assert native.sets == [[(8, 1.0)], [(8, 1.0), (16, -0.5)], [], [(8, 1.0), (16, -0.5)]]
    assert table.names == (a, b) or table.names == (b, a)


def test_equal_sets_are_equal(tmp_path: Path) -> None:
    """The order makes no difference, the scale does, and a scale of 0 is no adapter."""
    a, b = Adapter(path=make(tmp_path, "a")), Adapter(path=make(tmp_path, "b"), scale=2)
    assert adapter_set([a, b]) == adapter_set([b, a])
    assert adapter_set([a, b]) != adapter_set([a, Adapter(path=b.path, scale=2.5)])
    assert adapter_set([a, Adapter(path=b.path, scale=0.0)]) == adapter_set([a])


def test_a_new_version_of_a_file_is_another_adapter(
    tmp_path: Path, native: Native, table: Adapters
) -> None:
    """After training again the file is read again, and nothing of the old one is reused."""
    path = make(tmp_path, "a")
    old = table.load([Adapter(path=path)])
    Path(path).write_bytes(lora({"adapter.lora.alpha": 4.0, "general.name": "again"}))
    new = table.load([Adapter(path=path)])
    assert old != new
    assert native.read == [path, path]


def test_old_files_are_freed_unless_somebody_needs_them(
    tmp_path: Path, native: Native, table: Adapters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only so many stay; those on the context, or of a slot, among them."""
    monkeypatch.setattr(adapters_module, "_N_KEPT", 2)
    sets = [table.load([Adapter(path=make(tmp_path, name))]) for name in "ab"]
    table.use(sets[0])
    table.load([Adapter(path=make(tmp_path, "c"))], in_use=[sets[1]])
    assert native.freed == []
    table.load([Adapter(path=make(tmp_path, "d"))])
    assert native.freed == [16, 24]
    table.use(sets[0])
    assert native.sets == [[(8, 1.0)]]


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -10.5, 11.0])
def test_scales_have_bounds(tmp_path: Path, table: Adapters, scale: float) -> None:
    """A scale that would drown the model is refused."""
    with pytest.raises(ModelInvalidError) as caught:
        table.load([Adapter(path=make(tmp_path, "a"), scale=scale)])
    assert caught.value.code == "lora_invalid"
    assert "scale" in caught.value.message


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("relative.gguf", "not absolute"),
        ("/nowhere/a.gguf", "cannot be opened (No such file or directory)"),
        ("/with\0zero", "cannot be opened"),
        ("/", "no such file"),
    ],
)
def test_paths_that_lead_nowhere(table: Adapters, native: Native, path: str, words: str) -> None:
    """The reason says which path and what is wrong with it."""
    with pytest.raises(ModelInvalidError) as caught:
        table.load([Adapter(path=path)])
    assert caught.value.code == "lora_invalid"
    assert words in caught.value.message
    assert native.read == []


def test_the_same_file_twice(tmp_path: Path, table: Adapters) -> None:
    """llama.cpp would take only one of the scales."""
    path = make(tmp_path, "a")
    with pytest.raises(ModelInvalidError, match="named twice"):
        table.load([Adapter(path=path), Adapter(path=path, scale=0.5)])


def test_garbage_never_reaches_llama_cpp(tmp_path: Path, table: Adapters, native: Native) -> None:
    """The header is read here first."""
    path = tmp_path / "a.gguf"
    path.write_bytes(b"garbage")
    with pytest.raises(ModelInvalidError, match="not a GGUF"):
        table.load([Adapter(path=str(path))])
    assert native.read == []


def test_what_llama_cpp_refuses_is_not_ignored(
    tmp_path: Path, table: Adapters, native: Native
) -> None:
    """A null pointer is an error with llama.cpp's reason; the next request can try again."""
    path = make(tmp_path, "a")
    native.refusal = "tensor 'x' has incorrect shape"
    with pytest.raises(ModelInvalidError, match="incorrect shape") as caught:
        table.load([Adapter(path=path)])
    assert caught.value.code == "lora_invalid"
    assert table.names == ()
    native.refusal = ""
    assert table.load([Adapter(path=path)])
