"""Which tokens of a vocabulary are the FIM tokens.

A GGUF names them by id; older files do not, and then llama.cpp finds them by their text. The
same is done here, so that a model is refused before llama.cpp loads it.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

# Metadata keys, newest first, and the texts by family: Qwen, StarCoder and its hyphenated
# cousins, DeepSeek, CodeLlama, GLM.
_ROLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "prefix": (
        ("tokenizer.ggml.fim_pre_token_id", "tokenizer.ggml.prefix_token_id"),
        (
            "<|fim_prefix|>",
            "<fim-prefix>",
            "<fim_prefix>",
            "<｜fim▁begin｜>",
            "<PRE>",
            "▁<PRE>",
            "<|code_prefix|>",
        ),
    ),
    "suffix": (
        ("tokenizer.ggml.fim_suf_token_id", "tokenizer.ggml.suffix_token_id"),
        (
            "<|fim_suffix|>",
            "<fim-suffix>",
            "<fim_suffix>",
            "<｜fim▁hole｜>",
            "<SUF>",
            "▁<SUF>",
            "<|code_suffix|>",
        ),
    ),
    "middle": (
        ("tokenizer.ggml.fim_mid_token_id", "tokenizer.ggml.middle_token_id"),
        (
            "<|fim_middle|>",
            "<fim-middle>",
            "<fim_middle>",
            "<｜fim▁end｜>",
            "<MID>",
            "▁<MID>",
            "<|code_middle|>",
        ),
    ),
    "pad": (
        ("tokenizer.ggml.fim_pad_token_id",),
        ("<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>"),
    ),
    "repo_name": (
        ("tokenizer.ggml.fim_rep_token_id",),
        ("<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"),
    ),
    "file_sep": (("tokenizer.ggml.fim_sep_token_id",), ("<|file_sep|>",)),
}

WANTED_TEXTS = frozenset(text for _, texts in _ROLES.values() for text in texts)
ID_KEYS = frozenset(key for keys, _ in _ROLES.values() for key in keys)


class FimTokens(msgspec.Struct, frozen=True, kw_only=True):
    """Ids of the FIM tokens in a vocabulary; None where it has none."""

    prefix: int | None = None
    suffix: int | None = None
    middle: int | None = None
    pad: int | None = None
    repo_name: int | None = None
    file_sep: int | None = None

    @property
    def missing(self) -> tuple[str, ...]:
        """Which of the three tokens that completion needs are not there."""
        needed = {"prefix": self.prefix, "suffix": self.suffix, "middle": self.middle}
        return tuple(role for role, token_id in needed.items() if token_id is None)


def find_fim_tokens(
    metadata: Mapping[str, object], text_ids: Mapping[str, int], n_vocab: int
) -> FimTokens:
    """Find the FIM tokens.

    Args:
        metadata: scalar metadata of the GGUF.
        text_ids: id of each of ``WANTED_TEXTS`` that the vocabulary has.
        n_vocab: size of the vocabulary; ids outside of it do not count.
    """
    found: dict[str, int] = {}
    for role, (keys, texts) in _ROLES.items():
        named = [metadata[key] for key in keys if key in metadata]
        ids = [i for i in named if isinstance(i, int) and 0 <= i < n_vocab]
        ids += [text_ids[text] for text in texts if text in text_ids]
        if ids:
            found[role] = ids[0]
    return FimTokens(**found)
