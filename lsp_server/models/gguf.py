"""A strict reader of the GGUF header: what a model is, and whether the file is whole.

It runs before llama.cpp sees the file, so every size is bounded before it is believed. Format:
https://github.com/ggml-org/ggml/blob/master/docs/gguf.md
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from lsp_server.errors import ModelInvalidError, ModelNotFoundError
from lsp_server.models.fim_tokens import WANTED_TEXTS, find_fim_tokens
from lsp_server.models.gguf_info import BLOCKS, GgufInfo, TensorInfo

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_DEFAULT_ALIGNMENT = 32

# Far above any real model, far below what would hurt.
_MAX_METADATA = 1 << 16
_MAX_TENSORS = 1 << 17
_MAX_KEY_BYTES = 1 << 16
_MAX_STRING_BYTES = 1 << 26
_MAX_ARRAY = 1 << 26
_MAX_VOCAB = 1 << 22
_MAX_DIMENSIONS = 4
_MAX_ELEMENTS = 1 << 62

_BOOL, _STRING, _ARRAY = 7, 8, 9
# Number types of metadata values: code of the struct module, by GGUF type.
_NUMBERS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 10: "Q", 11: "q", 12: "d"}
_INTEGERS = {kind: code for kind, code in _NUMBERS.items() if code not in "fd"}
# One number for each layer is kept; vocabularies are not.
_MAX_KEPT_ARRAY = 1024


class _Bytes(Protocol):
    """What the cursor reads from: an mmap, or bytes."""

    def __getitem__(self, index: slice, /) -> bytes: ...

    def __len__(self) -> int: ...


def read(path: Path) -> GgufInfo:
    """Read the header of a GGUF file and check that no tensor lies beyond the file's end.

    Raises:
        ModelNotFoundError: ``model_file_missing``.
        ModelInvalidError: ``model_not_gguf``, ``model_truncated`` or ``model_unreadable``.
    """
    try:
        with path.open("rb") as file:
            magic = file.read(len(_MAGIC))
            if magic != _MAGIC:
                raise _not_gguf(path, magic)
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                return _Header(path, data).parse()
    except FileNotFoundError as error:
        raise ModelNotFoundError(
            f"There is no file {path}.", code="model_file_missing", hint="Check the path."
        ) from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModelInvalidError(
            f"{path} cannot be read: {reason}.",
            code="model_unreadable",
            hint="Check that it is a file and that you may read it.",
        ) from error


def require_fim(info: GgufInfo, path: Path) -> None:
    """Refuse a model that cannot fill in the middle.

    Raises:
        ModelInvalidError: ``model_no_fim``.
    """
    if info.fim.missing:
        raise ModelInvalidError(
            f"{path.name} cannot complete code: its vocabulary has no FIM token for "
            f"{', '.join(info.fim.missing)}.",
            code="model_no_fim",
            hint="Use a model trained to fill in the middle, such as Qwen2.5-Coder "
            "(see: midfill model list).",
        )


def _not_gguf(path: Path, magic: bytes) -> ModelInvalidError:
    what = "is empty" if not magic else "is not a GGUF file"
    return ModelInvalidError(
        f"{path.name} {what}.",
        code="model_not_gguf",
        hint="midfill takes models in llama.cpp's GGUF format; fetch one with: midfill model fetch",
    )


class _Header:
    """A cursor over the header; all numbers are little-endian."""

    def __init__(self, path: Path, data: _Bytes) -> None:
        self._path = path
        self._data = data
        self._size = len(data)
        self._at = len(_MAGIC)
        self._metadata: dict[str, Any] = {}
        self._kinds: dict[str, int] = {}
        self._tensors: list[TensorInfo] = []
        self._text_ids: dict[str, int] = {}
        self._n_vocab = 0

    def parse(self) -> GgufInfo:
        """The whole header."""
        version = self._number("I")
        if version not in _VERSIONS:
            swapped = struct.unpack(">I", struct.pack("<I", version))[0] in _VERSIONS
            what = "big-endian" if swapped else f"of GGUF version {version}"
            raise self._unreadable(f"it is {what}; little-endian version 2 or 3 is needed")
        n_tensors = self._count("Q", _MAX_TENSORS, "tensors")
        n_metadata = self._count("Q", _MAX_METADATA, "metadata entries")
        for _ in range(n_metadata):
            self._read_metadata()
        n_params = self._check_tensors(n_tensors)
        return self._info(n_tensors, n_params)

    def _info(self, n_tensors: int, n_params: int) -> GgufInfo:
        metadata = self._metadata
        architecture = self._text("general.architecture")
        if not architecture:
            raise self._unreadable("it names no architecture")
        if metadata.get("split.count", 0) not in (0, 1):
            raise self._unreadable("it is one part of several; join them with llama-gguf-split")
        context_length = metadata.get(f"{architecture}.context_length", 0)
        file_type = metadata.get("general.file_type")
        return GgufInfo(
            architecture=architecture,
            name=self._text("general.name"),
            size_bytes=self._size,
            context_length=context_length if isinstance(context_length, int) else 0,
            file_type=file_type if isinstance(file_type, int) else None,
            n_vocab=self._n_vocab,
            n_tensors=n_tensors,
            n_params=n_params,
            has_chat_template="tokenizer.chat_template" in metadata,
            fim=find_fim_tokens(metadata, self._text_ids, self._n_vocab),
            metadata=metadata,
            kinds=self._kinds,
            tensors=tuple(self._tensors),
        )

    def _text(self, key: str) -> str:
        value = self._metadata.get(key, "")
        return value if isinstance(value, str) else ""

    # -- metadata ------------------------------------------------------------------------

    def _read_metadata(self) -> None:
        key = self._string(_MAX_KEY_BYTES)
        if key in self._metadata:
            raise self._unreadable(f"the metadata key '{key[:80]}' comes twice")
        kind = self._number("I")
        self._kinds[key] = kind
        if kind != _ARRAY:
            self._metadata[key] = self._value(kind)
            return
        element = self._number("I")
        self._metadata[key] = None
        if key == "tokenizer.ggml.tokens" and element == _STRING:
            self._read_tokens()
        else:
            self._metadata[key] = self._array(element)

    def _value(self, kind: int) -> Any:
        if kind == _STRING:
            return self._string(_MAX_STRING_BYTES)
        if kind == _BOOL:
            return bool(self._number("B"))
        if kind in _NUMBERS:
            return self._number(_NUMBERS[kind])
        raise self._unreadable(f"it holds metadata of the unknown type {kind}")

    def _read_tokens(self) -> None:
        """Keep only the tokens that may be FIM tokens; a vocabulary has 150,000 others."""
        self._n_vocab = self._count("Q", _MAX_VOCAB, "tokens")
        wanted = {text.encode(): text for text in WANTED_TEXTS}
        longest = max(map(len, wanted))
        for token_id, (start, end) in enumerate(self._strings(self._n_vocab)):
            if end - start <= longest:
                text = wanted.get(self._data[start:end])
                if text is not None:
                    self._text_ids.setdefault(text, token_id)

    def _array(self, element: int) -> tuple[int, ...] | None:
        """A short array of integers; any other is passed over."""
        n_elements = self._count("Q", _MAX_ARRAY, "array elements")
        if element == _STRING:
            for _ in self._strings(n_elements):
                pass
        elif element in _INTEGERS and n_elements <= _MAX_KEPT_ARRAY:
            return tuple(self._number(_INTEGERS[element]) for _ in range(n_elements))
        elif element == _BOOL or element in _NUMBERS:
            width = 1 if element == _BOOL else struct.calcsize("<" + _NUMBERS[element])
            self._take(n_elements * width)
        else:
            raise self._unreadable(f"it holds an array of the unknown type {element}")
        return None

    def _strings(self, count: int) -> Iterator[tuple[int, int]]:
        """Start and end of each of ``count`` strings; the tight loop of the reader."""
        data, size, unpack = self._data, self._size, struct.Struct("<Q").unpack
        for _ in range(count):
            start = self._at + 8
            if start > size:
                raise self._truncated(start)
            end = start + unpack(data[start - 8 : start])[0]
            if end - start > _MAX_STRING_BYTES:
                raise self._unreadable("it holds a string that is too long")
            if end > size:
                raise self._truncated(end)
            self._at = end
            yield start, end

    # -- tensors -------------------------------------------------------------------------

    def _check_tensors(self, n_tensors: int) -> int:
        """Check that each tensor's bytes lie inside the file; returns the number of elements."""
        n_params = 0
        needed = 0
        alignment = self._alignment()
        for _ in range(n_tensors):
            name = self._string(_MAX_KEY_BYTES)
            shape, n_elements = self._shape(name)
            kind = self._number("I")
            offset = self._number("Q")
            if offset % alignment:
                raise self._unreadable(f"the tensor '{name[:80]}' is not aligned")
            block_elements, block_bytes = BLOCKS.get(kind, (1, 0))
            if shape and shape[0] % block_elements:
                raise self._unreadable(f"the tensor '{name[:80]}' has a broken shape")
            n_bytes = n_elements // block_elements * block_bytes
            needed = max(needed, offset + n_bytes)
            n_params += n_elements
            self._tensors.append(TensorInfo(name=name, shape=shape, kind=kind, n_bytes=n_bytes))
        data_start = -(-self._at // alignment) * alignment
        if n_tensors and data_start + needed > self._size:
            raise self._truncated(data_start + needed)
        return n_params

    def _shape(self, name: str) -> tuple[tuple[int, ...], int]:
        n_dimensions = self._count("I", _MAX_DIMENSIONS, "dimensions of a tensor")
        dimensions = tuple(self._number("Q") for _ in range(n_dimensions))
        n_elements = 1
        for dimension in dimensions:
            n_elements *= dimension
            if n_elements > _MAX_ELEMENTS:
                raise self._unreadable(f"the tensor '{name[:80]}' is too large")
        return dimensions, n_elements

    def _alignment(self) -> int:
        alignment = self._metadata.get("general.alignment", _DEFAULT_ALIGNMENT)
        if not isinstance(alignment, int) or not 1 <= alignment <= 1 << 20:
            raise self._unreadable("its alignment makes no sense")
        return alignment

    # -- primitives ----------------------------------------------------------------------

    def _take(self, n_bytes: int) -> int:
        """Move past ``n_bytes`` and return where they start."""
        start, self._at = self._at, self._at + n_bytes
        if self._at > self._size:
            raise self._truncated(self._at)
        return start

    def _number(self, code: str) -> Any:
        width = struct.calcsize("<" + code)
        start = self._take(width)
        return struct.unpack("<" + code, self._data[start : start + width])[0]

    def _count(self, code: str, limit: int, what: str) -> int:
        value: int = self._number(code)
        if value > limit:
            raise self._unreadable(f"it claims {value:,} {what}")
        return value

    def _string(self, limit: int) -> str:
        n_bytes = self._count("Q", limit, "bytes in one string")
        start = self._take(n_bytes)
        return self._data[start : start + n_bytes].decode("utf-8", "replace")

    def _truncated(self, needed: int) -> ModelInvalidError:
        return ModelInvalidError(
            f"{self._path.name} is cut off: it has {self._size:,} bytes and needs at least "
            f"{needed:,}.",
            code="model_truncated",
            hint="Fetch it again (see: midfill model fetch --help).",
        )

    def _unreadable(self, reason: str) -> ModelInvalidError:
        return ModelInvalidError(
            f"{self._path.name} cannot be read as GGUF: {reason}.",
            code="model_unreadable",
            hint="The file is damaged or not made for llama.cpp; fetch it again.",
        )
