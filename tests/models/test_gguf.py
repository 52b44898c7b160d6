"""The GGUF reader: facts, FIM tokens, and files that are broken or hostile."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest

from lsp_server.errors import ModelInvalidError, ModelNotFoundError
from lsp_server.models import gguf as reader
from lsp_server.models.fim_tokens import FimTokens
from tests.models.gguf_files import PLAIN_TOKENS, QWEN_TOKENS, gguf, string, value


def write(folder: Path, data: bytes) -> Path:
    """A file with that content."""
    path = folder / "model.gguf"
    path.write_bytes(data)
    return path


def code_of(path: Path) -> str:
    """The reason the reader gives for refusing a file."""
    with pytest.raises(ModelInvalidError) as caught:
        reader.read(path)
    assert caught.value.hint
    return caught.value.code


def test_facts_are_read(tmp_path: Path) -> None:
    """Architecture, name, context length, file type and counts come from the header."""
    path = write(tmp_path, gguf(metadata={"tokenizer.chat_template": "{{ x }}"}))
    info = reader.read(path)
    assert (info.architecture, info.name, info.context_length) == ("qwen2", "Tiny", 2048)
    assert (info.file_type, info.n_vocab, info.n_tensors) == (7, len(QWEN_TOKENS), 1)
    assert info.n_params == 128
    assert info.has_chat_template
    assert info.size_bytes == path.stat().st_size


def test_version_2_is_read(tmp_path: Path) -> None:
    """Files of the older version 2 have the same layout."""
    assert reader.read(write(tmp_path, gguf(version=2))).architecture == "qwen2"


@pytest.mark.parametrize(
    "texts",
    [
        ("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
        ("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        ("<fim-prefix>", "<fim-suffix>", "<fim-middle>"),
        ("<｜fim▁begin｜>", "<｜fim▁hole｜>", "<｜fim▁end｜>"),
        ("<PRE>", "<SUF>", "<MID>"),
        ("▁<PRE>", "▁<SUF>", "▁<MID>"),
        ("<|code_prefix|>", "<|code_suffix|>", "<|code_middle|>"),
    ],
)
def test_fim_tokens_by_text(tmp_path: Path, texts: tuple[str, str, str]) -> None:
    """Each family's FIM tokens are found by their text."""
    path = write(tmp_path, gguf(("x", "y", *texts)))
    fim = reader.read(path).fim
    assert fim == FimTokens(prefix=2, suffix=3, middle=4)
    assert fim.missing == ()


def test_fim_tokens_of_a_repository_form(tmp_path: Path) -> None:
    """Pad, repository name and file separator are found too."""
    fim = reader.read(write(tmp_path, gguf())).fim
    assert fim == FimTokens(prefix=2, suffix=4, middle=3, pad=5, repo_name=6, file_sep=7)


@pytest.mark.parametrize(
    "keys",
    [
        ("fim_pre_token_id", "fim_suf_token_id", "fim_mid_token_id"),
        ("prefix_token_id", "suffix_token_id", "middle_token_id"),
    ],
)
def test_fim_tokens_by_id(tmp_path: Path, keys: tuple[str, str, str]) -> None:
    """Ids in the metadata, under new or old keys, win over texts."""
    ids = {f"tokenizer.ggml.{key}": number for number, key in enumerate(keys)}
    fim = reader.read(write(tmp_path, gguf(metadata=ids))).fim
    assert (fim.prefix, fim.suffix, fim.middle) == (0, 1, 2)


def test_fim_id_outside_the_vocabulary_does_not_count(tmp_path: Path) -> None:
    """An id that is no token is as good as none."""
    bad: dict[str, Any] = {"tokenizer.ggml.fim_pre_token_id": 99_999}
    path = write(tmp_path, gguf(PLAIN_TOKENS, metadata=bad))
    assert reader.read(path).fim.prefix is None


def test_model_without_fim_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    """The refusal names each missing token."""
    path = write(tmp_path, gguf(("a", "<|fim_prefix|>")))
    with pytest.raises(ModelInvalidError, match="suffix, middle") as caught:
        reader.require_fim(reader.read(path), path)
    assert caught.value.code == "model_no_fim"


def test_every_truncation_is_noticed(tmp_path: Path) -> None:
    """A file cut at any byte is refused: before the magic ends as no GGUF, else as cut off."""
    whole = gguf()
    for length in range(len(whole)):
        expected = "model_not_gguf" if length < 4 else "model_truncated"
        assert code_of(write(tmp_path, whole[:length])) == expected, length
    assert reader.read(write(tmp_path, whole)).n_tensors == 1


def test_not_gguf(tmp_path: Path) -> None:
    """Another format, and an empty file, are no GGUF."""
    assert code_of(write(tmp_path, b"PK\x03\x04 not a model")) == "model_not_gguf"
    assert code_of(write(tmp_path, b"")) == "model_not_gguf"


def test_missing_file_and_folder(tmp_path: Path) -> None:
    """A path to nothing is not found; a folder is unreadable."""
    with pytest.raises(ModelNotFoundError) as caught:
        reader.read(tmp_path / "none.gguf")
    assert caught.value.code == "model_file_missing"
    assert code_of(tmp_path) == "model_unreadable"


def header(n_tensors: int, n_metadata: int, body: bytes = b"", version: int = 3) -> bytes:
    """A header that claims what the test wants."""
    return b"GGUF" + struct.pack("<IQQ", version, n_tensors, n_metadata) + body


HUGE = 2**63
HOSTILE = {
    "tensor count": header(HUGE, 0),
    "metadata count": header(0, HUGE),
    "key length": header(0, 1, struct.pack("<Q", HUGE)),
    "string length": header(0, 1, string("k") + struct.pack("<IQ", 8, HUGE)),
    "array length": header(0, 1, string("k") + struct.pack("<IIQ", 9, 4, HUGE)),
    "token count": header(0, 1, string("tokenizer.ggml.tokens") + struct.pack("<IIQ", 9, 8, HUGE)),
    "token length": header(
        0, 1, string("tokenizer.ggml.tokens") + struct.pack("<IIQQ", 9, 8, 1, HUGE)
    ),
    "nested array": header(0, 1, string("k") + struct.pack("<IIQ", 9, 9, 1)),
    "value type": header(0, 1, string("k") + struct.pack("<I", 77)),
    "key twice": header(0, 2, 2 * (string("k") + value(1))),
    "dimensions": header(1, 0, string("t") + struct.pack("<I", 9)),
    "tensor size": header(1, 0, string("t") + struct.pack("<IQQ", 2, HUGE, HUGE)),
    "offset not aligned": header(1, 0, string("t") + struct.pack("<IQIQ", 1, 32, 8, 7)),
    "row not whole blocks": header(1, 0, string("t") + struct.pack("<IQIQ", 1, 33, 8, 0)),
    "alignment": header(1, 1, string("general.alignment") + value(0)),
    "no architecture": header(0, 0),
    "version 1": header(0, 0, version=1),
    "big-endian": header(0, 0, version=0x03000000),
    "one file of several": gguf(metadata={"split.count": 3}),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_header_is_refused(tmp_path: Path, name: str) -> None:
    """A header that claims absurd sizes or unknown types is refused before it is believed."""
    assert code_of(write(tmp_path, HOSTILE[name])) == "model_unreadable"


def test_tensor_far_beyond_the_end_is_truncated(tmp_path: Path) -> None:
    """The message says how many bytes a cut-off file needs."""
    path = write(tmp_path, gguf(shape=(64, 1000), tensor_bytes=100))
    with pytest.raises(ModelInvalidError, match="68,") as caught:
        reader.read(path)
    assert caught.value.code == "model_truncated"


def test_unknown_tensor_type_is_left_to_llama_cpp(tmp_path: Path) -> None:
    """A tensor type newer than this reader does not make a model unusable."""
    path = write(tmp_path, gguf(tensor_type=99, tensor_bytes=10))
    assert reader.read(path).n_tensors == 1


def test_random_damage_never_escapes(tmp_path: Path) -> None:
    """Whatever byte of the header is changed, the answer is a model or a ModelInvalidError."""
    whole = gguf()
    n_refused = 0
    for position in range(4, len(whole) - 140):
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        try:
            reader.read(write(tmp_path, bytes(damaged)))
        except ModelInvalidError:
            n_refused += 1
    assert n_refused > 100
