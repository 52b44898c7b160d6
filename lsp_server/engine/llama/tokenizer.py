"""Text and tokens of a model, by its own vocabulary."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import llama_cpp
import numpy as np

from context.types import Role, Segment
from lsp_server.engine.llama.healing import Ids, Vocabulary, give_back
from lsp_server.errors import EngineError, ModelInvalidError

_MAX_PIECE_BYTES = 512
# Texts that other model families use as markers; llama.cpp does not count them as end of
# generation, but nothing sensible follows them in a completion.
_STOP_TEXTS = ("<|im_start|>", "<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>")


class Encoded(NamedTuple):
    """A prompt as tokens.

    Args:
        tokens: shape (n,).
        counts: how many each segment has.
        healed: bytes of the tokens that were taken off the end of the prefix.
    """

    tokens: list[int]
    counts: tuple[int, ...]
    healed: bytes


class Tokenizer:
    """The vocabulary of a model.

    Args:
        model: llama.cpp's pointer to it; it must outlive the tokenizer.

    Attributes:
        vocab: llama.cpp's pointer to the vocabulary.
        n_vocab: how many tokens there are.
        fim: token ids of the FIM markers the model has.

    Raises:
        ModelInvalidError: the model has no FIM tokens.
    """

    def __init__(self, model: Any) -> None:
        self.vocab = llama_cpp.llama_model_get_vocab(model)
        self.n_vocab = int(llama_cpp.llama_vocab_n_tokens(self.vocab))
        self._piece_buffer = ctypes.create_string_buffer(_MAX_PIECE_BYTES)
        self.fim = self._fim_tokens()
        self._stop_ids = self._find_stop_ids()

    def _fim_tokens(self) -> dict[Role, int]:
        found: dict[Role, int] = {
            "fim_prefix": llama_cpp.llama_vocab_fim_pre(self.vocab),
            "fim_suffix": llama_cpp.llama_vocab_fim_suf(self.vocab),
            "fim_middle": llama_cpp.llama_vocab_fim_mid(self.vocab),
            "repo_name": llama_cpp.llama_vocab_fim_rep(self.vocab),
            "file_sep": llama_cpp.llama_vocab_fim_sep(self.vocab),
        }
        missing = [r for r in ("fim_prefix", "fim_suffix", "fim_middle") if found[r] < 0]
        if missing:
            raise ModelInvalidError(
                f"The model has no FIM tokens ({', '.join(missing)}).",
                code="model_no_fim",
                hint="Choose a code model made for fill-in-the-middle: midfill model list",
            )
        return {role: token for role, token in found.items() if token >= 0}

    def _find_stop_ids(self) -> frozenset[int]:
        stops = set(self.fim.values())
        for text in _STOP_TEXTS:
            ids = self._tokenize(text.encode(), parse_special=True)
            if len(ids) == 1:
                stops.add(ids[0])
        return frozenset(stops)

    def _tokenize(self, data: bytes, *, parse_special: bool) -> list[int]:
        capacity = len(data) + 8
        buffer = (llama_cpp.llama_token * capacity)()
        n_tokens = llama_cpp.llama_tokenize(
            self.vocab, data, len(data), buffer, capacity, False, parse_special
        )
        if n_tokens < 0:
            raise EngineError("The text cannot be tokenized.", code="tokenize_failed")
        return buffer[:n_tokens]

    def tokenize(self, text: str) -> list[int]:
        """Tokens of user text; it can never yield a special token.

        Args:
            text: any text; what cannot be encoded as UTF-8 becomes ``?``.
        """
        ids = self._tokenize(text.encode("utf-8", "replace"), parse_special=False)
        # parse_special=False leaves user-defined tokens on in llama.cpp; control tokens and
        # FIM markers must not come from text whatever kind the GGUF gives them.
        return [i for i in ids if i not in self._stop_ids and not self.is_control(i)]

    def encode(self, segments: Sequence[Segment], heal_bytes: int = 0) -> Encoded:
        """Tokens of a prompt.

        Args:
            segments: in prompt order.
            heal_bytes: size of the word that ends the text before the FIM suffix marker (or,
                where that comes first, before the middle marker); its tokens are taken off.
        """
        tokens: list[int] = []
        counts: list[int] = []
        healed = b""
        if llama_cpp.llama_vocab_get_add_bos(self.vocab):
            tokens.append(llama_cpp.llama_vocab_bos(self.vocab))
        word_end = _end_of_prefix(segments)
        for number, segment in enumerate(segments):
            part: list[int] = []
            if segment.role != "text":
                if segment.role not in self.fim:
                    raise EngineError(
                        f"The model has no {segment.role} token.", code="model_no_fim"
                    )
                part.append(self.fim[segment.role])
            if segment.text:
                text = self.tokenize(segment.text)
                if number == word_end:
                    text, healed = give_back(text, heal_bytes, self.piece)
                part.extend(text)
            tokens.extend(part)
            counts.append(len(part))
        return Encoded(tokens, tuple(counts), healed)

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """All tokens by their bytes; made when it is first needed, which takes half a second."""
        # A buffer of its own: another thread may be at work.
        buffer = ctypes.create_string_buffer(_MAX_PIECE_BYTES)
        to_piece = llama_cpp.llama_token_to_piece
        pieces: list[bytes] = []
        for token in range(self.n_vocab):
            # Markers have no bytes here.
            size = to_piece(self.vocab, token, buffer, _MAX_PIECE_BYTES, 0, False)
            piece = buffer.raw[:size] if size > 0 else b""
            # llama.cpp counts some texts as end of generation that the file does not mark so.
            pieces.append(b"" if piece[:1] in (b"<", b"_") and self.is_stop(token) else piece)
        return Vocabulary(pieces)

    @functools.cached_property
    def stop_ids(self) -> Ids:
        """The tokens that end a completion, shape (n,)."""
        ids = [token for token in range(self.n_vocab) if self.is_stop(token)]
        return np.array(ids, dtype=np.int32)

    def is_control(self, token: int) -> bool:
        """Whether the token is a marker and not text."""
        return bool(llama_cpp.llama_vocab_is_control(self.vocab, token))

    def is_stop(self, token: int) -> bool:
        """Whether the token ends a completion."""
        return token in self._stop_ids or bool(llama_cpp.llama_vocab_is_eog(self.vocab, token))

    def piece(self, token: int) -> bytes:
        """The bytes of a token; may be part of a character."""
        size = llama_cpp.llama_token_to_piece(
            self.vocab, token, self._piece_buffer, _MAX_PIECE_BYTES, 0, False
        )
        return self._piece_buffer.raw[: max(size, 0)]


def _end_of_prefix(segments: Sequence[Segment]) -> int:
    """Number of the text segment that ends at the cursor; -1 if there is none."""
    role: Role = "text"
    last = -1
    for number, segment in enumerate(segments):
        if segment.role != "text":
            role = segment.role
        if role == "fim_prefix" and segment.text:
            last = number
    return last
